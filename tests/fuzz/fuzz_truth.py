"""What really happened to the connectors of a fuzzed world, and what each call saw of it."""

import datetime as dt
import json
from contextvars import ContextVar
from typing import Any, Final

import attrs

import cfsso

EPOCH: Final = dt.datetime(2026, 9, 21, 14, 13, 20, 370_001, tzinfo=dt.UTC)


@attrs.frozen
class Version:
    """
    A state of a connector, until the next one.

    Attributes:
        serial: Counts the states.
        time: When it began.
        enabled: Its value.
        writer: The number of the call that wrote it. None: somebody else did.
        late: Whether that write arrived after its sender had given it up, or for the second time.
    """

    serial: int
    time: float
    enabled: bool
    writer: int | None = None
    late: bool = False


@attrs.define
class Track:
    """A connector through time."""

    id: str
    versions: list[Version]

    @property
    def now(self) -> Version:
        """How it is."""
        return self.versions[-1]

    def write(
        self, time: float, *, enabled: bool, writer: int | None = None, late: bool = False
    ) -> None:
        """Write it; what changes nothing is no new state."""
        if enabled is not self.now.enabled:
            serial = self.now.serial + 1
            self.versions.append(Version(serial, time, enabled, writer, late))

    def since(self, serial: int) -> list[Version]:
        """Return the state of that serial, and all later ones."""
        return [version for version in self.versions if version.serial >= serial]


@attrs.frozen
class Look:
    """
    One answer that a call got whole.

    Attributes:
        method: Of the request.
        status: Of the answer.
        serial: Which state it shows. None: it shows none, or lies.
        enabled: What it shows. None: nothing.
        time: The time that it shows with that, as text. None: none.
        dated: Whether the answer has a Date.
        fate: What the server did to the request, in words.
    """

    method: str
    status: int
    serial: int | None
    enabled: bool | None
    time: str | None
    dated: bool
    fate: str


@attrs.define
class Call:
    """
    One update.

    Attributes:
        number: Counts the calls of a world.
        track: The connector.
        wished: What it asks for.
        before: What it was told that was known before.
        began: The serial at its begin.
        looks: What it was answered.
        arrived: How many of its writes reached the server.
        done: How many of them were done, or will be.
        lied: Whether an answer called one of them refused that was done.
    """

    number: int
    track: Track
    wished: bool
    before: cfsso.SSOConnector | None
    began: int
    looks: list[Look] = attrs.field(factory=list)
    arrived: int = 0
    done: int = 0
    lied: bool = False

    def __str__(self) -> str:
        looks = "; ".join(
            f"{look.method} {look.status} #{look.serial} {look.enabled} {look.time} ({look.fate})"
            for look in self.looks
        )
        versions = ", ".join(map(str, self.track.since(self.began)))
        known = self.before and (self.before.enabled, self.before.updated_on)
        return f"call {self.number} for {self.wished} after {known}: {looks}; {versions}"


CURRENT: ContextVar[Call] = ContextVar("fuzzed_call")
"""The call that a request belongs to."""


def shown(body: bytes) -> dict[str, Any]:
    """Return the connector that an answer shows, or nothing."""
    try:
        result = json.loads(body)["result"]
    except (ValueError, KeyError, TypeError):
        return {}
    return result if isinstance(result, dict) else {}
