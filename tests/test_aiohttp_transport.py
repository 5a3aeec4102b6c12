"""The aiohttp transport: what goes out, what comes back, what never leaves it."""

import asyncio
import pathlib
import socket
import ssl
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import aioresponses
import pytest
from raw_sockets import Answer, raw_server

import cfsso
from cfsso.emulator.http import serving
from cfsso.transports._aiohttp_session import is_replaced
from cfsso.transports._places import LEAST, Need, Places
from cfsso.transports.base import MAX_BODY

ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"
CONNECTOR = "a47be0c2193d4f5886e1b7d0c95f3a12"
PATH = f"/accounts/{ACCOUNT}/sso_connectors/{CONNECTOR}"
PATCH = cfsso.Request("PATCH", PATH, b'{"enabled":true}')
GET = cfsso.Request("GET", PATH)
DELETE = cfsso.Request("DELETE", PATH)
TOKEN = "a-token"


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Return the head of a request; its body is read too."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
    return head


def http(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Return an answer as it stands on the wire."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body) if length is None else length}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def always(answer: bytes) -> Answer:
    """Answer every request of a connection with the same bytes, then wait for the next."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(answer)
            await writer.drain()

    return serve


def closing_after(answer: bytes) -> Answer:
    """Answer one request and hang up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()

    return serve


@asynccontextmanager
async def transport_to(
    base_url: str, **options: float | str | aiohttp.ClientSession
) -> AsyncIterator[cfsso.AiohttpTransport]:
    transport = cfsso.AiohttpTransport(TOKEN, base_url=base_url, **options)  # type: ignore[arg-type] # as the test wishes
    try:
        yield transport
    finally:
        await transport.aclose()


class TestRequests:
    """What goes out."""

    async def test_patch_exactly(self, mocked_http: aioresponses.aioresponses) -> None:
        """A PATCH has this URL, these headers, these bytes and these options, and no others."""
        url = f"https://api.cloudflare.com/client/v4{PATH}"
        result = {"id": CONNECTOR, "enabled": True}
        mocked_http.patch(url, payload={"success": True, "errors": [], "result": result})

        async with cfsso.connect(api_token=TOKEN) as connectors:
            connector = await connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True)

        assert cfsso.SSOConnector(id=CONNECTOR, enabled=True) == connector
        ((method, sent_to), calls) = next(iter(mocked_http.requests.items()))
        assert ("PATCH", url, 1) == (method, str(sent_to), len(calls))
        options = calls[0].kwargs
        assert {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Authorization": "Bearer a-token",
            "Connection": "close",
            "User-Agent": f"cfsso/{cfsso.__version__}",
            "Content-Type": "application/json",
        } == options.pop("headers")
        timeout = options.pop("timeout")
        assert 1 == len(options.pop("middlewares"))
        assert (30.0, 10.0) == (timeout.total, timeout.connect)
        assert {
            "data": b'{"enabled":true}',
            "allow_redirects": False,
            "raise_for_status": False,
            "proxy": None,
        } == options

    async def test_patch_on_the_wire(self) -> None:
        """What aiohttp makes of it adds no cookie and no header that says more."""
        heads = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await read_request(reader))
            writer.write(http(b"{}", "Set-Cookie: __cflb=1; Path=/"))
            await writer.drain()

        async with raw_server(serve) as url:
            # A name, since nobody keeps the cookies of an address.
            named = url.replace("127.0.0.1", "localhost")
            async with transport_to(f"{named}/v4") as transport:
                await transport.send(PATCH)
                await transport.send(PATCH)

        lines = heads[1].decode().split("\r\n")
        assert f"PATCH /v4{PATH} HTTP/1.1" == lines[0]
        names = {line.split(":")[0] for line in lines[1:] if line}
        assert {
            "Host",
            "Accept",
            "Accept-Encoding",
            "Authorization",
            "Connection",
            "User-Agent",
            "Content-Type",
            "Content-Length",
        } == names

    async def test_one_token_for_each_account(self) -> None:
        """A mapping's token is used for its account, and an account without one is refused."""
        cloud = cfsso.CloudflareEmulator(seed=1)
        mine, other = cloud.add_account(), cloud.add_account()
        cloud.add_token("token-of-mine", [mine])

        tokens = {mine: "token-of-mine"}
        async with (
            serving(cloud) as url,
            cfsso.AsyncSSOConnectors(cfsso.AiohttpTransport(tokens, base_url=url)) as connectors,
        ):
            assert () == await connectors.list(account_id=mine)
            with pytest.raises(cfsso.InvalidRequestError, match="add it to the mapping") as caught:
                await connectors.list(account_id=other)
            assert None is caught.value.write
            with pytest.raises(cfsso.InvalidRequestError) as caught:
                await connectors.begin_verification(CONNECTOR, account_id=other)
            assert cfsso.WriteState.NOT_SENT is caught.value.write

    async def test_never_sent_again_by_itself(self) -> None:
        """When a connection breaks, a DELETE is not repeated behind our back."""
        seen = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await read_request(reader)
                seen.append(head.split()[0])
                if head.startswith(b"DELETE"):
                    return
                writer.write(http(b"{}"))
                await writer.drain()

        async with raw_server(serve) as url, transport_to(url) as transport:
            await transport.send(GET)
            with pytest.raises(cfsso.APIConnectionError) as caught:
                await transport.send(DELETE)

        assert cfsso.WriteState.UNKNOWN is caught.value.write
        assert [b"GET", b"DELETE"] == seen

    async def test_at_most_two_hundred_at_once(self) -> None:
        """The 201st request waits for its turn, without its time running."""
        waiting, full, release = 0, asyncio.Event(), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal waiting
            await read_request(reader)
            waiting += 1
            if waiting == 200:
                full.set()
            await release.wait()
            writer.write(http(b"{}", "Connection: close"))
            await writer.drain()

        async with raw_server(serve) as url, transport_to(url) as transport:
            calls = [asyncio.create_task(transport.send(GET)) for _ in range(201)]
            await full.wait()
            # Turns enough for one more to arrive, if it could.
            for _ in range(100):
                await asyncio.sleep(0)
            assert 200 == waiting
            release.set()
            await asyncio.gather(*calls)
        assert 201 == waiting

    async def test_environment_is_not_read(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
    ) -> None:
        """Proxy variables, a base URL variable and netrc change nothing."""
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login someone password else\n")
        monkeypatch.setenv("NETRC", str(netrc))
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "CLOUDFLARE_BASE_URL"):
            monkeypatch.setenv(name, "http://127.0.0.1:1/")
        cloud = cfsso.CloudflareEmulator(seed=1)
        account = cloud.add_account()
        cloud.add_token(TOKEN, [account])

        async with (
            serving(cloud) as url,
            cfsso.connect(api_token=TOKEN, base_url=url) as connectors,
        ):
            assert () == await connectors.list(account_id=account)

    async def test_proxy(self) -> None:
        """A proxy that is given is asked for a tunnel, with its credentials and not with ours."""
        heads = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await read_request(reader))
            writer.write(http(b"", status="403 Forbidden"))
            await writer.drain()

        async with raw_server(serve) as url:
            proxy = url.replace("http://", "http://user:word@")
            async with transport_to("https://localhost:9/v4", proxy=proxy) as transport:
                with pytest.raises(cfsso.APIConnectionError, match="the proxy refused"):
                    await transport.send(GET)

        assert heads[0].startswith(b"CONNECT localhost:9 HTTP/1.1\r\n")
        assert b"Proxy-Authorization: Basic dXNlcjp3b3Jk" in heads[0]
        assert TOKEN.encode() not in heads[0]

    async def test_session_that_does_not_unpack(self) -> None:
        """Answers are asked for as they are, so that any session understands them."""
        heads = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await read_request(reader))
            writer.write(WHOLE)
            await writer.drain()

        async with (
            raw_server(serve) as url,
            aiohttp.ClientSession(auto_decompress=False) as session,
            transport_to(url, session=session) as transport,
        ):
            await transport.send(GET)
        assert b"\r\nAccept-Encoding: identity\r\n" in heads[0]

    async def test_middleware_that_sends_twice(self) -> None:
        """A middleware of the caller's session can't make one write two."""
        seen = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await read_request(reader))
            writer.write(WHOLE)
            await writer.drain()

        async def twice(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            (await handler(request)).close()
            return await handler(request)

        async with (
            raw_server(serve) as url,
            aiohttp.ClientSession(middlewares=(twice,)) as session,
            transport_to(url, session=session) as transport,
        ):
            with pytest.raises(cfsso.APIConnectionError) as caught:
                await transport.send(PATCH)
        assert (1, cfsso.WriteState.UNKNOWN) == (len(seen), caught.value.write)


class TestCrossTalk:
    """An answer that belongs to another request is never taken for the answer to ours."""

    @pytest.mark.parametrize("delay", [0.0, 0.001, 0.01, 0.05])
    async def test_late_second_answer(self, delay: float) -> None:
        """A duplicate that comes late on an idle connection confirms nothing afterwards."""
        known = b'{"success": true, "result": {"id": "%s", "enabled": false}}' % CONNECTOR.encode()
        refusal = http(b'{"success": false}', "Connection: close", status="403 Forbidden")
        sent = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                if not (await read_request(reader)).startswith(b"GET"):
                    writer.write(refusal)
                    return
                writer.write(http(known))
                await writer.drain()
                asyncio.get_running_loop().call_later(delay, duplicate, writer)

        def duplicate(writer: asyncio.StreamWriter) -> None:
            if not writer.is_closing():
                writer.write(http(known))
            sent.set()

        async with (
            raw_server(serve) as url,
            cfsso.connect(api_token=TOKEN, base_url=url) as connectors,
        ):
            assert not (await connectors.get(CONNECTOR, account_id=ACCOUNT)).enabled
            await sent.wait()
            with pytest.raises(cfsso.PermissionDeniedError):
                await connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=False)

    async def test_no_connection_is_used_twice(self) -> None:
        """Each request about one connector has its own connection, whatever the server offers."""
        connections = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await always(http(b"{}", "Connection: keep-alive"))(reader, writer)

        async with raw_server(serve) as url, transport_to(url) as transport:
            for request in (GET, PATCH, GET):
                await transport.send(request)
        assert 3 == connections


