"""The operator: plans, applies, is cut off, resumes and takes back."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from fleet_endings import endures, is_modest
from fleet_glass import GlassVerdicts
from fleet_rescues import has_taken_back
from fleet_rows import latest_run
from fleet_strays import go_astray
from fleet_terminal import Terminal
from fleet_truth import Program, said

import cfsso
from cfsso import fleet
from cfsso.fleet import Change, Outcome, Plan

if TYPE_CHECKING:
    from fleet_world import FleetWorld

# How often somebody goes on with what is open while not all is well.
_TRIES: Final = 3
# How often somebody plans until all accounts could be read.
_PLANS: Final = 5
# By then no write can arrive any more.
_QUIET: Final = 60.0
# How likely a rescue is taken back while it storms yet.
_EARLY: Final = 0.5
# How likely what failed is tried again in the end.
_AGAIN: Final = 0.5
_OPEN: Final = {"unknown", "not_attempted"}
_FREE: Final = {"concurrency": 8, "canary": 0, "max_failures": None}


class Operator(Terminal):
    """Somebody with a terminal, in which one process runs after the other."""

    def __init__(self, world: "FleetWorld") -> None:
        super().__init__(world)
        self._reverts = False
        self._changes: Plan | list[Change] | None = None
        # What a plan could not read is blocked, and that is said before it is applied.
        self._was_unread = False
        self._glass = GlassVerdicts(world)

    async def work(self) -> None:
        """Do what the world was made for."""
        act = self.world.plan.act
        if act == "glass":
            await self._glass.rescue(self)
            if self.world.plan.reverts and self.world.more.random() < _EARLY:
                await self._take_back(last=False)
        elif act == "transfer":
            await self._glass.move(self)
        else:
            await self._run_fleet()

    async def finish(self) -> None:
        """Now that nothing goes wrong, bring everything to its end."""
        if self.world.plan.act == "glass":
            await self._glass.rescue(self, last=True)
            if self.world.plan.reverts:
                await self._write_meanwhile()
                await self._take_back(last=True)
        elif self.world.plan.act == "transfer":
            await self._glass.move(self, last=True)
        elif self.journal is not None:
            program = await self._resume(_FREE)
            self._is_at_its_end(program)
            if self.world.more.random() < _AGAIN and "failed" in program.told.values():
                await self._try_failed_again()
            if self.world.more.random() < self.world.plan.stray:
                await go_astray(self, rescue=False)

    async def _try_failed_again(self) -> None:
        """Try again what was refused, now that nobody refuses it without a reason."""
        oracle = self.world.oracle
        oracle.counts["failed ones tried again"] += 1
        oracle.reopens()
        self._is_at_its_end(await self._resume({**_FREE, "failed": True}))

    def _is_at_its_end(self, program: Program) -> None:
        """See that nothing is open, and that all is green where nothing went wrong."""
        world = self.world
        for _, outcome in program.outcomes:
            status = str(outcome.status)
            if status in _OPEN:
                world.oracle.breaks(program, f"F3 {said(outcome)} in the end")
            key = outcome.change.sso_connector_id
            track = world.truth.tracks.get(key)
            barred = track is None or track.versions[0].is_barred or self._was_unread
            # What was disabled although it could not be read can't be taken back.
            barred = barred or outcome.note.startswith("what it was before is not known")
            if world.plan.is_harmless and not outcome.status.is_green and not barred:
                world.oracle.breaks(program, f"F6 nothing went wrong, and it says {said(outcome)}")

    async def _write_meanwhile(self) -> None:
        """Let others write between a rescue and its revert, where others write at all."""
        world = self.world
        world.others.writing = True
        for _ in range(world.plan.foreign):
            await asyncio.sleep(world.more.random() * 10)
            world.others.write(world.more.choice(world.tracks))
        world.others.writing = False

    async def _take_back(self, *, last: bool) -> None:
        """Enable again what rescues have disabled, those of the last one first."""
        oracle = self.world.oracle
        self._reverts = True
        self.kills = 0 if last else self.kills
        while self._glass.rescues:
            rescue = self._glass.rescues.pop()
            self.journal = rescue.journal
            oracle.takes_back(rescue.program)
            program = await self._go_on(self._revert)
            if last and self.journal is not None:
                await asyncio.sleep(_QUIET)
                program = await self._revert(_FREE)
                has_taken_back(oracle, rescue.program, program)
                oracle.counts["rescues taken back"] += 1
                for _, outcome in program.outcomes:
                    if str(outcome.status) in _OPEN:
                        oracle.breaks(program, f"F3 {said(outcome)} in the end")
            self.journal = oracle.rescue = None

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
            self.kills = random.choice((0, 0, 1, 2))
            await self._go_on(self._revert)

    async def _go_on(self, begin: Callable[[], Awaitable[Program]]) -> Program:
        """Begin, and go on as often as it is cut off."""
        random = self.world.random
        program = await begin()
        tries = 0
        while program.cut or (self._is_open(program) and tries < _TRIES):
            tries += not program.cut
            if not program.cut:
                await self._wait(program)
            self._meddle()
            if random.random() < 0.3:
                await asyncio.sleep(random.random() * 60)
            if self.journal is not None and self.world.more.random() < self.world.plan.stray:
                await go_astray(self, rescue=self._is_rescue(program))
            if self.journal is None and self._reverts:
                return program
            if self.journal is None:
                program = await begin()
            elif self._reverts and (self._is_rescue(program) or random.random() < 0.5):
                program = await self._revert()
            else:
                program = await self._resume({})
        if random.random() < 0.3 and self.journal is not None and not self._is_rescue(program):
            await self._resume({})
        return program

    def _is_rescue(self, program: Program) -> bool:
        """Whether the latest run of the journal is a rescue, with which no resume goes on."""
        run = latest_run(program.process)
        return self.world.oracle.rescue is not None and (run is None or run.kind != "revert")

    @staticmethod
    def _is_open(program: Program) -> bool:
        return not _OPEN.isdisjoint(program.told.values())

    async def _wait(self, program: Program) -> None:
        """Wait a while before what is open is done, and have a token renewed if one was refused."""
        world = self.world
        await asyncio.sleep(10 ** world.more.uniform(0, 2.5))
        if program.refused and world.plan.renewed and world.keys.renew():
            world.oracle.counts["tokens renewed"] += 1

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

        for _ in range(_PLANS):
            await self.execute("plan", work, doomed=False)
            self._was_unread = self.programs[-1].hears_badly
            if not self._was_unread:
                break
            await self._wait(self.programs[-1])
        return made[-1] if made else None

    async def _apply(self) -> Program:
        plan, changes = self.world.plan, self._changes
        assert changes is not None
        self.journal = self.new_path()
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

    def _is_undisturbed(self, program: Program) -> bool:
        """Whether nothing but outages can have kept a run from its end."""
        plan = self.world.plan
        around = plan.refused or plan.blocked or plan.neighbour or plan.urgent
        stops = program.stopped or program.options["max_failures"] is not None
        return plan.is_harmless and not (around or stops or program.options["canary"])

    async def _revert(self, given: dict[str, Any] | None = None) -> Program:
        self.world.oracle.counts["reverts"] += 1
        path, plan = self.journal, self.world.plan
        assert path is not None
        given = given or {"concurrency": plan.concurrency, "canary": plan.canary}
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
                if self._is_undisturbed(program):
                    seconds = world.weather.within(program.begun, oracle.now())
                    endures(oracle, program, seconds)
                # A revert that has just begun may have settled what was in flight before.
                began = run.number > program.run
                if not began and not program.unended and program.requests:
                    oracle.breaks(program, f"F13 all had ended, and it sends {program.requests}")
                if world.plan.is_quiet and not program.stopped:
                    targets = program.unended + (run.total if began else 0)
                    is_modest(oracle, program, targets)

        doomed = not _FREE.items() <= given.items()
        program = await self.execute(kind, work, doomed=doomed, stop=stop)
        if program.cut and not program.process.dead:
            program.options = {**given, "same": world.same}
        return program
