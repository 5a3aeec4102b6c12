"""What a rescue came to: how many connectors are off now, who is still locked out, and why."""

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

import attrs
from rich.console import Console
from rich.table import Table

import cfsso
from cfsso.cli import advice, render, summary
from cfsso.cli.options import Settings
from cfsso.cli.results import Target
from cfsso.cli.summary import counted
from cfsso.fleet import Outcome, OutcomeStatus, _search

_AGAIN: Final = {
    OutcomeStatus.NOT_ATTEMPTED: "run it again",
    OutcomeStatus.CONFLICT: "see who enables it, and run it again",
    OutcomeStatus.UNKNOWN: "run it again, or look with `{look}`",
}
# How many accounts the last line names; the rows name all.
_NAMED: Final = 5
# How many domains are named in all, and in the row of an account.
_DOMAINS: Final = 10
_IN_A_ROW: Final = 3
# A longer table of accounts would push what matters off the screen.
_ROWS: Final = 40
_COMMAND: Final = re.compile(r"`cfsso ([^`]*)`")


@attrs.define
class _Tally:
    """What became of an account's connectors."""

    disabled: int = 0
    off: int = 0
    left: int = 0
    is_off: bool = True
    is_nowhere: bool = False
    domains: dict[str, None] = attrs.field(factory=dict)


class Rescued:
    """
    What a rescue, or a drill, has come to so far.

    Args:
        settings: The global options.
        total: How many accounts there are.
        domain: The e-mail domain that it is about. ``None``: all.
        drill: Whether nothing is written.

    Attributes:
        outcomes: All so far.
        disabled: How many connectors are disabled now, or would be.
        off: How many were off already.
        left: How many accounts are not off, or may not be.
        near: The domain that is nearest to one that no account has; empty if there is none.
    """

    def __init__(self, settings: Settings, total: int, domain: str | None, *, drill: bool) -> None:
        self._settings = settings
        self._total = total
        self._domain = domain
        self._drill = drill
        self._accounts: dict[str, _Tally] = {}
        # Why no account has the domain.
        self._nowhere = ""
        self.outcomes: list[Outcome] = []
        self.disabled = 0
        self.off = 0
        self.left = 0
        self.near = ""

    def __contains__(self, account_id: str) -> bool:
        return account_id in self._accounts

    def add(self, outcome: Outcome) -> None:
        """Take one more."""
        self.outcomes.append(outcome)
        tally = self._accounts.setdefault(outcome.change.account_id, _Tally())
        if not outcome.status.is_green:
            self.left += tally.is_off
            tally.is_off = False
            tally.is_nowhere = _is_nowhere(outcome)
            if tally.is_nowhere:
                said, self.near = _search.parted(outcome.note)
                self._nowhere = said.rpartition("; ")[2]
        if not outcome.change.sso_connector_id:
            return
        if not outcome.status.is_green:
            tally.left += 1
        elif outcome.status is OutcomeStatus.CHANGED or self._would_disable(outcome):
            tally.disabled += 1
            self.disabled += 1
            tally.domains[_domain(outcome)] = None
        else:
            tally.off += 1
            self.off += 1

    @property
    def is_nowhere(self) -> bool:
        """Whether no account that could be read has the domain."""
        return bool(self._nowhere)

    @property
    def line(self) -> str:
        """How many connectors are off, and in which accounts they are not."""
        if self._nowhere:
            nothing = "nothing would be disabled" if self._drill else "nothing was disabled"
            others = [a for a in self._left if not self._accounts[a].is_nowhere]
            more = f"; not known of {_listed(others)}" if others else ""
            return f"{self._nowhere}; {nothing}{more}"
        said = self._counts()
        if self._domain is None:
            off = self._total - self.left
            line = f"SSO {self._is} off in {off:,} of {self._total:,} accounts: {said}"
            still = f"; it {self._may_be} on in {self.left:,}: {_listed(self._left)}"
            return f"{line}{still}" if self.left else line
        if self.left:
            where = f"in {self.left:,} of {self._total:,} accounts: {_listed(self._left)}"
            return f"SSO {self._may_be} on for {self._domain} {where}; {said}"
        having = sum(1 for tally in self._accounts.values() if tally.disabled or tally.off)
        where = f"in {having:,} of {self._total:,} accounts"
        return f"SSO {self._is} off for {self._domain}: {said}, {where}"

    @property
    def progress(self) -> str:
        """What is off so far, in a few words."""
        verb = "to disable" if self._drill else "disabled"
        return (
            f"{counted(self.disabled, 'connector')} {verb}, {counted(self.left, 'account')} not off"
        )

    def show(self) -> None:
        """Draw accounts with their counts, what is not off with what to do next, and the line."""
        console = render.screen()
        fits = 0 < sum(map(_counts_for, self._accounts.values())) <= _ROWS
        if fits:
            self._show_accounts(console)
        summary.show_rows(console, [*self._rows(every=self._drill and not fits)], self._why)
        domains = [d for tally in self._accounts.values() for d in tally.domains]
        if domains and self._domain is None:
            verb = "would be disabled" if self._drill else "disabled now"
            console.print(render.cell(f"{verb}: {_few(domains, _DOMAINS)}"), soft_wrap=True)
        if not self._nowhere:
            console.print(render.cell(self.line), soft_wrap=True)

    @property
    def _is(self) -> str:
        return "would be" if self._drill else "is"

    @property
    def _may_be(self) -> str:
        return "might stay" if self._drill else "may still be"

    def _counts(self) -> str:
        now = counted(self.disabled, "connector")
        if self._drill:
            return f"{now} would be disabled, {self.off:,} {_are(self.off)} off already"
        was = "was" if self.off == 1 else "were"
        return f"{now} disabled now, {self.off:,} {was} off already"

    @property
    def _left(self) -> Sequence[str]:
        return [account_id for account_id, tally in self._accounts.items() if not tally.is_off]

    def _would_disable(self, outcome: Outcome) -> bool:
        return self._drill and outcome.before is not None and outcome.before.enabled is not False

    def _rows(self, *, every: bool) -> Iterable[Outcome]:
        """Return what has a row of its own: what is not off, and what a drill says of tokens."""
        for outcome in self.outcomes:
            token = self._drill and not outcome.change.sso_connector_id
            would = every and self._would_disable(outcome)
            if (token or would or not outcome.status.is_green) and not _is_nowhere(outcome):
                yield outcome

    def _show_accounts(self, console: Console) -> None:
        tallies = {a: tally for a, tally in self._accounts.items() if _counts_for(tally)}
        left = any(tally.left for tally in tallies.values())
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("ACCOUNT", no_wrap=True)
        headers = ["WOULD DISABLE" if self._drill else "DISABLED NOW", "OFF ALREADY"]
        for header in [*headers, *(["NOT OFF"] * left)]:
            table.add_column(header, justify="right", no_wrap=True)
        table.add_column("DOMAINS", overflow="fold")
        for account_id, tally in tallies.items():
            counts = [tally.disabled, tally.off, *([tally.left] * left)]
            domains = _few([*tally.domains], _IN_A_ROW) or "-"
            table.add_row(*map(render.cell, [account_id, *(f"{n:,}" for n in counts), domains]))
        render.draw(console, table)
        console.print()

    def _why(self, outcome: Outcome) -> str:
        try:
            return self._said(outcome)
        except Exception as error:  # noqa: BLE001 - what is odd about one hides no other
            return f"it can't be shown: {type(error).__name__}"

    def _said(self, outcome: Outcome) -> str:
        said = summary.reason(outcome)
        then = _next(outcome)
        return f"{said}: {self._reachable(then)}" if then else said

    def _reachable(self, text: str) -> str:
        """Return *text* with commands that reach the same server with the same token."""
        return _COMMAND.sub(
            lambda found: f"`{self._settings.command(*shlex.split(found[1]))}`", text
        )


