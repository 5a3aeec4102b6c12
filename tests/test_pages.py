"""What pages and lines of text say, without their markup, however they are made."""

import re
import time

import pytest
from edges import (
    BLOCK_PAGE,
    CHALLENGE_PAGE,
    GATEWAY_PAGE,
    PORTAL_PAGE,
    answer,
)
from hypothesis import given
from hypothesis import strategies as st
from scripted import ACCOUNT, CONNECTOR, ITEM

import cfsso
from cfsso import UNSET, _wire
from cfsso._pages import one_line

READ = _wire.build_list(ACCOUNT)
WRITE = _wire.build_update(CONNECTOR, ACCOUNT, enabled=False, use_fedramp_language=UNSET)
EDGE = "not the API: Cloudflare's edge answered"
PAGE = "not the API: an HTML page answered"
TEXT = "not the API: plain text answered"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("one.example", "one.example"),
        ("one.example<img src=x onerror=alert(1)>", "one.example"),
        ("a\x1b[31m\u202eb", "a\\x1b[31m\\u202eb"),
        ("a&#27;[31mb\n", "a[31mb\\n"),
        (None, "None"),
    ],
)
def test_a_value_of_a_server_as_one_line(value: object, line: str) -> None:
    """What a server wrote is one printable line without tags."""
    assert line == one_line(value)


def error_of(response: cfsso.Response, request: cfsso.Request = WRITE) -> cfsso.CfssoError:
    """Return the error that an answer becomes."""
    with pytest.raises(cfsso.CfssoError) as caught:
        _wire.read(request, response)
    return caught.value


PAGES: dict[str, tuple[int, bytes, str, int | None]] = {
    "blocked": (403, BLOCK_PAGE, f"{EDGE}: Error 1020: Access denied", 1020),
    "502": (502, GATEWAY_PAGE, f"{EDGE}: Error 502: Bad gateway", 502),
    "a challenge": (403, CHALLENGE_PAGE, f"{EDGE}: Just a moment...", None),
    "attention": (
        403,
        b"<title>Attention Required! | Cloudflare</title>",
        f"{EDGE}: Attention Required!",
        None,
    ),
    "a code of its own": (403, b"<h1>Error 1006</h1>", f"{EDGE}: Error 1006", 1006),
    "a status of its own": (
        522,
        b"<title>522: Connection timed out</title>",
        f"{EDGE}: Error 522: Connection timed out",
        522,
    ),
    "a line": (403, b"error code: 1020", f"{EDGE}: Error 1020", 1020),
    "a line with an end": (502, b"error code: 502\n", f"{EDGE}: Error 502", 502),
    "nginx": (
        502,
        b"<html><head><title>502 Bad Gateway</title></head><body><hr>nginx</body></html>",
        f"{PAGE}: 502 Bad Gateway",
        None,
    ),
    "a portal": (200, PORTAL_PAGE, f"{PAGE}: Hotel Nordwind & Sons: log in", None),
    "a proxy that names Cloudflare": (
        403,
        b"<title>ACME: api.cloudflare.com is blocked</title>",
        f"{PAGE}: ACME: api.cloudflare.com is blocked",
        None,
    ),
    "a heading": (403, b"<html><h1> Not\n <i>here</i></h1>", f"{PAGE}: Not here", None),
    "no heading": (403, b"<html><p>Go away", f"{PAGE}: Go away", None),
    "nothing": (403, b"<html>", PAGE, None),
    "nothing in a comment": (403, b"<!-- <title>x</title> -->", PAGE, None),
    "an empty title": (403, b"<title> </title><h1>Blocked</h1>", f"{PAGE}: Blocked", None),
    "XML": (
        403,
        b"<?xml version='1.0'?><Error><Code>Denied</Code></Error>",
        f"{PAGE}: Denied",
        None,
    ),
    "text": (503, b"no healthy upstream", f"{TEXT}: no healthy upstream", None),
    "text with tags": (
        403,
        b"Blocked by <b>ACME</b> &amp; Co",
        f"{TEXT}: Blocked by ACME & Co",
        None,
    ),
    "text of another language": (
        403,
        "gesperrt für Gäste".encode("latin-1"),
        f"{TEXT}: gesperrt",
        None,
    ),
    "an unclosed title": (403, b"<title>x", f"{PAGE}: x", None),
    "a tag in an entity": (403, b"<title>a &lt;b onx=1&gt; c</title>", f"{PAGE}: a c", None),
    "a long number": (403, b"<title>&#" + b"9" * 9999 + b"; x</title>", f"{PAGE}: ; x", None),
    "zeros in a tag": (403, b"<title>a <\0b> c</title>", f"{PAGE}: a c", None),
}


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
@pytest.mark.parametrize(("status", "body", "said", "code"), PAGES.values(), ids=PAGES)
def test_what_pages_say(
    status: int, body: bytes, said: str, code: int | None, request_: cfsso.Request
) -> None:
    """A page is told by its title and by the code of Cloudflare's error, and never by its tags."""
    error = error_of(answer(status, body), request_)

    assert str(error).startswith(f"{status} from {request_}: {said}")
    assert error.edge
    assert ([] if code is None else [code]) == [item.code for item in error.errors]
    shown = [str(error), error.title, error.detail, *(item.message for item in error.errors)]
    assert not any(re.search(r"<[a-zA-Z/!?]", text) for text in shown)


