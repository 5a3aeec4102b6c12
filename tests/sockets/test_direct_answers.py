"""Answers on connections that are used again: which are believed, and what ends a request."""

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from lines import OK, ONE, REFUSAL, TWO, Clock, Lines, get, holds_token, lines, patch, turns
from raw_sockets import http

import cfsso
from cfsso.transports import _aiohttp_kept as kept
from cfsso.transports._aiohttp_direct import _whole

UNKNOWN = cfsso.WriteState.UNKNOWN
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"


@pytest.fixture(autouse=True)
def rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let new connections be used again at once."""
    monkeypatch.setattr(kept, "_REST", 0.0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def second(
    served: Lines, transport: cfsso.AiohttpTransport, request: cfsso.Request
) -> asyncio.Task[cfsso.Response]:
    """Start *request* on a connection that was used before, and let its answer come."""
    await transport.send(get(ONE))
    served.asked.clear()
    call = asyncio.create_task(transport.send(request))
    await served.asked.wait()
    await turns()
    assert [0, 0] == served.used
    return call


@pytest.mark.usefixtures("clock")
class TestRefusals:
    """An answer that refuses, on a connection where another one may follow."""

    async def test_alone(self, clock: Clock) -> None:
        """After a second in which nothing else came it is believed."""
        async with lines(OK, REFUSAL) as (served, transport):
            call = await second(served, transport, patch(TWO))
            await clock.advance(0.999)
            assert not call.done()
            await clock.advance(0.001)
            assert (403, b'{"success": false}') == ((await call).status, (await call).body)
            await served.ended[0].wait()

    @pytest.mark.parametrize("after", [OK, REFUSAL, b"\x00\x01", b"HTTP/1.1 what"])
    @pytest.mark.parametrize(("request_", "write"), [(patch(TWO), UNKNOWN), (get(TWO), None)])
    @pytest.mark.parametrize("together", [True, False])
    async def test_followed(
        self,
        request_: cfsso.Request,
        write: cfsso.WriteState | None,
        after: bytes,
        together: bool,  # noqa: FBT001
    ) -> None:
        """When something else comes, whatever it is, neither is believed."""
        async with lines(OK, REFUSAL + after if together else REFUSAL) as (served, transport):
            call = await second(served, transport, request_)
            if not together:
                assert not call.done()
                served.writers[0].write(after)
            with pytest.raises(cfsso.APIConnectionError) as caught:
                await call
            await served.ended[0].wait()
        assert (cfsso.APIConnectionError, write, request_) == (
            type(caught.value),
            caught.value.write,
            caught.value.request,
        )

    @pytest.mark.parametrize("header", ["Connection: close", "Connection: keep-alive"])
    async def test_hung_up(self, header: str) -> None:
        """When the server hangs up, nothing else can come, and it is believed at once."""
        refusal = http(b"{}", header, status="403 Forbidden")
        async with lines(OK, refusal) as (served, transport):
            call = await second(served, transport, patch(TWO))
            served.writers[0].write_eof()
            assert 403 == (await call).status

    @pytest.mark.parametrize("status", [301, 408, 425, 429, 500, 503, 522])
    async def test_no_refusal(self, status: int) -> None:
        """What says no more than "not now" is passed on at once."""
        async with lines(OK, http(b"", status=f"{status} S")) as (served, transport):
            assert status == (await (await second(served, transport, patch(TWO)))).status
            await served.ended[0].wait()

    @pytest.mark.parametrize("method", ["PATCH", "GET", "POST", "DELETE"])
    async def test_new_connection(self, method: str) -> None:
        """On a new connection a refusal is believed at once."""
        async with lines(REFUSAL) as (served, transport):
            request = cfsso.Request(method, get(ONE).path)
            assert 403 == (await transport.send(request)).status
            await served.ended[0].wait()

    async def test_time_runs_out(self, clock: Clock) -> None:
        """When the request's time is over first, the refusal is believed then."""
        async with lines(OK, REFUSAL, timeout=0.5) as (served, transport):
            call = await second(served, transport, patch(TWO))
            await clock.advance(0.5)
            assert 403 == (await call).status


