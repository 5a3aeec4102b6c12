"""What a process may say of a fleet, by what really happened."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fleet_endings import ends_by_right, holds, is_refused, stops_in_time
from fleet_process import Process, endings_of, intended, unended
from fleet_rows import Row, latest_run, row_of
from fleet_truth import Program, Track, Truth

import cfsso
from cfsso.fleet import Outcome, Run

_SLACK: Final = 1e-3
# A write that was begun may wait so long for the limit.
_PATIENCE: Final = 1.0 + _SLACK
_MOST_STORIES: Final = 8
CLOSED: Final = frozenset({"changed", "unchanged", "blocked", "failed", "conflict"})
_GREEN: Final = {"changed", "unchanged"}
_ENABLED: Final = {"enabled": True}
_FAILURES: Final = {"failed", "conflict", "unknown"}


class Green(NamedTuple):
    """That a wish was there at a moment."""

    at: float
    status: str
    wished: Mapping[str, bool]


class Verdicts:
    """
    Judges outcomes.

    Attributes:
        truth: What really happened.
        counts: What was counted, by name.
        broken: What was wrong, in words.
        trace: All that happened, if it is kept.
        longest: The oldest read that a write went by, in seconds.
        longest_silence: For how long a run heard nothing before it ended, at most.
        most_tries: How many requests went while a run heard nothing, after the first ones.
        most_requests: How many a run of which nothing went wrong sent, a target.
        known: By run and connector, how it ended for good.
        flights: By run and position, since when what was in flight was so, for who resumes it.
        blind: Those of them that had not been read before they were written.
        greens: By connector, what was said last, with the moment that was read.
        last: The process before the present one that had a journal open.
        earlier: All that had.
        rescue: The rescue that is being taken back. ``None``: none is.
    """

    def __init__(self, truth: Truth, *, keeps_trace: bool = False) -> None:
        self.truth = truth
        self.counts: Counter[str] = Counter()
        self.broken: list[str] = []
        self.trace: list[tuple[Any, ...]] | None = [] if keeps_trace else None
        self.longest = self.longest_silence = self.most_requests = 0.0
        self.most_tries = 0
        self.known: dict[tuple[int, str], str] = {}
        self.flights: dict[tuple[int, int, int], float] = {}
        self.blind: set[tuple[int, int, int]] = set()
        self.greens: dict[str, Green] = {}
        self.last: Program | None = None
        self.earlier: list[Program] = []
        self.rescue: Program | None = None
        self._closed = CLOSED

    def now(self) -> float:
        """Return the time."""
        raise NotImplementedError

    def note(self, *facts: Any) -> None:
        """Keep *facts* in the trace, with the time."""
        if self.trace is not None:
            self.trace.append((self.now(), *facts))

    def breaks(self, program: Program | None, story: str) -> None:
        """A rule is broken."""
        self.counts["violations"] += 1
        self.note("BREAKS", program, story)
        if len(self.broken) < _MOST_STORIES:
            self.broken.append(f"{program or 'the world'} at {self.now():.3f}: {story}")

    def opens(self, program: Program) -> None:
        """A process has opened a journal: what is in flight there must be settled first."""
        process = program.process
        run = latest_run(process)
        if run is None:
            return
        program.run = run.number
        closed, self._closed = self._closed, CLOSED
        program.unended = unended(process.stores[-1], closed)
        for account, key in intended(process.stores[-1]):
            row = row_of(process, account, key)
            if row is None or row.number is None:
                continue
            if row.status not in CLOSED:
                self.flights[process.number, run.number, row.position] = row.at
                if row.before is None:
                    self.blind.add((process.number, run.number, row.position))
        # What a rescue says is judged when it says it.
        said = [] if run.kind == "break-glass" else endings_of(process.stores[-1])
        for key, status, wished in said:
            is_new = (run.number, key) not in self.known and status in closed
            if is_new and self.last is not None:
                # Written down, and then it was killed before it could say so.
                if status == "failed" and not is_refused(self.last, self.account_of(key), key):
                    self.breaks(self.last, f"F10 failed, and nobody refused it: {key}")
                self._closes(self.last, run, key, status, json.loads(wished))

    def reopens(self) -> None:
        """From now on what failed may end otherwise."""
        self._closed = CLOSED - {"failed"}
        self.known = {key: status for key, status in self.known.items() if status != "failed"}

    def takes_back(self, rescue: Program) -> None:
        """From now on the journal is that of a rescue, whose runs have numbers of their own."""
        self.rescue = rescue
        self.last = None
        self.earlier = [rescue]
        self.known.clear()
        self.flights.clear()
        self.greens.clear()

    def is_taken(self, track: Track) -> bool:
        """Whether another connector of the same domain is enabled."""
        return any(
            other is not track and other.domain == track.domain and other.now.shows(_ENABLED)
            for other in self.truth.tracks.values()
        )

    def account_of(self, key: str) -> str:
        """Return the account of a connector; empty if there is none."""
        track = self.truth.tracks.get(key)
        return "" if track is None else track.account

    def in_flight_of(self, process: Process, row: Row) -> float | None:
        """Return since when a target was in flight when *process* began. ``None``: it was not."""
        return self.flights.get((process.number, row.run, row.position))

    def takes(self, program: Program, outcome: Outcome) -> None:
        """A run says what became of a target."""
        key, status = outcome.change.sso_connector_id, str(outcome.status)
        self.note("says", program, key, status, outcome.note, str(outcome.error or ""))
        program.outcomes.append((self.now(), outcome))
        if key in program.told:
            self.breaks(program, f"F3 {key} ends twice, as {program.told[key]} and {status}")
        program.told[key] = status
        run = latest_run(program.process)
        row = row_of(program.process, outcome.change.account_id, key)
        if run is None or row is None:
            self.breaks(program, f"F3 {key} is no target")
            return
        if status not in {"not_attempted", row.status}:
            self.breaks(program, f"F3 {key} is {status}, and in the journal {row.status}")
        before = self.known.get((run.number, key))
        if before is not None:
            if before != status:
                self.breaks(program, f"F3 {key} was {before}, and is {status}")
            return
        self.counts[f"ended {status}"] += 1
        in_flight = self.in_flight_of(program.process, row) is not None or row.unsettled
        ends_by_right(self, program, outcome, others=self.earlier, in_flight=in_flight)
        self._closes(program, run, key, status, outcome.change.wished)

    def _closes(
        self, program: Program, run: Run, key: str, status: str, wished: Mapping[str, bool]
    ) -> None:
        if status not in CLOSED:
            return
        self.known[run.number, key] = status
        if status not in _GREEN:
            return
        track = self.truth.tracks.get(key)
        if track is None:
            self.breaks(program, f"F1 {status}, and there is no {key}")
            return
        self._is_green(program, track, status, wished)
        if run.kind == "revert" and status == "changed":
            self.restores(program, track, wished)

    def _is_green(
        self, program: Program, track: Track, status: str, wished: Mapping[str, bool]
    ) -> None:
        read = program.reads.get(track.id)
        if read is None:
            self.breaks(program, f"F1 {status} without a read: {track.path}")
            return
        written = program.writes_of(track.id)
        if any(sent.left > read.begun and sent.arrived is not None for sent in written):
            self.breaks(program, f"F1 {status}, and not read back: {track.path}")
        looks = [read]
        if status == "unchanged" and not written:
            # What needs no write may go by a look before those of others in its account.
            looks += [look for key, look in program.looks if key == track.id]
        was = (v for look in looks for v in track.between(look.shown_at, look.ended))
        if not any(version.shows(wished) for version in was):
            self.breaks(
                program,
                f"F1 {status}, which it never was since {read.shown_at:.3f}:"
                f" {dict(wished)}, {track.versions}",
            )
        if track.at(read.ended).shows(wished):
            # What only an old read showed may be otherwise by now.
            self.greens[track.id] = Green(read.ended, status, wished)

    def restores(self, program: Program, track: Track, wished: Mapping[str, bool]) -> None:
        """F7: what is wished is what was there before the run, if nobody else wrote."""
        if not track.foreign(0.0, self.now()) and not track.versions[0].shows(wished):
            self.breaks(program, f"F7 {dict(wished)} is not what it was: {track.versions}")

    def finishes(self, program: Program, total: int | None) -> None:
        """A run has ended by itself, with so many targets."""
        if total is not None and len(program.told) != total:
            self.breaks(program, f"F3 {len(program.told)} outcomes for {total} targets")
        stops_in_time(self, program)
        holds(self, program)
        self.heeds_max_failures(program)
        self.heeds_refusals(program)
        self.heeds_canary(program)

    def heeds_max_failures(self, program: Program) -> None:
        """No write begins once more have failed than are tolerated."""
        most = program.options.get("max_failures")
        if most is None:
            return
        times = sorted(
            at
            for key, (at, error) in program.failed.items()
            if program.told.get(key) in _FAILURES
            and not isinstance(error, cfsso.AuthenticationError)
        )
        if len(times) > most + 1:
            self.breaks(program, f"F5 {len(times)} writes failed, {most} were tolerated")
        if len(times) <= most:
            return
        late = [at for _, at in program.begun_writes() if at > times[most] + _PATIENCE]
        if late:
            self.breaks(program, f"F5 a write begins at {late[0]:.3f}, after {times}")

    def heeds_refusals(self, program: Program) -> None:
        """F6: a 401 stops what has its token, and nothing else."""
        same = program.options["same"]
        since: dict[Any, float] = {}
        for account, at in program.refused.items():
            since[same(account)] = min(at, since.get(same(account), at))
        for account, at in program.begun_writes():
            if at > since.get(same(account), at) + _PATIENCE:
                self.breaks(program, f"F6 a write begins in {account} after a 401")
        for _, outcome in program.outcomes:
            account = outcome.change.account_id
            if "was refused with 401" in outcome.note and same(account) not in since:
                self.breaks(program, f"F6 {account} is stopped by the 401 of others")

    def heeds_canary(self, program: Program) -> None:
        """No other connector is written before those that go first are green."""
        count = program.options.get("canary", 0)
        first: dict[str, float] = {}
        for sent in program.writes:
            # A token that is refused says nothing of a target: the next one goes first then.
            barred = sent.status == 401
            if sent.number is not None and not sent.limited and not sent.unsent and not barred:
                first.setdefault(sent.key, sent.left)
        keys = list(first)
        for key in keys[count:] if count else ():
            for canary in keys[:count]:
                self._is_green_before(program, canary, first[key])

    def _is_green_before(self, program: Program, canary: str, time: float) -> None:
        own = [sent for sent in program.writes_of(canary) if not sent.limited and not sent.unsent]
        last = max(self.now() if sent.ended is None else sent.ended for sent in own)
        wished = json.loads(own[-1].request.body or b"{}")
        seen = [
            look.shown
            for key, look in program.looks
            if key == canary and last <= look.begun and look.ended <= time
        ]
        if not any(shown and wished.items() <= shown.items() for shown in seen):
            self.breaks(
                program, f"F5 another connector is written at {time:.3f} before {canary} is seen"
            )

    def stays(self) -> None:
        """What ended green and nobody else has written is still so when all is quiet."""
        for key, green in self.greens.items():
            track = self.truth.tracks[key]
            if track.foreign(green.at - _SLACK, self.now()) or track.now.shows(green.wished):
                continue
            if green.status == "changed" and track.foreign(0.0, green.at):
                # What others wrote, as it was asked for, passed for our own write, which came late.
                self.counts["overtaken by a late write"] += 1
            else:
                self.breaks(None, f"F1 {green}, and now {track.versions}")
