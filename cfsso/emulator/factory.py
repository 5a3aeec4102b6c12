"""What is new in an emulator: ids that nothing has had before, and connectors."""

from collections.abc import Callable

from cfsso.emulator.clock import Clock
from cfsso.emulator.records import CODE_PREFIX, Connector


class Factory:
    """
    Makes ids and connectors.

    Args:
        clock: Says when.
        is_used: Whether there ever was an id.
        draw: Gives random bits, as many as asked.
    """

    __slots__ = ("_clock", "_draw", "_is_used")

    def __init__(
        self, clock: Clock, is_used: Callable[[str], bool], draw: Callable[[int], int]
    ) -> None:
        self._clock = clock
        self._is_used = is_used
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
        """Return an id that neither an account nor a connector has had."""
        # A seed repeats what it gave before the state was saved.
        while self._is_used(drawn := f"{self._draw(128):032x}"):
            pass
        return drawn
