import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from cfsso import InvalidRequestError
from cfsso.emulator import CloudflareEmulator
from cfsso.models import VerificationStatus
from cfsso.transports.base import Request

A, B = "a" * 32, "b" * 32
C, D = "c" * 32, "d" * 32

FULL: dict[str, Any] = {
    "accounts": {
        A: {
            "connectors": [
                {
                    "id": C,
                    "email_domain": "a.example",
                    "enabled": True,
                    "use_fedramp_language": True,
                    "verification": {
                        "code": "cloudflare_dashboard_sso=1",
                        "status": "verified",
                    },
                    "created_on": "2026-03-02T08:15:42Z",
                    "updated_on": "2026-03-04T11:00:09.123456789Z",
                }
            ]
        },
        B: {"connectors": []},
    },
    "dns": {"a.example": ["v=spf1 -all", "cloudflare_dashboard_sso=1"]},
    "tokens": {"cfat_canary": [A, B]},
}


def connector(**members: Any) -> dict[str, Any]:
    """Return a state with one connector."""
    fields = {"id": C, "email_domain": "a.example", **members}
    return {"accounts": {A: {"connectors": [fields]}}}


def test_a_round_trip_loses_nothing(tmp_path: Path) -> None:
    """Every member comes back as it was, times in their own spelling included."""
    path = tmp_path / "cloud.json"

    CloudflareEmulator.from_state(FULL).save(path)

    assert FULL == json.loads(path.read_text())
    assert FULL == CloudflareEmulator.load(path).to_state()


def test_a_file_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    """Some editors put one."""
    path = tmp_path / "cloud.json"
    path.write_text(json.dumps(FULL), encoding="utf-8-sig")

    assert FULL == CloudflareEmulator.load(str(path)).to_state()


# Every official SDK's suite and every example of the reference has one id for both.
EXAMPLE = "023e105f4ecef8ad9ca31a8372d0c353"


def test_an_account_and_a_connector_may_share_an_id(tmp_path: Path) -> None:
    """A file with the ids of the official suites is loaded, serves, and is saved as it was."""
    path = tmp_path / "cloud.json"
    fields = {"id": EXAMPLE, "email_domain": "a.example"}
    path.write_text(json.dumps({"accounts": {EXAMPLE: {"connectors": [fields]}}}))
    request = Request("GET", f"/accounts/{EXAMPLE}/sso_connectors/{EXAMPLE}")

    cloud = CloudflareEmulator.load(path)
    answer = json.loads(cloud.handle(request).body)
    cloud.save(path)

    assert fields.items() <= answer["result"].items()
    assert cloud.to_state() == CloudflareEmulator.load(path).to_state()


def test_a_connector_may_have_the_id_of_a_later_account() -> None:
    """The order of the accounts in the file does not matter."""
    state = connector(id=B)
    state["accounts"][B] = {"connectors": [{"id": A, "email_domain": "b.example"}]}

    assert (A, B) == CloudflareEmulator.from_state(state).accounts


def test_a_seed_gives_no_id_twice() -> None:
    """What a seed gave before saving, it does not give again after loading."""
    first = CloudflareEmulator(seed=1)
    account = first.add_account()
    old = first.add_connector(account, email_domain="a.example").id

    second = CloudflareEmulator.from_state(first.to_state(), seed=1)
    new = second.add_connector(second.add_account(), email_domain="b.example").id

    assert 2 == len(second.accounts)
    assert old != new


def test_permissions_of_tokens_are_kept(tmp_path: Path) -> None:
    """A token is saved in the form in which it was loaded, and serves by its permission."""
    tokens = {
        "reader": {"accounts": [A], "permission": "read"},
        "writer": {"accounts": [A, B], "permission": "write"},
        "short": [A],
    }
    path = tmp_path / "cloud.json"
    path.write_text(json.dumps({**FULL, "tokens": tokens}))
    cloud = CloudflareEmulator.load(path)
    request = Request("PATCH", f"/accounts/{A}/sso_connectors/{C}", b'{"enabled": true}')

    statuses = [
        cloud.handle(request, {"Authorization": f"Bearer {token}"}).status for token in tokens
    ]
    cloud.add_token("second", [B], permission="read")
    cloud.add_token("third", [B], permission="write")
    cloud.save(path)

    assert [403, 200, 200] == statuses
    added = {"second": {"accounts": [B], "permission": "read"}, "third": [B]}
    assert {**tokens, **added} == json.loads(path.read_text())["tokens"]


