import asyncio
import io
import json
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from cfsso.emulator import CloudflareEmulator
from cfsso.emulator.http import serving
from cfsso.transports.base import MAX_BODY, Request, Response

ACCOUNT = "a" * 32
LIST = f"/accounts/{ACCOUNT}/sso_connectors"
TOKEN = {"Authorization": "Bearer t0ken"}


@pytest.fixture
def cloud() -> CloudflareEmulator:
    """Give an emulator with one account."""
    cloud = CloudflareEmulator(seed=1)
    cloud.add_account(ACCOUNT)
    return cloud


@pytest.fixture
async def url(cloud: CloudflareEmulator) -> AsyncIterator[str]:
    """Give the base URL of the served emulator."""
    async with serving(cloud) as base_url:
        yield base_url


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Give an HTTP client."""
    async with aiohttp.ClientSession(headers=TOKEN) as session:
        yield session


async def raw(url: str, head: str, body: bytes = b"") -> bytes:
    """Send bytes that no HTTP client would send and return the whole answer."""
    host, port = url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = f"{head}\r\nHost: x\r\nAuthorization: Bearer t\r\nConnection: close\r\n"
    writer.write(f"{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(("options", "kept"), [({}, 10_000), ({"log": None}, 10_050)])
async def test_the_log_of_a_served_emulator_is_bounded(options: dict[str, Any], kept: int) -> None:
    """Behind a port it keeps 10,000 requests unless it is told to keep all."""
    cloud = CloudflareEmulator(rate_limit=None, **options)
    async with serving(cloud) as url, aiohttp.ClientSession(headers=TOKEN) as session:
        for number in range(10_049):
            cloud.handle(Request("GET", f"/{number}"))
        async with session.get(f"{url}/last") as response:
            assert 404 == response.status

    assert kept == len(cloud.requests)
    assert "/last" == cloud.requests[-1].path


async def test_one_date(
    cloud: CloudflareEmulator, url: str, session: aiohttp.ClientSession
) -> None:
    """Over HTTP there is one Date, the emulator's own, also where it is not asked at all."""
    cloud.advance(100 * 86400)
    for path in (LIST, "/nowhere", "/" + "x" * 5000, "/%zz"):
        before = cloud.date
        async with session.get(url + path) as response:
            dates = response.headers.getall("Date")
        assert dates in ([before], [cloud.date])
    before = cloud.date
    answer = await raw(url, "GET http://elsewhere/ HTTP/1.1")
    assert 1 == answer.lower().count(b"\r\ndate: ")
    assert before.encode() in answer or cloud.date.encode() in answer


async def test_answers_are_those_of_the_emulator(
    cloud: CloudflareEmulator, url: str, session: aiohttp.ClientSession
) -> None:
    """Status and body are the same bytes, and all headers of the emulator come along."""
    async with session.get(url + LIST + "?page=2") as response:
        served = await response.read()
    direct = cloud.handle(Request("GET", LIST), TOKEN)

    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/client/v4")
    assert (direct.status, direct.body) == (response.status, served)
    assert set(direct.headers) <= {name.lower() for name in response.headers}
    assert '"default";r=1199;t=300' == response.headers["Ratelimit"]
    assert "application/json" == response.headers["Content-Type"]


async def test_answers_carry_what_real_ones_carry(url: str, session: aiohttp.ClientSession) -> None:
    """Three cookies that nobody should keep, and no name of the true server."""
    async with session.get(url + LIST) as response:
        cookies = response.headers.getall("Set-Cookie")

    assert ["__cflb", "__cfruid", "_cfuvid"] == [cookie.split("=")[0] for cookie in cookies]
    assert "cloudflare" == response.headers["Server"]
    assert "no-store" in response.headers["Cache-Control"]


async def test_a_body_arrives(
    cloud: CloudflareEmulator, url: str, session: aiohttp.ClientSession
) -> None:
    """A create over HTTP creates; an empty body is none."""
    body = {"email_domain": "a.example"}
    async with session.post(url + LIST, json=body) as response:
        made = (await response.json())["result"]
    async with session.patch(f"{url}{LIST}/{made['id']}", data=b"") as response:
        assert 200 == response.status

    assert cloud.connector(ACCOUNT, made["id"]).email_domain == "a.example"
    assert [json.dumps(body).encode(), None] == [entry.body for entry in cloud.requests]


async def test_a_client_needs_a_credential(url: str) -> None:
    """Over HTTP nobody is trusted."""
    async with aiohttp.ClientSession() as session, session.get(url + LIST) as response:
        assert 400 == response.status
        assert 9106 == (await response.json())["errors"][0]["code"]


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/client/v4",
        "/client/v4/",
        f"/client/v4{LIST}/",
        f"/client/v4/x/..{LIST}",
        f"/client/v4/accounts/{'%61' * 32}/sso_connectors",
        f"/client/v3{LIST}",
        "http://example.com/client/v4" + LIST,
        "/client/v4/%0d%0a",
        "//client/v4" + LIST,
        "*",
    ],
)
async def test_other_paths_are_not_routed(cloud: CloudflareEmulator, url: str, target: str) -> None:
    """What can't be a path of the API gets the router's answer, unlogged."""
    answer = await raw(url, f"OPTIONS {target} HTTP/1.1")

    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b'"code":7003' in answer
    assert b"cf-ray: " in answer
    assert [] == cloud.requests


