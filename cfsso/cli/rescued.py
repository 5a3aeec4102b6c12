"""What a rescue came to: who is still locked out and why, and one line."""

from collections.abc import Mapping, Sequence
from typing import Final

import cfsso
from cfsso.cli import advice, render, summary
from cfsso.cli.results import Target
from cfsso.fleet import Outcome, OutcomeStatus

_AGAIN: Final = {
    OutcomeStatus.NOT_ATTEMPTED: "run it again",
    OutcomeStatus.CONFLICT: "see who enables it, and run it again",
    OutcomeStatus.UNKNOWN: "run it again, or look with `{look}`",
}
# How many accounts the last line names; the table names all.
_NAMED: Final = 5


class Rescued:
    """
    The end of a rescue, or of a drill.

    Args:
        outcomes: All of them.
        accounts: By account id, whether all is green; in the order in which they ended.
        domain: The e-mail domain that it was about. ``None``: all.
        drill: Whether nothing was written.
    """

    def __init__(
        self,
        outcomes: Sequence[Outcome],
        accounts: Mapping[str, bool],
        domain: str | None,
        *,
        drill: bool,
    ) -> None:
        self._outcomes = outcomes
        self._accounts = accounts
        self._domain = domain
        self._drill = drill

    @property
    def line(self) -> str:
        """How many accounts are open, and which are not."""
        left = [account_id for account_id, is_open in self._accounts.items() if not is_open]
        total = len(self._accounts)
        state = "ready" if self._drill else "open"
        scope = f" for {self._domain}" if self._domain else ""
        line = f"{total - len(left):,} of {total:,} accounts are {state}{scope}"
        if not left:
            return line
        named = ", ".join(left[:_NAMED])
        more = f" and {len(left) - _NAMED:,} more" if len(left) > _NAMED else ""
        return f"{line}; {len(left):,} {'is' if len(left) == 1 else 'are'} not: {named}{more}"

    def show(self) -> None:
        """Draw what is not green with what to do next, or all of a drill; then the line."""
        console = render.screen()
        shown = [o for o in self._outcomes if self._drill or not o.status.is_green]
        summary.show_rows(console, shown, _why)
        console.print(render.cell(self.line), soft_wrap=True)


def _why(outcome: Outcome) -> str:
    said = summary.reason(outcome)
    then = _next(outcome)
    return f"{said}: {then}" if then else said


def _next(outcome: Outcome) -> str:
    """Say what to do about an outcome; nothing if there is nothing, or its note says it."""
    change, error = outcome.change, outcome.error
    target = Target(change.account_id, change.sso_connector_id or None)
    if outcome.status in _AGAIN:
        return _AGAIN[outcome.status].format(look=target.look)
    if outcome.status is not OutcomeStatus.FAILED:
        return ""
    if error is None:
        return "make a new token"
    if isinstance(error, cfsso.InvalidRequestError):
        return "put its token into the file of --token-file"
    return advice.advice(error, target)
