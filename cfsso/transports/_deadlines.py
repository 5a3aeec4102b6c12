"""Ends of time for many, with one timer of the event loop."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio


class Expiring(Protocol):
    """What is told that its time is up."""

    def expire(self) -> None:
        """Its time is up."""


class Deadlines:
    """
    Tells each of many that so many seconds have passed, unless it is done before.

    Nearly all are done before. A timer for each would cost more than what it watches.

    Args:
        loop: Whose time it goes by.
        seconds: The time that each has.

    Attributes:
        loop: See above.
    """

    __slots__ = ("_ends", "_seconds", "_timer", "loop")

    def __init__(self, loop: "asyncio.AbstractEventLoop", seconds: float) -> None:
        self.loop = loop
        self._seconds = seconds
        # As all have the same time, who came first ends first.
        self._ends: dict[Expiring, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self, one: Expiring, now: float) -> float:
        """Give *one* its time from now on; return when it ends."""
        ends = self._ends[one] = now + self._seconds
        if self._timer is None:
            self._timer = self.loop.call_at(ends, self._tell)
        return ends

    def stop(self, one: Expiring) -> None:
        """Let *one* be."""
        self._ends.pop(one, None)
        if not self._ends and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        self._timer = None
        now = self.loop.time()
        while self._ends:
            one, ends = next(iter(self._ends.items()))
            if ends > now:
                self._timer = self.loop.call_at(ends, self._tell)
                return
            del self._ends[one]
            one.expire()
