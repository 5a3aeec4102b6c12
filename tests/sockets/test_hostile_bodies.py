"""An answer without end or measure costs little memory, and no more than the time allowed."""

import asyncio
import itertools
import json
import pathlib
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator

import pytest
from raw_sockets import http, raw_server, read_request

MIB = 1024 * 1024
CLIENT = pathlib.Path(__file__).with_name("measured_client.py")
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

Pieces = Callable[[], Iterable[bytes]]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux resets the peak of a process's memory"
)


def bomb(encoding: str, wbits: int) -> Pieces:
    """Return an answer of a MiB that unpacks to a GiB of zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    # After a full flush nothing refers back, so each MiB but the first is packed the same.
    first, again = (packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    assert 2 * MIB == len(zlib.decompressobj(wbits).decompress(first + again))
    return lambda: [http(first + 1023 * again, f"Content-Encoding: {encoding}")]


def members(size: int, count: int) -> Pieces:
    """Return an answer of *count* gzip members, each of *size* zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    member = packer.compress(bytes(size)) + packer.flush()
    return lambda: [http(count * member, "Content-Encoding: gzip")]


def endless(start: bytes, repeated: bytes) -> Pieces:
    """Return an answer that begins with *start* and goes on with *repeated*, 64 KiB at a time."""
    again = repeated * (65536 // len(repeated))
    return lambda: itertools.chain([start], itertools.repeat(again))


def numbered_headers() -> Iterator[bytes]:
    """Yield an answer that begins with ever more headers."""
    yield OK
    yield from (b"X-%d: %d\r\n" % (number, number) for number in itertools.count())


def drip(answer: bytes) -> Pieces:
    """Return an answer that comes byte by byte."""
    return lambda: (answer[place : place + 1] for place in range(len(answer)))


TOO_LARGE = {
    "gzip bomb": bomb("gzip", 31),
    "deflate bomb": bomb("deflate", 15),
    "bomb of many members": members(MIB, 1024),
    "body in chunks": endless(CHUNKED, b"1000\r\n" + bytes(4096) + b"\r\n"),
    "body in tiny chunks": endless(CHUNKED, b"4\r\n    \r\n"),
    "body until it closes": endless(OK + b"\r\n", b" "),
}
TOO_SLOW = {
    "head": drip(OK + b"X-A: b\r\n" * 1000),
    "body": drip(OK + b"\r\n{" + b" " * 1000),
    "chunks": drip(CHUNKED + b"1\r\n \r\n" * 1000),
}
TOO_LONG = {
    "1xx": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "1xx that speaks of a body": endless(b"", b"HTTP/1.1 100\r\nContent-Length:1\r\n\r\n"),
    "blocks of nothing": endless(
        OK + b"Content-Encoding: deflate\r\n\r\nx\x9c", b"\x00\x00\x00\xff\xff"
    ),
}
NO_HTTP = {
    "headers": numbered_headers,
    "header": endless(OK + b"X-A: ", b"b"),
    "name of a header": endless(OK, b"X"),
    "reason": endless(b"HTTP/1.1 200 ", b"OK "),
    "empty lines": endless(b"", b"\r\n"),
    "size of a chunk": endless(CHUNKED, b"0"),
    "extension of a chunk": endless(CHUNKED + b"1;", b"a"),
    "trailers": endless(CHUNKED + b"0\r\n", b"X-A: b\r\n"),
    "members of nothing": members(0, 50_000),
}


async def error_of(pieces: Pieces, seconds: float, pause: float = 0) -> str:
    """Return the kind of error that an answer of *pieces* ends in, within the bounds."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, _ = await read_request(reader)
        for piece in [http(b"{}")] if method == "GET" else pieces():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        await reader.read()

    async with raw_server(serve) as url:
        child = await asyncio.create_subprocess_exec(
            sys.executable, CLIENT, url, str(seconds), stdout=asyncio.subprocess.PIPE
        )
        found = json.loads((await child.communicate())[0])
    assert 16 * MIB >= found["growth"]
    assert seconds + 5 > found["seconds"]
    assert "unknown" == found["write"]
    return str(found["error"])


@pytest.mark.parametrize("kind", TOO_LARGE)
async def test_too_large(kind: str) -> None:
    """A body that unpacks to a GiB, or never ends, is refused for its size."""
    assert "APIResponseValidationError" == await error_of(TOO_LARGE[kind], seconds=30)


@pytest.mark.parametrize("kind", TOO_SLOW)
async def test_too_slow(kind: str) -> None:
    """An answer that comes byte by byte has no more time than any other."""
    assert "APITimeoutError" == await error_of(TOO_SLOW[kind], seconds=0.5, pause=0.01)


@pytest.mark.parametrize("kind", TOO_LONG)
async def test_too_long(kind: str) -> None:
    """What goes on at full speed and is never an answer ends when its time does."""
    assert "APITimeoutError" == await error_of(TOO_LONG[kind], seconds=0.5)


@pytest.mark.parametrize("kind", NO_HTTP)
async def test_no_http(kind: str) -> None:
    """Parts of an answer that never end are given up, by the parser or for the time."""
    # aiohttp has two parsers, which differ in what they bear.
    assert await error_of(NO_HTTP[kind], seconds=0.5) in {"APIConnectionError", "APITimeoutError"}
