"""Bring every target to its wish, and say truly what became of it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

import attrs

from cfsso._text import printable
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import CfssoError, InvalidRequestError, WriteState
from cfsso.fleet.changes import Change
from cfsso.fleet.outcomes import Outcome, OutcomeStatus
from cfsso.models import SSOConnector, VerificationStatus

_CHANGED = OutcomeStatus.CHANGED
_UNKNOWN = OutcomeStatus.UNKNOWN


async def apply(
    connectors: AsyncSSOConnectors,
    changes: Iterable[Change],
    *,
    concurrency: int = 8,
    stop: asyncio.Event | None = None,
) -> AsyncIterator[Outcome]:
    """
    Bring each target to its wish; yield its outcome, in order of completion.

    Each account is listed once before its writes and once after them: only the
    second list makes a target green. Closing the iterator cancels what is under way.

    Args:
        connectors: Where the targets are.
        changes: Each connector at most once.
        concurrency: How many requests may be under way at once, at least 1.
        stop:
            Once it is set no further write is sent; those under way are finished
            and read back, and the other targets end as ``not_attempted``.

    Raises:
        InvalidRequestError: A connector stands twice, or *concurrency* is below 1.
    """
    accounts = _by_account(changes)
    if type(concurrency) is not int or concurrency < 1:
        raise InvalidRequestError(f"concurrency must be a whole number from 1, not {concurrency!r}")
    places = asyncio.Semaphore(concurrency)
    stop = stop or asyncio.Event()
    outcomes: asyncio.Queue[Outcome | None] = asyncio.Queue()
    waiting = iter([_Account(connectors, places, stop, targets) for targets in accounts])

    async def work() -> None:
        """Bring one account after another to its outcomes."""
        for account in waiting:
            for outcome in await account.run():
                outcomes.put_nowait(outcome)

    async def work_all() -> None:
        """Run the workers, and say when there is nothing more to come."""
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(concurrency, len(accounts))):
                    workers.create_task(work())
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


def _by_account(changes: Iterable[Change]) -> Sequence[Mapping[str, Change]]:
    accounts: dict[str, dict[str, Change]] = {}
    for change in changes:
        targets = accounts.setdefault(change.account_id, {})
        if change.sso_connector_id in targets:
            raise InvalidRequestError(
                f"connector {change.sso_connector_id} of account {change.account_id} stands twice"
            )
        targets[change.sso_connector_id] = change
    return [*accounts.values()]


@attrs.define
class _Account:
    """The targets of one account, on their way to their outcomes."""

    connectors: AsyncSSOConnectors
    places: asyncio.Semaphore
    stop: asyncio.Event
    targets: Mapping[str, Change]

    async def run(self) -> Sequence[Outcome]:
        try:
            before = await self._list()
        except CfssoError as error:
            return [
                Outcome(change=change, status=OutcomeStatus.FAILED, error=error)
                for change in self.targets.values()
            ]
        except _Stopped:
            return [
                Outcome(change=change, status=OutcomeStatus.NOT_ATTEMPTED)
                for change in self.targets.values()
            ]
        async with asyncio.TaskGroup() as writes:
            written = [
                writes.create_task(self._write(change, before.get(key)))
                for key, change in self.targets.items()
            ]
        outcomes = [task.result() for task in written]
        if not any(outcome.attempts for outcome in outcomes):
            return outcomes
        try:
            after = await self._list(stoppable=False)
        except CfssoError as error:
            return [_not_read_back(outcome, error) for outcome in outcomes]
        return [_judged(o, after.get(o.change.sso_connector_id)) for o in outcomes]

    async def _list(self, *, stoppable: bool = True) -> dict[str | None, SSOConnector]:
        account_id = next(iter(self.targets.values())).account_id
        async with self.places:
            if stoppable and self.stop.is_set():
                raise _Stopped
            found = await self.connectors.list(account_id=account_id)
        return {connector.id: connector for connector in found}

    async def _write(self, change: Change, before: SSOConnector | None) -> Outcome:
        reason = _what_forbids(change, before)
        if reason:
            return Outcome(change=change, status=OutcomeStatus.BLOCKED, before=before, note=reason)
        if before is not None and change.is_shown_by(before):
            return Outcome(
                change=change, status=OutcomeStatus.UNCHANGED, before=before, after=before
            )
        async with self.places:
            if self.stop.is_set():
                return Outcome(change=change, status=OutcomeStatus.NOT_ATTEMPTED, before=before)
            try:
                await self.connectors.update(
                    change.sso_connector_id,
                    account_id=change.account_id,
                    enabled=change.enabled,
                    use_fedramp_language=change.use_fedramp_language,
                )
            except CfssoError as error:
                return Outcome(
                    change=change,
                    status=_UNKNOWN if error.write is WriteState.UNKNOWN else OutcomeStatus.FAILED,
                    before=before,
                    error=error,
                    attempts=int(error.write in {WriteState.REFUSED, WriteState.UNKNOWN}),
                )
        return Outcome(change=change, status=_CHANGED, before=before, attempts=1)


class _Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The run was stopped before an account was listed."""


def _what_forbids(change: Change, found: SSOConnector | None) -> str:
    """Say why *change* can't be; disabling is never forbidden by what is found."""
    if found is None:
        return "the account has no such connector"
    status = found.verification.status
    enables = change.enabled is True and found.enabled is not True
    if enables and status not in {None, VerificationStatus.VERIFIED}:
        return f"can't be enabled: verification is {printable(str(found.verification.raw_status))}"
    return ""


def _not_read_back(outcome: Outcome, error: CfssoError) -> Outcome:
    if not outcome.status.is_green:
        return outcome
    return attrs.evolve(
        outcome,
        status=_UNKNOWN,
        after=None,
        error=error,
        note="the account could not be read back",
    )


def _judged(outcome: Outcome, after: SSOConnector | None) -> Outcome:
    """Return *outcome* in the light of the read that came after the account's last write."""
    outcome = attrs.evolve(outcome, after=after)
    shown = after is not None and outcome.change.is_shown_by(after)
    if outcome.status is _UNKNOWN and shown:
        return attrs.evolve(outcome, status=_CHANGED, note="the answer was lost, a read shows it")
    if outcome.status.is_green and not shown:
        return attrs.evolve(
            outcome,
            status=OutcomeStatus.CONFLICT,
            note="the last read shows other values" if after else "the last read does not show it",
        )
    return outcome
