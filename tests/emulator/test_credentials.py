from collections.abc import Callable
from typing import Any

import pytest

import cfsso
from cfsso import InvalidRequestError
from cfsso.emulator import CloudflareEmulator

Call = Callable[..., tuple[int, Any]]


def codes(answer: tuple[int, Any]) -> tuple[int, list[int]]:
    status, envelope = answer
    assert envelope["success"] is False
    assert envelope["result"] is None
    return status, [item["code"] for item in envelope["errors"]]


def test_no_credential_is_a_bad_request(call: Call, connectors: str) -> None:
    """A client without any credential gets 400 and code 9106."""
    assert (400, [9106]) == codes(call("GET", connectors, headers={}))


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic dTpw", "token", "Bearer a b", "Bearer ä", "Bearer\ta"]
)
def test_a_malformed_authorization_is_a_bad_request(
    call: Call, connectors: str, value: str
) -> None:
    """The code for the format stands in the chain of the code for the header."""
    status, envelope = call("GET", connectors, headers={"Authorization": value})

    chain = [{"code": 6111, "message": "Invalid format for Authorization header"}]
    item = {"code": 6003, "message": "Invalid request headers", "error_chain": chain}
    assert (400, [item]) == (status, envelope["errors"])


@pytest.mark.parametrize("name", ["X-Auth-Key", "x-auth-email"])
def test_an_api_key_does_not_serve(call: Call, connectors: str, name: str) -> None:
    """These operations are for tokens only."""
    assert (400, [10001]) == codes(call("GET", connectors, headers={name: "x"}))


def test_a_token_beside_an_api_key_serves(call: Call, connectors: str) -> None:
    """With Authorization the other headers do not matter."""
    headers = {"X-Auth-Email": "a@b.example", "AUTHORIZATION": "bearer  t0ken"}

    assert 200 == call("GET", connectors, headers=headers)[0]


def test_any_token_serves_while_none_is_issued(call: Call, connectors: str) -> None:
    """A new emulator takes every well-formed token."""
    assert 200 == call("GET", connectors, headers={"authorization": "Bearer whatever"})[0]


def test_issued_tokens_serve_their_accounts(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str
) -> None:
    """Others are unknown, and a known one does not reach further than it may."""
    other = cloud.add_account()
    cloud.add_token("mine", [account])
    cloud.add_token("theirs", [other])

    def get(token: str) -> tuple[int, Any]:
        return call("GET", connectors, headers={"authorization": f"Bearer {token}"})

    assert 200 == get("mine")[0]
    assert (403, [10000]) == codes(get("theirs"))
    assert (401, [10000]) == codes(get("unknown"))
    assert 200 == call("GET", connectors)[0]


def test_what_a_token_may_not_reach_need_not_exist(
    cloud: CloudflareEmulator, account: str, call: Call
) -> None:
    """A token learns nothing of accounts that are not its own."""
    cloud.add_token("mine", [account])

    answer = call(
        "GET", f"/accounts/{'0' * 32}/sso_connectors", headers={"authorization": "Bearer mine"}
    )

    assert (403, [10000]) == codes(answer)


def test_tokens_are_shown_by_fingerprint(cloud: CloudflareEmulator, account: str) -> None:
    """The token itself is not readable but in the saved state."""
    cloud.add_token("canary", [account])

    assert [(account,)] == list(cloud.tokens.values())
    assert "canary" not in repr(cloud.tokens)
    assert {"canary": [account]} == cloud.to_state()["tokens"]


@pytest.mark.parametrize("token", ["", "a b", "ä", "a\n"])
def test_a_token_must_fit_into_a_header(cloud: CloudflareEmulator, token: str) -> None:
    """What no client could present is not issued, and not shown either."""
    with pytest.raises(InvalidRequestError, match=r"^a token must be printable ASCII"):
        cloud.add_token(token, [])


