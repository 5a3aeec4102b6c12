"""Hang up rescues at random moments: ``python tests/crashes/hangups.py --trials 20``."""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import SystemRandom

sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

from hung_up import trials


def main() -> int:
    """Do as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--seed", type=int, help="where the moments come from; else a fresh one")
    options = parser.parse_args()
    seed = SystemRandom().getrandbits(40) if options.seed is None else options.seed
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        bad = trials(options.trials, options.accounts, options.latency, Path(folder), seed)
    seconds = time.perf_counter() - begun
    said = f"{options.trials} rescues of {options.accounts} accounts in {seconds:.1f} s"
    print(f"seed {seed}: {said}")  # noqa: T201
    print(f"broken rules: {len(bad)}")  # noqa: T201
    for story in bad:
        print(story, file=sys.stderr)  # noqa: T201
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
