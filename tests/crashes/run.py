"""Kill processes at random points of their runs: ``python tests/crashes/run.py --trials 300``."""

import argparse
import gc
import json
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random, SystemRandom
from typing import Final

sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

from kill_child import warm_up
from kill_server import Server
from kill_trial import Trial

_LATENCY: Final = 0.003


def work(first: int, trials: range, folder: Path, results: Path) -> None:
    """Do every trial of *trials*; write what came of each into *results*."""
    server = Server.start(_LATENCY)
    usual: dict[tuple[str, int], float] = {}
    with results.open("w") as lines:
        for number in trials:
            random = Random(first + number)  # noqa: S311 - it has to be repeatable
            trial = Trial(server, folder, random, usual)
            try:
                trial.go()
            except Exception:  # noqa: BLE001 - whatever it is, the trial is lost
                trial.broken.append(traceback.format_exc())
            print(json.dumps([first + number, trial.counts, trial.broken]), file=lines, flush=True)


def run_all(first: int, trials: int, workers: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Return the sum of what happened, and what was not as it must be."""
    warm_up()
    # What is there stays there, so that forks share it.
    gc.freeze()
    children: list[int] = []
    for number in range(workers):
        own = folder / str(number)
        own.mkdir()
        child = os.fork()
        if not child:
            try:
                work(first, range(number, trials, workers), own, folder / f"{number}.results")
                os._exit(0)
            except BaseException:  # noqa: BLE001 - it ends here
                traceback.print_exc()
            finally:
                os._exit(1)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    counts, broken = Counter[str](), list[str]()
    for number in range(workers):
        for line in (folder / f"{number}.results").read_text().splitlines():
            seed, happened, stories = json.loads(line)
            counts.update({"trials": 1, **happened})
            broken += [f"seed {seed}: {story}" for story in stories]
    if counts["trials"] != trials:
        broken.append(f"only {counts['trials']} of {trials} trials came to their end")
    return counts, broken


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    # Most of the time they wait for the disk.
    parser.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--from", dest="first", type=int, help="the first seed; else a fresh one")
    return parser.parse_args()


def main() -> int:
    """Do as the command line says; return the exit code."""
    options = _options()
    first = SystemRandom().getrandbits(40) if options.first is None else options.first
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        counts, broken = run_all(first, options.trials, options.workers, Path(folder))
    figures = {name: counts[name] for name in sorted(counts)}
    print(f"seeds from {first}")  # noqa: T201
    for name, value in {**figures, "seconds": round(time.perf_counter() - began, 1)}.items():
        print(f"{name:<60} {value:>8,}")  # noqa: T201
    print(f"{'broken rules':<60} {len(broken):>8,}")  # noqa: T201
    for story in broken:
        print(story, file=sys.stderr)  # noqa: T201
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
