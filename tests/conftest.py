"""What all tests share: no network but loopback, and a shim for aioresponses."""

import asyncio
import inspect
import ipaddress
import sys
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import aiohttp
import aioresponses
import hypothesis
import pytest

from cfsso.testing import VirtualTimeLoop

# A busy machine is no failure, so no example has a deadline.
hypothesis.settings.register_profile("cfsso", deadline=None)
hypothesis.settings.load_profile("cfsso")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse_other_networks(event: str, args: tuple[Any, ...]) -> None:
    # The address of an IP socket is a tuple, that of a Unix socket text or bytes.
    if event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    elif event == "socket.getaddrinfo":
        host = args[0]
    else:
        return
    if host and not _is_loopback(host):
        msg = f"a test wants to reach {host}; tests know no network but loopback"
        raise AssertionError(msg)


def pytest_configure() -> None:
    """Hold every test to loopback, whatever it imports."""
    sys.addaudithook(_refuse_other_networks)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what is marked so in virtual time: nothing waits, and nothing reaches a socket."""
    del config
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualTimeLoop}
    return {"real": asyncio.new_event_loop}


class _MockedResponse(aiohttp.ClientResponse):
    """
    What aioresponses should build with aiohttp 3.14, which asks for one argument more.

    To be removed with https://github.com/pnuckowski/aioresponses/issues/289.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)


@pytest.fixture
def mocked_http(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses.aioresponses]:
    """Answer aiohttp's requests with what the test puts in; for a request's exact shape."""
    if "stream_writer" in inspect.signature(aiohttp.ClientResponse).parameters:
        monkeypatch.setattr("aioresponses.core.ClientResponse", _MockedResponse)
    with aioresponses.aioresponses() as mocked:
        yield mocked
