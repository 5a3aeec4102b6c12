"""Figures of fleets: how they are counted, added up, and what is asked of them."""

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from fleet_world import FleetWorld

_NAMES: Final = (
    *("worlds", "targets", "requests", "writes", "crashes", "processes", "resumes", "reverts"),
    *("break-glass", "transfers", "foreign writes", "late writes", "faults", "tokens refused"),
    *("ended changed", "ended unchanged", "ended blocked", "ended failed", "ended conflict"),
    *("ended unknown", "ended not_attempted", "others overtaken in the gap"),
    *("overtaken by a late write", "outages met", "seconds of outages", "tokens renewed"),
    *(
        "runs that hear nothing",
        "neighbours",
        "runs through an outage",
        "limits met",
        "urgent writes",
    ),
    *("runs through a short outage", "urgent writes after a limit was met", "rescues taken back"),
    *("connectors enabled again", "writes of killed rescues that nobody recorded"),
    *("mistyped domains", "journals used wrongly", "failed ones tried again"),
    *("simulated seconds", "violations"),
)

FLOORS: Final = {
    "crashes": 40,
    "resumes": 100,
    "reverts": 30,
    "foreign writes": 80,
    "faults": 150,
    "tokens refused": 15,
    "tokens renewed": 3,
    "outages met": 25,
    "seconds of outages": 2000,
    "runs that hear nothing": 2,
    "neighbours": 20,
    "limits met": 10,
    "urgent writes": 60,
    "rescues taken back": 5,
    "connectors enabled again": 5,
    "mistyped domains": 1,
    "journals used wrongly": 10,
}
"""What every hundred worlds must reach, so that each kind of world is among them."""

_HUNDRED: Final = 100


@attrs.define
class FleetReport:
    """
    What became of one fleet, or of many.

    Attributes:
        counts: Figures by name.
        longest: The oldest read that a write went by, in seconds.
        longest_silence: For how long a run heard nothing before it ended, at most.
        most_tries: How many requests went while a run heard nothing, after the first ones.
        most_requests: How many a run of which nothing went wrong sent, a target.
        broken: By seed, which rules were broken.
        trace: All that happened, if it was kept.
        digest: Its SHA-256.
    """

    counts: Counter[str] = attrs.field(factory=Counter)
    longest: float = 0.0
    longest_silence: float = 0.0
    most_requests: float = 0.0
    most_tries: int = 0
    broken: dict[int, list[str]] = attrs.field(factory=dict)
    trace: list[tuple[Any, ...]] = attrs.field(factory=list)
    digest: str = ""

    @classmethod
    def of(cls, world: "FleetWorld") -> "FleetReport":
        """Count what happened in *world*."""
        oracle = world.oracle
        counts = oracle.counts
        counts["worlds"] += 1
        counts["faults"] += sum(world.roads.faulty.injected.values())
        counts["outages met"] += len(world.weather.hit)
        counts["seconds of outages"] += int(sum(each.seconds for each in world.weather.hit))
        counts["simulated seconds"] += int(world.operator.ended)
        report = cls(
            counts,
            longest=oracle.longest,
            longest_silence=oracle.longest_silence,
            most_requests=oracle.most_requests,
            most_tries=oracle.most_tries,
        )
        if oracle.broken:
            report.broken[world.plan.seed] = oracle.broken
        if oracle.trace is not None:
            report.trace = oracle.trace
            told = repr([oracle.trace, sorted(counts.items())])
            report.digest = hashlib.sha256(told.encode()).hexdigest()
        return report

    def add(self, other: "FleetReport") -> None:
        """Add the figures of *other*."""
        self.counts.update(other.counts)
        self.longest = max(self.longest, other.longest)
        self.longest_silence = max(self.longest_silence, other.longest_silence)
        self.most_requests = max(self.most_requests, other.most_requests)
        self.most_tries = max(self.most_tries, other.most_tries)
        self.broken.update(other.broken)

    def figures(self) -> dict[str, float]:
        """Return what is worth saying, by name."""
        return {name: self.counts[name] for name in _NAMES} | {
            "oldest read that a write went by, s": round(self.longest, 3),
            "longest silence before a run ended, s": round(self.longest_silence, 1),
            "most requests while nothing is heard": self.most_tries,
            "most requests a target of a quiet run": round(self.most_requests, 2),
        }

    def shortfalls(self) -> list[str]:
        """Return what is less than so many worlds must reach."""
        hundreds = self.counts["worlds"] / _HUNDRED
        return [
            f"{name}: {self.counts[name]:,} of {int(floor * hundreds):,}"
            for name, floor in FLOORS.items()
            if self.counts[name] < int(floor * hundreds)
        ]
