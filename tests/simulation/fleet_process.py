"""A process that may die at any moment: its tasks, its files, and a disk that takes its time."""

import asyncio
import contextlib
import datetime as dt
import shutil
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator
from concurrent.futures import Executor
from contextvars import ContextVar
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Final, TypeVar, TypeVarTuple

import attrs
from fleet_record import Handed, Killed
from sim_links import EPOCH

from cfsso.fleet import _opening, _plain, _rescue_journal, _schema
from cfsso.fleet._store import Store
from cfsso.testing import VirtualTimeLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# How often the tasks of a dead process may want to be cancelled.
_ROUNDS: Final = 200


class FleetLoop(VirtualTimeLoop):
    """A loop that knows whose task is whose, and whose disk is a part of the world."""

    def __init__(self) -> None:
        super().__init__()
        self.set_task_factory(_make_task)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Let the disk of the process do it."""
        del executor
        return PROCESS.get().disk.do(lambda: func(*args))


class Process:
    """
    One run of a program: everything that is lost when it is killed.

    Attributes:
        number: From 0, in the order in which they began.
        kind: What it does, such as ``resume``.
        disk: Where its journal is.
        stores: The journals that it opened.
        records: The ways to its threads that keep the record of a rescue.
        tasks: Those of its tasks that have not ended.
        dead: Whether it was killed.
        over: Is set when it was killed.
        on_open: Is called when it has opened a journal.
        doom: At the how manieth of which points it dies. ``None``: at none.
    """

    def __init__(self, number: int, kind: str, random: Random, slowness: float) -> None:
        self.number = number
        self.kind = kind
        self.disk = Disk(self, random, slowness)
        self.stores: list[Store] = []
        self.records: list[Handed] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.dead = False
        self.over = asyncio.Event()
        self.on_open: Callable[[], object] = lambda: None
        self.doom: tuple[str, int] | None = None
        self._passed: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"{self.kind} {self.number}"

    def begin(self, work: Awaitable[Any]) -> "asyncio.Task[Any]":
        """Begin *work* as its main task."""
        token = PROCESS.set(self)
        try:
            return asyncio.ensure_future(work)
        finally:
            PROCESS.reset(token)

    def passes(self, point: str) -> None:
        """Go past a point of its way, or die there; whoever is dead gets no further."""
        self._passed[point] = self._passed.get(point, 0) + 1
        if self.doom == (point, self._passed[point]):
            self.die()
        if self.dead:
            raise asyncio.CancelledError

    def die(self) -> None:
        """Be killed: nothing that its tasks do from now on reaches anybody."""
        self.dead = True
        self.over.set()

    async def bury(self, journal: Path, copy: Path) -> None:
        """Copy the journal as the kill has left it, and clear away what only tests have."""
        _copy(journal, copy)
        for _ in range(_ROUNDS):
            if not self.tasks:
                break
            for task in self.tasks:
                task.cancel()
            await asyncio.sleep(0)
        self.close()

    def close(self) -> None:
        """Close what a process that was killed has left open."""
        for record in self.records:
            record.kill()
        for store in filter(_is_open, self.stores):
            store.close({})


PROCESS: ContextVar[Process] = ContextVar("simulated_process")
"""Whose task it is; what the world does is nobody's."""


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> "asyncio.Task[Any]":
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **options)
    context = options.get("context")
    process = PROCESS.get(None) if context is None else context.get(PROCESS)
    if process is not None:
        process.tasks.add(task)
        task.add_done_callback(process.tasks.discard)
    return task


