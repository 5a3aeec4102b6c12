"""Where one process runs after the other, and any of them may be killed, stopped or cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fleet_links import SERVER, Exit
from fleet_process import Process
from fleet_truth import Program

import cfsso
from cfsso.transports import pacing

if TYPE_CHECKING:
    from fleet_world import FleetWorld

# Virtual seconds in which everything must have ended: a budget may rest for two hours.
_BOUND: Final = 7 * 3600.0


class Terminal:
    """
    Somebody's terminal.

    Attributes:
        world: Where it stands.
        programs: All processes that ran.
        journal: The journal of the present run, if there is one.
        left: What the last process left of the journal that it was given.
        ended: When the last process ended.
        kills: How many more may be killed.
    """

    def __init__(self, world: "FleetWorld") -> None:
        self.world = world
        self.programs: list[Program] = []
        self.journal: Path | None = None
        self.left: Path | None = None
        self.ended = 0.0
        self.kills = world.plan.kills
        self._copies = 0

    def new_path(self) -> Path:
        """Return the name of a journal that there is not yet."""
        self._copies += 1
        return self.world.folder / f"{self._copies}.cfsso"

    async def execute(
        self,
        kind: str,
        work: Callable[[Program, cfsso.AsyncSSOConnectors], Awaitable[None]],
        *,
        doomed: bool,
        stop: asyncio.Event | None = None,
        server: str = SERVER,
        journal: Path | None = None,
    ) -> Program:
        """
        Let a process do *work*, and perhaps be killed, stopped or cancelled meanwhile.

        Args:
            kind: What it does.
            work: What it is to do.
            doomed: Whether that may happen.
            stop: What tells it to stop.
            server: Where its requests go, as it is told.
            journal: A journal of its own. ``None``: the present one.
        """
        world, plan = self.world, self.world.plan
        loop = asyncio.get_running_loop()
        process = Process(len(self.programs), kind, world.random, plan.slowness)
        program = Program(process, begun=loop.time())
        process.on_open = lambda: world.oracle.opens(program)
        self.programs.append(program)
        world.oracle.counts["processes"] += 1
        world.oracle.note("begins", process)
        # What it counted is in its memory, and every process has its own.
        pacing._LANES.forget(loop)
        main = process.begin(work(program, self._client(program, server)))
        timer = self._doom(program, main, stop) if doomed else None
        over = loop.create_task(process.over.wait())
        await asyncio.wait({main, over}, timeout=_BOUND, return_when=asyncio.FIRST_COMPLETED)
        if timer is not None:
            timer.cancel()
        over.cancel()
        self.left = journal or self.journal
        await self._ends(program, main)
        if journal is None:
            self.journal = self.left
        if process.stores and kind != "stray":
            world.oracle.last = program
            world.oracle.earlier.append(program)
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
            self.left = None
        elif error is not None:
            raise error

    async def _bury(self, process: Process) -> None:
        copy = self.new_path()
        await process.bury(self.left or copy, copy)
        if self.left is not None:
            self.left = copy if copy.exists() else None

    def _client(self, program: Program, server: str) -> cfsso.AsyncSSOConnectors:
        world = self.world
        exit_ = Exit(world.roads, program, server)
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
            rate_limit=world.plan.limit,
        )

    def _doom(
        self, program: Program, main: "asyncio.Task[Any]", stop: asyncio.Event | None
    ) -> asyncio.TimerHandle | None:
        """Have it cut off in some way, or not at all."""
        random, loop = self.world.random, asyncio.get_running_loop()
        process = program.process

        def end(how: Callable[[], object]) -> None:
            """End it, and know that it was not by itself."""
            program.stopped = True
            how()

        fate = random.random()
        if self.kills and fate < 0.75:
            self.kills -= 1
            if random.random() < 0.3:
                return loop.call_later(10 ** random.uniform(-1.5, 1.7), process.die)
            point = random.choice(("job", "send", "sent", "answer"))
            process.doom = point, int(2 ** random.uniform(0, 6))
        elif fate < 0.83 and stop is not None:
            return loop.call_later(10 ** random.uniform(-1.5, 1.5), end, stop.set)
        elif fate < 0.9 and self.kills:
            self.kills -= 1
            return loop.call_later(10 ** random.uniform(-1.5, 1.5), end, main.cancel)
        return None
