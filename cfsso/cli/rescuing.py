"""A rescue on the screen: what is off so far, and what an interruption leaves."""

import asyncio
import math
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final, cast

import attrs

import cfsso
from cfsso.cli import exit_codes, known_journals, records, rescued
from cfsso.cli.named_files import argument
from cfsso.cli.options import Settings
from cfsso.cli.progress import Lines, Live
from cfsso.cli.screen import hint, is_live, say
from cfsso.cli.session import Session
from cfsso.cli.signals import Signals
from cfsso.cli.waits import Waits
from cfsso.fleet import Change, Outcome, OutcomeStatus
from cfsso.fleet._rescue_journal import RescueJournal

_LEFT: Final = "left before its outcome was known"
# How long a run that was interrupted may go on to settle what is under way.
_SETTLING: Final = 30.0
# Whoever stops a run does not sit through a longer wait for the rate limit.
_PATIENCE: Final = 5.0


@attrs.frozen(kw_only=True)
class Order:
    """
    What a rescue is to do.

    Attributes:
        accounts: Which accounts, each once.
        domain: The e-mail domain. ``None``: all.
        drill: Whether nothing is written.
        journal: Where to record what is written. ``None``: nowhere.
        named: Whether somebody asked for that file.
        lasting: Whether the journal is there afterwards.
        again: The words of the command that does it again.
    """

    accounts: Sequence[str]
    domain: str | None = None
    drill: bool = False
    journal: str | None = None
    named: bool = False
    lasting: bool = True
    again: Sequence[str] = ()


class Rescuing:
    """
    One run of ``break-glass``.

    Args:
        settings: The global options.
        session: The way to Cloudflare.
        order: What it is to do.
    """

    def __init__(self, settings: Settings, session: Session, order: Order) -> None:
        self._settings = settings
        self._session = session
        self._order = order
        self._stop = asyncio.Event()
        self._found = rescued.Rescued(
            settings, len(order.accounts), order.domain, drill=order.drill
        )
        self._done = 0
        self._written: set[str] = set()
        self._journal: RescueJournal | None = None
        self._broken: OSError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._leave: Callable[[], object] = bool

    def run(self) -> int:
        """
        Do it, show it, and return the exit code.

        Raises:
            InvalidRequestError: The journal's name is none of a file; nothing was sent.
            OSError: stdout could not take the results; the rescue was done all the same.
        """
        received = self._session.run_freely(self._run)
        self._show()
        self._say_way_on(received)
        if received is not None:
            return exit_codes.of_signal(received)
        if self._broken is not None:
            raise self._broken
        return exit_codes.of_statuses(outcome.status for outcome in self._found.outcomes)

    def _show(self) -> None:
        found = self._found
        if self._settings.json:
            say(found.line)
        else:
            try:
                found.show()
                sys.stdout.flush()
            except OSError as error:
                # The way on is for stderr, which may be there yet.
                self._broken = error
            if found.is_nowhere or self._broken is not None:
                say(found.line)
        if found.near:
            say(f"did you mean {found.near}?")
        if self._order.drill:
            say("nothing was written: a drill can't show whether a token may write")

    def _say_way_on(self, received: int | None) -> None:
        """Say how to go on, and how to take it back."""
        again = self._settings.command(*self._order.again)
        if received is not None:
            say(f"interrupted by {signal.Signals(received).name}")
            hint(f"`{again}` goes on with what is left")
        elif self._found.left and not self._found.is_nowhere:
            hint(f"`{again}` does what is left, once that is put right")
        journal = self._journal if self._order.lasting and self._written else None
        if journal is not None and not journal.problem:
            say(f"journal: {journal.path}")
            back = self._settings.command("revert", argument(journal.path))
            hint(f"`{back}` enables again what was disabled now")

    async def _run(self) -> int | None:
        # A bar and JSON on one terminal would overwrite each other.
        live = is_live(sys.stderr) and not (self._settings.json and sys.stdout.isatty())
        waits = Waits(limits=not live)
        signals = Signals(lambda: self._ask_to_stop(waits.left()))
        loop = asyncio.get_running_loop()
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._leave = task.cancel
        total = len(self._order.accounts)
        shown = _Bar(total, waits.left) if live else _Lines(total, waits.left)

        def watch(event: cfsso.Event) -> None:
            """Take notice of what happens in the run."""
            waits(event)
            if event.writes:
                self._written.add(event.account_id)
            if event.operation == "break_glass":
                self._done += 1
                # Once its outcomes are taken, which are on their way.
                loop.call_soon(shown.count, self._done, self._found)

        async with self._session.connectors() as connectors:
            watched = connectors.with_options(on_event=watch)
            self._begin_journal(connectors.server)
            with signals, shown:
                try:
                    await self._take_outcomes(watched)
                except asyncio.CancelledError:
                    if signals.received is None:
                        raise
                    self._give_up()
                finally:
                    if self._timer is not None:
                        self._timer.cancel()
        return signals.received

    def _begin_journal(self, server: str) -> None:
        order = self._order
        if order.journal is None:
            return
        options = {"domain": order.domain}
        self._journal = RescueJournal.start(
            order.journal,
            server=server,
            options=options,
            keep=order.named,
            folder=not order.named,
        )
        if order.lasting:
            say(f"journal: {order.journal}")
        if order.named:
            # Its disk may hang, and nothing waits for it.
            remember = partial(known_journals.remember, order.journal)
            threading.Thread(target=remember, daemon=True).start()

    async def _take_outcomes(self, connectors: cfsso.AsyncSSOConnectors) -> None:
        order = self._order
        outcomes = cfsso.fleet.break_glass(
            connectors,
            order.accounts,
            domain=order.domain,
            drill=order.drill,
            stop=self._stop,
            journal=self._journal,
        )
        async with aclosing(outcomes):
            async for outcome in outcomes:
                self._take(outcome)

    def _take(self, outcome: Outcome) -> None:
        self._found.add(outcome)
        if not self._settings.json or self._broken is not None:
            return
        try:
            records.emit(_record(outcome))
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
        for account_id in self._order.accounts:
            if account_id in self._found:
                continue
            change = Change(account_id, "", enabled=False)
            if account_id in self._written:
                self._take(Outcome(change=change, status=OutcomeStatus.UNKNOWN, note=_LEFT))
            else:
                self._take(Outcome(change=change, status=OutcomeStatus.NOT_ATTEMPTED))


def _record(outcome: Outcome) -> dict[str, Any]:
    """Return the record of an outcome; whatever is odd about it hides no other."""
    try:
        return records.of_outcome(outcome)
    except Exception as error:  # noqa: BLE001 - that it can't be shown ends nothing
        return {
            "account_id": outcome.change.account_id,
            "sso_connector_id": outcome.change.sso_connector_id or None,
            "status": outcome.status.value,
            "error": f"it can't be shown: {type(error).__name__}",
        }


class _Lines(Lines):
    """A line from time to time, and one at the end."""

    _said = ""

    def count(self, done: int, found: rescued.Rescued) -> None:
        """Say how many accounts are done, and what is off, if it is time."""
        self._said = found.progress
        self._done = done - 1
        self.add(green=True)

    def _line(self, elapsed: float) -> str:
        del elapsed
        return f"{self._done:,} of {self._total:,} accounts done: {self._said}"


class _Bar(Live):
    """A bar with what is off so far, and how many accounts are not."""

    nothing = "0 connectors disabled"

    def count(self, done: int, found: rescued.Rescued) -> None:
        """Show how many accounts are done, and what is off."""
        self._bar.update(self._task, completed=done, description=found.progress)
