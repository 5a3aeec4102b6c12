"""What a call may say at its end, by what really happened."""

from collections import Counter
from typing import Any, Final

from sim_truth import WRITES, Op, Track, Truth, Version

import cfsso
from cfsso import Settlement, SSOConnector, WriteState

# So many stale reads in a row that agree nobody can see through.
_AGREE: Final = 2
# A Date has whole seconds, clocks may differ by two, and an answer takes up to two.
SKEW: Final = 6.0
_SLACK: Final = 1e-6
_MOST_STORIES: Final = 5
_FIELDS: Final = ("enabled", "use_fedramp_language")


class Verdicts:
    """
    Judges results.

    Attributes:
        truth: What really happened.
        counts: What was counted, by name.
        broken: What was wrong, in words.
        open: How many calls have not ended.
        healing: Whether all faults end in time for every doubt to be settled.
    """

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.counts: Counter[str] = Counter()
        self.broken: list[str] = []
        self.open = 0
        self.healing = True

    def breaks(self, op: Op | None, story: str) -> None:
        """A rule is broken."""
        self.counts["violations"] += 1
        if len(self.broken) < _MOST_STORIES:
            self.broken.append(f"{op or 'the world'}: {story}{_told(op) if op else ''}")

    def since(self, op: Op, track: Track) -> int:
        """Return the serial after which a write by anybody is one that the client can see."""
        known = None if op.before is None else track.stamped(op.before)
        if known is not None:
            return known
        # Without it the server's clock counts, from when the write was sent.
        seen = [v.serial for v in track.versions if v.time <= op.first_sent]
        return seen[-1] if seen else 0

    def shows(self, op: Op, version: Version) -> bool:
        """Whether *version* has what was asked for."""
        values = dict(zip(_FIELDS, version.values, strict=True))
        return all(values[name] is value for name, value in op.wished.items())

    def ends(self, op: Op, result: str, now: float) -> None:
        """A call has ended in some way; what is common to all ways."""
        if op.ended:
            self.breaks(op, f"a second result: {result}")
        op.ended = True
        op.end_serial = self.truth.serial
        op.result = result
        self.open -= 1
        self.counts[f"ended {result}"] += 1
        if op.in_flight:
            self.breaks(op, "it ends and leaves a request behind")
        cancelled = op.task is not None and op.task.cancelling() > 0
        if cancelled != (result == "cancelled"):
            self.breaks(op, f"cancelled: {cancelled}, but it ends as {result}")
        if op.deadline is not None and op.max_wait is not None:
            late = now - op.began - op.deadline
            if late > _SLACK:
                self.breaks(op, f"{late:.3f} s after its deadline")

    def returned(self, op: Op, value: Any, now: float) -> None:
        """A call has returned *value*."""
        self.ends(op, "returned", now)
        if op.refused:
            self.breaks(op, "it returned and refused")
        if op.kind == "list":
            self._listed(op, value)
        elif op.kind == "delete":
            if not self._was(op, None, None):
                self.breaks(op, "deleted, but it is there")
        elif op.kind == "create":
            self._created(op, value)
        elif op.kind in {"get", "update"}:
            if op.track is None or value.id != op.track.id:
                self.breaks(op, f"it returns another connector, {value.id}")
            elif any(getattr(value, name) is not asked for name, asked in op.wished.items()):
                self.breaks(op, f"it returns {value}")
            elif not self._was(op, op.track, (value.enabled, value.use_fedramp_language)):
                shown = value.enabled, value.use_fedramp_language
                self.breaks(op, f"it shows what never was: {shown}, {op.track.versions}")

    def _was(self, op: Op, track: Track | None, values: tuple[Any, Any] | None) -> bool:
        """Whether that was the truth while the confirming request was under way."""
        track = track or op.track
        assert track is not None
        truth = self.truth
        for version in track.between(op.sent_serial, truth.serial):
            if (version and version.values) == values:
                return True
        return op.hit == "stale_read" and self._was_before(op, track, values)

    def _was_before(self, op: Op, track: Track, values: tuple[Any, Any] | None) -> bool:
        """Whether it was so once, and a stale read may pass for the truth."""
        self.counts["shown by a stale read"] += 1
        if op.kind in WRITES:
            for version in track.between(op.first_serial, self.truth.serial):
                if version is None:
                    if values is None:
                        return True
                elif values is not None and self.shows(op, version):
                    return True
            # One read that may be old must not be enough for a success.
            if sum(name == "stale_read" for name, _ in op.hits) < _AGREE:
                return False
        return values is None or any(version.values == values for version in track.versions)

    def _created(self, op: Op, value: SSOConnector) -> None:
        track = self.truth.tracks.get(value.id)
        assert op.write is not None
        if track is None or value.email_domain != track.domain:
            self.breaks(op, f"it returns a connector that never was, {value}")
        elif (op.write.body or b"").find(f'"{track.domain}"'.encode()) < 0:
            self.breaks(op, f"it returns the connector of {track.domain}")
        elif track.born < op.began - SKEW:
            self.breaks(op, f"it returns a connector that is {op.began - track.born:.3f} s older")
        elif not self._was(op, track, (value.enabled, value.use_fedramp_language)):
            self.breaks(op, "it shows what never was")
        if op.accepted > 1:
            self.breaks(op, "created more than once")

    def _listed(self, op: Op, value: tuple[SSOConnector, ...]) -> None:
        shown = {connector.id: connector for connector in value}
        for track in self.truth.tracks.values():
            if track.account != op.account:
                continue
            connector = shown.pop(track.id, None)
            values = None
            if connector is not None:
                values = connector.enabled, connector.use_fedramp_language
            if not self._was(op, track, values):
                self.breaks(op, f"it shows what never was: {values}, {track.versions}")
        if shown:
            self.breaks(op, f"it shows connectors of others: {list(shown)}")

    def raised(self, op: Op, error: Exception, now: float) -> None:
        """A call has raised *error*."""
        if not isinstance(error, cfsso.CfssoError):
            self.ends(op, "strange", now)
            self.breaks(op, f"a strange error: {error!r}")
            return
        cause = error.__cause__
        while isinstance(cause, cfsso.CfssoError | TimeoutError):
            cause = cause.__cause__
        if cause is not None:
            self.breaks(op, f"an error of the code passes for one of the network: {cause!r}")
        if op.kind not in WRITES:
            self.ends(op, "failed", now)
            if error.write is not None:
                self.breaks(op, f"a read that is a write: {error.write}")
            return
        state = error.write
        if isinstance(error, cfsso.UnconfirmedWriteError):
            self.ends(op, error.settlement, now)
            self._unsettled(op, error.settlement)
        else:
            self.ends(op, str(state), now)
        if state in {WriteState.REFUSED, WriteState.NOT_SENT}:
            op.refused = True
            if op.accepted:
                self.breaks(op, f"done, but it says {state}: {error}")
        elif state is not WriteState.UNKNOWN:
            self.breaks(op, f"it does not say what became of the write: {error!r}")

    def _unsettled(self, op: Op, settlement: Settlement) -> None:
        track = op.track
        if settlement in {Settlement.APPLIED, Settlement.ALREADY}:
            self.breaks(op, f"an error that says {settlement}")
        elif settlement is Settlement.GONE:
            if (track is None or track.gone is None) and not op.was_hit("status_404"):
                self.breaks(op, "it says gone")
        elif track is None or op.was_hit("stale_read"):
            return
        elif settlement is Settlement.CONFLICT:
            if not op.unstamped and not self._others_wrote(op, track):
                self.breaks(op, f"it says that somebody else wrote, {track.versions}")
        elif settlement is Settlement.NOT_APPLIED and op.kind == "update":
            version = track.at(op.looked)
            if version is not None and version.writer is op:
                self.breaks(op, "it says not applied after a read of what it wrote")

    def _others_wrote(self, op: Op, track: Track) -> bool:
        since = self.since(op, track)
        return any(
            version.writer is not op and (version.serial > since or version.time >= op.began - SKEW)
            for version in track.versions
        )

    def cancelled(self, op: Op, now: float) -> None:
        """A call was cancelled."""
        self.ends(op, "cancelled", now)


def _told(op: Op) -> str:
    """Return the shortest story of a call."""
    return (
        f" [{op.wished or op.write}, began {op.began:.3f}, sent {op.sent}, writes"
        f" {op.may_have_sent}, arrived {op.arrived}, done {op.accepted}, before {op.before},"
        f" {op.result or 'under way'}, faults {', '.join(name for name, _ in op.hits)}]"
    )
