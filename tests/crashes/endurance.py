"""
How memory grows with a fleet: ``python tests/crashes/endurance.py``.

Each figure is of a fresh process. Memory is the peak of its resident set, less what it held
before the run: after its imports, and with the bits of the connectors.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

from formula import Formula, changes

import cfsso
from cfsso.fleet import Outcome, apply, resume

_MIB: Final = 1024 * 1024
# What memory may grow by for each target, and what a million, or a resume, may take in all.
_BYTES_A_TARGET: Final = 40
_MOST: Final = 64 * _MIB
_STATUS: Final = Path("/proc/self/status")


def memory(name: str) -> int:
    """Return bytes of the resident set: ``VmRSS`` now, ``VmHWM`` at its peak."""
    # What getrusage() says begins with the peak of the process that began this one.
    if not _STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


async def _take(
    outcomes: AsyncGenerator[Outcome], counts: Counter[str], first: Callable[[], None]
) -> None:
    async for outcome in outcomes:
        if not counts:
            first()
        counts[outcome.status.value] += 1


def measure(kind: str, targets: int, every: int, journal: str) -> dict[str, Any]:
    """
    Apply changes to *targets* connectors, or resume the run that did; return the figures.

    Args:
        kind: ``apply`` or ``resume``.
        targets: How many.
        every: Only every so manieth account is not as wished before.
        journal: The file.
    """
    transport = Formula(targets, every)
    connectors = cfsso.AsyncSSOConnectors(transport)
    _warm_up()
    before = memory("VmRSS")
    began = time.perf_counter()
    counts, first = Counter[str](), list[float]()
    run = (
        apply(connectors, changes(targets), journal=journal)
        if kind == "apply"
        else resume(connectors, journal)
    )
    asyncio.run(_take(run, counts, lambda: first.append(time.perf_counter() - began)))
    return {
        "outcomes": counts,
        "first after": round(first[0], 1),
        "seconds": round(time.perf_counter() - began, 1),
        "bytes": memory("VmHWM") - before,
        "writes": transport.writes,
        "true": kind == "resume" or transport.all_enabled(targets),
    }


def _warm_up() -> None:
    """Load what is loaded on first use."""
    small = apply(cfsso.AsyncSSOConnectors(Formula(20)), changes(20))
    asyncio.run(_take(small, Counter(), lambda: None))


def fresh(kind: str, targets: int, journal: Path, *, every: int = 1) -> dict[str, Any]:
    """Return what `measure` gives in a process of its own."""
    command = [sys.executable, "-P", __file__, kind, str(targets), str(every), str(journal)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603 - ourselves
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def growth(folder: Path, few: int, many: int, *, every: int = 1) -> float:
    """Return by how many bytes memory grows for each target, from *few* targets to *many*."""
    small = fresh("apply", few, folder / f"{few}.cfsso", every=every)
    large = fresh("apply", many, folder / f"{many}.cfsso", every=every)
    for figures, targets in ((small, few), (large, many)):
        _show(f"apply {targets:,}", figures)
        if sum(figures["outcomes"].values()) != targets or not figures["true"]:
            raise AssertionError(f"apply {targets}: {figures}")
    return float(large["bytes"] - small["bytes"]) / (many - few)


def _show(what: str, figures: dict[str, Any]) -> None:
    shown = f"{figures['bytes'] / _MIB:6.1f} MiB  {figures['seconds']:7.1f} s"
    print(f"{what:<18} {shown}  first after {figures['first after']} s", flush=True)  # noqa: T201


def main() -> int:
    """Measure; return 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--most", type=int, default=1_000_000, help="0: leave that out")
    parser.add_argument("--every", type=int, default=1, help="write every so manieth account only")
    parser.add_argument("--bytes", type=int, default=_BYTES_A_TARGET, help="a target, at most")
    parser.add_argument("--folder", help="where the journals are to be; in memory if you can")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        slope = growth(folder, options.few, options.many, every=options.every)
        print(f"{slope:.1f} bytes a target")  # noqa: T201
        again = fresh("resume", options.many, folder / f"{options.many}.cfsso")
        _show(f"resume {options.many:,}", again)
        peaks = [again["bytes"]]
        if options.most:
            largest = fresh("apply", options.most, folder / "most.cfsso", every=options.every)
            _show(f"apply {options.most:,}", largest)
            peaks.append(largest["bytes"])
    return int(slope > options.bytes or max(peaks) > _MOST)


if __name__ == "__main__":
    if sys.argv[1:2] in (["apply"], ["resume"]):
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))  # noqa: T201
        sys.exit(0)
    sys.exit(main())
