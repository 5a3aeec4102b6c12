"""Odd answers: true ones, changed as no server of this API would change them."""

import base64
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final
from urllib.parse import quote

import attrs

import cfsso

# It stands in no text of ours, and its forms are told from each other by their looks.
TOKEN: Final = "Fz7_odd-TOKEN.canary+9/xQ=3kWvLm2RtYpSb8"
# Markup of what a server says, and of what it has.
SAID: Final = "<script>alert('said')</script>"
HAS: Final = "<img src=x onerror=alert('has')>"

TIMES: Final = (
    *("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59"),
    *("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59"),
    *("2016-12-31T23:59:60Z", "2026-03-04T24:00:00Z", "2026-02-30T00:00:00Z", "2026-03-04"),
    *("2026-03-04T11:00:09", "2026-03-04T11:00:09+00:00:30", "2026-03-04T11:00:09.5-12:34:56"),
    *("2026-03-04T11:00:09.123456789Z", "20260304T110009Z", "2026-W10-3T00:00:00Z", "now", ""),
    *(
        "+10000-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "1772622009",
        "2026-03-04T11:00:09\u017fZ",
    ),
)
TEXTS: Final = (
    *(
        "",
        " ",
        "\x00",
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "a\r\nb: c",
        "a\tb",
        "\x7f\x9b31m",
    ),
    *(
        "\u202eexe.gnp",
        "\u2066a\u2069",
        "\u200b\ufeff",
        "\ud800",
        "a\udfffb",
        "\U0001f600",
        "é" * 50,
    ),
    *(
        "true",
        "null",
        "x" * 5000,
        "%s %d {0} {x}",
        "[red]red[/red]",
        "[/]",
        "[link=http://x]y[/link]",
    ),
    *(
        "=cmd|' /C calc'!A0",
        "../../etc/passwd",
        "a" * 63 + ".example",
        "-rf",
        "&amp;",
        "\u2028\u2029",
    ),
)


@attrs.frozen
class Raw:
    """Text that stands in JSON as it is, though no value is written so."""

    text: str


