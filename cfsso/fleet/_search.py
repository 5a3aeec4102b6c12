"""Whether the domain of a rescue is found anywhere: a mistyped one must not look like a success."""

import difflib
from collections.abc import Callable, Iterable
from typing import Final

import attrs

from cfsso._pages import one_line
from cfsso.fleet._locked import Seen
from cfsso.fleet.outcomes import Outcome, OutcomeStatus

_NEAREST: Final = "; the nearest is "


class Search:
    """
    Holds back what there is to say of accounts without the domain until one has it.

    Args:
        domain: The e-mail domain. ``None``: all, so nothing is held back.
        total: How many accounts there are.
        tell: Takes outcomes, once they are known.
    """

    def __init__(self, domain: str | None, total: int, tell: Callable[[Outcome], None]) -> None:
        self._domain = domain
        self._total = total
        self._tell = tell
        self._is_found = False
        self._read = 0
        self._others: set[str] = set()
        self._held: list[Outcome] = []

    def saw(self, seen: Seen) -> None:
        """Take notice of an account's first list."""
        self._read += not seen.lost
        if self._is_found or self._domain is None:
            return
        if not seen.meant:
            self._others |= seen.others
            return
        self._is_found = True
        # From here on nobody asks what is near.
        self._others.clear()
        held, self._held = self._held, []
        for outcome in held:
            self.ends(outcome)

    def ends(self, outcome: Outcome) -> None:
        """Take the outcome of an account as a whole that has nothing of the domain."""
        if self._domain is None:
            self._tell(_noted(outcome, "it has no connectors"))
        elif self._is_found:
            self._tell(_noted(outcome, f"it has no connector of {self._domain}"))
        else:
            self._held.append(outcome)

    def close(self) -> None:
        """Tell what is held back: no account that could be read has the domain."""
        if not self._held:
            return
        said = f"no connector of {self._domain} in {self._where()}"
        near = nearest(self._domain or "", self._others)
        if near is not None:
            said += f"{_NEAREST}{one_line(near)}"
        for outcome in self._held:
            if outcome.status is OutcomeStatus.UNCHANGED:
                outcome = attrs.evolve(outcome, status=OutcomeStatus.BLOCKED)  # noqa: PLW2901 - it stands for it
            self._tell(_noted(outcome, said))

    def _where(self) -> str:
        if self._read == self._total:
            return "the account" if self._total == 1 else f"any of {self._total:,} accounts"
        if self._read == 1:
            return "the one account that could be read"
        return f"any of the {self._read:,} accounts that could be read"


def nearest(domain: str, others: Iterable[str]) -> str | None:
    """Return which of *others* is most like *domain*; ``None`` if there are none."""
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(domain.lower())
    found, best = None, -1.0
    for other in sorted(others):
        matcher.set_seq1(other.lower())
        # The first two are quick, and never less than the third.
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best:
            ratio = matcher.ratio()
            if ratio > best:
                found, best = other, ratio
    return found


def parted(note: str) -> tuple[str, str]:
    """Return what the note of an account without the domain says, and the nearest domain."""
    said, _, near = note.partition(_NEAREST)
    return said, near


def _noted(outcome: Outcome, said: str) -> Outcome:
    note = f"{outcome.note}; {said}" if outcome.note else said
    return attrs.evolve(outcome, note=note)
