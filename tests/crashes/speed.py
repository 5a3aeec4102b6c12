"""
How long a fleet takes against what latency allows: ``python tests/crashes/speed.py``.

2,000 changes in 200 accounts, 50 ms an answer, 32 requests at once: each account is listed twice
and each connector written once, so that no program takes less than the bound. What Cloudflare takes
from one address, 200 requests a second, is a bound of its own for a client that heeds it.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final, TypeAlias

sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

from kill_server import Made, Server

import cfsso
from cfsso.fleet import Change, apply, plan

ACCOUNTS: Final = 200
AN_ACCOUNT: Final = 10
LATENCY: Final = 0.05
CONCURRENCY: Final = 32
REQUESTS: Final = ACCOUNTS * (2 + AN_ACCOUNT)
BOUND: Final = REQUESTS * LATENCY / CONCURRENCY
# A place is free a second after its answer.
LIMITED: Final = (REQUESTS / 200 - 1) * (1 + LATENCY) + LATENCY
# Where the emulator is, whether the client heeds limits, and how long it takes at least.
PLACES: Final = {
    "memory": BOUND,
    "port": BOUND,
    "port, with limits": max(BOUND, LIMITED),
}
World: TypeAlias = AbstractAsyncContextManager[tuple[cfsso.AsyncSSOConnectors, list[Change]]]
_STATES: Final = [["verified"] * AN_ACCOUNT] * ACCOUNTS
_TARGET: Final = 1.2


@asynccontextmanager
async def _memory() -> AsyncGenerator[tuple[cfsso.AsyncSSOConnectors, list[Change]]]:
    """Give an emulator in this process, and the changes."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, latency=LATENCY)
    changes: list[Change] = []
    for number in range(ACCOUNTS):
        account = cloud.add_account()
        for place in range(AN_ACCOUNT):
            domain = f"{place}.a{number}.example"
            made = cloud.add_connector(account, email_domain=domain, status="verified")
            changes.append(Change(account, made.id, enabled=True))
    yield cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cloud)), changes


@asynccontextmanager
async def _port(
    base_url: str, fleet: list[Made], *, limited: bool
) -> AsyncGenerator[tuple[cfsso.AsyncSSOConnectors, list[Change]]]:
    """Give an emulator in another process, with a token for each account, and the changes."""
    changes = [Change(account, key, enabled=True) for account, key, _, _ in fleet]
    tokens = {change.account_id: f"token-of-{change.account_id}" for change in changes}
    limit = cfsso.RateLimit() if limited else None
    async with cfsso.connect(api_token=tokens, base_url=base_url, rate_limit=limit) as connectors:
        yield connectors, changes


async def _take(world: World, canary: int, journal: Path) -> float:
    async with world as (connectors, changes):
        planned = await plan(connectors, changes)
        # What the plan has sent is not to count.
        await asyncio.sleep(1 + LATENCY)
        began = time.perf_counter()
        run = apply(connectors, planned, journal=journal, concurrency=CONCURRENCY, canary=canary)
        green = [outcome.status.is_green async for outcome in run]
        took = time.perf_counter() - began
    assert [True] * len(changes) == green
    return took


def _measured(world: World, canary: int, journal: Path) -> float:
    return asyncio.run(_take(world, canary, journal))


def forked(work: Callable[[], float]) -> float:
    """Return what *work* gives in a fresh process."""
    out, into = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(into, json.dumps(work()).encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(into)
    with os.fdopen(out) as lines:
        answer = lines.read()
    os.waitpid(child, 0)
    return float(json.loads(answer))


def main() -> int:
    """Measure; return 1 if a median is above the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", help="where the journals are to be")
    options = parser.parse_args()
    server = Server.start(LATENCY)
    ratios: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for number in range(options.runs):
            for place, canary in product(PLACES, (1, 0)):
                fleet = [] if place == "memory" else server.fleet(*_STATES)
                limited = place == "port, with limits"
                world = _port(server.base_url, fleet, limited=limited) if fleet else _memory()
                journal = Path(folder, f"{place}-{canary}-{number}.cfsso")
                took = forked(partial(_measured, world, canary, journal))
                ratios.setdefault((place, canary), []).append(took / PLACES[place])
    for (place, canary), found in ratios.items():
        shown = " ".join(f"{ratio:.2f}" for ratio in found)
        median = statistics.median(found)
        print(f"{place:<18} canary={canary}  {median:.2f} of {PLACES[place]:5.2f} s  ({shown})")  # noqa: T201
    return int(any(statistics.median(found) > _TARGET for found in ratios.values()))


if __name__ == "__main__":
    sys.exit(main())
