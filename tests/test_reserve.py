"""What lets people in goes at once, however much of the limit others use."""

import asyncio
import random
from collections import Counter

import attrs
import pytest
from paced import Jittery, worst

import cfsso
from cfsso.fleet import Change, apply
from cfsso.testing import run_in_virtual_time

LIMIT = cfsso.RateLimit()
# A way to Cloudflare, a round trip each time.
LATENCY = 0.1
RESCUES = 20


class Bare:
    """A transport that leaves out what answers say of the limit."""

    def __init__(self, inner: cfsso.Transport) -> None:
        self._inner = inner

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Pass on *request*, and not all of its answer."""
        answer = await self._inner.send(request)
        headers = {k: v for k, v in answer.headers.items() if not k.startswith("ratelimit")}
        return attrs.evolve(answer, headers=headers)

    async def aclose(self) -> None:
        """Hold nothing."""


@attrs.define(kw_only=True)
class Town:
    """
    Some processes with one token, each of which changes accounts of its own.

    Attributes:
        limit: What each takes for the limit of the token.
        accounts: How many each process changes.
        processes: How many processes there are.
        says_limit: Whether answers say how much is left.
        wanted: What each account is changed to.
        took: When each process was done.
        waited: How long each rescue took.
    """

    limit: cfsso.RateLimit = LIMIT
    accounts: int
    processes: int = 1
    says_limit: bool = True
    wanted: bool = True
    cloud: cfsso.CloudflareEmulator = attrs.field(factory=lambda: cfsso.CloudflareEmulator(seed=1))
    took: list[float] = attrs.field(factory=list)
    waited: list[float] = attrs.field(factory=list)
    added: int = 0

    def process(self) -> cfsso.AsyncSSOConnectors:
        """Return connectors that know nothing of what others have sent."""
        wire: cfsso.Transport = Jittery(self.cloud, LATENCY, api_token="the-token")
        if not self.says_limit:
            wire = Bare(wire)
        paced = cfsso.PacingTransport(wire, rate_limit=self.limit)
        return cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(paced))

    def account(self, *, enabled: bool) -> Change:
        """Return the change that turns over the connector of another account."""
        self.added += 1
        account, domain = self.cloud.add_account(), f"d{self.added}.example"
        added = self.cloud.add_connector(
            account, email_domain=domain, enabled=enabled, status="verified"
        )
        return Change(account, added.id, enabled=not enabled)

    async def run(self) -> None:
        """Be one process: change accounts as a run does, which is not urgent."""
        changes = [self.account(enabled=not self.wanted) for _ in range(self.accounts)]
        connectors = self.process()._with_urgency(urgent=False)
        statuses = [outcome.status.value async for outcome in apply(connectors, changes)]
        self.took.append(asyncio.get_running_loop().time())
        assert {"changed": self.accounts} == Counter(statuses)

    async def rescue(self, at: float) -> None:
        """Be another process, which disables one connector and reads it back, from *at* on."""
        change = self.account(enabled=True)
        await asyncio.sleep(at)
        connectors = self.process()
        found = await connectors.update(
            change.sso_connector_id, account_id=change.account_id, enabled=False
        )
        read = await connectors._with_urgency(urgent=True).get(
            found.id, account_id=change.account_id
        )
        assert (False, False) == (found.enabled, read.enabled)
        self.waited.append(asyncio.get_running_loop().time() - at)

    async def live(self, *rescues: float) -> None:
        """Let all processes run, and rescues come at those times."""
        await asyncio.gather(
            *(self.run() for _ in range(self.processes)), *(self.rescue(at) for at in rescues)
        )

    def statuses(self) -> set[int]:
        """Return what was answered."""
        return {entry.status for entry in self.cloud.requests}

    def fullest(self) -> int:
        """Return how many requests the fullest window held."""
        return worst([entry.time for entry in self.cloud.requests], LIMIT.seconds)


def moments(seconds: float) -> list[float]:
    """Return random moments within *seconds*."""
    chance = random.Random(7)  # noqa: S311 - chance in a test
    return [chance.uniform(0.0, seconds) for _ in range(RESCUES)]


@pytest.mark.parametrize("says_limit", [True, False], ids=["told", "untold"])
def test_a_disable_beside_a_run_of_another_process(*, says_limit: bool) -> None:
    """A run fills the window for others, and 20 of 20 disables beside it take a second at most."""
    town = Town(accounts=1000, says_limit=says_limit)
    run_in_virtual_time(town.live(*moments(600.0)))
    alone = Town(accounts=1000, limit=cfsso.RateLimit(reserve=0))
    run_in_virtual_time(alone.live())

    assert RESCUES == len(town.waited)
    assert max(town.waited) <= 1.0
    assert {200} == town.statuses()
    # Both have two full windows to wait for.
    assert town.took[0] <= 1.01 * alone.took[0]


@pytest.mark.parametrize("processes", [2, 4, 8])
def test_a_disable_beside_runs_of_several_processes(processes: int) -> None:
    """If answers say what is left, several runs leave the reserve to what is urgent, too."""
    town = Town(accounts=800 // processes, processes=processes)
    run_in_virtual_time(town.live(*moments(600.0)))

    assert max(town.waited) <= 1.0
    assert {200} == town.statuses()


def test_without_a_reserve_it_waits() -> None:
    """What the reserve is for: without it a disable waits for minutes."""
    town = Town(accounts=500, limit=cfsso.RateLimit(reserve=0))
    run_in_virtual_time(town.live(100.0))

    assert max(town.waited) > 200.0
    assert 429 in town.statuses()


def test_a_run_that_disables_leaves_the_reserve() -> None:
    """What a run disables is not urgent: it takes no more than any other."""
    town = Town(accounts=500, wanted=False)
    run_in_virtual_time(town.live())

    assert LIMIT.requests - LIMIT.reserve >= town.fullest()
