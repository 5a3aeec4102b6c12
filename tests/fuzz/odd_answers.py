"""
Give odd answers to everything: ``python tests/fuzz/odd_answers.py --from 1 --answers 50000``.

Each seed is one operation of the client, one act of a fleet, or some commands of the command
line, on answers that no server of this API would give. Exit code 1: an exception that is not
ours has left the library, a command has shown a traceback, a token stands somewhere, or a
text has markup or control characters of a server.
"""

import argparse
import itertools
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

from fuzz_acts import act_once
from fuzz_checks import Checks
from fuzz_commands import command_once

_AT_ONCE = 40


def once(seed: int, checks: Checks) -> None:
    """Do what a seed decides: of ten, six in memory, three over sockets, and one of commands."""
    try:
        if seed % 10 == 0:
            command_once(seed, checks)
        else:
            act_once(seed, checks, over_http=seed % 10 > 6)
    except Exception as error:  # noqa: BLE001 - one of the fuzzer's own must not end it
        checks.foreign(error)


def _run(seeds: range) -> tuple[Counter[str], list[str]]:
    checks = Checks()
    for seed in seeds:
        once(seed, checks)
    return checks.counts, checks.broken


def main() -> int:
    """Do as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=50_000, help="how many odd answers")
    parser.add_argument("--from", dest="first", type=int, help="the first seed; else a fresh one")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, help="only this one")
    options = parser.parse_args()
    first = SystemRandom().getrandbits(40) if options.first is None else options.first
    began = time.perf_counter()
    counts: Counter[str] = Counter()
    broken: list[str] = []
    if options.seed is not None:
        first = options.seed
        counts, broken = _run(range(options.seed, options.seed + 1))
    else:
        starts = itertools.count(first, _AT_ONCE)
        parts = (range(start, start + _AT_ONCE) for start in starts)
        with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
            while counts["odd answers"] < options.answers:
                some = list(itertools.islice(parts, options.workers))
                for found, stories in pool.imap_unordered(_run, some):
                    counts.update(found)
                    broken += stories
    for name, value in sorted(counts.items()):
        print(json.dumps({"figure": name, "value": value}))  # noqa: T201
    took = time.perf_counter() - began
    print(json.dumps({"first seed": first, "seconds": round(took, 1)}))  # noqa: T201
    for story in broken:
        print(story, file=sys.stderr)  # noqa: T201
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
