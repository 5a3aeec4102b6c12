"""A server that says on which of its connections each request came, and a clock to stop."""

import asyncio
import contextlib
import gc
import os
import ssl
import traceback
import types
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from raw_sockets import http, raw_server

import cfsso
from cfsso.transports.credentials import Credentials, Secret

TOKEN = "a-token-" + "q7Zk" * 9
ONE, TWO, THREE, FOUR = (letter * 32 for letter in "abcd")
OK = http(b"{}")
REFUSAL = http(b'{"success": false}', status="403 Forbidden")


def item(connector: str, account: str = "1" * 32) -> str:
    return f"/accounts/{account}/sso_connectors/{connector}"


def get(connector: str) -> cfsso.Request:
    return cfsso.Request("GET", item(connector))


def patch(connector: str) -> cfsso.Request:
    return cfsso.Request("PATCH", item(connector), b'{"enabled":true}')


LIST = cfsso.Request("GET", item("")[:-1])


class Lines:
    """
    Gives one answer after the other, whichever connection is asked; the last for ever.

    Attributes:
        used: For each request the number of its connection, from 0.
        heads: The head of each request.
        bodies: The body of each request.
        writers: What answers on each connection.
        ended: For each connection whether the client has closed it.
        asked: Set when a request has come; whoever waits for the next clears it.
    """

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers or [OK])
        self.used: list[int] = []
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.ended: list[asyncio.Event] = []
        self.asked = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client closes it."""
        number = len(self.writers)
        self.writers.append(writer)
        self.ended.append(asyncio.Event())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                _, length, rest = head.partition("Content-Length: ")
                body = await reader.readexactly(int(rest.split()[0]) if length else 0)
                self.heads.append(head)
                self.bodies.append(body)
                self.used.append(number)
                writer.write(self._answers[0] if len(self._answers) == 1 else self._answers.pop(0))
                self.asked.set()
        self.ended[number].set()

    def write_at_once(self, number: int, data: bytes) -> None:
        """Put *data* into a connection before the event loop does anything else."""
        assert len(data) == os.write(self.writers[number].get_extra_info("socket").fileno(), data)


@contextlib.asynccontextmanager
async def lines(
    *answers: bytes, context: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[tuple[Lines, cfsso.AiohttpTransport]]:
    """Yield a server that gives *answers*, over TLS if there is a *context*, and a transport."""
    served = Lines(*answers)
    async with raw_server(served, context) as url:
        transport = cfsso.AiohttpTransport(TOKEN, base_url=url, **options)
        async with contextlib.aclosing(transport):
            yield served, transport


class Clock:
    """The running loop's time, which goes on when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: self._now)

    def skip(self, seconds: float) -> None:
        """Let time pass, and nothing happen yet."""
        self._now += seconds

    async def advance(self, seconds: float) -> None:
        """Let time pass, and what was due happen."""
        self.skip(seconds)
        await turns()


async def turns(number: int = 20) -> None:
    """Let the event loop do what it can do at once, loopback included."""
    for _ in range(number):
        await asyncio.sleep(0)


def timers() -> list[asyncio.TimerHandle]:
    """Return what the running loop will call later."""
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined] # nothing public names them
    return [timer for timer in scheduled if not timer.cancelled()]


def holds_token(error: BaseException) -> bool:
    """Whether a frame of ours that *error* came through, or the error, leads to the token."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in shown.stack if "/tests/" not in frame.filename]
    return any(
        TOKEN in text for text in [repr(error), *(str(f.locals) for f in ours), *_texts(error)]
    )


def _texts(error: BaseException) -> Iterator[str]:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [f for f in frames if f.f_globals.get("__name__", "").startswith("cfsso")]
    # What is there to hide it, and what leads to all that runs.
    left_out = (
        *(Secret, Credentials, cfsso.AiohttpTransport, aiohttp.ClientSession, type),
        *(types.ModuleType, types.FunctionType, types.FrameType, types.TracebackType),
        *(asyncio.AbstractEventLoop, asyncio.Task),
    )
    waiting: list[Any] = [error, *(v for f in ours for n, v in f.f_locals.items() if n != "self")]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, left_out):
            continue
        seen.add(id(found))
        if isinstance(found, str | bytes):
            yield found if isinstance(found, str) else found.decode("latin-1")
        waiting += gc.get_referents(found)