def test_loading_passes_the_options_on(tmp_path: Path) -> None:
    """What the constructor takes, loading takes."""
    path = tmp_path / "cloud.json"
    path.write_text("{}")

    cloud = CloudflareEmulator.load(path, latency=2.0, rate_limit=None)

    assert 2.0 == cloud.latency
    assert {"accounts": {}, "dns": {}} == cloud.to_state()


def test_what_a_connector_lacks_is_as_for_a_new_one() -> None:
    """An id and a domain are enough."""
    cloud = CloudflareEmulator.from_state(connector(), seed=1)

    loaded = cloud.connector(A, C)

    assert (False, False) == (loaded.enabled, loaded.use_fedramp_language)
    assert VerificationStatus.AWAITING is loaded.verification.status
    assert str(loaded.verification.code).startswith("cloudflare_dashboard_sso=")
    assert loaded.created_on is not None
    assert loaded.created_on == loaded.updated_on


def test_an_update_is_later_than_what_was_loaded() -> None:
    """Also if the file is of the future."""
    cloud = CloudflareEmulator.from_state(connector(updated_on="2999-01-01T00:00:00.5+00:00"))
    request = Request(
        "PATCH", f"/accounts/{A}/sso_connectors/{C}", b'{"use_fedramp_language": true}'
    )

    cloud.handle(request)

    shown = cloud.to_state()["accounts"][A]["connectors"][0]
    assert "2999-01-01T00:00:00.500001Z" == shown["updated_on"]


def test_what_was_pending_is_polled_again() -> None:
    """The two days of a pending connector begin with the load, and DNS is looked at."""
    state = connector(verification={"code": "x", "status": "pending"}) | {
        "dns": {"a.example": ["x"]}
    }
    cloud = CloudflareEmulator.from_state(state)
    before = cloud.connector(A, C).verification.raw_status
    cloud.advance(1)

    assert ("pending", "verified") == (before, cloud.connector(A, C).verification.raw_status)


def test_a_loaded_holder_keeps_its_domain() -> None:
    """What is enabled in the file bars others."""
    cloud = CloudflareEmulator.from_state(FULL)
    other = cloud.add_connector(B, email_domain="a.example", status="verified")
    path = f"/accounts/{B}/sso_connectors/{other.id}"

    assert 409 == cloud.handle(Request("PATCH", path, b'{"enabled": true}')).status


def test_loaded_tokens_count() -> None:
    """Only the tokens of the file serve."""
    cloud = CloudflareEmulator.from_state(FULL)
    request = Request("GET", f"/accounts/{A}/sso_connectors")

    statuses = [
        cloud.handle(request, {"Authorization": f"Bearer {token}"}).status
        for token in ("cfat_canary", "other")
    ]

    assert [200, 401] == statuses


