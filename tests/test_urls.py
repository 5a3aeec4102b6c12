"""Where a token may be sent."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

import pytest
import yarl
from hypothesis import example, given
from hypothesis import strategies as st

import cfsso
from cfsso.transports._urls import BASE_URL, checked_base_url


@pytest.mark.parametrize(
    ("expected", "url"),
    [
        (BASE_URL, "https://api.cloudflare.com/client/v4"),
        (BASE_URL, "https://api.cloudflare.com/client/v4/"),
        ("https://api.fed.cloudflare.com", "https://api.fed.cloudflare.com/"),
        ("https://api.cloudflare.com", "HTTPS://API.Cloudflare.com"),
        ("https://gateway:8443/a/b-c_d.e~f", "https://gateway:8443/a/b-c_d.e~f"),
        ("https://192.0.2.1", "https://192.0.2.1"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("http://127.0.0.1:8080/client/v4", "http://127.0.0.1:8080/client/v4"),
        ("http://127.9.9.9", "http://127.9.9.9/"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("http://localhost", "http://localhost"),
        (BASE_URL, "hTTps://api.Cloudflare.COM:443/client/v4"),
        ("https://[2001:db8::1]", "https://[2001:DB8:0:0::1]:443/"),
        ("http://127.0.0.1", "HTTP://127.0.0.1:080"),
        ("http://localhost:65535", "http://LocalHost:65535"),
    ],
)
def test_urls_that_a_token_may_be_sent_to(expected: str, url: str) -> None:
    """Https to any host and http to this machine are taken, each server in one spelling."""
    assert expected == checked_base_url(url)


PLAIN = "must be plain ASCII without userinfo, query, fragment, spaces or escapes"
HOST = "must name a host such as api.cloudflare.com"
SCHEME = "must start with https:// (http:// is for this machine only)"
UNREADABLE = "has a host or port that can't be read"
PORT = "has a port that can't be used"
PATH = "has a path with empty or dot segments"


@pytest.mark.parametrize(
    ("said", "url"),
    [
        *((f"must be a str, not {type(v).__name__}", v) for v in [None, 7, b"https://a.example"]),
        *((PLAIN, url) for url in ["", "https://api.cloudflare.com@a/", "https://u:p@a"]),
        *((PLAIN, f"https://a.example{end}") for end in ["?a=b", "?", "#a", "#", " ", "/%2e"]),
        *((PLAIN, f"https://a{char}b.example") for char in "\t\r\n\0\\%\u0430\uff20"),
        (PLAIN, "https://" + "a" * 2048),
        *((HOST, url) for url in ["https://", "https:///x", "https:a.example", "/client/v4", "x"]),
        *((HOST, f"https://{host}") for host in [".", "a.example.", ".a", "a..b", "-a.b", "a-.b"]),
        *((HOST, f"https://{host}") for host in ["a_b.example", f"{'a' * 64}.b", "~"]),
        *((HOST, f"http://{host}/") for host in ["2130706433", "0x7f000001", "0x7f.1", "127.1"]),
        *((HOST, f"https://{host}") for host in ["1.2.3.4.5", "a.0x", "01.02.03.04", "1"]),
        # Newer versions of Python can't read these at all.
        *(("", f"http://{host}/") for host in ["a.example[::1]", "[::1]a.example", "[::1]x:80"]),
        (HOST, "https://[v1.abc]/"),
        *((SCHEME, f"{s}://a.example") for s in ["http", "ftp", "ws", "file", "https.x"]),
        *((SCHEME, f"http://{host}") for host in ["192.0.2.1", "10.0.0.1", "0.0.0.0", "[::]"]),
        *((SCHEME, f"http://{host}") for host in ["[2001:db8::1]", "localhost.a.example", "local"]),
        (SCHEME, "//a.example"),
        *((UNREADABLE, f"https://{host}") for host in ["[::1", "a]", "a:b", "a:65536", "[::g]"]),
        *((UNREADABLE, f"https://{host}") for host in ["a:b:80", "a:-1", "::1"]),
        *((PORT, f"https://a.example:{end}") for end in ["", "/", "0", "00/x"]),
        *((PATH, f"https://a.example{path}") for path in ["//", "//b", "/a//b", "/.", "/.."]),
        *((PATH, f"https://a.example{path}") for path in ["/a/.", "/./a", "/a/../b", "/[", "/a:b"]),
    ],
    ids=lambda value: ascii(value)[:50],
)  # fmt: skip
def test_urls_that_a_token_may_not_be_sent_to(said: str, url: Any) -> None:
    """Every other URL is refused with the reason, in a short line."""
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        checked_base_url(url)

    assert str(caught.value).startswith(f"base_url {said}")
    assert len(str(caught.value)) < 200


def test_userinfo_is_not_repeated() -> None:
    """A password in a URL does not get into the refusal."""
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        checked_base_url("https://user:canary@a.example/")

    assert "canary" not in str(caught.value)


MARKS = [
    "://",
    ":",
    "/",
    "//",
    ".",
    "..",
    "@",
    "[",
    "]",
    "?",
    "#",
    "%",
    "\\",
    " ",
    "\t",
    "\n",
    "-",
    "_",
]
HOSTS = ["[::1]", "::1", "localhost", "127.0.0.1", "evil.example", "api", "v1.a", "é", "\u0430"]
OTHERS = ["https", "http", "80", "0", "0x7f", "~"]
crooked = st.lists(st.sampled_from(MARKS + HOSTS + OTHERS), max_size=12).map("".join)


@given(
    st.one_of(crooked, crooked.map("https://".__add__), crooked.map("http://".__add__), st.text())
)
@example("http://evil.example[::1]/")
@example("http://[::1]evil.example/")
@example("https://[v1.a]")
def test_every_parser_reads_what_is_accepted_alike(text: str) -> None:
    """A URL that is accepted leads to one host for every parser, by https or on this machine."""
    try:
        url = checked_base_url(text)
    except cfsso.InvalidRequestError:
        return

    host = urlsplit(url).hostname
    assert host
    for parsed in (yarl.URL(url + "/accounts", encoded=True), yarl.URL(url + "/accounts")):
        assert host == parsed.host
        assert urlsplit(url).port == parsed.explicit_port
        assert urlsplit(url).path + "/accounts" == parsed.raw_path
        assert ("", "", None) == (parsed.query_string, parsed.fragment, parsed.user)
        if parsed.scheme != "https":
            assert "http" == parsed.scheme
            assert host == "localhost" or ipaddress.ip_address(host).is_loopback
