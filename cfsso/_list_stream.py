"""A list of any size, read piece by piece: only what is made of its items is kept."""

import codecs
import re
from collections.abc import Callable, Generator
from json import JSONDecodeError
from typing import Any, Final

from cfsso._converter import ConversionError, Dialect
from cfsso.transports.base import MAX_BODY

MAX_LIST: Final = 64 * MAX_BODY
"""The most bytes of a list that are read: those of about 190,000 connectors."""

MAX_ITEMS: Final = 500_000
"""The most items of a list that are read, if they are few bytes each."""

# Text is looked at when there is so much of it that trying again what is not whole costs little.
_STEP: Final = 65536
_SPACE: Final = re.compile(r"[ \t\n\r]*")
# After these a value is whole, whatever follows; any other one is before these.
_ENDS: Final = '"}]'
_DELIMITERS: Final = frozenset(" \t\n\r,}]")
_LIST: Final = object()


class ListStream:
    """
    Reads an envelope, and hands on each item of its ``result`` as soon as it is whole.

    Args:
        dialect: How it is read.
        take: Is called with each item; what it raises ends the reading.

    Attributes:
        envelope: The members of the envelope without ``result``, once it is closed.
        count: How many items there were.
    """

    def __init__(self, dialect: Dialect, take: Callable[[Any], None]) -> None:
        self.envelope: dict[str, Any] = {}
        self.count = 0
        self._dialect = dialect
        self._take = take
        self._bytes = codecs.getincrementaldecoder("utf-8")(dialect.errors)
        self._pieces: list[bytes] = []
        self._size = 0
        self._read = 0
        self._text, self._at, self._before = "", 0, 0
        self._kept = 0
        self._ended = False
        self._parser = self._parse()

    def feed(self, piece: bytes) -> None:
        """
        Read the next piece; its borders may be anywhere.

        Raises:
            ConversionError: It is no envelope that can be read, or is too large.
        """
        self._pieces.append(piece)
        self._size += len(piece)
        if self._read + self._size > MAX_LIST:
            raise ConversionError(f"more than {MAX_LIST} bytes")
        if self._size >= _STEP:
            self._go_on()

    def close(self) -> None:
        """
        See that the envelope is complete, and has a list.

        Raises:
            ConversionError: As in `feed`.
        """
        self._ended = True
        self._go_on()
        if self.envelope.pop("result", None) is not _LIST:
            raise ConversionError("expected list at $.result")

    def _go_on(self) -> None:
        """Parse as far as the text goes."""
        read = b"".join(self._pieces)
        self._pieces.clear()
        self._read, self._size = self._read + len(read), 0
        try:
            more = self._bytes.decode(read, self._ended)
        except UnicodeError:
            more = None
        if more is None:
            raise ConversionError("text that is not UTF-8")
        self._text = self._text[self._at :] + more
        self._before, self._at = self._before + self._at, 0
        next(self._parser, None)

    def _parse(self) -> Generator[None]:
        """Read one object; where text is missing, there is more when this goes on."""
        if (yield from self._next()) != "{":
            raise ConversionError("expected object at $")
        yield from self._each("}", self._member)
        while self._skip() == len(self._text):
            if self._ended:
                return
            yield
        raise self._no_json("Extra data", self._at)

    def _each(self, end: str, read: Callable[[], Generator[None]]) -> Generator[None]:
        """Read what stands from the bracket here to *end*, separated by commas."""
        self._at += 1
        if (yield from self._next()) != end:
            yield from read()
            while (found := (yield from self._next())) == ",":
                self._at += 1
                yield from read()
            if found != end:
                raise self._no_json("Expecting ',' delimiter", self._at)
        self._at += 1

    def _member(self) -> Generator[None]:
        if (yield from self._next()) != '"':
            raise self._no_json("Expecting property name enclosed in double quotes", self._at)
        name = yield from self._value()
        if (yield from self._next()) != ":":
            raise self._no_json("Expecting ':' delimiter", self._at)
        self._at += 1
        value: Any = _LIST
        if (yield from self._next()) == "[" and name == "result":
            yield from self._each("]", self._item)
        else:
            begun = self._before + self._at
            value = yield from self._value()
            self._keep(len(name) + self._before + self._at - begun)
        if name in self.envelope:
            value = self._dialect.pairs([(name, value)] * 2)[name]
        self.envelope[name] = value

    def _item(self) -> Generator[None]:
        value = yield from self._value()
        self.count += 1
        if self.count > MAX_ITEMS:
            raise ConversionError(f"a list of more than {MAX_ITEMS:,} items")
        self._take(value)

    def _value(self) -> Generator[None, None, Any]:
        """Return the value that begins after the space here."""
        yield from self._next()
        while True:
            whole, end, value = False, len(self._text), None
            problem = self._no_json("It ends", end)
            try:
                value, end = self._dialect.decode_at(self._text, self._at)
                whole = self._text[end - 1] in _ENDS or self._text[end : end + 1] in _DELIMITERS
            except JSONDecodeError as error:
                problem = self._no_json(error.msg, error.pos)
            if end - self._at > MAX_BODY:
                raise ConversionError(f"a value of more than {MAX_BODY} characters")
            if whole:
                self._at = end
                return value
            if self._ended:
                raise problem
            yield

    def _next(self) -> Generator[None, None, str]:
        """Return the character that comes after the space here, and go there."""
        while True:
            if self._skip() < len(self._text):
                return self._text[self._at]
            if self._ended:
                raise self._no_json("It ends", self._at)
            yield

    def _skip(self) -> int:
        """Go to the end of the space here; return where that is."""
        space = _SPACE.match(self._text, self._at)
        assert space is not None  # noqa: S101 # it may be empty
        self._at = space.end()
        return self._at

    def _keep(self, size: int) -> None:
        """Count what stays in memory until the end."""
        self._kept += size
        if self._kept > MAX_BODY:
            raise ConversionError(f"more than {MAX_BODY} characters beside the list")

    def _no_json(self, problem: str, place: int) -> ConversionError:
        return ConversionError(f"no JSON: {problem} at character {self._before + place}")
