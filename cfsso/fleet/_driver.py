"""Drives a run: one account after the other from the journal, each to its outcomes."""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import attrs

from cfsso.errors import JournalError
from cfsso.fleet._account import Account
from cfsso.fleet._deciding import ended
from cfsso.fleet._means import Means, tell_wait
from cfsso.fleet._paging import groups_of, pages_of
from cfsso.fleet._plain import now
from cfsso.fleet._targets import Ending, Target
from cfsso.fleet.outcomes import Outcome, OutcomeStatus

_PAGE: Final = 1000
# Accounts that wait for limits let others go on, but not any number.
_MANY: Final = 256
# For what is under way when the run is stopped.
_SECONDS_TO_SETTLE: Final = 30.0
_MOST_BUGS: Final = 10


class Driver:
    """
    The latest run of a journal, on its way.

    Args:
        means: What its accounts share; the journal has the run as its latest.
        concurrency: How many accounts may be under way at once.
        stop: Once it is set nothing more begins, and what is under way has half a minute.
    """

    def __init__(self, means: Means, *, concurrency: int, stop: asyncio.Event) -> None:
        self._means = means
        self._journal = means.journal
        self._gate = means.gate
        self._stop = stop
        # Accounts that have begun, and whose outcomes were not taken yet.
        self._room = asyncio.Semaphore(max(concurrency, _MANY))
        self._results: asyncio.Queue[Sequence[Outcome] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        # Those that may be cut off: they are not yet at their end.
        self._cuttable: set[asyncio.Task[None]] = set()
        # What was settled has its outcome, even if the journal could not be told.
        self._told: set[int] = set()
        self._passed_by: dict[int, Ending] = {}
        self._broken: JournalError | None = None
        self._bugs: list[Exception] = []
        means.outage.on_over = self._cut_off

    async def outcomes(self) -> AsyncGenerator[Outcome]:
        """
        Yield the outcome of each open target, an account at a time as they come to their end.

        What was under way when the run was cut off is settled before anything is written.
        If this is closed or cancelled, it is as if it were stopped, but nobody except the
        journal hears of the outcomes.

        Raises:
            JournalError: After the last outcome, if not all of them are in the journal.
            ExceptionGroup: After the last outcome: something was a bug.
        """
        driving = asyncio.create_task(self._drive())
        stopping = asyncio.create_task(self._heed_stop())
        try:
            while (results := await self._results.get()) is not None:
                for outcome in results:
                    yield outcome
                self._room.release()
        finally:
            self._gate.close("")
            await self._wind_up(driving, stopping)
        if self._broken is not None:
            raise self._broken
        if self._bugs:
            raise ExceptionGroup("what ended a run, or a part of it, is a bug", self._bugs)

    async def settle(self) -> None:
        """
        Settle what was under way when the run was cut off, since the opposite is to be written.

        A write that can't be seen yet may still arrive, so it has half a minute to do so.
        """
        moments = [await self._journal.last_taken_back()]
        groups = await self._in_flight()
        accounts = await asyncio.gather(*map(self._settled, groups))
        for targets, account in zip(groups, accounts, strict=True):
            left = [t for t in targets if t.position not in account.endings]
            moments += [target.intent.at for target in left if target.intent is not None]
        seconds = max((_left_to_arrive(at) for at in moments if at is not None), default=0.0)
        if seconds:
            tell_wait(self._means.connectors, self._means.operation, "in flight", seconds)
            await asyncio.sleep(seconds)
        await asyncio.gather(*map(self._settle_at_last, groups, accounts))
        # Those are positions of the run that is taken back.
        self._told.clear()

    async def _settle_at_last(self, targets: list[Target], account: Account) -> None:
        if any(target.position not in account.endings for target in targets):
            account = await self._settled(targets)
        await self._keep(targets, account.endings, settling=True)

    async def _settled(self, targets: list[Target]) -> Account:
        account = Account(self._means, targets)
        try:
            await account.settle()
        finally:
            account.visit.end()
        return account

    async def _drive(self) -> None:
        pages = pages_of(self._journal)
        try:
            # Before anything is written, lest it can't be read any more when that fails.
            first: list[Target] = await anext(pages, [])
            for targets in await self._in_flight():
                await self._begin(targets, settling=True)
            await self._wait_for_all()
            rank = 0
            async for targets in groups_of(first, pages, self._told):
                if targets[0].rank > rank:
                    await self._wait_for_all()
                    rank = targets[0].rank
                await self._begin(targets)
            await self._wait_for_all()
            await self._record_passed_by()
        except Exception as error:  # noqa: BLE001 - whoever takes the outcomes raises it
            self._break(error)
            self._gate.close("")
            await self._wait_for_all()
        finally:
            await pages.aclose()
        self._means.outage.end()
        self._results.put_nowait(None)

    async def _heed_stop(self) -> None:
        await self._stop.wait()
        self._gate.close("")
        await asyncio.sleep(_SECONDS_TO_SETTLE)
        self._cut_off()

    def _cut_off(self) -> None:
        for task in self._cuttable:
            task.cancel()

    async def _wind_up(self, *others: asyncio.Task[None]) -> None:
        for task in others:
            task.cancel()
        try:
            # Whoever closes what was stopped before does not want to wait.
            if self._tasks and not self._stop.is_set():
                await asyncio.wait(self._tasks, timeout=_SECONDS_TO_SETTLE)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, *others, return_exceptions=True)
            self._means.outage.end()

    async def _in_flight(self) -> Sequence[list[Target]]:
        accounts: dict[str, list[Target]] = {}
        for target in await self._journal.in_flight():
            accounts.setdefault(target.account_id, []).append(target)
        return [*accounts.values()]

    async def _begin(self, targets: list[Target], *, settling: bool = False) -> None:
        await self._room.acquire()
        if self._gate.reason is not None and not settling:
            await self._pass_by(targets, self._gate.reason)
            return
        task = asyncio.create_task(self._run(targets, settling=settling))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_by(self, targets: list[Target], reason: str) -> None:
        endings = {target.position: _not_attempted(reason) for target in targets}
        self._results.put_nowait([t.outcome(endings[t.position]) for t in targets])
        if reason and self._broken is None:
            self._passed_by |= endings
        if len(self._passed_by) >= _PAGE:
            await self._record_passed_by()

    async def _record_passed_by(self) -> None:
        endings, self._passed_by = self._passed_by, {}
        if endings and self._broken is None:
            await self._journal.end(endings)

    async def _wait_for_all(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, targets: list[Target], *, settling: bool) -> None:
        account = Account(self._means, targets)
        endings: dict[int, Ending] = {}
        try:
            reason = await self._bring(account, settling=settling)
            endings = _endings(targets, account, reason, settling=settling)
            await self._keep(targets, endings, settling=settling)
        except Exception as error:  # noqa: BLE001 - whoever takes the outcomes raises it
            self._break(error)
        finally:
            # The outcomes first, so that whoever takes them can stop what comes next.
            told = [t.outcome(endings[t.position]) for t in targets if t.position in endings]
            self._results.put_nowait(told)
            account.visit.end()

    async def _bring(self, account: Account, *, settling: bool) -> str:
        """Bring an account to its end, whatever happens; return why targets lack an ending."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - it is one
        self._cuttable.add(task)
        try:
            return await (account.settle() if settling else account.run())
        except asyncio.CancelledError:
            # It took too long to settle, or nothing answers; nothing else cancels this task.
            account.leave()
            return self._gate.reason or ""
        except Exception as error:  # noqa: BLE001 - what went wrong in one account ends no other
            account.leave()
            return self._break(error)
        finally:
            self._cuttable.discard(task)

    async def _keep(
        self, targets: list[Target], endings: dict[int, Ending], *, settling: bool
    ) -> None:
        """Let the journal know what is known; a write that surely was not done is no intent."""
        if settling:
            self._told.update(endings)
        for target in targets if settling else ():
            if target.position not in endings:
                await self._journal.forget(target.position)
        await self._journal.end({n: e for n, e in endings.items() if _says_something(e)})

    def _break(self, error: Exception) -> str:
        """Remember what has gone wrong; return it in a few words."""
        if isinstance(error, JournalError):
            self._broken = self._broken or error
            self._gate.close(str(error))
            return str(error)
        if len(self._bugs) < _MOST_BUGS:
            self._bugs.append(error)
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        return f"a bug in cfsso ended this account: {type(cause).__name__}"


def _endings(
    targets: list[Target], account: Account, reason: str, *, settling: bool
) -> dict[int, Ending]:
    found: dict[int, Ending] = {}
    for target in targets:
        ending = account.endings.get(target.position)
        if ending is None and not settling:
            before = account.visit.seen(target.sso_connector_id)
            ending = attrs.evolve(_not_attempted(reason), before=before)
        if ending is not None:
            found[target.position] = ending
    return found


def _not_attempted(reason: str) -> Ending:
    return ended(OutcomeStatus.NOT_ATTEMPTED, reason)


def _says_something(ending: Ending) -> bool:
    """Whether the journal is to have an ending: all, but for what was merely not begun."""
    is_begun = ending.status is not OutcomeStatus.NOT_ATTEMPTED
    return is_begun or bool(ending.note) or ending.error is not None


def _left_to_arrive(intended: dt.datetime) -> float:
    """Return the seconds for which a write may still arrive; it left a while after its intent."""
    age = (now() - intended).total_seconds()
    return min(max(0.0, 2 * _SECONDS_TO_SETTLE - age), _SECONDS_TO_SETTLE)
