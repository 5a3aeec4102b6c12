"""The journal of a run: what is about to be written, and how every target ended."""

import datetime as dt
import os
from collections.abc import AsyncIterable, Collection, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import attrs

from cfsso.errors import InvalidRequestError
from cfsso.fleet import _opening, _plain, _rows
from cfsso.fleet._commits import Commits
from cfsso.fleet._store import Store
from cfsso.fleet._targets import Ending, Intent, Place, Run, RunKind, Target
from cfsso.fleet.outcomes import OutcomeStatus

_CHUNK = 1000
_MOST = 2**62
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Journal:
    """
    The journal of one run and of those that take it back, in one file.

    What a call wrote is durable once the call returns. After a write that failed every
    other one raises `JournalError`; what was read before stays readable. Calls may
    overlap, and share commits then.

    Attributes:
        path: As it was given; empty: a temporary one, of which nothing stays.
    """

    def __init__(self, path: str, commits: Commits) -> None:
        self.path = path
        self._commits = commits
        self._store = commits.store

    @classmethod
    async def create(cls, path: str | os.PathLike[str] | None, *, server: str = "") -> "Journal":
        """
        Make a journal, which only its user may read, and hold it.

        Args:
            path: ``None``: a temporary one.
            server: Which server its runs reach. Empty: not known.

        Raises:
            InvalidRequestError: The file exists, or can't be made.
        """
        if path is None:
            return cls("", await Commits.start("", _opening.temporary))
        name = _opening.name_of(path)
        return cls(name, await Commits.start(name, partial(_opening.create, name, server)))

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        *,
        readonly: bool = False,
        server: str = "",
        resuming: bool = False,
    ) -> "Journal":
        """
        Open a journal, check all of it, and hold it.

        The file stays as it is until the first call that reads or writes targets: that
        one writes down who holds it, brings an earlier format up to the present one, and
        fills in *server* if the journal does not know one.

        Args:
            path: Its file.
            readonly: Whether only to read it as it is now, whoever writes it.
            server: Which server the caller reaches. Empty: not known.
            resuming: Whether to go on with its latest run, which a rescue does not allow.

        Raises:
            InvalidRequestError: It is missing, no journal, damaged, of a later version,
                held by somebody else, of another server, or can't be resumed.
        """
        name = _opening.name_of(path)
        if readonly:
            commits = await Commits.start(name, partial(_opening.to_read, name))
            commits.refuse(InvalidRequestError(f"{name} was opened for reading only"))
        else:
            commits = await Commits.start(name, partial(_opening.to_write, name, server, resuming))
            commits.do_first(partial(_opening.own, name, commits.store, server))
        return cls(name, commits)

    @property
    def server(self) -> str:
        """Which server its runs reach. Empty: it is not known."""
        return self._store.server

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, in the order in which they began."""
        return tuple(self._store.runs)

    @property
    def run(self) -> Run:
        """
        The latest run.

        Raises:
            InvalidRequestError: There is none.
        """
        if not self._store.runs:
            raise InvalidRequestError(
                f"{self.path}: no run began, so nothing was sent: delete the file and start again"
            )
        return self._store.runs[-1]

    async def begin(
        self,
        targets: AsyncIterable[Target],
        *,
        kind: RunKind,
        reverts: int | None = None,
        merged: int = 0,
        plan: str | None = None,
        credentials: Collection[str] = (),
        options: Mapping[str, Any] = _NOTHING,
    ) -> Run:
        """
        Begin a run: write down all of its targets, or nothing.

        Args:
            targets: Their positions are kept, ``turn`` is filled in. What the iterator
                raises passes through.
            kind: What the run does.
            reverts: The number of the run that it takes back.
            merged: How many changes repeated an earlier one, and are not among the targets.
            plan: The digest of its plan.
            credentials: Fingerprints; looked at after the last target.
            options: What the run was told, as plain data.

        Raises:
            InvalidRequestError: A connector stands twice.
            JournalError: It can't be written.
        """
        async with self._commits.turn:
            run = self._store.new_run(
                kind, reverts=reverts, merged=merged, plan=plan, options=dict(options)
            )
            self._commits.begins = True
            try:
                await self._commits.write(self._store.begin)
                await self._add(targets)
                run = attrs.evolve(run, credentials=tuple(sorted(credentials)))
                await self._commits.write(self._store.seal, run, self._commits.take_sent())
            except BaseException:
                await self._commits.undo()
                raise
            finally:
                self._commits.begins = False
            return self.run

    async def _add(self, targets: AsyncIterable[Target]) -> None:
        chunk: list[Target] = []
        async for target in targets:
            chunk.append(target)
            if len(chunk) == _CHUNK:
                await self._commits.write(self._store.add, chunk)
                chunk = []
        await self._commits.write(self._store.add, chunk)

    async def pages(
        self,
        *,
        open_only: bool = True,
        after: Place | None = None,
        limit: int = 1000,
        run: int | None = None,
    ) -> list[Target]:
        """
        Return targets of a run, in the order of their places.

        Args:
            open_only: Leave out those of which it is known how they ended.
            after: Where the page before ended. ``None``: from the beginning.
            limit: How many at most.
            run: Its number. ``None``: the latest.

        Raises:
            JournalError: It can't be read any more.
        """
        return await self._commits.read(
            partial(self._store.pages, self._number(run), after, limit, open_only=open_only)
        )

    async def in_flight(self) -> list[Target]:
        """Return the open targets of the latest run that have an intent, in its order."""
        return await self._commits.read(self._store.in_flight)

    async def written(
        self, run: int, *, before_number: int | None = None, limit: int = 1000
    ) -> list[Target]:
        """
        Return the targets of *run* that have an intent, the latest intent first.

        Args:
            run: Its number.
            before_number: The last intent of the page before. ``None``: from the end.
            limit: How many at most.
        """
        before = _MOST if before_number is None else before_number
        return await self._commits.read(self._store.written, self._number(run), before, limit)

    async def endings(
        self, *, run: int | None = None, after_position: int = -1, limit: int = 1000
    ) -> list[Target]:
        """
        Return the targets that have an ending, by position and without their intents.

        Args:
            run: Its number. ``None``: the latest.
            after_position: The last of the page before.
            limit: How many at most.
        """
        return await self._commits.read(self._store.ended, self._number(run), after_position, limit)

    async def counts(self, run: int | None = None) -> Mapping[OutcomeStatus | None, int]:
        """
        Return how many targets ended how; what is not in it counts 0.

        Args:
            run: Its number. ``None``: the latest. Under the key ``None`` of the result
                are those that have not ended.
        """
        return await self._commits.read(self._store.counts, self._number(run))

    async def find(self, position: int) -> Target:
        """
        Return a target of the latest run.

        Raises:
            InvalidRequestError: There is none at *position*.
        """
        return await self._commits.read(self._store.target, self.run.number, position)

    async def intend(self, position: int, intent: Intent) -> None:
        """
        Write down what is about to be sent; durable at return.

        An earlier intent of the target stays in the file, but the later one counts.

        Args:
            position: Of the target, in the latest run.
            intent: Its number is given by the journal.
        """
        await self._commits.put(
            partial(Store.put_intent, position=position, cells=_rows.of_intent(intent))
        )

    async def end(self, endings: Mapping[int, Ending]) -> None:
        """
        Write down how targets of the latest run ended, by position; durable at return.

        Raises:
            InvalidRequestError: One has ended before, other than as unknown; none is
                written then.
        """
        cells = {position: _rows.of_ending(ending) for position, ending in endings.items()}
        await self._commits.put(partial(Store.put_endings, endings=cells))

    async def forget(self, position: int) -> None:
        """Take back the latest intent of a target, which surely was not sent; durable at return."""
        await self._commits.put(partial(Store.take_back, position=position))

    async def last_taken_back(self) -> dt.datetime | None:
        """Return when the youngest intent was written down that the latest run took back."""
        return await self._commits.read(self._store.last_taken_back)

    def count(self, credential: str) -> None:
        """Count one request that is sent now; the next commit writes it down."""
        self._commits.count(credential)

    async def activity(self, run: int | None = None) -> list[tuple[dt.datetime, str, int]]:
        """
        Return how many requests were sent in which second by which credential, in order.

        Args:
            run: Its number. ``None``: the latest.
        """
        rows = await self._commits.read(self._store.sent, self._number(run))
        return [(dt.datetime.fromisoformat(row[1]), row[2], row[3]) for row in rows]

    async def reopen_failed(self) -> int:
        """
        Make the failed targets of the latest run open again, as not attempted; return how many.

        Their reasons stay; their intents, which were refused, are taken back. Durable at
        return.

        Raises:
            JournalError: It can't be written; all stays as it was.
        """
        failed = (await self.counts()).get(OutcomeStatus.FAILED, 0)
        if failed:
            await self._commits.put(Store.reopen_failed)
        return failed

    async def finish(self) -> None:
        """Write down that the latest run has ended now, unless it had before."""
        if self.run.ended is None:
            run = attrs.evolve(self.run, ended=_plain.now())
            await self._commits.put(partial(Store.end_run, run=run))

    async def aclose(self) -> None:
        """
        Close the file and give it back; the second time does nothing.

        A journal that was made here, and in which no run began, is removed.
        """
        await self._commits.close()

    def _number(self, run: int | None) -> int:
        """Return the number of a run that there is."""
        number = self.run.number if run is None else run
        if not 0 < number <= len(self._store.runs):
            raise InvalidRequestError(f"{self.path} has no run {number}")
        return number
