"""How many accounts of one credential may be under way: as many as its rate limit can serve."""

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from cfsso.fleet._gate import Gate
from cfsso.transports.base import RateLimit

# Once the limit was misjudged.
_LEAST: Final = 6
_NEWEST: Final = 0.1
# Shorter waits are not worth a word.
_LONG: Final = 1.0


class Lane:
    """
    The accounts of one credential.

    An account begins once the limit has places for all of its requests. Otherwise what it
    has read would be old, and be read again, when its writes may be sent. If the limit
    holds up somebody in the middle nevertheless, since others use it too, only so many are
    under way from then on as its pace asks for.

    Args:
        limit: What the credential may send.
        most: How many accounts may be under way.
        gate: Ends all waits when it is closed.
        tell: Is called with an account that begins only after so many seconds.
    """

    def __init__(
        self, limit: RateLimit, most: int, gate: Gate, tell: Callable[[str, float], object]
    ) -> None:
        # What lets people in may have a reserve.
        self._places = max(1, limit.requests - getattr(limit, "reserve", 0))
        self._seconds = limit.seconds
        self._gate = gate
        self._tell = tell
        # When the places of what was sent are free again.
        self._taken: deque[float] = deque()
        self._promised = self._under_way = 0
        self._most = most
        self._latency = 0.0
        self._queue: OrderedDict[asyncio.Future[None], Stay] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, account_id: str, requests: int) -> "Stay":
        """
        Wait until an account may begin that is to send so many requests.

        Raises:
            Stopped: The gate is closed.
        """
        stay = Stay(self, account_id, min(requests, self._places))
        future = asyncio.get_running_loop().create_future()
        self._queue[future] = stay
        self._serve()
        try:
            await self._gate.unless_closed(future)
        except BaseException:
            self._queue.pop(future, None)
            if future.done() and not future.cancelled() and future.exception() is None:
                stay.leave()
            self._serve()
            raise
        return stay

    def sent(self, stay: "Stay", seconds: float) -> None:
        """Count a request of *stay* that took so long."""
        now = asyncio.get_running_loop().time()
        self._latency += (seconds - self._latency) * _NEWEST
        self._expire(now)
        self._taken.append(now + self._seconds)
        if stay.promised:
            stay.promised -= 1
            self._promised -= 1

    def held(self) -> None:
        """Take notice that somebody in the middle was held up."""
        pace = self._places / self._seconds
        self._most = min(self._most, max(_LEAST, math.ceil(pace * self._latency) + 1))

    def give_back(self, stay: "Stay", *, left: int, leave: bool = False) -> None:
        """Take back what *stay* does not need any more, and let others begin."""
        self._promised -= stay.promised - left
        stay.promised = left
        self._under_way -= leave
        self._serve()

    def _serve(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._queue:
            future, stay = next(iter(self._queue.items()))
            if self._under_way >= self._most:
                return
            wait = self._wait_for(stay.promised, loop.time())
            if wait:
                self._wait(stay, wait, loop)
                return
            del self._queue[future]
            if not future.done():
                self._under_way += 1
                self._promised += stay.promised
                future.set_result(None)

    def _wait_for(self, requests: int, now: float) -> float:
        """Return the seconds until there are so many places; inf: others have to end before."""
        self._expire(now)
        lacking = len(self._taken) + self._promised + requests - self._places
        if lacking <= 0:
            return 0.0
        return self._taken[lacking - 1] - now if lacking <= len(self._taken) else math.inf

    def _expire(self, now: float) -> None:
        while self._taken and self._taken[0] <= now:
            self._taken.popleft()

    def _wait(self, stay: "Stay", seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        if seconds == math.inf:
            return
        self._timer = loop.call_later(seconds, self._serve)
        if not self._under_way and seconds > _LONG and not stay.is_told:
            # Otherwise those that are under way tell of their own waits.
            stay.is_told = True
            self._tell(stay.account_id, seconds)


class Stay:
    """
    The stay of one account in a lane.

    Attributes:
        account_id: The account.
        promised: How many of its requests have a place that they did not take yet.
        is_told: Whether somebody was told that it waits.
    """

    def __init__(self, lane: Lane, account_id: str, promised: int) -> None:
        self._lane = lane
        self.account_id = account_id
        self.promised = promised
        self.is_told = False

    def sent(self, seconds: float) -> None:
        """Count a request that was sent, and took so long."""
        self._lane.sent(self, seconds)

    def held(self) -> None:
        """Take notice that the limit holds it up, although it has begun."""
        self._lane.held()

    def needs(self, requests: int) -> None:
        """Need no more than so many further requests."""
        if requests < self.promised:
            self._lane.give_back(self, left=requests)

    def leave(self) -> None:
        """End it, once."""
        self._lane.give_back(self, left=0, leave=True)
