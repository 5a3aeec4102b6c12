"""What a caller may ask for: everything else is refused before anything is sent."""

import re
import sys
from typing import Any, Final, NoReturn

from cfsso.errors import InvalidRequestError, WriteState
from cfsso.models import UNSET, MaybeBool

_ID_LENGTH = 32
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII | re.IGNORECASE)
_DOMAIN_BYTES = 253
_MOST: Final = sys.float_info.max
_NEVER: Final = float("inf")


def refuse(message: str, write: WriteState | None) -> NoReturn:
    """Raise `InvalidRequestError` with what was refused and how to put it right."""
    raise InvalidRequestError(message, write=write)


def identifier(name: str, value: Any, write: WriteState | None) -> str:
    """Return *value* if it is an id: 32 ASCII letters and digits, of either case."""
    # Both, since isalnum() takes the digits of every script.
    if type(value) is str and len(value) == _ID_LENGTH and value.isascii() and value.isalnum():
        return value
    return _refuse_identifier(name, value, write)


def _refuse_identifier(name: str, value: Any, write: WriteState | None) -> NoReturn:
    if type(value) is not str:
        refuse(f"{name} must be a str of 32 letters and digits, not {type(value).__name__}", write)
    if len(value) != _ID_LENGTH:
        refuse(f"{name} must be 32 letters and digits, not {len(value)} characters", write)
    place, char = next((n, c) for n, c in enumerate(value, 1) if not (c.isascii() and c.isalnum()))
    refuse(f"{name} must be 32 ASCII letters and digits; character {place} is {char!a}", write)


def booleans(**values: MaybeBool) -> dict[str, bool]:
    """Return the values that are set, by name; only ``True`` and ``False`` are booleans."""
    return {name: boolean(name, value) for name, value in values.items() if value is not UNSET}


def boolean(name: str, value: Any) -> bool:
    """Return *value* if it is ``True`` or ``False``; nothing else is a boolean."""
    if type(value) is not bool:
        refuse(f"{name} must be True or False, not {type(value).__name__}", WriteState.NOT_SENT)
    return value


def seconds(name: str, value: float | None) -> float | None:
    """Return *value* if it is seconds from 0, infinite ones too, or ``None``."""
    # A whole number beyond what a float holds can't be reckoned with.
    if value is None or (type(value) in {int, float} and (0 <= value <= _MOST or value == _NEVER)):
        return value
    return refuse(f"{name} must be seconds from 0, or None, not {value!r:.60}", None)


def whole(name: str, value: Any, least: int) -> int:
    """Return *value* if it is a whole number from *least*."""
    if type(value) is not int or value < least:
        refuse(f"{name} must be a whole number from {least}, not {value!r:.60}", None)
    return value


def domain_problem(domain: Any) -> str | None:
    """Say what keeps *domain* from being a DNS name (RFC 1035, RFC 5890)."""
    if type(domain) is not str:
        return f"must be a str, not {type(domain).__name__}"
    name = ascii_form(domain)
    if name is None or len(name) > _DOMAIN_BYTES:
        return f"must be a domain name of at most 253 bytes, not {domain!r:.80}"
    labels = name.split(".")
    if len(labels) < 2 or labels[-1].isdigit() or not all(map(_LABEL.fullmatch, labels)):  # noqa: PLR2004 - a name and its top level
        return f"must be a domain name such as example.com, not {domain!r:.80}"
    if not _reads_one_way(domain, name):
        return f"must be given as A-labels (xn--...): {domain!r:.80} can be read as another name"
    return None


def _reads_one_way(domain: str, name: str) -> bool:
    """Whether *domain* is what its A-labels *name* stand for, and not only looks like it."""
    plain = domain.lower()
    try:
        # In the second case a letter such as the Kelvin sign passes for an ASCII one.
        return domain.isascii() or (not plain.isascii() and name.encode().decode("idna") == plain)
    except UnicodeError:
        return False


def ascii_form(domain: str) -> str | None:
    """Return the A-label form in lower case, or ``None`` if there is none."""
    # Its length first: the codec takes its time with long texts.
    if len(domain) > _DOMAIN_BYTES:
        return None
    try:
        return (domain if domain.isascii() else domain.encode("idna").decode()).lower()
    except UnicodeError:
        return None


def domain_form(domain: str) -> str:
    """
    Return what the spellings of one domain have in common: A-labels in lower case.

    Unlike the form of IDNA 2003 it takes no letter for another one, such as "ss" for "ß":
    whose domain is written is not a matter of looks. A dot at the end counts for nothing.
    """
    # Its length first: the codec takes its time with long texts.
    if domain.isascii() or len(domain) > _DOMAIN_BYTES:
        return domain.lower().removesuffix(".")
    return ".".join(map(_label_form, domain.split("."))).removesuffix(".")


def same_domain(one: str | None, other: str | None) -> bool:
    """Whether both are the same e-mail domain; what is none is the same as nothing."""
    return bool(one and other) and domain_form(one or "") == domain_form(other or "")


def _label_form(label: str) -> str:
    if label.isascii():
        return label.lower()
    # By letter, since the lower case of a text depends on what stands beside a letter.
    plain = "".join(map(_lower, label))
    return f"xn--{plain.encode('punycode').decode()}"


def _lower(char: str) -> str:
    lower = char.lower()
    # The lower case of the Kelvin sign is an ASCII letter, and that of some others two letters.
    return lower if len(lower) == 1 and lower.isascii() == char.isascii() else char
