"""A transport that another event loop closes than the one that used it."""

import asyncio
import gc
import os
import ssl
import threading
import warnings
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
import trustme
from raw_sockets import http, raw_server, read_request

import cfsso
from cfsso.transports import _closing

REQUESTS = [cfsso.Request("GET", f"/accounts/{'a' * 32}/sso_connectors/{c * 32}") for c in "abc"]


class Thread:
    """An event loop that runs in a thread of its own, and goes on until the end."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what *work* returns there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def end(self) -> None:
        """Stop and close the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture(params=["http", "https"])
def server(
    request: pytest.FixtureRequest, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Yield the base URL of a server in another thread, which keeps its connections."""
    context = None
    if request.param == "https":
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(http(b"{}"))

    thread = Thread()
    serving = raw_server(serve, context)
    yield thread.run(serving.__aenter__())
    thread.run(serving.__aexit__(None, None, None))
    thread.end()


def sockets() -> set[str]:
    """Return the sockets that this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            found.add(os.readlink(f"/proc/self/fd/{name}"))  # noqa: PTH115
        except OSError:
            continue
    return {target for target in found if target.startswith("socket:")}


async def use(transport: cfsso.AiohttpTransport) -> None:
    """Leave connections behind that are kept."""
    await asyncio.gather(*map(transport.send, REQUESTS))


pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of open files")  # noqa: PTH112


def closed_ends(before: set[str]) -> bool:
    """Whether all that was opened since is closed, on either end."""
    for _ in range(200):
        if sockets() <= before:
            return True
        threading.Event().wait(0.01)
    return False


def test_a_closed_loop(server: str) -> None:
    """After its loop was closed, its sockets are closed, and nothing warns."""
    transport = cfsso.AiohttpTransport("a-token", base_url=server)
    before = sockets()
    asyncio.run(use(transport))
    assert sockets() > before

    asyncio.run(transport.aclose())
    assert closed_ends(before)
    asyncio.run(transport.aclose())
    gc.collect()


def test_a_loop_in_another_thread(server: str) -> None:
    """A loop that runs elsewhere closes them itself."""
    transport = cfsso.AiohttpTransport("a-token", base_url=server)
    thread = Thread()
    before = sockets()
    thread.run(use(transport))
    try:
        asyncio.run(transport.aclose())
        assert closed_ends(before)
    finally:
        thread.end()


def test_a_loop_in_another_thread_that_is_busy(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that does not come to it is named in our own error, and closes them later."""
    monkeypatch.setattr(_closing, "_PATIENCE", 0.05)
    transport = cfsso.AiohttpTransport("a-token", base_url=server)
    thread, go, blocked = Thread(), threading.Event(), threading.Event()
    before = sockets()
    thread.run(use(transport))

    def block() -> None:
        blocked.set()
        go.wait(30)

    try:
        thread.loop.call_soon_threadsafe(block)
        blocked.wait(30)
        with pytest.raises(cfsso.InvalidRequestError, match="another thread"):
            asyncio.run(transport.aclose())
        go.set()
        assert closed_ends(before)
    finally:
        go.set()
        thread.end()


@pytest.mark.parametrize("busy", [False, True])
def test_a_loop_that_does_not_run(server: str, *, busy: bool) -> None:
    """A loop between two turns closes them, unless it has other work, and says so then."""
    transport = cfsso.AiohttpTransport("a-token", base_url=server)
    loop = asyncio.new_event_loop()
    before = sockets()
    loop.run_until_complete(use(transport))
    opened = len(sockets() - before)
    task = loop.create_task(asyncio.sleep(3600)) if busy else None
    if task is None:
        asyncio.run(transport.aclose())
    else:
        with pytest.raises(cfsso.InvalidRequestError, match="run_until_complete"):
            asyncio.run(transport.aclose())
        assert opened == len(sockets() - before)
        task.cancel()
        loop.run_until_complete(asyncio.wait([task]))
        loop.run_until_complete(transport.aclose())
    with warnings.catch_warnings(action="error"):
        loop.close()
    assert closed_ends(before)


def test_a_session_of_the_caller() -> None:
    """A session of the caller's is left alone, whatever loop asks."""
    transports = []

    async def make() -> None:
        import aiohttp

        async with aiohttp.ClientSession() as session:
            transports.append(cfsso.AiohttpTransport("a-token", session=session))

    asyncio.run(make())
    asyncio.run(transports[0].aclose())
    with pytest.raises(cfsso.InvalidRequestError, match="closed"):
        asyncio.run(transports[0].send(REQUESTS[0]))


class Changing:
    """A loop that goes on, or is closed, in the very moment in which it is asked."""

    def __init__(self, *, running: bool, closed: bool) -> None:
        self.running = running
        self.closed = False
        self._closes = closed

    def is_running(self) -> bool:
        """Return what was so a moment ago."""
        return self.running

    def is_closed(self) -> bool:
        """Return whether it was closed."""
        return self.closed

    def refuse(self, *_args: object, **_options: object) -> None:
        """Refuse to do anything."""
        self.closed = self._closes
        raise RuntimeError

    run_until_complete = call_soon_threadsafe = refuse


@pytest.mark.parametrize(
    ("running", "closed", "dropped"), [(True, True, 1), (False, True, 1), (False, False, 0)]
)
async def test_a_loop_that_changes(*, running: bool, closed: bool, dropped: int) -> None:
    """Whatever a loop does meanwhile, all is let go of, or it is said that it is not."""
    loop: Any = Changing(running=running, closed=closed)
    drops: list[int] = []

    async def close() -> None:
        raise AssertionError

    closing = _closing.close_on(loop, close, lambda: drops.append(1))
    if dropped:
        await closing
    else:
        with pytest.raises(cfsso.InvalidRequestError, match="run_until_complete"):
            await closing
    assert dropped == len(drops)


async def test_what_was_closed_in_the_same_moment() -> None:
    """Whoever comes too late, since another loop has closed it meanwhile, finds nothing to do."""
    transport = cfsso.AiohttpTransport("a-token")
    await transport.aclose()

    await transport._close()
    transport._drop()

    with pytest.raises(cfsso.InvalidRequestError, match="closed"):
        await transport.send(cfsso.Request("GET", "/accounts"))
