import datetime as dt
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from cfsso.emulator import CloudflareEmulator
from cfsso.transports.base import MAX_BODY, Request

Call = Callable[..., tuple[int, Any]]

NOBODY = "0" * 32
OK = {"success": True, "errors": [], "messages": []}


def refusal(code: int, message: str, pointer: str | None = None) -> dict[str, Any]:
    item: dict[str, Any] = {"code": code, "message": message}
    if pointer is not None:
        item["source"] = {"pointer": pointer}
    return {"success": False, "errors": [item], "messages": [], "result": None}


def test_create_begins_verification_unless_told_otherwise(call: Call, connectors: str) -> None:
    """A new connector is pending, disabled, and has a code and two equal times."""
    status, envelope = call("POST", connectors, {"email_domain": "a.example"})

    result = envelope.pop("result")

    assert (200, OK) == (status, envelope)
    assert re.fullmatch("[0-9a-f]{32}", result["id"])
    assert re.fullmatch("cloudflare_dashboard_sso=[0-9a-f]{32}", result["verification"]["code"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", result["created_on"])
    assert result["created_on"] == result["updated_on"]
    assert ("a.example", False, False, "pending") == (
        result["email_domain"],
        result["enabled"],
        result["use_fedramp_language"],
        result["verification"]["status"],
    )


def test_create_takes_all_three_fields(call: Call, connectors: str) -> None:
    """Without verification the connector waits; what is unknown is ignored."""
    body = {
        "email_domain": "a.example",
        "begin_verification": False,
        "use_fedramp_language": True,
        "enabled": True,
    }

    result = call("POST", connectors, body)[1]["result"]

    assert ("awaiting", True, False) == (
        result["verification"]["status"],
        result["use_fedramp_language"],
        result["enabled"],
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, refusal(20000, "The request body is not valid JSON")),
        (b"", refusal(20000, "The request body is not valid JSON")),
        (b"{", refusal(20000, "The request body is not valid JSON")),
        (b"\xff", refusal(20000, "The request body is not valid JSON")),
        (b'{"a": NaN}', refusal(20000, "The request body is not valid JSON")),
        (b"[" * 100_000, refusal(20000, "The request body is not valid JSON")),
        (b"[]", refusal(20000, "The request body must be a JSON object", "")),
        (
            {},
            refusal(20000, "email_domain is required and must be a string", "/email_domain"),
        ),
        (
            {"email_domain": 1},
            refusal(20000, "email_domain is required and must be a string", "/email_domain"),
        ),
        (
            {"email_domain": "-a.example"},
            refusal(20000, "email_domain is not a domain name", "/email_domain"),
        ),
        (
            {"email_domain": "a." * 127 + "example"},
            refusal(20000, "email_domain is not a domain name", "/email_domain"),
        ),
        (
            {"email_domain": "\ud800.example"},
            refusal(20000, "email_domain is not a domain name", "/email_domain"),
        ),
        (
            {"email_domain": "a\N{NO-BREAK SPACE}b.example"},
            refusal(20000, "email_domain is not a domain name", "/email_domain"),
        ),
        (
            {"email_domain": "a\N{IDEOGRAPHIC FULL STOP}example"},
            refusal(20000, "email_domain is not a domain name", "/email_domain"),
        ),
        (
            {"email_domain": "a.example", "begin_verification": None},
            refusal(20000, "begin_verification must be a boolean", "/begin_verification"),
        ),
        (
            {"email_domain": "a.example", "use_fedramp_language": 1},
            refusal(20000, "use_fedramp_language must be a boolean", "/use_fedramp_language"),
        ),
        (
            {"email_domain": "Gmail.com"},
            refusal(20001, "This email domain can't be used for SSO", "/email_domain"),
        ),
        (
            {"email_domain": "uni.edu"},
            refusal(20001, "This email domain can't be used for SSO", "/email_domain"),
        ),
    ],
)
def test_create_refuses(
    cloud: CloudflareEmulator,
    account: str,
    call: Call,
    connectors: str,
    body: Any,
    expected: dict[str, Any],
) -> None:
    """A bad body is answered with 400, names the member, and creates nothing."""
    assert (400, expected) == call("POST", connectors, body)
    assert () == cloud.connectors(account)


