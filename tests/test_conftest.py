"""The tests' own ground: what conftest.py promises."""

import socket

import aiohttp
import aioresponses
import pytest


async def test_mocked_http_answers(mocked_http: aioresponses.aioresponses) -> None:
    """A mocked request gets the answer that was put in."""
    mocked_http.get("https://api.example/a", status=201, payload={"a": 1})

    async with (
        aiohttp.ClientSession() as session,
        session.get("https://api.example/a") as response,
    ):
        assert 201 == response.status
        assert {"a": 1} == await response.json()


def test_other_networks_are_refused() -> None:
    """A connection that would leave the machine fails before it is tried."""
    with socket.socket() as client, pytest.raises(AssertionError, match="no network but"):
        client.connect(("192.0.2.1", 80))


def test_other_names_are_refused() -> None:
    """A name that would have to be looked up elsewhere is not looked up."""
    with pytest.raises(AssertionError, match="wants to reach cloudflare"):
        socket.getaddrinfo("cloudflare.com", 443)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", None], ids=str)
def test_loopback_is_allowed(host: str | None) -> None:
    """A connection within the machine is made."""
    assert socket.getaddrinfo(host, 80)
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
