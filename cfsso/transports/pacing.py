"""Sends no sooner than Cloudflare's limits allow."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final

from cfsso import _problems
from cfsso._headers import BLOCK_SECONDS, quota, remaining
from cfsso.errors import (
    APIConnectionError,
    CfssoError,
    InvalidRequestError,
    RateLimitError,
    WriteState,
)
from cfsso.transports._blocks import BLOCKS, News, is_real
from cfsso.transports._by_loop import ByLoop
from cfsso.transports._call import Call, current
from cfsso.transports._credential_key import CredentialOf, key_of
from cfsso.transports._others import NEVER
from cfsso.transports._ranks import Rank
from cfsso.transports._window import Place, Window
from cfsso.transports.base import RateLimit, Request, Response, Transport

if TYPE_CHECKING:
    import asyncio

_DEFAULT: Final = RateLimit()
ADDRESS_LIMIT: Final = RateLimit(requests=200, seconds=1.0)
"""What Cloudflare takes from one address."""

# A longer promise is told, not waited for.
_LONGEST: Final = 3600.0
# How often a wait doubles that does not help.
_DOUBLINGS: Final = 9
# What keeps a request here, also one that no ``write`` tells of.
_NEVER_LEFT: Final = frozenset({"name", "connect", "tls", "certificate", "proxy", "files"})


class PacingTransport:
    """
    A `Transport` around a transport that keeps to the rate limit of each credential.

    Requests burst up to the limit and then follow the window: a place is free
    again one window after its answer came, since the server counted it at some
    moment before. After a 429, or a 503 with ``Retry-After``, all requests of the
    credential wait for the time that the answer asks, and then one goes first.
    ``Ratelimit`` fields of answers can only slow it down. Whoever waits is served in
    order; what disables a connector goes first, then what was begun already. The
    reserve of the limit is for what disables: everything else stops when no more is
    left, by its own count and by what those fields say that others left.

    All these transports of one event loop that have the same *rate_limit* share what
    is counted by *credential*, and all together send at most 200 requests a second,
    the limit of an address. That a credential has to wait holds in the whole process: for
    requests that other event loops begin, in other threads too, and for loops that are made
    later. Only a loop whose time is virtual has all for itself.

    https://developers.cloudflare.com/fundamentals/api/reference/limits/

    Args:
        inner: What sends.
        rate_limit:
            What one credential may send. ``None``: as much as it likes, until an
            answer asks it to wait; the limit of the address is off too.
        credential:
            A function, plain or async, from account id to what its limit is counted
            by, which is hashable; never the token itself. ``None``: this transport has
            one credential.
        timeout: Seconds in which a request that was given up may still arrive.
    """

    def __init__(
        self,
        inner: Transport,
        *,
        rate_limit: RateLimit | None = _DEFAULT,
        credential: CredentialOf | None = None,
        timeout: float = 30.0,
    ) -> None:
        if not isinstance(rate_limit, RateLimit | None):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may be untyped
            raise InvalidRequestError(
                f"rate_limit must be a RateLimit or None, not {rate_limit!r:.60}"
            )
        self._inner = inner
        self._limit = rate_limit
        self._credential = credential
        self._timeout = timeout
        # Not id(self), which another may have later.
        self._own = object()
        # The event loop that used it last, and its lanes: one value, since threads may share it.
        self._last: tuple[asyncio.AbstractEventLoop, _Lanes] | None = None

    def __repr__(self) -> str:
        return f"PacingTransport({self._inner!r})"

    @property
    def server(self) -> str:
        """Which server the inner transport reaches, or empty if it does not say."""
        return str(getattr(self._inner, "server", ""))

    @property
    def rate_limit(self) -> RateLimit | None:
        """What all requests together may be. ``None``: any number, or it depends on the account."""
        return self._limit if self._credential is None else None

    async def send(self, request: Request) -> Response:
        """
        Send *request* as soon as it may be; see `Transport.send`.

        Raises:
            RateLimitError:
                Nothing was sent, since it would have to wait longer than its call may;
                ``retry_after`` says how long.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        last = self._last
        if last is None or last[0] is not loop:
            last = self._last = loop, _lanes(loop)
        lanes = last[1]
        call = current()
        call.held = True
        key = self._own if self._credential is None else await key_of(self._credential, request)
        begun = loop.time()
        lane = lanes.of(key, self._limit, begun)
        lane.catch_up(begun)
        address = _UNBOUNDED if self._limit is None else lanes.address
        urgent = call.urgent
        place = lane.try_enter(begun, urgent=urgent)
        spot = None if place is None else address.try_enter(begun, urgent=urgent)
        if place is None or spot is None:
            place, spot = await _places(place, lane, address, request, call, loop)
            begun = loop.time()
        call.queued, call.held = True, False
        try:
            response = await self._inner.send(request)
        except BaseException as error:
            # It may be on its way, and be counted, for as long as an attempt may last.
            unsent = not call.may_have_left or _is_unsent(error)
            counted = None if unsent else max(loop.time(), begun + self._timeout)
            address.leave(spot, counted)
            lane.leave(place, counted)
            raise
        now = loop.time()
        address.leave(spot, now, answered=True)
        lane.heed(response, place, now)
        lane.leave(place, now, answered=True)
        return response

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


