"""Odd requests over a real port: each gets an answer that blames the client, and no traceback."""

import asyncio
import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cfsso.emulator import CloudflareEmulator
from cfsso.emulator.http import serving

ACCOUNT, CONNECTOR = "a" * 32, "c" * 32
STATE = {"accounts": {ACCOUNT: {"connectors": [{"id": CONNECTOR, "email_domain": "a.example"}]}}}
LIST = f"/client/v4/accounts/{ACCOUNT}/sso_connectors"
ITEM = f"{LIST}/{CONNECTOR}"

ODD_BYTES = st.binary(max_size=40).map(lambda odd: odd.translate(None, b"\r\n"))
METHODS = st.sampled_from(
    [
        *(b"GET", b"POST", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT"),
        *(b"PRI", b"get", b"M-SEARCH", b"X" * 9000, b"\xff"),
    ]
)
TARGETS = st.sampled_from(
    [
        *(LIST, ITEM, f"{ITEM}/begin_verification", "*", "/", "//", "http://[", "a:b"),
        f"{LIST}?page=%ff&{'x=1&' * 50}",
        f"{LIST}/%00",
        f"{LIST}/../{'x' * 40}",
        f"/client/v4/accounts/{ACCOUNT}/tokens/verify",
        "/client/v4/user/tokens/verify",
        "/client/v4/" + "x" * 9000,
    ]
).map(str.encode) | ODD_BYTES.map(lambda odd: b"/client/v4/" + odd)
AUTHORIZATIONS = st.sampled_from([b"Bearer t0ken", b"Bearer ", b"Basic x", b"\xff\xfe"]) | ODD_BYTES
HEADERS = st.lists(
    st.sampled_from(
        [
            *(b"X-Auth-Key: x", b"X-Long: " + b"x" * 7000, b"X-Longer: " + b"x" * 70_000),
            *(b"Content-Encoding: gzip", b"Content-Encoding: deflate", b"Content-Encoding: x"),
            *(b"Expect: 100-continue", b"Expect: foo", b"Upgrade: websocket", b"Cookie: a=\xff"),
            *(b"Transfer-Encoding: chunked", b"Content-Length: -1", b"Content-Length: 7"),
            *(b"Range: bytes=0-", b"If-Match: x", b"Accept: \xff", b"Content-Type: x; charset=y"),
            *(b": no name", b"no colon", b"Host: y", b"X-Nul: \0"),
        ]
    )
    | ODD_BYTES.map(lambda odd: b"X-Odd: " + odd),
    max_size=3,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
BODIES = (
    st.sampled_from(
        [
            b"",
            b"[" * 100_000,
            b'{"enabled":' * 50_000,
            b'{"x":' + b"[" * 2000 + b"]" * 2000 + b"}",
            b'{"enabled":true,"enabled":false}',
            b'{"email_domain":"a.example","email_domain":"b.example"}',
            rb'{"email_domain":"\ud800.example"}',
            rb'{"email_domain":"\ud800\udfff"}',
            b'{"email_domain":"\xff\xfe"}',
            b'\xef\xbb\xbf{"enabled":true}',
            b'{"enabled":' + b"9" * 10_000 + b"}",
            b'{"enabled":NaN}',
            b'{"email_domain":"' + b"a." * 5000 + b'"}',
            '{"email_domain":"\N{LATIN SMALL LETTER SHARP S}\0.example"}'.encode(),
            b"x" * (1024 * 1024 + 1),
        ]
    )
    | st.binary(max_size=100)
    | st.dictionaries(
        st.sampled_from(["email_domain", "begin_verification", "enabled", "use_fedramp_language"]),
        JSON,
    ).map(lambda value: json.dumps(value).encode())
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Draw a request of which some parts are odd, so that the others are looked at, too."""
    parts = ["method", "target", "token", "headers", "version"]
    odd = draw(st.sets(st.sampled_from(parts), max_size=2))
    method = draw(METHODS if "method" in odd else st.sampled_from([b"POST", b"PATCH", b"GET"]))
    right = st.sampled_from([ITEM, LIST, f"{ITEM}/begin_verification"]).map(str.encode)
    target = draw(TARGETS if "target" in odd else right)
    version = draw(st.sampled_from([b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b""]))
    body = draw(BODIES)
    headers = [
        b"Host: x",
        b"Connection: close",
        b"Authorization: " + (draw(AUTHORIZATIONS) if "token" in odd else b"Bearer t0ken"),
        b"Content-Length: %d" % len(body),
        *(draw(HEADERS) if "headers" in odd else ()),
    ]
    line = b"%b %b %b" % (method, target, version if "version" in odd else b"HTTP/1.1")
    return b"\r\n".join([line, *headers, b"", body])


async def answered(url: str, request: bytes) -> bytes:
    """Send *request*, and return what was answered, if anything was."""
    host, port = url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionError:
        # It was refused before it was read.
        return b""
    finally:
        writer.close()


@given(st.lists(requests(), min_size=1, max_size=8))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_odd_request_is_the_server_s_failure(
    caplog: pytest.LogCaptureFixture, odd: list[bytes]
) -> None:
    """Odd methods, headers and bodies get less than 500, and the next request its answer."""
    cloud = CloudflareEmulator.from_state(STATE, rate_limit=None)
    caplog.clear()

    async def main() -> list[bytes]:
        async with serving(cloud) as url:
            answers = [await answered(url, request) for request in odd]
            right = f"GET {LIST} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer t\r\n\r\n"
            return [*answers, await answered(url, right.encode())]

    *answers, last = asyncio.run(main())

    for request, answer in zip(odd, answers, strict=True):
        status = answer.split(b"\r\n")[0].split()[1:2]
        assert status < [b"500"], request[:200]
        assert b"Traceback" not in answer
    assert [] == [entry for entry in caplog.records if entry.levelno >= logging.WARNING]
    assert last.startswith((b"HTTP/1.0 200 ", b"HTTP/1.1 200 "))
