"""What the process says when it ends; docs/cli.md explains it to users."""

from collections.abc import Iterable
from typing import Final

GREEN: Final = 0
NOT_GREEN: Final = 1
USAGE: Final = 2
CHANGES: Final = 3
UNKNOWN: Final = 4
_BY_SIGNAL: Final = 128


def of_statuses(statuses: Iterable[str]) -> int:
    """Return the code for outcomes of these statuses: the worst one decides."""
    found = set(statuses)
    if "unknown" in found:
        return UNKNOWN
    return NOT_GREEN if found - {"changed", "unchanged"} else GREEN


def of_lost_results(code: int) -> int:
    """Return the code of a command that ended with *code*, but whose results nobody got."""
    return NOT_GREEN if code in {GREEN, CHANGES} else code


def of_signal(number: int) -> int:
    """Return what a shell shows for a process that this signal ended: 129, 130 or 143."""
    return _BY_SIGNAL + number