class Disk:
    """Does one job after the other; a kill finds each of them not begun, or done and not known."""

    def __init__(self, process: Process, random: Random, slowness: float) -> None:
        self._process = process
        self._random = random.random
        self._slowness = slowness
        self._jobs: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._busy = False

    def do(self, job: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Return what will have the result of *job*."""
        self._process.passes("job")
        future = asyncio.get_running_loop().create_future()
        self._jobs.append((job, future))
        if not self._busy:
            self._begin()
        return future

    def _begin(self) -> None:
        self._busy = bool(self._jobs)
        if not self._busy:
            return
        job, future = self._jobs.popleft()
        result: Any = None
        early = self._random() < 0.5
        if early:
            result = _tried(job)
        seconds = self._slowness * self._random()
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, self._end, None if early else job, result, future)

    def _end(
        self, job: Callable[[], Any] | None, result: Any, future: "asyncio.Future[Any]"
    ) -> None:
        if self._process.dead:
            return
        value, error = result if job is None else _tried(job)
        if not future.done():
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
        self._begin()


def _tried(job: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return job(), None
    except Exception as error:  # noqa: BLE001 - whoever waits gets it
        return None, error


def _copy(journal: Path, copy: Path) -> None:
    for end in ("", "-journal"):
        there = Path(f"{journal}{end}")
        if there.exists():
            shutil.copy(there, f"{copy}{end}")


class _KnownStore(Store):
    """A store that its process knows of."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.closed = False
        process = PROCESS.get()
        process.stores.append(self)
        process.on_open()

    def close(self, sent: Any) -> None:
        """Close the file, once: its descriptor may be another's by then."""
        if not self.closed:
            self.closed = True
            super().close(sent)


def _is_open(store: Store) -> bool:
    """Whether nobody has closed it, as is done with what is refused."""
    try:
        store.connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def endings_of(store: Store) -> list[tuple[str, str, str]]:
    """Return connector, status and wish of all that has ended in the latest run."""
    return store.connection.execute(
        "SELECT sso_connector_id, status, wished FROM endings e JOIN targets t"
        " ON t.run=e.run AND t.position=e.position WHERE e.run=?",
        (store.latest,),
    ).fetchall()


def unended(store: Store, closed: Collection[str]) -> int:
    """Return how many targets of the latest run have no ending, or none of *closed*."""
    marks = ",".join("?" * len(closed))
    select = f"SELECT (SELECT count(*) FROM targets WHERE run=?) - (SELECT count(*) FROM endings WHERE run=? AND status IN ({marks}))"  # noqa: S608,E501 - marks only
    found: tuple[int] = store.connection.execute(
        select, (store.latest, store.latest, *closed)
    ).fetchone()
    return found[0]


def intended(store: Store) -> list[tuple[str, str]]:
    """Return account and connector of all that a run has intended, even what was taken back."""
    return store.connection.execute(
        "SELECT DISTINCT account_id, sso_connector_id FROM intents i JOIN targets t"
        " ON t.run=i.run AND t.position=i.position WHERE i.run=?",
        (store.latest,),
    ).fetchall()


@attrs.frozen
class _Wall:
    """The module ``datetime``, whose present is the loop's."""

    loop: asyncio.AbstractEventLoop

    def now(self, zone: dt.tzinfo) -> dt.datetime:
        """Return the present."""
        return dt.datetime.fromtimestamp(EPOCH + self.loop.time(), zone)


@contextlib.contextmanager
def simulated(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let journals live in the time of *loop*; what a power loss takes is not simulated."""
    kept: Any = (_schema, _opening, _plain, _rescue_journal)
    connect, store, wall = kept[0].connect, kept[1].Store, kept[2].dt
    queue, work = kept[3].queue, kept[3].RescueJournal._work

    def in_turn(record: Any) -> None:
        """Do the work of the thread when the disk says so."""
        try:
            record._queue.wait()
            work(record)
        except Killed:
            pass
        finally:
            record._queue.end()

    kept[0].connect = lambda name, **options: connect(name, **{**options, "durable": False})
    kept[1].Store = _KnownStore
    kept[2].dt = SimpleNamespace(datetime=_Wall(loop), UTC=dt.UTC)
    kept[3].queue = SimpleNamespace(SimpleQueue=lambda: Handed(PROCESS.get()))
    kept[3].RescueJournal._work = in_turn
    try:
        yield
    finally:
        kept[0].connect, kept[1].Store, kept[2].dt = connect, store, wall
        kept[3].queue, kept[3].RescueJournal._work = queue, work
