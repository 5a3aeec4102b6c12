"""Bring every target to its wish, and say truly what became of it."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import TypeAlias

import attrs

from cfsso._text import printable
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import (
    APIResponseValidationError,
    AuthenticationError,
    CfssoError,
    InvalidRequestError,
    NotFoundError,
    RateLimitError,
)
from cfsso.fleet._writes import Writes
from cfsso.fleet.changes import Change
from cfsso.fleet.outcomes import Outcome, OutcomeStatus
from cfsso.models import SSOConnector, VerificationStatus

_CHANGED = OutcomeStatus.CHANGED
_UNKNOWN = OutcomeStatus.UNKNOWN

Sight: TypeAlias = SSOConnector | CfssoError | None
"""What a read shows of a target: how it is, why it can't be seen, or that it is not there."""


async def apply(
    connectors: AsyncSSOConnectors,
    changes: Iterable[Change] | AsyncIterable[Change],
    *,
    concurrency: int = 32,
    max_wait: float | None = None,
    stop: asyncio.Event | None = None,
) -> AsyncIterator[Outcome]:
    """
    Bring each target to its wish; yield its outcome, in order of completion.

    Each account is listed once before its writes and once after them: only the
    second list makes a target green. What a list does not show is read by itself.
    Accounts are independent: to move a domain, disable it in a run of its own first.

    Closing the iterator (`contextlib.aclosing`) cancels what is under way; leaving
    a loop over it with ``break`` alone does not close it.

    Args:
        connectors: Where the targets are.
        changes: Each connector at most once.
        concurrency: How many requests may be under way at once, at least 1.
        max_wait:
            Seconds that each call may wait for rate limits, whatever *connectors* say.
            ``None``: no bound, since a run takes the time that the limits ask for.
        stop:
            Once it is set no further write is begun; those that are, even if they
            wait for a rate limit yet, are finished and read back, and the other
            targets end as ``not_attempted``.

    Raises:
        InvalidRequestError: Before anything is sent: a connector stands twice, something
            is no `Change`, or *concurrency* is below 1. Nothing else ends a run early.
    """
    accounts = await _by_account(changes)
    if type(concurrency) is not int or concurrency < 1:
        raise InvalidRequestError(f"concurrency must be a whole number from 1, not {concurrency!r}")
    connectors = connectors.with_options(max_wait=max_wait)
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


async def _by_account(
    changes: Iterable[Change] | AsyncIterable[Change],
) -> Sequence[Mapping[str, Change]]:
    if isinstance(changes, AsyncIterable):
        changes = [change async for change in changes]
    accounts: dict[str, dict[str, Change]] = {}
    for change in changes:
        if not isinstance(change, Change):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may be untyped
            raise InvalidRequestError(f"expected a Change, not {type(change).__name__}")
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
            before = await self._look(stoppable=True)
        except _Stopped:
            return [
                Outcome(change=change, status=OutcomeStatus.NOT_ATTEMPTED)
                for change in self.targets.values()
            ]
        async with asyncio.TaskGroup() as writes:
            written = [
                writes.create_task(self._write(change, before[key]))
                for key, change in self.targets.items()
            ]
        outcomes = [task.result() for task in written]
        if not any(outcome.attempts for outcome in outcomes):
            return outcomes
        after = await self._look(stoppable=False)
        return [_judged(o, after[o.change.sso_connector_id]) for o in outcomes]

    async def _look(self, *, stoppable: bool) -> Mapping[str, Sight]:
        """List the account; what the list does not show is read by itself."""
        account_id = next(iter(self.targets.values())).account_id
        found: dict[str, Sight] = {}
        async with self.places:
            if stoppable and self.stop.is_set():
                raise _Stopped
            try:
                listed = await self.connectors.list(account_id=account_id)
                found = {connector.id: connector for connector in listed}
            except APIResponseValidationError:
                # One connector that can't be read must not hide the others.
                pass
            except CfssoError as error:
                return dict.fromkeys(self.targets, error)
        others = [key for key in self.targets if key not in found]
        sights = await asyncio.gather(*(self._get(key, account_id) for key in others))
        return found | dict(zip(others, sights, strict=True))

    async def _get(self, sso_connector_id: str, account_id: str) -> Sight:
        async with self.places:
            try:
                return await self.connectors.get(sso_connector_id, account_id=account_id)
            except NotFoundError:
                return None
            except CfssoError as error:
                return error

    async def _write(self, change: Change, sight: Sight) -> Outcome:
        before = sight if isinstance(sight, SSOConnector) else None
        if isinstance(sight, CfssoError) and not _is_worth_a_try(change, sight):
            return Outcome(change=change, status=OutcomeStatus.FAILED, error=sight)
        reason = _what_forbids(change, sight)
        if reason:
            return Outcome(change=change, status=OutcomeStatus.BLOCKED, before=before, note=reason)
        if before is not None and change.is_shown_by(before):
            return Outcome(
                change=change, status=OutcomeStatus.UNCHANGED, before=before, after=before
            )
        async with self.places:
            if self.stop.is_set():
                return Outcome(change=change, status=OutcomeStatus.NOT_ATTEMPTED, before=before)
            writes = Writes(self.connectors.on_event)
            try:
                await self.connectors.with_options(on_event=writes).update(
                    change.sso_connector_id,
                    account_id=change.account_id,
                    enabled=change.enabled,
                    use_fedramp_language=change.use_fedramp_language,
                    before=before,
                )
            except CfssoError as error:
                return Outcome(
                    change=change,
                    status=OutcomeStatus.of_error(error),
                    before=before,
                    error=error,
                    attempts=writes.count,
                )
        return Outcome(change=change, status=_CHANGED, before=before, attempts=writes.count)


class _Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The run was stopped before an account was listed."""


def _is_worth_a_try(change: Change, error: CfssoError) -> bool:
    """Whether to write although the target could not be read: only to let people in."""
    hopeless = (AuthenticationError, RateLimitError, InvalidRequestError)
    return change.enabled is False and not isinstance(error, hopeless)


def _what_forbids(change: Change, found: Sight) -> str:
    """Say why *change* can't be; disabling is forbidden only where there is nothing."""
    if found is None:
        return "the account has no such connector"
    if isinstance(found, CfssoError):
        return ""
    status = found.verification.status
    enables = change.enabled is True and found.enabled is not True
    if enables and status not in {None, VerificationStatus.VERIFIED}:
        return f"can't be enabled: verification is {printable(str(found.verification.raw_status))}"
    return ""


def _judged(outcome: Outcome, sight: Sight) -> Outcome:
    """Return *outcome* in the light of the read that came after the account's last write."""
    if isinstance(sight, CfssoError):
        if not outcome.status.is_green:
            return outcome
        note = "it could not be read back"
        return attrs.evolve(outcome, status=_UNKNOWN, after=None, error=sight, note=note)
    outcome = attrs.evolve(outcome, after=sight)
    shown = sight is not None and outcome.change.is_shown_by(sight)
    if outcome.status is _UNKNOWN and shown:
        return attrs.evolve(outcome, status=_CHANGED, note="the answer was lost, a read shows it")
    if outcome.status.is_green and not shown:
        note = "the last read shows other values" if sight else "the last read does not show it"
        return attrs.evolve(outcome, status=OutcomeStatus.CONFLICT, note=note)
    return outcome
