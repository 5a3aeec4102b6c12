"""TLS as the aiohttp transport makes it, against a real server on loopback."""

import asyncio
import pathlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme
from raw_sockets import raw_server

import cfsso
from cfsso.transports._aiohttp_session import new_session

PATCH = cfsso.Request("PATCH", f"/accounts/{'a' * 32}/sso_connectors/{'b' * 32}", b"{}")


@asynccontextmanager
async def tls_server(
    authority: trustme.CA, host: str = "localhost", newest: ssl.TLSVersion | None = None
) -> AsyncIterator[str]:
    """Serve one answer a connection over TLS; yield the base URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    if newest is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = newest

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()

    async with raw_server(serve, context) as url:
        yield url


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


async def send(base_url: str) -> cfsso.Response:
    transport = cfsso.AiohttpTransport("a-token", base_url=base_url)
    try:
        return await transport.send(PATCH)
    finally:
        await transport.aclose()


@pytest.fixture
def trusted(
    authority: trustme.CA, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> trustme.CA:
    """Make the authority one of the system's."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


async def test_trusted_server(trusted: trustme.CA) -> None:
    """A server whose authority the system trusts is talked to."""
    async with tls_server(trusted) as url:
        assert 200 == (await send(url)).status


async def test_unknown_authority(authority: trustme.CA) -> None:
    """A server that nobody vouches for gets no request."""
    async with tls_server(authority) as url:
        with pytest.raises(cfsso.APIConnectionError, match="TLS failed") as caught:
            await send(url)
    assert cfsso.WriteState.NOT_SENT is caught.value.write


async def test_wrong_host(trusted: trustme.CA) -> None:
    """A certificate for another host is refused."""
    async with tls_server(trusted, host="other.example") as url:
        with pytest.raises(cfsso.APIConnectionError, match="TLS failed") as caught:
            await send(url)
    assert cfsso.WriteState.NOT_SENT is caught.value.write


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_protocol(trusted: trustme.CA) -> None:
    """A server that speaks nothing newer than TLS 1.1 gets no request."""
    async with tls_server(trusted, newest=ssl.TLSVersion.TLSv1_1) as url:
        with pytest.raises(cfsso.APIConnectionError) as caught:
            await send(url)
    assert cfsso.WriteState.NOT_SENT is caught.value.write


async def test_old_protocol_where_the_system_allows_it() -> None:
    """TLS 1.2 is asked for by us, however lax the system's own policy is."""
    session = new_session()
    try:
        assert session.connector is not None
        assert ssl.TLSVersion.TLSv1_2 is session.connector._ssl.minimum_version  # type: ignore[attr-defined] # no public way to it
    finally:
        await session.close()


async def test_keys_are_not_logged(
    trusted: trustme.CA, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSLKEYLOGFILE does not give away the connection that carries the token."""
    log = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    async with tls_server(trusted) as url:
        assert 200 == (await send(url)).status
    lines = log.read_text().splitlines() if log.exists() else []
    assert [] == [line for line in lines if not line.startswith("#")]
