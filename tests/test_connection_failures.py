"""What keeps an answer away is named, and is tried again only where that can help."""

import asyncio
import contextlib
import gzip
import pathlib
import socket
import ssl
import zlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
import trustme
from raw_sockets import Answer, http, raw_server, read_request

import cfsso
from cfsso import ConnectionFailure, WriteState
from cfsso.transports._aiohttp_resolver import Resolver

ITEM = f"/accounts/{'a' * 32}/sso_connectors/{'c' * 32}"
PATCH = cfsso.Request("PATCH", ITEM, b"{}")
GET = cfsso.Request("GET", ITEM)
SERVER = "https://localhost:9/client/v4"


class Counted:
    """Gives every request one answer, and counts them."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.count = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        await reader.readuntil(b"\r\n\r\n")
        self.count += 1
        writer.write(self.answer)
        await writer.drain()


@contextlib.asynccontextmanager
async def stack_to(url: str, **options: str) -> AsyncIterator[cfsso.RetryingTransport]:
    """Yield a transport that tries again, at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cfsso.transports.retrying._FIRST_PAUSE", 0.0)
        transport = cfsso.AiohttpTransport("a-token", base_url=url, **options)  # type: ignore[arg-type]
        async with contextlib.aclosing(cfsso.RetryingTransport(transport)) as stack:
            yield stack


async def failed(url: str, request: cfsso.Request = PATCH, **options: str) -> cfsso.CfssoError:
    """Return the error that sending *request* ends in."""
    async with stack_to(url, **options) as stack:
        with pytest.raises(cfsso.APIConnectionError) as caught:
            await stack.send(request)
    return caught.value


class TestProxies:
    """A proxy that makes no tunnel."""

    @pytest.mark.parametrize("request_", [PATCH, GET], ids=str)
    @pytest.mark.parametrize(
        ("status", "tries"),
        [(301, 1), (400, 1), (403, 1), (404, 1), (407, 1), (451, 1), (599, 5)]
        + [(status, 5) for status in (408, 425, 429, 500, 502, 503, 504)],
    )
    async def test_status(self, status: int, tries: int, request_: cfsso.Request) -> None:
        """It is named, nothing was sent, and only what may go by is tried again."""
        serve = Counted(http(b"<html>no</html>", "X-Why: because", status=f"{status} Some Words"))
        async with raw_server(serve) as proxy:
            error = await failed(SERVER, request_, proxy=proxy)
        assert tries == serve.count
        assert f"{request_}: the proxy refused: {status}" in str(error)
        assert "Some Words" not in str(error)
        assert error.response is not None
        assert (status, "because") == (error.response.status, error.response.headers["x-why"])
        assert request_.write_state(WriteState.NOT_SENT) is error.write
        assert (status, True, ConnectionFailure.PROXY, tries > 1) == (
            error.status,
            error.edge,
            error.reason,  # type: ignore[attr-defined]
            error.retryable,
        )

    @pytest.mark.parametrize(
        ("challenges", "said"),
        [
            ([], "wants Basic: put the user and password that it takes into its URL"),
            (['Basic realm="a, b"'], "wants Basic: put"),
            (["Negotiate", "NTLM", 'basic realm="x"'], "wants Basic: put"),
            (["Negotiate, NTLM"], "wants Negotiate or NTLM, which is not supported"),
            (['Digest realm="a, b", qop="auth, int"'], "wants Digest, which is not supported"),
            (["<b>", "Kerberos"], "wants Kerberos, which is not supported"),
        ],
    )
    async def test_authentication(self, challenges: list[str], said: str) -> None:
        """407 tells what the proxy wants, and what to do about it."""
        wanted = [f"Proxy-Authenticate: {challenge}" for challenge in challenges]
        serve = Counted(http(b"", *wanted, status="407 Proxy Authentication Required"))
        async with raw_server(serve) as proxy:
            error = await failed(SERVER, proxy=proxy)
        assert 1 == serve.count
        assert f"407 Proxy Authentication Required, it {said}" in str(error)

    async def test_password(self) -> None:
        """A password that the proxy repeats is shown nowhere."""
        serve = Counted(http(b"", "X-You: user:pass%20word", status="407 N"))
        async with raw_server(serve) as url:
            proxy = url.replace("//", "//user:pass%20word@")
            error = await failed(SERVER, proxy=proxy)
        assert error.response is not None
        assert "[masked]" == error.response.headers["x-you"]

    @pytest.mark.parametrize("answer", [b"", b"\x00\x01", b"HTTP/1.1 what"])
    async def test_no_answer(self, answer: bytes) -> None:
        """A proxy that hangs up, or speaks no HTTP, has passed on nothing."""
        async with raw_server(Counted(answer)) as proxy:
            error = await failed(SERVER, proxy=proxy)
        assert WriteState.NOT_SENT is error.write

    async def test_nobody_there(self) -> None:
        """A proxy that can't be reached is told from the server."""
        async with raw_server(Counted(b"")) as proxy:
            pass
        error = await failed(SERVER, proxy=proxy)
        assert f"{PATCH}: can't connect to the proxy: " in str(error)
        assert ConnectionFailure.CONNECT is error.reason  # type: ignore[attr-defined]


