"""Let many worlds run: ``python tests/simulation/run.py --seeds 2000 --workers 2``."""

import argparse
import gc
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from fleet_report import FleetReport
from fleet_runs import FLEETS, fleets, show_fleet
from sim_report import Report, lines, table
from sim_scenarios import SCENARIOS
from sim_world import simulate

_AT_ONCE = 10
_WORLDS = 2000
# After so many worlds what they left is collected.
_A_FEW = 10


def run_some(seeds: range) -> Report:
    """Return the sum of what became of some seeds."""
    total = Report()
    # What is there stays there; what a world leaves goes with it.
    gc.freeze()
    gc.disable()
    for number, seed in enumerate(seeds, 1):
        total.add(simulate(seed))
        if number % _A_FEW == 0:
            gc.collect()
    return total


def run_all(seeds: range, workers: int) -> Report:
    """Return the sum of what became of all seeds."""
    total = Report()
    parts = [seeds[start : start + _AT_ONCE] for start in range(0, len(seeds), _AT_ONCE)]
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        for report in pool.imap_unordered(run_some, parts):
            total.add(report)
    return total


def show_one(seed: int) -> bool:
    """Print the trace of a seed; return whether all was well."""
    report = simulate(seed, keeps_trace=True)
    for moment, *facts in report.trace:
        print(f"{moment:12.4f}", *facts)  # noqa: T201
    print(table(report.figures()))  # noqa: T201
    print("trace", report.digest)  # noqa: T201
    return _tell(report)


def _tell(report: Report | FleetReport) -> bool:
    for seed, stories in sorted(report.broken.items()):
        for story in stories:
            print(f"seed {seed}: {story}", file=sys.stderr)  # noqa: T201
    return not report.broken


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, help="how many worlds: 2000, or 500 fleets")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--from", dest="first", type=int, help="the first seed; else a fresh one")
    parser.add_argument("--seed", type=int, help="one world, with its trace")
    parser.add_argument("--floors", action="store_true", help="fail if the figures are too small")
    parser.add_argument(
        "--scenario", choices=[*SCENARIOS, "fleet", "rescue", "all"], help="figures, not worlds"
    )
    return parser.parse_args()


def _scenarios(which: str, seeds: range, workers: int, *, floors: bool) -> Iterator[dict[str, Any]]:
    for name, scenario in SCENARIOS.items():
        if which in {name, "all"}:
            for figures in scenario():
                yield {"scenario": name, **figures}
    if which in {"fleet", "all"}:
        for figures in fleets(seeds, workers, floors=floors):
            yield {"scenario": "fleet", **figures}
    if which == "rescue":
        for figures in fleets(seeds, workers, rescue=True):
            yield {"scenario": "rescue", **figures}


def main() -> int:
    """Do as the command line says; return the exit code."""
    options = _options()
    first = SystemRandom().getrandbits(40) if options.first is None else options.first
    if options.scenario is not None:
        if options.seed is not None:
            rescue = options.scenario == "rescue"
            return 0 if _tell(show_fleet(options.seed, rescue=rescue)) else 1
        broken = 0
        seeds = range(first, first + (options.seeds or FLEETS))
        for figures in _scenarios(options.scenario, seeds, options.workers, floors=options.floors):
            broken += figures.get("violations", 0)
            print(json.dumps(figures), flush=True)  # noqa: T201
        return 1 if broken else 0
    if options.seed is not None:
        return 0 if show_one(options.seed) else 1
    began = time.perf_counter()
    seeds = range(first, first + (options.seeds or _WORLDS))
    report = run_all(seeds, options.workers)
    figures = report.figures()
    took = time.perf_counter() - began
    figures["seconds"] = round(took, 1)
    figures["toggles a second and worker"] = round(figures["toggles"] / took / options.workers)
    for line in lines(figures, f"{seeds[0]}-{seeds[-1]}"):
        print(line)  # noqa: T201
    print(table(figures))  # noqa: T201
    lacks = report.shortfalls() if options.floors else []
    for lack in lacks:
        print(f"too few: {lack}", file=sys.stderr)  # noqa: T201
    return 0 if _tell(report) and not lacks else 1


if __name__ == "__main__":
    sys.exit(main())
