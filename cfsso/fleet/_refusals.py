"""Ten refusals alike are the mistake of whoever asks, and not of each target."""

from typing import Final

from cfsso.fleet._gate import Gate
from cfsso.fleet._targets import Ending
from cfsso.fleet._verdicts import is_turned_away
from cfsso.fleet.outcomes import OutcomeStatus

_ENOUGH: Final = 10


class Refusals:
    """
    Stops a run when targets in a row, of more than one account, are refused alike.

    By the API, or by what stands before it and lets nothing through.

    Args:
        gate: Is closed then.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._kind: tuple[int | None, int | None] | None = None
        self._accounts: set[str] = set()
        self._row = 0

    def notice(self, account_id: str, ending: Ending) -> None:
        """Learn how a target has ended; success begins anew, and the rest says nothing."""
        if ending.status.is_green:
            self._kind = None
        error = ending.error
        if error is None:
            return
        away = ending.status is OutcomeStatus.NOT_ATTEMPTED and is_turned_away(error)
        if ending.status is not OutcomeStatus.FAILED and not away:
            return
        kind = error.status, error.errors[0].code if error.errors else None
        if kind != self._kind:
            self._kind, self._row = kind, 0
            self._accounts.clear()
        self._row += 1
        # More than two need not be told from two, but are said.
        if len(self._accounts) < _ENOUGH:
            self._accounts.add(account_id)
        if self._row >= _ENOUGH and len(self._accounts) > 1:
            self._gate.close(
                f"{self._row:,} targets in a row, in {len(self._accounts)} accounts,"
                f" were refused alike: {error}"
            )
