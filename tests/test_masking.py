"""A secret that a server repeats, in whatever form, is taken out of what it said."""

import asyncio
import base64
import json
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from raw_sockets import http, raw_server, read_request

import cfsso
from cfsso.transports._call import Call
from cfsso.transports._masking import LEAST, MASKED, Masker

TOKEN = "canary/Token+" + "q7Zk" * 9
ACCOUNT = "a" * 32
LIST = cfsso.Request("GET", f"/accounts/{ACCOUNT}/sso_connectors")

# What an escape makes of one character.
ESCAPES: list[Callable[[str], str]] = [
    lambda c: c,
    lambda c: f"%{ord(c):02x}",
    lambda c: f"%{ord(c):02X}",
    lambda c: f"%25{ord(c):02X}",
    lambda c: f"\\u{ord(c):04x}",
    lambda c: f"\\u{ord(c):04X}",
    lambda c: f"\\\\u{ord(c):04x}",
    lambda c: f"\\x{ord(c):02x}",
    lambda c: f"&#{ord(c)};",
    lambda c: f"&#0{ord(c)};",
    lambda c: f"&#x{ord(c):x};",
    lambda c: f"&#X{ord(c):X}",
    lambda c: f"&amp;#x{ord(c):x};",
    lambda c: f"\\u0026#{ord(c)};",
    lambda c: f"\\u0025{ord(c):02x}",
    lambda c: f"%26%23{ord(c)}%3B",
    lambda c: f"%5Cu{ord(c):04x}",
    lambda c: {"/": "\\/", '"': '\\"', "\\": "\\\\"}.get(c, c),
    lambda c: {"/": "&sol;", "+": "&plus;", "<": "&lt;", "&": "&amp;"}.get(c, c),
]


def within_base64(token: str, before: bytes, *, url_safe: bool) -> str:
    """Return base64 of the token after some bytes."""
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    return encode(before + token.encode() + b" and more").decode()


def cores(token: str) -> list[str]:
    """Return the parts of base64 that tell the token, wherever it begins."""
    found = []
    for before in range(3):
        whole = (before + len(token)) * 8 // 6
        core = base64.b64encode(bytes(before) + token.encode()).decode()[(0, 2, 3)[before] : whole]
        found += [core, core.translate(str.maketrans("+/", "-_"))]
    return found


forms = st.one_of(
    st.just(TOKEN),
    st.builds(within_base64, st.just(TOKEN), st.binary(max_size=8), url_safe=st.booleans()),
)


@given(st.text(max_size=20), forms, st.data(), st.text(max_size=20))
def test_a_secret_in_any_form(before: str, form: str, data: st.DataObject, after: str) -> None:
    """Escaped whole, in part or not at all, in a text of any kind: nothing of it is left."""
    kinds = data.draw(st.lists(st.sampled_from(ESCAPES), min_size=1, max_size=4))
    picks = data.draw(st.lists(st.sampled_from(kinds), min_size=len(form), max_size=len(form)))
    spelled = "".join(kind(char) for kind, char in zip(picks, form, strict=True))
    body = f"{before}{spelled}{after}".encode(errors="surrogatepass")

    found = Masker(TOKEN).mask(body)

    assert MASKED.encode() in found
    assert spelled.encode() not in found
    # Whoever undoes the escapes finds nothing either.
    plain = found.decode(errors="surrogatepass")
    for text in (plain, urllib.parse.unquote(plain)):
        assert not [form for form in [TOKEN, *cores(TOKEN)] if form in text]


@given(forms, st.integers(16, 40), st.sampled_from(["", "…", '", "code": 1}', " is cut", "}"]))
@example(TOKEN, 39, "")
def test_a_secret_that_is_cut(form: str, length: int, after: str) -> None:
    """Its beginning is masked where an answer ends in it or shortens it; what follows is kept."""
    start = max(form.find(core[:16]) for core in [TOKEN, *cores(TOKEN)])
    begun = form[start : start + length]

    assert f"so: {form[:start]}{MASKED}{after}" == Masker(TOKEN).text(
        f"so: {form[:start]}{begun}{after}"
    )


@settings(max_examples=20)
@given(st.text(alphabet=[chr(code) for code in range(0x21, 0x7F)], min_size=LEAST, max_size=60))
@example("\\" * 8)
@example("%41%42%43")
@example("&amp;&amp;")
@example("~" * 30)
def test_every_token(token: str) -> None:
    """A token of any characters is found as it is, in JSON, in a URL, in HTML and in base64."""
    masker = Masker(token)
    for text in (
        f"a {token} b",
        json.dumps({"a": token}),
        json.dumps(json.dumps({"a": token})),
        f"a={urllib.parse.quote(token, safe='')}&b",
        "".join(f"&#x{ord(char):x};" for char in token),
        base64.b64encode(f"Bearer {token}".encode()).decode(),
    ):
        found = masker.text(text)
        assert MASKED in found
        assert token not in found.replace(MASKED, "")


@given(st.binary(max_size=300))
@example(b'{"url": "https:\\/\\/a.example\\/?a=%2B&amp;b=%41", "n": "\\u00fc\\u0041"}')
def test_what_is_no_secret(body: bytes) -> None:
    """What has nothing to do with a secret stays as it is, byte for byte."""
    assert body == Masker(TOKEN).mask(body)