TWO = [
    {
        "id": char * 32,
        "email_domain": "a.example",
        "enabled": True,
        "verification": {"status": "verified"},
    }
    for char in "cd"
]
MEMBERS = FULL["accounts"][A]["connectors"][0]
PLACE = f"$.accounts.{A}.connectors[0]"


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ([], "$ must be an object"),
        ({"acounts": {}}, "$ must have no other members than accounts, dns, tokens, but has 1"),
        ({"accounts": []}, "$.accounts must be an object"),
        ({"accounts": {1: {}}}, "$.accounts must be an object"),
        ({"accounts": {"x": {}}}, "$.accounts[0] must be an id of 32 letters and digits"),
        ({"accounts": {A: []}}, f"$.accounts.{A} must be an object"),
        ({"accounts": {A: {"connectors": {}}}}, f"$.accounts.{A}.connectors must be an array"),
        ({"accounts": {A: {"connectors": [1]}}}, f"{PLACE} must be an object"),
        (connector(id="c"), f"{PLACE}.id must be an id of 32 letters and digits"),
        (connector(id=None), f"{PLACE}.id must be an id of 32 letters and digits"),
        (connector(email_domain=""), f"{PLACE}.email_domain must be a string that is not empty"),
        (connector(enabled="false"), f"{PLACE}.enabled must be true or false"),
        (connector(use_fedramp_language=0), f"{PLACE}.use_fedramp_language must be true or false"),
        (
            connector(enabld=True),
            f"{PLACE} must have no other members than {', '.join(MEMBERS)}, but has 1",
        ),
        (connector(verification=None), f"{PLACE}.verification must be an object"),
        (
            connector(verification={"code": 1}),
            f"{PLACE}.verification.code must be a string that is not empty",
        ),
        (
            connector(verification={"status": "unknown"}),
            f"{PLACE}.verification.status must be one of awaiting, pending, failed, verified",
        ),
        (
            connector(created_on="yesterday"),
            f"{PLACE}.created_on must be a time with a zone, such as 2026-03-02T08:15:42.000000Z",
        ),
        (
            connector(updated_on="2026-03-02T08:15:42"),
            f"{PLACE}.updated_on must be a time with a zone, such as 2026-03-02T08:15:42.000000Z",
        ),
        (
            connector(enabled=True),
            f"{PLACE}: enabled must be false until verification.status is verified",
        ),
        (
            {"accounts": {A: {"connectors": TWO[:1]}, B: {"connectors": TWO[1:]}}},
            (
                f"$.accounts.{B}.connectors[0]: "
                "its email_domain is enabled by another connector already"
            ),
        ),
        (
            {"accounts": {A: {"connectors": [connector()["accounts"][A]["connectors"][0]] * 2}}},
            f"$.accounts.{A}.connectors[1]: its id must be unique among connectors",
        ),
        ({"dns": []}, "$.dns must be an object"),
        ({"dns": {"a.example": "x"}}, "$.dns[0] must be an array"),
        ({"dns": {"a.example": [1]}}, "$.dns[0] must be an array of strings"),
        ({"dns": {"": []}}, "$.dns[0] must be a string that is not empty"),
        (
            {"dns": {"a.example": [], "A.Example.": []}},
            "$.dns[1] is there already: names must be unique",
        ),
        ({"tokens": ["canary"]}, "$.tokens must be an object"),
        ({"tokens": {"canary": "x"}}, "$.tokens[0] must be an array"),
        ({"tokens": {"canary": ["x"]}}, "$.tokens[0] must be an id of 32 letters and digits"),
        ({"tokens": {"canary": {}}}, "$.tokens[0].permission must be one of read, write"),
        (
            {"tokens": {"canary": {"permission": "read"}}},
            "$.tokens[0].accounts must be an array",
        ),
        (
            {"tokens": {"canary": {"accounts": ["x"], "permission": "read"}}},
            "$.tokens[0].accounts must be an id of 32 letters and digits",
        ),
        (
            {"tokens": {"canary": {"accounts": [A], "permission": "edit"}}},
            "$.tokens[0].permission must be one of read, write",
        ),
        (
            {"tokens": {"canary": {"accounts": [A], "permision": "read"}}},
            "$.tokens[0] must have no other members than accounts, permission, but has 1",
        ),
        (
            {"tokens": {"can ary": [A]}},
            "$.tokens[0]: a token must be printable ASCII without spaces",
        ),
    ],
)
def test_a_bad_state_is_named_by_its_path(state: Any, problem: str) -> None:
    """The message is one line with the JSON path and without any token."""
    with pytest.raises(InvalidRequestError) as caught:
        CloudflareEmulator.from_state(state)

    assert problem == str(caught.value)


CANARY = "cfut_canary"


