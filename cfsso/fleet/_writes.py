"""How many writes a call came to."""

from cfsso.events import Event, OnEvent


class Writes:
    """
    An ``on_event`` that counts the writes of one call, and passes on what happens.

    Attributes:
        count: How many were sent so far.
    """

    def __init__(self, on_event: OnEvent | None) -> None:
        self._on_event = on_event
        self.count = 0

    def __call__(self, event: Event) -> None:
        """Take notice of one event."""
        self.count = event.writes
        if self._on_event is not None:
            self._on_event(event)