PAGES = {
    ("GET", ""): "list",
    ("POST", ""): "create",
    ("GET", "/{id}"): "get",
    ("PATCH", "/{id}"): "update",
    ("DELETE", "/{id}"): "delete",
    ("POST", "/{id}/begin_verification"): "begin_verification",
}


@pytest.mark.parametrize(("method", "rest"), PAGES)
def test_a_403_names_the_page_of_its_operation(
    cloud: CloudflareEmulator, account: str, call: Call, method: str, rest: str
) -> None:
    """What a token may not do says Forbidden, and where the permissions of it are documented."""
    cloud.add_token("theirs", [cloud.add_account()])
    path = f"/accounts/{account}/sso_connectors{rest.format(id='0' * 32)}"

    status, envelope = call(method, path, headers={"authorization": "Bearer theirs"})

    pages = "https://developers.cloudflare.com/api/resources/iam/subresources/sso/methods"
    page = f"{pages}/{PAGES[method, rest]}"
    item = {"code": 10000, "message": "Forbidden", "documentation_url": page}
    assert (403, [item]) == (status, envelope["errors"])
    assert ["success", "errors", "messages", "result"] == list(envelope)


def test_a_token_for_reading_reads(cloud: CloudflareEmulator, account: str, call: Call) -> None:
    """It serves lists and gets, and no write, which changes nothing."""
    seeded = cloud.add_connector(account, email_domain="a.example", status="failed")
    cloud.add_token("reader", [account], permission="read")
    before = cloud.to_state()
    statuses: dict[str, int] = {}

    for (method, rest), name in PAGES.items():
        path = f"/accounts/{account}/sso_connectors{rest.format(id=seeded.id)}"
        body = {"email_domain": "b.example", "use_fedramp_language": True}
        sent = body if method in {"POST", "PATCH"} else None
        headers = {"authorization": "Bearer reader"}
        statuses[name] = call(method, path, sent, headers)[0]

    assert {"list": 200, "get": 200} == {n: s for n, s in statuses.items() if s == 200}
    assert {403} == {s for n, s in statuses.items() if n not in {"list", "get"}}
    assert before == cloud.to_state()


@pytest.mark.parametrize(("permission", "expected"), [("read", 403), ("write", 404)])
def test_the_permission_is_looked_at_before_the_connector(
    cloud: CloudflareEmulator, account: str, call: Call, permission: str, expected: int
) -> None:
    """A write to an unknown connector, without a body even, tells what the token may do."""
    cloud.add_token("mine", [account], permission=permission)
    path = f"/accounts/{account}/sso_connectors/{'0' * 32}"

    assert expected == call("PATCH", path, headers={"authorization": "Bearer mine"})[0]


async def test_a_transport_with_a_token_for_reading(
    cloud: CloudflareEmulator, account: str
) -> None:
    """A client in this process gets the same 403, and the token's state is active."""
    cloud.add_token("reader", [account], permission="read")
    seeded = cloud.add_connector(account, email_domain="a.example", enabled=True, status="verified")
    connectors = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cloud, api_token="reader"))

    assert (seeded,) == await connectors.list(account_id=account)
    with pytest.raises(cfsso.PermissionDeniedError) as caught:
        await connectors.update(seeded.id, account_id=account, enabled=False)

    assert cfsso.WriteState.REFUSED is caught.value.write
    assert str(caught.value.errors[0].documentation_url).endswith("/sso/methods/update")
    assert cloud.connector(account, seeded.id).enabled
    assert "active" == (await connectors.verify_token(account_id=account)).status


def test_permission_is_checked_strictly(cloud: CloudflareEmulator, account: str) -> None:
    """There are two permissions; nothing else issues a token."""
    for wrong in ("admin", "Read", "", None, True):
        with pytest.raises(InvalidRequestError, match="permission must be one of read, write"):
            cloud.add_token("mine", [account], permission=wrong)  # type: ignore[arg-type]

    assert {} == cloud.tokens
