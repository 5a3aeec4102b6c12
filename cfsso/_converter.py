"""JSON to values, strictly: every problem is named by its JSON path."""

import datetime as dt
import enum
import functools
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias, TypeVar

import attrs

from cfsso import _usual
from cfsso.models import (
    ResponseInfo,
    Source,
    SSOConnector,
    TokenInfo,
    TokenStatus,
    Verification,
    VerificationStatus,
)

if TYPE_CHECKING:
    from cattrs import ClassValidationError, Converter

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_CHAIN_DEPTH = 16
_OF_MESSAGES = {field.name for field in attrs.fields(ResponseInfo)} - {"extra"}
# What is nested deeper can be read, but not copied or pickled.
_DEPTH = 64
# Longer whole numbers mean nothing here, and the longest can't even be read.
_DIGITS = 15

_Hook: TypeAlias = Callable[[Any, Any], Any]
_Kind = TypeVar("_Kind")
_Status = TypeVar("_Status", bound=enum.StrEnum)


class ConversionError(Exception):
    """What was read is not what it should be; the text says where."""


@attrs.frozen
class Dialect:
    """
    How what may be JSON is read: `STRICT` or `LENIENT`.

    Attributes:
        decoder: What parses.
        pairs: What makes an object of its members, of which some may have one name.
        errors: What becomes of bytes that are no UTF-8, as codecs name it.
        decode: Parses a whole body; see `decode` and `decode_leniently`.
    """

    decoder: json.JSONDecoder
    pairs: Callable[[list[tuple[str, Any]]], dict[str, Any]]
    errors: str
    decode: Callable[[bytes], Any]

    def decode_at(self, text: str, place: int) -> tuple[Any, int]:
        """
        Parse the value that begins at *place*; return it and where it ends.

        Raises:
            JSONDecodeError: It is none, or is not whole.
            ConversionError: It can't be kept, as in `decode`.
        """
        problem = "text that is not UTF-8"
        try:
            value, end = self.decoder.raw_decode(text, place)
            if self.errors == "strict" and _SURROGATE.search(text, place, end):
                json.dumps(value, ensure_ascii=False).encode()
        except (json.JSONDecodeError, ConversionError):
            raise
        except UnicodeError:
            pass
        except RecursionError:
            problem = "JSON nested too deep"
        except ValueError:
            problem = "a number too long to read"
        else:
            return value, end
        raise ConversionError(problem)


def decode(body: bytes) -> Any:
    """
    Parse *body* as JSON (RFC 8259) in strict UTF-8.

    Raises:
        ConversionError: It is something else, repeats a key, is nested too deep, or
            holds a number or a character that can't be kept.
    """
    try:
        text = body.decode()
        value = _DECODER.decode(text)
        if "\\" in text and _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except ConversionError:
        raise
    except UnicodeError:
        problem = "text that is not UTF-8"
    except json.JSONDecodeError as error:
        problem = f"no JSON: {error.msg} at character {error.pos}" if body else "an empty body"
    except RecursionError:
        problem = "JSON nested too deep"
    except ValueError:
        problem = "a number too long to read"
    else:
        return value
    raise ConversionError(problem)


def decode_leniently(body: bytes) -> Any:
    """
    Parse what is nearly JSON; what can't be kept is null, as is what stands twice.

    Raises:
        ConversionError: It is not even nearly JSON.
    """
    try:
        return _LENIENT_DECODER.decode(body.decode("utf-8", "replace"))
    except json.JSONDecodeError as error:
        problem = f"no JSON: {error.msg} at character {error.pos}" if body else "an empty body"
    except RecursionError:
        problem = "JSON nested too deep"
    raise ConversionError(problem)


def connector(value: Any, path: str) -> SSOConnector:
    """
    Structure *value*, found at the JSON path *path*.

    Raises:
        ConversionError: A member has the wrong type; all such members are named.
    """
    return _usual.connector(value) or _structured(value, path, SSOConnector)


def token(value: Any, path: str) -> TokenInfo:
    """
    Structure *value*, found at the JSON path *path*.

    Raises:
        ConversionError: A member has the wrong type; all such members are named.
    """
    return _structured(value, path, TokenInfo)


def _structured(value: Any, path: str, kind: type[_Kind]) -> _Kind:
    # Loaded by the first answer, so that importing this stays cheap.
    from cattrs import ClassValidationError

    problems: list[str]
    try:
        return _converter().structure(value, kind)
    except ClassValidationError as error:
        problems = _problems(error, path)
    except TypeError as error:
        problems = [f"{error.args[0]} at {path}"]
    raise ConversionError("; ".join(problems))


def messages(value: Any, depth: int = _CHAIN_DEPTH) -> tuple[ResponseInfo, ...]:
    """
    Read an answer's ``errors`` or ``messages``; what is no message is left out.

    Unlike everything else here this never refuses: it explains failures, and an
    odd explanation must not hide one.
    """
    if isinstance(value, (str, dict)):
        value = [value]
    if not isinstance(value, list) or not depth:
        return ()
    return tuple(_message(item, depth) for item in value if isinstance(item, (str, dict)))


