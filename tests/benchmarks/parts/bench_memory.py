"""Toggles in memory, beside few connectors and many: ``python bench_memory.py CONNECTORS``."""

import asyncio
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent))

from bench_rows import Case, Plan
from bench_world import BenchError, cpus, environment, pinned

import cfsso

_AN_ACCOUNT: Final = 1000
# Prime, so that it leads through all of a decimal number of connectors, to and fro.
_STRIDE: Final = 618_033_989


class _World:
    """An emulator that holds so many connectors."""

    def __init__(self, size: int) -> None:
        self.cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
        self.targets: list[tuple[str, str]] = []
        self._connectors = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(self.cloud))
        self._begun = 0
        account = ""
        for number in range(size):
            if number % _AN_ACCOUNT == 0:
                account = self.cloud.add_account()
            domain = f"d{number}.example"
            made = self.cloud.add_connector(account, email_domain=domain, status="verified")
            self.targets.append((account, made.id))

    async def toggle(self, toggles: int) -> float:
        """Toggle so many of them, spread over all; return how many in a second of CPU."""
        # What was asked before is not to weigh on what comes.
        self.cloud.requests.clear()
        size = len(self.targets)
        numbers = range(self._begun, self._begun + toggles)
        wished = [(*self.targets[n * _STRIDE % size], n // size % 2 == 0) for n in numbers]
        began = time.process_time()
        for account, key, enabled in wished:
            await self._connectors.update(key, account_id=account, enabled=enabled)
        took = time.process_time() - began
        self._begun += toggles
        return toggles / took


def _round(process: "subprocess.Popen[str]", toggles: int) -> dict[str, float]:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        print(toggles, file=process.stdin, flush=True)
        return {"rate": float(json.loads(process.stdout.readline()))}
    except (OSError, ValueError):
        raise BenchError(f"the child ended with {process.wait()}") from None


def _start(size: int, stack: ExitStack) -> "subprocess.Popen[str]":
    with pinned(cpus()[0]):
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-P", __file__, str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
    stack.enter_context(process)
    # It ends with its input, which Popen closes first; but one of a broken run may not read it.
    stack.callback(process.kill)
    return process


def in_memory(plan: Plan, stack: ExitStack) -> list[Case]:
    """Return what measures toggles in memory, each size in a process of its own."""
    cases: list[Case] = []
    for size in plan.sizes:
        process = _start(size, stack)
        # Whoever answers is seeded.
        _round(process, 1)
        measure = partial(_round, process, plan.toggles)
        cases.append(Case("memory", f"{size:,} there", "cfsso", measure))
    return cases


def main() -> None:
    """Seed, and toggle as often as each line of the input says."""
    world = _World(int(sys.argv[1]))
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            print(json.dumps(runner.run(world.toggle(int(line)))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
