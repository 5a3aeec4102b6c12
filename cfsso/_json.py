"""Values as JSON: what `to_dict` and `to_json` of all of them have in common."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from cfsso._text import rfc3339


class Value:
    """
    A value that JSON has a form for.

    ``dict()`` of one is its `to_dict`, as with the models of pydantic, so that web
    frameworks which ask for that can answer with it.
    """

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """
        Return a copy that JSON can hold: of dicts, lists, texts, numbers, booleans and nulls.

        Members have the API's names, and times are text (RFC 3339). What an answer of the API
        did not have is left out.
        """
        return plain(self._members())

    def to_json(self, *, indent: int | None = 2) -> str:
        """
        Return `to_dict` as JSON in ASCII.

        Args:
            indent: By how much each level is indented. ``None``: all stands on one line.
        """
        return written(self.to_dict(), indent)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self.to_dict().items())

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        # Asked for by models of pydantic that have such a value, and by FastAPI for its routes.
        from pydantic_core import core_schema

        form = core_schema.plain_serializer_function_ser_schema(
            cls.to_dict, return_schema=core_schema.dict_schema()
        )
        return core_schema.is_instance_schema(cls, serialization=form)

    def _members(self) -> dict[str, Any]:
        """Return what `to_dict` is made of; `plain` sees to values that JSON lacks."""
        return fields_of(self)


def fields_of(value: Any) -> dict[str, Any]:
    """Return the attributes of a value by name, as they are."""
    return {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}


def answered(known: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of an answer: of the *known* ones those that it had, and *extra*."""
    present = {name: value for name, value in known.items() if value is not None}
    # The second time lets nothing unknown stand in the place of what is known.
    return {**present, **extra, **present} if extra else present


def plain(members: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a copy of *members* that is JSON for any parser, however strict.

    A number that JSON lacks, such as NaN, is null, half of a surrogate pair is U+FFFD, and
    anything else that it lacks is text.
    """
    text = _ENCODER.encode(members)
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    found: dict[str, Any] = _DECODER.decode(text)
    return found


def written(value: Any, indent: int | None) -> str:
    """Return JSON in ASCII of what `plain` returned."""
    separators = (",", ":") if indent is None else None
    return json.dumps(value, indent=indent, separators=separators)


def _form(value: Any) -> Any:
    """Return the form of what JSON lacks."""
    if isinstance(value, Value):
        return value._members()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] # of this module
    if isinstance(value, dt.datetime):
        return rfc3339(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return dict(value) if isinstance(value, Mapping) else str(value)


# Made once, since making them costs more than their work.
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_form, skipkeys=True)
_DECODER = json.JSONDecoder(parse_constant=lambda _name: None)
