"""Break the glass: get everybody back in, in every account, whatever happens in the others."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import attrs

from cfsso import _checks
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import CfssoError, InvalidRequestError, WriteState
from cfsso.events import Event, EventKind, OnEvent
from cfsso.fleet._drill import rehearse
from cfsso.fleet._judged import Sight, judged
from cfsso.fleet._locked import Seen, look, whole
from cfsso.fleet._writes import Writes
from cfsso.fleet.changes import Change
from cfsso.fleet.outcomes import Outcome, OutcomeStatus
from cfsso.models import SSOConnector

_CHANGED = OutcomeStatus.CHANGED
_NOT_ATTEMPTED = OutcomeStatus.NOT_ATTEMPTED

_Result = TypeVar("_Result")


async def break_glass(
    connectors: AsyncSSOConnectors,
    account_ids: Iterable[str],
    *,
    domain: str | None = None,
    drill: bool = False,
    concurrency: int = 200,
    stop: asyncio.Event | None = None,
) -> AsyncGenerator[Outcome]:
    """
    Disable all enabled connectors of accounts; yield outcomes as each account ends.

    Each account is listed, written to at once, and listed again: only the second list
    makes an outcome green. No plan, no verification and no guard stand in the way, and
    no failure ends the run. Rate limits are waited out, however long that takes.

    A connector has an outcome if it was to be disabled, or was found enabled in the
    end. An outcome without connector id is about its account as a whole: that it has
    nothing to disable, can't be read, or was not reached.

    Closing the iterator (`contextlib.aclosing`) cancels what is under way; leaving
    a loop over it with ``break`` alone does not close it.

    Args:
        connectors: Where the accounts are, with a token for each of them.
        account_ids: Which accounts; what repeats another one is left out.
        domain: Only connectors of this e-mail domain. ``None``: all.
        drill:
            Write nothing: say what would be disabled (``unchanged``), and in an outcome
            without connector id for each account whether its token works and until when.
            It can't show whether the token may write.
        concurrency:
            How many accounts may be under way at once, at least 1; those that wait for
            a rate limit or to try again do not count.
        stop:
            Once it is set no further write is begun; those that are, even if they
            wait for a rate limit yet, are finished and read back, and the rest ends as
            ``not_attempted``.

    Raises:
        InvalidRequestError: An argument can't be used; nothing was sent.
    """
    ids = _checked_ids(account_ids)
    _check_options(domain, drill, concurrency)
    connectors = connectors.with_options(max_wait=None)
    places = asyncio.Semaphore(concurrency)
    stop = stop or asyncio.Event()
    outcomes: asyncio.Queue[Outcome | None] = asyncio.Queue()

    async def work(account_id: str) -> None:
        """Bring one account to its outcomes."""
        await places.acquire()
        place = _Place(places, connectors.on_event)
        account = _Account(connectors.with_options(on_event=place), account_id, domain, stop)
        try:
            found = await (account.drill() if drill else account.rescue())
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the others
            found = [whole(account_id, OutcomeStatus.UNKNOWN, error=_as_ours(error))]
        finally:
            place.leave()
        for outcome in found:
            outcomes.put_nowait(outcome)

    async def work_all() -> None:
        """Run them all, and say when there is nothing more to come."""
        try:
            async with asyncio.TaskGroup() as workers:
                for account_id in ids:
                    workers.create_task(work(account_id))
        finally:
            outcomes.put_nowait(None)

    running = asyncio.create_task(work_all())
    try:
        while (outcome := await outcomes.get()) is not None:
            yield outcome
        await running
    finally:
        running.cancel()
        # Its own error, if any, is less than the reason for leaving early.
        await asyncio.gather(running, return_exceptions=True)


def _checked_ids(account_ids: Iterable[str]) -> Sequence[str]:
    if isinstance(account_ids, str) or not isinstance(account_ids, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may be untyped
        problem = type(account_ids).__name__
        raise InvalidRequestError(f"account_ids must be a list of ids, not {problem}")
    ids = [_checks.identifier("account_id", account_id, None) for account_id in account_ids]
    return [*dict.fromkeys(ids)]


def _check_options(domain: Any, drill: Any, concurrency: Any) -> None:
    problem = None if domain is None else _checks.domain_problem(domain)
    if problem:
        raise InvalidRequestError(f"domain {problem}")
    if type(drill) is not bool:
        raise InvalidRequestError(f"drill must be True or False, not {type(drill).__name__}")
    _checks.whole("concurrency", concurrency, 1)


def _as_ours(error: Exception) -> CfssoError:
    ours = CfssoError(f"unexpected: {type(error).__name__}", write=WriteState.UNKNOWN)
    ours.__cause__ = error
    return ours


class _Place:
    """A place among the accounts under way, which is given up for good by the first wait."""

    def __init__(self, places: asyncio.Semaphore, on_event: OnEvent | None) -> None:
        self._places: asyncio.Semaphore | None = places
        self._on_event = on_event

    def __call__(self, event: Event) -> None:
        """Take notice of one event, and pass it on."""
        if event.kind is EventKind.WAIT:
            self.leave()
        if self._on_event is not None:
            self._on_event(event)

    def leave(self) -> None:
        """Let another account have the place."""
        places, self._places = self._places, None
        if places is not None:
            places.release()


class _Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The run was stopped before anything was known of an account."""


