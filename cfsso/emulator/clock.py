"""Emulated time: it goes on while one event loop runs, or by hand."""

import datetime as dt
import functools
import sys
import time
from typing import Any, Final

from cfsso.errors import InvalidRequestError

TICKS: Final = 1_000_000
"""Ticks in a second: the API shows six fractional digits."""

SLACK: Final = 1e-6
"""Seconds that sums of floats may be off; what is due within it is due now."""

LONGEST: Final = 100 * 365.25 * 24 * 60 * 60
"""Seconds that may pass by hand: a hundred years, long before floats lose count."""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_TICK: Final = dt.timedelta(seconds=1) / TICKS

# The end of the calendar in seconds, and the last tick before it.
_END: Final = 253_402_300_800
_LAST: Final = _END * TICKS - 1


class Clock:
    """
    Seconds since the emulator was made, and the wall clock made from them.

    Time goes on only when `now` is called, so that a whole request is of one time.

    Attributes:
        elapsed: What `now` returned last.
    """

    __slots__ = ("_epoch", "_loop", "_offset", "elapsed")

    def __init__(self) -> None:
        # A whole number of ticks, so that a sum with others is near one, too.
        self._epoch = round(time.time() * TICKS) / TICKS
        self.elapsed = 0.0
        self._loop: Any = None
        self._offset = 0.0
        self.now()

    def now(self) -> float:
        """
        Return the seconds since the beginning; they never decrease.

        The running event loop moves them. Without one, or when another one has
        taken over, they stay where they are.
        """
        loop = _running_loop()
        if loop is None:
            return self.elapsed
        at = loop.time() + self._offset
        if loop is self._loop and at >= self.elapsed:
            self.elapsed = at
        else:
            self._loop = loop
            self._offset = self.elapsed - loop.time()
        return self.elapsed

    def date(self) -> str:
        """Return the wall clock as the ``Date`` of an answer has it (RFC 9110)."""
        return _date(self._ticks(self.elapsed) // TICKS)

    def wall(self) -> dt.datetime:
        """Return the wall clock."""
        return _EPOCH + self._ticks(self.elapsed) * _TICK

    def advance(self, seconds: float) -> None:
        """
        Move on by *seconds*.

        Raises:
            InvalidRequestError: The clock would show more than `LONGEST`.
        """
        if self.now() + seconds > LONGEST:
            raise InvalidRequestError("seconds must not take the clock beyond 100 years")
        self.elapsed += seconds
        self._offset += seconds

    def stamp(self, after: str | None = None, at: float | None = None) -> str:
        """
        Return the wall clock as the API writes it, made later than the stamp *after*.

        Args:
            after: The stamp before. ``None``: there is none.
            at: Seconds since the beginning. ``None``: the present.
        """
        ticks = self._ticks(self.elapsed if at is None else at)
        if after is not None:
            earlier = dt.datetime.fromisoformat(after) - _EPOCH
            ticks = max(ticks, earlier // _TICK + 1)
        return _stamp(min(ticks, _LAST))

    def _ticks(self, seconds: float) -> int:
        wall = self._epoch + seconds
        return round(wall * TICKS) if wall < _END else _LAST


# Most requests are of the same tick as the one before, or of the same second; and what is
# of one tick has one text in memory.
@functools.lru_cache(maxsize=1)
def _stamp(ticks: int) -> str:
    second, fraction = divmod(ticks, TICKS)
    return f"{_iso(second)}.{fraction:06d}Z"


@functools.lru_cache(maxsize=1)
def _iso(second: int) -> str:
    return dt.datetime.fromtimestamp(second, dt.UTC).replace(tzinfo=None).isoformat()


@functools.lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    # Not with strftime(), which speaks the machine's language.
    at = dt.datetime.fromtimestamp(seconds, dt.UTC)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02d} {month} {at.year:04d} {at.time().isoformat()} GMT"


def _running_loop() -> Any:
    # Whoever runs a loop has loaded asyncio; the emulator alone does not need it.
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
