"""The rows of a journal: what stands in them, and the digest by which damage shows."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from cfsso import _converter
from cfsso._error_json import of_error
from cfsso._json import plain
from cfsso._nodes import Node
from cfsso.fleet import _plain
from cfsso.fleet._error_nodes import to_error
from cfsso.fleet._targets import Ending, Intent, Run, RunKind, Target
from cfsso.fleet.outcomes import OutcomeStatus
from cfsso.models import SSOConnector

Row: TypeAlias = tuple[Any, ...]
"""The cells of a row, in the order of the columns; the last one is the digest."""

_DIGEST_BYTES = 16


class Damage(Exception):  # noqa: N818 - an error only once it is known whose
    """What was read is not what was written; the text says where."""


@attrs.frozen
class Table:
    """
    A table of the journal.

    Attributes:
        name: As SQL has it.
        columns: Their names, the keys first, without the digest.
        place: How people call a row, with its cells by number.
    """

    name: str
    columns: tuple[str, ...]
    place: str

    @property
    def insert(self) -> str:
        """The statement that puts a row, in place of one with the same keys."""
        marks = ", ".join("?" * (len(self.columns) + 1))
        return f"INSERT OR REPLACE INTO {self.name} VALUES ({marks})"  # noqa: S608 - names of our own

    def sealed(self, *cells: Any) -> Row:
        """Return *cells* with their digest."""
        return (*cells, _digest(self.name, cells))

    def check(self, row: Row) -> Row:
        """
        Return *row*, which was read.

        Raises:
            Damage: Its digest does not match.
        """
        if row[-1] != _digest(self.name, row[:-1]):
            raise self.damage(row, "its digest does not match")
        return row

    def damage(self, row: Row, problem: str) -> Damage:
        """Return what to raise about *row*."""
        return Damage(f"damaged at {self.place.format(*row)}: {problem}")


def _digest(table: str, cells: Row) -> bytes:
    # Of all unambiguous texts this one takes the least time; it is the same in all Pythons.
    return hashlib.sha256(ascii((table, cells)).encode()).digest()[:_DIGEST_BYTES]


OWNER = Table("owner", ("one", "pid", "host", "since"), "its owner")
IDENTITY = Table("identity", ("one", "server"), "its server")
RUNS = Table(
    "runs",
    (
        *("number", "kind", "begun", "ended", "reverts", "total", "merged"),
        *("plan", "credentials", "versions", "options"),
    ),
    "run {0}",
)
TALLIES = Table("tallies", ("run", "intents", "endings"), "the tally of run {0}")
TARGETS = Table(
    "targets",
    (
        *("run", "position", "rank", "turn", "account_id", "sso_connector_id"),
        *("wished", "needs", "expected", "holds", "unsettled"),
    ),
    "target {1} of run {0}",
)
INTENTS = Table(
    "intents",
    ("run", "number", "position", "at", "before", "body", "taken_back"),
    "intent {1} of run {0}",
)
ENDINGS = Table(
    "endings",
    ("run", "position", "status", "at", "before", "after", "error", "attempts", "note"),
    "the ending of target {1} of run {0}",
)
REQUESTS = Table(
    "requests", ("run", "second", "credential", "sent"), "the requests of run {0} at {1}"
)


def of_run(run: Run) -> Row:
    """Return the row of *run*."""
    return RUNS.sealed(
        run.number,
        run.kind.value,
        _plain.of_time(run.begun),
        _plain.of_time(run.ended),
        run.reverts,
        run.total,
        run.merged,
        run.plan,
        _text(run.credentials),
        _text(dict(run.versions)),
        _text(dict(run.options)),
    )


def to_run(row: Row, *, server: str = "", written: int = 0) -> Run:
    """
    Return the run of a row that was checked, and what is known of it besides.

    Raises:
        Damage: It is none.
    """
    try:
        number, kind, begun, ended, reverts, total, merged, plan, *texts = row[:-1]
        credentials, versions, options = (_value(text) for text in texts)
        return Run(
            number=number,
            kind=RunKind(kind),
            begun=dt.datetime.fromisoformat(begun),
            ended=None if ended is None else dt.datetime.fromisoformat(ended),
            reverts=reverts,
            total=total,
            merged=merged,
            plan=plan,
            credentials=tuple(credentials),
            versions=versions,
            options=options,
            server=server,
            written=written,
        )
    except _UNREADABLE as error:
        raise RUNS.damage(row, str(error)) from None


def of_target(target: Target, run: int, turn: int) -> Row:
    """Return the row of *target* in its *turn*, without its intent and its ending."""
    return TARGETS.sealed(
        run,
        target.position,
        target.rank,
        turn,
        target.account_id,
        target.sso_connector_id,
        of_wish(target.wished),
        target.needs,
        _of_connector(target.expected),
        None if target.holds is None else of_wish(target.holds),
        int(target.unsettled),
    )


def of_wish(wished: Mapping[str, bool]) -> str:
    """Return *wished* as text, the same for the same wish."""
    return _text(dict(sorted(wished.items())))


def to_target(row: Row, intent: Row | None, ending: Row | None) -> Target:
    """
    Return the target of rows that were checked.

    Raises:
        Damage: A row is none.
    """
    _, position, rank, turn, account_id, sso_connector_id, wished, needs, *others, _ = row
    expected, holds, unsettled = others
    try:
        return Target(
            position=position,
            account_id=account_id,
            sso_connector_id=sso_connector_id,
            wished=_value(wished),
            rank=rank,
            needs=needs,
            expected=_to_connector(expected),
            holds=None if holds is None else _value(holds),
            unsettled=bool(unsettled),
            turn=turn,
            intent=None if intent is None else _to_intent(intent),
            ending=None if ending is None else _to_ending(ending),
        )
    except _UNREADABLE as error:
        raise TARGETS.damage(row, str(error)) from None


def of_intent(intent: Intent) -> Row:
    """Return what is known of *intent* before it has its place: its cells from ``at`` on."""
    return _plain.of_time(intent.at), _of_connector(intent.before), intent.body


def _to_intent(row: Row) -> Intent:
    _run, number, _position, at, before, body, _taken_back, _ = row
    try:
        return Intent(
            at=dt.datetime.fromisoformat(at),
            before=_to_connector(before),
            body=body,
            number=number,
        )
    except _UNREADABLE as error:
        raise INTENTS.damage(row, str(error)) from None


def of_ending(ending: Ending) -> Row:
    """Return the cells of *ending* from ``status`` on."""
    return (
        ending.status.value,
        _plain.of_time(ending.at),
        _of_connector(ending.before),
        _of_connector(ending.after),
        None if ending.error is None else _text(plain(of_error(ending.error))),
        ending.attempts,
        ending.note,
    )


def _to_ending(row: Row) -> Ending:
    _run, _position, status, at, before, after, error, attempts, note, _ = row
    try:
        return Ending(
            status=OutcomeStatus(status),
            at=dt.datetime.fromisoformat(at),
            before=_to_connector(before),
            after=_to_connector(after),
            error=None if error is None else to_error(Node(_value(error))),
            attempts=attempts,
            note=note,
        )
    except _UNREADABLE as problem:
        raise ENDINGS.damage(row, str(problem)) from None


# Made once, since making it costs more than most of its work.
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode

_UNREADABLE = (_converter.ConversionError, LookupError, TypeError, ValueError, AttributeError)


def _text(value: Any) -> str:
    return _ENCODE(value)


def _value(text: str) -> Any:
    # Its digest was checked, so it is what was written.
    return json.loads(text)


def _of_connector(connector: SSOConnector | None) -> str | None:
    return None if connector is None else connector.to_json(indent=None)


def _to_connector(text: str | None) -> SSOConnector | None:
    return None if text is None else _plain.to_connector(_value(text), "$")
