"""One trial: a run that is killed, perhaps again and again, gone on with, and judged."""

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

import attrs
from kill_child import Job, Told, run
from kill_server import Made, Server

import cfsso
from cfsso.fleet import Change, _opening

_STATES: Final = ("verified", "verified", "verified", "verified", "verified", "enabled", "pending")
_INTENTS: Final = """SELECT sso_connector_id, count(*) FROM intents
  JOIN targets USING (run, position) GROUP BY 1"""
_ENDINGS: Final = """SELECT sso_connector_id, status FROM endings
  JOIN targets USING (run, position) WHERE run=?"""
_MOST_KILLS: Final = 4
# What a run may take as long as nothing else is known.
_SECONDS: Final = 0.2
_ENDS: Final = {"verified": "changed", "enabled": "unchanged", "pending": "blocked"}
# Kills may come a bit later than runs usually end.
_BIT_LATER: Final = 1.3


@attrs.frozen(kw_only=True)
class Written:
    """
    What a journal says.

    Attributes:
        run: The number of the latest run; 0: none has begun.
        intents: How many each connector has, in all runs, those taken back too.
        endings: The statuses that the latest run has for its connectors.
        in_flight: The connectors whose write was under way.
        left: How many targets of the run have not ended.
        half: Whether SQLite had begun a transaction that it has to roll back.
    """

    run: int = 0
    intents: Mapping[str, int] = attrs.field(factory=dict)
    endings: Mapping[str, str] = attrs.field(factory=dict)
    in_flight: frozenset[str] = frozenset()
    left: int = 0
    half: bool = False


