"""What really happened: the state of every connector at every moment, and each call's own story."""

import datetime as dt
import functools
import json
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cfsso import Request

if TYPE_CHECKING:
    import asyncio

WRITES: Final = {"update", "create", "delete", "begin_verification"}


class Version(NamedTuple):
    """A state of one connector, from *serial* until the next one."""

    serial: int
    time: float
    values: tuple[bool, bool]
    stamp: dt.datetime | None
    writer: "Op | None"

    def __repr__(self) -> str:
        by = "somebody else" if self.writer is None else self.writer
        return f"{self.values} at {self.time:.3f} by {by}"


class Track:
    """One connector through time."""

    __slots__ = ("account", "born", "domain", "gone", "id", "path", "verified", "versions")

    def __init__(self, account: str, shown: dict[str, Any], first: Version, *, born: float) -> None:
        self.id: str = shown["id"]
        self.account = account
        self.path = f"/accounts/{account}/sso_connectors/{self.id}"
        self.domain: str = shown["email_domain"]
        self.verified = shown["verification"]["status"] == "verified"
        self.versions = [first]
        self.born = born
        self.gone: Version | None = None

    @property
    def values(self) -> tuple[bool, bool]:
        """Whether it is enabled, and whether it has the FedRAMP wording."""
        return self.versions[-1].values

    def at(self, serial: int) -> Version | None:
        """Return how it was at *serial*. ``None``: not there."""
        if self.gone is not None and self.gone.serial <= serial:
            return None
        for version in reversed(self.versions):
            if version.serial <= serial:
                return version
        return None

    def between(self, first: int, last: int) -> Iterator[Version | None]:
        """Yield how it was at *first*, and then everything up to *last*, in any order."""
        yield self.at(first)
        for version in reversed(self.versions):
            if version.serial <= first:
                break
            if version.serial <= last:
                yield version
        if self.gone is not None and first < self.gone.serial <= last:
            yield None

    def stamped(self, stamp: dt.datetime) -> int | None:
        """Return since which serial it has had that ``updated_on``."""
        for version in reversed(self.versions):
            if version.stamp == stamp:
                return version.serial
        return None


class Op:
    """One call of an operation: what it asked for, and what the world saw of it."""

    __slots__ = (
        "accepted",
        "account",
        "ambiguous",
        "arrived",
        "before",
        "began",
        "cut",
        "deadline",
        "end_serial",
        "ended",
        "first_sent",
        "first_serial",
        "hit",
        "hits",
        "in_flight",
        "kind",
        "knows",
        "looked",
        "max_wait",
        "may_have_sent",
        "number",
        "over",
        "patient",
        "refused",
        "rejected",
        "result",
        "sent",
        "sent_serial",
        "task",
        "track",
        "unstamped",
        "wished",
        "write",
    )

    def __init__(self, number: int, kind: str, write: Request | None) -> None:
        self.number = number
        self.kind = kind
        self.write = write
        self.wished: dict[str, bool] = {}
        self.track: Track | None = None
        self.account = ""
        self.before: dt.datetime | None = None
        # What was known before has no time, so nobody can say how old it is.
        self.unstamped = False
        self.deadline: float | None = None
        self.max_wait: float | None = None
        self.patient = True
        self.task: asyncio.Task[Any] | None = None
        self.cut: tuple[int, float] | None = None
        self.began = 0.0
        # What left the client, what the server got, and what it did.
        self.sent = self.may_have_sent = self.arrived = self.accepted = self.rejected = 0
        self.first_sent = 0.0
        self.first_serial = self.sent_serial = self.end_serial = 0
        self.in_flight = False
        # The fault that befell the last request, and all of them: also, whether while settling.
        self.hit = ""
        self.hits: list[tuple[str, bool]] = []
        self.ambiguous = False
        # Why it must not write any more, once a read has shown that.
        self.knows = ""
        self.looked = -1
        self.ended = self.over = self.refused = False
        self.result = ""

    def __repr__(self) -> str:
        return f"#{self.number} {self.kind}"

    @property
    def is_urgent(self) -> bool:
        """Whether it lets people in."""
        return self.kind == "update" and self.wished.get("enabled") is False

    @property
    def contested(self) -> bool:
        """Whether others went to and fro with the connector while it was in doubt."""
        versions = () if self.track is None else self.track.versions
        others = (v for v in versions if v.writer is not self)
        return sum(self.first_serial < v.serial <= self.end_serial for v in others) > 1

    def was_hit(self, fault: str) -> bool:
        """Whether that fault befell one of its requests."""
        return any(name == fault for name, _ in self.hits)


CURRENT: ContextVar[Op] = ContextVar("simulated_call")
"""The call that a request belongs to; tasks that it starts inherit it."""


class Truth:
    """
    The reference model: what every write that the server accepted makes of the connectors.

    Attributes:
        serial: Counts the changes.
    """

    def __init__(self) -> None:
        self.serial = 0
        self.tracks: dict[str, Track] = {}

    def add(self, account: str, shown: dict[str, Any], now: float, writer: Op | None) -> Track:
        """A connector is there."""
        values = (shown["enabled"], shown["use_fedramp_language"])
        version = self._version(now, values, _moment(shown["updated_on"]), writer)
        track = self.tracks[shown["id"]] = Track(account, shown, version, born=now)
        return track

    def accept(self, request: Request, body: bytes, now: float, writer: Op | None) -> None:
        """Take note of a write that the server answered with 200 and *body*."""
        parts = request.path.split("/")
        if request.method == "POST" and len(parts) == 4:
            self.add(parts[2], json.loads(body)["result"], now, writer)
            return
        track = self.tracks[parts[4]]
        if request.method == "DELETE":
            track.gone = self._version(now, track.values, None, writer)
        elif request.method == "POST":
            if not track.verified:
                track.versions.append(self._version(now, track.values, None, writer))
        else:
            wished = _fields(request.body or b"{}")
            enabled, fedramp = track.values
            values = wished.get("enabled", enabled), wished.get("use_fedramp_language", fedramp)
            if values != track.values:
                stamp = _moment(
                    body[body.rindex(_STAMP) + len(_STAMP) :].split(b'"', 1)[0].decode()
                )
                track.versions.append(self._version(now, values, stamp, writer))

    def _version(
        self,
        now: float,
        values: tuple[bool, bool],
        stamp: dt.datetime | None,
        writer: Op | None,
    ) -> Version:
        self.serial += 1
        return Version(self.serial, now, values, stamp, writer)


_STAMP: Final = b'"updated_on":"'
_moment: Final = dt.datetime.fromisoformat
_fields: Final = functools.cache(json.loads)
