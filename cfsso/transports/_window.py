"""A sliding window with a queue: who may go, in which order, and when."""

import enum
from bisect import bisect_right, insort
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

NEVER: Final = float("inf")
# For how many seconds after a closing it is remembered that one is to go first.
_REMEMBERED: Final = 3600.0


class Rank(enum.IntEnum):
    """
    Who goes first; among equals, who came first.

    Attributes:
        URGENT: What lets people in.
        BEGUN: What goes on with a call that has had a place already.
        NEW: Everything else.
    """

    URGENT = 0
    BEGUN = 1
    NEW = 2


class Place:
    """
    One place in a window, held while a request is under way.

    Attributes:
        probe: Whether all others wait to see how it fares.
        series: Which series it is from; earlier ones are called back.
    """

    __slots__ = ("probe", "series")

    def __init__(self, *, probe: bool, series: int) -> None:
        self.probe = probe
        self.series = series


class Window:
    """
    Hands out *quota* places; each is free again when its holder said it would be.

    It belongs to one event loop, whose time it goes by.

    Args:
        quota: How many places there are; inf for no bound.
    """

    __slots__ = (
        "_closed_until",
        "_free_at",
        "_left",
        "_left_until",
        "_plain",
        "_probe_out",
        "_probe_wanted",
        "_quota",
        "_ranks",
        "_series",
        "_timer",
        "under_way",
    )

    def __init__(self, quota: float) -> None:
        self._quota = quota
        # When each place that was left will be free, soonest first.
        self._free_at: list[float] = []
        self.under_way = 0
        # Ordered, and yet whoever gives up is gone at once; with the latest time to wait for.
        self._ranks: tuple[OrderedDict[asyncio.Future[Place], float], ...] = tuple(
            OrderedDict() for _ in Rank
        )
        self._timer: asyncio.TimerHandle | None = None
        self._closed_until = 0.0
        self._series = 0
        # All places of a series that are no probes are alike.
        self._plain = Place(probe=False, series=0)
        self._probe_wanted = self._probe_out = False
        # A server's word on how many may yet go, and how long it holds.
        self._left = self._left_until = NEVER

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return sum(map(len, self._ranks))

    def is_idle(self, now: float) -> bool:
        """Whether all places are free, nobody waits, and nothing is or was just closed."""
        self._expire(now)
        opens_at = self._opens_at(now)
        if self._probe_wanted:
            opens_at = max(opens_at, self._closed_until + _REMEMBERED)
        return not (self.under_way or self.waiting or self._free_at or opens_at > now)

    def closed_for(self, now: float) -> float:
        """Return how many seconds the window will stay closed."""
        return max(0.0, self._closed_until - now)

    def is_good(self, place: Place) -> bool:
        """Whether *place* still allows to send: it is to be given back if it was called back."""
        return place.series == self._series

    def try_enter(self, now: float) -> Place | None:
        """Return a place if one is free and nobody waits."""
        if any(self._ranks) or self._opens_at(now) > now:
            return None
        return self._take()

    async def enter(self, rank: Rank, latest: float = NEVER) -> Place:
        """
        Wait for a place. A cancelled wait leaves nothing behind.

        Raises:
            TimeoutError: The window was closed until after *latest*, or for good.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        future: asyncio.Future[Place] = loop.create_future()
        self._ranks[rank][future] = latest
        self._serve()
        try:
            return await future
        except BaseException:
            self._ranks[rank].pop(future, None)
            if future.done() and not future.cancelled() and future.exception() is None:
                self.give_back(future.result())
            if not any(self._ranks):
                self._wake_at(NEVER, loop)
            raise

    def leave(self, place: Place, free_at: float, *, answered: bool) -> None:
        """Leave a place, which is free at *free_at*; *answered* if the server said anything."""
        taken = self._free_at
        if taken and free_at < taken[-1]:
            insort(taken, free_at)
        else:
            taken.append(free_at)
        self.under_way -= 1
        if place.probe or any(self._ranks):
            self._go_on(place, cleared=answered)

    def give_back(self, place: Place) -> None:
        """Leave a place that nothing was sent from."""
        self._left += 1
        self.under_way -= 1
        self._go_on(place, cleared=False)

    def close(self, until: float, *, for_good: bool = False) -> None:
        """
        Let nobody pass before *until*, and then one alone, until its answer is there.

        Places that are out are called back. Whoever can't wait as long is told at once,
        and everybody if it is *for_good*.
        """
        self._series += 1
        self._probe_wanted = True
        if until > self._closed_until:
            self._closed_until = until
            for rank in self._ranks:
                for future, latest in rank.items():
                    if (latest < until or for_good) and not future.done():
                        future.set_exception(TimeoutError())
        self._serve()

    def open(self) -> None:
        """Take back all closing."""
        self._closed_until = 0.0
        self._probe_wanted = self._probe_out = False
        self._serve()

    def heed(self, left: float, until: float, now: float) -> None:
        """
        Let at most *left* pass before *until*, and then one alone, if that is slower.

        *left* is what the answer to a request said whose place is still held.
        """
        self._expire(now)
        if left >= self._quota - self.under_way - len(self._free_at):
            self._left = self._left_until = NEVER
        else:
            # Those under way may not have been counted yet, and some may not yet be sent.
            self._left = left - self.under_way + 1
            self._left_until = until
            self._series += self._left < 0
        self._serve()

    def resize(self, quota: float) -> None:
        """Have *quota* places from now on."""
        self._quota = quota
        self._serve()

    def estimate(self, rank: Rank, seconds: float, now: float) -> float:
        """
        Return how many seconds a newcomer would wait, at least.

        Args:
            rank: Its rank.
            seconds: How long a place stays taken once it was left.
            now: The present.
        """
        self._expire(now)
        ahead = sum(len(self._ranks[r]) for r in Rank if r <= rank)
        at = max(now, self._closed_until)
        if self._left <= ahead:
            at = max(at, self._left_until)
        taken = self._free_at
        vacant = self._quota - self.under_way - len(taken)
        if ahead >= vacant:
            places = max(1, int(self._quota), self.under_way + len(taken))
            rounds, nth = divmod(int(ahead - vacant), places)
            first = taken[nth] if nth < len(taken) else now + seconds
            at = max(at, first + rounds * seconds)
        return at - now

    def _take(self) -> Place:
        probe, self._probe_wanted = self._probe_wanted, False
        self._probe_out = self._probe_out or probe
        self.under_way += 1
        self._left -= 1
        if probe:
            return Place(probe=True, series=self._series)
        if self._plain.series != self._series:
            self._plain = Place(probe=False, series=self._series)
        return self._plain

    def _go_on(self, place: Place, *, cleared: bool) -> None:
        """Let others know that *place* was left."""
        if place.probe:
            self._probe_out = False
            self._probe_wanted = self._probe_wanted or not cleared
        self._serve()

    def _expire(self, now: float) -> None:
        if self._free_at and self._free_at[0] <= now:
            del self._free_at[: bisect_right(self._free_at, now)]
        if self._left_until <= now:
            # What remains after that only an answer can tell.
            self._probe_wanted = self._probe_wanted or self._left <= 0
            self._left = self._left_until = NEVER

    def _opens_at(self, now: float) -> float:
        """Return when the next may pass; inf if that depends on an answer."""
        taken = self._free_at
        number = len(taken)
        is_full = self.under_way + number >= self._quota
        # Not each time: to shorten a long list takes its time.
        if is_full or self._left_until <= now or (number and taken[number // 2] <= now):
            self._expire(now)
        if self._probe_out:
            return NEVER
        at = self._closed_until
        if self._left <= 0:
            at = max(at, self._left_until)
        if self.under_way + len(self._free_at) >= self._quota:
            at = max(at, self._free_at[0] if self._free_at else NEVER)
        return at

    def _serve(self) -> None:
        """Give places to those who wait, and see to being called when the next is free."""
        if not any(self._ranks):
            return
        import asyncio

        loop = asyncio.get_running_loop()
        now = loop.time()
        for rank in self._ranks:
            while rank:
                at = self._opens_at(now)
                if at > now:
                    self._wake_at(at, loop)
                    return
                future, _ = rank.popitem(last=False)
                if not future.done():
                    future.set_result(self._take())
        self._wake_at(NEVER, loop)

    def _wake_at(self, at: float, loop: "asyncio.AbstractEventLoop") -> None:
        if self._timer is not None:
            if self._timer.when() == at:
                return
            self._timer.cancel()
        self._timer = None if at == NEVER else loop.call_at(at, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._serve()
