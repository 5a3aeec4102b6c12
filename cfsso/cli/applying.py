"""A run on the screen: outcomes as they come, signals, and what it came to."""

import asyncio
import signal
import sys
from typing import Final

import cfsso
from cfsso.cli import exit_codes, records, summary
from cfsso.cli.options import Settings
from cfsso.cli.progress import progress
from cfsso.cli.screen import is_live, say
from cfsso.cli.session import Session
from cfsso.cli.signals import Signals
from cfsso.fleet import Changes, Outcome, OutcomeStatus

_LEFT: Final = "left before its outcome was known"


class Applying:
    """
    One run of ``apply``.

    Args:
        settings: The global options.
        session: The way to Cloudflare.
        changes: What is to be done.
        concurrency: How many requests may be under way at once.
    """

    def __init__(
        self, settings: Settings, session: Session, changes: Changes, concurrency: int
    ) -> None:
        self._settings = settings
        self._session = session
        self._changes = changes
        self._concurrency = concurrency
        self._stop = asyncio.Event()
        self._outcomes: list[Outcome] = []
        self._broken: OSError | None = None
        self._elapsed = 0.0

    def run(self) -> int:
        """
        Do it, show it, and return the exit code.

        Raises:
            OSError: stdout could not take the results; no further write was sent.
        """
        received = self._session.run_freely(self._run)
        if self._broken is not None:
            raise self._broken
        if not self._settings.json:
            summary.show(self._outcomes, elapsed=self._elapsed, merged=self._changes.merged)
        if received is not None:
            name = signal.Signals(received).name
            say(f"interrupted by {name}: run it again to go on")
            return exit_codes.of_signal(received)
        return exit_codes.of_statuses(outcome.status for outcome in self._outcomes)

    async def _run(self) -> int | None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        signals = Signals(self._ask_to_stop)
        async with self._session.connectors() as connectors:
            with signals:
                try:
                    await self._take_outcomes(connectors)
                except asyncio.CancelledError:
                    if signals.received is None:
                        raise
                    self._give_up()
        self._elapsed = loop.time() - begun
        return signals.received

    async def _take_outcomes(self, connectors: cfsso.AsyncSSOConnectors) -> None:
        outcomes = cfsso.fleet.apply(
            connectors, self._changes, concurrency=self._concurrency, stop=self._stop
        )
        # A bar and JSON on one terminal would overwrite each other.
        live = is_live(sys.stderr) and not (self._settings.json and sys.stdout.isatty())
        with progress(len(self._changes), live=live) as shown:
            async for outcome in outcomes:
                self._take(outcome)
                shown.add(green=outcome.status.is_green)

    def _take(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        if not self._settings.json or self._broken is not None:
            return
        try:
            records.emit(records.of_outcome(outcome))
        except OSError as error:
            # Nobody would learn of further writes, so there are none.
            self._broken = error
            self._stop.set()

    def _ask_to_stop(self) -> None:
        self._stop.set()
        say("stopping: no further write is sent; once more to leave at once")

    def _give_up(self) -> None:
        done = {(o.change.account_id, o.change.sso_connector_id) for o in self._outcomes}
        for change in self._changes:
            if (change.account_id, change.sso_connector_id) not in done:
                self._take(Outcome(change=change, status=OutcomeStatus.UNKNOWN, note=_LEFT))
