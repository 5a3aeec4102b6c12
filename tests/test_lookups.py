"""Names are looked up as aiohttp does it, and a look-up that hangs holds nobody up."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any

import aiohttp
import pytest

from cfsso.transports._aiohttp_resolver import Resolver
from cfsso.transports._lookups import Lookups

NAME = "localhost"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Generator[Any]:
    """Hold back every look-up until the test lets it go; give its end and who was asked for."""
    end, asked = threading.Event(), list[str]()

    def wait(host: str, port: int, *_: Any, **__: Any) -> Any:
        asked.append(host)
        assert end.wait(30)
        if host == "none":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    yield end, asked
    end.set()


async def until(holds: Callable[[], bool]) -> None:
    """Let others go on until it is so."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - threads set no event of a loop
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("family", [socket.AF_UNSPEC, socket.AF_INET])
@pytest.mark.parametrize("host", [NAME, "127.0.0.1", "::1"])
async def test_it_gives_what_aiohttp_does(host: str, family: socket.AddressFamily) -> None:
    """Addresses, ports, families and flags are those of aiohttp's own resolver, errors too."""
    found: list[object] = []
    for resolver in (Resolver(), aiohttp.ThreadedResolver()):
        try:
            found.append(await resolver.resolve(host, 443, family))
        except OSError as error:
            found.append((type(error), error.args))
        await resolver.close()

    assert found[0] == found[1]


@pytest.mark.parametrize(
    "infos",
    [
        [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 443, 0, 1))],
        [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 443, 0, 0))],
        [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (10, b"::1"))],
        [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))],
    ],
    ids=["of a link", "IPv6", "Python without IPv6", "IPv4"],
)
async def test_odd_addresses_are_as_aiohttp_has_them(
    infos: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scopes of IPv6, and systems without it, are treated as in aiohttp."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: infos)

    ours = await Resolver().resolve("example.com", 443, socket.AF_UNSPEC)
    theirs = await aiohttp.ThreadedResolver().resolve("example.com", 443, socket.AF_UNSPEC)

    assert theirs == ours


async def test_localhost_is_there_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no address is configured localhost still has one, and other names have none."""
    real = socket.getaddrinfo

    def unconfigured(host: str, *others: Any, flags: int = 0, **named: Any) -> Any:
        if flags & socket.AI_ADDRCONFIG:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return real(host, *others, **named)

    monkeypatch.setattr(socket, "getaddrinfo", unconfigured)

    assert await Resolver().resolve("localhost", 1, socket.AF_UNSPEC)
    with pytest.raises(socket.gaierror):
        await Resolver().resolve("example.com", 1)


async def test_one_look_up_for_all_who_ask(held: Any) -> None:
    """Whoever asks for what is being looked up waits for that; who gives up disturbs nobody."""
    end, asked = held
    lookups = Lookups()
    tasks = [asyncio.ensure_future(lookups.find("some", 1, 0)) for _ in range(5)]
    failing = [asyncio.ensure_future(lookups.find("none", 1, 0)) for _ in range(2)]
    await until(lambda: len(asked) == 2)
    tasks[0].cancel()
    failing[0].cancel()
    end.set()

    ended = await asyncio.gather(*tasks, *failing, return_exceptions=True)

    assert {"some", "none"} == set(asked)
    assert isinstance(ended[0], asyncio.CancelledError)
    assert [[("127.0.0.1", 1, socket.AF_INET, 6)]] * 4 == ended[1:5]
    assert isinstance(ended[5], asyncio.CancelledError)
    assert isinstance(ended[6], socket.gaierror)


async def test_only_so_many_at_once(held: Any) -> None:
    """One look-up more than may be under way waits, and has its turn."""
    end, asked = held
    lookups = Lookups(2)
    tasks = [asyncio.ensure_future(lookups.find(f"d{n}", 1, 0)) for n in range(5)]
    await until(lambda: len(asked) == 2)
    assert 2 == sum(thread.name == "cfsso-dns" for thread in threading.enumerate())
    end.set()

    await asyncio.gather(*tasks)
    assert [f"d{n}" for n in range(5)] == sorted(asked)


async def test_without_a_thread_it_is_an_os_error(
    held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no thread can be had a look-up fails, or waits for one that there is."""
    end, asked = held
    lookups = Lookups()
    first = asyncio.ensure_future(lookups.find("first", 1, 0))
    await until(lambda: len(asked) == 1)

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(OSError, match="can't start new thread"):
        await Lookups().find("other", 1, 0)
    second = asyncio.ensure_future(lookups.find("second", 1, 0))
    await asyncio.sleep(0)
    end.set()

    assert await first
    assert await second


def test_a_loop_that_is_closed_meanwhile_disturbs_nobody(held: Any) -> None:
    """A look-up outlives the loop it was for, and another loop gets its answer."""
    end, asked = held
    lookups = Lookups()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await lookups.find("some", 1, 0)

    async def go_on() -> Any:
        task = asyncio.ensure_future(lookups.find("some", 1, 0))
        await asyncio.sleep(0)
        end.set()
        return await task

    asyncio.run(give_up())
    assert asyncio.run(go_on())
    assert ["some"] == asked


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_looks_up_by_itself() -> None:
    """What hangs in the parent is no matter of a child."""
    program = """
import asyncio, os, socket, threading, warnings
from cfsso.transports import _lookups
warnings.simplefilter("ignore")
real, end = socket.getaddrinfo, threading.Event()
socket.getaddrinfo = lambda *a, **k: end.wait(60)

async def hang():
    try:
        async with asyncio.timeout(0.05):
            await _lookups.LOOKUPS.find("localhost", 1, 0)
    except TimeoutError:
        pass

asyncio.run(hang())
socket.getaddrinfo = real
child = os.fork()
if not child:
    os._exit(0 if asyncio.run(_lookups.LOOKUPS.find("localhost", 1, 0)) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)  # noqa: S603
