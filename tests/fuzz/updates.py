"""
Fuzz `update` over sockets: ``python tests/fuzz/updates.py --from 1 --seeds 2000``.

Each seed is a server on a socket of this machine with some connectors, which loses, cuts,
delays, repeats and forges, shows old states, and is written to by others. Each success is held
against what really happened. Exit code 1: one is false that no sentence of docs/reliability.md
explains, or that a read of the same settling disproves.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from pathlib import Path
from random import SystemRandom

sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))
sys.path.insert(0, str(Path(__file__).parent))

from fuzz_judge import EXPLAINED, TRUE
from fuzz_world import judged

_AT_ONCE = 25


def _run(seeds: range) -> tuple[Counter[str], list[str]]:
    judge = judged(seeds)
    return judge.counts, judge.broken


def _figures(counts: Counter[str]) -> dict[str, int]:
    named = {f"success: {kind}": counts[f"success: {kind}"] for kind in (TRUE, *EXPLAINED)}
    return {"successes": counts["successes"], **named, **dict(sorted(counts.items()))}


def main() -> int:
    """Do as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many worlds")
    parser.add_argument("--from", dest="first", type=int, help="the first seed; else a fresh one")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--least", type=int, default=0, help="fail if there are fewer successes")
    options = parser.parse_args()
    first = SystemRandom().getrandbits(40) if options.first is None else options.first
    seeds = range(first, first + options.seeds)
    parts = [seeds[start : start + _AT_ONCE] for start in range(0, len(seeds), _AT_ONCE)]
    began = time.perf_counter()
    counts: Counter[str] = Counter()
    broken: list[str] = []
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        for found, stories in pool.imap_unordered(_run, parts):
            counts.update(found)
            broken += stories
    for name, value in _figures(counts).items():
        print(json.dumps({"figure": name, "value": value}))  # noqa: T201
    took = time.perf_counter() - began
    print(json.dumps({"seeds": f"{seeds[0]}-{seeds[-1]}", "seconds": round(took, 1)}))  # noqa: T201
    for story in broken:
        print(story, file=sys.stderr)  # noqa: T201
    return 1 if broken or counts["successes"] < options.least else 0


if __name__ == "__main__":
    sys.exit(main())
