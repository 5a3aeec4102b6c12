"""What a journal says of one of its runs: read once, shown as lines or as objects."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
from rich.console import Console
from rich.table import Table

import cfsso
from cfsso._text import shown_time
from cfsso.cli import records, render, summary
from cfsso.cli.windows import LIMIT, Window, of_activity
from cfsso.fleet import Outcome, Recorded, Run, RunKind, _plain

_TOKENS: Final = 4
_DIGITS: Final = 12
_UNITS: Final = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


@attrs.frozen(kw_only=True)
class Report:
    """
    A run of a journal, and what the others came to.

    Attributes:
        journal: Its path, as it was given.
        runs: All runs, in the order in which they began.
        run: The one it is about.
        targets: Its targets, in the order in which the run takes them.
        windows: What each token sent, the busiest first.
        counts: By the number of each run, how many of its targets ended how.
    """

    journal: str
    runs: Sequence[Run]
    run: Run
    targets: Sequence[Recorded]
    windows: Sequence[Window]
    counts: Mapping[int, Mapping[str, int]]

    @property
    def outcomes(self) -> list[Outcome]:
        """How its targets ended."""
        return [recorded.outcome for recorded in self.targets]

    @property
    def not_green(self) -> int:
        """How many of them are not green."""
        return sum(not outcome.status.is_green for outcome in self.outcomes)

    @property
    def seconds(self) -> float:
        """How long the run took, or until its last outcome if it has not ended."""
        known = [recorded.ended for recorded in self.targets if recorded.ended is not None]
        end = self.run.ended or max(known, default=self.run.begun)
        return max(0.0, (end - self.run.begun).total_seconds())


async def read(journal: str, number: int | None) -> Report:
    """
    Read a run of a journal, which another process may be writing.

    Args:
        journal: The path of the file.
        number: Of the run. ``None``: the latest.

    Raises:
        InvalidRequestError: It is no journal, is damaged, or has no such run.
        JournalError: It can't be read any more.
    """
    async with await cfsso.fleet.read_journal(journal) as reader:
        latest = reader.latest
        activity = await reader.activity(number)
        run = latest if number is None else reader.runs[number - 1]
        targets = [recorded async for recorded in reader.targets(run.number)]
        counts = {run.number: Counter(recorded.outcome.status.value for recorded in targets)}
        for other in reader.runs:
            if other is not run:
                counts[other.number] = Counter(
                    [
                        recorded.outcome.status.value
                        async for recorded in reader.targets(other.number)
                    ]
                )
        return Report(
            journal=journal,
            runs=reader.runs,
            run=run,
            targets=targets,
            windows=of_activity(activity),
            counts=counts,
        )


def emit(report: Report) -> None:
    """Print an object for each target of the run."""
    for recorded in report.targets:
        records.emit(_record(report.run, recorded))


def _record(run: Run, recorded: Recorded) -> dict[str, Any]:
    return {
        **records.of_outcome(recorded.outcome),
        "run": run.number,
        "intended": _plain.of_time(recorded.intended),
        "ended": _plain.of_time(recorded.ended),
    }


def show(report: Report) -> None:
    """Print what the run was told, the other runs in a line each, and what it came to."""
    console = render.screen()
    render.show_lines(facts(report))
    console.print()
    if len(report.runs) > 1:
        _show_runs(console, report)
    summary.show(report.outcomes, elapsed=report.seconds, merged=report.run.merged)


def facts(report: Report) -> dict[str, str]:
    """Return what there is to know of a run before its outcomes, by name."""
    run = report.run
    tokens = [*run.credentials[:_TOKENS]]
    if len(run.credentials) > _TOKENS:
        tokens.append(f"{len(run.credentials) - _TOKENS:,} more")
    return {
        "journal": report.journal,
        "run": f"{run.number} of {len(report.runs)}: {kind_of(run)}",
        "begun": shown_time(run.begun),
        "ended": _ending(report),
        "plan": run.plan[:_DIGITS] if run.plan else "-",
        "tokens": ", ".join(tokens) or "-",
        "requests": _requests(report.windows),
        "versions": _pairs(run.versions),
        "options": _pairs(run.options),
    }


def kind_of(run: Run) -> str:
    """Say what a run does."""
    if run.kind is RunKind.REVERT:
        return f"{run.kind.value} of run {run.reverts}"
    return run.kind.value


def lasted(seconds: float) -> str:
    """Return a time span in its two largest units."""
    left = int(seconds)
    if left < _UNITS[-2][1]:
        return f"{seconds:.1f} s"
    parts: list[str] = []
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def tally(counts: Mapping[str, int]) -> str:
    """Return counts of statuses in words, in the order in which statuses are explained."""
    parts = [f"{counts[name]:,} {name}" for name in summary.MEANINGS if counts.get(name)]
    return ", ".join(parts) or "no targets"


def _ending(report: Report) -> str:
    if report.run.ended is None:
        return "not ended: what it has not come to yet counts as not_attempted"
    return f"{shown_time(report.run.ended)}, after {lasted(report.seconds)}"


def _requests(windows: Sequence[Window]) -> str:
    if not windows:
        return "none"
    most = windows[0].peak
    return (
        f"{sum(window.sent for window in windows):,}; one token sent {most:,} of"
        f" {LIMIT.requests:,} in {LIMIT.seconds:.0f} s at most"
    )


def _pairs(values: Mapping[str, Any]) -> str:
    words = {name: "any number" if value is None else str(value) for name, value in values.items()}
    return ", ".join(f"{name} {value}" for name, value in words.items()) or "-"


def _show_runs(console: Console, report: Report) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("RUN", "KIND", "BEGUN"):
        table.add_column(name, no_wrap=True)
    table.add_column("OUTCOMES")
    for run in report.runs:
        unended = "" if run.ended else "; not ended"
        cells = (
            *(str(run.number), kind_of(run), shown_time(run.begun)),
            f"{tally(report.counts[run.number])}{unended}",
        )
        table.add_row(*map(render.cell, cells))
    render.draw(console, table)
    console.print()
