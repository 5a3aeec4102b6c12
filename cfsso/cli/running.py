"""A run on the screen: outcomes as they come, signals, and what it came to."""

import asyncio
import datetime as dt
import enum
import math
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final, TypeAlias

import cfsso
from cfsso._text import shown_time
from cfsso.cli import exit_codes, records, summary, ways_on
from cfsso.cli.options import Settings
from cfsso.cli.progress import Progress, progress
from cfsso.cli.screen import hint, is_live, say
from cfsso.cli.session import Session
from cfsso.cli.signals import Signals
from cfsso.cli.streams import OutputError
from cfsso.cli.waits import Waits
from cfsso.fleet import Change, Outcome, OutcomeStatus, RunKind

# Whoever stops a run does not sit through a longer wait for the rate limit.
_PATIENCE: Final = 5.0

Begin: TypeAlias = Callable[
    [cfsso.AsyncSSOConnectors, asyncio.Event], AsyncGenerator[Outcome, None]
]
"""Begins a run over connectors, which ends early once the event is set."""


class Keeping(enum.Enum):
    """When a run's journal is there afterwards."""

    NEVER = enum.auto()
    IF_WRITTEN = enum.auto()
    ALWAYS = enum.auto()


class Running:
    """
    One run of ``apply``, ``resume`` or ``revert``.

    Args:
        settings: The global options.
        session: The way to Cloudflare.
        journal: The file that it writes.
        total: How many targets it has, as far as is known.
        merged: How many rows of its file repeated an earlier one.
        keeping: Whether the journal is there afterwards.
        kind: What the run does.
        changes: What it is about, if the journal does not say it yet.
        ended: When the run ended, if it did so before and is only shown.
    """

    def __init__(
        self,
        settings: Settings,
        session: Session,
        journal: str,
        *,
        total: int,
        merged: int = 0,
        keeping: Keeping = Keeping.ALWAYS,
        kind: RunKind = RunKind.APPLY,
        changes: Sequence[Change] = (),
        ended: dt.datetime | None = None,
    ) -> None:
        self._settings = settings
        self._session = session
        self._journal = journal
        self._total = total
        self._merged = merged
        self._keeping = keeping
        self._kind = kind
        self._changes = changes
        self._ended = ended
        self._stop = asyncio.Event()
        self._outcomes: list[Outcome] = []
        self._output: OSError | None = None
        self._failed: cfsso.JournalError | None = None
        self._elapsed = 0.0

    def run(self, begin: Begin) -> int:
        """
        Do it, show it, and return the exit code.

        Raises:
            OutputError: stdout could not take the results; no further write was sent.
        """
        if self._keeping is not Keeping.NEVER:
            say(f"journal: {self._journal}")
        received = self._received(begin)
        try:
            if self._output is not None:
                raise self._output
            if not self._settings.json:
                summary.show(self._outcomes, elapsed=self._elapsed, merged=self._merged)
        finally:
            # Also if nobody reads the results: the way back must not be lost with them.
            self._say_how_it_ended(received)
        if received is not None:
            return exit_codes.of_signal(received)
        code = exit_codes.of_statuses(outcome.status for outcome in self._outcomes)
        return code if self._failed is None else code or exit_codes.NOT_GREEN

    def _received(self, begin: Begin) -> int | None:
        """Run, and return the number of the first signal; a bug does not hide the journal."""
        try:
            return self._session.run_freely(lambda: self._run(begin))
        except cfsso.CfssoError:
            # It says itself what was sent.
            raise
        except Exception:
            self._say_how_it_ended(None)
            raise

    def _say_how_it_ended(self, received: int | None) -> None:
        if self._failed is not None:
            say(str(self._failed))
        if self._ended is not None:
            say(f"finished at {shown_time(self._ended)}; nothing was sent now")
        kept = self._is_kept()
        if received is not None:
            again = "" if kept else ": run it again to go on"
            say(f"interrupted by {signal.Signals(received).name}{again}")
        if not kept:
            return
        say(f"journal: {self._journal}")
        for way in ways_on.hints(self._settings, self._journal, self._kind, self._outcomes):
            hint(way)

    def _is_kept(self) -> bool:
        """Whether the journal stays; one that nobody asked for does not if it holds no write."""
        if self._keeping is Keeping.NEVER or not os.path.lexists(self._journal):
            return False
        if self._keeping is Keeping.ALWAYS or ways_on.has_written(self._outcomes):
            return True
        if not self._session.run_freely(lambda: ways_on.is_empty(self._journal)):
            return True
        ways_on.remove(self._journal)
        return False

    async def _run(self, begin: Begin) -> int | None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        # A bar and JSON on one terminal would overwrite each other.
        live = is_live(sys.stderr) and not (self._settings.json and sys.stdout.isatty())
        waits = Waits(limits=not live)
        signals = Signals(lambda: self._ask_to_stop(waits.left()))
        async with self._session.connectors() as connectors:
            watched = connectors.with_options(on_event=waits)
            with signals, progress(self._total, live=live, left=waits.left) as shown:
                try:
                    await self._take_outcomes(begin(watched, self._stop), shown)
                except asyncio.CancelledError:
                    if signals.received is None:
                        raise
                    await self._give_up()
        self._elapsed = loop.time() - begun
        return signals.received

    async def _take_outcomes(
        self, outcomes: AsyncGenerator[Outcome, None], shown: Progress
    ) -> None:
        async with aclosing(outcomes):
            try:
                async for outcome in outcomes:
                    self._take(outcome)
                    shown.add(green=outcome.status.is_green)
            except cfsso.JournalError as error:
                self._failed = error
        if self._failed is not None and not self._outcomes:
            # It failed before the run began.
            await self._give_up()

    def _take(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        if not self._settings.json or self._output is not None:
            return
        try:
            records.emit(records.of_outcome(outcome))
        except OSError as error:
            # Nobody would learn of further writes, so there are none.
            self._output = OutputError(error.errno, error.strerror)
            self._stop.set()

    def _ask_to_stop(self, left: float) -> bool:
        """Stop; return whether to leave at once."""
        self._stop.set()
        leave = left > _PATIENCE
        if leave:
            say(f"stopping at once: the rate limit asks to wait {math.ceil(left):,} s more")
        else:
            say("stopping: no further write is sent; once more to leave at once")
        return leave

    async def _give_up(self) -> None:
        """Take from the journal what nobody waited for."""
        done = {(o.change.account_id, o.change.sso_connector_id) for o in self._outcomes}
        for outcome in await self._recorded():
            if (outcome.change.account_id, outcome.change.sso_connector_id) not in done:
                self._take(outcome)

    async def _recorded(self) -> Sequence[Outcome]:
        try:
            async with await cfsso.fleet.read_journal(self._journal) as reader:
                return [recorded.outcome async for recorded in reader.targets()]
        except cfsso.InvalidRequestError:
            # The run had not begun.
            status = OutcomeStatus.NOT_ATTEMPTED
            return [Outcome(change=change, status=status) for change in self._changes]