async def test_an_odd_method_is_not_routed(url: str) -> None:
    """A method that the library would never send is treated like an odd path."""
    assert (await raw(url, f"M-SEARCH /client/v4{LIST} HTTP/1.1")).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY, 400), (MAX_BODY + 1, 413)])
async def test_the_body_has_a_limit(
    url: str, session: aiohttp.ClientSession, size: int, status: int
) -> None:
    """1 MiB is read, one byte more is refused in an envelope, with what is left of the limit."""
    async with session.post(url + LIST, data=io.BytesIO(b" " * size)) as response:
        assert status == response.status
        assert (await response.json())["success"] is False
        assert "r=1199" in response.headers["Ratelimit"]


async def test_a_large_body_is_refused_in_its_turn(
    url: str, session: aiohttp.ClientSession
) -> None:
    """A path that is not there is told before the size of a body."""
    async with session.post(f"{url}/nowhere", data=io.BytesIO(b" " * (MAX_BODY + 1))) as response:
        assert 404 == response.status


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("deflate", zlib.compress(b"{}" * 100)[:-20] + b"\xff" * 20), ("gzip", b"no gzip")],
)
async def test_a_body_that_cannot_be_unpacked_is_refused(
    url: str,
    session: aiohttp.ClientSession,
    caplog: pytest.LogCaptureFixture,
    encoding: str,
    body: bytes,
) -> None:
    """A broken encoding is the client's fault, in an envelope; nobody logs a traceback."""
    headers = {"Content-Encoding": encoding}
    for _ in range(2):  # a second request must not be sent where nothing is read any more
        async with session.post(url + LIST, data=body, headers=headers) as response:
            assert 400 == response.status
            assert "close" == response.headers["Connection"]
            assert (await response.json())["success"] is False

    assert [] == caplog.records


async def test_a_client_that_goes_away_is_no_failure(
    url: str, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that is lost within a body is not logged."""
    host, port = url.split("/")[2].split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST {url}{LIST} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode())
    async with session.get(url + LIST):  # by now the server has begun to read the body
        writer.transport.abort()
    async with session.get(url + LIST) as response:
        assert 200 == response.status

    assert [] == caplog.records


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"GET /client/v4{LIST} HTTP/1.1\r\nExpect: foo", b"417"),
        ("garbage", b"400"),
        ("GET /\0 HTTP/1.1", b"400"),
        (f"GET {LIST} HTTP/1.1\r\nX-Long: {'x' * 70_000}", b"400"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_what_is_no_http_gets_no_envelope(
    url: str, head: str, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """What aiohttp itself refuses gets plain text; no traceback is logged for it."""
    line, *_, text = (await raw(url, head)).split(b"\r\n")

    assert status == line.split()[1]
    assert not text.startswith(b"{")
    assert [] == caplog.records


async def test_latency_delays_the_answer_only(
    cloud: CloudflareEmulator,
    url: str,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client that gives up has written all the same."""
    handled = asyncio.Event()
    handle = cloud.handle

    def watched(request: Request, headers: Mapping[str, str] | None = None) -> Response:
        handled.set()
        return handle(request, headers)

    monkeypatch.setattr(cloud, "handle", watched)
    cloud.latency = 3600.0
    body = {"email_domain": "a.example"}
    task = asyncio.ensure_future(session.post(url + LIST, json=body))
    async with asyncio.timeout(30):
        await handled.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert 1 == len(cloud.connectors(ACCOUNT))


async def test_a_failure_shows_nothing_of_the_inside(
    cloud: CloudflareEmulator,
    url: str,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug of the emulator is a 500 in an envelope, and a record in the log."""

    def fail(*_args: object) -> Response:
        msg = "secret inside"
        raise RuntimeError(msg)

    monkeypatch.setattr(cloud, "handle", fail)
    async with session.get(url + LIST) as response:
        text = await response.text()

    assert (500, "application/json") == (response.status, response.content_type)
    assert {"code": 20500, "message": "Internal server error"} == json.loads(text)["errors"][0]
    assert "secret inside" in caplog.text


async def test_a_port_can_be_had_once(cloud: CloudflareEmulator, url: str) -> None:
    """A port that is taken is the caller's to know."""
    port = int(url.removesuffix("/client/v4").rpartition(":")[2])

    with pytest.raises(OSError, match="address already in use"):
        async with serving(cloud, port):
            pass


async def test_ipv6_addresses_stand_in_brackets(cloud: CloudflareEmulator) -> None:
    """The URL is one that clients can read."""
    async with serving(cloud, host="::1") as url:
        assert url.startswith("http://[::1]:")
