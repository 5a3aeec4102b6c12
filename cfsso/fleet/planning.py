"""Read each account once, and decide what a run would do."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import Self

import attrs

from cfsso import _checks
from cfsso._pages import one_line
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import CfssoError, InvalidRequestError
from cfsso.fleet._deciding import is_worth_a_try, what_forbids
from cfsso.fleet._plain import now
from cfsso.fleet._survey import Key, Sight, Survey, said_of
from cfsso.fleet.changes import Change, Changes
from cfsso.fleet.outcomes import OutcomeStatus
from cfsso.fleet.plans import Plan, PlanAction, PlannedChange, domain_key
from cfsso.models import SSOConnector
from cfsso.transports.base import RateLimit


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

    Each account is listed once; what a list does not show, or shows in part only, is read
    by itself. An enable waits for the disable of the same domain in another account, if
    that is a change too.

    What could not be read for a reason that may pass is blocked for now: a run reads it
    again. When nothing but lost connections and 5xx has come for 45 seconds, nothing more
    is read. The same when ten targets in a row, of more than one account, are refused
    alike; then the rest is blocked for good.

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
    survey = Survey(connectors.with_options(max_wait=max_wait), asyncio.Semaphore(concurrency))
    await survey.run({**wanted, **dict.fromkeys(further, ())}, concurrency)
    rows = [_decided(change, survey, wishes) for change in wishes.changes.values()]
    unread = {**{key: said_of(error) for key, error in survey.failures.items()}, **survey.unasked}
    made = Plan(
        created=now(),
        rows=tuple(_ordered(rows, survey.enabled)),
        merged=wishes.merged,
        accounts=further,
        unread={account_id: unread[account_id] for account_id in further if account_id in unread},
    )
    return attrs.evolve(made, seconds=_seconds(made, survey.credentials, connectors.rate_limit))


@attrs.define
class _Wishes:
    """The changes, each connector once: the first that was asked for."""

    changes: dict[Key, Change] = attrs.field(factory=dict)
    contradicted: set[Key] = attrs.field(factory=set)
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


def _decided(change: Change, survey: Survey, wishes: _Wishes) -> PlannedChange:
    """Decide on one change by itself."""
    key = change.account_id, change.sso_connector_id
    sight = survey.sight(key)
    if key in wishes.contradicted:
        return _blocked(change, sight, "asked for other values twice")
    if change.account_id in survey.unasked:
        return _unasked(change, survey)
    if isinstance(sight, CfssoError):
        what = "account" if change.account_id in survey.failures else "connector"
        return _unread(change, sight, f"the {what} could not be read: {said_of(sight)}")
    if sight is None:
        return _blocked(change, sight, "the account has no such connector")
    if reason := what_forbids(change.wished, sight):
        return _blocked(change, sight, reason)
    is_shown = change.is_shown_by(sight)
    action = PlanAction.UNCHANGED if is_shown else PlanAction.CHANGE
    return PlannedChange(change=change, action=action, before=sight)


def _blocked(change: Change, sight: Sight | None, reason: str) -> PlannedChange:
    before = sight if isinstance(sight, SSOConnector) else None
    return PlannedChange(change=change, action=PlanAction.BLOCKED, before=before, reason=reason)


def _unasked(change: Change, survey: Survey) -> PlannedChange:
    """Return the row of what nobody tried to read any more."""
    reason = survey.unasked[change.account_id]
    if survey.obstacle is not None:
        return _unread(change, survey.obstacle, reason)
    return _blocked(change, None, reason)


def _unread(change: Change, error: CfssoError, reason: str) -> PlannedChange:
    """Return the row of what could not be read: whether that is final is for the run to say."""
    if is_worth_a_try(change.wished, error):
        reason = f"{reason}; it is tried all the same"
        return PlannedChange(change=change, action=PlanAction.CHANGE, reason=reason)
    if OutcomeStatus.of_run_error(error).is_final:
        return _blocked(change, None, reason)
    row = _blocked(change, None, f"{reason}; a run reads it again")
    return attrs.evolve(row, unread=True)


def _ordered(
    rows: Sequence[PlannedChange], enabled: Mapping[str, Sequence[Key]]
) -> Sequence[PlannedChange]:
    """Decide on the enables in the light of who else has their domain, or wants it."""
    decided = list(rows)
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
            reason = f"{one_line(domain)} would be enabled twice"
        elif holders and needs is None:
            where = " and ".join(sorted({account_id for account_id, _ in holders}))
            reason = f"{one_line(domain)} is enabled in account {where}"
        elif needs is not None and rows[needs].action is PlanAction.BLOCKED:
            where = holders[0][0]
            reason = f"{one_line(domain)} is enabled in account {where}: its disable is blocked"
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


def _seconds(
    made: Plan, credentials: Mapping[str, str | None], limit: RateLimit | None
) -> float | None:
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
        if account_id in credentials:
            requests[credentials[account_id]] += 1
    usable = limit.requests - limit.reserve
    windows = max(((count - 1) // usable for count in requests.values()), default=0)
    return float(windows * limit.seconds)
