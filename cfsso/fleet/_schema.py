"""The file of a journal: its tables, how it is opened, and whether it is whole."""

import os
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cfsso.fleet import _rows
from cfsso.fleet._rows import Damage, Row, Table

if TYPE_CHECKING:
    import sqlite3

APPLICATION: Final = 0x6366_7373
"""What marks the file as a journal: "cfss" in ASCII."""

_TABLES: Final[Mapping[str, str]] = {
    "owner": """CREATE TABLE owner (
  one INTEGER PRIMARY KEY, pid INTEGER, host TEXT, since TEXT, digest BLOB)""",
    "runs": """CREATE TABLE runs (
  number INTEGER PRIMARY KEY, kind TEXT, begun TEXT, ended TEXT, reverts INTEGER, total INTEGER,
  merged INTEGER, plan TEXT, credentials TEXT, versions TEXT, options TEXT, digest BLOB)""",
    "tallies": """CREATE TABLE tallies (
  run INTEGER PRIMARY KEY, intents INTEGER, endings INTEGER, digest BLOB)""",
    "targets": """CREATE TABLE targets (
  run INTEGER, position INTEGER, rank INTEGER, turn INTEGER, account_id TEXT,
  sso_connector_id TEXT, wished TEXT, needs INTEGER, expected TEXT, holds TEXT,
  unsettled INTEGER, digest BLOB,
  PRIMARY KEY (run, position), UNIQUE (run, account_id, sso_connector_id))""",
    "targets_in_order": """CREATE INDEX targets_in_order
  ON targets (run, rank, turn, position)""",
    "intents": """CREATE TABLE intents (
  run INTEGER, number INTEGER, position INTEGER, at TEXT, before TEXT, body TEXT,
  taken_back INTEGER, digest BLOB, PRIMARY KEY (run, number))""",
    "intents_of_targets": """CREATE INDEX intents_of_targets
  ON intents (run, position, number)""",
    "endings": """CREATE TABLE endings (
  run INTEGER, position INTEGER, status TEXT, at TEXT, before TEXT, after TEXT, error TEXT,
  attempts INTEGER, note TEXT, digest BLOB, PRIMARY KEY (run, position))""",
    "requests": """CREATE TABLE requests (
  run INTEGER, second TEXT, credential TEXT, sent INTEGER, digest BLOB,
  PRIMARY KEY (run, second, credential))""",
}
"""What format 1 has."""

_STEPS: Final[Sequence[Mapping[str, str]]] = (
    # 2: which server its runs reach.
    {"identity": "CREATE TABLE identity (one INTEGER PRIMARY KEY, server TEXT, digest BLOB)"},
)
"""What each later format has more. What is there stays: rows bear digests of all their cells."""

FORMAT: Final = 1 + len(_STEPS)
"""The version of the tables that are made; earlier ones can be read, and are brought up to it."""


class NoJournal(Exception):  # noqa: N818 - an error only once it is known whose
    """The file is something else, or of another version; the text says so."""


