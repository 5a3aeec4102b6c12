"""Where the targets of a run come from: changes, a plan, or a run that is taken back."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, Final

import attrs

from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import CfssoError, InvalidRequestError
from cfsso.fleet._journal import Journal
from cfsso.fleet._plain import now
from cfsso.fleet._targets import Ending, Target
from cfsso.fleet.changes import Change
from cfsso.fleet.outcomes import OutcomeStatus
from cfsso.fleet.plans import Plan, PlanAction, domain_key

# The last of these ranks is taken back first.
_FREE: Final = 0
_NEEDED: Final = 1
_NEEDING: Final = 2
# A journal's head does not grow with the fleet.
_TOKENS: Final = 1000


class Tokens:
    """
    Learns which tokens a run has.

    Attributes:
        seen: Their fingerprints, the first thousand.
    """

    def __init__(self, connectors: AsyncSSOConnectors) -> None:
        self._connectors = connectors
        self._last = ""
        self.seen: set[str] = set()

    async def meet(self, account_id: str) -> None:
        """Look at the token of an account; that it has none is said when it is used."""
        if account_id == self._last or len(self.seen) >= _TOKENS:
            return
        self._last = account_id
        try:
            credential = await self._connectors.credential(account_id)
        except CfssoError:
            return
        if credential is not None:
            self.seen.add(credential)


async def of_changes(
    changes: Iterable[Change] | AsyncIterable[Change], tokens: Tokens
) -> AsyncIterator[Target]:
    """
    Yield a target for each change.

    Raises:
        InvalidRequestError: Something is no `Change`, or names no connector.
    """
    position = 0
    async for change in _each(changes):
        if not isinstance(change, Change):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may be untyped
            raise InvalidRequestError(f"expected a Change, not {type(change).__name__}")
        if not change.sso_connector_id:
            raise InvalidRequestError(
                f"a change of account {change.account_id} names no connector: give sso_connector_id"
            )
        await tokens.meet(change.account_id)
        yield _target(position, change)
        position += 1


async def of_plan(plan: Plan, tokens: Tokens) -> AsyncIterator[Target]:
    """Yield a target for each row; a blocked one has ended already."""
    ranks = _ranks(plan)
    for position, row in enumerate(plan.rows):
        await tokens.meet(row.change.account_id)
        ending = None
        if row.action is PlanAction.BLOCKED:
            ending = Ending(
                status=OutcomeStatus.BLOCKED, at=now(), before=row.before, note=row.reason
            )
        yield Target(
            position=position,
            account_id=row.change.account_id,
            sso_connector_id=row.change.sso_connector_id,
            wished=row.change.wished,
            rank=ranks[position],
            needs=row.needs,
            expected=row.before,
            ending=ending,
        )


async def of_run(journal: Journal, number: int, tokens: Tokens) -> AsyncIterator[Target]:
    """
    Yield what takes back the writes of a run, the last one first.

    A domain is disabled where the run enabled it before it is enabled where it was, whether
    or not the run knew that the one was for the other.
    """
    position = 0
    disabled: dict[str, Target] = {}
    before: int | None = None
    while page := await journal.written(number, before_number=before):
        for target in page:
            found = target.intent.before if target.intent else None
            before = target.intent.number if target.intent else 0
            back = _taken_back(target, position)
            if back is None:
                continue
            domain = domain_key(found.email_domain if found else None)
            if back.wished.get("enabled") is False:
                disabled[domain] = back
            elif (needed := disabled.get(domain)) is not None and domain:
                back = attrs.evolve(
                    back, needs=needed.position, rank=max(back.rank, needed.rank + 1)
                )
            await tokens.meet(target.account_id)
            yield back
            position += 1


def _taken_back(target: Target, position: int) -> Target | None:
    """Return the target that restores what *target* changed. ``None``: it changed nothing."""
    status = OutcomeStatus.UNKNOWN if target.ending is None else target.ending.status
    if status in {OutcomeStatus.FAILED, OutcomeStatus.BLOCKED, OutcomeStatus.UNCHANGED}:
        return None
    found = None if target.intent is None else target.intent.before
    was: dict[str, Any] = {name: getattr(found, name, None) for name in target.wished}
    ending = None
    if None in was.values():
        note = "what it was before is not known, since it could not be read"
        ending = Ending(status=OutcomeStatus.CONFLICT, at=now(), note=note)
        was = {name: not value for name, value in target.wished.items()}
    wished = {name: value for name, value in was.items() if value is not target.wished[name]}
    return Target(
        position=position,
        account_id=target.account_id,
        sso_connector_id=target.sso_connector_id,
        wished=wished,
        rank=max(0, _NEEDING - target.rank),
        expected=found,
        holds={name: target.wished[name] for name in wished},
        # A conflict says what others wrote, not that ours will not arrive yet.
        unsettled=status in {OutcomeStatus.UNKNOWN, OutcomeStatus.CONFLICT},
        ending=ending,
    )


def _target(position: int, change: Change) -> Target:
    return Target(
        position=position,
        account_id=change.account_id,
        sso_connector_id=change.sso_connector_id,
        wished=change.wished,
    )


def _ranks(plan: Plan) -> list[int]:
    """Return the rank of each row: what is needed comes late, just before what needs it."""
    needed = {row.needs for row in plan.rows if row.needs is not None}
    ranks = [
        _NEEDING if row.needs is not None else _NEEDED if number in needed else _FREE
        for number, row in enumerate(plan.rows)
    ]
    # An account is done at once if it can be.
    least: dict[str, int] = {}
    for row, rank in zip(plan.rows, ranks, strict=True):
        if rank != _FREE:
            known = least.get(row.change.account_id, rank)
            least[row.change.account_id] = min(known, rank)
    return [
        rank if rank != _FREE else least.get(row.change.account_id, _FREE)
        for row, rank in zip(plan.rows, ranks, strict=True)
    ]


async def _each(changes: Iterable[Change] | AsyncIterable[Change]) -> AsyncIterator[Change]:
    if isinstance(changes, AsyncIterable):
        async for change in changes:
            yield change
    else:
        for change in changes:
            yield change
