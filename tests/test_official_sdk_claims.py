"""What README says of the official SDK and of us, each tried on the same server."""

import asyncio
import contextlib
import datetime as dt
import email.utils
import json
from collections.abc import AsyncIterator, Awaitable

import anyio
import cloudflare
import pytest
from raw_sockets import Answer, raw_server

import cfsso

ACCOUNT, CONNECTOR = "a" * 32, "b" * 32
ENVELOPE = b'{"success": true, "errors": [], "messages": [], "result": {"id": "%s", %s}}'


def good(members: bytes = b'"enabled": true') -> bytes:
    """Return a whole answer with a connector."""
    return answer(ENVELOPE % (CONNECTOR.encode(), members))


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return an answer as it stands on the wire."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "Content-Type: application/json", "", ""]).encode() + body


class Server:
    """Gives one answer to everything, and remembers what it was asked."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self.requests: list[tuple[str, str, bytes]] = []
        self.headers: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if b"content-length:" in line]
        body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
        method, path, _ = head.decode().split(" ", 2)
        self.requests.append((method, path, body))
        self.headers.append(head)
        writer.write(self.reply(method))
        await writer.drain()

    def reply(self, method: str) -> bytes:
        """Return the answer, as it stands on the wire."""
        del method
        return self._reply


class Losing(Server):
    """Does a create and loses the answer, but lists what it made."""

    def reply(self, method: str) -> bytes:
        """Return nothing, or the list."""
        if method == "POST":
            return b""
        now = dt.datetime.now(dt.UTC)
        made = {"id": CONNECTOR, "email_domain": "example.com", "created_on": now.isoformat()}
        body = json.dumps({"success": True, "errors": [], "messages": [], "result": [made]})
        date = email.utils.format_datetime(now, usegmt=True)
        return answer(body.encode(), "200 OK", f"Date: {date}")


@contextlib.asynccontextmanager
async def both(
    serve: Answer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[cloudflare.AsyncCloudflare, cfsso.AsyncSSOConnectors]]:
    """Yield the official SDK as it comes, but with no wait between its tries, and ours."""
    pause = anyio.lowlevel.checkpoint
    monkeypatch.setattr(anyio, "sleep", lambda _seconds: pause())
    async with (
        raw_server(serve) as url,
        cloudflare.AsyncCloudflare(api_token="a-token", base_url=url) as official,
        cfsso.connect(api_token="a-token", base_url=url, deadline=1.0) as ours,
    ):
        yield official, ours


async def failure(call: Awaitable[object]) -> cfsso.CfssoError:
    """Return the error of ours that *call* raises."""
    with pytest.raises(cfsso.CfssoError) as caught:
        await call
    return caught.value


async def test_success_false(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 200 with success false is no result of ours, and the write is settled by a read."""
    server = Server(answer(b'{"success": false, "errors": [], "messages": [], "result": null}'))
    async with both(server, monkeypatch) as (official, ours):
        assert None is await official.iam.sso.get(CONNECTOR, account_id=ACCOUNT)
        assert None is await official.iam.sso.update(CONNECTOR, account_id=ACCOUNT, enabled=True)
        read = await failure(ours.get(CONNECTOR, account_id=ACCOUNT))
        assert isinstance(read, cfsso.APIResponseValidationError)
        server.requests.clear()
        write = await failure(ours.update(CONNECTOR, account_id=ACCOUNT, enabled=True))
    assert isinstance(write, cfsso.UnconfirmedWriteError)
    assert ["PATCH", "GET"] == [method for method, _, _ in server.requests]


