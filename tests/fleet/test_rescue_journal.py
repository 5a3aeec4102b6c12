"""The journal of a rescue: what it holds, and that nothing that goes wrong with it delays anybody."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from journals import connector

import cfsso
from cfsso.fleet import Change, Outcome, RunKind, read_journal, resume
from cfsso.fleet import OutcomeStatus as Status
from cfsso.fleet._rescue_journal import RescueJournal

pytestmark = pytest.mark.virtual_time

ACCOUNT = "a" * 32


def on(number: int) -> cfsso.SSOConnector:
    """Return a connector that keeps people out."""
    return connector(number, enabled=True)


def outcome(number: int, status: str = "changed", **fields: Any) -> Outcome:
    """Return what became of a connector."""
    known: dict[str, Any] = {"before": on(number), "after": connector(number), "attempts": 1}
    change = Change(ACCOUNT, f"{number:032x}", enabled=False)
    return Outcome(change=change, status=Status(status), **(known | fields))


async def test_a_whole_rescue(tmp_path: Path) -> None:
    """Its file is the journal of a finished run, with what was found before each write."""
    journal = RescueJournal.start(
        tmp_path / "j", server="https://a.example", options={"domain": None}
    )
    for number in range(3):
        journal.intend(ACCOUNT, on(number))
    whole = Outcome(change=Change("b" * 32, "", enabled=False), status=Status.FAILED)
    outcomes = [outcome(0), outcome(1, "unknown"), outcome(2), outcome(3, "unchanged"), whole]
    for one in outcomes:
        journal.end(one)
    await journal.aclose()
    await journal.aclose()

    assert "" == journal.problem
    assert str(tmp_path / "j") == journal.path
    async with await read_journal(tmp_path / "j") as reader:
        (run,) = reader.runs
        recorded = [one async for one in reader.targets()]
    assert outcomes == [one.outcome for one in recorded]
    assert [True] * 3 + [False] * 2 == [one.intended is not None for one in recorded]
    assert (RunKind.BREAK_GLASS, 5, 3, "https://a.example") == (
        run.kind,
        run.total,
        run.written,
        run.server,
    )
    assert run.ended is not None
