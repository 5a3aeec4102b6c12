"""Whether a token works: its account is asked first, then the user, where that is sound."""

import datetime as dt
from typing import Any

import pytest
from scripted import ACCOUNT, OTHER, Scripted, failure, success

import cfsso
from cfsso.transports.credentials import Credentials

pytestmark = pytest.mark.virtual_time

INVALID = failure(401, {"code": 1000, "message": "Invalid API Token"})
ACTIVE = success({"id": "ed17574386854bf78a67040be0a770b0", "status": "active"})
OWN = f"GET /accounts/{ACCOUNT}/tokens/verify"
USER = "GET /user/tokens/verify"


def over(transport: cfsso.Transport, tokens: Any = None) -> cfsso.AsyncSSOConnectors:
    """Return connectors that know which account has which of *tokens*."""
    fingerprint = None if tokens is None else Credentials(tokens).fingerprint
    return cfsso.AsyncSSOConnectors(transport, fingerprint=fingerprint)


async def test_what_the_answer_says() -> None:
    """All that the answer has is there, and nothing of the token itself."""
    answer = success(
        {
            "id": "ed17574386854bf78a67040be0a770b0",
            "status": "active",
            "expires_on": "2030-01-01T00:00:00Z",
            "not_before": "2020-07-01T05:20:00Z",
            "more": 1,
        }
    )

    found = await over(Scripted(answer)).verify_token(account_id=ACCOUNT)

    assert (
        cfsso.TokenInfo(
            id="ed17574386854bf78a67040be0a770b0",
            status=cfsso.TokenStatus.ACTIVE,
            raw_status="active",
            expires_on=dt.datetime(2030, 1, 1, tzinfo=dt.UTC),
            not_before=dt.datetime(2020, 7, 1, 5, 20, tzinfo=dt.UTC),
            extra={"more": 1},
        )
        == found
    )


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (cfsso.TokenStatus.DISABLED, "disabled"),
        (cfsso.TokenStatus.EXPIRED, "expired"),
        (cfsso.TokenStatus.UNKNOWN, "paused"),
        (None, None),
    ],
)
async def test_statuses(status: cfsso.TokenStatus | None, raw: str | None) -> None:
    """A status of the future keeps its text; none is none."""
    found = await over(Scripted(success({"status": raw}))).verify_token(account_id=ACCOUNT)

    assert (status, raw) == (found.status, found.raw_status)


@pytest.mark.parametrize("refusal", [INVALID, failure(400), failure(403), failure(404)])
async def test_what_the_account_refuses_may_be_a_user_s(refusal: cfsso.Response) -> None:
    """With one token for all accounts the user is asked too."""
    transport = Scripted(refusal, ACTIVE)

    found = await over(transport, "a-token").verify_token(account_id=ACCOUNT)

    assert cfsso.TokenStatus.ACTIVE is found.status
    assert [OWN, USER] == transport.seen


@pytest.mark.parametrize(
    "tokens",
    [None, {ACCOUNT: "a-token"}, {ACCOUNT: "a-token", "": "another"}, lambda _: None],
    ids=["not known", "of one account", "another of none", "none at all"],
)
async def test_no_other_token_is_asked_about(tokens: Any) -> None:
    """Where the user's request might carry another token it is not sent."""
    transport = Scripted(INVALID, ACTIVE)

    with pytest.raises(cfsso.AuthenticationError):
        await over(transport, tokens).verify_token(account_id=ACCOUNT)

    assert [OWN] == transport.seen


async def test_what_both_refuse_is_told_as_the_account_did() -> None:
    """The refusal of the account counts."""
    transport = Scripted(INVALID, failure(403))

    with pytest.raises(cfsso.AuthenticationError, match=r"Invalid API Token") as caught:
        await over(transport, "a-token").verify_token(account_id=ACCOUNT)

    assert OWN in str(caught.value)
    assert caught.value.write is None
    assert [OWN, USER] == transport.seen


@pytest.mark.parametrize("result", [None, [], "active", {"status": 7}, {"expires_on": "soon"}])
async def test_an_unreadable_answer_is_refused(result: Any) -> None:
    """What is no token's state is no answer."""
    transport = Scripted(success(result))

    with pytest.raises(cfsso.APIResponseValidationError, match=r"at \$\.result"):
        await over(transport, "a-token").verify_token(account_id=ACCOUNT)

    assert [OWN] == transport.seen


async def test_a_bad_id_is_refused_before_anything_is_sent() -> None:
    """As by every other operation."""
    transport = Scripted(ACTIVE)

    with pytest.raises(cfsso.InvalidRequestError, match="account_id"):
        await over(transport).verify_token(account_id="../user")

    assert [] == transport.requests


async def test_whoever_watches_hears_of_one_call() -> None:
    """Both requests belong to one call, under the name of the method."""
    events: list[cfsso.Event] = []
    connectors = over(Scripted(INVALID, ACTIVE), "a-token").with_options(on_event=events.append)

    await connectors.verify_token(account_id=OTHER)

    assert [("verify_token", OTHER, 2)] == [
        (event.operation, event.account_id, event.attempts)
        for event in events
        if event.kind is cfsso.EventKind.END
    ]