@pytest.mark.parametrize(
    "state",
    [
        {CANARY: [A]},
        {"accounts": {CANARY: [A]}},
        {"accounts": {A: {CANARY: []}}},
        {"dns": {CANARY: A}},
        connector(**{CANARY: [A]}),
        connector(id=CANARY),
        connector(verification={CANARY: 1}),
        connector(verification={"status": CANARY}),
        connector(created_on=CANARY),
        {"tokens": {CANARY: A}},
        {"tokens": {A: [CANARY]}},
        {"tokens": {A: {CANARY: [A]}}},
        {"tokens": {A: {"accounts": [CANARY], "permission": "read"}}},
        {"tokens": {A: {"accounts": [A], "permission": CANARY}}},
        {"accounts": {A: {"connectors": [one | {"email_domain": CANARY} for one in TWO]}}},
    ],
)
def test_a_misplaced_token_is_not_shown(state: Any) -> None:
    """Wherever a token stands by mistake, the error is one line without it."""
    with pytest.raises(InvalidRequestError) as caught:
        CloudflareEmulator.from_state(state)

    assert CANARY not in str(caught.value)
    assert 1 == len(str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('{"dns": {}, "dns": {}}', "$.dns"),
        (f'{{"accounts": {{"{A}": {{}}, "{B}": {{}}, "{A}": {{}}}}}}', f"$.accounts.{A}"),
        (f'{{"accounts": {{"{CANARY}": {{}}, "{CANARY}": {{}}}}}}', "$.accounts[1]"),
        ('{"dns": {"a.example": [], "b.example": [], "b.example": []}}', "$.dns[2]"),
        (f'{{"tokens": {{"{CANARY}": [], "{CANARY}": []}}}}', "$.tokens[1]"),
        (f'{{"tokens": {{"x": {{"{CANARY}": 1, "{CANARY}": 2}}}}}}', "$.tokens[0][1]"),
        (
            '{"tokens": {"x": {"permission": "read", "permission": "write"}}}',
            "$.tokens[0].permission",
        ),
        (
            f'{{"accounts": {{"{A}": {{"connectors": [{{"id": "{C}", "id": "{D}"}}]}}}}}}',
            f"{PLACE}.id",
        ),
    ],
)
def test_a_name_stands_once_in_an_object(tmp_path: Path, content: str, place: str) -> None:
    """A repeated name is refused by its path, or by its position if it may be a token."""
    path = tmp_path / "cloud.json"
    path.write_text(content)

    with pytest.raises(InvalidRequestError) as caught:
        CloudflareEmulator.load(path)

    assert f"{path}: {place} is there already: names must be unique" == str(caught.value)


def test_the_name_of_a_file_is_shown_as_one_line(tmp_path: Path) -> None:
    """A NUL is the name's fault, not the content's; line ends are escaped."""
    for name, problem in (("a\0b", "a file's name has no NUL"), ("a\nb", "No such file")):
        with pytest.raises(InvalidRequestError, match=problem) as caught:
            CloudflareEmulator.load(f"{tmp_path}/{name}")
        assert f"{tmp_path}/{name.encode('unicode_escape').decode()}: " in str(caught.value)


def test_a_bad_file_is_named_too(tmp_path: Path) -> None:
    """Before the JSON path stands the file."""
    path = tmp_path / "cloud.json"
    path.write_text("[]")

    with pytest.raises(InvalidRequestError) as caught:
        CloudflareEmulator.load(path)

    assert f"{path}: $ must be an object" == str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    """So is what is no text at all, and what is nested too deeply."""
    path = tmp_path / "cloud.json"
    path.write_bytes(content)

    with pytest.raises(InvalidRequestError, match=r"cloud\.json: not JSON: ") as caught:
        CloudflareEmulator.load(path)

    assert 1 == len(str(caught.value).splitlines())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The system's own words say why."""
    path = tmp_path / "cloud.json"

    with pytest.raises(InvalidRequestError) as caught:
        CloudflareEmulator.load(path)

    assert f"{path}: No such file or directory" == str(caught.value)


def test_saving_is_private_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """The file replaces an open one, with mode 0600, through a symbolic link too."""
    path = tmp_path / "cloud.json"
    path.write_text("old")
    path.chmod(0o644)
    link = tmp_path / "link.json"
    link.symlink_to(path)

    CloudflareEmulator.from_state(FULL).save(link)

    assert link.is_symlink()
    assert FULL == json.loads(path.read_text())
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert {"cloud.json", "link.json"} == {entry.name for entry in tmp_path.iterdir()}


def test_a_save_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file stays, and the new one does not."""
    path = tmp_path / "cloud.json"
    path.write_text("old")

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        CloudflareEmulator().save(path)

    assert "old" == path.read_text()
    assert ["cloud.json"] == [entry.name for entry in tmp_path.iterdir()]


def test_the_state_is_a_copy(cloud: CloudflareEmulator) -> None:
    """Neither side sees what the other changes later."""
    cloud.dns["a.example"] = ["x"]
    state = cloud.to_state()
    cloud.dns["a.example"].append("y")

    assert {"a.example": ["x"]} == state["dns"]
