"""What stands in the tables of a journal, each row checked; every call blocks."""

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Any

from cfsso.errors import InvalidRequestError
from cfsso.fleet import _queries, _rows, _schema
from cfsso.fleet._rows import Row
from cfsso.fleet._targets import Place, Target
from cfsso.fleet.outcomes import OutcomeStatus

if TYPE_CHECKING:
    import sqlite3


class StoreReader:
    """
    The tables of a journal, which were checked as a whole before.

    Attributes:
        connection: To its database.
        runs: All runs, in order.
        server: Which server they reach. Empty: it is not known.
    """

    def __init__(self, connection: "sqlite3.Connection") -> None:
        self.connection = connection
        self.server = _schema.server(connection)
        self.runs = [
            _rows.to_run(row, server=self.server, written=self.tally(row[0])[1])
            for row in _schema.rows(connection, _rows.RUNS)
        ]

    @property
    def latest(self) -> int:
        """The number of the latest run; 0: there is none."""
        return len(self.runs)

    def tally(self, run: int) -> tuple[int, int, int]:
        """Return the number of a run, how many intents it has, and how many endings."""
        row = self.connection.execute("SELECT * FROM tallies WHERE run=?", (run,)).fetchone()
        number, intents, endings, _ = _rows.TALLIES.check(row)
        return number, intents, endings

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