@pytest.mark.parametrize(
    "domain", ["b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example", "xn--bcher-kva.example"]
)
def test_create_takes_domains_of_other_scripts(call: Call, connectors: str, domain: str) -> None:
    """Both forms of one domain are shown as they came, and are one domain."""
    made = call("POST", connectors, {"email_domain": domain})
    again = call("POST", connectors, {"email_domain": "XN--BCHER-KVA.example."})

    assert (200, domain) == (made[0], made[1]["result"]["email_domain"])
    assert 409 == again[0]


def test_create_refuses_a_second_connector_for_a_domain(call: Call, connectors: str) -> None:
    """In one account a domain has one connector, in whatever case it is written."""
    call("POST", connectors, {"email_domain": "a.example"})

    answer = call("POST", connectors, {"email_domain": "A.Example"})

    text = "The account already has an SSO connector for this email domain"
    assert (409, refusal(20005, text, "/email_domain")) == answer


def test_get_shows_what_create_showed(call: Call, connectors: str) -> None:
    """One connector comes in the envelope without page information."""
    created = call("POST", connectors, {"email_domain": "a.example"})[1]["result"]

    assert (200, {**OK, "result": created}) == call("GET", f"{connectors}/{created['id']}")


@pytest.mark.parametrize("text", ['"', "\\", "\n", "\x7f", "\u2028", "\ud800", "\U0001f511", "{}"])
def test_odd_texts_come_as_they_are(text: str) -> None:
    """Whatever a state file holds, a GET, a list and the state show the same bytes of it."""
    connector = {
        "id": "C" * 32,
        "enabled": True,
        "email_domain": f"{text}.example",
        "created_on": f"2026-03-02{text[0]}08:15:42+01:00",
        "updated_on": "2026-03-02T08:15Z",
        "verification": {"code": text, "status": "verified"},
        "use_fedramp_language": True,
    }
    account = "A" * 32
    state = {"accounts": {account: {"connectors": [connector]}}, "dns": {}}
    cloud = CloudflareEmulator.from_state(state)
    shown = json.dumps(connector, separators=(",", ":")).encode()

    alone = cloud.handle(Request("GET", f"/accounts/{account}/sso_connectors/{'C' * 32}")).body
    listed = cloud.handle(Request("GET", f"/accounts/{account}/sso_connectors")).body

    assert b'{"result":%b,"success":true,"errors":[],"messages":[]}' % shown == alone
    assert b'{"result":[%b],"result_info"' % shown in listed
    assert state == cloud.to_state()


def test_list_shows_all_on_one_page(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str
) -> None:
    """The list is in the order of creation and says how many there are."""
    for n in range(30):
        cloud.add_connector(account, email_domain=f"{n}.example")

    status, envelope = call("GET", connectors)
    result = envelope.pop("result")

    assert [f"{n}.example" for n in range(30)] == [one["email_domain"] for one in result]
    info = {"count": 30, "page": 1, "per_page": 30, "total_count": 30}
    assert (200, {**OK, "result_info": info}) == (status, envelope)


def test_an_empty_list_has_page_information_too(call: Call, connectors: str) -> None:
    """Nothing is an array of nothing."""
    info = {"count": 0, "page": 1, "per_page": 20, "total_count": 0}

    assert (200, {**OK, "result": [], "result_info": info}) == call("GET", connectors)


