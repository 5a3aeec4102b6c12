"""Whether a byte of a request left this machine: said by exceptions, deadlines and events alike."""

import asyncio
import concurrent.futures
import contextlib
import pathlib
import random
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from raw_sockets import http, raw_server, read_request, reset

import cfsso
from cfsso import EventKind, WriteState
from cfsso.transports._aiohttp_resolver import Resolver

ACCOUNT, CONNECTOR = "a" * 32, "c" * 32
ITEM = f"/accounts/{ACCOUNT}/sso_connectors/{CONNECTOR}"
PATCH = cfsso.Request("PATCH", ITEM, b'{"enabled":true}')
DELETE = cfsso.Request("DELETE", ITEM)
POST = cfsso.Request("POST", f"{ITEM}/begin_verification")
TOKEN = "a-token-" + "q7Zk" * 9
NOWHERE = "http://localhost:9"
WAYS = ["own connections", "own session", "session of the caller"]


@contextlib.asynccontextmanager
async def by(way: str, base_url: str, **options: Any) -> AsyncIterator[cfsso.AiohttpTransport]:
    """Yield a transport that sends by one of its ways."""
    async with contextlib.AsyncExitStack() as stack:
        if way == "own session":
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(aiohttp, "__version__", "0")
        if way == "session of the caller":
            options["session"] = await stack.enter_async_context(aiohttp.ClientSession())
        transport = cfsso.AiohttpTransport(TOKEN, base_url=base_url, **options)
        yield await stack.enter_async_context(contextlib.aclosing(transport))


class Watch:
    """Keeps the events of calls."""

    def __init__(self) -> None:
        self.events: list[cfsso.Event] = []

    def __call__(self, event: cfsso.Event) -> None:
        """Keep *event*."""
        self.events.append(event)

    @property
    def counts(self) -> tuple[int, int]:
        """The attempts and the writes of the call that has ended."""
        (end,) = (event for event in self.events if event.kind is EventKind.END)
        return end.attempts, end.writes


def replace_dns(monkeypatch: pytest.MonkeyPatch, find: Any) -> None:
    """Let *find* look names up, for sessions of ours and for those of the caller."""
    monkeypatch.setattr(Resolver, "resolve", find)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", find)