async def _places(
    place: Place | None,
    lane: "_Lane",
    address: "_Lane",
    request: Request,
    call: Call,
    loop: "asyncio.AbstractEventLoop",
) -> tuple[Place, Place]:
    """
    Return a place in either window, the first of which may be there already.

    The address has little to wait for, so it is the second.
    """
    while True:
        if place is None:
            place = await lane.place(request, call, loop)
        call.queued = True
        try:
            spot = await address.place(request, call, loop)
        except BaseException:
            lane.leave(place, None)
            raise
        lane.catch_up(loop.time())
        if lane.window.is_good(place):
            return place, spot
        address.leave(spot, None)
        lane.leave(place, None)
        place = None


class _Lane:
    """
    The window of one credential, or of the address.

    Args:
        limit: What may pass. None: any number, until an answer asks to wait.
        news: What other loops know of the credential. None: it is no matter of others.
    """

    __slots__ = ("_limit", "_policy", "_refusals", "news", "seconds", "window")

    def __init__(self, limit: RateLimit | None, news: News | None = None) -> None:
        self._limit = limit
        self._policy = ""
        # In a row, each after the wait that the one before had asked for.
        self._refusals = 0
        self.news = news
        self.seconds = 0.0 if limit is None else limit.seconds
        self.window = (
            Window(NEVER)
            if limit is None
            else Window(limit.requests, reserve=limit.reserve, seconds=limit.seconds)
        )

    def catch_up(self, now: float) -> None:
        """Close the window if another loop has learnt that the credential is blocked."""
        if self.news is not None and self.news.changes != BLOCKS.changes:
            left = self.news.learn(now)
            if left is not None:
                self.window.close(now + left, for_good=left > _LONGEST)

    def try_enter(self, now: float, *, urgent: bool) -> Place | None:
        """Return a place if there is one at once."""
        return self.window.try_enter(now, urgent=urgent)

    async def place(self, request: Request, call: Call, loop: "asyncio.AbstractEventLoop") -> Place:
        """Return a place, for which the call waits if it may wait as long."""
        import asyncio

        now = loop.time()
        if (place := self.try_enter(now, urgent=call.urgent)) is not None:
            return place
        rank = Rank.URGENT if call.urgent else Rank.BEGUN if call.queued else Rank.NEW
        allowed = call.may_wait()
        wait = self.window.estimate(rank, self.seconds, now)
        if wait > allowed or self.window.closed_for(now) > _LONGEST:
            raise _refused(request, wait)
        with call.waiting(wait, "rate limit", limited=True):
            try:
                async with asyncio.timeout(None if allowed == NEVER else allowed):
                    return await self.window.enter(rank, now + allowed)
            except TimeoutError:
                wait = self.window.estimate(rank, self.seconds, loop.time())
        raise _refused(request, wait)

    def leave(self, place: Place, counted: float | None, *, answered: bool = False) -> None:
        """Leave a place; the request was counted by then, or not at all."""
        if counted is None:
            self.window.give_back(place)
        else:
            self.window.leave(place, counted + self.seconds, answered=answered)
            if place.probe and answered and self.news is not None:
                self.news.got_through()

    def heed(self, response: Response, place: Place, now: float) -> None:
        """Slow down if the answer, whose *place* is still held, says so."""
        if response.status in {429, 503}:
            seconds = _problems.retry_after(response)
            if seconds is not None:
                seconds = max(seconds, self._in_a_row(place))
                self.window.close(now + max(seconds, 1.0), for_good=seconds > _LONGEST)
                if self.news is not None:
                    self.news.tell(max(seconds, 1.0), now)
        elif self._refusals and self.window.is_good(place):
            self._refusals = 0
        found = remaining(response.headers) if self.seconds else None
        if found is not None:
            self._fit_reserve(response.headers.get("ratelimit-policy", ""))
            left, t = found
            seconds = self.seconds if t is None else min(max(t, 1.0), self.seconds)
            self.window.heed(left, now + seconds, now)

    def _in_a_row(self, place: Place) -> float:
        """Count a refusal; return the seconds to wait at least, if that one came after others."""
        # Those that were under way together are one.
        self._refusals += self.window.is_good(place)
        doublings = min(self._refusals - 1, _DOUBLINGS)
        return min(2.0**doublings, BLOCK_SECONDS) if doublings > 0 else 0.0

    def _fit_reserve(self, policy: str) -> None:
        """Keep the same share of a limit that is smaller than was said."""
        if policy == self._policy or self._limit is None:
            return
        self._policy, limit = policy, self._limit
        most = quota(policy)
        share = limit.reserve if most is None else most * limit.reserve // limit.requests
        self.window.resize(limit.requests, reserve=min(share, limit.reserve))