async def test_html(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page instead of JSON is an error of ours, where theirs is one of Python."""
    page = answer(b"<!DOCTYPE html><title>Sign in</title>").replace(
        b"application/json", b"text/html"
    )
    async with both(Server(page), monkeypatch) as (official, ours):
        with pytest.raises(AttributeError):
            await official.iam.sso.get(CONNECTOR, account_id=ACCOUNT)
        error = await failure(ours.get(CONNECTOR, account_id=ACCOUNT))
    assert isinstance(error, cfsso.APIResponseValidationError)


async def test_wrong_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text where a boolean belongs is not taken for true."""
    async with both(Server(good(b'"enabled": "yes"')), monkeypatch) as (official, ours):
        theirs = await official.iam.sso.get(CONNECTOR, account_id=ACCOUNT)
        error = await failure(ours.get(CONNECTOR, account_id=ACCOUNT))
    assert theirs is not None
    assert theirs.enabled
    assert "expected bool at $.result.enabled" in str(error)


async def test_lost_create(monkeypatch: pytest.MonkeyPatch) -> None:
    """A create whose answer is lost is sent once and found, where theirs is sent three times."""
    monkeypatch.setattr("cfsso._settling._PAUSES", (0.01,))
    server = Losing(b"")
    async with both(server, monkeypatch) as (official, ours):
        with pytest.raises(cloudflare.APIConnectionError):
            await official.iam.sso.create(account_id=ACCOUNT, email_domain="example.com")
        assert 3 == len(server.requests)
        server.requests.clear()
        made = await ours.create(account_id=ACCOUNT, email_domain="example.com")
    assert CONNECTOR == made.id
    assert ["POST", "GET"] == [method for method, _, _ in server.requests]


async def test_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect of a PATCH is refused, where theirs takes the other host's answer."""
    elsewhere = Server(good())
    async with raw_server(elsewhere) as url:
        server = Server(answer(b"", "302 Found", f"Location: {url}/"))
        async with both(server, monkeypatch) as (official, ours):
            await official.iam.sso.update(CONNECTOR, account_id=ACCOUNT, enabled=True)
            assert 1 == len(elsewhere.requests)
            await failure(ours.update(CONNECTOR, account_id=ACCOUNT, enabled=True))
    assert 1 == len(elsewhere.requests)


async def test_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a block of 300 seconds one request is sent, where theirs sends three."""
    slept: list[float] = []
    server = Server(answer(b"{}", "429 Too Many Requests", "Retry-After: 300"))
    async with both(server, monkeypatch) as (official, ours):

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        monkeypatch.setattr(anyio, "sleep", sleep)
        with pytest.raises(cloudflare.RateLimitError):
            await official.iam.sso.get(CONNECTOR, account_id=ACCOUNT)
        assert 3 == len(server.requests)
        assert 2 > sum(slept)
        server.requests.clear()
        error = await failure(ours.get(CONNECTOR, account_id=ACCOUNT))
    assert (1, 300.0) == (len(server.requests), error.retry_after)


async def test_empty_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """An update of nothing is refused, where theirs sends an empty object."""
    server = Server(good())
    async with both(server, monkeypatch) as (official, ours):
        await official.iam.sso.update(CONNECTOR, account_id=ACCOUNT)
        assert [b"{}"] == [body for _, _, body in server.requests]
        await failure(ours.update(CONNECTOR, account_id=ACCOUNT))
    assert 1 == len(server.requests)


async def test_odd_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that is no id is refused, where theirs sends it."""
    server = Server(good())
    async with both(server, monkeypatch) as (official, ours):
        await official.iam.sso.update("../x", account_id=ACCOUNT, enabled=True)
        assert 1 == len(server.requests)
        await failure(ours.update("../x", account_id=ACCOUNT, enabled=True))
    assert 1 == len(server.requests)


async def test_stray_email(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token beside an e-mail address is refused by name, where theirs drops the token."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "a-token")
    monkeypatch.setenv("CLOUDFLARE_EMAIL", "someone@example.com")
    server = Server(good())
    async with raw_server(server) as url, cloudflare.AsyncCloudflare(base_url=url) as official:
        await official.iam.sso.get(CONNECTOR, account_id=ACCOUNT)
    assert b"a-token" not in server.headers[0]
    with pytest.raises(
        cfsso.InvalidRequestError, match="CLOUDFLARE_API_TOKEN and CLOUDFLARE_EMAIL"
    ):
        cfsso.connect()


def test_nothing_for_tests_in_the_official_sdk() -> None:
    """The official SDK has no module that stands in for Cloudflare."""
    names = {name.lower() for name in dir(cloudflare)}
    assert set() == {n for n in names if "emulat" in n or "memory" in n or "testing" in n}
