"""Take the server away from runs: ``python tests/crashes/outages.py --away 6 20 70``."""

import argparse
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

from outage_trial import told, trial


def main() -> int:
    """Do as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--away", type=float, nargs="+", default=[6.0, 20.0, 70.0])
    parser.add_argument("--accounts", type=int, default=60)
    parser.add_argument("--latency", type=float, default=0.3)
    parser.add_argument("--seed", type=int, help="where the moments come from; else a fresh one")
    options = parser.parse_args()
    first = SystemRandom().getrandbits(40) if options.seed is None else options.seed
    broken = 0
    for seed, away in enumerate(options.away, first):
        with tempfile.TemporaryDirectory() as folder:
            bad = trial(
                Path(folder),
                accounts=options.accounts,
                latency=options.latency,
                away=away,
                seed=seed,
            )
        broken += len(bad)
        print(told(bad, away, seed), flush=True)  # noqa: T201
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
