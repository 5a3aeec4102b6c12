"""What stands in the journal of a process, read behind its back."""

import datetime as dt
import json
from typing import Any, NamedTuple

from fleet_process import Process
from sim_links import EPOCH

from cfsso.fleet._targets import Run


class Row(NamedTuple):
    """
    A target of the latest run.

    Attributes:
        run: The run.
        position: Where it stands.
        rank: When its turn is.
        needs: Which position has to be green before.
        expected: How the plan saw it.
        holds: What has to be there yet.
        unsettled: Whether it is not known what became of the write that is taken back.
        wished: What is asked for.
        number: The number of the intent that counts. ``None``: there is none.
        at: When that was made, by the loop.
        body: What is to be sent.
        before: How it was found.
        status: How it ended. ``None``: it has not.
    """

    run: int
    position: int
    rank: int
    needs: int | None
    expected: dict[str, Any] | None
    holds: dict[str, bool] | None
    unsettled: bool
    wished: dict[str, bool]
    number: int | None
    at: float
    body: str
    before: dict[str, Any] | None
    status: str | None


_COLUMNS = "position, rank, needs, unsettled, expected, holds, wished"


def latest_run(process: Process) -> Run | None:
    """Return the latest run of the journal that *process* has open. ``None``: there is none."""
    runs = process.stores[-1].runs if process.stores else ()
    return runs[-1] if runs else None


def row_of(process: Process, account: str, key: str) -> Row | None:
    """Return a target of the latest run."""
    run = latest_run(process)
    if run is None:
        return None
    found = _one(
        process,
        f"SELECT {_COLUMNS} FROM targets WHERE run=? AND account_id=? AND sso_connector_id=?",  # noqa: S608 - names of our own
        *(run.number, account, key),
    )
    return None if found is None else _row(process, run, found)


def _row(process: Process, run: Run, found: tuple[Any, ...]) -> Row:
    position, rank, needs, unsettled, *texts = found
    expected, holds, wished = (json.loads(text or "null") for text in texts)
    intent = _one(
        process,
        "SELECT number, at, body, before FROM intents WHERE run=? AND position=? AND taken_back=0"
        " ORDER BY number DESC LIMIT 1",
        *(run.number, position),
    )
    number, at, body, before = intent or (None, None, "", None)
    return Row(
        run.number,
        position,
        rank,
        needs,
        expected,
        holds,
        bool(unsettled),
        wished,
        number,
        0.0 if at is None else dt.datetime.fromisoformat(at).timestamp() - EPOCH,
        body,
        None if before is None else json.loads(before),
        status_at(process, position),
    )


def status_at(process: Process, position: int) -> str | None:
    """Return how the target at a position of the latest run ended."""
    run = latest_run(process)
    assert run is not None
    found = _one(
        process, "SELECT status FROM endings WHERE run=? AND position=?", run.number, position
    )
    return None if found is None else str(found[0])


def _one(process: Process, select: str, *args: Any) -> tuple[Any, ...] | None:
    found: tuple[Any, ...] | None = process.stores[-1].connection.execute(select, args).fetchone()
    return found
