"""What other scripts of this house measure: memory of a bulk run, and limits kept."""

import json
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from typing import Final

from bench_rows import Case, Plan
from bench_world import PARTS, BenchError

_TESTS: Final = PARTS.parent.parent


def _output(script: str, *options: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, "-P", str(_TESTS / script), *options],
            cwd=folder,
            capture_output=True,
            check=False,
            text=True,
        )
    # It judges by a bound of its own, for which the sizes are too small; figures are what counts.
    if not done.stdout:
        raise BenchError((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    return done.stdout


def _bytes_a_target(few: int, many: int) -> dict[str, float]:
    options = ["--few", str(few), "--many", str(many), "--most", "0", "--every", "10"]
    said = _output("crashes/endurance.py", *options)
    found = re.search(r"^(-?[0-9.]+) bytes a target$", said, re.MULTILINE)
    if found is None:
        raise BenchError("endurance.py gave no figure")
    return {"bytes": float(found[1])}


def _makespan(place: int) -> dict[str, float]:
    lines = _output("simulation/run.py", "--scenario", "limits").splitlines()
    return {"ratio": float(json.loads(lines[place])["makespan / ideal"])}


def others(plan: Plan, stack: ExitStack) -> list[Case]:
    """Return what the other scripts measure."""
    del stack
    few, many = plan.targets
    return [
        Case(
            "bulk",
            f"{few:,} to {many:,} targets",
            "apply",
            partial(_bytes_a_target, few, many),
            once=True,
        ),
        *(
            Case("limits", case, "cfsso", partial(_makespan, place), once=True)
            for place, case in enumerate(("one credential", "eight credentials"))
        ),
    ]