def test_update_enables_a_verified_connector(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str
) -> None:
    """The answer and the truth show the new value and a later updated_on."""
    before = cloud.add_connector(account, email_domain="a.example", status="verified")

    status, envelope = call("PATCH", f"{connectors}/{before.id}", {"enabled": True})
    after = cloud.connector(account, str(before.id))

    assert (200, True, True) == (status, envelope["result"]["enabled"], after.enabled)
    assert before.created_on == after.created_on
    assert isinstance(before.updated_on, dt.datetime)
    assert isinstance(after.updated_on, dt.datetime)
    assert before.updated_on < after.updated_on


def test_each_write_moves_updated_on(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str
) -> None:
    """Writes of the same instant still differ, and writes of nothing do not."""
    path = f"{connectors}/{cloud.add_connector(account, email_domain='a.example').id}"
    bodies = [{"use_fedramp_language": value} for value in (True, False, False, True)]

    times = [call("PATCH", path, body)[1]["result"]["updated_on"] for body in bodies]

    assert times[0] < times[1] == times[2] < times[3]


@pytest.mark.parametrize("body", [None, b"", {}, {"unknown": 1}, {"enabled": False}])
def test_update_of_nothing_changes_nothing(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str, body: Any
) -> None:
    """An update that names nothing new shows the connector as it is."""
    before = cloud.add_connector(account, email_domain="a.example")

    assert 200 == call("PATCH", f"{connectors}/{before.id}", body)[0]
    assert before == cloud.connector(account, str(before.id))


@pytest.mark.parametrize("name", ["enabled", "use_fedramp_language"])
@pytest.mark.parametrize("value", [None, "true", 1, [], {}])
def test_update_takes_booleans_only(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str, name: str, value: Any
) -> None:
    """A wrong type is refused with a pointer, and nothing of the body happens."""
    before = cloud.add_connector(account, email_domain="a.example", status="verified")
    body = {"enabled": True, "use_fedramp_language": True, name: value}

    answer = call("PATCH", f"{connectors}/{before.id}", body)

    assert (400, refusal(20000, f"{name} must be a boolean", f"/{name}")) == answer
    assert before == cloud.connector(account, str(before.id))


@pytest.mark.parametrize("status", ["awaiting", "pending", "failed"])
def test_only_a_verified_connector_is_enabled(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str, status: str
) -> None:
    """Enabling is refused before verification, and the other field is left alone too."""
    before = cloud.add_connector(account, email_domain="a.example", status=status)
    body = {"enabled": True, "use_fedramp_language": True}

    answer = call("PATCH", f"{connectors}/{before.id}", body)

    text = "The email domain must be verified before the connector can be enabled"
    assert (400, refusal(20002, text, "/enabled")) == answer
    assert before == cloud.connector(account, str(before.id))


def test_a_domain_is_enabled_in_one_account_at_a_time(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str
) -> None:
    """The second account has to wait until the first one lets go."""
    other = cloud.add_account()
    holder = cloud.add_connector(other, email_domain="A.example", status="verified", enabled=True)
    mine = cloud.add_connector(account, email_domain="a.example", status="verified")
    path = f"{connectors}/{mine.id}"

    refused = call("PATCH", path, {"enabled": True})
    call("PATCH", f"/accounts/{other}/sso_connectors/{holder.id}", {"enabled": False})
    allowed = call("PATCH", path, {"enabled": True})

    text = "The email domain is enabled by another SSO connector; disable that one first"
    assert (409, refusal(20006, text, "/enabled")) == refused
    assert (200, True) == (allowed[0], allowed[1]["result"]["enabled"])


def test_an_enabled_connector_may_change_its_language(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str
) -> None:
    """What is enabled already is not checked again."""
    seeded = cloud.add_connector(account, email_domain="a.example", status="verified", enabled=True)
    body = {"enabled": True, "use_fedramp_language": True}

    result = call("PATCH", f"{connectors}/{seeded.id}", body)[1]["result"]

    assert (True, True) == (result["enabled"], result["use_fedramp_language"])