@attrs.frozen
class _Account:
    """An account on its way to its outcomes."""

    connectors: AsyncSSOConnectors
    account_id: str
    domain: str | None
    stop: asyncio.Event

    async def drill(self) -> Sequence[Outcome]:
        try:
            return await self._unless_stopped(
                rehearse(self.connectors, self.account_id, self.domain)
            )
        except _Stopped:
            return [whole(self.account_id, _NOT_ATTEMPTED)]

    async def rescue(self) -> Sequence[Outcome]:
        try:
            before = await self._unless_stopped(self._look())
        except _Stopped:
            return [whole(self.account_id, _NOT_ATTEMPTED)]
        except CfssoError as error:
            return [whole(self.account_id, OutcomeStatus.FAILED, error=error)]
        async with asyncio.TaskGroup() as writes:
            written = [writes.create_task(self._disable(c)) for c in before.locked]
        outcomes = [task.result() for task in written]
        if any(outcome.attempts for outcome in outcomes):
            return await self._read_back(outcomes, before)
        outcomes += before.doubtful
        nothing = whole(self.account_id, OutcomeStatus.UNCHANGED, note=before.nothing)
        return outcomes or [nothing]

    async def _look(self) -> Seen:
        return await look(self.connectors, self.account_id, self.domain)

    async def _disable(self, found: SSOConnector) -> Outcome:
        change = Change(self.account_id, found.id, enabled=False)
        if self.stop.is_set():
            return Outcome(change=change, status=_NOT_ATTEMPTED, before=found)
        writes = Writes(self.connectors.on_event)
        try:
            await self.connectors.with_options(on_event=writes).update(
                found.id, account_id=self.account_id, enabled=False, before=found
            )
        except CfssoError as error:
            return Outcome(
                change=change,
                status=OutcomeStatus.of_error(error),
                before=found,
                error=error,
                attempts=writes.count,
            )
        return Outcome(change=change, status=_CHANGED, before=found, attempts=writes.count)

    async def _read_back(self, outcomes: Sequence[Outcome], before: Seen) -> Sequence[Outcome]:
        try:
            after = await self._look()
        except CfssoError as error:
            return [*(judged(o, o.change.wished, error) for o in outcomes), *before.doubtful]
        seen = {o.change.sso_connector_id: o for o in outcomes}
        read = [_read(outcome, after.sight(key)) for key, outcome in seen.items()]
        others = [connector for connector in after.locked if connector.id not in seen]
        return [*read, *(_enabled_meanwhile(c, before) for c in others), *after.doubtful]

    async def _unless_stopped(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Do *work*, which only reads, unless the run is stopped before it is done."""
        working = asyncio.create_task(work)
        stopped = asyncio.create_task(self.stop.wait())
        try:
            # A task begins later than this: one of a run that was stopped sends nothing.
            if not self.stop.is_set():
                await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise _Stopped
            return working.result()
        finally:
            working.cancel()
            stopped.cancel()
            await asyncio.gather(working, stopped, return_exceptions=True)


def _read(outcome: Outcome, sight: Sight) -> Outcome:
    """Return an outcome after the second list; what is disabled keeps nobody out."""
    outcome = judged(outcome, outcome.change.wished, sight)
    if outcome.status is not OutcomeStatus.FAILED or outcome.after is None:
        return outcome
    if outcome.after.enabled is not False:
        return outcome
    note = "refused, but somebody else disabled it"
    return attrs.evolve(outcome, status=OutcomeStatus.UNCHANGED, note=note)


def _enabled_meanwhile(connector: SSOConnector, before: Seen) -> Outcome:
    sight = before.sight(connector.id)
    return Outcome(
        change=Change(before.account_id, connector.id, enabled=False),
        status=OutcomeStatus.CONFLICT,
        before=sight if isinstance(sight, SSOConnector) else None,
        after=connector,
        note="it was enabled meanwhile",
    )
