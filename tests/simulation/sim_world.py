"""One world from its beginning to its end."""

import asyncio
import random as global_random
from random import Random
from typing import Any, Final

from sim_callers import Caller, keeps, toggles, uses_up, writes_elsewhere
from sim_links import ALL, LATE, OUTAGES, PASSING, Exit, WatchedCloud, Wire
from sim_oracle import Credential, Oracle
from sim_plan import Plan
from sim_report import Report
from sim_truth import Op, Track, Truth

import cfsso
from cfsso import Request
from cfsso.testing import FaultyTransport, run_in_virtual_time
from cfsso.transports.pacing import _Lane, _lanes

# Seconds in which everything must have ended, and until which most must go wrong: after a
# long outage a client may rest for two hours before it looks again.
_BOUND: Final = 7 * 3600.0
_WORST: Final = 3600.0
# By then the last write has arrived, wherever it was.
_QUIET: Final = 100.0
_OLD: Final = 10.0
_TOKEN: Final = "token-{}"


class World:
    """
    The emulator, the clients, and all who live there.

    Attributes:
        plan: What it is made by.
        ops: All calls, in the order in which they began.
    """

    def __init__(self, plan: Plan, random: Random, *, keeps_trace: bool = False) -> None:
        self.plan, self.random = plan, random
        self.loop = asyncio.get_running_loop()
        self.truth = Truth()
        self.oracle = Oracle(self.truth, keeps_trace=keeps_trace)
        self.oracle.healing = plan.kind != "harsh" and plan.dated
        self.oracle.address_limit = plan.address
        # Two hundred a second would be beyond a world of this size.
        _lanes(self.loop).address = _Lane(cfsso.RateLimit(plan.address, 1.0))
        self.ops: list[Op] = []
        self.cloud = WatchedCloud(
            self.oracle,
            dated=plan.dated,
            rate_limit=plan.limit,
            latency=plan.latency if plan.slow else 0.0,
            seed=plan.seed,
        )
        self._credential_of: dict[str, str] = {}
        self._settle_down()
        self.wire = Wire(self.cloud, self._credential_of, random, plan.latency)
        self.faulty: list[FaultyTransport] = []
        self.budgets: list[Any] = []
        self.clients = [self._client(n) for n in range(plan.stacks)]
        self._prey: list[asyncio.Task[Any]] = []

    def _settle_down(self) -> None:
        """Make tokens, accounts and connectors; some share a domain."""
        plan = self.plan
        for n in range(plan.credentials):
            token = _TOKEN.format(n)
            credential = Credential(plan.limit)
            accounts = [self.cloud.add_account() for _ in range(plan.accounts)]
            self.cloud.add_token(token, accounts)
            for account in accounts:
                self._credential_of[account] = token
                self.oracle.credentials[account] = credential
                for place in range(plan.connectors):
                    domain = "shared.example" if place == 0 else f"d{place}.{account[:8]}.example"
                    self._add(account, domain)
        self.cloud.add_token(_TOKEN.format("foreign"), self._credential_of)
        self.homes = list(self.truth.tracks.values())

    def _add(self, account: str, domain: str) -> None:
        connector = self.cloud.add_connector(account, email_domain=domain, status="verified")
        shown = {
            "id": connector.id,
            "email_domain": domain,
            "enabled": False,
            "use_fedramp_language": False,
            "verification": {"status": "verified"},
            "updated_on": str(connector.updated_on),
        }
        self.truth.add(account, shown, self.loop.time(), None)

    def _client(self, number: int) -> cfsso.AsyncSSOConnectors:
        plan = self.plan
        faults = ALL if plan.kind == "harsh" else PASSING
        if not plan.dated:
            # A read that has no Date, which Cloudflare's have, can't be told from an old one.
            faults = [fault for fault in faults if fault.name != "stale_read"]
        if plan.late:
            faults = [*faults, *[LATE] * 5]
        faulty = FaultyTransport(self.wire, seed=plan.seed + number, faults=faults)
        self.faulty.append(faulty)
        paced = cfsso.PacingTransport(
            Exit(faulty, self.oracle, self._strike),
            rate_limit=plan.limit,
            credential=self._credential_of.__getitem__,
            timeout=60.0 if plan.late else 30.0,
        )
        retrying = cfsso.RetryingTransport(paced)
        self.budgets.append(retrying._budget._window)
        return cfsso.AsyncSSOConnectors(retrying)

    def any_track(self) -> Track:
        """Return a verified connector."""
        return self.random.choice(self.homes)

    def elsewhere(self, request: Request, whose: str) -> None:
        """Let somebody else send *request*, by the token of an account or a foreign one."""
        token = self._credential_of.get(whose) or _TOKEN.format(whose)
        self.cloud.handle(request, {"authorization": f"Bearer {token}"})

    async def live(self) -> None:
        """Go through all rounds, then heal, toggle everything once more, and end."""
        # What was there before the first call is surely older than it.
        await asyncio.sleep(_OLD)
        for number in range(self.plan.rounds):
            await self._round(number)
        self._heal()
        await asyncio.sleep(_QUIET)
        await self._all_end([self.loop.create_task(self._last_toggle(t)) for t in self.homes])
        await asyncio.sleep(_QUIET)
        self._is_still()
        for client in self.clients:
            await client.aclose()
        await asyncio.sleep(0)
        self._is_empty()

    async def _round(self, number: int) -> None:
        plan, random = self.plan, self.random
        ends = self.loop.time() + plan.storm
        self._break(number)
        around = []
        if plan.foreign:
            around.append(writes_elsewhere(self, plan.foreign, 30.0))
        if plan.bursts and random.random() < 0.5:
            account = random.choice(self.homes).account
            self.oracle.credentials[account].shared = True
            around.append(uses_up(self, account, plan.storm))
        others = [self.loop.create_task(work) for work in around]
        tasks = [self.loop.create_task(self._begin_caller(n)) for n in range(plan.callers)]
        self.loop.call_at(ends, self._calm)
        await self._all_end(tasks)
        for other in others:
            await other
        if self.loop.time() <= ends:
            await asyncio.sleep(ends - self.loop.time() + 0.001)

    async def _begin_caller(self, number: int) -> None:
        """Be a caller with a fate of its own."""
        random, plan = self.random, self.plan
        await asyncio.sleep(random.random() * plan.storm * random.random())
        fate = random.random()
        caller = Caller(self, random.choice(self.clients))
        if fate < plan.hasty:
            caller.deadline = random.choice((0.03, 0.2, 1.0, 5.0, 20.0, 60.0))
            caller.max_wait = random.choice((None, 0.0, 1.0, 10.0, 60.0))
        elif fate < plan.hasty + plan.mortal:
            self._doom(caller)
        elif fate > 0.9:
            caller.deadline = 900.0
        caller.patient = fate >= plan.hasty + plan.mortal
        if caller.deadline is not None or plan.watched:
            caller.connectors = caller.connectors.with_options(
                deadline=caller.deadline,
                max_wait=caller.max_wait,
                on_event=caller.hears if plan.watched else None,
            )
        if number == 8:
            home = random.choice(self.homes)
            taken = random.choice(list(self.truth.tracks.values()))
            domain = f"n{random.randrange(6)}.example"
            if random.random() < 0.4:
                home, domain = taken, taken.domain
            await keeps(caller, home.account, domain)
        else:
            home = self.homes[number % len(self.homes)]
            await toggles(caller, home, random.randint(1, 2 * plan.toggles - 1))

    def _doom(self, caller: Caller) -> None:
        """Have it cancelled: at a moment, or while or just after a request is under way."""
        random = self.random
        task = asyncio.current_task()
        assert task is not None
        how = random.random()
        if how < 0.3:
            self._prey.append(task)
        elif how < 0.6:
            caller.cut = (random.choice((1, 1, 2, 3, 6)), random.random() * 2 * self.plan.latency)
        else:
            seconds = random.choice((0.0, 0.1, self.plan.storm, 40.0, self.plan.limit.seconds))
            self.loop.call_later(seconds * random.choice((1.0, random.random())), task.cancel)

    def _strike(self) -> None:
        """Have one cancelled at the very moment at which a place is free again."""
        if self._prey and self.random.random() < 0.3:
            task = self._prey[0]
            if task.done():
                del self._prey[0]
            else:
                at = self.loop.time() + self.plan.limit.seconds
                self.loop.call_at(at, task.cancel)

    def _break(self, number: int) -> None:
        for faulty in self.faulty:
            faulty.rate = self.plan.rate
        if self.plan.outage and number % 2:
            outage = self.random.choice(OUTAGES)
            for faulty in self.faulty:
                faulty.on(outage, times=None)

    def _calm(self) -> None:
        """End the storm, or only the outage."""
        self._heal()
        if self.plan.kind == "harsh":
            for faulty in self.faulty:
                faulty.rate = self.plan.rate

    def _heal(self) -> None:
        for faulty in self.faulty:
            faulty.heal()

    async def _all_end(self, tasks: "list[asyncio.Task[None]]") -> None:
        timer = None
        if self.plan.kind == "harsh":
            # Nobody promises an end as long as everything goes wrong; but it comes in time.
            timer = self.loop.call_later(_WORST, self._heal)
        _, pending = await asyncio.wait(tasks, timeout=_BOUND)
        if timer is not None:
            timer.cancel()
        for task in tasks:
            if task in pending:
                self.oracle.breaks(None, f"it does not end: {task.get_coro()}")
                task.cancel()
            elif not task.cancelled() and (error := task.exception()):
                raise error

    async def _last_toggle(self, track: Track) -> None:
        """Now that nothing goes wrong, it must do."""
        caller = Caller(self, self.random.choice(self.clients))
        caller.known[track.id] = self.cloud.connector(track.account, track.id)
        enabled, fedramp = track.values
        shared = track.domain == "shared.example"
        wished = {"use_fedramp_language": not fedramp} if shared else {"enabled": not enabled}
        if await caller.toggle(track, wished, before=True) is None:
            self.oracle.breaks(caller.op, "a toggle fails though nothing is wrong")

    def _is_still(self) -> None:
        """See that nothing is held, nobody waits, and the emulator is as the model says."""
        oracle = self.oracle
        if oracle.open:
            oracle.breaks(None, f"{oracle.open} calls have no result")
        lanes = _lanes(self.loop)
        windows = [lane.window for lane in lanes._by_key.values()]
        for window in [*windows, lanes.address.window, *self.budgets]:
            if window.under_way or any(window._ranks) or window._timer or window._probes:
                oracle.breaks(None, f"a place is still held: {window.under_way} under way")
        for account in self._credential_of:
            there = {
                c.id: (c.enabled, c.use_fedramp_language) for c in self.cloud.connectors(account)
            }
            tracks = [t for t in self.truth.tracks.values() if t.account == account]
            if there != {t.id: t.values for t in tracks if t.gone is None}:
                oracle.breaks(None, f"the model knows {account} otherwise than the emulator")

    def _is_empty(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        timers = [t for t in getattr(self.loop, "_scheduled") if not t.cancelled()]  # noqa: B009
        if tasks or timers:
            self.oracle.breaks(None, f"left behind: {tasks}, {timers}")


async def _live(plan: Plan, random: Random, *, keeps_trace: bool) -> World:
    world = World(plan, random, keeps_trace=keeps_trace)
    await world.live()
    return world


def simulate(seed: int, *, keeps_trace: bool = False) -> Report:
    """Let the world of *seed* run and return what became of it."""
    random = Random(seed)  # noqa: S311 - a seed is the point
    global_random.seed(seed)
    plan = Plan.of(seed, random)
    world = run_in_virtual_time(_live(plan, random, keeps_trace=keeps_trace))
    return Report.of(world)
