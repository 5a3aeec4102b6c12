"""
What a server says is kept from repeating a secret: a token, or the password of a proxy.

A secret is found as it is, inside base64, and with any of its characters escaped, as URLs,
JSON and HTML escape, also when that was done to one of them after another. Its first 16
characters are enough.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from cfsso.transports._call import Sink, SinkOf

MASKED: Final = "[masked]"
"""What stands in the place of a secret."""

LEAST: Final = 8
"""
The fewest characters of a secret that is masked.

What is shorter may be a word of an honest answer, such as *token*, which would be spoilt; a
token of Cloudflare has 40 characters or more.
"""

_MASKED: Final = MASKED.encode()
# By where in three bytes the secret begins: how many characters of base64 its neighbours share.
_SHARED: Final = (0, 2, 3)
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
# What begins a form is enough to know it, since an answer may be cut, or shorten what it
# repeats. Where something is escaped, what comes then is like it, whatever it is.
_SPELLED: Final = 16
# Bytes of one character, at most; the repetitions below are bounded so that nothing takes long.
_LONGEST: Final = 64
_ESCAPES: Final = {b"\\", b"%", b"&"}
_ALPHANUMERIC: Final = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_HEX: Final = "3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]"
_DECIMAL: Final = "4[89]|5[0-7]|6[5-9]|[78][0-9]|90|9[7-9]|1[01][0-9]|12[0-2]"
_NUMBER: Final = r"(?:#|%(?:25){0,4}23)"
_SEMICOLON: Final = r"(?:;|%(?:25){0,4}3[Bb])?"
_BACKSLASHES: Final = r"(?:\\|%(?:25){0,4}5[Cc]){0,7}"
_ANY: Final = r"(?:\\{1,8}(?:u00|x)[0-9A-Fa-f]{2}|%(?:25){0,4}[0-9A-Fa-f]{2}|&#?\w{1,8};|[!-~])"


class Masker:
    """
    Takes secrets out of what a server said.

    Args:
        secrets: The secrets. Those shorter than `LEAST` are let through.
    """

    __slots__ = ("_escapes", "_forms", "_heads", "_longest", "_secrets")

    def __init__(self, *secrets: str) -> None:
        self._forms = tuple(dict.fromkeys(_forms(secrets)))
        self._heads = tuple(dict.fromkeys(form[:_SPELLED] for form in self._forms))
        self._longest = max(map(len, self._forms), default=0) * _LONGEST
        self._escapes: re.Pattern[bytes] | None = None
        self._secrets: re.Pattern[bytes] | None = None

    def __repr__(self) -> str:
        return "Masker(***)"

    def may_be_in(self, data: bytes) -> bool:
        """Whether *data* is to be looked at closely. If not, there is no secret in it."""
        for head in self._heads:
            if head in data:
                return True
        if self._forms and (b"\\" in data or b"%" in data or b"&" in data):
            if self._escapes is None:
                self._escapes = _escapes(frozenset(b"".join(self._forms)) - _ALPHANUMERIC)
            # Of what is escaped in honest answers, hardly anything may be part of a secret.
            return self._escapes.search(data) is not None
        return False

    def mask(self, data: bytes) -> bytes:
        """Return *data* without secrets."""
        if not self.may_be_in(data):
            return data
        parts: list[bytes] = []
        place = 0
        for start, end in self._found(data):
            parts += (data[place:start], _MASKED)
            place = end
        return b"".join((*parts, data[place:]))

    def text(self, text: str) -> str:
        """Return *text* without secrets."""
        return self.mask(text.encode(errors="surrogatepass")).decode(errors="surrogatepass")

    def around(self, sink: SinkOf) -> SinkOf:
        """Return a maker of sinks that are fed no secret, wherever pieces of an answer end."""
        return lambda: _MaskedSink(self, sink())

    def split(self, data: bytes) -> int:
        """Return up to where a secret in *data* is whole, whatever follows *data*."""
        place = max(0, len(data) - self._longest)
        if place and self.may_be_in(data):
            for start, end in self._found(data):
                if start < place < end:
                    return end
        return place

    def _found(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield where secrets begin and end in *data*, in order."""
        place = 0
        while found := self._pattern().search(data, place):
            place = self._end(found)
            yield found.start(), place

    def _end(self, found: re.Match[bytes]) -> int:
        """Return where a secret ends: where it is cut off, if nothing of it is escaped."""
        text = found[0]
        longest = max(_alike(text, form) for form in self._forms)
        is_cut = longest >= min(_SPELLED, *map(len, self._forms))
        is_escaped = text[longest : longest + 1] in _ESCAPES
        return found.start() + longest if is_cut and not is_escaped else found.end()

    def _pattern(self) -> re.Pattern[bytes]:
        if self._secrets is None:
            # It takes long to make, and is rarely needed.
            self._secrets = re.compile("|".join(map(_spelled, self._forms)).encode("latin-1"))
        return self._secrets


