"""What a fleet really is: every connector at every moment, and every request to it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import attrs
from fleet_process import Process

from cfsso import Request

FIELDS: Final = ("enabled", "use_fedramp_language")
# What says nothing of the connector.
_NOT_NOW: Final = {401, 408, 425, 429}


def said(outcome: Any) -> str:
    """Return what an outcome says, in one line."""
    change, error = (
        outcome.change,
        outcome.error and f"{type(outcome.error).__name__}: {outcome.error}",
    )
    what = f"{change.account_id[:6]}/{change.sso_connector_id[:6]} {dict(change.wished)}"
    return f"{what} is {outcome.status}, after {outcome.attempts} writes, {outcome.note!r}, {error}"


class Version(NamedTuple):
    """
    A state of one connector, until the next one.

    Attributes:
        time: From when on.
        shown: The connector as the API shows it. ``None``: it is gone.
        writer: Who made it: the number of a process. ``None``: somebody else.
    """

    time: float
    shown: dict[str, Any] | None
    writer: int | None

    @property
    def stamp(self) -> Any:
        """When it was written, by the server's clock."""
        return None if self.shown is None else self.shown["updated_on"]

    @property
    def is_barred(self) -> bool:
        """Whether it may not be enabled."""
        return self.shown is None or self.shown["verification"]["status"] != "verified"

    def shows(self, wished: Any) -> bool:
        """Whether it has all values of *wished*."""
        shown = self.shown
        return shown is not None and all(shown[name] is wished[name] for name in wished)

    def __repr__(self) -> str:
        values = self.shown and tuple(self.shown[name] for name in FIELDS)
        by = "somebody else" if self.writer is None else f"process {self.writer}"
        return f"{values} at {self.time:.3f} by {by}"


class Track:
    """One connector through time."""

    def __init__(self, account: str, shown: dict[str, Any]) -> None:
        self.account = account
        self.id: str = shown["id"]
        self.domain: str = shown["email_domain"]
        self.path = f"/accounts/{account}/sso_connectors/{self.id}"
        self.versions = [Version(0.0, shown, None)]

    @property
    def now(self) -> Version:
        """How it is."""
        return self.versions[-1]

    def at(self, time: float) -> Version:
        """Return how it was at *time*."""
        return next((v for v in reversed(self.versions) if v.time <= time), self.versions[0])

    def between(self, first: float, last: float) -> Iterator[Version]:
        """Yield how it was at *first*, and then all up to *last*, the latest first."""
        for version in reversed(self.versions):
            if version.time <= last:
                yield version
            if version.time <= first:
                return

    def foreign(self, after: float, until: float) -> bool:
        """Whether somebody else has written it since *after*."""
        return any(v.writer is None and after < v.time <= until for v in self.versions[1:])


@attrs.define(eq=False)
class Sent:
    """
    One request that left a process.

    Attributes:
        process: Who sent it.
        request: What it was.
        left: When.
        serial: From 0, in the order of all.
        number: The intent that it belongs to, and its rank. ``None``: it has none.
        based_on: The last read that showed its connector, when it left.
        shown_at: Of a read: the moment that its answer showed.
        arrived: When it was at the server, the last time. ``None``: it never was.
        applied: Whether the server did it.
        ended: When its sender had its answer, or gave up. ``None``: not yet.
        abandoned: Whether its sender has gone.
        limited: Whether it was refused with 429, so that it never was.
        token: What it is presented with.
        status: That of its answer. ``None``: it has none.
        unsent: Whether it is known that nothing of it left.
        urgent: Whether it may take what is kept in reserve.
    """

    process: "Program"
    request: Request
    left: float
    serial: int
    number: tuple[int, int] | None = None
    based_on: "Read | None" = None
    shown_at: float = 0.0
    arrived: float | None = None
    applied: bool = False
    ended: float | None = None
    abandoned: bool = False
    limited: bool = False
    token: str = ""
    status: int | None = None
    unsent: bool = False
    urgent: bool = False

    @property
    def is_refusal(self) -> bool:
        """Whether the API has said no for good."""
        return self.status is not None and 400 <= self.status < 500 and self.status not in _NOT_NOW

    @property
    def got_away(self) -> bool:
        """Whether the server may have done it, as far as its sender can know."""
        return not (self.unsent or self.limited or self.is_refusal or self.status == 401)

    @property
    def key(self) -> str:
        """The connector that it names; empty if it names none."""
        return "".join(self.request.path.split("/")[4:5])


