"""Drives a run: one account after the other from the journal, each to its outcomes."""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final

from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import JournalError
from cfsso.fleet._account import Account
from cfsso.fleet._deciding import ended
from cfsso.fleet._gate import Gate
from cfsso.fleet._journal import Journal
from cfsso.fleet._plain import now
from cfsso.fleet._targets import Place, Target
from cfsso.fleet._visit import Means
from cfsso.fleet.outcomes import Outcome, OutcomeStatus
from cfsso.models import SSOConnector

# More of one account are taken in parts; the API's answer to a list holds fewer.
_LARGEST: Final = 5000
_PAGE: Final = 1000
_FIRST_PAGE: Final = 100
# Accounts that wait for limits let others go on, but not any number.
_MANY: Final = 256
# For what is under way when the run is stopped.
_SECONDS_TO_SETTLE: Final = 30.0


class Driver:
    """
    The latest run of a journal, on its way.

    Args:
        connectors: Where the targets are.
        journal: Has the run as its latest.
        gate: How much may be under way.
        concurrency: How many accounts, and requests, may be under way at once.
        stop: Once it is set nothing more begins, and what is under way has half a minute.
    """

    def __init__(
        self,
        connectors: AsyncSSOConnectors,
        journal: Journal,
        gate: Gate,
        *,
        concurrency: int,
        stop: asyncio.Event,
    ) -> None:
        self._journal = journal
        self._gate = gate
        self._stop = stop
        self._means = Means(
            connectors=connectors,
            journal=journal,
            gate=gate,
            active=asyncio.Semaphore(concurrency),
            places=asyncio.Semaphore(concurrency),
        )
        # Accounts that have begun, and whose outcomes were not taken yet.
        self._room = asyncio.Semaphore(max(concurrency, _MANY))
        self._results: asyncio.Queue[Sequence[Outcome] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsettled: set[int] = set()
        self._broken: Exception | None = None

    async def outcomes(self) -> AsyncGenerator[Outcome]:
        """
        Yield the outcome of each open target, an account at a time as they come to their end.

        What was under way when the run was cut off is settled before anything is written.
        If this is closed or cancelled, it is as if it were stopped, but nobody except the
        journal hears of the outcomes.

        Raises:
            JournalError: After the last outcome, if not all of them are in the journal.
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

    async def settle(self) -> None:
        """
        Settle what was under way when the run was cut off, since the opposite is to be written.

        A write that can't be seen yet may still arrive, so it has half a minute to do so.
        """
        taken_back = await self._journal.last_taken_back()
        await asyncio.gather(*map(self._settle, await self._in_flight()))
        if taken_back is not None:
            await asyncio.sleep(_left_to_arrive(taken_back))
        # Those are positions of the run that is taken back.
        self._unsettled.clear()

    async def _settle(self, targets: list[Target]) -> None:
        account = await self._settled(targets)
        begun = [t.intent.at for t in targets if t.intent and t.position not in account.endings]
        if begun:
            await asyncio.sleep(_left_to_arrive(max(begun)))
            account = await self._settled(targets)
        await self._keep(targets, account, settling=True)

    async def _settled(self, targets: list[Target]) -> Account:
        account = Account(self._means, targets)
        try:
            await account.settle()
        finally:
            account.visit.let_another_go()
        return account

    async def _drive(self) -> None:
        try:
            for targets in await self._in_flight():
                await self._begin(targets, settling=True)
            await self._wait_for_all()
            rank = 0
            async for targets in self._groups():
                if targets[0].rank > rank:
                    await self._wait_for_all()
                    rank = targets[0].rank
                await self._begin(targets)
            await self._wait_for_all()
        except Exception as error:  # noqa: BLE001 - whoever takes the outcomes raises it
            self._break(error)
            await self._wait_for_all()
        self._results.put_nowait(None)

    async def _heed_stop(self) -> None:
        await self._stop.wait()
        self._gate.close("")
        await asyncio.sleep(_SECONDS_TO_SETTLE)
        for task in self._tasks:
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

    async def _in_flight(self) -> Sequence[list[Target]]:
        accounts: dict[str, list[Target]] = {}
        for target in await self._journal.in_flight():
            accounts.setdefault(target.account_id, []).append(target)
        return [*accounts.values()]

    async def _groups(self) -> AsyncGenerator[list[Target]]:
        """Yield what is open by rank and account."""
        after: Place | None = None
        group: list[Target] = []
        # The first one is small, so that something begins at once.
        limit = _FIRST_PAGE
        while page := await self._journal.pages(after=after, limit=limit):
            after, limit = page[-1].place, _PAGE
            for target in page:
                if target.position in self._unsettled:
                    continue
                if group and (target.place[:2] != group[0].place[:2] or len(group) == _LARGEST):
                    yield group
                    group = []
                group.append(target)
        if group:
            yield group

    async def _begin(self, targets: list[Target], *, settling: bool = False) -> None:
        await self._room.acquire()
        if self._gate.reason is not None and not settling:
            reason = self._gate.reason
            self._results.put_nowait([_not_attempted(target, reason) for target in targets])
            return
        task = asyncio.create_task(self._run(targets, settling=settling))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait_for_all(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, targets: list[Target], *, settling: bool) -> None:
        account = Account(self._means, targets)
        outcomes, reason = list[Outcome](), ""
        try:
            try:
                reason = await (account.settle() if settling else account.run())
            except asyncio.CancelledError:
                # It took too long to settle; nothing else cancels this task.
                account.leave()
            outcomes += _outcomes(targets, account, reason, settling=settling)
            await self._keep(targets, account, settling=settling)
        except Exception as error:  # noqa: BLE001 - as above
            self._break(error)
        finally:
            # The outcomes first, so that whoever takes them can stop what comes next.
            self._results.put_nowait(outcomes)
            account.visit.let_another_go()

    async def _keep(self, targets: list[Target], account: Account, *, settling: bool) -> None:
        """Let the journal know what is known; a write that surely was not done is no intent."""
        for target in targets if settling else ():
            ending = account.endings.get(target.position)
            if ending is None:
                await self._journal.forget(target.position)
            elif ending.status is OutcomeStatus.UNKNOWN:
                self._unsettled.add(target.position)
        attempted = {
            position: ending
            for position, ending in account.endings.items()
            if ending.status is not OutcomeStatus.NOT_ATTEMPTED
        }
        await self._journal.end(attempted)

    def _break(self, error: Exception) -> None:
        if isinstance(error, JournalError):
            self._broken = self._broken or error
            self._gate.close(str(error))
            return
        self._broken = ExceptionGroup("what ended a run is a bug", [error])
        self._gate.close("")
        # Nobody is to take for outcomes what comes after a bug.
        self._results.put_nowait(None)


def _outcomes(
    targets: list[Target], account: Account, reason: str, *, settling: bool
) -> Iterator[Outcome]:
    for target in targets:
        ending = account.endings.get(target.position)
        if ending is not None:
            yield target.outcome(ending)
        elif not settling:
            yield _not_attempted(target, reason, account.visit.seen(target.sso_connector_id))


def _not_attempted(target: Target, reason: str, before: SSOConnector | None = None) -> Outcome:
    return target.outcome(ended(OutcomeStatus.NOT_ATTEMPTED, reason, before=before))


def _left_to_arrive(intended: dt.datetime) -> float:
    """Return the seconds for which a write may still arrive; it left a while after its intent."""
    age = (now() - intended).total_seconds()
    return min(max(0.0, 2 * _SECONDS_TO_SETTLE - age), _SECONDS_TO_SETTLE)
