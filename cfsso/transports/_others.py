"""What others take who have the same limit, as far as answers tell it."""

from collections.abc import Sequence
from heapq import merge
from itertools import islice
from typing import Final

NEVER: Final = float("inf")
# Of what is left, and of the reserve when nothing else is: for half as many with one limit.
_SHARES: Final = 16


class Others:
    """
    The places of a window that are held by others.

    When each of them comes free nobody says. The first does when the answer said that
    something changes; then one after the other is taken to be, slowly, since everybody
    else with the same limit reckons the same way. An answer that comes meanwhile knows more.

    Args:
        seconds: In which as many are taken to come free as are in reserve.

    Attributes:
        count: How many there are.
        abreast:
            How many requests may be under way here while there are any: others have some
            under way as well, which no answer has counted yet.
    """

    __slots__ = ("_next_at", "_pace", "_seconds", "abreast", "count")

    def __init__(self, seconds: float) -> None:
        self._seconds = self._pace = seconds
        self._next_at = NEVER
        self.count = self.abreast = 0

    def hold(self, count: int, until: float, spare: int, reserve: int) -> None:
        """
        Let there be so many.

        Args:
            count: How many.
            until: When the first of them comes free.
            spare: How many places are left besides the reserve.
            reserve: How many are in reserve.
        """
        self.count = count
        self._next_at = until
        self._pace = self._seconds / (reserve + 1)
        # If all take a share of what is left, and the next one of what is left then, it lasts.
        self.abreast = max(1, max(spare, reserve) // _SHARES)

    def forget(self) -> None:
        """Let there be none."""
        self.count = 0

    def expire(self, now: float) -> None:
        """Let those go that are free by now."""
        if self.count and self._next_at <= now:
            freed = 1 + int((now - self._next_at) / self._pace)
            self.count = max(0, self.count - freed)
            self._next_at += freed * self._pace

    @property
    def ends_at(self) -> float:
        """When the last of them comes free, if nothing is said before."""
        return self._next_at + (self.count - 1) * self._pace

    def frees_at(self, taken: Sequence[float], nth: int) -> float:
        """Return when the *nth* place, from 0, of theirs and of *taken* comes free; or inf."""
        theirs = (self._next_at + n * self._pace for n in range(self.count))
        return next(islice(merge(taken, theirs), nth, None), NEVER)
