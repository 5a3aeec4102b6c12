"""The floor: bytes made beforehand, and the end of the answer by Content-Length."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias
from urllib.parse import urlsplit

from bench_world import BODY, TARGETS, TOKEN, BenchError, Target, path

Toggle: TypeAlias = Callable[[Target], Awaitable[None]]


class _Connection(asyncio.Protocol):
    """A connection that carries one request at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[bytes] | None = None
        self._got = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or BenchError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        got = self._got = self._got + data if self._got else data
        end = got.find(b"\r\n\r\n")
        if end < 0:
            return
        start = got.find(b"Content-Length: ", 0, end) + 16
        if start < 16:
            raise BenchError("the answer has no Content-Length")
        if len(got) >= end + 4 + int(got[start : got.index(b"\r", start)]):
            self._got = b""
            assert self._answer is not None
            self._answer.set_result(got)

    def send(self, request: bytes) -> asyncio.Future[bytes]:
        """Return what is going to be the whole answer."""
        self._answer = self._loop.create_future()
        self.transport.write(request)
        return self._answer


def _request(prefix: str, host: str, target: Target) -> bytes:
    return (
        f"PATCH {prefix}{path(target)} HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY


@asynccontextmanager
async def floor(base: str, in_flight: int) -> AsyncGenerator[Toggle]:
    """Give what no client goes below in Python."""
    parts = urlsplit(base)
    assert parts.hostname is not None
    assert parts.port is not None
    context = ssl.create_default_context() if parts.scheme == "https" else None
    loop = asyncio.get_running_loop()
    free: list[_Connection] = []
    for _ in range(in_flight):
        _, connection = await loop.create_connection(
            _Connection, parts.hostname, parts.port, ssl=context
        )
        free.append(connection)
    requests = {target: _request(parts.path, parts.netloc, target) for target in TARGETS}

    async def toggle(target: Target) -> None:
        connection = free.pop()
        answer = await connection.send(requests[target])
        free.append(connection)
        if (
            not answer.startswith(b"HTTP/1.1 200 ")
            or f'"id":"{target[1]}"'.encode() not in answer
            or b'"enabled":true' not in answer
        ):
            raise BenchError(f"a wrong answer: {answer[:80]!r}")

    yield toggle
    for connection in free:
        connection.transport.close()
