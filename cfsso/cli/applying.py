"""A run on the screen: outcomes as they come, signals, and what it came to."""

import asyncio
import math
import signal
import sys
from typing import Final

import cfsso
from cfsso.cli import exit_codes, records, summary
from cfsso.cli.options import Settings
from cfsso.cli.progress import Progress, progress
from cfsso.cli.screen import is_live, say
from cfsso.cli.session import Session
from cfsso.cli.signals import Signals
from cfsso.cli.waits import Waits
from cfsso.fleet import Changes, Outcome, OutcomeStatus

_LEFT: Final = "left before its outcome was known"
_OK: Final = 200
# Whoever stops a run does not sit through a longer wait for the rate limit.
_PATIENCE: Final = 5.0


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
        # The accounts that were listed, and so may have been written to.
        self._listed: set[str] = set()
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
        # A bar and JSON on one terminal would overwrite each other.
        live = is_live(sys.stderr) and not (self._settings.json and sys.stdout.isatty())
        waits = Waits(limits=not live)
        signals = Signals(lambda: self._ask_to_stop(waits.left()))

        def watch(event: cfsso.Event) -> None:
            """Take notice of what happens in the run."""
            waits(event)
            self._watch(event)

        async with self._session.connectors() as connectors:
            watched = connectors.with_options(on_event=watch)
            with signals, progress(len(self._changes), live=live, left=waits.left) as shown:
                try:
                    await self._take_outcomes(watched, shown)
                except asyncio.CancelledError:
                    if signals.received is None:
                        raise
                    self._give_up()
        self._elapsed = loop.time() - begun
        return signals.received

    async def _take_outcomes(self, connectors: cfsso.AsyncSSOConnectors, shown: Progress) -> None:
        outcomes = cfsso.fleet.apply(
            connectors,
            self._changes,
            concurrency=self._concurrency,
            max_wait=self._settings.max_wait,
            stop=self._stop,
        )
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

    def _watch(self, event: cfsso.Event) -> None:
        """See which accounts the run has looked at, or failed to."""
        ended = event.kind is cfsso.EventKind.END and event.error is not None
        if event.operation == "list" and (event.status == _OK or ended):
            self._listed.add(event.account_id)

    def _ask_to_stop(self, left: float) -> bool:
        """Stop; return whether to leave at once."""
        self._stop.set()
        leave = left > _PATIENCE
        if leave:
            say(f"stopping at once: the rate limit asks to wait {math.ceil(left):,} s more")
        else:
            say("stopping: no further write is sent; once more to leave at once")
        return leave

    def _give_up(self) -> None:
        done = {(o.change.account_id, o.change.sso_connector_id) for o in self._outcomes}
        for change in self._changes:
            if (change.account_id, change.sso_connector_id) in done:
                continue
            if change.account_id in self._listed:
                self._take(Outcome(change=change, status=OutcomeStatus.UNKNOWN, note=_LEFT))
            else:
                self._take(Outcome(change=change, status=OutcomeStatus.NOT_ATTEMPTED))