class _Lanes:
    """All windows of one event loop; those that nobody needs any more are forgotten."""

    __slots__ = ("_by_key", "_is_real", "address")

    def __init__(self, loop: "asyncio.AbstractEventLoop") -> None:
        # The loop itself must not be kept alive.
        self._is_real = is_real(loop.time())
        self.address = _Lane(ADDRESS_LIMIT)
        self._by_key: OrderedDict[Hashable, _Lane] = OrderedDict()

    def of(self, key: Hashable, limit: RateLimit | None, now: float) -> _Lane:
        """Return the lane of a credential."""
        turn = (key,) if limit is None else (key, limit.requests, limit.seconds, limit.reserve)
        lane = self._by_key.get(turn)
        if lane is None:
            news = News(key) if self._is_real else None
            lane = self._by_key[turn] = _Lane(limit, news)
        # One that is still needed has its next turn last, and so keeps no others alive.
        while len(self._by_key) > 1:
            first, other = next(iter(self._by_key.items()))
            if other is lane or not other.window.is_idle(now):
                self._by_key.move_to_end(first)
                break
            del self._by_key[first]
        return lane


class _Unbounded(_Lane):
    """No limit at all."""

    def try_enter(self, now: float, *, urgent: bool) -> Place:
        """Return a place that counts for nothing."""
        del now, urgent
        return _NO_PLACE

    def leave(self, place: Place, counted: float | None, *, answered: bool = False) -> None:
        """Count nothing."""


_NO_PLACE: Final = Place(probe=False, series=0)
_UNBOUNDED: Final = _Unbounded(None)
_LANES: Final = ByLoop(_Lanes)
_lanes: Final = _LANES.of


def _is_unsent(error: BaseException) -> bool:
    if isinstance(error, InvalidRequestError):
        return True
    if isinstance(error, APIConnectionError) and error.reason in _NEVER_LEFT:
        return True
    return isinstance(error, CfssoError) and error.write is WriteState.NOT_SENT


def _refused(request: Request, wait: float) -> RateLimitError:
    return RateLimitError(
        f"{request}: nothing was sent, the rate limit asks to wait {wait:,.0f} s",
        write=request.write_state(WriteState.NOT_SENT),
        retry_after=max(0.0, wait),
        request=request,
    )
