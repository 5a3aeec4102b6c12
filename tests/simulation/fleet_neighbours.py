"""A second process on the operator's tokens, with a pacing state and accounts of its own."""

import asyncio
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final

from fleet_endings import ends_by_right, holds, stops_in_time
from fleet_limits import goes_at_once
from fleet_links import Exit
from fleet_process import Process
from fleet_truth import Program, Track, said

import cfsso
from cfsso import fleet
from cfsso.fleet import Change

if TYPE_CHECKING:
    from fleet_world import FleetWorld

_AT_ONCE: Final = 1.01
_PAUSE: Final = 0.05
_LONGEST: Final = 40.0


class Neighbours:
    """
    Somebody else with the same tokens, who reads, runs a fleet, or opens what is urgent.

    Attributes:
        programs: Their processes.
    """

    def __init__(self, world: "FleetWorld", random: Random) -> None:
        self.programs: list[Program] = []
        self._world = world
        self._random = random
        self._tracks: list[Track] = []
        self._urgent: list[Track] = []

    def settle_down(self) -> None:
        """Have an account of its own for each token, with connectors that are enabled."""
        world = self._world
        for number, token in enumerate(sorted({*world.tokens.values()})):
            account = world.add_account(token)
            for place in range(self._random.randint(2, 5)):
                domain = f"n{place}.b{number}.example"
                self._tracks.append(world.add(account, domain, enabled=True))
            for place in range(world.plan.urgent):
                domain = f"u{place}.b{number}.example"
                self._urgent.append(world.add(account, domain, enabled=True))

    async def live(self) -> None:
        """Do what the world's plan has, for as long as there is a storm."""
        plan, loop = self._world.plan, asyncio.get_running_loop()
        if not plan.neighbour and not plan.urgent:
            return
        program, client = self._begin()
        tasks = [program.process.begin(self._open(program, client)) for _ in range(plan.urgent)]
        work = {"reads": self._read, "fleet": self._run}.get(plan.neighbour)
        if work is not None:
            self._world.oracle.counts["neighbours"] += 1
            tasks.append(program.process.begin(work(program, client, loop.time())))
        await asyncio.gather(*tasks)

    async def finish(self) -> None:
        """Now that nothing goes wrong, bring its own fleet to its end."""
        if self._world.plan.neighbour == "fleet":
            program, client = self._begin()
            await program.process.begin(self._run(program, client, None))
            for _, outcome in program.outcomes:
                if not outcome.status.is_green:
                    self._world.oracle.breaks(program, f"F6 in the end {said(outcome)}")

    def _begin(self) -> tuple[Program, cfsso.AsyncSSOConnectors]:
        world, plan = self._world, self._world.plan
        process = Process(-1 - len(self.programs), "neighbour", self._random, plan.slowness)
        program = Program(process)
        self.programs.append(program)
        paced = cfsso.PacingTransport(
            Exit(world.roads, program),
            rate_limit=plan.limit,
            # On one loop what has the same limit and key would be the same.
            credential=lambda account: (process.number, world.roads.tokens[account]),
        )
        retrying = cfsso.RetryingTransport(paced)
        return program, cfsso.AsyncSSOConnectors(retrying, rate_limit=plan.limit)

    async def _read(self, _: Program, client: Any, began: float) -> None:
        """List one account after the other, as fast as that is allowed."""
        time = asyncio.get_running_loop().time
        accounts = sorted({track.account for track in self._tracks})
        ends = began + min(self._world.plan.storm, _LONGEST)
        while time() < ends:
            try:
                async with asyncio.timeout(ends - time()):
                    await asyncio.gather(*(client.list(account_id=a) for a in accounts))
            except (cfsso.CfssoError, TimeoutError):
                await asyncio.sleep(_PAUSE)

    async def _run(self, program: Program, client: Any, _: float | None) -> None:
        """Disable its own, without a journal."""
        oracle = self._world.oracle
        changes = [Change(track.account, track.id, enabled=False) for track in self._tracks]
        async for outcome in fleet.apply(client, changes, concurrency=4, canary=0):
            key = outcome.change.sso_connector_id
            program.outcomes.append((oracle.now(), outcome))
            oracle.note("says", program, key, outcome.status, outcome.note)
            ends_by_right(oracle, program, outcome, others=self.programs)
            shown = self._world.truth.tracks[key].now.shown
            if outcome.status.is_green and not (shown and shown["enabled"] is False):
                oracle.breaks(program, f"F1 {outcome.status} of {key}, and it is enabled")
        if not self._world.plan.urgent:
            # Otherwise there are other requests of the same process.
            stops_in_time(oracle, program)
            holds(oracle, program)
        if len(program.outcomes) != len(changes):
            oracle.breaks(program, f"F3 {len(program.outcomes)} outcomes for {len(changes)}")

    async def _open(self, program: Program, client: Any) -> None:
        """Disable one connector that keeps people out, at some moment."""
        oracle, loop = self._world.oracle, asyncio.get_running_loop()
        track = self._urgent.pop(self._random.randrange(len(self._urgent)))
        await asyncio.sleep(10 ** self._random.uniform(-1, 1.3))
        urgent = getattr(client, "_with_urgency", lambda _: client)(True)  # noqa: FBT003 - as it is
        called = loop.time()
        program.urgent.add(track.id)
        full = oracle.windows.is_full(program.keys[self._world.roads.tokens[track.account]], called)
        check = partial(goes_at_once, oracle, program, track.id, called, full=full)
        loop.call_later(_AT_ONCE, check)
        try:
            await urgent.with_options(max_wait=None).update(
                track.id, account_id=track.account, enabled=False
            )
        except cfsso.CfssoError as error:
            oracle.note("fails", program, track.id, str(error))
