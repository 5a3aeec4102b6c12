"""Fixed stories that give figures for the documentation: limits, a block, and outages."""

import asyncio
import gc
import math
import random as global_random
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterator
from random import Random
from typing import Any, Final, TypeAlias

import cfsso
from cfsso import Request, Response
from cfsso.testing import (
    FAULTS,
    Fault,
    FaultyTransport,
    Line,
    answer_with,
    run_in_virtual_time,
    time_out,
)

Figures: TypeAlias = dict[str, Any]

_LIMIT: Final = cfsso.RateLimit()
_ADDRESS: Final = 200


class Network:
    """A way to an emulator of some latency, by account; it keeps when what arrived."""

    def __init__(self, cloud: cfsso.CloudflareEmulator, tokens: dict[str, str], seed: int) -> None:
        self._ways = {a: cfsso.InMemoryTransport(cloud, api_token=t) for a, t in tokens.items()}
        self._tokens = tokens
        self._random = Random(seed).uniform  # noqa: S311 - jitter
        self.arrivals: dict[str, list[float]] = {token: [] for token in tokens.values()}
        self.statuses: Counter[int] = Counter()

    async def send(self, request: Request) -> Response:
        """Carry *request*: 50 milliseconds and some jitter, both ways together."""
        await asyncio.sleep(self._random(0.02, 0.03))
        now = asyncio.get_running_loop().time()
        self.arrivals[self._tokens[request.account_id]].append(now)
        response = await self._ways[request.account_id].send(request)
        self.statuses[response.status] += 1
        await asyncio.sleep(self._random(0.02, 0.03))
        return response

    async def aclose(self) -> None:
        """Hold nothing."""


