"""What is new in an emulator: ids that nothing has had before, and connectors."""

from collections.abc import Callable, Container

from cfsso.emulator.clock import Clock
from cfsso.emulator.records import CODE_PREFIX, Connector


class Factory:
    """
    Makes ids and connectors.

    Args:
        clock: Says when.
        ids: Every id that there ever was.
        draw: Gives random bits, as many as asked.
    """

    __slots__ = ("_clock", "_draw", "_ids")

    def __init__(self, clock: Clock, ids: Container[str], draw: Callable[[int], int]) -> None:
        self._clock = clock
        self._ids = ids
        self._draw = draw

    def connector(self, email_domain: str) -> Connector:
        """Return a new connector, which is in no account yet."""
        stamp = self._clock.stamp()
        return Connector(
            id=self.identifier(),
            email_domain=email_domain,
            enabled=False,
            use_fedramp_language=False,
            code=CODE_PREFIX + self.identifier(),
            status="awaiting",
            created_on=stamp,
            updated_on=stamp,
        )

    def identifier(self) -> str:
        """Return a new id."""
        # A seed repeats what it gave before the state was saved.
        while (drawn := f"{self._draw(128):032x}") in self._ids:
            pass
        return drawn
