"""Figures of worlds: how they are counted, added up, shown, and held against what is asked."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import attrs
from sim_truth import Op

from cfsso import Request, Response
from cfsso.testing import FAULTS

if TYPE_CHECKING:
    from sim_world import World

_SETTLED: Final = {"returned", "refused", "not_sent", "conflict", "gone"}
_ACCOUNT: Final = f"/accounts/{'0' * 32}/sso_connectors"
_ITEM: Final = f"{_ACCOUNT}/{'1' * 32}"
# What a fault may befall: the requests of the operations, and those that settle a doubt.
_CELLS: Final = {
    "list": Request("GET", _ACCOUNT),
    "get": Request("GET", _ITEM),
    "create": Request("POST", _ACCOUNT, b"{}"),
    "update": Request("PATCH", _ITEM, b"{}"),
    "delete": Request("DELETE", _ITEM),
    "begin_verification": Request("POST", f"{_ITEM}/begin_verification"),
    "create, settling": Request("GET", _ACCOUNT),
    "update, settling": Request("GET", _ITEM),
    "delete, settling": Request("GET", _ACCOUNT),
}
_ENOUGH: Final = 10
# By figure, what a full run must reach; those of shares are percentages.
FLOORS: Final = {
    "toggles": 300_000,
    "faults injected": 100_000,
    "ambiguous toggles, %": 5.0,
    "of those applied, %": 40.0,
    "settled after healing, %": 99.9,
}


@attrs.define
class Report:
    """
    What became of one world, or of many.

    Attributes:
        counts: Figures by name.
        cells: How often a fault befell a call of an operation.
        broken: By seed, which rules were broken.
        trace: All that happened, if it was kept.
        digest: Its SHA-256.
    """

    counts: Counter[str] = attrs.field(factory=Counter)
    cells: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    broken: dict[int, list[str]] = attrs.field(factory=dict)
    trace: list[tuple[Any, ...]] = attrs.field(factory=list)
    digest: str = ""

    @classmethod
    def of(cls, world: "World") -> "Report":
        """Count what happened in *world*."""
        oracle = world.oracle
        report = cls(counts=oracle.counts)
        counts = report.counts
        counts["seeds"] += 1
        counts["simulated seconds"] += int(world.loop.time())
        for faulty in world.faulty:
            counts["faults"] += sum(faulty.injected.values())
        for op in world.ops:
            for name, settling in op.hits:
                report.cells[name, f"{op.kind}, settling" if settling else op.kind] += 1
            if op.ambiguous and op.kind == "update":
                _count_doubt(counts, op, healing=oracle.healing)
        if oracle.broken:
            report.broken[world.plan.seed] = oracle.broken
        if oracle.trace is not None:
            report.trace = oracle.trace
            told = repr([oracle.trace, sorted(counts.items()), sorted(report.cells.items())])
            report.digest = hashlib.sha256(told.encode()).hexdigest()
        return report

    def add(self, other: "Report") -> None:
        """Add the figures of *other*."""
        self.counts.update(other.counts)
        self.cells.update(other.cells)
        self.broken.update(other.broken)

    def figures(self) -> dict[str, float]:
        """Return what is worth saying, by name."""
        counts = self.counts
        reachable = list(reachable_cells())
        toggles, ambiguous = counts["update"], counts["ambiguous"]
        return {
            "seeds": counts["seeds"],
            "toggles": toggles,
            "requests": counts["requests"],
            "simulated seconds": counts["simulated seconds"],
            "faults injected": counts["faults"],
            "ambiguous toggles": ambiguous,
            "ambiguous toggles, %": _percent(ambiguous, toggles),
            "of those applied, %": _percent(counts["ambiguous, applied"], ambiguous),
            "ambiguous toggles that could be settled": counts["ambiguous of the patient"],
            "settled after healing, %": _percent(
                counts["settled of the patient"], counts["ambiguous of the patient"]
            ),
            "conflicts": counts["ended conflict"],
            "unknown in the end": counts["ended unknown"] + counts["ended not_applied"],
            "resends": counts["resends"],
            "cancellations": counts["ended cancelled"],
            "writes that arrived after the call's end": counts["late writes"],
            "cells of fault and operation": len(reachable),
            "of those hit ten times": sum(self.cells[cell] >= _ENOUGH for cell in reachable),
            "violations": counts["violations"],
        }

    def shortfalls(self) -> list[str]:
        """Return what is less than a full run must reach."""
        figures = self.figures()
        return [
            f"{name}: {figures[name]:,} of {floor:,}"
            for name, floor in FLOORS.items()
            if figures[name] < floor
        ]


def _count_doubt(counts: Counter[str], op: Op, *, healing: bool) -> None:
    counts["ambiguous"] += 1
    counts["ambiguous, applied"] += op.accepted > 0
    settled = op.result in _SETTLED
    # Those who gave no `before` can't always be told what became of it. What the server itself
    # refused ends as not applied, which is right, but no more than a reading. Where others go
    # to and fro no two looks agree.
    patient = healing and op.patient and op.before is not None
    patient = patient and not op.rejected and not op.contested
    whose = "of the patient" if patient else "of the others"
    counts[f"ambiguous {whose}"] += 1
    counts[f"settled {whose}"] += settled
    counts[f"{op.result} {whose}"] += 1


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 3) if whole else 0.0


class _Line:
    """A way to the server on which anything may be stale."""

    async def __call__(self, request: Request) -> Response:
        """Never be asked."""
        raise NotImplementedError(request)

    def later(self, request: Request, seconds: float) -> None:
        """Never be asked."""

    def earlier(self, request: Request, within: float) -> Response | None:
        """Have something for every read."""
        del within
        return None if request.is_write else Response(200, {}, b"")


def reachable_cells() -> Iterator[tuple[str, str]]:
    """Yield each fault with each operation whose requests it can befall."""
    line = _Line()
    for name, fault in FAULTS.items():
        for operation, request in _CELLS.items():
            if fault.suits(request, line):
                yield name, operation


def lines(figures: dict[str, float], seeds: str) -> Iterator[str]:
    """Yield one line of JSON for each figure."""
    for name, value in figures.items():
        yield json.dumps({"figure": name, "value": value, "seeds": seeds})


def table(figures: dict[str, float]) -> str:
    """Return the figures for reading."""
    width = max(map(len, figures))
    return "\n".join(f"{name:<{width}}  {value:>15,}" for name, value in figures.items())