class Read(NamedTuple):
    """
    What a process has read of a connector.

    Attributes:
        begun: When the request left.
        shown_at: The moment that the answer showed.
        ended: When the answer was there.
        shown: The connector. ``None``: it is not there.
    """

    begun: float
    shown_at: float
    ended: float
    shown: dict[str, Any] | None


@attrs.define(eq=False)
class Program:
    """
    What the judge knows of a process.

    Attributes:
        process: It.
        options: What a run was told.
        reads: The last read of each connector.
        first_reads: The first ones.
        looks: All reads, with the connector that they showed.
        requests: All that it sent.
        writes: The PATCHes among them.
        failed: When which update failed, with its error, by connector.
        refused: When which account was first answered with 401.
        outcomes: What it said, with the time.
        told: By connector, the status; of a run.
        cut: Whether it was killed or cancelled, so that outcomes may lack.
        run: The number of the run that was the latest one when it opened the journal.
        unended: How many targets of that run had not ended for good.
        begun: When it began.
        stopped: Whether it was told to stop, or cancelled.
        keys: What its tokens are presented as, by name.
        urgent: The connectors that it disables since people are locked out.
    """

    process: Process
    options: dict[str, Any] = attrs.field(factory=dict)
    reads: dict[str, Read] = attrs.field(factory=dict)
    first_reads: dict[str, Read] = attrs.field(factory=dict)
    looks: list[tuple[str, Read]] = attrs.field(factory=list)
    requests: list[Sent] = attrs.field(factory=list)
    writes: list[Sent] = attrs.field(factory=list)
    failed: dict[str, tuple[float, Exception]] = attrs.field(factory=dict)
    refused: dict[str, float] = attrs.field(factory=dict)
    outcomes: list[tuple[float, Any]] = attrs.field(factory=list)
    told: dict[str, str] = attrs.field(factory=dict)
    cut: bool = False
    run: int = 0
    unended: int = 0
    begun: float = 0.0
    stopped: bool = False
    keys: Mapping[str, str] = attrs.field(factory=dict)
    urgent: set[str] = attrs.field(factory=set)

    @property
    def number(self) -> int:
        """The number of its process."""
        return self.process.number

    @property
    def hears_badly(self) -> bool:
        """Whether a request had no answer, or one that says nothing."""
        return any(sent.status != 200 for sent in self.requests)

    def writes_of(self, key: str) -> list[Sent]:
        """Return its PATCHes of one connector."""
        return [sent for sent in self.writes if sent.key == key]

    def begun_writes(self) -> list[tuple[str, float]]:
        """Return account and time of the PATCHes, without those that were sent again."""
        first: dict[tuple[int, int] | None, tuple[str, float]] = {}
        for sent in self.writes:
            first.setdefault(sent.number, (sent.request.account_id, sent.left))
        return [*first.values()]

    def __repr__(self) -> str:
        return repr(self.process)


class Truth:
    """All connectors of a world, by id."""

    def __init__(self) -> None:
        self.tracks: dict[str, Track] = {}

    def of_account(self, account: str) -> list[Track]:
        """Return an account's connectors, in the order of creation."""
        return [track for track in self.tracks.values() if track.account == account]

    def accept(self, request: Request, body: bytes, now: float, writer: int | None) -> bool:
        """Take note of a write that was answered with 200; return whether it changed something."""
        track = self.tracks["".join(request.path.split("/")[4:5])]
        shown = None if request.method == "DELETE" else json.loads(body)["result"]
        if shown is not None and shown["updated_on"] == track.now.stamp:
            return False
        track.versions.append(Version(now, shown, writer))
        return True

    def earlier(self, request: Request, time: float) -> dict[str, Any] | list[Any] | None:
        """Return what a GET has as its result at *time*. ``None``: nothing is there."""
        parts = request.path.split("/")
        if len(parts) > 4:
            track = self.tracks.get(parts[4])
            return None if track is None else track.at(time).shown
        shown = [track.at(time).shown for track in self.of_account(parts[2])]
        return [each for each in shown if each is not None]
