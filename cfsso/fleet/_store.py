"""What a journal holds, in SQL; every call blocks, and all come from one thread."""

import contextlib
import datetime as dt
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from cfsso.errors import InvalidRequestError
from cfsso.fleet import _plain, _queries, _rows, _schema
from cfsso.fleet._lock import Lock
from cfsso.fleet._rows import Row
from cfsso.fleet._targets import Place, Run, Target
from cfsso.fleet.outcomes import OutcomeStatus

if TYPE_CHECKING:
    import sqlite3

Record: TypeAlias = Callable[["Store"], None]
"""What is to be written; raises `InvalidRequestError` before it has written anything."""

Sent: TypeAlias = Mapping[tuple[str, str], int]
"""Requests by second and credential."""


class Store:
    """
    The file of a journal, or a temporary one.

    Attributes:
        runs: All runs, in order.
    """

    def __init__(
        self, connection: "sqlite3.Connection", lock: Lock | None = None, *, made: str = ""
    ) -> None:
        self.connection = connection
        self._lock = lock
        self._made = made
        self.runs = [_rows.to_run(row) for row in _schema.rows(connection, _rows.RUNS)]
        self._total = self._intents = self._endings = 0
        tally = self._row(_rows.TALLIES, "run=?", self.latest)
        if tally is not None:
            _, self._intents, self._endings, _ = tally
        self._before = self._intents, self._endings

    @property
    def latest(self) -> int:
        """The number of the latest run; 0: there is none."""
        return len(self.runs)

    def own(self) -> None:
        """Write down who holds the lock."""
        since = _plain.of_time(_plain.now())
        row = _rows.OWNER.sealed(1, os.getpid(), socket.gethostname(), since)
        self.connection.execute(_rows.OWNER.insert, row)

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
        if self._made and not self.runs:
            # Nothing was begun, so nothing is lost, and the name is free again.
            self._lock.remove(self._made)
        else:
            self._lock.release()

    # A new run: begin, add as often as there is something, seal or abandon.

    def begin(self) -> None:
        """Open the transaction of a new run."""
        self.connection.execute("BEGIN IMMEDIATE")
        self._before = self._intents, self._endings
        self._total = self._intents = self._endings = 0

    def add(self, targets: Iterable[Target]) -> None:
        """
        Add targets to the run that was begun.

        Raises:
            InvalidRequestError: A connector or a position stands twice.
        """
        run = self.latest + 1
        insert = _rows.TARGETS.insert.replace("OR REPLACE", "OR IGNORE")
        account_id, turn = "", 0
        for target in targets:
            if target.account_id != account_id:
                account_id = target.account_id
                turn = self._turn(run, target)
            row = _rows.of_target(target, run, turn)
            if not self.connection.execute(insert, row).rowcount:
                raise InvalidRequestError(self._what_stands_twice(target, run))
            self._total += 1
            if target.ending is not None:
                cells = (run, target.position, *_rows.of_ending(target.ending))
                self.connection.execute(_rows.ENDINGS.insert, _rows.ENDINGS.sealed(*cells))
                self._endings += 1

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
        self._intents, self._endings = self._before

    # Records of the latest run.

    def commit(self, records: Sequence[Record], sent: Sent) -> Sequence[InvalidRequestError | None]:
        """Make *records* and *sent* durable, in one transaction; say which were refused."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            refusals = [self._tried(record) for record in records]
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

    # Reading.

    def targets(self, run: int, select: str, *args: Any) -> list[Target]:
        """Return the targets whose positions *select* gives, in its order."""
        found = self.connection.execute(select, args).fetchall()
        return [self.target(run, position) for (position,) in found]

    def target(self, run: int, position: int) -> Target:
        """Return one target, its rows checked."""
        row = self._row(_rows.TARGETS, "run=? AND position=?", run, position)
        if row is None:
            raise InvalidRequestError(f"run {run} has no target {position}")
        ending = self._row(_rows.ENDINGS, "run=? AND position=?", run, position)
        return _rows.to_target(row, self._intent(run, position), ending)

    def pages(self, run: int, after: Place | None, limit: int, *, open_only: bool) -> list[Target]:
        """Return targets of a run in the order of their places."""
        select = _queries.PAGE.format(f" AND {_queries.OPEN}" if open_only else "")
        return self.targets(run, select, run, *(after or _queries.FIRST), limit)

    def in_flight(self) -> list[Target]:
        """Return the open targets of the latest run that have an intent, by its number."""
        return self.targets(self.latest, _queries.IN_FLIGHT, self.latest)

    def written(self, run: int, before_number: int, limit: int) -> list[Target]:
        """Return the targets that have an intent, the latest first."""
        return self.targets(run, _queries.WRITTEN, run, before_number, limit)

    def ended(self, run: int, after_position: int, limit: int) -> list[Target]:
        """Return the targets that have an ending, by position and without their intents."""
        # Of 100,000 targets each further select takes seconds.
        found = self.connection.execute(_queries.ENDED, (run, after_position, limit)).fetchall()
        width = len(_rows.TARGETS.columns) + 1
        return [
            _rows.to_target(
                _rows.TARGETS.check(row[:width]), None, _rows.ENDINGS.check(row[width:])
            )
            for row in found
        ]

    def last_taken_back(self) -> dt.datetime | None:
        """Return the time of the youngest intent of the latest run that was taken back."""
        where = "run=? AND taken_back=1 ORDER BY number DESC LIMIT 1"
        intent = self._row(_rows.INTENTS, where, self.latest)
        return None if intent is None else dt.datetime.fromisoformat(intent[3])

    def counts(self, run: int) -> Counter[OutcomeStatus | None]:
        """Return how many targets ended how; none is counted that nothing ended so."""
        select = "SELECT status, count(*) FROM endings WHERE run=? GROUP BY status"
        found = self.connection.execute(select, (run,))
        counts = Counter[OutcomeStatus | None]({OutcomeStatus(s): n for s, n in found})
        counts[None] = self.runs[run - 1].total - counts.total()
        return +counts

    def sent(self, run: int) -> list[Row]:
        """Return the checked rows of the requests of *run*, in order."""
        select = "SELECT * FROM requests WHERE run=? ORDER BY second, credential"
        return [_rows.REQUESTS.check(row) for row in self.connection.execute(select, (run,))]

    def _intent(self, run: int, position: int) -> Row | None:
        return self._row(
            _rows.INTENTS,
            "run=? AND position=? AND taken_back=0 ORDER BY number DESC LIMIT 1",
            *(run, position),
        )

    def _row(self, table: _rows.Table, where: str, *args: Any) -> Row | None:
        found = self.connection.execute(f"SELECT * FROM {table.name} WHERE {where}", args)  # noqa: S608 - text of our own
        row = found.fetchone()
        return None if row is None else table.check(row)

    def _cell(self, select: str, *args: Any) -> Any:
        row = self.connection.execute(select, args).fetchone()
        return None if row is None else row[0]

    def _roll_back(self) -> None:
        import sqlite3

        # What can't be rolled back now is when somebody opens the file.
        with contextlib.suppress(sqlite3.Error):
            self.connection.rollback()
