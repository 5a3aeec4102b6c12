"""After a run: which commands go on with it, or take it back."""

import contextlib
from collections.abc import Collection
from pathlib import Path

import cfsso
from cfsso.cli.named_files import argument
from cfsso.cli.options import Settings
from cfsso.fleet import Outcome, OutcomeStatus, RunKind


def hints(
    settings: Settings, journal: str, kind: RunKind, outcomes: Collection[Outcome]
) -> list[str]:
    """
    Return what can be done after a run, each with its command.

    Args:
        settings: The global options, which the commands repeat.
        journal: The run's journal.
        kind: What the run does.
        outcomes: How its targets ended.
    """
    path = argument(journal)
    statuses = {outcome.status for outcome in outcomes}
    found: list[str] = []
    if any(not status.is_final for status in statuses):
        found.append(f"`{settings.command('resume', path)}` goes on with what is left")
    if OutcomeStatus.FAILED in statuses:
        again = settings.command("resume", path, "--failed")
        found.append(f"`{again}` tries again what failed, too")
    if kind is RunKind.APPLY and any(map(_may_have_changed, outcomes)):
        found.append(f"`{settings.command('revert', path)}` takes it back")
    return found


def has_written(outcomes: Collection[Outcome]) -> bool:
    """Whether outcomes show that something was written, or may have been."""
    return any(outcome.attempts or outcome.status is OutcomeStatus.CHANGED for outcome in outcomes)


def _may_have_changed(outcome: Outcome) -> bool:
    """Whether there may be something to take back; what was refused changed nothing."""
    if outcome.status is OutcomeStatus.CONFLICT:
        return outcome.attempts > 0
    return outcome.status in {OutcomeStatus.CHANGED, OutcomeStatus.UNKNOWN}


async def is_empty(journal: str) -> bool:
    """Whether a journal says that nothing was about to be written, so that nothing was."""
    try:
        async with await cfsso.fleet.read_journal(journal) as reader:
            return not any(run.written for run in reader.runs)
    except (cfsso.InvalidRequestError, cfsso.JournalError):
        # What can't be read may still be of use.
        return False


def remove(journal: str) -> None:
    """Remove a journal and what stands beside it."""
    for name in (journal, f"{journal}-journal"):
        with contextlib.suppress(OSError):
            Path(name).unlink()
