"""Every transport passes the contract that users run on theirs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

import cfsso
from cfsso.emulator.http import serving
from cfsso.testing import TRANSPORT_CONTRACT, FaultyTransport, OpenTransport
from cfsso.testing.contract import closed_means_closed

Check = Callable[[OpenTransport], Awaitable[None]]


@asynccontextmanager
async def in_memory(cloud: cfsso.CloudflareEmulator) -> AsyncIterator[cfsso.Transport]:
    transport = cfsso.InMemoryTransport(cloud)
    yield transport
    await transport.aclose()


@asynccontextmanager
async def over_http(cloud: cfsso.CloudflareEmulator) -> AsyncIterator[cfsso.Transport]:
    async with serving(cloud) as base_url:
        transport = cfsso.AiohttpTransport("contract-token", base_url=base_url)
        yield transport
        await transport.aclose()


@asynccontextmanager
async def without_faults(cloud: cfsso.CloudflareEmulator) -> AsyncIterator[cfsso.Transport]:
    transport = FaultyTransport(cfsso.InMemoryTransport(cloud))
    yield transport
    await transport.aclose()


@pytest.mark.parametrize("open_transport", [in_memory, over_http, without_faults])
@pytest.mark.parametrize("check", TRANSPORT_CONTRACT, ids=lambda check: check.__name__)
async def test_contract(check: Check, open_transport: OpenTransport) -> None:
    """Each transport of the package passes each check."""
    await check(open_transport)


class Flawed:
    """A transport that breaks the contract in the one way that a check is there for."""

    def __init__(self, cloud: cfsso.CloudflareEmulator, flaw: str) -> None:
        self._cloud = cloud
        self._flaw = flaw
        self._transport = cfsso.InMemoryTransport(cloud)
        self._first: cfsso.Response | None = None

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        match self._flaw:
            case "bodies_arrive_as_they_are":
                request = cfsso.Request(request.method, request.path, b'{"enabled":true}')
            case "waits_are_answers":
                self._cloud.handle(request)
            case "closed_means_closed":
                return self._cloud.handle(request)
            case "large_answers_are_whole_or_refused":
                return cfsso.Response(200, {}, b'{"success": true, "result": []}')
        try:
            response = await self._transport.send(request)
        except asyncio.CancelledError:
            return cfsso.Response(499, {}, b"")
        self._first = self._first or response
        match self._flaw:
            case "statuses_are_data":
                raise cfsso.APIConnectionError("404")
            case "answers_are_complete":
                return cfsso.Response(200, {"Set-Cookie": "a"}, response.body)
            case "calls_may_overlap":
                return self._first
        return response

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("check", TRANSPORT_CONTRACT, ids=lambda check: check.__name__)
async def test_contract_notices(check: Check) -> None:
    """Each check fails for a transport with just the flaw that it is there for."""

    @asynccontextmanager
    async def open_transport(cloud: cfsso.CloudflareEmulator) -> AsyncIterator[cfsso.Transport]:
        yield Flawed(cloud, check.__name__)

    with pytest.raises((AssertionError, cfsso.CfssoError)):
        await check(open_transport)


async def test_contract_notices_a_closed_transport_that_calls_it_a_read() -> None:
    """A refused write that does not say that nothing was sent fails the contract."""

    class Forgetful(cfsso.InMemoryTransport):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            raise cfsso.InvalidRequestError(f"{request}: closed")

    @asynccontextmanager
    async def open_transport(cloud: cfsso.CloudflareEmulator) -> AsyncIterator[cfsso.Transport]:
        yield Forgetful(cloud)

    with pytest.raises(AssertionError, match="write"):
        await closed_means_closed(open_transport)
