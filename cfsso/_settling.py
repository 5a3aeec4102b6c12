"""Was it done? A write in doubt is settled by reading, and sent once more at most."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, TypeVar

import attrs

from cfsso._judging import Finding, unread
from cfsso.errors import (
    APIStatusError,
    CfssoError,
    InternalServerError,
    InvalidRequestError,
    NotFoundError,
    Settlement,
    WriteState,
)
from cfsso.events import EventKind
from cfsso.transports._call import Call

_Result = TypeVar("_Result")

_DONE: Final = {Settlement.APPLIED, Settlement.ALREADY}
# A read may show an old state, so what ends the watching must be seen twice in a row.
_ENDS: Final = {*_DONE, Settlement.CONFLICT, Settlement.GONE}
# Seconds between two looks: a write may be on its way for long, and reads may lag.
_PAUSES: Final = (2.0, 4.0, 8.0, 16.0)
# Of the statuses that refuse a read, these may go by.
_PASSING: Final = {408, 425}

Look: TypeAlias = Callable[[], Awaitable[Finding]]


async def surely(
    call: Call,
    send: Callable[[], Awaitable[_Result]],
    look: Callable[[float], Awaitable[Finding]],
    *,
    may_repeat: bool,
) -> _Result:
    """
    Write, and settle it if its answer leaves a doubt.

    Args:
        call: The call that the write belongs to.
        send: Sends it, and returns what the operation returns.
        look: Reads, and says what that means for a write that was sent at that time.
        may_repeat: Whether it is sent once more if it surely was not applied for as
            long as is watched.

    Raises:
        UnconfirmedWriteError: It can't be shown to have been done.
        CfssoError: It was not done.
    """
    try:
        return await send()
    except CfssoError as error:
        if error.write is not WriteState.UNKNOWN:
            raise
        doubt = error
    sent = call.began
    result: _Result = await _settle(call, doubt, lambda: look(sent), send if may_repeat else None)
    return result


async def _settle(
    call: Call, doubt: CfssoError, look: Look, send: Callable[[], Awaitable[Any]] | None
) -> Any:
    call.doubt, call.settling = doubt, True
    finding, idle = await _watch(call, look)
    if idle and send is not None and doubt.retryable is not False:
        try:
            finding = Finding(settlement=Settlement.APPLIED, value=await send())
        except CfssoError as error:
            if error.write is WriteState.UNKNOWN or isinstance(error, NotFoundError):
                finding, _ = await _watch(call, look)
            else:
                finding = attrs.evolve(finding, said=f"{finding.said}; then: {error}", error=error)
    call.settlement = finding.settlement
    call.tell(EventKind.SETTLE, settlement=finding.settlement)
    if finding.settlement in _DONE:
        return finding.value
    retry_after = None if finding.error is None else finding.error.retry_after
    raise call.unconfirmed(
        doubt, finding.said, finding.settlement, finding.found, retry_after
    ) from doubt


async def _watch(call: Call, look: Look) -> tuple[Finding, bool]:
    """Look until there is nothing more to learn; also return whether all was idle to the end."""
    pauses, once_more = iter(_PAUSES), iter(_PAUSES[:1])
    # What was disproved by an earlier look counts for nothing, so the look before it is the last.
    last: Finding | None = None
    moved = False
    while True:
        finding = await _look(look)
        agreed = last is not None and finding.settlement is last.settlement
        if finding.outdated:
            agreed = False
        else:
            last = finding
        # Looks that show an older state again prove nothing.
        moved = moved or finding.settlement in _ENDS
        if finding.final or (agreed and finding.settlement in _ENDS):
            return finding, False
        pause = next(pauses, None)
        if pause is None and last is not None and last.settlement in _ENDS:
            # What only the last look shows gets a second one, too.
            pause = next(once_more, None)
        if pause is None or _is_blind(finding.error) or pause >= call.left():
            idle = agreed and not moved and finding.settlement is Settlement.NOT_APPLIED
            return _unsure(last or finding, moved=moved), idle and pause is None
        await call.sleep(pause, "settle")


def _unsure(finding: Finding, *, moved: bool) -> Finding:
    """Return what a look is worth that others do not agree with."""
    if finding.settlement in _ENDS:
        said = f"{finding.said or 'it was done'}, but only one read says so"
    elif moved and finding.settlement is Settlement.NOT_APPLIED:
        said = f"{finding.said}, but an earlier read says otherwise"
    else:
        return finding
    return attrs.evolve(finding, settlement=Settlement.UNKNOWN, said=said)


async def _look(look: Look) -> Finding:
    try:
        return await look()
    except CfssoError as error:
        return unread(error)


def _is_blind(error: CfssoError | None) -> bool:
    """Whether another look would fail as well."""
    if isinstance(error, NotFoundError) and error.edge:
        return False
    if isinstance(error, APIStatusError):
        return not isinstance(error, InternalServerError) and error.status not in _PASSING
    return isinstance(error, InvalidRequestError)