class Town:
    """An emulator with one account and some connectors for each of some credentials."""

    def __init__(self, credentials: int, *, limit: cfsso.RateLimit | None = _LIMIT) -> None:
        global_random.seed(1)
        self.cloud = cfsso.CloudflareEmulator(rate_limit=limit, seed=1)
        self.targets: list[tuple[str, str]] = []
        self.tokens: dict[str, str] = {}
        for n in range(credentials):
            account = self.cloud.add_account()
            self.tokens[account] = f"token-{n}"
            for place in range(50):
                domain = f"d{place}.a{n}.example"
                made = self.cloud.add_connector(account, email_domain=domain, status="verified")
                self.targets.append((account, made.id))
        self.network = Network(self.cloud, self.tokens, 1)
        self.faulty = FaultyTransport(self.network, seed=1)

    def client(self, **options: Any) -> cfsso.AsyncSSOConnectors:
        """Return what `cfsso.connect` would, with this network under it."""
        paced = cfsso.PacingTransport(self.faulty, credential=self.tokens.__getitem__)
        return cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(paced), **options)

    async def toggle(
        self, client: cfsso.AsyncSSOConnectors, toggles: int, callers: int
    ) -> Counter[str]:
        """Toggle all targets in turn, by some callers for each account; count the outcomes."""
        found: Counter[str] = Counter()
        accounts = list(self.tokens)

        async def work(account: str, numbers: Iterator[int]) -> None:
            own = [target for target in self.targets if target[0] == account]
            for n in numbers:
                enabled = n // len(own) % 2 == 0
                try:
                    target = own[n % len(own)][1]
                    before = self.cloud.connector(account, target)
                    await client.update(target, account_id=account, enabled=enabled, before=before)
                except cfsso.CfssoError as error:
                    found[type(error).__name__] += 1
                else:
                    found["done"] += 1

        async with asyncio.TaskGroup() as group:
            for account in accounts:
                numbers = iter(range(toggles // len(accounts)))
                for _ in range(callers):
                    group.create_task(work(account, numbers))
        return found


def most_in(times: list[float], seconds: float) -> int:
    """Return the most of *times* that lie in any window."""
    window: deque[float] = deque()
    most = 0
    for moment in times:
        window.append(moment)
        while window[0] <= moment - seconds:
            window.popleft()
        most = max(most, len(window))
    return most


def _ideal(toggles: int, credentials: int) -> float:
    """Return the least seconds in which so many requests can be sent."""
    rounds, rest = divmod(toggles // credentials - 1, _LIMIT.requests)
    last = math.ceil((rest + 1) * credentials / _ADDRESS) - 1
    return max(rounds * _LIMIT.seconds + last, math.ceil(toggles / _ADDRESS) - 1)


async def _at_the_limit(credentials: int, toggles: int = 10_000) -> Figures:
    town = Town(credentials)
    client = town.client()
    found = await town.toggle(client, toggles, 200)
    arrivals = sorted(at for times in town.network.arrivals.values() for at in times)
    makespan = asyncio.get_running_loop().time()
    ideal = _ideal(toggles, credentials)
    return {
        "credentials": credentials,
        "toggles": toggles,
        "done": found["done"],
        "most in 300 s of one credential": max(
            most_in(times, _LIMIT.seconds) for times in town.network.arrivals.values()
        ),
        "most in 1 s of all": most_in(arrivals, 1.0),
        "429s": town.network.statuses[429],
        "makespan, s": round(makespan, 2),
        "ideal, s": round(ideal, 2),
        "makespan / ideal": round(makespan / ideal, 4),
        "toggles a second": round(toggles / makespan, 3),
    }


async def _blocked(toggles: int = 2_000, callers: int = 50) -> Figures:
    town = Town(1)
    client = town.client()
    loop = asyncio.get_running_loop()
    block = answer_with(429, applied=False, headers={"retry-after": "300"})
    blocked: list[float] = []

    async def note(request: Request, line: Line) -> Response:
        blocked.append(loop.time())
        return await block(request, line)

    town.faulty.on(Fault("foreign_429", note, ambiguous=False), nth=toggles // 2)
    found = await town.toggle(client, toggles, callers)
    at = blocked[0]
    (times,) = town.network.arrivals.values()
    # Those that had left before may arrive in the next moment.
    during = sum(at + 0.05 < moment < at + 299.9 for moment in times)
    return {
        "toggles": toggles,
        "callers": callers,
        "done": found["done"],
        "blocked at, s": round(at, 2),
        "requests during the block": during,
        "first after, s": round(min(m for m in times if m > at + 1) - at, 2),
        "last after, s": round(times[-1] - at, 2),
        "most in 300 s": most_in(times, _LIMIT.seconds),
    }


async def _outage(seconds: float, fault: Fault, toggles: int = 1_000) -> Figures:
    town = Town(1, limit=None)
    client = town.client(deadline=120.0, max_wait=60.0)
    town.faulty.on(fault, times=None)
    asyncio.get_running_loop().call_later(seconds, town.faulty.heal)
    found = await town.toggle(client, toggles, 20)
    return {
        "outage, s": seconds,
        "fault": fault.name,
        "targets": toggles,
        "requests": town.faulty.requests,
        "requests / target": round(town.faulty.requests / toggles, 3),
        "outcomes": dict(sorted(found.items())),
    }


def _run(story: Coroutine[Any, Any, Figures]) -> Figures:
    gc.collect()
    return run_in_virtual_time(story)


def limits() -> Iterator[Figures]:
    """Ten thousand toggles as fast as the documented limit lets them go."""
    for credentials in (1, 8):
        yield _run(_at_the_limit(credentials))


def block() -> Iterator[Figures]:
    """Two thousand toggles, and somebody else has used up the limit half-way."""
    yield _run(_blocked())


def outages() -> Iterator[Figures]:
    """A thousand toggles into an outage of a second, or up to two hours."""
    for seconds in (1.0, 10.0, 60.0, 600.0, 3600.0, 7200.0):
        for fault in (
            FAULTS["status_503_not_applied"],
            FAULTS["refuse_connection"],
            time_out(30, applied=False),
        ):
            yield _run(_outage(seconds, fault))


SCENARIOS: Final[dict[str, Callable[[], Iterator[Figures]]]] = {
    "limits": limits,
    "block": block,
    "outages": outages,
}
