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
    "overtaken by a late write",
    *("simulated seconds", "violations"),
)


@attrs.define
class FleetReport:
    """
    What became of one fleet, or of many.

    Attributes:
        counts: Figures by name.
        longest: The oldest read that a write went by, in seconds.
        broken: By seed, which rules were broken.
        trace: All that happened, if it was kept.
        digest: Its SHA-256.
    """

    counts: Counter[str] = attrs.field(factory=Counter)
    longest: float = 0.0
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
        counts["simulated seconds"] += int(world.operator.ended)
        report = cls(counts=counts, longest=oracle.longest)
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
        self.broken.update(other.broken)

    def figures(self) -> dict[str, float]:
        """Return what is worth saying, by name."""
        return {name: self.counts[name] for name in _NAMES} | {
            "oldest read that a write went by, s": round(self.longest, 3)
        }
