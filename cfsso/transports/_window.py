"""A sliding window with a queue: who may go, in which order, and when."""

from bisect import bisect_right, insort
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from cfsso.transports._others import NEVER, Others
from cfsso.transports._ranks import Rank

if TYPE_CHECKING:
    import asyncio

# For how many seconds after a closing it is remembered that one is to go first.
_REMEMBERED: Final = 3600.0


class Place:
    """
    One place in a window, held while a request is under way.

    Attributes:
        probe: Whether all others wait to see how it fares.
        series: Which series it is from; earlier ones are called back.
        urgent: Whether its holder is; as a probe it stops the urgent ones, too.
    """

    __slots__ = ("probe", "series", "urgent")

    def __init__(self, *, probe: bool, series: int, urgent: bool = False) -> None:
        self.probe = probe
        self.series = series
        self.urgent = urgent


class Window:
    """
    Hands out *quota* places; each is free again when its holder said it would be.

    It belongs to one event loop, whose time it goes by.

    Some places may be in reserve for the urgent. A server that says how much is left tells
    how many places others hold who have the same limit. They count as well, so that the
    reserve is left whoever takes the rest; see `Others` for when they come free.

    Args:
        quota: How many places there are; inf for no bound.
        reserve: How many of them only the urgent may take.
        seconds: How long others hold their places.
    """

    __slots__ = (
        "_closed_until",
        "_free_at",
        "_left",
        "_left_until",
        "_others",
        "_plain",
        "_probe_wanted",
        "_probes",
        "_quota",
        "_ranks",
        "_reserve",
        "_series",
        "_timer",
        "under_way",
    )

    def __init__(self, quota: float, *, reserve: int = 0, seconds: float = 0.0) -> None:
        self._quota = quota
        self._reserve = reserve
        self._others = Others(seconds)
        # When each place that was left will be free, soonest first.
        self._free_at: list[float] = []
        self.under_way = 0
        # Ordered, and whoever gives up is gone at once; with the latest time to wait for.
        self._ranks: tuple[OrderedDict[asyncio.Future[Place], float], ...] = tuple(
            OrderedDict() for _ in Rank
        )
        self._timer: asyncio.TimerHandle | None = None
        self._closed_until = 0.0
        self._series = 0
        self._plain = Place(probe=False, series=0)
        self._probe_wanted = False
        # Those that are out; each went past the one before.
        self._probes: list[Place] = []
        # How many may yet go by a server's word, and how long it holds.
        self._left = self._left_until = NEVER

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return sum(map(len, self._ranks))

    def is_idle(self, now: float) -> bool:
        """Whether all places are free, nobody waits, and nothing is or was just closed."""
        self._expire(now)
        opens_at = self._opens_at(now, urgent=False)
        if self._probe_wanted:
            opens_at = max(opens_at, self._closed_until + _REMEMBERED)
        return not (self.under_way or self.waiting or self._free_at or opens_at > now)

    def closed_for(self, now: float) -> float:
        """Return how many seconds the window will stay closed."""
        return max(0.0, self._closed_until - now)

    def is_good(self, place: Place) -> bool:
        """Whether *place* still allows to send: it is to be given back if it was called back."""
        return place.series == self._series

    def try_enter(self, now: float, *, urgent: bool = False) -> Place | None:
        """Return a place if one is free and nobody waits."""
        if any(self._ranks) or self._opens_at(now, urgent=urgent) > now:
            return None
        return self._take(urgent=urgent)

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
        self._others.forget()
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
        self._probe_wanted = False
        self._probes.clear()
        self._serve()

    def heed(self, left: float, until: float, now: float) -> None:
        """
        Let at most *left* pass before *until*, and then one alone, if that is slower.

        *left* is what the answer to a request said whose place is still held, reserve included.
        """
        self._expire(now)
        self._others.forget()
        if left >= self._quota - self.under_way - len(self._free_at):
            self._left = self._left_until = NEVER
        else:
            # Those under way may not have been counted yet, and some may not yet be sent.
            self._left = left - self.under_way + 1
            self._left_until = until
            self._series += self._left < self._reserve
            # After a refusal all begins anew.
            if self._reserve and self._closed_until <= now:
                others = int(self._quota - left) - len(self._free_at) - 1
                self._others.hold(others, until, int(left) - self._reserve, self._reserve)
        self._serve()

    def resize(self, quota: float, *, reserve: int = 0) -> None:
        """Have *quota* places from now on, and so many of them in reserve."""
        self._quota, self._reserve = quota, reserve
        self._serve()

    def estimate(self, rank: Rank, seconds: float, now: float) -> float:
        """
        Return how many seconds a newcomer of that rank would wait from now on, at least.

        A place stays taken for *seconds* once it was left.
        """
        self._expire(now)
        urgent = rank is Rank.URGENT
        ahead = sum(len(self._ranks[r]) for r in Rank if r <= rank)
        at = max(now, self._closed_until)
        if self._left <= ahead:
            at = max(at, self._left_until)
        excess = ahead + self._excess(urgent=urgent)
        if excess >= 0:
            places = self.under_way + len(self._free_at) + self._others.count
            rounds, nth = divmod(int(excess), max(1, int(self._quota), places))
            first = self._frees_at(nth, urgent=urgent)
            at = max(at, (now + seconds if first == NEVER else first) + rounds * seconds)
        return at - now

    def _take(self, *, urgent: bool) -> Place:
        # Who passes by a probe is another one.
        probe = self._probe_wanted or bool(self._probes)
        self._probe_wanted = False
        self.under_way += 1
        self._left -= 1
        if probe:
            self._probes.append(Place(probe=True, series=self._series, urgent=urgent))
            return self._probes[-1]
        if self._plain.series != self._series:
            self._plain = Place(probe=False, series=self._series)
        return self._plain

    def _go_on(self, place: Place, *, cleared: bool) -> None:
        """Let others know that *place* was left."""
        if place.probe and place in self._probes:
            self._probes.remove(place)
            # One clears the way for all, unless there was a closing since.
            if cleared and self.is_good(place):
                self._probes.clear()
            elif not self._probes:
                self._probe_wanted = True
        self._serve()

    def _expire(self, now: float) -> None:
        if self._free_at and self._free_at[0] <= now:
            del self._free_at[: bisect_right(self._free_at, now)]
        if self._left_until <= now:
            # What remains after that only an answer can tell.
            self._probe_wanted = self._probe_wanted or self._left <= 0
            self._left = self._left_until = NEVER
        self._others.expire(now)

    def _opens_at(self, now: float, *, urgent: bool) -> float:
        """Return when the next may pass; inf if that depends on an answer."""
        taken = self._free_at
        number = len(taken)
        excess = self._excess(urgent=urgent)
        # Not each time: to shorten a long list takes its time.
        if excess >= 0 or self._left_until <= now or (number and taken[number // 2] <= now):
            self._expire(now)
            excess = self._excess(urgent=urgent)
        if self._probes and (self._probes[-1].urgent or not urgent):
            return NEVER
        if not urgent and self._others.count and self.under_way >= self._others.abreast:
            # Sooner if an answer says so.
            return self._others.ends_at
        at = self._closed_until
        if self._left <= 0:
            at = max(at, self._left_until)
        if excess >= 0:
            at = max(at, self._frees_at(int(excess), urgent=urgent))
        return at

    def _excess(self, *, urgent: bool) -> float:
        """Return how many places too few there are for one more to be free, if not below 0."""
        excess = self.under_way + len(self._free_at) - self._quota
        return excess if urgent else excess + self._reserve + self._others.count

    def _frees_at(self, nth: int, *, urgent: bool) -> float:
        """Return when the *nth* place from now, from 0, will be free; inf if nobody knows."""
        taken = self._free_at
        if not urgent and self._others.count:
            return self._others.frees_at(taken, nth)
        return taken[nth] if nth < len(taken) else NEVER

    def _serve(self) -> None:
        """Give places to those who wait, and see to being called when the next is free."""
        if not any(self._ranks):
            return
        import asyncio

        loop = asyncio.get_running_loop()
        now = loop.time()
        for rank, line in enumerate(self._ranks):
            urgent = rank == Rank.URGENT
            while line:
                at = self._opens_at(now, urgent=urgent)
                if at > now:
                    self._wake_at(at, loop)
                    return
                future, _ = line.popitem(last=False)
                if not future.done():
                    future.set_result(self._take(urgent=urgent))
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
