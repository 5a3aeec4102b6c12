"""How far a run is: a bar on a terminal, plain lines elsewhere; on stderr."""

import asyncio
import math
import sys
from types import TracebackType
from typing import Final, Protocol, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from cfsso.cli.render import screen
from cfsso.cli.screen import is_live, say

_SECONDS: Final = 5.0
_TARGETS: Final = 500


class Progress(Protocol):
    """Shows outcomes while they come in."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End, and leave no trace of what moved."""
        ...

    def add(self, *, green: bool) -> None:
        """Count one target more."""
        ...


def progress(total: int, *, live: bool | None = None) -> Progress:
    """
    Return what shows the progress of a run of *total* targets.

    Args:
        total: How many targets there are.
        live: Whether there is a bar. ``None``: if stderr is a terminal.
    """
    return Live(total) if (is_live(sys.stderr) if live is None else live) else Lines(total)


class Lines:
    """A line from time to time, and one at the end."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._not_green = 0
        self._begun = self._told = 0.0

    def __enter__(self) -> Self:
        self._begun = self._told = asyncio.get_running_loop().time()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def add(self, *, green: bool) -> None:
        """Count one target more, and say so if it is time."""
        self._done += 1
        self._not_green += not green
        now = asyncio.get_running_loop().time()
        due = self._done % _TARGETS == 0 or now - self._told >= _SECONDS
        if due or self._done == self._total:
            self._told = now
            say(self._line(now - self._begun))

    def _line(self, elapsed: float) -> str:
        line = f"{self._done:,} of {self._total:,} done, {self._not_green:,} not green"
        if elapsed <= 0:
            return line
        rate = self._done / elapsed
        left = (self._total - self._done) / rate
        return f"{line}, {rate:,.0f}/s" + (f", about {left:,.0f} s left" if left else "")


class _Pace(ProgressColumn):
    """
    The rate and the time left, by the whole run so far.

    Outcomes come an account at a time, so the last ones alone say nothing.
    """

    def render(self, task: Task) -> Text:
        """Return both, or a blank while there is nothing to go by."""
        if not task.completed or not task.elapsed:
            return Text("")
        rate = task.completed / task.elapsed
        minutes, seconds = divmod(math.ceil((task.remaining or 0) / rate), 60)
        return Text(f"{rate:,.0f}/s  ETA {minutes}:{seconds:02}")


class Live:
    """A bar with the rate and the time left, redrawn in place and gone at the end."""

    def __init__(self, total: int) -> None:
        self._bar = Bar(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            _Pace(),
            console=screen(sys.stderr),
            transient=True,
            expand=True,
            # Results have stdout for themselves, even while the bar moves.
            redirect_stdout=False,
        )
        self._not_green = 0
        self._task = self._bar.add_task("0 not green", total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def add(self, *, green: bool) -> None:
        """Count one target more."""
        self._not_green += not green
        self._bar.update(self._task, advance=1, description=f"{self._not_green:,} not green")
