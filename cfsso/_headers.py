"""What an answer's headers say about waiting."""

import datetime as dt
import functools
import re
from collections.abc import Callable, Mapping

BLOCK_SECONDS = 300.0
"""How long a credential is blocked when a 429 names no time, as documented."""

# What six digits can say, for dates too.
_MOST = 999_999.0
# One member of a structured-field list (RFC 9651): a quoted name and parameters.
_PARAMETER = r';[ ]*([a-z*][a-z0-9_.*-]*)(?:=("(?:[^"\\]|\\.)*"|[^\s;,"]+))?'
_MEMBER = re.compile(
    rf'[ \t]*(?P<name>"(?:[^"\\]|\\.)*")(?P<parameters>(?:{_PARAMETER})*)[ \t]*(?:,|\Z)'
)
# What nearly every answer has: one member, which says what remains and for how long.
_USUAL = re.compile(r'"[^"\\]*";[ ]*r=([0-9]{1,6});[ ]*t=([0-9]{1,6})')
_PARAMETERS = re.compile(_PARAMETER)
_NUMBER = re.compile(r"[0-9]{1,6}")


def retry_after(
    status: int, headers: Mapping[str, str], told: Callable[[], float | None] = lambda: None
) -> float | None:
    """
    Return how many seconds an answer asks to wait, or ``None`` if it does not.

    ``Retry-After`` (RFC 9110, seconds or a date) comes first, then what else is *told*. A 429
    with neither means the ``t`` of an exhausted ``Ratelimit``, else `BLOCK_SECONDS`.
    """
    text = headers.get("retry-after")
    asked = None if text is None else _seconds(text, headers.get("date", ""))
    if asked is None:
        asked = told()
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


@functools.lru_cache(maxsize=64)
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
    members = _members(text)
    waits = [float(numbers.get("t", 0)) for _, numbers in members if numbers.get("r") == 0]
    return max(waits, default=None)


def remaining(headers: Mapping[str, str]) -> tuple[int, float | None] | None:
    """
    Return how many requests remain by ``Ratelimit``, and for how many seconds that holds.

    Of several members the one with the least counts. Without a ``t`` it is the window
    that ``Ratelimit-Policy`` names, else ``None``. Malformed fields are ignored.

    https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
    """
    text = headers.get("ratelimit")
    if text is None:
        return None
    if usual := _USUAL.fullmatch(text):
        return int(usual[1]), float(usual[2])
    least: tuple[int, float | None] | None = None
    for name, numbers in _members(text):
        if "r" not in numbers or (least is not None and least[0] <= numbers["r"]):
            continue
        seconds = numbers.get("t")
        if seconds is None:
            policies = dict(_members(headers.get("ratelimit-policy", "")))
            seconds = policies.get(name, {}).get("w")
        least = numbers["r"], None if seconds is None else float(seconds)
    return least


def quota(policy: str) -> int | None:
    """Return the least ``q`` of a ``Ratelimit-Policy``. ``None``: it has none that can be read."""
    return min((numbers["q"] for _, numbers in _members(policy) if "q" in numbers), default=None)


def _members(text: str) -> list[tuple[str, dict[str, int]]]:
    """Return each member's name and numbers; none at all if the field is malformed."""
    found: list[tuple[str, dict[str, int]]] = []
    position = 0
    while position < len(text):
        member = _MEMBER.match(text, position)
        if member is None:
            return []
        parameters = _PARAMETERS.findall(member["parameters"])
        numbers = {name: int(value) for name, value in parameters if _NUMBER.fullmatch(value)}
        found.append((member["name"], numbers))
        position = member.end()
    return found


def server_time(headers: Mapping[str, str]) -> dt.datetime | None:
    """Return the answer's ``Date``. ``None``: it had none that can be read."""
    return _date(headers.get("date", ""))
