"""The emulator's answer to whoever asks for the state of a token."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from cfsso import InvalidRequestError
from cfsso.emulator import CloudflareEmulator

Call = Callable[..., tuple[int, Any]]

USER = "/user/tokens/verify"


@pytest.fixture
def own(account: str) -> str:
    """Give the path on which an account verifies a token."""
    return f"/accounts/{account}/tokens/verify"


def bearer(token: str) -> dict[str, str]:
    """Return the headers of a client with that token."""
    return {"authorization": f"Bearer {token}"}


def codes(answer: tuple[int, Any]) -> tuple[int, list[int]]:
    """Return the status and the codes of a refusal."""
    status, envelope = answer
    return status, [item["code"] for item in envelope["errors"]]


@pytest.mark.parametrize("headers", [None, bearer("any")])
def test_without_issued_tokens_all_are_active(call: Call, own: str, headers: Any) -> None:
    """Every token is active and has no end; so is whoever needs none."""
    for path in (own, USER):
        status, envelope = call("GET", path, headers=headers)

        assert (200, "active", None) == (
            status,
            envelope["result"]["status"],
            envelope["result"].get("expires_on"),
        )
        assert 32 == len(envelope["result"]["id"])


def test_an_issued_token_has_its_end(
    cloud: CloudflareEmulator, account: str, call: Call, own: str
) -> None:
    """The end is shown as it was given, in UTC; the token and its id differ."""
    ends = dt.datetime(2150, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    cloud.add_token("canary", [account], expires_on=ends)

    _, envelope = call("GET", own, headers=bearer("canary"))

    assert ("active", "2150-01-01T00:00:00Z") == (
        envelope["result"]["status"],
        envelope["result"]["expires_on"],
    )
    assert "canary" not in str(envelope)


@pytest.mark.parametrize("status", ["disabled", "expired"])
def test_a_token_that_is_dead_serves_nothing_but_its_state(
    cloud: CloudflareEmulator, account: str, call: Call, own: str, connectors: str, status: str
) -> None:
    """It is refused everywhere else as if it were unknown."""
    cloud.add_token("dead", [account], status=status)

    assert status == call("GET", own, headers=bearer("dead"))[1]["result"]["status"]
    assert (401, [10000]) == codes(call("GET", connectors, headers=bearer("dead")))


def test_a_token_expires_by_the_emulator_s_clock(
    cloud: CloudflareEmulator, account: str, call: Call, own: str, connectors: str
) -> None:
    """It serves until its end, and not from then on."""
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=10)
    cloud.add_token("ending", [account], expires_on=ends)

    assert 200 == call("GET", connectors, headers=bearer("ending"))[0]
    cloud.advance(10 * 24 * 3600 + 60)

    assert (401, [10000]) == codes(call("GET", connectors, headers=bearer("ending")))
    assert "expired" == call("GET", own, headers=bearer("ending"))[1]["result"]["status"]


def test_each_owner_knows_its_own_tokens(
    cloud: CloudflareEmulator, account: str, call: Call, own: str
) -> None:
    """By their prefix, tokens of accounts and of users are told apart; others are both."""
    for token in ("cfat_1", "cfut_1", "older"):
        cloud.add_token(token, [account])

    assert [200, 401] == [call("GET", path, headers=bearer("cfat_1"))[0] for path in (own, USER)]
    assert [401, 200] == [call("GET", path, headers=bearer("cfut_1"))[0] for path in (own, USER)]
    assert [200, 200] == [call("GET", path, headers=bearer("older"))[0] for path in (own, USER)]


def test_what_is_refused(cloud: CloudflareEmulator, account: str, call: Call, own: str) -> None:
    """Unknown tokens, other accounts, other methods, and accounts that there are not."""
    other = cloud.add_account()
    assert (404, [7003, 7000]) == codes(call("GET", f"/accounts/{'0' * 32}/tokens/verify"))
    cloud.add_token("mine", [account])

    assert (401, [1000]) == codes(call("GET", own, headers=bearer("unknown")))
    assert (403, [10000]) == codes(
        call("GET", f"/accounts/{other}/tokens/verify", headers=bearer("mine"))
    )
    assert (405, [10405]) == codes(call("POST", own, headers=bearer("mine")))
    assert (404, [7003, 7000]) == codes(call("GET", f"{own}/more", headers=bearer("mine")))
    assert (400, [9106]) == codes(call("GET", own, headers={}))


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ("expires_on must be an aware time", {"expires_on": dt.datetime(2030, 1, 1)}),  # noqa: DTZ001
        ("expires_on must be an aware time", {"expires_on": "2030-01-01T00:00:00Z"}),
        ("status must be one of active, disabled, expired", {"status": "unknown"}),
        ("status must be one of active, disabled, expired", {"status": ["active"]}),
    ],
)
def test_what_no_token_can_have(
    cloud: CloudflareEmulator, account: str, said: str, options: dict[str, Any]
) -> None:
    """A token that can't be is not issued."""
    with pytest.raises(InvalidRequestError, match=said):
        cloud.add_token("canary", [account], **options)

    assert {} == cloud.tokens


def test_the_state_keeps_tokens_and_accounts_only(cloud: CloudflareEmulator, account: str) -> None:
    """The format of the state file stays as it is."""
    cloud.add_token("canary", [account], expires_on=dt.datetime.now(dt.UTC), status="disabled")

    assert {"canary": [account]} == cloud.to_state()["tokens"]