def test_a_page_has_a_ray_id() -> None:
    """The ray id of a page counts where no header has it."""
    assert "9f03c1d2ab47e6f5" == error_of(answer(403, BLOCK_PAGE)).ray_id
    assert "other" == error_of(answer(403, BLOCK_PAGE, cf_ray="other")).ray_id


@pytest.mark.parametrize("headers", [{"cf_ray": "x"}, {"server": "Cloudflare"}], ids=str)
def test_a_page_by_way_of_cloudflare(headers: dict[str, str]) -> None:
    """The API writes no pages, so one that came by way of Cloudflare is its edge's."""
    error = error_of(answer(403, b"<title>No</title>", **headers))

    assert str(error).endswith(f"{EDGE}: No")


@pytest.mark.parametrize("body", [b"", b"<title>Just a moment...</title>", b"wait"], ids=str)
def test_a_challenge_is_of_the_edge(body: bytes) -> None:
    """A challenge is told by its header, whatever its body."""
    error = error_of(answer(403, body, cf_mitigated="challenge"))

    assert error.edge
    assert f"403 from PATCH {ITEM}: stopped by a challenge of Cloudflare's firewall" in str(error)


@pytest.mark.parametrize("kind", ["text/html", "Text/HTML; charset=x"])
def test_a_page_by_its_type(kind: str) -> None:
    """What is sent as a page is one, even if it begins with text."""
    assert f"{PAGE}: Blocked" in str(error_of(answer(403, b"Blocked", content_type=kind)))


def test_json_counts_whatever_its_type() -> None:
    """An envelope that is sent as a page is the API's all the same."""
    body = b'{"success": false, "errors": [{"code": 1003, "message": "no"}]}'
    error = error_of(answer(403, body, content_type="text/html"))

    assert str(error).endswith(": 1003 no")
    assert not error.edge


# Each of them is nearly as large as an answer may be.
HOSTILE: dict[str, bytes] = {
    "tags": b"<a" * 500_000,
    "titles": b"<title>" * 149_000,
    "scripts": b"<script>" * 130_000,
    "comments": b"<!--" * 260_000,
    "ends": b"</title " * 130_000,
    "open": b"<title" + b"<" * 1_000_000,
    "entities": b"&lt;" * 260_000,
    "numbers": b"<title>&#" + b"9" * 1_000_000,
    "headings": b"<h1><h2>" * 130_000,
    "empty headings": b"<h1></h1>" * 116_000,
    "space": b" " * 1_000_000 + b"<title>x",
    "deep": b'{"a":' * 200_000,
    "digits": b"1" * 1_000_000,
    "quotes": b'<"' * 500_000,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_no_page_takes_long(body: bytes) -> None:
    """However a large page is made, it is read in no time and told in a short line."""
    begun = time.process_time()
    error = error_of(answer(403, body))

    assert time.process_time() - begun < 3.0
    assert len(error.title) <= 200
    assert len(str(error)) < 1000


@given(
    st.lists(
        st.sampled_from(
            [
                "<",
                ">",
                "</",
                "<!--",
                "-->",
                "<title>",
                "</title>",
                "<script>",
                "</script>",
                "&lt;",
                "&gt;",
                "&amp;",
                "&#60;",
                "&#x3c;",
                "&",
                ";",
                "b",
                " ",
                "\0",
                "'",
                '"',
                "<h1>",
            ]
        )
    )
)
def test_no_page_leaves_a_tag(parts: list[str]) -> None:
    """Of whatever pieces a page is made, nothing that is told has a tag."""
    for body in ("".join(parts), "<html>" + "".join(parts)):
        error = error_of(answer(403, body.encode()))
        for text in (str(error), error.title, error.detail):
            assert not re.search(r"<[a-zA-Z/!?]", text)