class _MaskedSink:
    """
    A sink around another one.

    Args:
        masker: Knows the secrets.
        sink: Gets what has none.
    """

    def __init__(self, masker: Masker, sink: Sink) -> None:
        self._masker = masker
        self._sink = sink
        self._left = b""

    def feed(self, chunk: bytes) -> None:
        """Pass on what no piece that follows can make a secret of."""
        data = self._left + chunk
        place = self._masker.split(data)
        self._left = data[place:]
        if place:
            self._sink.feed(self._masker.mask(data[:place]))

    def close(self) -> bytes:
        """Pass on the rest; return what the other sink keeps."""
        if self._left:
            self._sink.feed(self._masker.mask(self._left))
        return self._sink.close()


def _alike(text: bytes, form: bytes) -> int:
    """Return how many bytes at the beginning of both are the same."""
    pairs = enumerate(zip(text, form, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(text), len(form)))


def _forms(secrets: Iterable[str]) -> Iterator[bytes]:
    """Yield what shows a secret where nothing is escaped."""
    for secret in secrets:
        data = secret.encode(errors="surrogatepass")
        if len(data) < LEAST:
            continue
        yield data
        for before, shared in enumerate(_SHARED):
            whole = (before + len(data)) * 8 // 6
            form = base64.b64encode(bytes(before) + data)[shared:whole]
            yield form
            yield form.translate(_URL_SAFE)


@cache
def _escapes(punctuation: frozenset[int]) -> re.Pattern[bytes]:
    """Return what matches an escaped letter or digit, or one of *punctuation*."""
    others = sorted(punctuation)
    digits = "|".join([_HEX, *map(_hex, others)])
    decimal = "|".join([_DECIMAL, *map(str, others)])
    names = [name for code in others for name in _names(code)]
    plain = [re.escape(chr(code)) for code in others]
    return re.compile(_escaped(f"(?:{digits})", f"(?:{decimal})", names, plain).encode("latin-1"))


@cache
def _character(code: int) -> str:
    """Return a pattern of one character, escaped or not."""
    plain = re.escape(chr(code))
    alone = [] if code in _ALPHANUMERIC else [plain]
    return f"(?:{plain}|{_escaped(_hex(code), str(code), _names(code), alone)})"


def _spelled(form: bytes) -> str:
    """Return a pattern of *form*, whatever of it is escaped."""
    spelled = "".join(_character(code) for code in form[:_SPELLED])
    rest = len(form) - _SPELLED
    return spelled if rest <= 0 else f"{spelled}{_ANY}{{0,{rest}}}"


def _escaped(digits: str, decimal: str, names: Iterable[str], plain: Iterable[str]) -> str:
    r"""
    Return a pattern of what stands for characters; what it begins with tells its parts apart.

    Args:
        digits: Their codes in hexadecimal, as a pattern.
        decimal: The same in decimal.
        names: Their names in HTML.
        plain: What they are after a backslash.
    """
    entity = "|".join([f"{_NUMBER}(?:[xX]0{{0,4}}{digits}|0{{0,4}}{decimal})", *names])
    entity = f"(?:amp;){{0,4}}(?:{entity}){_SEMICOLON}"
    code = "|".join([f"(?:u00|x|U000000){digits}", *plain])
    backslash = f"{code}|u0025(?:25){{0,4}}{digits}|u0026{entity}"
    percent = f"(?:u00)?{digits}|26{entity}|5[Cc]{_BACKSLASHES}(?:{code})"
    ampersand = f"{entity}|(?:amp;){{0,4}}(?:#92|#[xX]5[Cc]|bsol);(?:{code})"
    return rf"\\{{1,8}}(?:{backslash})|%(?:25){{0,4}}(?:{percent})|&(?:{ampersand})"


def _hex(code: int) -> str:
    return "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in f"{code:02x}")


@cache
def _names(code: int) -> tuple[str, ...]:
    import html.entities

    return tuple(
        name.rstrip(";") for name, text in html.entities.html5.items() if text == chr(code)
    )
