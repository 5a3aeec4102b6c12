"""What must hold of everything that leaves the library or a command after odd answers."""

import base64
import json
import logging
import pickle
import re
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from fuzz_odd import HAS, SAID, TOKEN, token_forms

import cfsso

_TAG: Final = re.compile(r"<\s*/?\s*(script|img|html|head|title|body|h1|!doctype)\b", re.IGNORECASE)
# What a terminal would obey, or show in another order than it stands.
_ODD_CHARACTERS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_BUGS: Final = re.compile(
    r"Traceback \(most|is a bug|unexpected: |on_event failed|can't be shown: "
)
# What is left of the token if only a part was masked.
_PARTS: Final = tuple({TOKEN[start : start + 12] for start in range(0, len(TOKEN) - 12, 4)})
_FORMS: Final = tuple({*token_forms()} | {*_PARTS})


class Checks:
    """
    Collects what is wrong.

    Attributes:
        counts: What was counted, by name.
        broken: What was wrong, in words.
        tells: Whether answers may have the token.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.broken: list[str] = []
        self.tells = False
        self.where = ""

    def breaks(self, kind: str, story: str) -> None:
        """Something is wrong."""
        self.counts[f"BROKEN: {kind}"] += 1
        self.broken.append(f"{self.where}: {kind}: {story[:1500]!a}")

    def foreign(self, error: BaseException) -> None:
        """An exception that is none of ours has left the library."""
        lines = traceback.format_exception(error)
        self.breaks("a foreign exception", f"{type(error).__name__}: {''.join(lines)[-1200:]}")

    def error(self, error: cfsso.CfssoError) -> None:
        """Look at one of our errors."""
        self.counts["errors"] += 1
        self.counts[f"error: {type(error).__name__}"] += 1
        self.text(str(error), "an error")
        if "\n" in str(error):
            self.breaks("an error of several lines", str(error))
        for name in ("title", "detail"):
            self.text(getattr(error, name), f"the {name} of an error")
        if _BUGS.search(str(error)):
            self.breaks("a bug passes for an error", f"{error} {error.__cause__!r}")
        if self.tells:
            for text in _texts(error, set()):
                self.no_token(text, f"an attribute of {type(error).__name__}")
        wait = error.retry_after
        if wait is not None and not 0 <= wait < 1e9:
            self.breaks("a wait that is no time", repr(wait))
        again = pickle.loads(pickle.dumps(error))
        if str(again) != str(error):
            self.breaks("an error that is another one after pickling", str(error))

    def text(self, text: str, where: str) -> None:
        """Look at text for people."""
        if found := _TAG.search(text):
            self.breaks(f"a tag in {where}", text[max(0, found.start() - 100) :])
        if found := _ODD_CHARACTERS.search(text):
            self.breaks(f"an odd character in {where}", text[max(0, found.start() - 100) :])
        self.no_token(text, where)

    def said(self, text: str, where: str, *, is_data: bool) -> None:
        """Look at what a command said; *is_data* if it is the answers' own members as JSON."""
        if found := _BUGS.search(text):
            self.breaks(f"a bug in {where}", text[max(0, found.start() - 100) :])
        if is_data:
            self.no_token(text, where)
            return
        # What a connector has is shown as it is; a terminal knows no markup.
        self.text(text.replace(HAS[:4], ""), where)

    def no_token(self, text: str, where: str) -> None:
        """See that the token is not there, in any form."""
        if self.tells and has_token(text):
            place = min((text.find(form) for form in _FORMS if form in text), default=0)
            self.breaks(f"the token in {where}", text[max(0, place - 300) :])

    def value(self, value: Any) -> None:
        """Look at a result."""
        if self.tells:
            for text in _texts(value, set()):
                self.no_token(text, f"a {type(value).__name__}")

    def page(self, page: str) -> None:
        """Look at a page of HTML, whose markup is ours alone."""
        self.no_token(page, "a page")
        for markup in (SAID, HAS):
            if markup[:12] in page:
                self.breaks("markup of a server in a page", page[page.index(markup[:12]) :])

    def files(self, folder: Path) -> None:
        """Look at all files of a folder."""
        for path in folder.rglob("*"):
            if path.is_file():
                text = path.read_bytes().decode("utf-8", "replace")
                self.no_token(text, f"a file {path.suffix}")
                if path.suffix == ".html":
                    self.page(text)

    def logged(self, record: logging.LogRecord) -> None:
        """Look at what was logged."""
        if record.exc_info is not None and record.exc_info[1] is not None:
            self.foreign(record.exc_info[1])
        self.no_token(record.getMessage(), "the log")


def has_token(text: str) -> bool:
    """Whether the token, or a good part of it, stands in *text* in any form."""
    if any(form in text for form in _FORMS):
        return True
    if "\\u00" in text or "&#" in text:
        import html

        plain = re.sub(r"\\u00([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), text)
        plain = html.unescape(plain)
        if any(part in plain for part in _PARTS):
            return True
    if TOKEN[:6] in text:
        return True
    return any(TOKEN[8:20].encode() in decoded for decoded in _decoded(text))


def _decoded(text: str) -> Iterator[bytes]:
    """Yield what may be base64 in *text*, decoded."""
    for run in re.findall(r"[A-Za-z0-9+/_-]{24,}", text)[:50]:
        plain = run.replace("-", "+").replace("_", "/")
        for start in range(4):
            part = plain[start:]
            part = part[: len(part) // 4 * 4]
            try:
                yield base64.b64decode(part)
            except ValueError:
                continue


def _texts(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield every text in *value*, however deep, in members and attributes."""
    if isinstance(value, str | bytes):
        yield value if isinstance(value, str) else value.decode("utf-8", "replace")
    elif id(value) not in seen:
        seen.add(id(value))
        for part in _parts(value):
            yield from _texts(part, seen)


def _parts(value: Any) -> list[Any]:
    """Return what *value* is made of."""
    if isinstance(value, Mapping):
        return [*value, *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return [*value]
    if isinstance(value, BaseException):
        others = [value.__cause__, value.__context__, getattr(value, "__notes__", None)]
        return [repr(value), str(value), value.args, value.__dict__, *others]
    if type(value).__module__.startswith("cfsso"):
        names = getattr(type(value), "__slots__", None) or getattr(value, "__dict__", {})
        return [getattr(value, name, None) for name in [*names] if not name.startswith("__")]
    return []


def is_json(line: str) -> bool:
    """Whether a line is an object of JSON."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
