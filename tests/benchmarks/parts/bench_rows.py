"""What is measured, in rounds; and what came of it."""

import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import attrs
from bench_world import BenchError

Key: TypeAlias = tuple[str, str, str]


@attrs.frozen(kw_only=True)
class Plan:
    """
    How much is measured.

    Attributes:
        rounds: How often everything is.
        requests: PATCHes of one measurement; the slow clients send a third of them.
        pause: Seconds in which new connections rest before a measurement.
        stall: Seconds for which a ticker is watched.
        toggles: In memory, in one round.
        sizes: How many connectors there are in memory.
        decoded: How often the answer is decoded.
        targets: For how many the memory of a bulk run is compared, few and many.
        clients: Which clients; none: all.
        in_flight: How many PATCHes at once.
        tls: Whether over TLS, too.
        server: Which one is asked; see `bench_servers.serving`.
    """

    rounds: int = 5
    requests: int = 6000
    pause: float = 1.5
    stall: float = 5.0
    toggles: int = 20_000
    sizes: tuple[int, ...] = (1, 100, 10_000, 1_000_000)
    decoded: int = 100_000
    targets: tuple[int, int] = (5_000, 20_000)
    clients: tuple[str, ...] = ()
    in_flight: tuple[int, ...] = (1, 32, 256)
    tls: bool = True
    server: str | None = None


QUICK: Final[Mapping[str, Any]] = {
    "rounds": 1,
    "requests": 300,
    "pause": 1.5,
    "stall": 1.0,
    "toggles": 2_000,
    "sizes": (1, 100, 10_000),
    "decoded": 5_000,
    "targets": (500, 1_000),
}


@attrs.frozen
class Case:
    """
    One thing to measure.

    Attributes:
        part: Which part it belongs to.
        case: Under which circumstances.
        what: Whose figure it is.
        measure: Returns figures by name.
        once: Whether more rounds would say the same.
    """

    part: str
    case: str
    what: str
    measure: Callable[[], Mapping[str, float]]
    once: bool = False


@attrs.define
class Row:
    """
    What came of a case.

    Attributes:
        key: Its part, circumstances and name.
        samples: Figures of all rounds, by name.
        error: Why one of them came to nothing.
    """

    key: Key
    samples: dict[str, list[float]] = attrs.field(factory=dict)
    error: str | None = None

    def median(self, name: str) -> float | None:
        """Return the median over rounds, if there is one."""
        found = self.samples.get(name)
        return statistics.median(found) if found else None

    def shown(self) -> dict[str, Any]:
        """Return it for JSON."""
        part, case, what = self.key
        medians = {name: self.median(name) for name in self.samples}
        shown = {"part": part, "case": case, "what": what, "medians": medians}
        return {**shown, "samples": self.samples, "error": self.error}


Rows: TypeAlias = dict[Key, Row]


def read(shown: Iterable[Mapping[str, Any]]) -> Rows:
    """Return the rows of a JSON."""
    rows = (
        Row((row["part"], row["case"], row["what"]), row["samples"], row["error"]) for row in shown
    )
    return {row.key: row for row in rows}


def interleave(cases: list[Case], rounds: int) -> Rows:
    """Measure all in turn, so often; every other time backwards. What fails is noted."""
    rows = {case_key(case): Row(case_key(case)) for case in cases}
    for number in range(rounds):
        for case in cases if number % 2 == 0 else reversed(cases):
            if case.once and number:
                continue
            row = rows[case_key(case)]
            print(f"round {number + 1} of {rounds}: {', '.join(row.key)}", file=sys.stderr)  # noqa: T201
            try:
                for name, value in case.measure().items():
                    row.samples.setdefault(name, []).append(value)
            except BenchError as error:
                row.error = str(error)
                print(f"  {error}", file=sys.stderr)  # noqa: T201
    return rows


def case_key(case: Case) -> Key:
    """Return what a case is found by."""
    return case.part, case.case, case.what
