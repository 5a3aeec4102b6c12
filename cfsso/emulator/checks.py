"""What a caller or a state file may hand in: everything else is refused by its name."""

import datetime as dt
from collections.abc import Iterable
from typing import Any, Final, TypeGuard

from cfsso.emulator.records import IDENTIFIER
from cfsso.errors import InvalidRequestError
from cfsso.models import VerificationStatus

PERMISSIONS: Final = ("read", "write")
STATUSES: Final = tuple(status.value for status in VerificationStatus if status != "unknown")


def wrong(name: str, form: str) -> InvalidRequestError:
    """Say what *name* must be, and never what it is: that may be a misplaced token."""
    return InvalidRequestError(f"{name} must be {form}")


def flag(value: Any, name: str) -> bool:
    """Return *value* if it is a boolean."""
    if type(value) is not bool:
        raise wrong(name, "true or false")
    return value


def text(value: Any, name: str) -> str:
    """Return *value* if it is a string with something in it."""
    if not isinstance(value, str) or not value:
        raise wrong(name, "a string that is not empty")
    return value


def texts(value: Any, name: str) -> list[str]:
    """Return *value*, itself and no copy, if it is a list of strings."""
    items = array(value, name)
    if not all(isinstance(item, str) for item in items):
        raise wrong(name, "an array of strings")
    return items


def array(value: Any, name: str) -> list[Any]:
    """Return *value* if it is a list."""
    if not _is_array(value):
        raise wrong(name, "an array")
    return value


def identifier(value: Any, name: str) -> str:
    """Return *value* if it has the form of an id."""
    if not isinstance(value, str) or not IDENTIFIER.fullmatch(value):
        raise wrong(name, "an id of 32 letters and digits")
    return value


def identifiers(values: Any, name: str) -> tuple[str, ...]:
    """Return *values* if they are ids; one string is not several."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise wrong(name, "an array of ids")
    return tuple(identifier(value, name) for value in values)


def one_of(choices: tuple[str, ...], value: Any, name: str) -> str:
    """Return *value*, as a plain string, if it is one of *choices*."""
    if value not in choices:
        raise wrong(name, f"one of {', '.join(choices)}")
    return str(value)


def aware(value: Any, name: str) -> dt.datetime:
    """Return *value* if it is a time with its offset."""
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        raise wrong(name, "an aware time")
    return value


def seconds(value: Any, name: str) -> float:
    """Return *value* if it is a duration."""
    if type(value) not in {int, float} or not 0 <= value < float("inf"):
        raise wrong(name, "a finite number of seconds from 0")
    return float(value)


def _is_array(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
