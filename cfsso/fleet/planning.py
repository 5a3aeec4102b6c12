"""Read each account once, and decide what a run would do."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import Self, TypeAlias

import attrs

from cfsso import _checks
from cfsso._text import printable
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import (
    APIResponseValidationError,
    CfssoError,
    InvalidRequestError,
    NotFoundError,
)
from cfsso.fleet._deciding import is_worth_a_try, what_forbids
from cfsso.fleet._plain import now
from cfsso.fleet.changes import Change, Changes
from cfsso.fleet.plans import Plan, PlanAction, PlannedChange, domain_key
from cfsso.models import SSOConnector
from cfsso.transports.base import RateLimit

_Key: TypeAlias = tuple[str, str]
_Sight: TypeAlias = SSOConnector | CfssoError
"""What a read shows of a connector: how it is, or why it can't be seen."""


async def plan(
    connectors: AsyncSSOConnectors,
    changes: Iterable[Change] | AsyncIterable[Change],
    *,
    accounts: Iterable[str] = (),
    concurrency: int = 32,
    max_wait: float | None = None,
) -> Plan:
    """
    Return what a run of *changes* would do; nothing is written.

    Each account is listed once; what a list does not show is read by itself. An enable
    waits for the disable of the same domain in another account, if that is a change too.

    Args:
        connectors: Where the targets are.
        changes: Identical ones are merged; those that contradict each other are blocked.
        accounts: Further accounts to look at, for domains that are enabled there.
        concurrency: How many requests may be under way at once, at least 1.
        max_wait:
            Seconds that each call may wait for rate limits, whatever *connectors* say.
            ``None``: no bound.

    Raises:
        InvalidRequestError: Before anything is sent: something is no `Change`, names no
            connector or is no account id, or *concurrency* is below 1. What goes wrong
            later blocks its rows only.
    """
    wishes = await _Wishes.of(changes)
    others = dict.fromkeys(_checks.identifier("account_id", each, None) for each in accounts)
    _checks.whole("concurrency", concurrency, 1)
    wanted = wishes.by_account()
    further = tuple(account_id for account_id in others if account_id not in wanted)
    places = asyncio.Semaphore(concurrency)
    reading = _Reading(connectors.with_options(max_wait=max_wait), places)
    await reading.run({**wanted, **dict.fromkeys(further, ())}, concurrency)
    rows = [_decided(change, reading, wishes) for change in wishes.changes.values()]
    made = Plan(
        created=now(),
        rows=tuple(_ordered(rows, reading)),
        merged=wishes.merged,
        accounts=further,
        unread={
            account_id: _said(reading.failures[account_id])
            for account_id in further
            if account_id in reading.failures
        },
    )
    return attrs.evolve(made, seconds=_seconds(made, reading, connectors.rate_limit))


@attrs.define
class _Wishes:
    """The changes, each connector once: the first that was asked for."""

    changes: dict[_Key, Change] = attrs.field(factory=dict)
    contradicted: set[_Key] = attrs.field(factory=set)
    merged: int = 0

    @classmethod
    async def of(cls, changes: Iterable[Change] | AsyncIterable[Change]) -> Self:
        wishes = cls(merged=changes.merged if isinstance(changes, Changes) else 0)
        if isinstance(changes, AsyncIterable):
            changes = [change async for change in changes]
        for change in changes:
            wishes._add(change)
        return wishes

    def _add(self, change: Change) -> None:
        if not isinstance(change, Change):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may be untyped
            raise InvalidRequestError(f"expected a Change, not {type(change).__name__}")
        if not change.sso_connector_id:
            raise InvalidRequestError(f"a change of account {change.account_id} has no connector")
        key = change.account_id, change.sso_connector_id
        if key not in self.changes:
            self.changes[key] = change
        elif self.changes[key] == change:
            self.merged += 1
        else:
            self.contradicted.add(key)

    def by_account(self) -> dict[str, list[str]]:
        wanted: dict[str, list[str]] = {}
        for account_id, sso_connector_id in self.changes:
            wanted.setdefault(account_id, []).append(sso_connector_id)
        return wanted