@pytest.mark.parametrize("short", ["", "t", "token", "s" * (LEAST - 1)])
def test_what_is_short(short: str) -> None:
    """What may be a word is let through."""
    body = b'{"message": "the token \\u0074oken t is sssssss"}'
    assert body == Masker(short).mask(body)


@pytest.mark.parametrize("length", [LEAST, 24, 25, 400, 4096])
def test_what_is_long(length: int) -> None:
    """A secret of any length goes as a whole, and what follows stays."""
    token = ("q7Zk" * length)[:length]
    spelled = "%71" + token[1:]
    assert f"a {MASKED} after" == Masker(token).text(f"a {spelled} after")


def test_bytes_beyond_ascii() -> None:
    """A password may be of any characters."""
    password = "pässwörd-ß"
    masker = Masker(password)
    assert MASKED == masker.text(password) == masker.text(urllib.parse.quote(password))


def test_repr() -> None:
    """What knows the secrets shows none."""
    assert "Masker(***)" == repr(Masker(TOKEN))


class Kept:
    """A sink that keeps what it is fed."""

    def __init__(self) -> None:
        self.content = b""

    def feed(self, chunk: bytes) -> None:
        """Keep *chunk*."""
        self.content += chunk

    def close(self) -> bytes:
        """Return all of it."""
        return self.content


@given(
    st.lists(st.one_of(st.binary(max_size=3000), st.just(TOKEN.encode())), max_size=6),
    st.sampled_from(ESCAPES),
    st.integers(1, 4000),
)
def test_pieces(parts: list[bytes], escape: Callable[[str], str], size: int) -> None:
    """Wherever the pieces of an answer end, its sink gets no secret, and all the rest."""
    spelled = "".join(map(escape, TOKEN)).encode()
    body = b"|".join(spelled if part == TOKEN.encode() else part for part in parts)
    masker = Masker(TOKEN)
    sink = masker.around(Kept)()
    for place in range(0, len(body), size):
        sink.feed(body[place : place + size])
    assert masker.mask(body) == sink.close()


def hostile(number: int) -> bytes:
    """Return a body that repeats the token in the several fields of an envelope."""
    spelled = [
        TOKEN,
        urllib.parse.quote(TOKEN, safe=""),
        base64.b64encode(b"Bearer " + TOKEN.encode()).decode(),
        TOKEN.replace("Z", "&#x5a;"),
    ][number]
    error = {"code": 7003, "message": f"no {spelled} here", "documentation_url": spelled}
    body = json.dumps({"success": False, "errors": [{**error, "error_chain": [error]}]})
    return body.replace("k", "\\u006b").encode()


SOURCES: dict[str, Callable[[], object]] = {
    "one": lambda: TOKEN,
    "mapping": lambda: {ACCOUNT: TOKEN},
    "callable": lambda: lambda _account: TOKEN,
}


@pytest.mark.parametrize("way", ["own connections", "own session"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("number", range(4))
async def test_over_http(
    monkeypatch: pytest.MonkeyPatch, number: int, source: str, way: str
) -> None:
    """A server that repeats the token, in its body and headers, puts it into no error."""
    if way == "own session":
        monkeypatch.setattr("aiohttp.__version__", "0")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        answer = http(hostile(number), f"cf-ray: {TOKEN}", status="403 F")
        writer.write(answer)

    async with raw_server(serve) as url:
        connectors = cfsso.connect(api_token=SOURCES[source](), base_url=url)  # type: ignore[arg-type]
        async with connectors:
            for call in (
                connectors.update("c" * 32, account_id=ACCOUNT, enabled=True),
                connectors.list(account_id=ACCOUNT),
            ):
                with pytest.raises(cfsso.PermissionDeniedError) as caught:
                    await call
                shown = f"{caught.value} {caught.value!r} {vars(caught.value)}"
                assert MASKED in shown
                assert not [form for form in [TOKEN, *cores(TOKEN)] if form in shown]
                assert MASKED == caught.value.ray_id


async def test_too_large() -> None:
    """An answer that can't be taken is named without what its headers repeat."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http(b" " * 2_000_000, f"cf-ray: {TOKEN}"))

    async with raw_server(serve) as url:
        transport = cfsso.AiohttpTransport(TOKEN, base_url=url)
        with pytest.raises(cfsso.APIResponseValidationError) as caught:
            await transport.send(LIST)
        await transport.aclose()
    assert MASKED == caught.value.ray_id


async def test_a_streamed_list() -> None:
    """A list that is read piece by piece has no token in it, where two pieces meet neither."""
    token = TOKEN.encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        body = b" " * 70_000 + token + b" " * 70_000 + token
        writer.write(http(body)[:-500])
        await writer.drain()
        for place in range(len(body) - 500, len(body), 7):
            writer.write(body[place : place + 7])
            await asyncio.sleep(0)

    sink = Kept()
    async with raw_server(serve) as url:
        transport = cfsso.AiohttpTransport(TOKEN, base_url=url)
        call = Call(operation="list", sink=lambda: sink)
        await call.run(transport.send(LIST))
        await transport.aclose()
    masked = MASKED.encode()
    assert b" " * 70_000 + masked + b" " * 70_000 + masked == sink.content