class TestEnds:
    """No complete answer, in time or at all."""

    @pytest.mark.parametrize("used", [True, False])
    @pytest.mark.parametrize("start", [b"", HALF[:20], HALF, b"HTTP/1.1 200 OK\r\n\r\n{}"])
    async def test_silence(self, clock: Clock, start: bytes, used: bool) -> None:  # noqa: FBT001
        """An answer that is still going when time runs out is none, however far it is."""
        async with lines(*[OK] * used, start) as (served, transport):
            if used:
                await transport.send(get(ONE))
            served.asked.clear()
            call = asyncio.create_task(transport.send(patch(TWO)))
            await served.asked.wait()
            await clock.advance(29.9)
            assert not call.done()
            await clock.advance(0.1)
            with pytest.raises(cfsso.APITimeoutError, match="no complete answer") as caught:
                await call
            await served.ended[0].wait()
        assert UNKNOWN is caught.value.write
        assert [0] * (1 + used) == served.used

    async def test_connecting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no connection is made in time nothing was sent."""

        async def connect(*_args: object, **_options: object) -> None:
            raise TimeoutError

        monkeypatch.setattr(aiohttp.TCPConnector, "connect", connect)
        async with lines() as (_, transport):
            with pytest.raises(cfsso.APITimeoutError, match="no connection in time") as caught:
                await transport.send(patch(ONE))
        assert cfsso.WriteState.NOT_SENT is caught.value.write

    async def test_time_is_left_alone(self, clock: Clock) -> None:
        """The time of a request that was answered ends nothing on its connection."""
        async with lines(timeout=10) as (served, transport):
            await transport.send(get(ONE))
            await clock.advance(10)
            await transport.send(get(TWO))
        assert [0, 0] == served.used

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (b"", "the connection was lost"),
            (HALF, "the answer was cut off"),
            (b"no HTTP\r\n\r\n", "the answer is no HTTP"),
        ],
    )
    async def test_lost(self, answer: bytes, said: str) -> None:
        """What ends for another reason than time says so."""
        async with lines(OK, answer) as (served, transport):
            call = await second(served, transport, patch(TWO))
            if not call.done():
                served.writers[0].write_eof()
            with pytest.raises(cfsso.APIConnectionError, match=said) as caught:
                await call
        assert (cfsso.APIConnectionError, UNKNOWN) == (type(caught.value), caught.value.write)


class TestCancellation:
    """A call that is cancelled."""

    @pytest.mark.parametrize("answer", [HALF, REFUSAL])
    async def test_cancelled(self, answer: bytes) -> None:
        """In the midst of an answer or of waiting for another, it closes its connection."""
        async with lines(OK, answer) as (served, transport):
            call = await second(served, transport, patch(TWO))
            assert not call.done()
            call.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await call
            await served.ended[0].wait()
            assert transport._places is not None
            assert 0 == transport._places.under_way
        assert not holds_token(caught.value)

    @pytest.mark.parametrize("answer", [b"no HTTP\r\n\r\n", REFUSAL + OK])
    async def test_failed(self, answer: bytes) -> None:
        """A failure has no frame that leads to the token either."""
        async with lines(OK, answer) as (served, transport):
            with pytest.raises(cfsso.APIConnectionError) as caught:
                await (await second(served, transport, patch(TWO)))
            assert transport._places is not None
            assert 0 == transport._places.under_way
        assert not holds_token(caught.value)

    async def test_aiohttps_own_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nor has one where a session of aiohttp sends, whose frames hold the header."""
        monkeypatch.setattr(aiohttp, "__version__", "0")
        async with lines(HALF, b"no HTTP\r\n\r\n") as (served, transport):
            call = asyncio.create_task(transport.send(patch(ONE)))
            await served.asked.wait()
            await turns()
            call.cancel()
            with pytest.raises(asyncio.CancelledError) as cancelled:
                await call
            with pytest.raises(cfsso.APIConnectionError) as failed:
                await transport.send(patch(ONE))
        assert (False, False) == (holds_token(cancelled.value), holds_token(failed.value))


class TestInformation:
    """Answers before the answer."""

    async def test_skipped(self) -> None:
        """Those below 200 are skipped, and the connection is used again."""
        early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        async with lines(early + OK) as (served, transport):
            answers = [await transport.send(get(ONE)), await transport.send(patch(TWO))]
        assert [(200, b"{}")] * 2 == [(answer.status, answer.body) for answer in answers]
        assert [0, 0] == served.used

    async def test_switch(self) -> None:
        """101 is an answer, and the connection speaks no HTTP from then on."""
        switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
        async with lines(switch + b"more", OK) as (served, transport):
            assert 101 == (await transport.send(get(ONE))).status
            await served.ended[0].wait()
            assert 200 == (await transport.send(get(TWO))).status
        assert [0, 1] == served.used


async def test_headers() -> None:
    """On a connection in use again too, lines of one name are joined and cookies left out."""
    answer = http(b"{}", "X-A: 1", "x-a: 2", "Set-Cookie: a=b", "X-A: 3", "Set-Cookie: c=d")
    async with lines(OK, answer) as (served, transport):
        response = await (await second(served, transport, patch(TWO)))
    assert {"content-length": "2", "x-a": "1, 2, 3"} == response.headers


async def test_content_that_failed() -> None:
    """What failed in the reading is no whole answer, though all that came is there."""
    protocol = SimpleNamespace(resume_reading=lambda **_: None)
    content = aiohttp.StreamReader(protocol, 1 << 16, loop=asyncio.get_running_loop())  # type: ignore[arg-type]
    content.feed_data(b"{}")
    content.feed_eof()
    assert b"{}" == _whole(content)
    content.set_exception(aiohttp.ClientPayloadError())
    assert None is _whole(content)


async def test_hung_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is lost before anything is written on it is closed, and leaves no doubt."""
    connect = aiohttp.TCPConnector.connect

    async def lost(self: aiohttp.TCPConnector, *args: Any, **options: Any) -> Any:
        connection = await connect(self, *args, **options)
        assert connection.transport is not None
        connection.transport.abort()
        await turns()
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", lost)
    async with lines(OK) as (served, transport):
        with pytest.raises(cfsso.APIConnectionError, match="the connection was lost") as caught:
            await transport.send(patch(ONE))
    assert (cfsso.WriteState.NOT_SENT, []) == (caught.value.write, served.used)