class TestReasons:
    """What else keeps a request here."""

    async def test_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name that can't be looked up."""

        async def fail(*_args: object, **_options: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(Resolver, "resolve", fail)
        error = await failed("http://localhost:9")
        assert f"{PATCH}: can't look up the address: Name or service not known" == str(error)
        assert (ConnectionFailure.NAME, "not_sent") == (error.reason, error.write)  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("host", "trusted", "said"),
        [
            ("localhost", False, "unable to get local issuer certificate"),
            ("other.example", True, "Hostname mismatch"),
        ],
    )
    @pytest.mark.parametrize("spelling", ["https", "HTTPS"])
    async def test_certificate(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: pathlib.Path,
        host: str,
        said: str,
        spelling: str,
        *,
        trusted: bool,
    ) -> None:
        """A certificate that is not to be trusted, with OpenSSL's words, once."""
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(context)
        if trusted:
            authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        serve = Counted(b"")
        async with raw_server(serve, context) as url:
            error = await failed(url.replace("https", spelling))
        assert f"{PATCH}: TLS failed: {said}" in str(error)
        assert (ConnectionFailure.CERTIFICATE, False, "not_sent", 0) == (
            error.reason,  # type: ignore[attr-defined]
            error.retryable,
            error.write,
            serve.count,
        )

    async def test_spelling(self, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
        """However the base URL is spelled, the context is ours, and logs no keys."""
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
        async with (
            raw_server(Counted(http(b"{}", "Connection: close")), context) as url,
            stack_to(url.replace("https://l", "HTTPS://L")) as stack,
        ):
            assert 200 == (await stack.send(PATCH)).status
            assert url == stack.server
        keys = tmp_path / "keys"
        lines = keys.read_text().splitlines() if keys.exists() else []
        assert [] == [line for line in lines if not line.startswith("#")]

    async def test_no_tls(self) -> None:
        """A server that speaks no TLS."""

        async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with raw_server(plain) as url:
            error = await failed(url.replace("http://127.0.0.1", "https://localhost"))
        assert (ConnectionFailure.TLS, False) == (error.reason, error.retryable)  # type: ignore[attr-defined]
        assert f"{PATCH}: TLS failed: " in str(error)

    async def test_pinned(self) -> None:
        """A certificate that is not the one that the caller's session wants."""
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        pinned = aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(bytes(32)))
        async with (
            raw_server(Counted(b""), context) as url,
            aiohttp.ClientSession(connector=pinned) as session,
        ):
            transport = cfsso.AiohttpTransport("a-token", base_url=url, session=session)
            with pytest.raises(cfsso.APIConnectionError, match="pinned") as caught:
                await transport.send(PATCH)
        assert ("certificate", "not_sent") == (caught.value.reason, caught.value.write)


