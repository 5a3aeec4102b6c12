"""A rescue on the screen: how many accounts are open, and what an interruption leaves."""

import asyncio
import math
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any, Final, cast

import cfsso
from cfsso.cli import exit_codes, records, rescued
from cfsso.cli.options import Settings
from cfsso.cli.progress import Lines, Live
from cfsso.cli.screen import is_live, say
from cfsso.cli.session import Session
from cfsso.cli.signals import Signals
from cfsso.cli.waits import Waits
from cfsso.fleet import Change, Outcome, OutcomeStatus

_LEFT: Final = "left before its outcome was known"
# How long a run that was interrupted may go on to settle what is under way.
_SETTLING: Final = 30.0
# Whoever stops a run does not sit through a longer wait for the rate limit.
_PATIENCE: Final = 5.0


class Rescuing:
    """
    One run of ``break-glass``.

    Args:
        settings: The global options.
        session: The way to Cloudflare.
        accounts: Which accounts, each once.
        domain: The e-mail domain. ``None``: all.
        drill: Whether nothing is written.
    """

    def __init__(
        self,
        settings: Settings,
        session: Session,
        accounts: Sequence[str],
        *,
        domain: str | None,
        drill: bool,
    ) -> None:
        self._settings = settings
        self._session = session
        self._accounts = accounts
        self._domain = domain
        self._drill = drill
        self._stop = asyncio.Event()
        self._outcomes: list[Outcome] = []
        # By account: whether all that is known of it is green.
        self._open: dict[str, bool] = {}
        self._opened = 0
        self._written: set[str] = set()
        self._broken: OSError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._leave: Callable[[], object] = bool

    def run(self) -> int:
        """
        Do it, show it, and return the exit code.

        Raises:
            OSError: stdout could not take the results; the rescue was done all the same.
        """
        received = self._session.run_freely(self._run)
        found = rescued.Rescued(self._outcomes, self._open, self._domain, drill=self._drill)
        if not self._settings.json:
            found.show()
        else:
            say(found.line)
        if self._drill:
            say("nothing was written: a drill can't show whether a token may write")
        if received is not None:
            say(f"interrupted by {signal.Signals(received).name}: run it again to go on")
            return exit_codes.of_signal(received)
        if self._broken is not None:
            raise self._broken
        return exit_codes.of_statuses(outcome.status for outcome in self._outcomes)

    async def _run(self) -> int | None:
        # A bar and JSON on one terminal would overwrite each other.
        live = is_live(sys.stderr) and not (self._settings.json and sys.stdout.isatty())
        waits = Waits(limits=not live)
        signals = Signals(lambda: self._ask_to_stop(waits.left()))
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._leave = task.cancel
        total = len(self._accounts)

        def watch(event: cfsso.Event) -> None:
            """Take notice of what happens in the run."""
            waits(event)
            if event.writes:
                self._written.add(event.account_id)

        async with self._session.connectors() as connectors:
            watched = connectors.with_options(on_event=watch)
            shown = _Bar(total, waits.left) if live else _Lines(total, waits.left)
            with signals, shown:
                try:
                    await self._take_outcomes(watched, shown)
                except asyncio.CancelledError:
                    if signals.received is None:
                        raise
                    self._give_up()
                finally:
                    if self._timer is not None:
                        self._timer.cancel()
        return signals.received

    async def _take_outcomes(
        self, connectors: cfsso.AsyncSSOConnectors, shown: "_Bar | _Lines"
    ) -> None:
        outcomes = cfsso.fleet.break_glass(
            connectors, self._accounts, domain=self._domain, drill=self._drill, stop=self._stop
        )
        async with aclosing(outcomes):
            async for outcome in outcomes:
                self._take(outcome)
                shown.count(len(self._open), self._opened)

    def _take(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        account_id, green = outcome.change.account_id, outcome.status.is_green
        self._opened -= self._open.get(account_id, False)
        self._open[account_id] = self._open.get(account_id, True) and green
        self._opened += self._open[account_id]
        if not self._settings.json or self._broken is not None:
            return
        try:
            records.emit(records.of_outcome(outcome))
        except OSError as error:
            # People are locked out: that nobody reads on is no reason to stop.
            self._broken = error

    def _ask_to_stop(self, left: float) -> bool:
        """Stop; return whether to leave at once."""
        self._stop.set()
        leave = left > _PATIENCE
        if leave:
            say(f"stopping at once: the rate limit asks to wait {math.ceil(left):,} s more")
            return True
        say("stopping: no further write is sent; once more to leave at once")
        self._timer = asyncio.get_running_loop().call_later(_SETTLING, self._leave)
        return False

    def _give_up(self) -> None:
        for account_id in self._accounts:
            if account_id in self._open:
                continue
            change = Change(account_id, "", enabled=False)
            if account_id in self._written:
                self._take(Outcome(change=change, status=OutcomeStatus.UNKNOWN, note=_LEFT))
            else:
                self._take(Outcome(change=change, status=OutcomeStatus.NOT_ATTEMPTED))


class _Lines(Lines):
    """A line from time to time, and one at the end."""

    def count(self, done: int, opened: int) -> None:
        """Say how many accounts are done, and how many of them are open, if it is time."""
        self._not_green = done - opened
        if done > self._done:
            self._done = done - 1
            self.add(green=True)

    def _line(self, elapsed: float) -> str:
        del elapsed
        return (
            f"{self._done:,} of {self._total:,} accounts done:"
            f" {self._done - self._not_green:,} open, {self._not_green:,} not"
        )


class _Bar(Live):
    """A bar with how many accounts are open, and how many are not."""

    def count(self, done: int, opened: int) -> None:
        """Show how many accounts are done, and how many of them are open."""
        said = f"{opened:,} open, {done - opened:,} not"
        self._bar.update(self._task, completed=done, description=said)
