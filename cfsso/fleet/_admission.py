"""How many accounts of a rescue may be under way at once; one that hangs holds up no other."""

import asyncio
from typing import Final

from cfsso.events import Event, EventKind, OnEvent

# An account that hears nothing for so long lets another one begin.
_SILENCE: Final = 1.0


class Admission:
    """
    An account's leave to be under way: it ends for good by a wait, or by silence.

    It is the ``on_event`` of that account, and passes on what happens.

    Args:
        places: One of them is taken already, for this account.
        on_event: Who watches besides.
    """

    def __init__(self, places: asyncio.Semaphore, on_event: OnEvent | None) -> None:
        self._places: asyncio.Semaphore | None = places
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_SILENCE, self.leave)

    def __call__(self, event: Event) -> None:
        """Take notice of one event, and pass it on."""
        if event.kind is EventKind.WAIT:
            self.leave()
        elif self._places is not None:
            self._timer.cancel()
            self._timer = self._loop.call_later(_SILENCE, self.leave)
        if self._on_event is not None:
            self._on_event(event)

    def leave(self) -> None:
        """Let another account begin."""
        self._timer.cancel()
        places, self._places = self._places, None
        if places is not None:
            places.release()
