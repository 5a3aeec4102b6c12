"""Calls that would wait for long are given up, to be made anew when their time has come."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Final, TypeVar

from cfsso.errors import WriteState
from cfsso.events import Event, EventKind, OnEvent
from cfsso.fleet._outage import Outage
from cfsso.transports._call import Call, current

_Result = TypeVar("_Result")

# What was read this long before a write is as good as new.
PATIENCE: Final = 1.0
_TOO_MANY: Final = 429
# How often a call is given up that takes no notice of it.
_TRIES: Final = 3


class Held(Exception):  # noqa: N818 - nothing went wrong
    """
    Nothing was written, since a limit asks to wait, or nothing is answered at present.

    Attributes:
        seconds: For how long the limit does, at least. 0: there is an outage.
        writes: How many writes were sent, all of them refused.
    """

    def __init__(self, seconds: float, writes: int) -> None:
        super().__init__(seconds, writes)
        self.seconds = seconds
        self.writes = writes


class Watch:
    """
    An ``on_event`` for one call: counts what is sent, and gives up what would have to wait.

    A write that waits for minutes in the queue of the rate limit would be sent by what was
    known of its connector before. It is cancelled while that is safe: nothing of it was
    sent, or all of it was refused by a 429. Reads always are. In an outage nothing tries
    again by itself: one request goes ahead of all others.

    Args:
        on_event: What to pass events on to.
        outage: Whether there is one. ``None``: the call tries again whatever there is.

    Attributes:
        writes: How many writes were sent.
    """

    def __init__(self, on_event: OnEvent | None, outage: Outage | None) -> None:
        self._on_event = on_event
        self._outage = outage
        self._task: asyncio.Task[object] | None = None
        self._call: Call | None = None
        self._safe = True
        self._held: float | None = None
        self._cancels = 0
        self._timer: asyncio.TimerHandle | None = None
        self._attempts = 0
        self._retries = False
        self.writes = 0

    def __call__(self, event: Event) -> None:
        """Take notice of one event."""
        self.writes, self._attempts = event.writes, event.attempts
        self._call, self._retries = current(), False
        if self._timer is not None:
            self._timer.cancel()
        # The end of what was given up is none: it goes on later.
        if self._on_event is not None and not (
            self._held is not None and event.kind is EventKind.END
        ):
            self._on_event(event)
        if event.kind is EventKind.ATTEMPT:
            self._safe = self._safe and not _leaves_a_doubt(event)
        elif event.kind is EventKind.WAIT:
            self._wait(event)

    def _wait(self, event: Event) -> None:
        if event.reason == "retry":
            self._retries = True
            if self._outage is not None and self._outage.holding:
                self.hold()
        elif event.reason == "rate limit":
            if event.seconds > PATIENCE:
                self._give_up(event.seconds)
            else:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(PATIENCE, self._lose_patience, event.attempts)

    def hold(self) -> None:
        """Give up if it waits to try again, since an outage has begun."""
        if self._retries and self._call is not None and self._call.held:
            self._give_up(0.0)

    def _lose_patience(self, attempts: int) -> None:
        """Give up if it waits yet, though it was to be short: others may have got a 429."""
        if self._attempts == attempts and current().held:
            self._give_up(PATIENCE)

    def _give_up(self, seconds: float) -> None:
        if self._safe and self._task is not None and self._cancels < _TRIES:
            self._held = seconds
            self._cancels += 1
            self._task.cancel()

    async def run(self, work: Awaitable[_Result]) -> _Result:
        """
        Await *work*, whose events come here.

        Raises:
            Held: It was given up.
        """
        self._task = asyncio.current_task()
        if self._outage is not None:
            self._outage.retrying.add(self.hold)
        try:
            result = await work
        except asyncio.CancelledError:
            # Somebody else may have cancelled too, and then that counts.
            if self._held is None or self._uncancel():
                raise
            raise Held(self._held, self.writes) from None
        except BaseException:
            await self._absorb()
            raise
        finally:
            self._task = None
            if self._outage is not None:
                self._outage.retrying.discard(self.hold)
            if self._timer is not None:
                self._timer.cancel()
        await self._absorb()
        return result

    async def _absorb(self) -> None:
        """Leave nothing of a cancellation that somebody below has swallowed."""
        if not self._cancels:
            return
        self._uncancel()
        # Before Python 3.13 one that was not thrown yet comes all the same.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        if self._uncancel(0):
            raise asyncio.CancelledError

    def _uncancel(self, cancels: int | None = None) -> int:
        """Take back cancellations, all of its own unless told; return how many are left."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is a coroutine's
        for _ in range(self._cancels if cancels is None else cancels):
            task.uncancel()
        return task.cancelling()


def _leaves_a_doubt(event: Event) -> bool:
    if event.request is None or not event.request.is_write or event.status == _TOO_MANY:
        return False
    return event.error is None or event.error.write is not WriteState.NOT_SENT
