"""What is known of the latest run of each journal, without a lock on any of them."""

import asyncio
import contextlib
import datetime as dt
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

import cfsso
from cfsso._text import shown_time
from cfsso.cli import known_journals
from cfsso.cli.screen import say
from cfsso.fleet import OutcomeStatus, Run, RunKind

_LOCKS: Final = Path("/proc/locks")
FINISHED: Final = "finished"
OPEN: Final = "can be resumed"
RESCUE_CUT_OFF: Final = "cut off"
IN_USE: Final = "in use"
NOT_BEGUN: Final = "no run began"
UNREADABLE: Final = "unreadable"


@attrs.frozen(kw_only=True)
class Entry:
    """
    A journal.

    Attributes:
        path: Its file.
        state: How its latest run ended.
        run: The latest run. ``None``: none began, or the file can't be read.
        server: Which server it reached. Empty: it is not known.
        counts: How many of its targets ended how.
        problem: Why it can't be read. Empty: it can.
        modified: When the file was written last.
    """

    path: str
    state: str
    run: Run | None = None
    server: str = ""
    counts: Mapping[str, int] = attrs.field(factory=dict)
    problem: str = ""
    modified: float = 0.0

    @property
    def when(self) -> dt.datetime:
        """When the run began, or the file was written if there is none."""
        return (
            dt.datetime.fromtimestamp(self.modified, dt.UTC) if self.run is None else self.run.begun
        )


def entries() -> list[Entry]:
    """Return all journals, the latest run first."""

    async def read() -> list[Entry]:
        """Read them one by one."""
        return [await entry(path) for path in known_journals.paths()]

    return sorted(asyncio.run(read()), key=lambda found: found.when, reverse=True)


async def entry(path: str) -> Entry:
    """Return what is known of the journal of a file, which somebody may be writing."""
    modified = _modified(path)
    try:
        async with await cfsso.fleet.read_journal(path) as reader:
            if not reader.runs:
                return Entry(path=path, state=_unbegun(path), modified=modified)
            run = reader.latest
            counts = Counter([found.outcome.status.value async for found in reader.targets()])
            server = run.server
    except (cfsso.InvalidRequestError, cfsso.JournalError) as error:
        problem = str(error)
        return Entry(path=path, state=UNREADABLE, problem=problem, modified=modified)
    return Entry(
        path=path,
        state=_state(path, run, counts),
        run=run,
        server=server,
        counts=counts,
        modified=modified,
    )


def resolved(journal: str) -> str:
    """
    Return the file that a word on the command line stands for; what ``last`` is, is said.

    Raises:
        InvalidRequestError: There is no latest run, or it can't be known which one it is.
    """
    if not known_journals.is_last(journal):
        return journal
    path, what = asyncio.run(_latest())
    say(f"last is {path}: {what}")
    return path


async def _latest() -> tuple[str, str]:
    best: tuple[str, Run] | None = None
    # No run began after its file was written last, so that few have to be read.
    for modified, path in _youngest_first():
        if best is not None and best[1].begun.timestamp() > modified:
            break
        try:
            async with await cfsso.fleet.read_journal(path) as reader:
                latest = reader.latest if reader.runs else None
        except (cfsso.InvalidRequestError, cfsso.JournalError) as error:
            raise cfsso.InvalidRequestError(
                f"which run is the last can't be known: {error}: name the journal"
            ) from None
        if latest is not None and (best is None or latest.begun > best[1].begun):
            best = path, latest
    if best is None:
        raise cfsso.InvalidRequestError("there is no last run: name a journal")
    path, run = best
    return path, f"{run.kind.value} of {shown_time(run.begun)}"


def _youngest_first() -> list[tuple[float, str]]:
    """Return the journals and when they were written last; an empty file has no run yet."""
    found: list[tuple[float, str]] = []
    for path in known_journals.paths():
        with contextlib.suppress(OSError):
            status = Path(path).stat()
            if status.st_size:
                found.append((status.st_mtime, path))
    return sorted(found, reverse=True)


def is_open(counts: Mapping[str, int]) -> bool:
    """Whether a run has targets that a resume takes up again."""
    return any(not OutcomeStatus(status).is_final for status, count in counts.items() if count)


def _state(path: str, run: Run, counts: Mapping[str, int]) -> str:
    if run.ended is not None and not is_open(counts):
        return FINISHED
    if _is_locked(path):
        return IN_USE
    if run.kind is RunKind.BREAK_GLASS:
        return FINISHED if run.ended is not None else RESCUE_CUT_OFF
    return OPEN


def _modified(path: str) -> float:
    with contextlib.suppress(OSError):
        return Path(path).stat().st_mtime
    return 0.0


def _unbegun(path: str) -> str:
    return IN_USE if _is_locked(path) else NOT_BEGUN


def _is_locked(path: str) -> bool:
    """Whether a process has locked a file, as far as the system tells; here nothing is locked."""
    with contextlib.suppress(OSError):
        lines = _LOCKS.read_text("ascii").splitlines()
        status = Path(path).stat()
        place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for line in lines:
            words = line.split()
            if "FLOCK" in words and "WRITE" in words and place in words:
                return True
    return False