def connect(name: str, *, durable: bool, patience: float = 60.0) -> "sqlite3.Connection":
    """
    Open a database, which only the calling thread may use then.

    Args:
        name: A URI, or empty for a temporary one.
        durable: Whether what is committed survives a loss of power.
        patience: Seconds to wait for somebody who reads or writes.
    """
    import sqlite3

    connection = sqlite3.connect(name, timeout=patience, isolation_level=None, uri=True)
    try:
        for pragma in (
            # With FULL a loss of power may bring back the rollback journal of a transaction that
            # was committed, and so take an intent away whose write was sent.
            f"synchronous={'EXTRA' if durable else 'OFF'}",
            "trusted_schema=OFF",
            "cell_size_check=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        # Of a damaged file even this may fail.
        connection.close()
        raise
    return connection


def uri(path: str, mode: str, system: str = os.name) -> str:
    """
    Return the URI of a file for SQLite.

    Args:
        path: Its whole name.
        mode: How it is to be opened: ``ro`` or ``rw``.
        system: What `os.name` is where it is opened.
    """
    if system == "nt":
        # file:///C:/folder/file
        path = "///" + path.replace("\\", "/")
    quoted = urllib.parse.quote(os.fsencode(path), safe="/:" if system == "nt" else "/")
    return f"file:{quoted}?mode={mode}"


def lay_out(connection: "sqlite3.Connection", server: str) -> None:
    """Make the tables of a journal whose runs reach *server*, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id={APPLICATION}")
    connection.execute(f"PRAGMA user_version={FORMAT}")
    for statement in _tables_of(FORMAT).values():
        connection.execute(statement)
    connection.execute(_rows.IDENTITY.insert, _rows.IDENTITY.sealed(1, server))
    connection.execute("COMMIT")


def migrate(connection: "sqlite3.Connection") -> None:
    """Bring the tables of an earlier format up to the present one, within a transaction."""
    for step in _STEPS[_one(connection, "PRAGMA user_version") - 1 :]:
        for statement in step.values():
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version={FORMAT}")


def _tables_of(version: int) -> Mapping[str, str]:
    tables = dict(_TABLES)
    for step in _STEPS[: version - 1]:
        tables |= step
    return tables


def check(connection: "sqlite3.Connection") -> None:
    """
    Check all that can be checked without building a target, in one view of the file.

    Raises:
        NoJournal: It is something else.
        Damage: It is not as it was written.
        sqlite3.Error: SQLite can't read it.
    """
    connection.execute("BEGIN")
    try:
        _check_kind(connection)
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise Damage(f"damaged: {' '.join(verdict.split())}")
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        version = _one(connection, "PRAGMA user_version")
        if dict(found) != _tables_of(version):
            raise Damage("damaged: its tables are not those of a journal")
        _check_rows(connection)
        if version > 1 and len(list(rows(connection, _rows.IDENTITY))) != 1:
            raise Damage("damaged: its server is missing")
    finally:
        connection.rollback()


def _check_kind(connection: "sqlite3.Connection") -> None:
    if _one(connection, "PRAGMA application_id") != APPLICATION:
        # A process that is killed while it makes one leaves nothing in it.
        empty = not _one(connection, "SELECT count(*) FROM sqlite_master")
        way = ", but empty: delete it and start again" if empty else ""
        raise NoJournal(f"is no journal of cfsso{way}")
    version = _one(connection, "PRAGMA user_version")
    if version > FORMAT:
        raise NoJournal(f"is of format {version}, and this cfsso reads {FORMAT}: upgrade cfsso")
    if version < 1:
        raise Damage(f"damaged: there is no format {version}")


def server(connection: "sqlite3.Connection") -> str:
    """Return which server the runs of a checked journal reach. Empty: it does not say."""
    if _one(connection, "PRAGMA user_version") == 1:
        return ""
    found: str = next(rows(connection, _rows.IDENTITY))[1]
    return found


def _check_rows(connection: "sqlite3.Connection") -> None:
    for table in (_rows.OWNER, _rows.REQUESTS):
        for _ in rows(connection, table):
            pass
    tallies = {row[0]: row for row in rows(connection, _rows.TALLIES)}
    runs = list(rows(connection, _rows.RUNS))
    if [*tallies] != [row[0] for row in runs] or [*tallies] != [*range(1, len(runs) + 1)]:
        raise Damage("damaged: a run is missing")
    counts = {
        table: _counted(rows(connection, table))
        for table in (_rows.TARGETS, _rows.INTENTS, _rows.ENDINGS)
    }
    for run in runs:
        number, total = run[0], run[5]
        _, intents, endings, _ = tallies[number]
        for table, expected in zip(counts, (total, intents, endings), strict=True):
            found = counts[table].pop(number, 0)
            if found != expected:
                problem = f"{expected} {table.name} are written down, {found} are there"
                raise _rows.RUNS.damage(run, problem)
    if any(counts.values()):
        raise Damage("damaged: a run is missing")


def _counted(found: Iterator[Row]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for row in found:
        counts[row[0]] = counts.get(row[0], 0) + 1
    return counts


def rows(connection: "sqlite3.Connection", table: Table) -> Iterator[Row]:
    """Give all rows of *table* in the order of their keys, each checked."""
    for row in connection.execute(f"SELECT * FROM {table.name} ORDER BY 1, 2"):  # noqa: S608 - a name of our own
        yield table.check(row)


def _one(connection: "sqlite3.Connection", statement: str) -> Any:
    (value,) = connection.execute(statement).fetchone()
    return value