def hang_up_dns(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let looking up a name never end; return what is set when it begins."""
    begun = asyncio.Event()

    async def hang(*_args: object, **_options: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    replace_dns(monkeypatch, hang)
    return begun


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("operation", ["update", "delete", "begin_verification", "create"])
class TestConnecting:
    """A call that ends while a name is looked up has sent nothing."""

    @staticmethod
    async def call(connectors: cfsso.AsyncSSOConnectors, operation: str) -> object:
        """Run *operation*."""
        if operation == "update":
            return await connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True)
        if operation == "create":
            return await connectors.create(account_id=ACCOUNT, email_domain="d.example")
        return await getattr(connectors, operation)(CONNECTOR, account_id=ACCOUNT)

    async def test_deadline(
        self, monkeypatch: pytest.MonkeyPatch, way: str, operation: str
    ) -> None:
        """A deadline says so, at once, and counts one attempt and no write."""
        hang_up_dns(monkeypatch)
        watch = Watch()
        async with by(way, NOWHERE) as transport:
            stack = cfsso.RetryingTransport(cfsso.PacingTransport(transport))
            connectors = cfsso.AsyncSSOConnectors(stack, deadline=0.05, on_event=watch)
            with pytest.raises(cfsso.APITimeoutError) as caught:
                await self.call(connectors, operation)
        assert WriteState.NOT_SENT is caught.value.write
        assert (1, 0) == watch.counts

    async def test_cancellation(
        self, monkeypatch: pytest.MonkeyPatch, way: str, operation: str
    ) -> None:
        """A cancellation counts no write."""
        begun = hang_up_dns(monkeypatch)
        watch = Watch()
        async with by(way, NOWHERE) as transport:
            connectors = cfsso.AsyncSSOConnectors(transport, on_event=watch)
            task = asyncio.ensure_future(self.call(connectors, operation))
            await begun.wait()
            task.cancel()
            await asyncio.wait([task])
        assert (1, 0) == watch.counts


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("request_", [PATCH, DELETE, POST], ids=str)
class TestForeign:
    """What is neither aiohttp's nor the system's keeps a request here."""

    @staticmethod
    async def error(way: str, request: cfsso.Request, base_url: str = NOWHERE) -> cfsso.CfssoError:
        """Return the error that sending *request* ends in."""
        async with by(way, base_url) as transport:
            with pytest.raises(cfsso.APIConnectionError) as caught:
                await cfsso.RetryingTransport(transport).send(request)
        return caught.value

    async def test_shutdown(self, way: str, request_: cfsso.Request) -> None:
        """A loop that is shutting down may look up no name; the class and its words are told."""
        executor = concurrent.futures.ThreadPoolExecutor()
        asyncio.get_running_loop().set_default_executor(executor)
        executor.shutdown()
        error = await self.error(way, request_)
        if way == "session of the caller":
            said = "the request failed: RuntimeError: cannot schedule new futures after shutdown"
            assert f"{request_}: {said}" == str(error)
            assert error.retryable is False
        else:
            # Look-ups of ours need no executor.
            assert "can't connect" in str(error)
        assert WriteState.NOT_SENT is error.write

    async def test_guard(
        self, monkeypatch: pytest.MonkeyPatch, way: str, request_: cfsso.Request
    ) -> None:
        """A guard of a test suite that allows no socket is named."""

        class SocketBlockedError(RuntimeError):
            """As pytest-socket has it."""

        def guarded(*_args: object, **_options: object) -> None:
            msg = "A test tried to use socket.socket."
            raise SocketBlockedError(msg)

        async with by(way, "http://127.0.0.1:9") as transport:
            monkeypatch.setattr(socket, "socket", guarded)
            with pytest.raises(cfsso.APIConnectionError) as caught:
                await transport.send(request_)
            monkeypatch.undo()
        assert "SocketBlockedError: A test tried to use socket.socket." in str(caught.value)
        assert WriteState.NOT_SENT is caught.value.write

    async def test_text_that_is_no_words(
        self, monkeypatch: pytest.MonkeyPatch, way: str, request_: cfsso.Request
    ) -> None:
        """Of another exception the class is told, and nothing that may be a URL or a header."""

        async def fail(*_args: object, **_options: object) -> None:
            raise LookupError(f"https://user:word@host {TOKEN} Cookie: abc")

        replace_dns(monkeypatch, fail)
        error = await self.error(way, request_)
        assert f"{request_}: the request failed: LookupError" == str(error)
        assert WriteState.NOT_SENT is error.write


async def test_text_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that can't be shown is named all the same."""

    class OddError(Exception):
        def __str__(self) -> str:
            raise LookupError

    async def fail(*_args: object, **_options: object) -> None:
        raise OddError

    replace_dns(monkeypatch, fail)
    async with by(WAYS[0], NOWHERE) as transport:
        with pytest.raises(cfsso.APIConnectionError, match="the request failed: OddError"):
            await transport.send(PATCH)


async def test_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """A session that reads credentials from netrc is named, and nothing is sent."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with (
        aiohttp.ClientSession(trust_env=True) as session,
        by("own connections", NOWHERE, session=session) as transport,
    ):
        with pytest.raises(cfsso.APIConnectionError, match="without trust_env") as caught:
            await transport.send(PATCH)
    assert (WriteState.NOT_SENT, False) == (caught.value.write, caught.value.retryable)


@pytest.mark.parametrize("request_", [PATCH, DELETE, POST], ids=str)
@pytest.mark.parametrize("sends", [False, True])
async def test_middleware(request_: cfsso.Request, *, sends: bool) -> None:
    """A middleware of the caller's that fails says nothing was sent, unless it passed it on."""
    seen = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_request(reader))
            writer.write(http(b"{}"))

    async def fail(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # What it sends itself is not the request.
        async with request.session.get(request.url / "token", middlewares=()):
            pass
        if sends:
            (await handler(request)).close()
        raise LookupError

    async with (
        raw_server(serve) as url,
        aiohttp.ClientSession(middlewares=(fail,)) as session,
        by("own connections", url, session=session) as transport,
    ):
        with pytest.raises(cfsso.APIConnectionError, match="LookupError") as caught:
            await transport.send(request_)
    assert (WriteState.UNKNOWN if sends else WriteState.NOT_SENT) is caught.value.write
    assert 1 + sends == len(seen)


async def test_middleware_that_answers_itself() -> None:
    """An answer that a middleware has from elsewhere is one, though nothing was sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http(b"{}"))

    async def answer(
        request: aiohttp.ClientRequest, _handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        return await request.session.get(request.url / "kept", middlewares=())

    async with (
        raw_server(serve) as url,
        aiohttp.ClientSession(middlewares=(answer,)) as session,
        by("own connections", url, session=session) as transport,
    ):
        assert b"{}" == (await transport.send(DELETE)).body


@pytest.mark.parametrize("seconds", [0.2, 30.0])
async def test_proxy_that_never_connects(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """A proxy that does not answer has passed on nothing, however the time was divided."""
    if seconds > 1:
        monkeypatch.setattr("cfsso.transports.aiohttp._CONNECT_SECONDS", 0.2)

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(serve) as proxy:
        transport = cfsso.AiohttpTransport(
            TOKEN, base_url="https://localhost:9", proxy=proxy, timeout=seconds
        )
        async with contextlib.aclosing(transport):
            with pytest.raises(cfsso.APITimeoutError, match="no connection in time") as caught:
                await transport.send(PATCH)
    assert (WriteState.NOT_SENT, "connect") == (caught.value.write, caught.value.reason)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("request_", [PATCH, DELETE, POST], ids=str)
@pytest.mark.parametrize("seed", range(20))
async def test_what_arrived_was_never_unsent(way: str, request_: cfsso.Request, seed: int) -> None:
    """Whenever a request is cut off, and by whom: what a server has a byte of is not unsent."""
    chance = random.Random(seed)  # noqa: S311 - for repetition
    arrived = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if chance.random() < 0.2:
            reset(writer)
            return
        arrived.extend(await reader.read(chance.choice([1, 100, 65536])))
        if chance.random() < 0.5:
            await asyncio.sleep(chance.choice([0, 0.001, 0.01]))
            writer.write(http(b"{}")[: chance.choice([0, 10, 99])])
        if chance.random() < 0.5:
            reset(writer)
        else:
            await reader.read()

    watch = Watch()
    async with raw_server(serve) as url, by(way, url, timeout=0.05) as transport:
        for _ in range(5):
            arrived.clear()
            watch.events.clear()
            deadline = chance.choice([0.0, 0.0005, 0.002, 0.02, None])
            call = cfsso.AsyncSSOConnectors(transport, deadline=deadline, on_event=watch)._call(
                "test", ACCOUNT
            )
            call.request, call.held = request_, False
            task = asyncio.ensure_future(call.run(transport.send(request_)))
            if chance.random() < 0.5:
                for _ in range(chance.randrange(1, 30)):
                    await asyncio.sleep(0)
                task.cancel()
            await asyncio.wait([task])
            # What is on its way arrives.
            await asyncio.sleep(0.01)
            error = None if task.cancelled() else task.exception()
            if arrived and isinstance(error, cfsso.CfssoError):
                assert WriteState.NOT_SENT is not error.write
            if arrived and (task.cancelled() or isinstance(error, cfsso.APITimeoutError)):
                assert call.may_have_left


async def test_fallback() -> None:
    """What one transport could not send, and another may have, is not said to be unsent."""

    class Silent:
        """A transport of somebody else's that tells nothing."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            with contextlib.suppress(cfsso.APIConnectionError):
                await transport.send(request)
            await asyncio.Event().wait()
            raise AssertionError

        async def aclose(self) -> None:
            """Nothing to close."""

    watch = Watch()
    async with by("own connections", "http://127.0.0.1:9") as transport:
        connectors = cfsso.AsyncSSOConnectors(Silent(), deadline=0.1, on_event=watch)
        with pytest.raises(cfsso.APITimeoutError) as caught:
            await connectors.delete(CONNECTOR, account_id=ACCOUNT)
    assert WriteState.UNKNOWN is caught.value.write
    assert (1, 1) == watch.counts


async def test_another_try_by_somebody_else() -> None:
    """What left once stays so, while a wrapper connects to send it again."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)

    class Again:
        """A transport of somebody else's that sends writes again."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            with contextlib.suppress(cfsso.APIConnectionError):
                await transport.send(request)
            with pytest.MonkeyPatch.context() as patch:
                hang_up_dns(patch)
                return await other.send(request)

        async def aclose(self) -> None:
            """Nothing to close."""

    async with (
        raw_server(serve) as url,
        by(WAYS[0], url) as transport,
        by(WAYS[0], NOWHERE) as other,
    ):
        connectors = cfsso.AsyncSSOConnectors(Again(), deadline=0.3)
        with pytest.raises(cfsso.APITimeoutError) as caught:
            await connectors.delete(CONNECTOR, account_id=ACCOUNT)
    assert (WriteState.UNKNOWN, 1) == (caught.value.write, connections)


async def test_a_connection_that_fails_costs_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting that fails is an attempt like any other: retries of it are bounded."""
    monkeypatch.setattr("cfsso.transports.retrying._FIRST_PAUSE", 0.0)
    watch = Watch()
    async with by("own connections", "http://127.0.0.1:9") as transport:
        stack = cfsso.RetryingTransport(cfsso.PacingTransport(transport))
        connectors = cfsso.AsyncSSOConnectors(stack, on_event=watch)
        counts = []
        for _ in range(6):
            watch.events.clear()
            with pytest.raises(cfsso.APIConnectionError) as caught:
                await connectors.delete(CONNECTOR, account_id=ACCOUNT)
            assert (WriteState.NOT_SENT, "connect") == (caught.value.write, caught.value.reason)
            counts.append(watch.counts)
    assert (5, 0) == counts[0]
    assert [(1, 0)] * 3 == counts[3:]
