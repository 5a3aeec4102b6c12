"""What a request costs, counted in calls: the size of the fleet is no part of it."""

import gc
import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest

from cfsso.emulator import CloudflareEmulator
from cfsso.transports.base import Request
from cfsso.transports.memory import InMemoryTransport

TOKEN = "a-token"


def fleet(accounts: int, connectors: int) -> tuple[CloudflareEmulator, str]:
    """Return an emulator with that many of each, and the path of the last connector."""
    cloud = CloudflareEmulator(rate_limit=None)
    path = ""
    for number in range(accounts):
        account = cloud.add_account()
        for place in range(connectors):
            domain = f"{place}.a{number}.example"
            made = cloud.add_connector(account, email_domain=domain, status="verified")
            path = f"/accounts/{account}/sso_connectors/{made.id}"
    # To the middle of a second, since the first request of each has a date to make.
    now = cloud.connectors(cloud.accounts[-1])[-1].created_on
    assert now is not None
    cloud.advance(1.5 - now.microsecond / 1e6)
    cloud.add_token(TOKEN, cloud.accounts)
    return cloud, path


def sent(transport: InMemoryTransport, request: Request) -> int:
    """Return the status of the answer."""
    sending = transport.send(request)
    sending.send(None)
    with pytest.raises(StopIteration) as done:
        sending.send(None)
    return int(done.value.value.status)


def calls(transport: InMemoryTransport, request: Request) -> Counter[str]:
    """Return how often each kind of thing was called, in Python and in C."""
    counted: Counter[str] = Counter()

    def count(_frame: FrameType, event: str, _function: Any) -> None:
        counted[event] += 1

    # A collection calls what others have hung into it.
    gc.disable()
    sys.setprofile(count)
    try:
        status = sent(transport, request)
    finally:
        sys.setprofile(None)
        gc.enable()
    assert 200 == status
    return counted


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize(("method", "body"), [("PATCH", b'{"enabled": false}'), ("GET", None)])
@pytest.mark.parametrize(("accounts", "connectors"), [(1, 10_000), (100, 100)])
def test_a_request_costs_the_same_in_any_fleet(
    accounts: int, connectors: int, method: str, body: bytes | None, token: str | None
) -> None:
    """With one connector and with 10,000, a PATCH and a GET make the same number of calls."""
    counted: list[Counter[str]] = []
    for size in ((1, 1), (accounts, connectors)):
        cloud, path = fleet(*size)
        transport = InMemoryTransport(cloud, api_token=token)
        assert 200 == sent(transport, Request("PATCH", path, b'{"enabled": true}'))
        counted.append(calls(transport, Request(method, path, body)))

    assert counted[0] == counted[1]
    assert 0 < counted[0]["call"] < 100
