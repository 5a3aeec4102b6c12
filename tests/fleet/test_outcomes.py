"""What became of a target, as a value."""

import attrs
import pytest
from scripted import ACCOUNT, CONNECTOR

from cfsso import fleet


def test_the_statuses() -> None:
    """The statuses are the texts of the contract."""
    expected = [
        *["changed", "unchanged", "blocked", "failed", "conflict", "unknown", "not_attempted"]
    ]

    assert expected == list(fleet.OutcomeStatus)


def test_only_two_are_green() -> None:
    """Only what a read has shown is green."""
    assert ["changed", "unchanged"] == [s for s in fleet.OutcomeStatus if s.is_green]


def test_an_outcome_that_says_little() -> None:
    """An outcome knows its change and its status; the rest may be unknown, and none changes."""
    change = fleet.Change(ACCOUNT, CONNECTOR, enabled=True)
    outcome = fleet.Outcome(change=change, status=fleet.OutcomeStatus.UNKNOWN)

    assert (None, None, None, 0, "") == attrs.astuple(outcome, recurse=False)[2:]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        outcome.attempts = 1  # type: ignore[misc] # that is the point


def test_names() -> None:
    """The room shows its public names, and no others."""
    classes = (
        "Change Changes JournalReader Outcome OutcomeStatus Plan PlanAction PlannedChange Recorded"
        " Run RunKind"
    )
    functions = "apply break_glass plan read_changes read_journal resume revert transfer"
    assert [*classes.split(), *functions.split()] == dir(fleet)
    assert all(getattr(fleet, name) for name in fleet.__all__)
    with pytest.raises(AttributeError, match=r"module 'cfsso\.fleet' has no attribute 'nonsense'"):
        fleet.nonsense  # noqa: B018 (looking it up is the point)
