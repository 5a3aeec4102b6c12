"""The operator: plans, applies, is cut off, resumes and takes back."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fleet_glass import GlassVerdicts
from fleet_links import Exit
from fleet_process import Process
from fleet_rows import latest_run
from fleet_truth import Program

import cfsso
from cfsso import fleet
from cfsso.fleet import Change, Outcome, Plan
from cfsso.transports import pacing

if TYPE_CHECKING:
    from fleet_world import FleetWorld

# Virtual seconds in which everything must have ended: a budget may rest for two hours.
_BOUND: Final = 7 * 3600.0
_FREE: Final = {"concurrency": 8, "canary": 0, "max_failures": None}


class Operator:
    """
    Somebody with a terminal, in which one process runs after the other.

    Attributes:
        programs: All of them.
        journal: The journal, if there is one.
        ended: When the last one ended.
    """

    def __init__(self, world: "FleetWorld") -> None:
        self.world = world
        self.programs: list[Program] = []
        self.journal: Path | None = None
        self.ended = 0.0
        self._kills = world.plan.kills
        self._copies = 0
        self._reverts = False
        self._changes: Plan | list[Change] | None = None
        self._glass = GlassVerdicts(world)

    async def work(self) -> None:
        """Do what the world was made for."""
        act = self.world.plan.act
        if act == "glass":
            await self._glass.rescue(self)
        elif act == "transfer":
            await self._glass.move(self)
        else:
            await self._run_fleet()

    async def finish(self) -> None:
        """Now that nothing goes wrong, bring everything to its end."""
        if self.world.plan.act == "glass":
            await self._glass.rescue(self, last=True)
        elif self.world.plan.act == "transfer":
            await self._glass.move(self, last=True)
        elif self.journal is not None:
            self._is_at_its_end(await self._resume(_FREE))

    def _is_at_its_end(self, program: Program) -> None:
        """See that nothing is open, and that all is green where nothing went wrong."""
        world = self.world
        for _, outcome in program.outcomes:
            status = str(outcome.status)
            if status in {"unknown", "not_attempted"}:
                world.oracle.breaks(program, f"F3 {outcome} in the end")
            track = world.truth.tracks.get(outcome.change.sso_connector_id)
            barred = track is None or track.versions[0].is_barred
            if world.plan.is_quiet and not outcome.status.is_green and not barred:
                world.oracle.breaks(program, f"F6 nothing went wrong, and it says {outcome}")

    async def _run_fleet(self) -> None:
        world, random = self.world, self.world.random
        self._changes = world.wishes()
        world.oracle.counts["targets"] += len(self._changes)
        if world.plan.planned:
            self._changes = await self._plan(self._changes)
            if random.random() < 0.3:
                await asyncio.sleep(random.random() * 4)
        if self._changes is None:
            return
        await self._go_on(self._apply)
        if world.plan.reverts and self.journal is not None:
            if random.random() < 0.3:
                await asyncio.sleep(random.random() * 20)
            self._meddle()
            self._reverts = True
            self._kills = random.choice((0, 0, 1, 2))
            await self._go_on(self._revert)

    async def _go_on(self, begin: Callable[[], Awaitable[Program]]) -> None:
        """Begin, and go on as often as it is cut off."""
        random = self.world.random
        program = await begin()
        while program.cut:
            self._meddle()
            if random.random() < 0.3:
                await asyncio.sleep(random.random() * 60)
            if self.journal is None and self._reverts:
                return
            if self.journal is None:
                program = await begin()
            elif self._reverts and random.random() < 0.5:
                program = await self._revert()
            else:
                program = await self._resume({})
        if random.random() < 0.3 and self.journal is not None:
            await self._resume({})

    def _meddle(self) -> None:
        """Let somebody else write what was written last, where others write at all."""
        world = self.world
        written = [sent.key for program in self.programs for sent in program.writes]
        if written and (world.plan.foreign or world.plan.reactive) and world.random.random() < 0.5:
            world.others.write(world.truth.tracks[written[-1]])

    async def _plan(self, changes: list[Change]) -> Plan | None:
        made: list[Plan] = []

        async def work(program: Program, client: cfsso.AsyncSSOConnectors) -> None:
            """Plan, and put it away."""
            del program
            found = await fleet.plan(client, changes)
            made.append(Plan.from_json(found.to_json()))

        await self.execute("plan", work, doomed=False)
        return made[0] if made else None

    async def _apply(self) -> Program:
        plan, changes = self.world.plan, self._changes
        assert changes is not None
        self._copies += 1
        self.journal = self.world.folder / f"{self._copies}.cfsso"
        given: dict[str, Any] = {
            "concurrency": plan.concurrency,
            "canary": plan.canary,
            "max_failures": plan.max_failures,
        }
        path = self.journal
        return await self._run(
            "apply",
            given,
            lambda client, stop: fleet.apply(client, changes, journal=path, stop=stop, **given),
        )

    async def _resume(self, given: dict[str, Any]) -> Program:
        self.world.oracle.counts["resumes"] += 1
        path = self.journal
        assert path is not None
        return await self._run(
            "resume", given, lambda client, stop: fleet.resume(client, path, stop=stop, **given)
        )

    async def _revert(self) -> Program:
        self.world.oracle.counts["reverts"] += 1
        path, plan = self.journal, self.world.plan
        assert path is not None
        given = {"concurrency": plan.concurrency, "canary": plan.canary}
        return await self._run(
            "revert", given, lambda client, stop: fleet.revert(client, path, stop=stop, **given)
        )

    async def _run(
        self,
        kind: str,
        given: dict[str, Any],
        begin: Callable[[cfsso.AsyncSSOConnectors, asyncio.Event], AsyncGenerator[Outcome]],
    ) -> Program:
        """Let a process run one run, and judge what it says."""
        world = self.world
        oracle, stop = world.oracle, asyncio.Event()

        async def work(program: Program, client: cfsso.AsyncSSOConnectors) -> None:
            """Take all outcomes."""
            async with aclosing(begin(client, stop)) as outcomes:
                async for outcome in outcomes:
                    if program.process.dead:
                        raise asyncio.CancelledError
                    oracle.takes(program, outcome)
                run = latest_run(program.process)
                assert run is not None
                program.options = {**run.options, **given, "same": world.same}
                oracle.finishes(program, run.total)

        doomed = given is not _FREE
        program = await self.execute(kind, work, doomed=doomed, stop=stop)
        if program.cut and not program.process.dead:
            program.options = {**given, "same": world.same}
        return program

    async def execute(
        self,
        kind: str,
        work: Callable[[Program, cfsso.AsyncSSOConnectors], Awaitable[None]],
        *,
        doomed: bool,
        stop: asyncio.Event | None = None,
    ) -> Program:
        """Let a process do *work*, and perhaps be killed, stopped or cancelled meanwhile."""
        world, plan = self.world, self.world.plan
        loop = asyncio.get_running_loop()
        process = Process(len(self.programs), kind, world.random, plan.slowness)
        program = Program(process)
        process.on_open = lambda: world.oracle.opens(program)
        self.programs.append(program)
        world.oracle.counts["processes"] += 1
        world.oracle.note("begins", process)
        # What it counted is in its memory, and every process has its own.
        pacing._BY_LOOP.pop(loop, None)
        main = process.begin(work(program, self._client(program)))
        timer = self._doom(process, main, stop) if doomed else None
        over = loop.create_task(process.over.wait())
        await asyncio.wait({main, over}, timeout=_BOUND, return_when=asyncio.FIRST_COMPLETED)
        if timer is not None:
            timer.cancel()
        over.cancel()
        await self._ends(program, main)
        if process.stores:
            world.oracle.last = program
        self.ended = loop.time()
        return program

    async def _ends(self, program: Program, main: "asyncio.Task[Any]") -> None:
        process, oracle = program.process, self.world.oracle
        oracle.note("ends", process, "dead" if process.dead else "alive")
        if process.dead:
            program.cut = True
            oracle.counts["crashes"] += 1
            await self._bury(process)
            return
        if not main.done():
            oracle.breaks(program, f"F9 it does not end: {[t.get_coro() for t in process.tasks]}")
            process.die()
            await self._bury(process)
            return
        # Who is cancelled while it closes its journal lets that go on.
        await asyncio.sleep(1.0 if main.cancelled() else 0)
        if process.tasks - {main}:
            oracle.breaks(program, f"F9 left: {[t.get_coro() for t in process.tasks]}")
        if main.cancelled():
            program.cut = True
        elif isinstance(error := main.exception(), cfsso.InvalidRequestError):
            # The journal has no run: nothing was sent, and it begins anew.
            said = str(error)
            anew = ("no run began", "is no journal", "No such file")
            if not any(words in said for words in anew):
                oracle.breaks(program, f"it is refused: {said}")
            program.cut = True
            self.journal = None
        elif error is not None:
            raise error

    async def _bury(self, process: Process) -> None:
        self._copies += 1
        copy = self.world.folder / f"{self._copies}.cfsso"
        await process.bury(self.journal or copy, copy)
        if self.journal is not None:
            self.journal = copy if copy.exists() else None

    def _client(self, program: Program) -> cfsso.AsyncSSOConnectors:
        world = self.world
        exit_ = Exit(world.roads, program)
        paced = cfsso.PacingTransport(
            exit_, rate_limit=world.plan.limit, credential=world.tokens.__getitem__
        )

        async def fingerprint(account: str) -> str:
            """Tell the tokens apart."""
            return world.tokens[account]

        return cfsso.AsyncSSOConnectors(
            cfsso.RetryingTransport(paced),
            fingerprint=fingerprint if world.plan.known else None,
            on_event=lambda event: world.oracle.hears(program, event),
        )

    def _doom(
        self, process: Process, main: "asyncio.Task[Any]", stop: asyncio.Event | None
    ) -> asyncio.TimerHandle | None:
        """Have it cut off in some way, or not at all."""
        random, loop = self.world.random, asyncio.get_running_loop()
        fate = random.random()
        if self._kills and fate < 0.75:
            self._kills -= 1
            if random.random() < 0.3:
                return loop.call_later(10 ** random.uniform(-1.5, 1.7), process.die)
            point = random.choice(("job", "send", "sent", "answer"))
            process.doom = point, int(2 ** random.uniform(0, 6))
        elif fate < 0.83 and stop is not None:
            return loop.call_later(10 ** random.uniform(-1.5, 1.5), stop.set)
        elif fate < 0.9 and self._kills:
            self._kills -= 1
            return loop.call_later(10 ** random.uniform(-1.5, 1.5), main.cancel)
        return None
