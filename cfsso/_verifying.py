"""Look until a domain is verified or has failed: in polite intervals, whatever fails meanwhile."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import attrs

from cfsso import _callbacks, _checks
from cfsso._log import log
from cfsso.errors import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    CfssoError,
    InternalServerError,
    RateLimitError,
    WriteState,
)
from cfsso.models import SSOConnector, VerificationStatus
from cfsso.transports._call import NEVER, now

OnLook: TypeAlias = Callable[[SSOConnector | CfssoError, float], object]
"""Is told what a look showed, or why it showed nothing, and the seconds until the next one."""

# Cloudflare looks for the record for two days; this is an hour more.
DEADLINE: Final = 176_400.0
INTERVAL: Final = 5.0
_GROWTH: Final = 1.5
_LONGEST: Final = 300.0
# For so long after a write a read may show the state of before.
_LAG: Final = 30.0
# Request Timeout and Too Early: of the statuses that refuse a read, these may go by.
_PASSING: Final = {408, 425}
_IDLE: Final = {VerificationStatus.AWAITING, VerificationStatus.FAILED}


@attrs.define(eq=False, kw_only=True)
class Waiting:
    """
    One wait for the verification of a domain.

    Attributes:
        sso_connector_id: Whose it is.
        look: Reads the connector.
        begin: Makes Cloudflare look for the record.
        deadline: Seconds from `run` on. None: no bound.
        interval: Seconds before the second look; the pauses grow from there.
        restart: Whether to begin the search if the first look shows none under way.
        on_look: Who watches.
    """

    sso_connector_id: str
    look: Callable[[], Awaitable[SSOConnector]]
    begin: Callable[[], Awaitable[None]]
    deadline: float | None
    interval: float
    restart: bool
    on_look: OnLook | None
    _ends: float = NEVER
    _seen: SSOConnector | None = None
    _error: CfssoError | None = None
    # What a begun search was begun on, and when.
    _before: SSOConnector | None = None
    _begun: float = -NEVER
    _write: WriteState | None = None

    def __attrs_post_init__(self) -> None:
        _checks.seconds("deadline", self.deadline)
        _checks.booleans(restart=self.restart)
        self.on_look = _callbacks.plain("on_look", self.on_look)
        if _checks.seconds("interval", self.interval) is None or not 0 < self.interval < NEVER:
            _checks.refuse(f"interval must be seconds above 0, not {self.interval!r:.60}", None)

    async def run(self) -> SSOConnector:
        """
        Return the connector as soon as it is verified or has failed.

        Raises:
            APITimeoutError: Neither was seen before the deadline.
            CfssoError: A look, or the beginning, failed in a way that will not pass.
        """
        import asyncio

        if self.deadline is not None:
            self._ends = now() + self.deadline
        try:
            async with asyncio.timeout(self.deadline):
                return await self._watch()
        except TimeoutError:
            pass
        raise self._timed_out() from self._error

    async def _watch(self) -> SSOConnector:
        import asyncio

        pause = self.interval
        while True:
            found = await self._look()
            if found is not None and await self._is_over(found):
                return found
            rest = self._rest(pause)
            self._tell(rest)
            await asyncio.sleep(rest)
            pause = min(pause * _GROWTH, max(pause, _LONGEST))

    async def _look(self) -> SSOConnector | None:
        """Return the connector; None: it could not be seen this time."""
        try:
            self._seen = found = await self.look()
        except CfssoError as error:
            if not self._may_pass(error):
                raise
            self._error = error
            return None
        self._error = None
        return found

    async def _is_over(self, found: SSOConnector) -> bool:
        status = found.verification.status
        if self.restart and status in _IDLE:
            await self._begin(found)
            return False
        self.restart = False
        if status is VerificationStatus.FAILED:
            return now() >= self._begun + _LAG or found != self._before
        return status is VerificationStatus.VERIFIED

    async def _begin(self, found: SSOConnector) -> None:
        self._before, self._begun, self._write = found, now(), WriteState.UNKNOWN
        try:
            await self.begin()
        except CfssoError as error:
            self._write = error.write
            if not self._may_pass(error):
                raise
            self._error = error
            # What surely was not taken up has not been sent, so far as the search goes.
            self.restart = error.write is not WriteState.UNKNOWN
            return
        self._write, self.restart = None, False

    def _may_pass(self, error: CfssoError) -> bool:
        """Whether another look may fare better; what stands in the way now may go away again."""
        is_blocked = isinstance(error, APIStatusError) and error.edge and self._seen is not None
        return (is_blocked and error.retryable is not False) or _may_pass(error)

    def _rest(self, pause: float) -> float:
        """Return how long to wait, so that one look comes shortly before the deadline."""
        left = self._ends - now()
        if self.interval < left <= pause:
            pause = left - self.interval
        promised = None if self._error is None else self._error.retry_after
        return pause if promised is None else max(pause, promised)

    def _tell(self, rest: float) -> None:
        found = self._error or self._seen
        if self.on_look is None or found is None:
            return
        try:
            self.on_look(found, rest)
        except Exception:  # noqa: BLE001 - a watcher must not change what is watched
            log().exception("on_look failed")

    def _timed_out(self) -> APITimeoutError:
        said = f"connector {self.sso_connector_id} was not verified within {self.deadline:g} s"
        if self._seen is None:
            said += "; it was never seen"
        else:
            status = self._seen.verification.raw_status
            said += f"; last seen: {'no status' if status is None else status}"
        if self._error is not None:
            said += f"; the last request failed: {self._error}"
        return APITimeoutError(said, write=self._write)


def _may_pass(error: CfssoError) -> bool:
    """Whether another look may fare better."""
    if isinstance(error, APIConnectionError):
        return error.retryable is not False
    if isinstance(error, APIStatusError):
        return isinstance(error, InternalServerError | RateLimitError) or error.status in _PASSING
    return isinstance(error, APIResponseValidationError)
