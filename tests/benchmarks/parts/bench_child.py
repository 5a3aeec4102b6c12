"""
One measurement, in a process of its own: ``python bench_child.py KIND JSON``.

The JSON names the client and the circumstances; the figures go to stdout as JSON.
"""

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Callable, Coroutine
from itertools import cycle, islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from bench_clients import CLIENTS
from bench_floor import Toggle
from bench_stall import stall
from bench_world import ANSWER, TARGETS


async def drive(toggle: Toggle, number: int, in_flight: int) -> None:
    """Toggle so many connectors, always so many at once."""
    targets = islice(cycle(TARGETS), number)

    async def work() -> None:
        for target in targets:
            await toggle(target)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(work())


async def warm_up(toggle: Toggle, in_flight: int, pause: float) -> None:
    """Open connections, let them rest, and use them."""
    await drive(toggle, in_flight, in_flight)
    await asyncio.sleep(pause)
    await drive(toggle, 2 * in_flight + 20, in_flight)


async def patch(given: dict[str, Any]) -> dict[str, float]:
    """Return CPU per PATCH in microseconds, and PATCHes a second."""
    in_flight, number = given["in_flight"], given["requests"]
    async with CLIENTS[given["client"]].make(given["base"], in_flight) as toggle:
        await warm_up(toggle, in_flight, given["pause"])
        cpu, wall = time.process_time(), time.perf_counter()
        await drive(toggle, number, in_flight)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_us": cpu / number * 1e6, "rate": number / wall}


async def lateness(given: dict[str, Any]) -> dict[str, float]:
    """Return percentiles of a ticker's lateness beside the toggles; see `stall`."""
    in_flight = given["in_flight"]
    async with CLIENTS[given["client"]].make(given["base"], in_flight) as toggle:
        await warm_up(toggle, in_flight, given["pause"])
        return await stall(toggle, in_flight, given["seconds"], given["rate"])


def decode(given: dict[str, Any]) -> dict[str, float]:
    """Return microseconds for decoding the answer."""
    module = importlib.import_module("msgspec.json" if given["by"] == "msgspec" else given["by"])
    loads: Callable[[bytes], Any] = module.decode if given["by"] == "msgspec" else module.loads
    body = (ANSWER % TARGETS[0][1]).encode()
    number: int = given["number"]
    began = time.process_time()
    for _ in range(number):
        loads(body)
    return {"us": (time.process_time() - began) / number * 1e6}


def run(work: Coroutine[Any, Any, dict[str, float]], loop: str) -> dict[str, float]:
    """Run *work* on asyncio's loop, or on that of the module *loop*."""
    factory = None if loop == "asyncio" else importlib.import_module(loop).new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


def main() -> None:
    """Measure what the command line asks for."""
    kind, given = sys.argv[1], json.loads(sys.argv[2])
    if kind == "decode":
        figures = decode(given)
    else:
        work = {"patch": patch, "lateness": lateness}[kind](given)
        figures = run(work, given.get("loop", "asyncio"))
    print(json.dumps(figures))  # noqa: T201


if __name__ == "__main__":
    main()
