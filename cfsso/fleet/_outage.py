"""When nothing answers any more: a run holds, one request goes ahead, and in the end it stops."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from math import inf
from typing import Final

from cfsso._text import printable
from cfsso.errors import APIConnectionError, CfssoError, InvalidRequestError
from cfsso.events import Event, EventKind
from cfsso.fleet._gate import Gate, Stopped

# So many failures in a row, with no answer between them, are an outage.
_FEW: Final = 3
# Seconds before one request goes ahead, which double up to the last.
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 8.0
# However long the failures took: one request goes ahead before the run stops.
_GRACE: Final = 2.0
_SERVER_ERRORS: Final = 500


class Outage:
    """
    Knows whether the API answers, and lets a run hold while it does not.

    Lost connections and 5xx are failures; any other answer, to whichever request of the
    run, ends an outage. What fails in one account while others are answered is none.

    Args:
        gate: Is closed once the run has to stop.
        seconds: How long nothing but failures may come before it does.
        tell: Is called with each pause, and for how long there was no answer.

    Attributes:
        holding: Whether nothing new is to be sent.
        over: Why the run was stopped; empty if it was not.
        on_over: Is called when the run is stopped.
        retrying: What is called when a hold begins: calls need not try again by themselves.
    """

    def __init__(self, gate: Gate, seconds: float, tell: Callable[[float, float], object]) -> None:
        self._gate = gate
        self._seconds = seconds
        self._tell = tell
        # Since when each account has met failures only, and which are alone in that.
        self._failing: dict[str, float] = {}
        self._alone: set[str] = set()
        self._row = 0
        self._since = self._answered = -inf
        self._cause = ""
        self._is_hopeless = False
        self._pause = _FIRST_PAUSE
        self._queue: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        # Whether whoever comes next goes ahead.
        self._is_free = False
        self._timers: list[asyncio.TimerHandle] = []
        self.holding = False
        self.over = ""
        self.on_over: Callable[[], object] = lambda: None
        self.retrying = set[Callable[[], object]]()

    def notice(self, event: Event) -> None:
        """Learn from one event of a call."""
        if event.kind is not EventKind.ATTEMPT or isinstance(event.error, InvalidRequestError):
            return
        now = asyncio.get_running_loop().time()
        asked = now - event.seconds
        if event.status is not None and event.status < _SERVER_ERRORS:
            self.forget(event.account_id)
            # What was asked after their first failure was answered to others.
            self._alone.update(n for n, since in self._failing.items() if since <= asked)
            self._answered = now
            self._open()
            return
        self._failing.setdefault(event.account_id, now)
        if event.account_id in self._alone:
            return
        self._cause = _cause(event)
        self._is_hopeless = getattr(event.error, "retryable", None) is False
        if not self._row:
            self._since = max(asked, self._answered)
        self._row += 1
        if self._row >= _FEW and not self.holding:
            self._hold(now)

    def explains(self, error: CfssoError, account_id: str) -> bool:
        """Whether *error* may be an outage's, so that the same may fare better after it."""
        is_failure = isinstance(error, APIConnectionError) or (error.status or 0) >= _SERVER_ERRORS
        if not is_failure or self.over:
            return False
        return self.holding or account_id not in self._alone

    def forget(self, account_id: str) -> None:
        """Let it be as if an account had met no failure."""
        self._failing.pop(account_id, None)
        self._alone.discard(account_id)

    @asynccontextmanager
    async def turn(self, *, leave: bool) -> AsyncGenerator[None]:
        """
        Wait for the end of an outage, or to go ahead; what may go is sent in the context.

        Args:
            leave: Whether to give up waiting once the gate is closed.

        Raises:
            Stopped: The gate was closed, and *leave*.
            APIConnectionError: The run was stopped, since the outage took too long.
        """
        ahead = self.holding and not self.over and await self._wait(leave=leave)
        if self.over and leave:
            raise Stopped(self.over)
        if self.over:
            raise APIConnectionError(self.over)
        try:
            yield
        finally:
            if ahead:
                self._go_on()

    def end(self) -> None:
        """Set no timer any more."""
        while self._timers:
            self._timers.pop().cancel()

    def _hold(self, now: float) -> None:
        self.holding, self._pause = True, _FIRST_PAUSE
        stops = now if self._is_hopeless else self._since + self._seconds
        if stops < inf:
            self._at(max(stops, now + _GRACE), self._stop)
        for give_up in list(self.retrying):
            give_up()
        self._go_on()

    def _go_on(self) -> None:
        """Let one request go ahead after the next pause."""
        if not self.holding or self.over:
            return
        now = asyncio.get_running_loop().time()
        self._tell(self._pause, now - self._since)
        self._at(now + self._pause, self._send_one)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _send_one(self) -> None:
        while self._queue:
            future, _ = self._queue.popitem(last=False)
            if not future.done():
                future.set_result(True)
                return
        self._is_free = True

    async def _wait(self, *, leave: bool) -> bool:
        """Wait in the line; return whether to go ahead while the others wait."""
        if self._is_free:
            self._is_free = False
            return True
        future = asyncio.get_running_loop().create_future()
        self._queue[future] = None
        try:
            return await (self._gate.unless_closed(future) if leave else future)
        except BaseException:
            self._queue.pop(future, None)
            if future.done() and not future.cancelled() and future.exception() is None:
                # Its turn came too late.
                self._go_on()
            raise

    def _open(self) -> None:
        self._row = 0
        if self.holding and not self.over:
            self.holding = False
            self._let_all_go()

    def _stop(self) -> None:
        took = asyncio.get_running_loop().time() - self._since
        self.over = f"no answer from the API for {took:,.0f} s: {self._cause}"
        self._gate.close(self.over)
        self._let_all_go()
        self.on_over()

    def _let_all_go(self) -> None:
        self._is_free = False
        self.end()
        while self._queue:
            future, _ = self._queue.popitem()
            if not future.done():
                future.set_result(False)

    def _at(self, when: float, act: Callable[[], object]) -> None:
        self._timers.append(asyncio.get_running_loop().call_at(when, act))


def _cause(event: Event) -> str:
    if event.error is not None:
        return printable(str(event.error), 300)
    said = "the transport failed" if event.status is None else f"the answer was {event.status}"
    return f"{event.request}: {said}"
