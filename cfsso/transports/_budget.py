"""How many requests may come on top of the calls, and fail."""

from typing import Final

from cfsso.transports._call import Call
from cfsso.transports._ranks import Rank
from cfsso.transports._window import Place, Window

# One request in so many calls, and in any case so many.
_CALLS: Final = 5
_LEAST: Final = 10
# Of these, so many go one at a time, in a long outage only: after 2, 10, 50, 250 and 1250 s.
_LATER: Final = 5
_FIRST_REST: Final = 2.0
_LONGER: Final = 5
_MOST_REST: Final = 7200.0
# Seconds after which calls no longer count, at least; and of quiet that end an outage.
_SECONDS: Final = 60.0


class Budget:
    """
    Hands out places for requests that come on top of the calls; those that fail are spent.

    A fifth of the calls of the last minute or two may be spent, and at least 10. Calls
    that succeed earn it back, five for one. When nothing is left it rests; then one
    goes, and if it fails too the next rest is longer. So however long an outage is, it
    costs little, and that it is over is found out without any new call.
    """

    def __init__(self) -> None:
        self._window = Window(_LEAST - _LATER)
        # In the present minute and in the one before.
        self._calls = self._calls_before = 0
        self._since = 0.0
        # In calls that have to succeed for it.
        self._spent = 0
        self._failed_at = 0.0
        self._rest = _FIRST_REST

    def count_call(self, at: float) -> None:
        """Count one call, which costs nothing."""
        if at - self._since >= _SECONDS:
            recent = at - self._since < 2 * _SECONDS
            self._calls_before = self._calls if recent else 0
            self._calls, self._since = 0, at
        self._calls += 1
        # When all is well nobody asks how much there is.
        if self._spent or self._window.under_way:
            self._fit()

    def take(self, at: float) -> Place | None:
        """Return a place if there is one at once."""
        self._fit()
        return self._window.try_enter(at)

    async def wait(self, call: Call) -> Place:
        """Return a place as soon as there is one."""
        place = self.take(call.time())
        if place is None:
            with call.waiting(0.0, "retry"):
                place = await self._window.enter(Rank.URGENT if call.urgent else Rank.NEW)
        return place

    def give_back(self, place: Place | None) -> None:
        """Leave a place, if it is one, that nothing was sent from."""
        if place is not None:
            self._window.give_back(place)

    def count(self, place: Place | None, at: float, *, failed: bool) -> None:
        """Count what came of a request; without a *place* it is a call's own."""
        if place is None:
            self._count_own(at, failed=failed)
            return
        if failed:
            self._failed_at = at
            self._spent += _CALLS
            if place.probe:
                self._rest = min(self._rest * _LONGER, _MOST_REST)
            if not self._fit():
                self._window.close(at + self._rest)
        else:
            self._rest = _FIRST_REST
        self._window.leave(place, at, answered=True)

    def _count_own(self, at: float, *, failed: bool) -> None:
        if failed:
            self._failed_at = at
        elif self._spent:
            quiet = at - self._failed_at >= _SECONDS
            self._spent = 0 if quiet else self._spent - 1
            # Not as soon as there is a place: in an outage each new call may bring one.
            if not self._spent:
                self._rest = _FIRST_REST
            self._fit()

    def _fit(self) -> bool:
        """Have as many places as there are now; return whether there are any."""
        calls = self._calls + self._calls_before
        most = _CALLS * (max(_LEAST, calls // _CALLS) - _LATER)
        self._spent = min(self._spent, most)
        left = (most - self._spent) // _CALLS
        # One, so that there is one to go when its time comes.
        self._window.resize(max(1, left))
        if left:
            self._window.open()
        return left > 0