def _next(outcome: Outcome) -> str:
    """Say what to do about an outcome; nothing if there is nothing, or its note says it."""
    change, error = outcome.change, outcome.error
    target = Target(change.account_id, change.sso_connector_id or None)
    if outcome.status in _AGAIN and (error is None or outcome.status.value != "not_attempted"):
        return _AGAIN[outcome.status].format(look=target.look)
    if outcome.status.is_green or outcome.status is OutcomeStatus.BLOCKED:
        return ""
    if error is None:
        return "make a new token"
    if isinstance(error, cfsso.InvalidRequestError):
        return "put its token into the file of --token-file"
    if isinstance(error, cfsso.APIResponseValidationError) and error.request is None:
        return "look at this account in the dashboard"
    return advice.advice(error, target)


def _is_nowhere(outcome: Outcome) -> bool:
    """Whether it says that no account has the domain."""
    return outcome.status is OutcomeStatus.BLOCKED and not outcome.change.sso_connector_id


def _counts_for(tally: _Tally) -> bool:
    return bool(tally.disabled or tally.off or tally.left)


def _domain(outcome: Outcome) -> str:
    seen = outcome.before or outcome.after
    return (seen and seen.email_domain) or outcome.change.sso_connector_id


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _listed(accounts: Sequence[str]) -> str:
    return _few(accounts, _NAMED)


def _few(names: Sequence[str], most: int) -> str:
    """Return the first names, and how many more there are."""
    named = ", ".join(names[:most])
    return f"{named} and {len(names) - most:,} more" if len(names) > most else named