@attrs.define
class _Reading:
    """What reading the accounts showed."""

    connectors: AsyncSSOConnectors
    places: asyncio.Semaphore
    failures: dict[str, CfssoError] = attrs.field(factory=dict)
    credentials: dict[str, str | None] = attrs.field(factory=dict)
    seen: dict[_Key, _Sight] = attrs.field(factory=dict)

    async def run(self, wanted: Mapping[str, Sequence[str]], concurrency: int) -> None:
        """Read the accounts, and what each wants that its list does not show."""
        waiting = iter(wanted.items())

        async def work() -> None:
            """Read one account after another."""
            for account_id, ids in waiting:
                await self._read(account_id, ids)

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(concurrency, len(wanted))):
                workers.create_task(work())

    def enabled(self) -> Mapping[str, Sequence[_Key]]:
        """Return the connectors that are enabled, by domain."""
        found: dict[str, list[_Key]] = {}
        for key, sight in self.seen.items():
            if isinstance(sight, SSOConnector) and sight.enabled is True:
                found.setdefault(domain_key(sight.email_domain), []).append(key)
        return found

    async def _read(self, account_id: str, ids: Sequence[str]) -> None:
        async with self.places:
            try:
                self.credentials[account_id] = await self.connectors.credential(account_id)
                listed = await self.connectors.list(account_id=account_id)
            except CfssoError as error:
                # One connector that can't be read must not hide the others.
                if not ids or not isinstance(error, APIResponseValidationError):
                    self.failures[account_id] = error
                    return
                listed = ()
        self.seen.update(((account_id, connector.id), connector) for connector in listed)
        others = [key for key in ids if (account_id, key) not in self.seen]
        await asyncio.gather(*(self._get(key, account_id) for key in others))

    async def _get(self, sso_connector_id: str, account_id: str) -> None:
        key = account_id, sso_connector_id
        async with self.places:
            try:
                self.seen[key] = await self.connectors.get(sso_connector_id, account_id=account_id)
            except NotFoundError:
                pass
            except CfssoError as error:
                self.seen[key] = error


def _decided(change: Change, reading: _Reading, wishes: _Wishes) -> PlannedChange:
    """Decide on one change by itself."""
    key = change.account_id, change.sso_connector_id
    sight = reading.seen.get(key)
    before = sight if isinstance(sight, SSOConnector) else None
    failure = reading.failures.get(change.account_id)
    reason = _what_forbids(change, sight, failure)
    unread = failure or (sight if isinstance(sight, CfssoError) else None)
    if key in wishes.contradicted:
        reason, unread = "asked for other values twice", None
    if unread is not None and is_worth_a_try(change.wished, unread):
        action, reason = PlanAction.CHANGE, f"{reason}; it is tried all the same"
    elif reason:
        action = PlanAction.BLOCKED
    elif before is not None and change.is_shown_by(before):
        action = PlanAction.UNCHANGED
    else:
        action = PlanAction.CHANGE
    return PlannedChange(change=change, action=action, before=before, reason=reason)


def _what_forbids(change: Change, sight: _Sight | None, failure: CfssoError | None) -> str:
    if failure is not None:
        return f"the account could not be read: {_said(failure)}"
    if sight is None:
        return "the account has no such connector"
    if isinstance(sight, CfssoError):
        return f"the connector could not be read: {_said(sight)}"
    return what_forbids(change.wished, sight)


def _said(error: CfssoError) -> str:
    """Return what went wrong, without the ids that stand beside it."""
    if error.request is None:
        return str(error)
    request = f"{error.request.method} {error.request.path}"
    return str(error).replace(f" from {request}", "").replace(f"{request}: ", "")


def _ordered(rows: Sequence[PlannedChange], reading: _Reading) -> Sequence[PlannedChange]:
    """Decide on the enables in the light of who else has their domain, or wants it."""
    decided = list(rows)
    enabled = reading.enabled()
    disables = {
        (row.change.account_id, row.change.sso_connector_id): index
        for index, row in enumerate(rows)
        if row.change.enabled is False
    }
    for domain, wanting in _enables(rows).items():
        holders = enabled.get(domain, ())
        needs = disables.get(holders[0]) if len(holders) == 1 else None
        reason = ""
        if len(wanting) > 1:
            reason = f"{printable(domain)} would be enabled twice"
        elif holders and needs is None:
            where = " and ".join(sorted({account_id for account_id, _ in holders}))
            reason = f"{printable(domain)} is enabled in account {where}"
        elif needs is not None and rows[needs].action is PlanAction.BLOCKED:
            where = holders[0][0]
            reason = f"{printable(domain)} is enabled in account {where}: its disable is blocked"
        for index in wanting:
            decided[index] = (
                attrs.evolve(rows[index], action=PlanAction.BLOCKED, reason=reason)
                if reason
                else attrs.evolve(rows[index], needs=needs)
            )
    return decided


def _enables(rows: Sequence[PlannedChange]) -> Mapping[str, Sequence[int]]:
    """Return which rows switch SSO on, by domain, as far as it is known."""
    found: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        domain = domain_key(row.before.email_domain) if row.before else ""
        if domain and any(name == "enabled" and to for name, _, to in row.differences):
            found.setdefault(domain, []).append(index)
    return found


def _seconds(made: Plan, reading: _Reading, limit: RateLimit | None) -> float | None:
    """Return how long the requests of a plan take at *limit*: a burst, and then the window."""
    if limit is None:
        return None
    requests: Counter[str | None] = Counter()
    accounts = {row.change.account_id for row in made.rows}
    for account_id in (
        *accounts,
        *made.changed_accounts,
        *(r.change.account_id for r in made.writes),
    ):
        # Without a token nothing is sent.
        if account_id in reading.credentials:
            requests[reading.credentials[account_id]] += 1
    usable = limit.requests - limit.reserve
    windows = max(((count - 1) // usable for count in requests.values()), default=0)
    return float(windows * limit.seconds)
