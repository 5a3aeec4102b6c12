"""An answer that ends early, at whichever byte, is never taken for a whole one."""

import asyncio
import contextlib
import json
from collections.abc import Callable

import pytest
from raw_sockets import Doubt, Watched, raw_server, read_request, reset

import cfsso

BODY = json.dumps(
    {"success": True, "errors": [], "result": {"id": "0" * 32, "enabled": True}}
).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncf-ray: 8a1b-FRA\r\n"
MIDDLE = len(BODY) // 2


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


ANSWERS = {
    "by length": HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "in chunks": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"".join(map(chunk, (BODY[:MIDDLE], BODY[MIDDLE:], b""))),
    "until it closes": HEAD + b"\r\n" + BODY,
}


async def update(transport: cfsso.Transport, cut: int) -> str:
    """Say what an update makes of the first *cut* bytes of its answer."""
    watched = Watched(transport)
    connectors = cfsso.AsyncSSOConnectors(watched)
    try:
        # The account tells the server where to cut.
        await connectors.update("0" * 32, account_id=f"{cut:032}", enabled=True)
    except Doubt:
        if isinstance(watched.write, cfsso.CfssoError):
            return f"{type(watched.write).__name__}, {watched.write.write}"
        return "no JSON"
    return "a result"


@pytest.mark.parametrize("end", [asyncio.StreamWriter.close, reset])
@pytest.mark.parametrize("framing", ANSWERS)
async def test_cut_anywhere(framing: str, end: Callable[[asyncio.StreamWriter], None]) -> None:
    """Only the whole answer is a result; before its last byte the write is unknown."""
    answer = ANSWERS[framing]
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        cut = int((await read_request(reader))[1].split("/")[2])
        writer.write(answer[:cut])
        served += 1
        end(writer)

    async with raw_server(serve) as url:
        transport = cfsso.AiohttpTransport("a-token", base_url=url)
        async with contextlib.aclosing(transport):
            ends = await asyncio.gather(*(update(transport, cut) for cut in range(len(answer) + 1)))
    # Where the end of the connection ends the answer too, only its JSON can tell.
    told = answer.index(b"\r\n\r\n") + 4 if framing == "until it closes" else len(answer)
    lost = ["APIConnectionError, unknown"] * told + ["no JSON"] * (len(answer) - told)
    assert [*lost, "a result"] == ends
    assert len(answer) + 1 == served
