"""JSON of files that people may have edited: every problem is named by its JSON path."""

import datetime as dt
import enum
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs

from cfsso import _converter
from cfsso._checks import identifier
from cfsso._converter import ConversionError
from cfsso._text import in_utc
from cfsso.errors import InvalidRequestError
from cfsso.models import SSOConnector

_Word = TypeVar("_Word", bound=enum.StrEnum)
_Value = TypeVar("_Value")


@attrs.frozen
class Node:
    """
    A value and where it stands; the readers raise `ConversionError` if it is another.

    Attributes:
        value: What the JSON has there.
        path: Such as ``$.rows[3].action``.
    """

    value: Any
    path: str = "$"

    @classmethod
    def of_json(cls, body: bytes) -> "Node":
        """Return the top."""
        return cls(_converter.decode(body))

    def wrong(self, problem: str) -> ConversionError:
        """Return the error that says what is wrong here."""
        return ConversionError(f"{problem} at {self.path}")

    def members(self, needed: Sequence[str], optional: Sequence[str] = ()) -> "dict[str, Node]":
        """Return the members of an object that has all of *needed* and no strange ones."""
        if type(self.value) is not dict:
            raise self.wrong("expected object")
        known = {*needed, *optional}
        for name in self.value:
            if name not in known:
                raise self.wrong(f"unknown key {name!r:.40}")
        for name in needed:
            if name not in self.value:
                raise self.wrong(f"no {name}")
        return {name: Node(value, f"{self.path}.{name}") for name, value in self.value.items()}

    def named(self) -> "dict[str, Node]":
        """Return the members of an object whose names are ids."""
        if type(self.value) is not dict:
            raise self.wrong("expected object")
        return {
            Node(name, f"{self.path}[{n}]").identifier(): Node(value, f"{self.path}[{n}]")
            for n, (name, value) in enumerate(self.value.items())
        }

    def items(self) -> "list[Node]":
        """Return the items of an array."""
        if type(self.value) is not list:
            raise self.wrong("expected array")
        return [Node(value, f"{self.path}[{n}]") for n, value in enumerate(self.value)]

    def text(self) -> str:
        """Return a string."""
        if type(self.value) is not str:
            raise self.wrong("expected str")
        return str(self.value)

    def flag(self) -> bool:
        """Return a boolean."""
        if type(self.value) is not bool:
            raise self.wrong("expected bool")
        return bool(self.value)

    def whole(self) -> int:
        """Return a whole number from 0."""
        if type(self.value) is not int or self.value < 0:
            raise self.wrong("expected a whole number from 0")
        return int(self.value)

    def seconds(self) -> float:
        """Return a number from 0."""
        if type(self.value) not in {int, float} or self.value < 0:
            raise self.wrong("expected a number from 0")
        try:
            return float(self.value)
        except OverflowError:
            problem = "expected a number that a float can hold"
        raise self.wrong(problem)

    def word(self, words: type[_Word]) -> _Word:
        """Return one of *words*."""
        known = {word.value: word for word in words}
        found = known.get(self.value) if type(self.value) is str else None
        if found is None:
            raise self.wrong(f"expected one of {', '.join(known)}")
        return found

    def identifier(self) -> str:
        """Return an id."""
        try:
            return identifier("an id", self.value, None)
        except InvalidRequestError as error:
            problem = str(error)
        raise self.wrong(problem)

    def connector(self) -> SSOConnector:
        """Return a connector as the API shows it."""
        return _converter.connector(self.value, self.path)

    def moment(self) -> dt.datetime:
        """Return an aware time."""
        try:
            moment = dt.datetime.fromisoformat(self.text())
            if moment.tzinfo is not None:
                return in_utc(moment)
        except ValueError:
            pass
        raise self.wrong("expected a time with its offset (RFC 3339)")


def read_value(text: str, name: str, read: Callable[[Node], _Value]) -> _Value:
    """
    Return what *read* makes of a JSON text.

    Args:
        text: The JSON.
        name: What errors call it, with its article.
        read: Takes its top.

    Raises:
        InvalidRequestError: It is no JSON, or *read* raised `ConversionError`.
    """
    if type(text) is not str:
        raise InvalidRequestError(f"{name} is read from a str, not from {type(text).__name__}")
    try:
        return read(Node.of_json(text.encode("utf-8", "surrogatepass")))
    except ConversionError as error:
        problem = f"no JSON of {name}: {error}"
    raise InvalidRequestError(problem)