ENCODED = {
    "gzip": gzip.compress(b'{"a": 1}'),
    "deflate": zlib.compress(b'{"a": 1}'),
    "GZIP": gzip.compress(b'{"a": 1}'),
    "identity": b'{"a": 1}',
}
UNREADABLE = {
    "br": (http(b"\x8b\x02\x80{}\x03", "Content-Encoding: br"), "br"),
    "zstd": (http(b"(\xb5/\xfd\x00X\x11\x00\x00{}", "Content-Encoding: zstd"), "zstd"),
    "compress": (http(b"{}", "Content-Encoding: compress"), "compress"),
    "no gzip": (http(b"no gzip", "Content-Encoding: gzip"), "gzip"),
    "header": (http(b"{}", f"X: {'z' * 200_000}"), "more than 65536 bytes"),
    "headers": (http(b"{}", *[f"X-{n}: a" for n in range(600)]), "Too many headers"),
    "ftp": (b"220 ftp ready\r\n\r\n", "Bad status line"),
    "header's name": (b"HTTP/1.1 200 OK\r\nA\x00: b\r\n\r\n", "Invalid header"),
    "two lengths": (http(b"{}", "Content-Length: 3"), "Content-Length"),
}


@pytest.mark.parametrize("way", ["own connections", "own session", "session of the caller"])
class TestContent:
    """An answer that comes, but may not be understood."""

    @contextlib.asynccontextmanager
    async def transport(
        self, way: str, serve: Answer, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[cfsso.RetryingTransport]:
        """Yield a transport that tries again."""
        monkeypatch.setattr("cfsso.transports.retrying._FIRST_PAUSE", 0.0)
        if way == "own session":
            monkeypatch.setattr(aiohttp, "__version__", "0")
        own = way != "session of the caller"
        async with raw_server(serve) as url, aiohttp.ClientSession(auto_decompress=False) as theirs:
            transport = cfsso.AiohttpTransport(
                "a-token", base_url=url, session=None if own else theirs
            )
            async with contextlib.aclosing(cfsso.RetryingTransport(transport)) as stack:
                yield stack

    @pytest.mark.parametrize("encoding", ENCODED)
    async def test_decoded(self, monkeypatch: pytest.MonkeyPatch, way: str, encoding: str) -> None:
        """What was compressed without being asked for is decoded."""
        serve = Counted(http(ENCODED[encoding], f"Content-Encoding: {encoding}"))
        async with self.transport(way, serve, monkeypatch) as transport:
            assert b'{"a": 1}' == (await transport.send(PATCH)).body

    @pytest.mark.parametrize("kind", UNREADABLE)
    @pytest.mark.parametrize("request_", [PATCH, GET], ids=str)
    async def test_unreadable(
        self, monkeypatch: pytest.MonkeyPatch, way: str, kind: str, request_: cfsso.Request
    ) -> None:
        """What can't be understood is named, and asked for once."""
        answer, said = UNREADABLE[kind]
        serve = Counted(answer)
        async with self.transport(way, serve, monkeypatch) as transport:
            with pytest.raises(cfsso.APIConnectionError) as caught:
                await transport.send(request_)
        said = "more than 8190 bytes" if kind == "header" and "caller" in way else said
        assert said in str(caught.value)
        assert "zzz" not in str(caught.value)
        assert request_.write_state(WriteState.UNKNOWN) is caught.value.write
        assert (ConnectionFailure.PROTOCOL, False, 1) == (
            caught.value.reason,
            caught.value.retryable,
            serve.count,
        )

    async def test_long_headers(self, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
        """A header of 9 KB, and hundreds of them, are taken; a session keeps its own bounds."""
        serve = Counted(http(b"{}", f"X: {'a' * 9000}", *[f"X-{n}: a" for n in range(300)]))
        async with self.transport(way, serve, monkeypatch) as transport:
            if way == "session of the caller":
                with pytest.raises(cfsso.APIConnectionError, match="8190"):
                    await transport.send(GET)
            else:
                assert 9000 == len((await transport.send(GET)).headers["x"])


async def test_lost_or_never_made() -> None:
    """A refused connection is told apart from one that is lost with a request under way."""

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)

    async with raw_server(serve) as url:
        lost = await failed(url)
    refused = await failed(url)
    assert ("lost", "unknown") == (lost.reason, lost.write)  # type: ignore[attr-defined]
    assert ("connect", "not_sent") == (refused.reason, refused.write)  # type: ignore[attr-defined]
