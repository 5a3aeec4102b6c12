"""
What a transport of your own must pass.

`TRANSPORT_CONTRACT` is a tuple of coroutine functions, free of any test framework.
Each takes a function that opens your transport to a `cfsso.CloudflareEmulator` and
raises `AssertionError` if the contract of `cfsso.Transport` does not hold::

    @pytest.mark.parametrize("check", TRANSPORT_CONTRACT, ids=lambda check: check.__name__)
    async def test_contract(check):
        await check(open_my_transport)
"""

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from cfsso.connectors import AsyncSSOConnectors
from cfsso.emulator import CloudflareEmulator
from cfsso.errors import APIResponseValidationError, InvalidRequestError, WriteState
from cfsso.transports.base import MAX_BODY, RateLimit, Request, Transport

__all__ = ["TRANSPORT_CONTRACT", "OpenTransport"]

OpenTransport: TypeAlias = Callable[[CloudflareEmulator], AbstractAsyncContextManager[Transport]]
"""Opens the transport under test to an emulator, and closes it."""


async def statuses_are_data(open_transport: OpenTransport) -> None:
    """An error status is returned like any other."""
    cloud = CloudflareEmulator(seed=1)
    async with open_transport(cloud) as transport:
        response = await transport.send(Request("GET", f"/accounts/{'f' * 32}/sso_connectors"))
    _expect(404, response.status, "the status")
    _expect(None, json.loads(response.body)["result"], "the result")


async def answers_are_complete(open_transport: OpenTransport) -> None:
    """A large body arrives whole, and headers are named in lower case, without cookies."""
    cloud, account, _ = _cloud(connectors=2000)
    async with open_transport(cloud) as transport:
        response = await transport.send(Request("GET", f"/accounts/{account}/sso_connectors"))
    _expect(200, response.status, "the status")
    _expect(2000, len(json.loads(response.body)["result"]), "the number of connectors")
    odd = [name for name in response.headers if name != name.lower() or name == "set-cookie"]
    _expect([], odd, "headers that should not be there")
    _expect(["cf-ray"], [name for name in response.headers if name == "cf-ray"], "a needed header")


async def bodies_arrive_as_they_are(open_transport: OpenTransport) -> None:
    """The bytes of a request's body are not changed, and it is sent once."""
    cloud, account, (connector_id,) = _cloud()
    body = b'{ "enabled" :\ttrue }'
    path = f"/accounts/{account}/sso_connectors/{connector_id}"
    async with open_transport(cloud) as transport:
        response = await transport.send(Request("PATCH", path, body))
    _expect(200, response.status, "the status")
    seen = [(entry.method, entry.path, entry.body) for entry in cloud.requests]
    _expect([("PATCH", path, body)], seen, "what arrived")


async def calls_may_overlap(open_transport: OpenTransport) -> None:
    """Of many calls at once each gets its own answer."""
    import asyncio

    cloud, account, ids = _cloud(connectors=50)
    async with open_transport(cloud) as transport:
        connectors = AsyncSSOConnectors(transport)
        found = await asyncio.gather(*(connectors.get(i, account_id=account) for i in ids))
    _expect(ids, [connector.id for connector in found], "the ids")


async def waits_are_answers(open_transport: OpenTransport) -> None:
    """A 429 is returned at once with its Retry-After, and nothing is sent again."""
    cloud, account, _ = _cloud(rate_limit=RateLimit(requests=1, seconds=300))
    request = Request("GET", f"/accounts/{account}/sso_connectors")
    async with open_transport(cloud) as transport:
        await transport.send(request)
        response = await transport.send(request)
    _expect(429, response.status, "the status")
    _expect("300", response.headers.get("retry-after"), "Retry-After")
    _expect(2, len(cloud.requests), "the number of requests")


async def large_answers_are_whole_or_refused(open_transport: OpenTransport) -> None:
    """More than `MAX_BODY` bytes may be refused; what is returned is all of them."""
    cloud, account, _ = _cloud(connectors=MAX_BODY // 300)
    request = Request("GET", f"/accounts/{account}/sso_connectors")
    async with open_transport(cloud) as transport:
        try:
            response = await transport.send(request)
        except APIResponseValidationError:
            return
    _expect(len(cloud.handle(request).body), len(response.body), "the length of a large body")


async def cancellation_passes(open_transport: OpenTransport) -> None:
    """A cancelled call ends as cancelled, and the next one works."""
    import asyncio

    cloud, account, _ = _cloud(latency=3600)
    request = Request("GET", f"/accounts/{account}/sso_connectors")
    async with open_transport(cloud) as transport:
        call = asyncio.ensure_future(transport.send(request))
        while not cloud.requests:  # noqa: ASYNC110 - an emulator has no event to wait for
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        if not call.cancelled():
            _fail("a cancelled call ended in another way")
        cloud.latency = 0.0
        _expect(200, (await transport.send(request)).status, "the next status")


async def closed_means_closed(open_transport: OpenTransport) -> None:
    """After `aclose`, which may be repeated, a call is refused and nothing is sent."""
    cloud, account, _ = _cloud()
    path = f"/accounts/{account}/sso_connectors"
    async with open_transport(cloud) as transport:
        await transport.aclose()
        await transport.aclose()
        for request, write in (
            (Request("GET", path), None),
            (Request("POST", path, b"{}"), WriteState.NOT_SENT),
        ):
            try:
                await transport.send(request)
            except InvalidRequestError as error:
                _expect(write, error.write, "write")
            else:
                _fail("a closed transport took a request")
    _expect(0, len(cloud.requests), "the number of requests")


TRANSPORT_CONTRACT: tuple[Callable[[OpenTransport], Awaitable[None]], ...] = (
    statuses_are_data,
    answers_are_complete,
    bodies_arrive_as_they_are,
    calls_may_overlap,
    waits_are_answers,
    large_answers_are_whole_or_refused,
    cancellation_passes,
    closed_means_closed,
)
"""All checks, in no particular order; none takes longer than a second or two."""


def _cloud(connectors: int = 1, **options: Any) -> tuple[CloudflareEmulator, str, list[str]]:
    """Return an emulator with one account, its id, and the ids of its connectors."""
    cloud = CloudflareEmulator(seed=1, **options)
    account = cloud.add_account()
    made = [
        cloud.add_connector(account, email_domain=f"d{n}.example", status="verified")
        for n in range(connectors)
    ]
    return cloud, account, [str(connector.id) for connector in made]


def _expect(expected: object, actual: object, what: str) -> None:
    if expected != actual:
        _fail(f"{what}: expected {expected!r}, not {actual!r:.200}")


def _fail(problem: str) -> None:
    # Not an assert statement: python -O must not turn the checks off.
    raise AssertionError(problem)
