"""Many fleets, one after the other or side by side."""

import gc
import multiprocessing
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from fleet_report import FleetReport
from fleet_world import simulate_fleet

_AT_ONCE = 10
FLEETS = 500
"""How many make a full run."""


def run_some(seeds: range, *, rescue: bool = False) -> FleetReport:
    """Return the sum of what became of some seeds."""
    total = FleetReport()
    gc.freeze()
    gc.disable()
    for seed in seeds:
        total.add(simulate_fleet(seed, rescue=rescue))
    gc.collect()
    return total


def run_all(seeds: range, workers: int, *, rescue: bool = False) -> FleetReport:
    """Return the sum of what became of all seeds."""
    total = FleetReport()
    parts = [seeds[start : start + _AT_ONCE] for start in range(0, len(seeds), _AT_ONCE)]
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        for report in pool.imap_unordered(partial(run_some, rescue=rescue), parts):
            total.add(report)
    return total


def fleets(
    seeds: range, workers: int, *, floors: bool = False, rescue: bool = False
) -> Iterator[dict[str, Any]]:
    """
    Let fleets run; yield their figures, and say on stderr which rules were broken.

    A line such as ``seed 7: resume 3 at 41.680: F10 …`` is about the process that began as the
    fourth one there; `show_fleet` of that seed prints all that led to it. With *floors* it also
    counts as a violation if there was too little of something. With *rescue* all worlds break
    the glass, while others write, and take it back.
    """
    began = time.perf_counter()
    report = run_all(seeds, workers, rescue=rescue)
    figures = report.figures()
    figures["seconds"] = round(time.perf_counter() - began, 1)
    for seed, stories in sorted(report.broken.items()):
        for story in stories:
            print(f"seed {seed}: {story}", file=sys.stderr)  # noqa: T201
    for lack in report.shortfalls() if floors else ():
        print(f"too few: {lack}", file=sys.stderr)  # noqa: T201
        figures["violations"] += 1
    yield {"seeds": f"{seeds[0]}-{seeds[-1]}", **figures}


def show_fleet(seed: int, *, rescue: bool = False) -> FleetReport:
    """
    Print all that happened to the fleet of a seed.

    One line a fact, with the virtual second: ``leaves`` (a request, by which process),
    ``arrives`` (a write at the server, with its answer; ``None`` stands for somebody else),
    ``ends`` (what the sender heard of it, by the serial number of the request), ``says`` (an
    outcome), ``is refused`` (a wrong use of a journal), and ``BREAKS``, which is the rule.
    A process of a negative number is the neighbours', who have the same tokens.
    """
    report = simulate_fleet(seed, keeps_trace=True, rescue=rescue)
    for moment, *facts in report.trace:
        print(f"{moment:12.4f}", *facts)  # noqa: T201
    print("trace", report.digest)  # noqa: T201
    return report
