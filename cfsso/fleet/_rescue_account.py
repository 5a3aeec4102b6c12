"""One account of a rescue, on its way to its outcomes."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

import attrs

from cfsso._seen import Seen as Newest
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import CfssoError, WriteState
from cfsso.fleet._drill import rehearse
from cfsso.fleet._judged import Sight, believed, judged
from cfsso.fleet._locked import Seen, look, was_off, whole
from cfsso.fleet._rescue_journal import RescueJournal
from cfsso.fleet._search import Search
from cfsso.fleet._writes import Writes
from cfsso.fleet.changes import Change
from cfsso.fleet.outcomes import Outcome, OutcomeStatus
from cfsso.models import SSOConnector

_UNCHANGED: Final = OutcomeStatus.UNCHANGED
_NOT_ATTEMPTED: Final = OutcomeStatus.NOT_ATTEMPTED
# More at once would do no more within any limit, and an account may have 50,000.
_WRITES: Final = 1000
_MEANWHILE: Final = "it was enabled meanwhile"

_Result = TypeVar("_Result")


class _Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The run was stopped before anything was known of an account."""


@attrs.frozen
class RescueAccount:
    """
    An account on its way to its outcomes.

    Attributes:
        connectors: Where it is.
        account_id: Which one.
        domain: The e-mail domain. ``None``: all.
        stop: Once it is set, no further write is begun.
        search: Is told what the account has of the domain.
        journal: Is told what is written. ``None``: nobody is.
    """

    connectors: AsyncSSOConnectors
    account_id: str
    domain: str | None
    stop: asyncio.Event
    search: Search
    journal: RescueJournal | None = None
    _intended: set[str] = attrs.field(factory=set, init=False)

    async def drill(self) -> Sequence[Outcome]:
        """Write nothing; return what would be disabled, and what there is to say."""
        try:
            return await self._unless_stopped(
                rehearse(self.connectors, self.account_id, self.domain, self.search)
            )
        except _Stopped:
            return [whole(self.account_id, _NOT_ATTEMPTED)]

    async def rescue(self) -> Sequence[Outcome]:
        """Disable what is to be disabled, read it back, and return the outcomes."""
        try:
            before = await self._unless_stopped(look(self.connectors, self.account_id, self.domain))
        except _Stopped:
            return [whole(self.account_id, _NOT_ATTEMPTED)]
        except CfssoError as error:
            return [whole(self.account_id, OutcomeStatus.of_run_error(error), error=error)]
        self.search.saw(before)
        written = await self._disable_all(before.locked)
        if any(outcome.attempts for outcome in written):
            outcomes = await self._read_back(written, before)
        else:
            off = [was_off(self.account_id, connector) for connector in before.off]
            outcomes = [*written, *off, *before.doubtful]
        self._record_ends(outcomes)
        if not outcomes:
            self.search.ends(whole(self.account_id, _UNCHANGED))
        return outcomes

    async def _disable_all(self, locked: Sequence[SSOConnector]) -> Sequence[Outcome]:
        """Return an outcome for each, in their order."""
        outcomes: dict[str, Outcome] = {}
        left = iter(locked)

        async def work() -> None:
            """Disable one after the other."""
            for connector in left:
                outcomes[connector.id] = await self._disable(connector)

        async with asyncio.TaskGroup() as workers:
            for _ in locked[:_WRITES]:
                workers.create_task(work())
        return [outcomes[connector.id] for connector in locked]

    async def _disable(self, found: SSOConnector) -> Outcome:
        change = Change(self.account_id, found.id, enabled=False)
        if self.stop.is_set():
            return Outcome(change=change, status=_NOT_ATTEMPTED, before=found)
        writes = Writes(self.connectors.on_event)
        status, error = OutcomeStatus.CHANGED, None
        self._record_intent(found)
        try:
            await self.connectors.with_options(on_event=writes).update(
                found.id, account_id=self.account_id, enabled=False, before=found
            )
        except BaseException as raised:  # noqa: BLE001 - it must not stop the others
            error = as_ours(raised)
            status = OutcomeStatus.of_run_error(error)
        return Outcome(
            change=change, status=status, before=found, error=error, attempts=writes.count
        )

    def _record_intent(self, found: SSOConnector) -> None:
        if self.journal is None:
            return
        self._intended.add(found.id)
        # A record that can't be kept stands in no write's way.
        with contextlib.suppress(Exception):
            self.journal.intend(self.account_id, found)

    def _record_ends(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if self.journal is not None and outcome.change.sso_connector_id in self._intended:
                with contextlib.suppress(Exception):
                    self.journal.end(outcome)

    async def _read_back(self, written: Sequence[Outcome], before: Seen) -> Sequence[Outcome]:
        ids = {outcome.change.sso_connector_id for outcome in written}
        ids.update(connector.id for connector in before.off)
        off = [was_off(self.account_id, connector) for connector in before.off]
        try:
            after = await look(self.connectors, self.account_id, self.domain, ids)
        except BaseException as raised:  # noqa: BLE001 - what was written must be told
            error = as_ours(raised)
            seen = [judged(o, o.change.wished, error) for o in written]
            return [*seen, *off, *before.doubtful]
        read = [_read(o, _sight(after, before, o.change.sso_connector_id)) for o in written]
        still = [_still_off(o, _sight(after, before, o.change.sso_connector_id)) for o in off]
        others = [connector for connector in after.locked if connector.id not in ids]
        meanwhile = [_enabled_meanwhile(self.account_id, connector) for connector in others]
        return [*read, *still, *meanwhile, *after.doubtful]

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


def as_ours(error: BaseException) -> CfssoError:
    """
    Return what an outcome says of *error*, whatever it is.

    Raises:
        BaseException: *error* itself, if it ends more than the account.
    """
    if isinstance(error, CfssoError):
        return error
    task = asyncio.current_task()
    stray = isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling()
    if not stray and not isinstance(error, Exception):
        raise error
    ours = CfssoError(f"unexpected: {type(error).__name__}", write=WriteState.UNKNOWN)
    ours.__cause__ = error
    return ours


def _sight(after: Seen, before: Seen, sso_connector_id: str) -> Sight:
    """Return what the second list shows of a connector, unless the first one is newer."""
    newest = Newest()
    believed(before.sight(sso_connector_id), newest)
    return believed(after.sight(sso_connector_id), newest)


def _read(outcome: Outcome, sight: Sight) -> Outcome:
    """Return an outcome after the second list; what is disabled keeps nobody out."""
    outcome = judged(outcome, outcome.change.wished, sight)
    if outcome.status not in {OutcomeStatus.FAILED, _NOT_ATTEMPTED} or outcome.after is None:
        return outcome
    if outcome.after.enabled is not False:
        return outcome
    note = "somebody else disabled it"
    if outcome.attempts:
        note = f"refused, but {note}"
    return attrs.evolve(outcome, status=_UNCHANGED, note=note)


def _still_off(outcome: Outcome, sight: Sight) -> Outcome:
    """Return the outcome of what was off in the first list, after the second one."""
    # Nothing was written, so a list that can't be had takes nothing away from the first one.
    if not isinstance(sight, SSOConnector):
        return outcome
    outcome = judged(outcome, outcome.change.wished, sight)
    if outcome.status is OutcomeStatus.CONFLICT:
        return attrs.evolve(outcome, note=_MEANWHILE)
    return outcome


def _enabled_meanwhile(account_id: str, connector: SSOConnector) -> Outcome:
    return Outcome(
        change=Change(account_id, connector.id, enabled=False),
        status=OutcomeStatus.CONFLICT,
        after=connector,
        note=_MEANWHILE,
    )
