"""What an answer's headers say about waiting."""

import datetime as dt
import re
from collections.abc import Mapping

BLOCK_SECONDS = 300.0
"""How long a credential is blocked when a 429 names no time, as documented."""

# What six digits can say, for dates too.
_MOST = 999_999.0
# One member of a structured-field list (RFC 9651): a quoted name and parameters.
_PARAMETER = r';[ ]*[a-z*][a-z0-9_.*-]*(?:=(?:"(?:[^"\\]|\\.)*"|[^\s;,"]+))?'
_MEMBER = re.compile(rf'[ \t]*"(?:[^"\\]|\\.)*"(?P<parameters>(?:{_PARAMETER})*)[ \t]*(?:,|\Z)')
_NUMBER = re.compile(r";[ ]*(?P<name>[rt])=(?P<value>[0-9]{1,6})(?=;|\Z)")


def retry_after(status: int, headers: Mapping[str, str]) -> float | None:
    """
    Return how many seconds an answer asks to wait, or ``None`` if it does not.

    ``Retry-After`` (RFC 9110, seconds or a date) comes first; a 429 without a
    readable one means the ``t`` of an exhausted ``Ratelimit``, else `BLOCK_SECONDS`.
    """
    asked = _seconds(headers.get("retry-after", ""), headers.get("date", ""))
    if asked is None and status == 429:
        # No time at all in a refusal is no time to go by.
        return _exhausted(headers.get("ratelimit", "")) or BLOCK_SECONDS
    return asked


def _seconds(text: str, date: str) -> float | None:
    text = text.strip(" \t")
    # Neither int() nor float(): they take signs, underscores, other digits and NaN.
    if re.fullmatch(r"[0-9]{1,6}", text):
        return float(text)
    until = _date(text)
    if until is None:
        return None
    seconds = (until - (_date(date) or dt.datetime.now(dt.UTC))).total_seconds()
    return min(max(0.0, seconds), _MOST)


def _date(text: str) -> dt.datetime | None:
    # Here, since it is slow to load and dates are rare.
    import email.utils

    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=dt.UTC)


def _exhausted(text: str) -> float | None:
    """Return the longest ``t`` of the members with ``r=0``; malformed fields are ignored."""
    waits, position = [], 0
    while position < len(text):
        member = _MEMBER.match(text, position)
        if member is None:
            return None
        numbers = {n["name"]: int(n["value"]) for n in _NUMBER.finditer(member["parameters"])}
        if numbers.get("r") == 0:
            waits.append(float(numbers.get("t", 0)))
        position = member.end()
    return max(waits, default=None)
