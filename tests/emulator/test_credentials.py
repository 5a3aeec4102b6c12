from collections.abc import Callable
from typing import Any

import pytest

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