def test_delete_removes_a_connector_once(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str
) -> None:
    """The answer names the id; a second delete finds nothing."""
    seeded = cloud.add_connector(account, email_domain="a.example", status="verified")
    path = f"{connectors}/{seeded.id}"

    assert (200, {**OK, "result": {"id": seeded.id}}) == call("DELETE", path)
    assert (404, refusal(20004, "SSO connector not found")) == call("DELETE", path)
    assert () == cloud.connectors(account)


def test_delete_refuses_an_enabled_connector(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str
) -> None:
    """What is in force is disabled first."""
    seeded = cloud.add_connector(account, email_domain="a.example", status="verified", enabled=True)

    answer = call("DELETE", f"{connectors}/{seeded.id}")

    text = "Disable the SSO connector before deleting it"
    assert (409, refusal(20007, text)) == answer
    assert seeded == cloud.connector(account, str(seeded.id))


@pytest.mark.parametrize(
    ("method", "suffix"),
    [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/begin_verification")],
)
def test_an_unknown_connector_is_not_found(
    call: Call, connectors: str, method: str, suffix: str
) -> None:
    """All four operations on one connector answer alike."""
    expected = refusal(20004, "SSO connector not found")

    assert (404, expected) == call(method, f"{connectors}/{NOBODY}{suffix}")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/accounts",
        f"/accounts/{NOBODY}",
        f"/accounts/{NOBODY}/sso_connectors",
        f"/accounts/{NOBODY}/sso_connectors/{NOBODY}",
        "/accounts/nordwind/sso_connectors",
        "/accounts/{account}/other",
        f"/zones/{NOBODY}/sso_connectors",
        "/accounts/{account}/sso_connectors/short",
        f"/accounts/{{account}}/sso_connectors/{NOBODY}/verify",
        f"/accounts/{{account}}/sso_connectors/{NOBODY}/begin_verification/more",
    ],
)
def test_what_leads_nowhere_is_not_routed(call: Call, account: str, path: str) -> None:
    """An unknown path, a malformed id and an unknown account get the router's two items."""
    path = path.format(account=account) if path != "/" else "/x"

    status, envelope = call("GET", path)

    text = f"Could not route to /client/v4{path}, perhaps your object identifier is invalid?"
    errors = [
        {"code": 7003, "message": text},
        {"code": 7000, "message": "No route for that URI"},
    ]
    assert (404, False, None) == (status, envelope["success"], envelope["result"])
    assert errors == envelope["errors"]


@pytest.mark.parametrize(
    ("method", "suffix", "allowed"),
    [
        ("PUT", "", "GET, POST"),
        ("POST", f"/{NOBODY}", "GET, PATCH, DELETE"),
        ("GET", f"/{NOBODY}/begin_verification", "POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    cloud: CloudflareEmulator, connectors: str, method: str, suffix: str, allowed: str
) -> None:
    """405 comes with Allow."""
    response = cloud.handle(Request(method, connectors + suffix))

    assert (405, allowed) == (response.status, response.headers["allow"])
    assert b'"code":10405' in response.body


def test_a_body_beyond_the_limit_is_refused(call: Call, connectors: str) -> None:
    """One byte too many is too many."""
    expected = refusal(20013, "Request body is too large")

    assert (413, expected) == call("POST", connectors, b" " * (MAX_BODY + 1))
    assert 400 == call("POST", connectors, b" " * MAX_BODY)[0]


def test_every_answer_has_a_ray_and_a_type(cloud: CloudflareEmulator, connectors: str) -> None:
    """Both refusals and successes carry the headers, and no two share a ray."""
    answers = [cloud.handle(Request(method, connectors)) for method in ("GET", "PUT")]

    assert {"application/json"} == {answer.headers["content-type"] for answer in answers}
    assert 2 == len({answer.headers["cf-ray"] for answer in answers})
    for answer in answers:
        assert re.fullmatch("[0-9a-f]{16}-AMS", answer.headers["cf-ray"])
