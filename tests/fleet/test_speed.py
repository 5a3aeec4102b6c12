"""How long a run takes against what latency and concurrency allow."""

import asyncio
from pathlib import Path
from typing import Final

import pytest
from worlds import World

import cfsso
from cfsso.fleet import apply, plan

pytestmark = pytest.mark.virtual_time

_ACCOUNTS: Final = 200
_AN_ACCOUNT: Final = 10
_LATENCY: Final = 0.05
_CONCURRENCY: Final = 32
# Two lists an account and one write a connector; no program is faster.
_BOUND: Final = _ACCOUNTS * (2 + _AN_ACCOUNT) * _LATENCY / _CONCURRENCY


@pytest.mark.parametrize(("canary", "most"), [(0, 1.1), (1, 1.2)])
async def test_a_run_takes_little_longer_than_its_requests(
    tmp_path: Path, canary: int, most: float
) -> None:
    """2,000 changes take at most a fifth longer than latency asks for, a canary included."""
    world = World.of(*["verified"] * _AN_ACCOUNT, accounts=_ACCOUNTS)
    world.cloud.latency = _LATENCY
    connectors = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(world.cloud))
    planned = await plan(connectors, world.changes)
    loop = asyncio.get_running_loop()
    world.cloud.requests.clear()
    begun = loop.time()

    run = apply(
        connectors, planned, journal=tmp_path / "j", concurrency=_CONCURRENCY, canary=canary
    )
    green = [outcome.status.is_green async for outcome in run]

    took = loop.time() - begun
    assert [True] * 2000 == green
    # A list more for each batch, until waves are larger than accounts.
    assert 2400 <= len(world.cloud.requests) <= 2400 + 16 * canary
    assert _BOUND <= took <= most * _BOUND