class TestAnswers:
    """What comes back."""

    async def test_redirects_are_not_followed(self) -> None:
        """A redirect to another host is an answer; that host gets nothing."""
        calls = []

        async def other(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            calls.append(1)

        async with raw_server(other) as elsewhere:
            for status in ("301 M", "302 F", "303 S", "307 T", "308 P"):
                answer = http(b"", f"Location: {elsewhere}/", status=status)
                async with raw_server(always(answer)) as url, transport_to(url) as transport:
                    assert int(status[:3]) == (await transport.send(PATCH)).status
        assert [] == calls

    async def test_headers(self) -> None:
        """Names are lower case, lines of one name joined, cookies left out."""
        answer = http(b"{}", "X-A: 1", "x-a: 2", "CF-Ray: abc", "Set-Cookie: a=b")
        async with raw_server(always(answer)) as url, transport_to(url) as transport:
            response = await transport.send(GET)
        assert {"content-length": "2", "x-a": "1, 2", "cf-ray": "abc"} == response.headers

    @pytest.mark.parametrize("declared", [True, False])
    async def test_too_large(self, declared: bool) -> None:  # noqa: FBT001
        """One byte more than a megabyte is refused, however it comes."""
        body = b" " * (MAX_BODY + 1)
        plain = http(body, "cf-ray: 8f")
        until_close = b"HTTP/1.1 200 OK\r\ncf-ray: 8f\r\n\r\n" + body
        serve = closing_after(plain if declared else until_close)
        async with raw_server(serve) as url, transport_to(url) as transport:
            with pytest.raises(cfsso.APIResponseValidationError) as caught:
                await transport.send(PATCH)
            assert (200, "8f", cfsso.WriteState.UNKNOWN, PATCH) == (
                caught.value.status,
                caught.value.ray_id,
                caught.value.write,
                caught.value.request,
            )

    async def test_just_not_too_large(self) -> None:
        """A megabyte is taken."""
        serve = always(http(b" " * MAX_BODY))
        async with raw_server(serve) as url, transport_to(url) as transport:
            assert MAX_BODY == len((await transport.send(GET)).body)

    async def test_bomb(self) -> None:
        """A hundred megabytes in a small gzip body are refused; decoded bytes count."""
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = packer.compress(bytes(100 * MAX_BODY)) + packer.flush()
        serve = always(http(bomb, "Content-Encoding: gzip"))
        async with raw_server(serve) as url, transport_to(url) as transport:
            with pytest.raises(cfsso.APIResponseValidationError, match="more than 1048576 bytes"):
                await transport.send(GET)


WHOLE = http(b'{"success": true}')


def foreign() -> Iterator[type[Exception]]:
    """Yield every exception that aiohttp or the system may raise, and some of bugs."""
    waiting: list[type[Exception]] = [aiohttp.ClientError, OSError, TimeoutError]
    while waiting:
        kind = waiting.pop()
        if kind.__module__.startswith(("aiohttp", "builtins")):
            yield kind
            waiting += kind.__subclasses__()
    yield from (RuntimeError, AssertionError, UnicodeError)
    yield from (ssl.SSLError, ssl.SSLCertVerificationError, socket.gaierror)


class TestFailures:
    """No complete answer, and what that says of a write."""

    async def test_refused_connection(self) -> None:
        """Where nobody listens, nothing was sent."""
        async with raw_server(always(WHOLE)) as url:
            pass
        async with transport_to(url) as transport:
            with pytest.raises(cfsso.APIConnectionError, match="can't connect") as caught:
                await transport.send(PATCH)
        assert (cfsso.WriteState.NOT_SENT, PATCH) == (caught.value.write, caught.value.request)

    @pytest.mark.parametrize("cut", range(0, len(WHOLE), 3))
    async def test_cut_answer(self, cut: int) -> None:
        """An answer that ends early, wherever, is unknown for a write and nothing for a read."""
        async with raw_server(closing_after(WHOLE[:cut])) as url:
            for request, write in ((PATCH, cfsso.WriteState.UNKNOWN), (GET, None)):
                async with transport_to(url) as transport:
                    with pytest.raises(cfsso.APIConnectionError) as caught:
                        await transport.send(request)
                assert (type(caught.value), write) == (
                    cfsso.APIConnectionError,
                    caught.value.write,
                )

    @pytest.mark.parametrize(
        "answer",
        [b"220 ftp ready\r\n\r\n", b"HTTP/1.1 200 OK\r\nA\x00: b\r\n\r\n", b"\x16\x03\x01"],
    )
    async def test_no_http(self, answer: bytes) -> None:
        """Bytes that are no HTTP are a connection error, not aiohttp's."""
        async with raw_server(closing_after(answer)) as url, transport_to(url) as transport:
            with pytest.raises(cfsso.APIConnectionError) as caught:
                await transport.send(PATCH)
        assert cfsso.WriteState.UNKNOWN is caught.value.write

    @pytest.mark.parametrize("start", [b"", WHOLE[:20], WHOLE[:-3]])
    async def test_silence(self, start: bytes) -> None:
        """A server that stops talking ends as a timeout, wherever it stops."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(start)
            await reader.read()

        async with raw_server(serve) as url, transport_to(url, timeout=0.05) as transport:
            with pytest.raises(cfsso.APITimeoutError, match="in time") as caught:
                await transport.send(PATCH)
        assert cfsso.WriteState.UNKNOWN is caught.value.write

    async def test_proxy_that_refuses(self) -> None:
        """A proxy that gives no tunnel is known to have passed nothing on."""
        serve = always(http(b"", status="407 Proxy Authentication Required"))
        async with raw_server(serve) as proxy:
            transport = cfsso.AiohttpTransport(TOKEN, proxy=proxy, base_url="https://localhost:9")
            with pytest.raises(cfsso.APIConnectionError, match="the proxy refused") as caught:
                await transport.send(PATCH)
            await transport.aclose()
        assert cfsso.WriteState.NOT_SENT is caught.value.write

    @pytest.mark.parametrize("kind", sorted(set(foreign()), key=str))
    async def test_every_foreign_exception_is_mapped(
        self, kind: type[Exception], mocked_http: aioresponses.aioresponses
    ) -> None:
        """Whatever aiohttp, the system or a bug raises leaves as ours, saying if it was sent."""
        error = kind.__new__(kind)
        error.__dict__["_os_error"] = OSError(1, "because")
        mocked_http.patch(f"https://api.cloudflare.com/client/v4{PATH}", exception=error)
        transport = cfsso.AiohttpTransport(TOKEN)
        with pytest.raises(cfsso.APIConnectionError) as caught:
            await transport.send(PATCH)
        await transport.aclose()

        not_sent = (
            aiohttp.ClientConnectorError,
            aiohttp.ConnectionTimeoutError,
            aiohttp.ServerFingerprintMismatch,
            aiohttp.ClientHttpProxyError,
            aiohttp.InvalidURL,
            aiohttp.NonHttpUrlClientError,
        )
        expected = cfsso.WriteState.NOT_SENT if issubclass(kind, not_sent) else "unknown"
        assert expected == caught.value.write
        assert issubclass(kind, TimeoutError) == isinstance(caught.value, cfsso.APITimeoutError)
        assert (None, None) == (caught.value.__cause__, caught.value.__context__)


class TestOwnership:
    """Whose session, whose loop, and until when."""

    async def test_session_of_the_caller(self) -> None:
        """It is used, with its middlewares, and stays open."""
        seen = []

        async def watch(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            seen.append(request.method)
            return await handler(request)

        async with (
            raw_server(always(WHOLE)) as url,
            aiohttp.ClientSession(middlewares=(watch,)) as session,
        ):
            async with transport_to(url, session=session) as transport:
                await transport.send(GET)
                await transport.send(PATCH)
            assert not session.closed
        assert ["GET", "PATCH"] == seen

    async def test_closed_while_waiting(self) -> None:
        """What waits for a token or a place when the transport closes is known to be unsent."""
        asked, go = asyncio.Event(), asyncio.Event()

        async def slow(_account_id: str) -> str:
            asked.set()
            await go.wait()
            return TOKEN

        transport = cfsso.AiohttpTransport(slow, base_url="http://localhost:9")
        call = asyncio.create_task(transport.send(PATCH))
        await asked.wait()
        await transport.aclose()
        go.set()
        with pytest.raises(cfsso.InvalidRequestError, match="closed") as caught:
            await call
        assert cfsso.WriteState.NOT_SENT is caught.value.write

    def test_session_of_another_loop(self) -> None:
        """A session that was made in another loop is refused before anything is sent."""

        async def make() -> cfsso.AiohttpTransport:
            async with aiohttp.ClientSession() as session:
                return cfsso.AiohttpTransport(TOKEN, session=session)

        transport = asyncio.run(make())
        with pytest.raises(cfsso.InvalidRequestError, match="closed"):
            asyncio.run(transport.send(PATCH))
        transport._session = None
        with pytest.raises(cfsso.InvalidRequestError, match="another event loop") as caught:
            asyncio.run(transport.send(PATCH))
        assert cfsso.WriteState.NOT_SENT is caught.value.write

    async def test_closed_session_of_the_caller(self) -> None:
        """A session that its owner has closed is named, and nothing is sent."""
        async with aiohttp.ClientSession() as session:
            transport = cfsso.AiohttpTransport(TOKEN, session=session)
        with pytest.raises(cfsso.InvalidRequestError, match="closed"):
            await transport.send(GET)

    @pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning")
    async def test_session_with_credentials(self) -> None:
        """A session with credentials of its own would clash with the token, so it is refused."""
        async with aiohttp.ClientSession(auth=aiohttp.BasicAuth("a", "b")) as session:
            with pytest.raises(cfsso.InvalidRequestError, match="auth="):
                cfsso.AiohttpTransport(TOKEN, session=session)

    def test_other_event_loop(self) -> None:
        """A second loop is told to make its own, before anything is sent."""
        cloud = cfsso.CloudflareEmulator(seed=1)

        async def first() -> cfsso.AiohttpTransport:
            async with serving(cloud) as url:
                transport = cfsso.AiohttpTransport(TOKEN, base_url=url)
                await transport.send(GET)
                await transport.aclose()
                fresh = cfsso.AiohttpTransport(TOKEN, base_url=url)
                fresh._loop = asyncio.get_running_loop()
                return fresh

        transport = asyncio.run(first())
        with pytest.raises(cfsso.InvalidRequestError, match="another event loop") as caught:
            asyncio.run(transport.send(PATCH))
        assert cfsso.WriteState.NOT_SENT is caught.value.write

    def test_other_event_loop_while_all_places_are_taken(self) -> None:
        """A second loop is told so at once, even if it would have to wait for a place."""
        transport = cfsso.AiohttpTransport(TOKEN, base_url="http://localhost:9")

        async def bind() -> None:
            transport._loop = asyncio.get_running_loop()
            transport._places = Places(LEAST)
            while transport._places.try_take(Need.NORMAL):
                pass
            waiting = asyncio.create_task(transport.send(PATCH))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            await transport.aclose()
            transport._closed = False

        asyncio.run(bind())
        with pytest.raises(cfsso.InvalidRequestError, match="another event loop"):
            asyncio.run(transport.send(PATCH))

    async def test_cancellation_while_waiting(self) -> None:
        """A cancelled call passes the cancellation on and leaves nothing behind."""

        async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            reached.set()
            await reader.read()

        reached = asyncio.Event()
        async with raw_server(serve) as url, transport_to(url) as transport:
            call = asyncio.create_task(transport.send(PATCH))
            await reached.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert transport._places is not None
            assert 0 == transport._places.under_way


class TestArguments:
    """What can't be used is refused when the transport is made."""

    @pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "3", None, True])
    def test_timeout(self, timeout: float) -> None:
        """A timeout is a finite number of seconds above zero."""
        with pytest.raises(cfsso.InvalidRequestError, match="timeout must be"):
            cfsso.AiohttpTransport(TOKEN, timeout=timeout)

    @pytest.mark.parametrize(
        "proxy",
        [
            *["user:word@host", "", "http://", "https://word@", "http://u:word@[bad", 5],
            *["http://word:99999", "http://x y", "ftp://word", "http://word:0", "http://127.1"],
        ],
    )
    def test_proxy(self, proxy: str) -> None:
        """A proxy is the URL of a host, and what may be a password is not repeated."""
        with pytest.raises(cfsso.InvalidRequestError, match=r"^proxy (must|has)") as caught:
            cfsso.AiohttpTransport(TOKEN, proxy=proxy)
        assert "word" not in str(caught.value)

    def test_proxy_that_would_see_the_token(self) -> None:
        """Plain http has no tunnel, so no proxy either."""
        with pytest.raises(cfsso.InvalidRequestError, match="would see the token"):
            cfsso.AiohttpTransport(TOKEN, base_url="http://localhost:9", proxy="http://p.example")

    def test_session(self) -> None:
        """What is no session of aiohttp is named, and not used until it fails."""
        with pytest.raises(cfsso.InvalidRequestError, match="not str"):
            cfsso.AiohttpTransport(TOKEN, session="a")  # type: ignore[arg-type] # wrong on purpose

    def test_repr(self) -> None:
        """It shows where requests go and nothing else."""
        transport = cfsso.AiohttpTransport(TOKEN, base_url="https://localhost/v4/")
        assert "<AiohttpTransport https://localhost/v4>" == repr(transport)