NUMBERS: Final = (
    *map(Raw, ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "1" + "0" * 400)),
    *map(Raw, ("1E400", "-0", "0.1e-400", "00", "+1", "0x10", "1_000", "٣")),
    *(0, -1, 1, 2**31, 2**63, 2**64, 10**30, 1.5, -0.0),
)
DEEP: Final = (
    *(Raw("[" * depth + "]" * depth) for depth in (100, 990, 5000, 100_000)),
    *(Raw('{"a":' * depth + "1" + "}" * depth) for depth in (100, 990, 5000)),
    Raw("[" * 100_000),
)
STATUSES: Final = (
    *(100, 101, 102, 103, 199, 200, 201, 202, 203, 204, 205, 206, 226, 299),
    *(300, 301, 302, 303, 304, 305, 307, 308, 399),
    *(400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 418, 421),
    *(422, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 511),
    *(520, 521, 522, 523, 524, 525, 526, 527, 529, 530, 598, 599, 600, 700, 999),
)
HEADERS: Final = {
    "retry-after": (
        *(
            "0",
            "1",
            "-1",
            "nan",
            "inf",
            "1e9",
            "999999",
            "1000000",
            "9" * 400,
            "1_0",
            "٣",
            "",
            " 5 ",
        ),
        *("Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "Thu, 01 Jan 1970"),
        *("Wed, 04 Mar 2026 11:00:09 +9999", "Sun, 06 Nov 94 08:49:37 -0000", "1, 2", "1;x"),
    ),
    "date": (
        *("Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "yesterday", "", "0"),
        *("Wed, 04 Mar 2026 11:00:09 -9999", "Thu, 30 Feb 2026 00:00:00 GMT", "Wed, 04 Mar 99999"),
        "Wed, 04 Mar 2026 23:59:60 GMT",
    ),
    "ratelimit": (
        *('"default";r=0;t=300', '"default";r=0;t=999999', '"default";r=-1;t=5', "default", ""),
        *('"default";r=99999999999;t=1', '"a";r=1;t=2, "b";r=0', '"a";r=0;t=', '"' * 200, ";;;"),
    ),
    "ratelimit-policy": ('"default";q=0;w=300', '"default";q=1;w=1', '"a";q=9999999999999', "x"),
    "cf-ray": ("", "x" * 3000, "8a1b-FRA\x1b[31m", SAID, "ray\u202e", "-"),
    "location": ("https://elsewhere.example/" + SAID, "//x", "/", "http://[::1", "javascript:1"),
    "cf-mitigated": ("challenge", "block", SAID, ""),
    "content-type": (
        *("text/html", "application/problem+json", "application/json; charset=utf-16", "", "/"),
        *("application/json; charset=klingon", SAID, "text/plain; charset=idna", "image/png"),
    ),
    "server": ("cloudflare", "squid/3", SAID),
    "set-cookie": ("a=b", f"token={TOKEN}"),
    "link": ("<https://x>; rel=next", SAID),
    "x-odd": ("é", "\t", "a, b", "x" * 3000),
    "www-authenticate": ("Basic realm=" + SAID, "Bearer", ""),
}


def token_forms() -> Iterator[str]:
    """Yield the token in the forms in which a server may repeat it."""
    yield TOKEN
    yield f"Bearer {TOKEN}"
    yield quote(TOKEN, safe="")
    yield quote(TOKEN)
    for prefix in ("", "a", "ab", "Bearer "):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(f"{prefix}{TOKEN}".encode()).decode()
            yield encode(f"{prefix}{TOKEN}xyz".encode()).decode().rstrip("=")
    yield TOKEN.replace("/", "\\/")
    yield "".join(f"&#{ord(char)};" for char in TOKEN)
    yield TOKEN.replace("+", "&#43;").replace("/", "&#x2F;").replace("=", "&#61;")


def escaped_token(random: Random) -> Raw:
    """Return the token as text of JSON, with some of its characters escaped."""
    rate = random.choice([0.1, 0.5, 1.0])
    text = "".join(f"\\u{ord(char):04x}" if random.random() < rate else char for char in TOKEN)
    return Raw(f'"told: {text}."')


class Odd:
    """
    Changes answers.

    Args:
        random: Decides how.
        rate: Of how many.
        tells: Whether it may repeat the token.

    Attributes:
        count: How many were changed.
    """

    def __init__(self, random: Random, *, rate: float, tells: bool = False) -> None:
        self._random = random
        self._rate = rate
        self._tells = tells
        self.count = 0

    def __call__(self, response: cfsso.Response) -> cfsso.Response:
        """Return *response*, or what is made of it."""
        if self._random.random() >= self._rate:
            return response
        self.count += 1
        random = self._random
        status, headers, body = response.status, dict(response.headers), response.body
        if random.random() < 0.25:
            status = random.choice([*STATUSES, random.randrange(100, 1000)])
        while random.random() < 0.35:
            name = random.choice([*HEADERS])
            headers[name] = self._told(random.choice(HEADERS[name]), of=0.15)
        if random.random() < 0.85:
            body = self._body(body, status)
        return cfsso.Response(status, headers, body)

    def _told(self, text: str, *, of: float) -> str:
        if not self._tells or self._random.random() >= of:
            return text
        form = self._random.choice([*token_forms()])
        return f"{text[:20]} {form} {text[20:40]}"

    def _body(self, body: bytes, status: int) -> bytes:
        random = self._random
        kind = random.choices(
            [self._json, self._raw, self._page, self._problem, self._failure], [8, 3, 1, 2, 3]
        )
        return kind[0](body, status)

    def _json(self, body: bytes, _status: int) -> bytes:
        """Change some members of the answer."""
        try:
            value: Any = json.loads(body)
        except ValueError:
            value = {"success": True, "errors": [], "messages": [], "result": None}
        for _ in range(self._random.choice([1, 1, 2, 3, 5])):
            value = self._changed(value)
        return self._bytes(value)

    def _changed(self, value: Any) -> Any:
        """Return *value* with one member of it changed, wherever it is."""
        random = self._random
        if isinstance(value, dict) and value and random.random() < 0.85:
            name = random.choice([*value])
            if random.random() < 0.15:
                return {**value, self._text(): self._odd()}
            if random.random() < 0.1:
                return {key: each for key, each in value.items() if key != name}
            return {**value, name: self._member(name, value[name])}
        if isinstance(value, list) and value and random.random() < 0.85:
            place = random.randrange(len(value))
            return [*value[:place], self._changed(value[place]), *value[place + 1 :]]
        return self._odd()

    def _member(self, name: str, value: Any) -> Any:
        random = self._random
        if name.endswith("_on") and random.random() < 0.7:
            return random.choice(TIMES)
        if name in {"errors", "messages"} and random.random() < 0.7:
            return self._items()
        if isinstance(value, dict | list) and random.random() < 0.8:
            return self._changed(value)
        if isinstance(value, str) and random.random() < 0.3:
            return value + self._text()
        return self._odd()

    def _odd(self) -> Any:
        random = self._random
        kinds: list[Callable[[], Any]] = [
            lambda: random.choice([None, True, False, [], {}, [None], [[]], {"": {}}]),
            lambda: random.choice(NUMBERS),
            self._text,
            lambda: random.choice(TIMES),
            lambda: random.choice(DEEP),
            lambda: {self._text(): random.choice(NUMBERS), "id": self._text()},
            self._items,
        ]
        return random.choices(kinds, [4, 3, 5, 2, 1, 1, 1])[0]()

    def _text(self) -> Any:
        random = self._random
        if self._tells and random.random() < 0.4:
            return self._token()
        return random.choice([*TEXTS, HAS])

    def _token(self) -> str:
        return f"told: {self._random.choice([*token_forms()])}."

    def _items(self) -> Any:
        """Return ``errors`` or ``messages``."""
        random = self._random
        item: dict[str, Any] = {
            "code": random.choice([1000, 10000, 6003, 9106, 20006, "10001", None, *NUMBERS]),
            "message": random.choice([SAID, f"no {SAID} here", self._text(), self._text()]),
            "documentation_url": random.choice(["https://x.example/" + SAID, self._text(), None]),
        }
        if random.random() < 0.3:
            item["error_chain"] = random.choice(
                [[dict(item)], {}, self._text(), [[[]]], [{"message": SAID}]]
            )
        if random.random() < 0.3:
            item["source"] = random.choice([{"pointer": self._text()}, {"pointer": 5}, [], SAID])
        if random.random() < 0.3:
            item["meta"] = self._odd()
        if self._tells and random.random() < 0.3:
            item["message"] = escaped_token(random)
        return random.choice([[item], [item, SAID, None, 5], item, SAID, [item] * 30])

    def _failure(self, _body: bytes, _status: int) -> bytes:
        found = {
            "success": False,
            "errors": self._items(),
            "messages": self._items(),
            "result": None,
        }
        return self._bytes(self._changed(found) if self._random.random() < 0.3 else found)

    def _problem(self, _body: bytes, status: int) -> bytes:
        """Return a body of the edge (RFC 9457)."""
        random = self._random
        found: dict[str, Any] = {
            "type": "https://developers.cloudflare.com/x" + random.choice(["", SAID]),
            "title": random.choice(["Error 1020: Access denied", SAID, self._text()]),
            "status": random.choice([status, 0, "403", *NUMBERS[:4]]),
            "detail": random.choice(["You are blocked.", f"a {SAID} b", self._text()]),
            "instance": self._text(),
            "error_code": random.choice([1020, 1015, 525, 526, "1020", *NUMBERS]),
            "error_name": self._text(),
            "error_category": self._text(),
            "ray_id": random.choice(["8a1b2c3d4e5f6789", SAID, self._text()]),
            "timestamp": random.choice(TIMES),
            "zone": self._text(),
            "cloudflare_error": random.choice([True, False, "yes"]),
            "retryable": random.choice([True, False, None, "no", 1]),
            "retry_after": random.choice([0, 5, 30, "30", -1, 1e9, *NUMBERS]),
            "owner_action_required": random.choice([True, False, None]),
            "what_you_should_do": f"**do** {SAID}",
        }
        for name in random.sample([*found], random.randrange(8)):
            del found[name]
        if random.random() < 0.3:
            found = self._changed(found)
        return self._bytes(found)

    def _page(self, _body: bytes, status: int) -> bytes:
        random = self._random
        title = random.choice([f"{status} Bad gateway", SAID, self._text(), "Just a moment..."])
        page = f"<!DOCTYPE html>\n<html><head><title>{title}</title>{SAID}</head>"
        page += f"<body><h1>{title}</h1>"
        page += f"Error 1020 Ray ID: 8a1b2c3d4e5f6789 {self._told('', of=0.5)}</body></html>"
        page = random.choice([page, page.upper(), page[: random.randrange(len(page))], page * 40])
        return page.encode(random.choice(["utf-8", "latin-1", "utf-16"]), "replace")

    def _raw(self, body: bytes, _status: int) -> bytes:
        """Change bytes, not members."""
        random = self._random
        text = body.decode("utf-8", "replace")
        cut = random.randrange(len(body) + 1)
        ways: list[Callable[[], bytes]] = [
            lambda: b"\xef\xbb\xbf" + body,
            lambda: text.encode(random.choice(["utf-16", "utf-16-be", "utf-32", "cp500"])),
            lambda: body[:cut],
            lambda: body[:cut] + bytes([random.randrange(256)]) + body[cut + 1 :],
            lambda: body[:cut] + random.randbytes(random.randrange(9)) + body[cut:],
            lambda: random.randbytes(random.randrange(200)),
            lambda: random.choice(
                [b"", b" ", b"null", b"[]", b"{}", b"0", b'""', b"NaN", b"{", b"\x00"]
            ),
            lambda: body + body,
            lambda: body.replace(b'"success":true', b'"success":true,"success":false'),
            lambda: body.replace(b'"enabled"', b'"enabled":true,"enabled"'),
            lambda: body.replace(b'"id"', b'"id":1,"id"'),
            lambda: body.replace(b",", b",,", 1),
            lambda: self._told(SAID * 3, of=0.5).encode(),
            lambda: f'"{self._told("", of=0.9)}'.encode() + body,
        ]
        return random.choice(ways)()

    def _bytes(self, value: Any) -> bytes:
        text = _json_text(value)
        if self._tells and self._random.random() < 0.1:
            text += self._token()
        # Half a surrogate pair is no text, but goes as bytes.
        return text.encode("utf-8", "surrogatepass" if self._random.random() < 0.5 else "replace")


def _json_text(value: Any) -> str:
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        members = (f"{_json_text(str(name))}:{_json_text(each)}" for name, each in value.items())
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_json_text, value))}]"
    if isinstance(value, str):
        # As it is or escaped: half a pair can stand in JSON in both ways.
        return json.dumps(value, ensure_ascii=len(value) % 2 == 0)
    return json.dumps(value)
