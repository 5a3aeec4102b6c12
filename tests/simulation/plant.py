"""
See that planted bugs are found: ``python tests/simulation/plant.py``.

Each bug of planted_bugs.toml goes into a copy of the package and of the tests, where the
suite that it names must fail. The bugs stand in the file; nothing here knows them.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
# Seconds; a suite that hangs has found the bug too.
_PATIENCE: Final = 300.0
_FOUND: Final = 3
_PYTEST: Final = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-o", "timeout=20"]


def hunt(first: int, worlds: int, *, fleets: bool) -> int:
    """Let one world after the other run until a rule is broken; return the exit code."""
    from fleet_world import simulate_fleet
    from sim_world import simulate

    run = simulate_fleet if fleets else simulate
    for number, seed in enumerate(range(first, first + worlds), 1):
        try:
            broken = run(seed).broken
        except Exception as error:  # noqa: BLE001 - a world that breaks down has found it as well
            broken = {seed: [f"{type(error).__name__}: {error}"]}
        for stories in broken.values():
            print(json.dumps({"worlds": number, "seed": seed, "story": stories[0]}))  # noqa: T201
            return _FOUND
    return 0


def planted(bug: Mapping[str, Any], folder: Path) -> None:
    """Copy the package and its tests to *folder*, with the bug in it, if there is one."""
    for name in ("cfsso", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    if "find" not in bug:
        return
    path = folder / "cfsso" / bug["file"]
    text = path.read_text("utf-8")
    changes = [(bug["find"], bug["plant"]), *((gone, "") for gone in bug.get("also", []))]
    for find, plant in changes:
        if text.count(find) != 1:
            raise SystemExit(
                f"{bug['name']}: found {text.count(find)} times in {path.name}: {find}"
            )
        text = text.replace(find, plant)
    path.write_text(text, "utf-8")
    compile(text, str(path), "exec")


def is_found(bug: Mapping[str, Any], first: int, worlds: int) -> tuple[bool, str]:
    """Return whether the suite of the bug fails with it, and how."""
    suite = bug.get("suite")
    hunting = ["tests/simulation/plant.py", "--hunt", str(worlds), "--from", str(first)]
    hunting += ["--fleets"] * bug.get("fleets", False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planted(bug, folder)
        try:
            ended = subprocess.run(  # noqa: S603 - our own files
                [sys.executable, *([*_PYTEST, suite] if suite else hunting)],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return True, "it hangs"
    said = (ended.stdout.strip().splitlines() or ended.stderr.strip().splitlines() or [""])[-1]
    if ended.returncode not in ({0, 1} if suite else {0, _FOUND}):
        raise SystemExit(f"{bug['name']}: the suite could not run:\n{ended.stdout}{ended.stderr}")
    return ended.returncode != 0, said


def judge(bugs: list[dict[str, Any]], first: int, worlds: int, workers: int) -> int:
    """Plant each of the bugs, tell what became of it, and return the exit code."""
    # Where a suite fails without a bug, that it fails with one says nothing.
    suites = {(bug.get("suite"), bug.get("fleets", False)) for bug in bugs}
    sound = [{"name": "no bug", "suite": suite, "fleets": fleets} for suite, fleets in suites]
    found = 0
    all_well = bool(bugs)
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(lambda bug: is_found(bug, first, worlds), [*sound, *bugs])
        for bug, (fails, said) in zip([*sound, *bugs], results, strict=True):
            is_bug = "find" in bug
            found += is_bug and fails
            all_well = all_well and fails is is_bug
            words = ("found ", "MISSED") if is_bug else ("BROKEN", "clean ")
            print(words[not fails], bug["name"], "|", said, flush=True)  # noqa: T201
    print(f"{found} of {len(bugs)} planted bugs found, first seed {first}")  # noqa: T201
    return 0 if all_well else 1


def main() -> int:
    """Do as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description="See that planted bugs are found.")
    parser.add_argument("--only", default="", help="bugs whose name has this text")
    parser.add_argument("--worlds", type=int, default=300, help="how many worlds may be needed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--from", dest="first", type=int, help="the first seed; else a fresh one")
    parser.add_argument("--hunt", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--fleets", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    first = SystemRandom().getrandbits(40) if options.first is None else options.first
    if options.hunt is not None:
        return hunt(first, options.hunt, fleets=options.fleets)
    bugs = tomllib.loads((HERE / "planted_bugs.toml").read_text("utf-8"))["bug"]
    chosen = [bug for bug in bugs if options.only in bug["name"]]
    return judge(chosen, first, options.worlds, options.workers)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    sys.exit(main())
