"""What a journal holds, in SQL; every call blocks, and all come from one thread."""

import contextlib
import os
import platform
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from cfsso._version import __version__
from cfsso.errors import InvalidRequestError
from cfsso.fleet import _plain, _queries, _rows, _schema
from cfsso.fleet._lock import Lock
from cfsso.fleet._rows import Row
from cfsso.fleet._store_reader import StoreReader
from cfsso.fleet._targets import Run, RunKind, Target
from cfsso.fleet.outcomes import OutcomeStatus

if TYPE_CHECKING:
    import sqlite3

Record: TypeAlias = Callable[["Store"], None]
"""What is to be written; raises `InvalidRequestError` before it has written anything."""

_PUT_ONCE: Final = _rows.TARGETS.insert.replace("OR REPLACE", "OR IGNORE")

Sent: TypeAlias = Mapping[tuple[str, str], int]
"""Requests by second and credential."""


class Store(StoreReader):
    """
    The file of a journal, or a temporary one.

    Attributes:
        keep: Whether the file stays if it was made here and holds no intent.
    """

    def __init__(
        self, connection: "sqlite3.Connection", lock: Lock | None = None, *, made: str = ""
    ) -> None:
        super().__init__(connection)
        self._lock = lock
        self._made = made
        self.keep = True
        self._total = self._intents = self._endings = 0
        if self.runs:
            self._total = self.runs[-1].total
            _, self._intents, self._endings = self.tally(self.latest)
        self._before = self._total, self._intents, self._endings

    def own(self, server: str) -> None:
        """
        Write down who holds the lock, in the tables of the present format.

        Args:
            server: Which server is reached, in case that the journal does not know.
        """
        since = _plain.of_time(_plain.now())
        owner = _rows.OWNER.sealed(1, os.getpid(), socket.gethostname(), since)
        known = self.server or server
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            _schema.migrate(self.connection)
            self.connection.execute(_rows.OWNER.insert, owner)
            self.connection.execute(_rows.IDENTITY.insert, _rows.IDENTITY.sealed(1, known))
            self.connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self.server = known
        self.runs = [attrs.evolve(run, server=known) for run in self.runs]

    def close(self, sent: Sent) -> None:
        """Write what is left, if that is possible; close the file, then give the lock back."""
        import sqlite3

        self._roll_back()
        with contextlib.suppress(sqlite3.Error):
            if sent and self.runs:
                self.commit([], sent)
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()
        if self._lock is None:
            return
        if self._made and (not self.runs or not (self.keep or self._intents)):
            # Nothing was begun, or written, so nothing is lost, and the name is free again.
            self._lock.remove(self._made)
        else:
            self._lock.release()

    # A new run: begin, add as often as there is something, seal or abandon.

    def new_run(self, kind: RunKind, **fields: Any) -> Run:
        """Return a run that begins now, as the next one."""
        return Run(
            number=self.latest + 1,
            kind=kind,
            begun=_plain.now(),
            versions={"cfsso": __version__, "python": platform.python_version()},
            server=self.server,
            **fields,
        )

    def begin(self) -> None:
        """Open the transaction of a new run."""
        self.connection.execute("BEGIN IMMEDIATE")
        self._before = self._total, self._intents, self._endings
        self._total = self._intents = self._endings = 0

    def add(self, targets: Iterable[Target]) -> None:
        """
        Add targets to the run that was begun.

        Raises:
            InvalidRequestError: A connector or a position stands twice.
        """
        run = self.latest + 1
        account_id, turn = "", 0
        for target in targets:
            if target.account_id != account_id:
                account_id = target.account_id
                turn = self._turn(run, target)
            self._put_target(target, run, turn)
            if target.ending is not None:
                cells = (run, target.position, *_rows.of_ending(target.ending))
                self.connection.execute(_rows.ENDINGS.insert, _rows.ENDINGS.sealed(*cells))
                self._endings += 1

    def _put_target(self, target: Target, run: int, turn: int) -> None:
        row = _rows.of_target(target, run, turn)
        if not self.connection.execute(_PUT_ONCE, row).rowcount:
            raise InvalidRequestError(self._what_stands_twice(target, run))
        self._total += 1

    def _turn(self, run: int, target: Target) -> int:
        select = "SELECT turn FROM targets WHERE run=? AND account_id=?"
        turn = self._cell(select, run, target.account_id)
        return target.position if turn is None else int(turn)

    def _what_stands_twice(self, target: Target, run: int) -> str:
        key = (run, target.account_id, target.sso_connector_id)
        if self._row(_rows.TARGETS, "run=? AND account_id=? AND sso_connector_id=?", *key) is None:
            return f"position {target.position} stands twice"
        return f"connector {target.sso_connector_id} of account {target.account_id} stands twice"

    def seal(self, run: Run, sent: Sent) -> None:
        """Commit the run that was begun."""
        run = attrs.evolve(run, total=self._total)
        self.connection.execute(_rows.RUNS.insert, _rows.of_run(run))
        self._put_tally(run.number)
        self._put_sent(run.number, sent)
        self.connection.execute("COMMIT")
        self.runs.append(run)

    def abandon(self) -> None:
        """Leave nothing of the run that was begun."""
        self._roll_back()
        self._total, self._intents, self._endings = self._before

    # Records of the latest run.

    def commit(self, records: Sequence[Record], sent: Sent) -> Sequence[InvalidRequestError | None]:
        """Make *records* and *sent* durable, in one transaction; say which were refused."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            refusals = [self._tried(record) for record in records]
            if self._total != self.runs[-1].total:
                self.end_run(attrs.evolve(self.runs[-1], total=self._total))
            self._put_sent(self.latest, sent)
            self._put_tally(self.latest)
            self.connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        return refusals

    def _tried(self, record: Record) -> InvalidRequestError | None:
        try:
            record(self)
        except InvalidRequestError as error:
            return error
        return None

    def join(self, account_id: str, sso_connector_id: str, wished: Mapping[str, bool]) -> int:
        """Return the position of a connector in the latest run, which it joins if need be."""
        select = "SELECT position FROM targets WHERE run=? AND account_id=? AND sso_connector_id=?"
        known: int | None = self._cell(select, self.latest, account_id, sso_connector_id)
        if known is not None:
            return known
        target = Target(
            position=self._total,
            account_id=account_id,
            sso_connector_id=sso_connector_id,
            wished=wished,
        )
        self._put_target(target, self.latest, self._turn(self.latest, target))
        return target.position

    def put_intent(self, position: int, cells: Row) -> None:
        """Put an intent with these cells from ``at`` on; the journal counts."""
        self._need(position)
        self._intents += 1
        row = _rows.INTENTS.sealed(self.latest, self._intents, position, *cells, 0)
        self.connection.execute(_rows.INTENTS.insert, row)

    def take_back(self, position: int) -> None:
        """Take back the latest intent of a target."""
        intent = self._intent(self.latest, position)
        if intent is None:
            raise InvalidRequestError(f"target {position} of run {self.latest} has no intent")
        self.connection.execute(_rows.INTENTS.insert, _rows.INTENTS.sealed(*intent[:-2], 1))

    def put_endings(self, endings: Mapping[int, Row]) -> None:
        """Put endings with these cells from ``status`` on, by position."""
        before = {position: self._ending_of(position) for position in endings}
        for position, cells in endings.items():
            row = _rows.ENDINGS.sealed(self.latest, position, *cells)
            self.connection.execute(_rows.ENDINGS.insert, row)
            self._endings += before[position] is None

    def _ending_of(self, position: int) -> Row | None:
        self._need(position)
        ending = self._row(_rows.ENDINGS, "run=? AND position=?", self.latest, position)
        if ending is not None and OutcomeStatus(ending[2]).is_final:
            raise InvalidRequestError(
                f"target {position} of run {self.latest} has ended as {ending[2]} before"
            )
        return ending

    def reopen_failed(self) -> None:
        """Leave every failed target of the latest run to be attempted, and the run unfinished."""
        for ending in self.connection.execute(_queries.FAILED, (self.latest,)).fetchall():
            run, position, _failed, *others = _rows.ENDINGS.check(ending)[:-1]
            row = _rows.ENDINGS.sealed(run, position, OutcomeStatus.NOT_ATTEMPTED.value, *others)
            self.connection.execute(_rows.ENDINGS.insert, row)
            # It was refused, so it is not in flight.
            if self._intent(run, position) is not None:
                self.take_back(position)
        self.end_run(attrs.evolve(self.runs[-1], ended=None))

    def end_run(self, run: Run) -> None:
        """Put the latest run in place of what it was."""
        self.connection.execute(_rows.RUNS.insert, _rows.of_run(run))
        self.runs[-1] = run

    def _put_tally(self, run: int) -> None:
        row = _rows.TALLIES.sealed(run, self._intents, self._endings)
        self.connection.execute(_rows.TALLIES.insert, row)

    def _put_sent(self, run: int, sent: Sent) -> None:
        for (second, credential), count in sent.items():
            key = (run, second, credential)
            row = self._row(_rows.REQUESTS, "run=? AND second=? AND credential=?", *key)
            cells = (*key, count + (0 if row is None else row[3]))
            self.connection.execute(_rows.REQUESTS.insert, _rows.REQUESTS.sealed(*cells))

    def _need(self, position: int) -> None:
        select = "SELECT 1 FROM targets WHERE run=? AND position=?"
        if self._cell(select, self.latest, position) is None:
            raise InvalidRequestError(f"run {self.latest} has no target {position}")

    def _roll_back(self) -> None:
        import sqlite3

        # What can't be rolled back now is when somebody opens the file.
        with contextlib.suppress(sqlite3.Error):
            self.connection.rollback()