def _message(item: str | dict[str, Any], depth: int) -> ResponseInfo:
    if isinstance(item, str):
        return ResponseInfo(message=item)
    source = item.get("source")
    pointer = source.get("pointer") if isinstance(source, dict) else None
    return ResponseInfo(
        code=_code(item.get("code")),
        message=_text(item.get("message")) or "",
        documentation_url=_text(item.get("documentation_url")),
        source=Source(pointer=_text(pointer)) if isinstance(source, dict) else None,
        error_chain=messages(item.get("error_chain"), depth - 1),
        extra=unknown(item, _OF_MESSAGES),
    )


def unknown(members: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return the members that are not *known*, without those that are nested too deep."""
    return {
        name: value for name, value in members.items() if name not in known and _is_shallow(value)
    }


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(_DEPTH):
        level = [inner for outer in level for inner in _within(outer)]
        if not level:
            return True
    return False


def _within(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _code(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    return value if type(value) is int else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ConversionError("JSON that repeats a key")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        found[name] = None if name in found else value
    return found


def _constant(_text: str) -> NoReturn:
    raise ConversionError("a number that JSON does not have")


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        _constant(text)
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite
)
_LENIENT_DECODER = json.JSONDecoder(
    object_pairs_hook=_once,
    parse_constant=lambda _text: None,
    parse_float=lambda _text: None,
    parse_int=lambda text: int(text) if len(text) <= _DIGITS else None,
)
STRICT: Final = Dialect(_DECODER, _unique, "strict", decode)
LENIENT: Final = Dialect(_LENIENT_DECODER, _once, "replace", decode_leniently)


def _problems(error: "ClassValidationError", path: str) -> list[str]:
    found = []
    for problem, note in error.group_exceptions()[0]:
        where = f"{path}.{note.name}"
        if isinstance(problem, type(error)):
            found += _problems(problem, where)
        else:
            found.append(f"{problem.args[0]} at {where}")
    return found


def _strict(kind: type, **null: Any) -> _Hook:
    """Take a *kind*, and a null only if there is something that stands for it."""

    def structure(value: Any, _target: Any) -> Any:
        if type(value) is kind:
            return value
        if value is None and null:
            return null["null"]
        raise TypeError(f"expected {kind.__name__}")

    return structure


def _time(value: Any, _target: Any) -> dt.datetime | None:
    if value is None:
        return None
    if type(value) is str:
        try:
            time = dt.datetime.fromisoformat(value)
        except ValueError:
            time = None
        if time is not None and time.tzinfo is not None:
            return time
    raise TypeError("expected a time with its offset (RFC 3339)")


def _status(kind: type[_Status], unknown: _Status) -> _Hook:
    known = {status.value: status for status in kind}

    def structure(value: Any, _target: Any) -> _Status | None:
        if value is None:
            return None
        if type(value) is not str:
            raise TypeError("expected str")
        return known.get(value, unknown)

    return structure


def _as_found(value: Any, _target: Any) -> Any:
    return value


def _object(converter: "Converter", kind: type, **renamed: str) -> _Hook:
    """Structure a JSON object: keep unknown members in ``extra``, take some by another name."""
    from cattrs.gen import make_dict_structure_fn, override

    overrides: dict[str, Any] = {
        name: override(struct_hook=_as_found, rename=member) for name, member in renamed.items()
    }
    overrides["extra"] = override(struct_hook=_as_found)
    members: _Hook = make_dict_structure_fn(kind, converter, **overrides)
    known = {field.name for field in attrs.fields(kind)} - overrides.keys()

    def structure(value: Any, target: Any) -> Any:
        if type(value) is not dict:
            raise TypeError("expected object")
        if not known.issuperset(value):
            extra = unknown(value, known)
            value = {**{name: value[name] for name in known & value.keys()}, "extra": extra}
        return members(value, target)

    return structure


@functools.cache
def _converter() -> "Converter":
    from cattrs import Converter

    converter = Converter()
    # A null says as little as a missing member, and must not stop a rescue; but no bool is null.
    converter.register_structure_hook(str, _strict(str, null=""))
    converter.register_structure_hook(str | None, _strict(str, null=None))
    converter.register_structure_hook(bool | None, _strict(bool))
    converter.register_structure_hook(dt.datetime | None, _time)
    converter.register_structure_hook(
        VerificationStatus | None, _status(VerificationStatus, VerificationStatus.UNKNOWN)
    )
    converter.register_structure_hook(TokenStatus | None, _status(TokenStatus, TokenStatus.UNKNOWN))
    verification = _object(converter, Verification, raw_status="status")
    converter.register_structure_hook(
        Verification,
        lambda value, target: Verification() if value is None else verification(value, target),
    )
    converter.register_structure_hook(SSOConnector, _object(converter, SSOConnector))
    converter.register_structure_hook(TokenInfo, _object(converter, TokenInfo, raw_status="status"))
    return converter
