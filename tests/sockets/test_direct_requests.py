"""What goes out on the transport's own connections is what aiohttp itself would send."""

import asyncio
import socket

import aiohttp
import pytest
from lines import LIST, ONE, Lines, get, item, lines, patch

import cfsso

POST = cfsso.Request("POST", item(ONE) + "/begin_verification")
CREATE = cfsso.Request("POST", LIST.path, b'{"email_domain":"\xc3\xa4.example"}')
DELETE = cfsso.Request("DELETE", item(ONE))
VERIFY = cfsso.Request("GET", f"/accounts/{'1' * 32}/tokens/verify")
PART = cfsso.Request("PATCH", item(ONE) + "/part")
OTHERS = [POST, CREATE, DELETE, VERIFY, PART]
ALL = [get(ONE), LIST, patch(ONE), *OTHERS]


def fields(head: str) -> list[str]:
    """Return the request line and, sorted, the header lines but for Connection."""
    first, *others = head.split("\r\n")
    return [first, *sorted(line for line in others if not line.startswith("Connection:"))]


async def sent(monkeypatch: pytest.MonkeyPatch, host: str, base: str) -> list[object]:
    """Send all requests to *base*, whatever server it names; return what a server here got."""
    served, loop = Lines(), asyncio.get_running_loop()
    server = await asyncio.start_server(served, host, 0)
    address = server.sockets[0].getsockname()
    connect = loop.sock_connect

    async def here(sock: socket.socket, _address: object) -> None:
        await connect(sock, address)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "sock_connect", here)
        transport = cfsso.AiohttpTransport("a-token", base_url=base)
        for request in ALL:
            assert 200 == (await transport.send(request)).status
        await transport.aclose()
    for ended in served.ended:
        await ended.wait()
    for writer in served.writers:
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()
    return [*map(fields, served.heads), *served.bodies]


@pytest.mark.parametrize(
    "base",
    [
        *["http://127.0.0.1", "http://127.0.0.1:80/", "http://127.0.0.1:4711"],
        *[
            "http://localhost/client/v4",
            "http://127.0.0.1:8080/client/v4/",
            "http://localhost:443/a-b.c_d/",
        ],
        *["http://[::1]:4711/v4", "http://[::1]"],
    ],
)
async def test_same_as_aiohttp(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    """Request lines, header names and values, and bodies are the same, wherever it goes."""
    host = "::1" if "[" in base else "127.0.0.1"
    if "[" in base:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("there is no IPv6 here")
    ours = await sent(monkeypatch, host, base)
    monkeypatch.setattr(aiohttp, "__version__", "0")
    assert await sent(monkeypatch, host, base) == ours
    assert [request.body or b"" for request in ALL] == ours[len(ALL) :]


@pytest.mark.parametrize("request_", OTHERS, ids=str)
async def test_connection_of_its_own(request_: cfsso.Request) -> None:
    """What does not name its connector, or can't be asked again, shares nothing and says so."""
    async with lines() as (served, transport):
        for number in range(2):
            await transport.send(request_)
            await served.ended[number].wait()
    assert [0, 1] == served.used
    assert ["Connection: close"] * 2 == [connection(head) for head in served.heads]


@pytest.mark.parametrize("request_", [get(ONE), patch(ONE), LIST], ids=str)
async def test_connection_to_keep(request_: cfsso.Request) -> None:
    """Reading and updating connectors asks the server to keep the connection."""
    async with lines() as (served, transport):
        await transport.send(request_)
    assert ["Connection: keep-alive"] == [connection(head) for head in served.heads]


def connection(head: str) -> str:
    """Return the one Connection line of *head*."""
    (found,) = (line for line in head.split("\r\n") if line.lower().startswith("connection:"))
    return found
