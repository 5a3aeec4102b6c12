"""Runs that are cut off: what a journal had at that moment, and a server that goes on."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from worlds import Through, World

import cfsso
from cfsso.fleet import Outcome


class Crashing(Through):
    """
    A transport on which a run is cut off at its *nth* write, before or after it is done.

    The journal of that moment is copied; nothing of the run is sent or answered after it.
    """

    def __init__(self, world: World, journal: Path, nth: int, *, done: bool) -> None:
        super().__init__(world.cloud)
        self._journal = journal
        self._nth = nth
        self._done = done
        self._writes = 0
        self.copy = journal.with_name(f"{journal.name}-copy")
        self.crashed = asyncio.Event()

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*, or never answer it."""
        if self.crashed.is_set():
            await asyncio.Event().wait()
        self._writes += request.is_write
        if request.is_write and self._writes == self._nth:
            if self._done:
                await super().send(request)
            await self._copy()
            self.crashed.set()
            await asyncio.Event().wait()
        return await super().send(request)

    async def _copy(self) -> None:
        """Copy the journal between two commits, so that the copy by itself is whole."""
        rest = self._journal.with_name(f"{self._journal.name}-journal")
        while True:
            before = self._journal.stat().st_mtime_ns
            shutil.copy(self._journal, self.copy)
            if not rest.exists() and before == self._journal.stat().st_mtime_ns:
                return
            await asyncio.sleep(0)


async def crash(
    world: World,
    journal: Path,
    nth: int,
    begin: Callable[[cfsso.AsyncSSOConnectors, Path], AsyncGenerator[Outcome, None]],
    *,
    done: bool,
) -> Path:
    """Let a run be cut off at its *nth* write; return the journal as it was then."""
    transport = Crashing(world, journal, nth, done=done)

    async def run() -> None:
        """Take the outcomes until there are no more."""
        async for _ in begin(cfsso.AsyncSSOConnectors(transport), journal):
            pass

    task = asyncio.create_task(run())
    waiting = asyncio.create_task(transport.crashed.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    assert transport.crashed.is_set()
    task.cancel()
    await asyncio.wait({task})
    transport.copy.replace(journal)
    return journal
