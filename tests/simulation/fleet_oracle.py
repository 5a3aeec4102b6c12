"""The judge of a fleet: looks at each request, and names the rule that is broken."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

from fleet_glass import may_transfer
from fleet_limits import Windows
from fleet_rescues import may_take_back
from fleet_rows import Row, row_of, status_at
from fleet_truth import FIELDS, Program, Read, Sent, Track, Truth
from fleet_verdicts import CLOSED, Verdicts

import cfsso
from cfsso import Request, Response

# How old a read may be when a write goes by it; what a limit may add; a retry that was never sent.
_FRESH: Final = 5.0
_PATIENCE: Final = 1.0
_SLACK: Final = 1e-3
_RUNS: Final = {"apply", "resume", "revert"}


class Oracle(Verdicts):
    """
    Checks a world as it goes on.

    Attributes:
        slowness: Seconds that the disk takes at most for one job.
        lag: Seconds by which reads may be old.
        serial: How many requests have left.
        windows: How many of them were counted.
        noticed: Is called with each connector that a process has read or written.
    """

    def __init__(
        self, truth: Truth, *, slowness: float, lag: float, keeps_trace: bool = False
    ) -> None:
        super().__init__(truth, keeps_trace=keeps_trace)
        self.slowness = slowness
        self.lag = lag
        self.serial = 0
        self.windows = Windows(cfsso.RateLimit())
        self.noticed: Callable[[Track], object] = lambda _track: None
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        """Return the time."""
        return self._loop.time()

    def leaves(self, program: Program, request: Request) -> Sent:
        """A request leaves a process."""
        sent = Sent(program, request, self.now(), self.serial)
        self.serial += 1
        self.counts["requests"] += 1
        self.note("leaves", program, request.method, request.path, request.body)
        sent.based_on = program.reads.get(sent.key)
        sent.urgent = sent.key in program.urgent
        program.requests.append(sent)
        if request.is_write:
            self.counts["writes"] += 1
            if request.method != "PATCH":
                self.breaks(program, f"nobody asked for {request}")
            elif program.process.kind in _RUNS:
                self._may_write(sent)
            elif program.process.kind == "transfer":
                enabled = json.loads(request.body or b"{}")["enabled"]
                may_transfer(self, program, sent.key, enabled)
            program.writes.append(sent)
        return sent

    def _may_write(self, sent: Sent) -> None:
        program, track = sent.process, self.truth.tracks[sent.key]
        if self.rescue is not None:
            may_take_back(self, self.rescue, sent)
        row = row_of(program.process, track.account, track.id)
        if row is None or row.number is None:
            self.breaks(program, f"F4 a write without an intent: {sent.request}")
            return
        sent.number = row.number, row.rank
        if (row.run, sent.key) not in self.known:
            # Of an earlier run, which this one takes back.
            self.greens.pop(sent.key, None)
        if row.body.encode() != sent.request.body:
            self.breaks(program, f"F4 {sent.request.body!r}, and intended was {row.body}")
        self._counts_writes(sent, row)
        self._is_in_order(sent, row)
        read = sent.based_on
        # Without what was found before it goes by nothing: the last read has failed.
        if read is None or row.before is None:
            if row.expected is not None or row.holds is not None or row.wished.get("enabled"):
                self.breaks(program, f"F2 a write of what was not read: {track.path}")
            return
        self.goes_by(sent, row, read, track)

    def _counts_writes(self, sent: Sent, row: Row) -> None:
        """Once, and once more by the call's own settling; by others only what was in flight."""
        program = sent.process
        same = [other for other in program.writes_of(sent.key) if other.number == sent.number]
        # What was never there may be sent as often as one likes.
        arrived = [other for other in same if other.arrived is not None or other.ended is None]
        if len(arrived) > 1:
            self.breaks(program, f"F4 a third write of {sent.key}")
        if row.status in CLOSED:
            self.breaks(program, f"F3 a write of what has ended as {row.status}: {sent.key}")

    def _is_in_order(self, sent: Sent, row: Row) -> None:
        if row.needs is None:
            return
        status = status_at(sent.process.process, row.needs)
        if status not in {"changed", "unchanged"}:
            self.breaks(sent.process, f"F5 a write of {sent.key}, and what it needs is {status}")

    def goes_by(self, sent: Sent, row: Row, read: Read, track: Track) -> None:
        """A write of a run goes by what was read."""
        program = sent.process
        # What never got away is sent again, in the call's own time.
        same = [other.left for other in program.writes if other.number == sent.number]
        age = min([sent.left, *(left for left in same if left > read.ended)]) - read.ended
        bound = _FRESH + _PATIENCE + 4 * self.slowness + _SLACK
        self.longest = max(self.longest, age)
        if age > bound:
            self.breaks(program, f"F2 it goes by a read that is {age:.3f} s old: {track.path}")
        if read.shown is None:
            self.breaks(program, f"F2 a write of what a read does not show: {track.path}")
            return
        shown = {name: read.shown[name] for name in FIELDS}
        planned = row.expected if row.holds is None else None
        if planned is not None and self._differ(planned, read.shown):
            self.breaks(program, f"F2 {track.path} has moved since the plan: {track.versions}")
        if row.holds is not None and any(shown[n] is not v for n, v in row.holds.items()):
            self.breaks(program, f"F2 revert of what does not hold {row.holds}: {shown}")
        self._heeds_others(sent, row, track)

    def _heeds_others(self, sent: Sent, row: Row, track: Track) -> None:
        """What a run that was cut off had in flight is not written if somebody else wrote."""
        program = sent.process
        known = self.in_flight_of(program.process, row)
        first = program.first_reads.get(sent.key)
        is_blind = (program.number, row.run, row.position) in self.blind
        if known is None or first is None or is_blind:
            return
        if track.foreign(known, first.shown_at):
            self.breaks(
                program, f"F2 {track.path} was in flight since {known:.3f}: {track.versions}"
            )

    @staticmethod
    def _differ(before: dict[str, Any], after: dict[str, Any]) -> bool:
        return any(before.get(name) is not after[name] for name in FIELDS) or not _same_time(
            before.get("updated_on"), after["updated_on"]
        )

    def ends(self, sent: Sent, response: Response | None) -> None:
        """A request is answered, or given up."""
        if sent.ended is not None:
            return
        sent.ended = self.now()
        program = sent.process
        sent.status = None if response is None else response.status
        sent.limited = sent.status == 429
        self.note("ends", program, sent.serial, response and response.status)
        if response is None or sent.request.is_write:
            return
        if response.status == 404 and sent.key:
            self._sees(sent, {sent.key: None})
        if response.status != 200:
            return
        try:
            result = json.loads(response.body)["result"]
        except (ValueError, LookupError):
            return
        if sent.key:
            self._sees(sent, {sent.key: result})
            return
        self._sees(sent, {each["id"]: each for each in result})

    def _sees(self, sent: Sent, found: dict[str, dict[str, Any] | None]) -> None:
        program = sent.process
        assert sent.ended is not None
        for key, shown in found.items():
            read = Read(sent.left, sent.shown_at, sent.ended, shown)
            program.reads[key] = read
            program.looks.append((key, read))
            program.first_reads.setdefault(key, read)
            track = self.truth.tracks.get(key)
            if track is not None:
                self.noticed(track)

    def arrives(self, sent: Sent | None, request: Request, response: Response, now: float) -> None:
        """A write has reached the server, which has done what *response* says."""
        self.note("arrives", sent and sent.process, request.method, request.path, response.status)
        key = "".join(request.path.split("/")[4:5])
        if sent is not None:
            sent.arrived = sent.arrived if response.status == 429 else now
            self.counts["late writes"] += sent.abandoned
            if response.status == 409:
                self._forbidden(sent)
        if response.status != 200:
            return
        writer = None if sent is None else sent.process.process.number
        before = self.truth.tracks[key].now
        changed = self.truth.accept(request, response.body, now, writer)
        if sent is None:
            self.counts["foreign writes"] += changed
            return
        sent.applied = True
        if changed:
            self.overwrites(sent, before)
        self.noticed(self.truth.tracks[key])

    def overwrites(self, sent: Sent, before: Any) -> None:
        """What was there when a write came must be what its read showed, or younger."""
        read, track = sent.based_on, self.truth.tracks[sent.key]
        if sent.process.process.kind not in _RUNS or read is None or read.shown is None:
            return
        if before.writer is None and before.time > read.shown_at:
            self.counts["others overtaken in the gap"] += 1
            return
        if self._differ(before.shown, read.shown) and before.time <= read.shown_at:
            self.breaks(
                sent.process, f"F2 the read before the write showed another: {track.versions}"
            )

    def _forbidden(self, sent: Sent) -> None:
        """The server refused to enable it, since another one of its domain is enabled."""
        process, track = sent.process.process, self.truth.tracks[sent.key]
        same = [t for t in self.truth.tracks.values() if t.domain == track.domain]
        if self.lag or process.kind not in _RUNS or any(t.foreign(0.0, self.now()) for t in same):
            return
        for holder in same:
            row = None if holder is track else row_of(process, holder.account, holder.id)
            if row is None or row.status not in {None, "changed", "unchanged"}:
                continue
            # What a plan could not read was not known to hold the domain.
            if row.expected is not None or row.holds is not None:
                self.breaks(sent.process, f"F5 refused with 409: {[t.versions for t in same]}")

    def hears(self, program: Program, event: cfsso.Event) -> None:
        """What a call of a process comes to."""
        if program.process.dead:
            return
        if isinstance(event.error, cfsso.AuthenticationError):
            program.refused.setdefault(event.account_id, self.now())
        if event.kind is not cfsso.EventKind.END or event.operation != "update":
            return
        if event.error is not None and event.sso_connector_id is not None:
            program.failed[event.sso_connector_id] = (self.now(), event.error)


def _same_time(one: str | None, other: str | None) -> bool:
    """Whether two texts give the same moment, however many digits it has."""
    return one == other or _moment(one) == _moment(other)


def _moment(text: str | None) -> str:
    return (text or "").removesuffix("Z").rstrip("0")