async def _noted_request(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    request.headers["X-Noted"] = "1"
    return await handler(request)


class TestWay:
    """Which requests aiohttp's session sends, where others can see and change them."""

    @staticmethod
    async def said_of_connection(**options: Any) -> list[str]:
        """Send three requests and return their Connection headers."""
        said = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = (await read_request(reader)).decode()
                said.append(head.partition("\r\nConnection: ")[2].split("\r\n")[0])
                writer.write(WHOLE)

        async with raw_server(serve) as url, transport_to(url, **options) as transport:
            for request in (GET, PATCH, DELETE):
                await transport.send(request)
        return said

    async def test_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where nobody looks on, connections are kept, and no certificates read for plain http."""
        monkeypatch.delattr("ssl.create_default_context")
        assert ["keep-alive", "keep-alive", "close"] == await self.said_of_connection()

    async def test_replaced_method(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who replaced the method by which sessions send sees all requests, even if it is late."""
        send, seen = aiohttp.ClientSession._request, []

        async def watched(self: aiohttp.ClientSession, *args: Any, **options: Any) -> Any:
            seen.append(args[0])
            return await send(self, *args, **options)

        async with raw_server(always(WHOLE)) as url, transport_to(url) as transport:
            await transport.send(GET)
            with monkeypatch.context() as patched:
                patched.setattr(aiohttp.ClientSession, "_request", watched)
                for request in (GET, PATCH, DELETE):
                    await transport.send(request)
            await transport.send(PATCH)
        assert ["GET", "PATCH", "DELETE"] == seen

    async def test_replaced_method_that_was_first(self) -> None:
        """Who replaced the method before this package was imported sees all requests too."""
        code = """
import aiohttp

async def seen(self, *_args, **_options):
    print("seen")
    raise OSError

aiohttp.ClientSession._request = seen

import asyncio, cfsso

async def main():
    transport = cfsso.AiohttpTransport("a-token", base_url="http://localhost:9")
    try:
        await transport.send(cfsso.Request("GET", "/accounts"))
    except cfsso.APIConnectionError:
        await transport.aclose()

asyncio.run(main())
"""
        ran = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-c", code, stdout=asyncio.subprocess.PIPE
        )
        assert b"seen\n" == (await ran.communicate())[0]

    def test_wrapped_method(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is no function any more, though it looks like the old one, was replaced."""

        class Wrapped:
            __globals__ = vars(aiohttp.client)

        assert not is_replaced()
        monkeypatch.setattr(aiohttp.ClientSession, "_request", Wrapped())
        assert is_replaced()

    @pytest.mark.parametrize(
        "added",
        [
            {"trace_configs": [aiohttp.TraceConfig()]},
            {"middlewares": (_noted_request,)},
            {"headers": {"traceparent": "00"}},
        ],
        ids=lambda added: next(iter(added)),
    )
    async def test_instrumented(
        self, monkeypatch: pytest.MonkeyPatch, added: dict[str, Any]
    ) -> None:
        """What somebody adds to each session that is made takes part in all requests."""
        make = aiohttp.ClientSession.__init__

        def instrumented(self: aiohttp.ClientSession, **options: Any) -> None:
            make(self, **options, **added)

        monkeypatch.setattr(aiohttp.ClientSession, "__init__", instrumented)
        assert ["close"] * 3 == await self.said_of_connection()

    async def test_session_of_the_caller(self) -> None:
        """A session of the caller's is used as it is."""
        async with aiohttp.ClientSession() as session:
            assert ["close"] * 3 == await self.said_of_connection(session=session)

    async def test_proxy(self) -> None:
        """With a proxy it is aiohttp that makes the tunnel, for each request anew."""
        heads = []

        async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            heads.append(await read_request(reader))

        async with (
            raw_server(serve) as proxy,
            transport_to("https://localhost:9/v4", proxy=proxy) as transport,
        ):
            for _ in range(2):
                with pytest.raises(cfsso.APIConnectionError):
                    await transport.send(PATCH)
        assert [b"CONNECT localhost:9 HTTP/1.1"] * 2 == [head.split(b"\r\n")[0] for head in heads]

    @pytest.mark.parametrize("version", ["3.13.9", "3.15.0", "4.0.0", "3.140.0"])
    async def test_other_version(self, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
        """With an aiohttp that it was not tested with the transport does nothing by itself."""
        monkeypatch.setattr(aiohttp, "__version__", version)
        assert ["close"] * 3 == await self.said_of_connection()

    async def test_other_system(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no socket can be asked if something has come, no connection is kept."""
        monkeypatch.delattr("select.poll")
        assert ["close"] * 3 == await self.said_of_connection()

    async def test_too_large_at_once(self) -> None:
        """An answer that a session has read whole before we look is measured too."""

        async def wait(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            answer = await handler(request)
            await answer.content.wait_eof()
            return answer

        async with aiohttp.ClientSession(middlewares=(wait,), read_bufsize=2 * MAX_BODY) as session:
            for size, refused in ((MAX_BODY, False), (MAX_BODY + 1, True)):
                serve = always(http(b" " * size))
                async with (
                    raw_server(serve) as url,
                    transport_to(url, session=session) as transport,
                ):
                    if refused:
                        with pytest.raises(cfsso.APIResponseValidationError, match="more than"):
                            await transport.send(GET)
                    else:
                        assert size == len((await transport.send(GET)).body)
