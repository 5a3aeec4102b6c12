"""Work on a journal's file: in a thread of its own, with one commit for all who wait for one."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

from cfsso.errors import CfssoError, InvalidRequestError, JournalError
from cfsso.fleet import _complaints, _plain
from cfsso.fleet._store import Record, Sent, Store

T = TypeVar("T")


class Commits:
    """
    Lets tasks of one event loop work on a store.

    Attributes:
        store: Only its thread may use it, except for what it shows as attributes.
        turn: Held by whoever has a transaction.
        begins: Whether a run is being written down, so that there is none to resume.
    """

    def __init__(self, path: str, store: Store, thread: ThreadPoolExecutor) -> None:
        self.store = store
        self.turn = asyncio.Lock()
        self.begins = False
        self._path = path
        self._thread = thread
        self._queue: list[tuple[Record, asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._refusal: CfssoError | None = None
        self._sent = Counter[tuple[str, str]]()
        self._first: Callable[[], None] | None = None

    @classmethod
    async def start(cls, path: str, make: Callable[[], Store]) -> Self:
        """Return the work on the store that *make* gives, in the thread that will have it."""
        thread = ThreadPoolExecutor(1, "cfsso-journal")
        made: list[Store] = []
        run = asyncio.get_running_loop().run_in_executor
        try:
            await run(thread, lambda: made.append(make()))
        except BaseException:
            # Whoever was cancelled meanwhile must not keep the lock.
            thread.submit(_close_all, made)
            thread.shutdown(wait=False)
            raise
        return cls(path, made[0], thread)

    def do_first(self, work: Callable[[], None]) -> None:
        """Do *work* before anything else that is asked for; each call fails until it succeeds."""
        self._first = work

    def refuse(self, refusal: CfssoError) -> None:
        """Let nobody write from now on."""
        self._refusal = self._refusal or refusal

    def count(self, credential: str) -> None:
        """Count one request that is sent now; the next commit writes it down."""
        second = str(_plain.of_time(_plain.now().replace(microsecond=0)))
        self._sent[second, credential] += 1

    def take_sent(self) -> Sent:
        """Return what was counted since the last time."""
        sent, self._sent = self._sent, Counter[tuple[str, str]]()
        return sent

    async def put(self, record: Record) -> None:
        """Write *record* with the next commit; it is durable at return."""
        done = asyncio.get_running_loop().create_future()
        self._queue.append((record, done))
        if self._committing is None:
            # A task of its own: the record of one who is cancelled may be with others'.
            self._committing = asyncio.create_task(self._commit_all())
        await done

    async def _commit_all(self) -> None:
        while self._queue:
            async with self.turn:
                batch, self._queue = self._queue, []
                results = await self._commit([record for record, _ in batch])
            for (_, done), result in zip(batch, results, strict=True):
                _settle(done, result)
        self._committing = None

    async def _commit(self, records: Sequence[Record]) -> Sequence[CfssoError | None]:
        try:
            return await self.write(self.store.commit, records, self.take_sent())
        except CfssoError as error:
            return [error] * len(records)

    async def write(self, work: Callable[..., T], *args: Any) -> T:
        """
        Do *work*, which writes.

        Raises:
            JournalError: It failed; so does every other write from now on.
        """
        if self._refusal is not None:
            raise _again(self._refusal)
        try:
            return await self._work(work, *args)
        except CfssoError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the file may lack what it should have
            begun = bool(self.store.runs) and not self.begins
            failure = JournalError(_complaints.unwritable(self._path, error, begun=begun))
            self.refuse(failure)
            raise failure from None

    async def read(self, work: Callable[..., T], *args: Any) -> T:
        """
        Do *work*, which reads.

        Raises:
            JournalError: It failed.
        """
        try:
            return await self._work(work, *args)
        except CfssoError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            text = _complaints.unreadable(self._path, error, then="no more is sent")
            raise JournalError(text) from None

    async def undo(self) -> None:
        """Abandon a run that was begun, even if whoever began it is cancelled again."""
        await asyncio.shield(self._work(self.store.abandon))

    async def _work(self, work: Callable[..., T], *args: Any) -> T:
        if self._closing is not None and self._closing.done():
            raise InvalidRequestError(_closed(self._path))
        run = asyncio.get_running_loop().run_in_executor
        return await run(self._thread, self._after_the_first, work, *args)

    def _after_the_first(self, work: Callable[..., T], *args: Any) -> T:
        if self._first is not None:
            self._first()
            self._first = None
        return work(*args)

    async def close(self) -> None:
        """Write what was counted, if that is possible, and close the store; never raises."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._committing is not None:
            await self._committing
        # What failed once is not tried again.
        sent = self.take_sent() if self._refusal is None else {}
        self.refuse(InvalidRequestError(_closed(self._path)))
        self._first = None
        await self._work(self.store.close, sent)
        self._thread.shutdown(wait=False)


def _close_all(stores: Sequence[Store]) -> None:
    for store in stores:
        store.close({})


def _settle(done: asyncio.Future[None], result: CfssoError | None) -> None:
    if done.done():
        return
    if result is None:
        done.set_result(None)
    else:
        done.set_exception(_again(result))


def _again(refusal: CfssoError) -> CfssoError:
    """Return a refusal once more; an exception that many raise would grow."""
    return type(refusal)(str(refusal))


def _closed(path: str) -> str:
    return f"{path or 'the journal'} is closed"
