"""The journal of a rescue: written as well as can be, and never in the way of a write."""

import asyncio
import contextlib
import contextvars
import datetime as dt
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeAlias

import attrs

from cfsso._log import log
from cfsso.errors import InvalidRequestError
from cfsso.fleet import _complaints, _opening, _plain, _rows
from cfsso.fleet._store import Record, Store
from cfsso.fleet._targets import Ending, Intent, RunKind
from cfsso.fleet.outcomes import Outcome, OutcomeStatus
from cfsso.models import SSOConnector

_WISHED: Final = {"enabled": False}
# What is sent for that.
_BODY: Final = '{"enabled":false}'
# So many records may wait for a disk that hangs; they take about 50 MB.
_MOST: Final = 50_000

_Queue: TypeAlias = "queue.SimpleQueue[Record | None]"


class RescueJournal:
    """
    Best-effort record of a rescue: never blocks, delays or stops a write.

    It is the journal of one run, whose targets are added as they are found. A thread
    of its own does all the work, and what is handed in is durable soon after. If that
    can't be, a warning says so once, and the rest is not recorded.

    Attributes:
        path: Where it is.
        problem: Why it can't be kept, in one sentence. Empty: it can.
    """

    def __init__(self, path: str, make: Callable[[], Store], options: Mapping[str, Any]) -> None:
        self.path = path
        self.problem = ""
        self._make = make
        self._options = options
        self._queue: _Queue = queue.SimpleQueue()
        self._over = False
        # Of those who wait for that.
        self._waiting = threading.Condition()
        # As a daemon, since a disk that hangs must not keep the process from its end.
        work = partial(contextvars.copy_context().run, self._work)
        self._thread = threading.Thread(target=work, name="cfsso-rescue-journal", daemon=True)

    @classmethod
    def start(
        cls,
        path: str | os.PathLike[str],
        *,
        server: str,
        options: Mapping[str, Any],
        keep: bool = True,
        folder: bool = False,
    ) -> "RescueJournal":
        """
        Begin a journal; return at once.

        Args:
            path: The file to be made. One that exists is left alone.
            server: Which server the rescue reaches. Empty: not known.
            options: What the rescue was told, as plain data.
            keep: Whether the file stays if there was nothing to write.
            folder: Whether to make its folder too, if there is none.

        Raises:
            InvalidRequestError: *path* is no name of a file.
        """
        name = _opening.name_of(path)

        def make() -> Store:
            """Make the file."""
            if folder:
                os.makedirs(os.path.dirname(name), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120 - pathlib would cost import time
            store = _opening.create(name, server)
            store.keep = keep
            return store

        journal = cls(name, make, options)
        journal._thread.start()
        return journal

    def intend(self, account_id: str, found: SSOConnector) -> None:
        """Record that *found* is about to be disabled; return at once."""
        self._put(partial(_intend, account_id=account_id, found=found, at=_plain.now()))

    def end(self, outcome: Outcome) -> None:
        """Record what became of a connector, or of an account as a whole; return at once."""
        self._put(partial(_end, outcome=outcome, at=_plain.now()))

    async def aclose(self, *, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - of the disk, not of a task
        """
        Write what is left and close the file.

        The run has ended if all of its targets have. A second call waits again, if need be.

        Args:
            timeout: Seconds to wait for the disk, in real time; then it is left to itself.
        """
        self._queue.put(None)
        waiter = ThreadPoolExecutor(1, "cfsso-rescue-journal-end")
        left = False

        def wait() -> bool:
            """Wait for the end of the thread, as long as somebody wants to know."""
            with self._waiting:
                return self._waiting.wait_for(lambda: self._over or left, timeout)

        try:
            await asyncio.get_running_loop().run_in_executor(waiter, wait)
        finally:
            with self._waiting:
                left = True
                self._waiting.notify_all()
            waiter.shutdown(wait=False)
        if not self._over:
            self._fail(f"{self.path}: its disk has not answered for {timeout:g} s")

    def _put(self, record: Record) -> None:
        if self.problem:
            return
        if self._queue.qsize() >= _MOST:
            self._fail(f"{self.path}: its disk does not answer")
            return
        self._queue.put(record)

    def _fail(self, problem: str) -> None:
        if not self.problem:
            self.problem = problem
            log().warning("the record of this rescue is not complete: %s", problem)

    def _work(self) -> None:
        """Do all that blocks."""
        try:
            self._keep()
        except InvalidRequestError as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the rescue goes on
            self._fail(_complaints.unkept(self.path, error))
        finally:
            with self._waiting:
                self._over = True
                self._waiting.notify_all()

    def _keep(self) -> None:
        store = self._make()
        try:
            store.begin()
            store.seal(store.new_run(RunKind.BREAK_GLASS, options=dict(self._options)), {})
            for records in self._batches():
                store.commit(records, {})
            if not store.counts(store.latest)[None]:
                ended = attrs.evolve(store.runs[-1], ended=_plain.now())
                store.commit([partial(Store.end_run, run=ended)], {})
        finally:
            store.close({})

    def _batches(self) -> Iterator[list[Record]]:
        """Yield what has come since the last time, until there is no more to come."""
        while True:
            batch = [self._queue.get()]
            batch += [self._queue.get() for _ in range(self._queue.qsize())]
            records = [record for record in batch if record is not None]
            if records:
                yield records
            if len(records) < len(batch):
                return


def _intend(store: Store, *, account_id: str, found: SSOConnector, at: dt.datetime) -> None:
    position = store.join(account_id, found.id, _WISHED)
    intent = Intent(at=at, before=found, body=_BODY)
    store.put_intent(position, _rows.of_intent(intent))


def _end(store: Store, *, outcome: Outcome, at: dt.datetime) -> None:
    change = outcome.change
    position = store.join(change.account_id, change.sso_connector_id, change.wished)
    ending = Ending(
        status=outcome.status,
        at=at,
        before=outcome.before,
        after=outcome.after,
        error=outcome.error,
        attempts=outcome.attempts,
        note=outcome.note,
    )
    store.put_endings({position: _rows.of_ending(ending)})
    if outcome.status is OutcomeStatus.NOT_ATTEMPTED:
        # Nothing was sent, so nothing is in flight, and there is nothing to revert.
        with contextlib.suppress(InvalidRequestError):
            store.take_back(position)
