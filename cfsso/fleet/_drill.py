"""A rehearsal of an account's rescue: everything but the writing."""

import asyncio
from collections.abc import Sequence
from typing import Final

from cfsso._pages import one_line
from cfsso._text import shown_time
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import CfssoError
from cfsso.fleet._locked import Seen, look, was_off, whole
from cfsso.fleet._plain import now
from cfsso.fleet._search import Search
from cfsso.fleet.changes import Change
from cfsso.fleet.outcomes import Outcome, OutcomeStatus
from cfsso.models import TokenInfo, TokenStatus

_SOON: Final = 30
_DEAD: Final = {TokenStatus.DISABLED, TokenStatus.EXPIRED}


async def rehearse(
    connectors: AsyncSSOConnectors, account_id: str, domain: str | None, search: Search
) -> Sequence[Outcome]:
    """Return what would be disabled, and at the end what there is to say of the account."""
    found, token = await asyncio.gather(
        look(connectors, account_id, domain),
        connectors.verify_token(account_id=account_id),
        return_exceptions=True,
    )
    if isinstance(token, BaseException) and not isinstance(token, CfssoError):
        raise token
    note = _said(token)
    if isinstance(found, BaseException):
        if not isinstance(found, CfssoError):
            raise found
        note = "" if isinstance(token, CfssoError) else f"{note}, but the list failed"
        return [whole(account_id, OutcomeStatus.of_run_error(found), error=found, note=note)]
    search.saw(found)
    dead = isinstance(token, TokenInfo) and token.status in _DEAD
    status = OutcomeStatus.FAILED if dead else OutcomeStatus.UNCHANGED
    account = whole(account_id, status, note=note)
    outcomes = _outcomes(found)
    if outcomes:
        return [*outcomes, account]
    search.ends(account)
    return []


def _outcomes(found: Seen) -> Sequence[Outcome]:
    would = [
        Outcome(
            change=Change(found.account_id, connector.id, enabled=False),
            status=OutcomeStatus.UNCHANGED,
            before=connector,
            after=connector,
            note="would be disabled",
        )
        for connector in found.locked
    ]
    off = [was_off(found.account_id, connector) for connector in found.off]
    return [*would, *off, *found.doubtful]


def _said(token: TokenInfo | CfssoError) -> str:
    if isinstance(token, CfssoError):
        return f"the token works, but until when is not known: {token}"
    if token.status is not TokenStatus.ACTIVE:
        return f"the token is {one_line(token.raw_status or 'of unknown status')}"
    if token.expires_on is None:
        return "the token works, with no end"
    until = f"the token works until {shown_time(token.expires_on)}"
    days = (token.expires_on - now()).days
    if days >= _SOON:
        return until
    return f"{until}, which is in {'1 day' if days == 1 else f'{max(days, 0)} days'}: renew it"
