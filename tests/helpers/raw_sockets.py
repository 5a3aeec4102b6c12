"""A server that answers by hand, for what no proper server would say."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import cfsso

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_request(reader: asyncio.StreamReader) -> tuple[str, str]:
    """Read a whole request; return its method and its path."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
    method, path = head.decode().split()[:2]
    return method, path


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer with a Content-Length as it stands on the wire."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST in place of FIN."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


@contextlib.asynccontextmanager
async def raw_server(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Give each connection to *answer*; yield the URL; leave no task and no socket behind."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        # A task that ends as cancelled here would be reported as a failure.
        ends = ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError
        with contextlib.suppress(*ends):
            try:
                await answer(reader, writer)
            except asyncio.CancelledError:
                writer.transport.abort()
            finally:
                writer.close()
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", ssl=context)
    try:
        scheme, host = ("https", "localhost") if context else ("http", "127.0.0.1")
        yield f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class Doubt(BaseException):
    """A write is in doubt. No error of a transport, so that nothing waits and reads again."""


class Watched:
    """A transport around another, for one operation: reading after a write raises `Doubt`."""

    def __init__(self, inner: cfsso.Transport) -> None:
        self._inner = inner
        self.write: cfsso.Response | cfsso.CfssoError | None = None

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Pass on *request* and keep what became of a write."""
        if not request.is_write:
            if self.write is not None:
                raise Doubt
            return await self._inner.send(request)
        try:
            self.write = await self._inner.send(request)
        except cfsso.CfssoError as error:
            self.write = error
            raise
        return self.write

    async def aclose(self) -> None:
        """Close the inner one."""
        await self._inner.aclose()
