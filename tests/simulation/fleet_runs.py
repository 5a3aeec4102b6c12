"""Many fleets, one after the other or side by side."""

import gc
import multiprocessing
import sys
import time
from collections.abc import Iterator
from typing import Any

from fleet_report import FleetReport
from fleet_world import simulate_fleet

_AT_ONCE = 10
FLEETS = 500
"""How many make a full run."""


def run_some(seeds: range) -> FleetReport:
    """Return the sum of what became of some seeds."""
    total = FleetReport()
    gc.freeze()
    gc.disable()
    for seed in seeds:
        total.add(simulate_fleet(seed))
    gc.collect()
    return total


def run_all(seeds: range, workers: int) -> FleetReport:
    """Return the sum of what became of all seeds."""
    total = FleetReport()
    parts = [seeds[start : start + _AT_ONCE] for start in range(0, len(seeds), _AT_ONCE)]
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        for report in pool.imap_unordered(run_some, parts):
            total.add(report)
    return total


def fleets(seeds: range, workers: int) -> Iterator[dict[str, Any]]:
    """Let fleets run; yield their figures, and say on stderr which rules were broken."""
    began = time.perf_counter()
    report = run_all(seeds, workers)
    figures = report.figures()
    figures["seconds"] = round(time.perf_counter() - began, 1)
    for seed, stories in sorted(report.broken.items()):
        for story in stories:
            print(f"seed {seed}: {story}", file=sys.stderr)  # noqa: T201
    yield {"seeds": f"{seeds[0]}-{seeds[-1]}", **figures}


def show_fleet(seed: int) -> FleetReport:
    """Print all that happened to the fleet of a seed."""
    report = simulate_fleet(seed, keeps_trace=True)
    for moment, *facts in report.trace:
        print(f"{moment:12.4f}", *facts)  # noqa: T201
    print("trace", report.digest)  # noqa: T201
    return report
