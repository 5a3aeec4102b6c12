"""Calls that would wait for a rate limit are given up, to be made anew when their time has come."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from cfsso.errors import WriteState
from cfsso.events import Event, EventKind, OnEvent
from cfsso.transports._call import current

_Result = TypeVar("_Result")

# What was read this long before a write is as good as new.
PATIENCE: Final = 1.0
_TOO_MANY: Final = 429


class Held(Exception):  # noqa: N818 - nothing went wrong
    """
    Nothing was written, since the limit asks to wait.

    Attributes:
        seconds: For how long, at least.
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
    sent, or all of it was refused by a 429. Reads always are.

    Args:
        on_event: What to pass events on to.

    Attributes:
        writes: How many writes were sent.
    """

    def __init__(self, on_event: OnEvent | None) -> None:
        self._on_event = on_event
        self._task: asyncio.Task[object] | None = None
        self._safe = True
        self._held: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._attempts = 0
        self.writes = 0

    def __call__(self, event: Event) -> None:
        """Take notice of one event."""
        self.writes, self._attempts = event.writes, event.attempts
        if self._timer is not None:
            self._timer.cancel()
        # The end of what was given up is none: it goes on later.
        if self._on_event is not None and not (self._held and event.kind is EventKind.END):
            self._on_event(event)
        if event.kind is EventKind.ATTEMPT:
            self._safe = self._safe and not _leaves_a_doubt(event)
        elif event.kind is EventKind.WAIT and event.reason == "rate limit":
            if event.seconds > PATIENCE:
                self._give_up(event.seconds)
            else:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(PATIENCE, self._lose_patience, event.attempts)

    def _lose_patience(self, attempts: int) -> None:
        """Give up if it waits yet, though it was to be short: others may have got a 429."""
        if self._attempts == attempts and current().held:
            self._give_up(PATIENCE)

    def _give_up(self, seconds: float) -> None:
        if self._safe and self._task is not None and self._held is None:
            self._held = seconds
            self._task.cancel()

    async def run(self, work: Awaitable[_Result]) -> _Result:
        """
        Await *work*, whose events come here.

        Raises:
            Held: It was given up.
        """
        self._task = asyncio.current_task()
        try:
            return await work
        except asyncio.CancelledError:
            # Somebody else may have cancelled too, and then that counts.
            if self._held is None or self._uncancel():
                raise
            raise Held(self._held, self.writes) from None
        finally:
            self._task = None
            if self._timer is not None:
                self._timer.cancel()

    def _uncancel(self) -> int:
        return 0 if self._task is None else self._task.uncancel()


def _leaves_a_doubt(event: Event) -> bool:
    if event.request is None or not event.request.is_write or event.status == _TOO_MANY:
        return False
    return event.error is None or event.error.write is not WriteState.NOT_SENT
