"""How far a run is: a bar on a terminal, plain lines elsewhere; on stderr."""

import asyncio
import math
import sys
from collections.abc import Callable
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

from cfsso.cli.render import rate_text, screen
from cfsso.cli.screen import is_live, say

_SECONDS: Final = 5.0
_TARGETS: Final = 500


def never() -> float:
    """Return the wait of whoever waits for nothing."""
    return 0.0


def pace(done: int, total: int, elapsed: float, left: float) -> tuple[float, float] | None:
    """
    Return the targets a second and the seconds left, by the whole run so far.

    Outcomes come an account at a time, so the last ones alone say nothing. The present
    wait counts from its beginning: otherwise what is left would grow all through it,
    and it is as long as those that the rest will meet.

    Args:
        done: How many targets are done.
        total: How many there are.
        elapsed: Seconds since the run began.
        left: Seconds that the present wait goes on.

    Returns:
        ``None`` while there is nothing to go by.
    """
    if not done or elapsed <= 0:
        return None
    rate = done / (elapsed + left)
    return rate, (left + (total - done) / rate if done < total else 0.0)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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


def progress(
    total: int, *, live: bool | None = None, left: Callable[[], float] = never
) -> Progress:
    """
    Return what shows the progress of a run of *total* targets.

    Args:
        total: How many targets there are.
        live: Whether there is a bar. ``None``: if stderr is a terminal.
        left: Returns for how many seconds the rate limit holds up the run yet.
    """
    live = is_live(sys.stderr) if live is None else live
    return Live(total, left) if live else Lines(total, left)


class Lines:
    """A line from time to time, and one at the end."""

    def __init__(self, total: int, left: Callable[[], float] = never) -> None:
        self._total = total
        self._left = left
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
        known = pace(self._done, self._total, elapsed, self._left())
        if known is None:
            return line
        rate, left = known
        return f"{line}, {rate_text(rate)}" + (f", about {left:,.0f} s left" if left else "")


class _Wait(ProgressColumn):
    """The countdown of a wait for the rate limit, or nothing."""

    def __init__(self, left: Callable[[], float]) -> None:
        super().__init__()
        self._left = left

    def render(self, task: Task) -> Text:
        """Return it."""
        del task
        left = self._left()
        return Text(f"rate limit: {_clock(left)}" if left else "", "yellow")


class _Pace(ProgressColumn):
    """The rate and the time left."""

    def __init__(self, left: Callable[[], float]) -> None:
        super().__init__()
        self._left = left

    def render(self, task: Task) -> Text:
        """Return both, or a blank while there is nothing to go by."""
        total = int(task.total or 0)
        known = pace(int(task.completed), total, task.elapsed or 0.0, self._left())
        if known is None:
            return Text("")
        rate, left = known
        return Text(f"{rate_text(rate)}  ETA {_clock(left)}")


class Live:
    """
    A bar with the rate and the time left, redrawn in place and gone at the end.

    Attributes:
        nothing: What stands beside it before anything is known.
    """

    nothing = "0 not green"

    def __init__(self, total: int, left: Callable[[], float] = never) -> None:
        self._bar = Bar(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            _Wait(left),
            _Pace(left),
            console=screen(sys.stderr),
            transient=True,
            expand=True,
            # Results have stdout for themselves, even while the bar moves.
            redirect_stdout=False,
        )
        self._not_green = 0
        self._task = self._bar.add_task(self.nothing, total=total)

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
