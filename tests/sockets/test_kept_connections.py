"""Connections that are used again: which, for what, and for how long."""

import asyncio
import pathlib
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme
from lines import (
    FOUR,
    LIST,
    OK,
    ONE,
    THREE,
    TWO,
    Clock,
    Lines,
    get,
    item,
    lines,
    patch,
    timers,
    turns,
)
from raw_sockets import http, reset

import cfsso
from cfsso.transports import _aiohttp_kept as kept
from cfsso.transports._aiohttp_answers import read

SECOND = http(b'{"second": true}')


@pytest.fixture
def rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let new connections be used again at once."""
    monkeypatch.setattr(kept, "_REST", 0.0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def used(*requests: cfsso.Request) -> list[int]:
    """Return the numbers of the connections that *requests*, one after the other, went over."""
    async with lines() as (served, transport):
        for request in requests:
            assert 200 == (await transport.send(request)).status
        return served.used


@pytest.mark.usefixtures("rested")
class TestSharing:
    """What may be asked on one connection, once it has rested."""

    async def test_different_connectors(self) -> None:
        """Requests about different connectors share a connection."""
        assert [0, 0, 0] == await used(get(ONE), patch(TWO), get(THREE))

    @pytest.mark.parametrize("again", [get(ONE), patch(ONE)])
    async def test_the_same_connector(self, again: cfsso.Request) -> None:
        """What a connection was asked about before is asked on another one."""
        assert [0, 0, 1, 1] == await used(get(ONE), get(TWO), again, get(THREE))

    async def test_lists(self) -> None:
        """Two lists never share a connection, of whatever account; a list and a read may."""
        other = cfsso.Request("GET", f"/accounts/{'2' * 32}/sso_connectors")
        assert [0, 0, 1, 2] == await used(LIST, get(ONE), LIST, other)

    async def test_a_write_after_a_list(self) -> None:
        """Where a list went no write goes, whatever came in between, as a list is about all."""
        assert [0, 0, 1, 1] == await used(LIST, get(ONE), patch(TWO), patch(THREE))

    async def test_another_account(self) -> None:
        """A connector of the same id in another account counts as the same."""
        other = cfsso.Request("GET", item(ONE, account="2" * 32))
        assert [0, 1] == await used(get(ONE), other)

    async def test_few_are_tried(self) -> None:
        """Who asks for the same again and again looks at the eight used last, and no further."""
        others = [get(letter * 32) for letter in "123456789"]
        async with lines() as (served, transport):
            # Nine at once, since one after the other would share.
            await asyncio.gather(*map(transport.send, others))
            await asyncio.gather(*(transport.send(get(ONE)) for _ in range(7)))
            await transport.send(get(ONE))
            assert len(others) == len(served.writers)
            await transport.send(get(ONE))
            assert len(others) + 1 == len(served.writers)

    async def test_two_at_once(self) -> None:
        """A connection that a request is under way on is nobody else's."""
        async with lines() as (served, transport):
            await asyncio.gather(transport.send(get(ONE)), transport.send(get(TWO)))
            await asyncio.gather(transport.send(get(THREE)), transport.send(get(FOUR)))
        assert [[0, 1], [0, 1]] == [sorted(served.used[:2]), sorted(served.used[2:])]

    async def test_tls(self, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
        """Over TLS too, where a connection carries more than answers."""
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        async with lines(OK, OK, OK + SECOND, OK, context=context) as (served, transport):
            for about in (ONE, TWO, THREE, FOUR):
                assert (200, b"{}") == outcome(await transport.send(get(about)))
            served.writers[1].write(SECOND)
            await turns()
            assert (200, b"{}") == outcome(await transport.send(get(ONE)))
        assert [0, 0, 0, 1, 2] == served.used


class TestRest:
    """How long a new connection is silent before it is used again."""

    async def test_a_second(self, clock: Clock) -> None:
        """A new connection rests for a second, one that was used again does not."""
        async with lines() as (served, transport):
            await transport.send(get(ONE))
            await clock.advance(0.999)
            await transport.send(get(TWO))
            await clock.advance(0.001)
            await transport.send(get(THREE))
            await transport.send(get(FOUR))
        assert [0, 1, 0, 0] == served.used

    async def test_not_rested_by_time_alone(self, clock: Clock) -> None:
        """What came in the second of silence closes the connection after it."""
        async with lines() as (served, transport):
            await transport.send(get(ONE))
            served.writers[0].write(SECOND)
            await clock.advance(1.0)
            assert b"{}" == (await transport.send(get(TWO))).body
            await served.ended[0].wait()
        assert [0, 1] == served.used


ARRIVALS = {
    "answer": lambda served: served.write_at_once(0, SECOND),
    "half an answer": lambda served: served.write_at_once(0, SECOND[:30]),
    "no more than its head": lambda served: served.write_at_once(0, SECOND[:-5]),
    "a byte": lambda served: served.write_at_once(0, b"H"),
    "garbage": lambda served: served.write_at_once(0, b"\x00\x01"),
    "end": lambda served: served.writers[0].get_extra_info("socket").shutdown(socket.SHUT_WR),
}


@pytest.mark.usefixtures("rested")
class TestArrivals:
    """What comes on a connection that nobody uses."""

    @pytest.mark.parametrize("seen", [True, False])
    @pytest.mark.parametrize("arrives", ARRIVALS.values(), ids=ARRIVALS)
    async def test_arrival(self, arrives: Callable[[Lines], None], seen: bool) -> None:  # noqa: FBT001
        """It closes the connection, be it read yet or not; the next request sees nothing of it."""
        async with lines() as (served, transport):
            await transport.send(get(ONE))
            await turns()
            arrives(served)
            if seen:
                await turns()
            assert (200, b"{}") == outcome(await transport.send(patch(TWO)))
            await served.ended[0].wait()
        assert [0, 1] == served.used

    async def test_reset(self) -> None:
        """A connection that the server reset is not used again."""
        async with lines() as (served, transport):
            await transport.send(get(ONE))
            reset(served.writers[0])
            await turns()
            assert (200, b"{}") == outcome(await transport.send(patch(TWO)))
        assert [0, 1] == served.used

    async def test_in_the_same_segment(self) -> None:
        """Two answers at once close the connection; the first is the answer."""
        async with lines(OK + SECOND, OK) as (served, transport):
            assert (200, b"{}") == outcome(await transport.send(get(ONE)))
            await served.ended[0].wait()
            assert (200, b"{}") == outcome(await transport.send(patch(TWO)))
        assert [0, 1] == served.used


def outcome(response: cfsso.Response) -> tuple[int, bytes]:
    return response.status, response.body


@pytest.mark.usefixtures("rested")
class TestEnds:
    """When a connection is closed though it could serve on."""

    @pytest.mark.parametrize(
        "answer",
        [
            *(http(b"", status=f"{status} S") for status in (302, 304, 404, 429, 500, 503)),
            http(b"{}", "Connection: close"),
            OK.replace(b"1.1", b"1.0"),
        ],
    )
    async def test_answer(self, answer: bytes) -> None:
        """An answer that is no success, or that promises no more, is the last."""
        async with lines(answer, OK) as (served, transport):
            await transport.send(get(ONE))
            await served.ended[0].wait()
            await transport.send(get(TWO))
        assert [0, 1] == served.used

    async def test_until_it_closes(self) -> None:
        """An answer that ends with the connection is whole, and the last."""
        async with lines(b"HTTP/1.1 200 OK\r\n\r\n{}") as (served, transport):
            call = asyncio.create_task(transport.send(get(ONE)))
            await served.asked.wait()
            served.writers[0].write_eof()
            assert (200, b"{}") == outcome(await call)
            await served.ended[0].wait()
            assert [] == timers()

    async def test_most_requests(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """After so many requests a connection is closed."""
        monkeypatch.setattr(kept, "_MOST_REQUESTS", 3)
        assert [0, 0, 0, 1] == await used(get(ONE), get(TWO), get(THREE), get(FOUR))

    async def test_most_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No more than so many connections are kept, used once or more often."""
        monkeypatch.setattr(kept, "_MOST_KEPT", 2)
        async with lines() as (served, transport):
            await transport.send(get(ONE))
            await transport.send(get(TWO))
            await asyncio.gather(*(transport.send(patch(about)) for about in (ONE, TWO, THREE)))
            await turns()
            assert [False, False, True] == sorted(end.is_set() for end in served.ended)

    async def test_unwanted_for_long(self, clock: Clock) -> None:
        """After 15 seconds without a request a connection is not taken, but closed."""
        async with lines() as (served, transport):
            await transport.send(get(ONE))
            await clock.advance(10)
            await transport.send(get(TWO))
            # The sweep, too early for this one.
            await clock.advance(14.9)
            await transport.send(get(THREE))
            await clock.advance(14.9)
            assert not served.ended[0].is_set()
            clock.skip(0.2)
            await transport.send(get(FOUR))
            await served.ended[0].wait()
        assert [0, 0, 0, 1] == served.used

    async def test_sweep(self, clock: Clock) -> None:
        """Every 15 seconds those that nobody wanted for as long are closed, and no others."""
        async with lines() as (served, transport):
            for requests in ((get(ONE), get(TWO)), (get(ONE),), (get(ONE),)):
                await asyncio.gather(*map(transport.send, requests))
                await clock.advance(5)
            # One was used twice, the other is new.
            assert sorted([0, 1, served.used[2], 2]) == sorted(served.used)
            unwanted = 1 - served.used[2]
            assert [n == unwanted for n in range(3)] == [end.is_set() for end in served.ended]
            await clock.advance(15)
            assert [True] * 3 == [end.is_set() for end in served.ended]
            assert [] == timers()
            # It begins anew.
            await transport.send(get(ONE))
            assert 1 == len(timers())
            await clock.advance(15)
            assert served.ended[3].is_set()
            assert [] == timers()

    async def test_aclose(self) -> None:
        """Closing the transport closes the connections, whether used again or not."""
        async with lines() as (served, transport):
            await asyncio.gather(*(transport.send(get(about)) for about in (ONE, TWO)))
            await transport.send(get(THREE))
            await transport.aclose()
            for ended in served.ended:
                await ended.wait()
            assert 2 == len(served.ended)
            assert [] == timers()

    async def test_answer_after_aclose(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A connection whose answer was on its way is not kept by a closed transport."""

        async def read_and_close(*args: Any) -> cfsso.Response | cfsso.CfssoError:
            answer = await read(*args)
            closing.append(asyncio.create_task(transport.aclose()))
            # It has begun, but the connection is not lost yet.
            await asyncio.sleep(0)
            return answer

        closing: list[asyncio.Task[None]] = []
        monkeypatch.setattr("cfsso.transports._aiohttp_direct._LITTLE", 0)
        monkeypatch.setattr("cfsso.transports._aiohttp_direct.read", read_and_close)
        async with lines() as (served, transport):
            assert (200, b"{}") == outcome(await transport.send(get(ONE)))
            await closing[0]
            await served.ended[0].wait()
            assert [] == timers()