class Trial:
    """
    A fleet, a journal, and processes that are killed.

    Args:
        server: Where the fleet is to be.
        folder: For the journal; it is empty afterwards.
        random: What decides.
        usual: How long runs take if nobody kills them, by kind and concurrency; it learns.

    Attributes:
        broken: What was not as it must be.
        counts: What happened.
    """

    def __init__(
        self, server: Server, folder: Path, random: Random, usual: dict[tuple[str, int], float]
    ) -> None:
        self._server = server
        self._folder = folder
        self._random = random
        self._usual = usual
        self._journal = folder / "run.cfsso"
        accounts = range(random.randint(2, 4))
        states = [random.choices(_STATES, k=random.randint(1, 3)) for _ in accounts]
        self._fleet = server.fleet(*states)
        self._options: dict[str, Any] = {
            "concurrency": random.choice((1, 2, 4, 32)),
            "canary": random.choice((0, 0, 1)),
            "max_failures": random.choice((None, None, 0, 2)),
        }
        self._written = Written()
        # How often each connector was under way when its process was killed.
        self._cut_off = Counter[str]()
        # How many writes of each had arrived by the last kill.
        self._arrived: dict[str, int] = {}
        # What was said of each connector, by the number of the run.
        self._said: dict[int, dict[str, str]] = {}
        self.broken: list[str] = []
        self.counts = Counter[str]()

    def go(self) -> None:
        """Let it happen, and judge it."""
        reverting = False
        for number in range(self._random.randint(1, _MOST_KILLS)):
            reverting = reverting or (number > 0 and self._random.random() < 0.3)
            kind = self._random.choice(("revert", "resume")) if reverting else "resume"
            self._kill(kind if self._written.run else "apply")
        if not self._written.run:
            self._see_that_nothing_was_sent()
            self._step("apply")
        last = self._step("revert" if reverting else "resume")
        self._judge(last, reverted=self._written.run > 1)
        requests = self._server.requests()
        again = self._step("resume")
        self._demand(last.statuses == again.statuses, "a finished run has other outcomes")
        self._demand(requests == self._server.requests(), "a finished run sent something")
        for path in self._folder.iterdir():
            path.unlink()

    def _kill(self, kind: str) -> None:
        before = self._written
        usual = self._usual.get((kind, self._options["concurrency"]), _SECONDS)
        told = self._step(kind, kill_after=self._random.uniform(0, usual * _BIT_LATER))
        self.counts["kills"] += not told.end
        self.counts[f"killed {kind}"] += not told.end
        self.counts[f"phase: {self._phase(told, before)}"] += 1
        if not told.end:
            self._cut_off.update(self._written.in_flight)
            self.counts["kills in a commit"] += self._written.half
            truth = self._server.truth()
            for key in self._written.in_flight:
                arrived = truth[key][0] > self._arrived.get(key, 0)
                self.counts["under way at a kill: " + ("written" if arrived else "not sent")] += 1
            self._arrived = {key: writes for key, (writes, _) in truth.items()}

    def _step(self, kind: str, kill_after: float | None = None) -> Told:
        """Let one process run, and look at what it left."""
        if kind == "apply":
            self._journal.unlink(missing_ok=True)
        changes = [Change(account, key, enabled=True) for account, key, _, _ in self._fleet]
        job = Job(
            kind=kind,
            base_url=self._server.base_url,
            journal=self._journal,
            changes=changes,
            options=self._options,
            output=self._folder / "outcomes",
        )
        told = run(job, kill_after=kill_after)
        self.counts["processes"] += 1
        if told.end:
            self._learn(kind, told.seconds)
        self._written = self._read()
        self._compare(kind, told, kill_after)
        return told

    def _learn(self, kind: str, seconds: float) -> None:
        """Take into account how long a run took that nobody killed."""
        key = kind, self._options["concurrency"]
        self._usual[key] = (3 * self._usual.get(key, _SECONDS) + seconds) / 4

    def _read(self) -> Written:
        """Open a copy of the journal as the process has left it."""
        if not self._journal.exists():
            return Written()
        copy = self._folder / "copy.cfsso"
        half = False
        for end in ("", "-journal"):
            there, here = Path(f"{self._journal}{end}"), Path(f"{copy}{end}")
            here.unlink(missing_ok=True)
            if there.exists():
                shutil.copy(there, here)
                half = half or (bool(end) and there.stat().st_size > 0)
        try:
            store = _opening.to_read(str(copy))
        except cfsso.InvalidRequestError as error:
            # It was made, and nothing was put into it.
            self._demand("is no journal of cfsso, but empty: delete it" in str(error), str(error))
            return Written(half=half)
        try:
            if not store.runs:
                return Written(half=half)
            return Written(
                run=store.latest,
                intents=dict(store.connection.execute(_INTENTS)),
                endings=dict(store.connection.execute(_ENDINGS, (store.latest,))),
                in_flight=frozenset(target.sso_connector_id for target in store.in_flight()),
                left=store.counts(store.latest)[None],
                half=half,
            )
        finally:
            store.close({})

    def _phase(self, told: Told, before: Written) -> str:
        now = self._written
        intended = sum(now.intents.values()) > sum(before.intents.values())
        if told.end:
            return "it had ended"
        if not now.run:
            return "before the run was written down"
        if not intended and now.in_flight:
            return "while a write of one killed before was settled"
        if not intended and now.left:
            return "before its first write"
        if now.in_flight:
            return "in a write, or before it was read back"
        return "between writes" if now.left else "after the last outcome"

    def _compare(self, kind: str, told: Told, kill_after: float | None) -> None:
        """See that a process says nothing twice and nothing else than those before."""
        self._demand(not told.twice, f"{kind} gave outcomes twice: {told.twice}")
        known = told.end in {"", "done"} and (told.end == "done" or kill_after is not None)
        self._demand(known, f"{kind} ended with {told.end or 'nothing'}")
        said = self._said.setdefault(self._written.run, {})
        for key, status in told.statuses.items():
            written = self._written.endings.get(key)
            self._demand(written == status, f"{kind} says {status} of {key}, its journal {written}")
            earlier = said.setdefault(key, status)
            self._demand(earlier == status, f"{key} was {earlier}, and {kind} says {status}")
        for key, (writes, _) in self._server.truth().items():
            intents = self._written.intents.get(key, 0)
            self._demand(writes <= intents, f"{key}: {writes} writes, {intents} intents")

    def _see_that_nothing_was_sent(self) -> None:
        """A journal without a run is refused, and its name is free again once it is removed."""
        self.counts["no run had begun"] += 1
        self._demand(not self._server.requests(), "there are requests without a run")

    def _judge(self, last: Told, *, reverted: bool) -> None:
        truth = self._server.truth()
        expected = {key: _ENDS[_state(made)] for made in self._fleet for key in [made[1]]}
        if reverted:
            expected = {key: "changed" for key, (writes, _) in truth.items() if writes}
        self._demand(expected == dict(last.statuses), f"{last.statuses} instead of {expected}")
        for made in self._fleet:
            _, key, status, enabled = made
            writes, is_enabled = truth[key]
            wished = enabled if reverted else status == "verified"
            self._demand(wished is is_enabled, f"{key} is enabled: {is_enabled}, {status}")
            most = self._cut_off[key] + (1 + reverted if _state(made) == "verified" else 0)
            self._demand(writes <= most, f"{key}: {writes} writes, at most {most} expected")
            self.counts["writes"] += writes
            self.counts["written again after a kill"] += writes > 1 + reverted
        self.counts["targets"] += len(expected)
        self.counts["reverted"] += reverted

    def _demand(self, fact: bool, story: str) -> None:  # noqa: FBT001 - it reads well
        if not fact:
            self.broken.append(story)


def _state(made: Made) -> str:
    _, _, status, enabled = made
    return "enabled" if enabled else status
