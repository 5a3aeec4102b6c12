"""An answer of any size goes to whoever asked for it in pieces, and is never held as a whole."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import attrs
import pytest
from lines import LIST, ONE, TOKEN, get, lines, patch
from raw_sockets import http, raw_server, read_request

import cfsso
from cfsso.transports._call import Call, Sink
from cfsso.transports.base import MAX_BODY

MIB: Final = 1 << 20
PIECE: Final = bytes(range(256)) * 256


@attrs.define
class Counting:
    """A sink that counts, and keeps how much it was; it may refuse."""

    longest: float = float("inf")
    at_end: str = ""
    fed: int = 0
    pieces: list[int] = attrs.field(factory=list)

    def feed(self, chunk: bytes) -> None:
        """Count *chunk*."""
        self.fed += len(chunk)
        self.pieces.append(len(chunk))
        if self.fed > self.longest:
            msg = "an item too large"
            raise ValueError(msg)

    def close(self) -> bytes:
        """Return how much there was."""
        if self.at_end:
            raise ValueError(self.at_end)
        return b"%d bytes" % self.fed


@pytest.fixture(params=["own connections", "session"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send by either way that the transport has."""
    if request.param == "session":
        monkeypatch.setattr("aiohttp.__version__", "0")


@asynccontextmanager
async def large(size: int, head: str = "") -> AsyncIterator[cfsso.AiohttpTransport]:
    """Yield a transport to a server whose every answer has *size* bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n{head}\r\n".encode())
        for _ in range(size // len(PIECE)):
            writer.write(PIECE)
            await writer.drain()

    async with raw_server(serve) as url:
        transport = cfsso.AiohttpTransport(TOKEN, base_url=url)
        yield transport
        await transport.aclose()


def into(*sinks: Counting) -> tuple[Call, list[Sink]]:
    """Return a call whose answers go to *sinks*, one each, and those not used yet."""
    left: list[Sink] = list(sinks)
    return Call(operation="list", sink=lambda: left.pop(0)), left


@pytest.mark.usefixtures("way")
class TestSinks:
    """What a call names as its sink takes the content."""

    async def test_twenty_megabytes(self) -> None:
        """An answer of 20 MiB arrives whole, and at no time are more than 2 MiB of it held."""
        sink = Counting()
        call, _ = into(sink)
        async with large(20 * MIB) as transport:
            tracemalloc.start()
            try:
                response = await call.run(transport.send(LIST))
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert (200, b"%d bytes" % (20 * MIB)) == (response.status, response.body)
        assert peak < 2 * MIB

    async def test_without_one(self) -> None:
        """The same answer is refused where nobody takes it in pieces."""
        async with large(20 * MIB) as transport:
            with pytest.raises(cfsso.APIResponseValidationError, match=f"more than {MAX_BODY} b"):
                await Call(operation="list").run(transport.send(LIST))

    async def test_little(self) -> None:
        """An answer that is there at once goes the same way."""
        sink = Counting()
        call, _ = into(sink)
        async with lines(http(b"{}")) as (_, transport):
            response = await call.run(transport.send(LIST))
        assert (b"2 bytes", [2]) == (response.body, sink.pieces)

    async def test_each_answer_has_its_own(self) -> None:
        """What one answer brought is nothing to the next one, as when a request is sent again."""
        call, left = into(Counting(), Counting(), Counting())
        async with lines(http(b"{}"), http(b"[1]")) as (_, transport):

            async def twice() -> list[bytes]:
                return [(await transport.send(LIST)).body for _ in range(2)]

            assert [b"2 bytes", b"3 bytes"] == await call.run(twice())
        assert 1 == len(left)

    @pytest.mark.parametrize(
        ("request_", "status"),
        [(patch(ONE), "200 OK"), (get(ONE), "403 Forbidden"), (get(ONE), "302 Found")],
    )
    async def test_other_answers(self, request_: cfsso.Request, status: str) -> None:
        """Refusals, and answers to writes, are bodies as ever."""
        call, left = into(Counting())
        async with lines(http(b"{}", status=status)) as (_, transport):
            assert b"{}" == (await call.run(transport.send(request_))).body
        assert 1 == len(left)

    @pytest.mark.parametrize(
        ("sink", "said"),
        [(Counting(longest=3 * MIB), "an item too large"), (Counting(at_end="no end"), "no end")],
        ids=["in the middle", "at the end"],
    )
    async def test_refusing(self, sink: Counting, said: str) -> None:
        """What a sink can't take is an answer that can't be read, with the sink's words."""
        call, _ = into(sink)
        async with large(8 * MIB, "cf-ray: 8f\r\n") as transport:
            with pytest.raises(cfsso.APIResponseValidationError) as caught:
                await call.run(transport.send(LIST))
        error = caught.value
        assert f"200 from {LIST}: {said}" == str(error)
        assert (200, "8f", None, LIST) == (error.status, error.ray_id, error.write, error.request)

    async def test_cut_off(self) -> None:
        """An answer that ends too soon is none, whatever its sink had taken."""
        sink = Counting()
        call, _ = into(sink)
        half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{"

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(half)

        async with raw_server(serve) as url:
            transport = cfsso.AiohttpTransport(TOKEN, base_url=url)
            with pytest.raises(cfsso.APIConnectionError):
                await call.run(transport.send(LIST))
            await transport.aclose()
        assert 1 >= sink.fed
