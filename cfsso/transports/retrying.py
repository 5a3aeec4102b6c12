"""Sends again what may be sent again, and nothing else."""

from typing import Final

import attrs

from cfsso._headers import retry_after
from cfsso.errors import (
    APIConnectionError,
    CfssoError,
    InvalidRequestError,
    RateLimitError,
    WriteState,
)
from cfsso.transports._budget import Budget
from cfsso.transports._call import Call, current
from cfsso.transports._window import Place
from cfsso.transports.base import RateLimit, Request, Response, Transport

# Seconds before the first retry, and how often they double: up to 8.
_FIRST_PAUSE: Final = 0.5
_DOUBLINGS: Final = 4
# A longer promise is told, not waited for.
_LONGEST_PROMISE: Final = 3600.0
_TOO_MANY: Final = 429
_ERRORS: Final = 400
_SERVER_ERRORS: Final = 500
# Besides those from 500 on, these say of a read that it may fare better later.
_UNDECIDED: Final = {408, 425}


@attrs.frozen
class Again:
    """
    That a request may be sent again.

    Attributes:
        seconds: How long to wait before.
        promised: Whether the server asked for that time.
    """

    seconds: float
    promised: bool


def again(
    request: Request, outcome: Response | CfssoError, retries: int, jitter: float
) -> Again | None:
    """
    Return whether *request* may be sent again after *outcome*; ``None``: it may not.

    A write may only if Cloudflare did not take it up: nothing was sent, or it is 429.

    Args:
        request: What was sent, or was to be.
        outcome: What came of it.
        retries: How often it was sent again already.
        jitter: A factor for the wait, from ½ to 1.
    """
    pause = _FIRST_PAUSE * 2 ** min(retries, _DOUBLINGS) * jitter
    if isinstance(outcome, Response):
        promise = retry_after(outcome.status, outcome.headers)
        refused = outcome.status == _TOO_MANY
        if not refused and (request.is_write or not _is_failure(outcome)):
            return None
        if promise is None:
            return Again(pause, promised=False)
        return Again(max(promise, pause), promised=True)
    if not isinstance(outcome, APIConnectionError) or not outcome.retryable:
        return None
    if request.is_write and outcome.write is not WriteState.NOT_SENT:
        return None
    return Again(pause, promised=False)


class RetryingTransport:
    """
    A `Transport` around a transport that sends again what may be sent again.

    That is: what was never sent; a read that failed, by its connection or with 408,
    425 or 5xx; and what was answered with 429, after the time that it asks. A write
    that may have happened is never sent again here.

    Retries, and the reads that settle a doubt, come out of a budget: those that fail
    are at most a fifth of the calls, and at least 10 are allowed. Calls that succeed fill
    it up again. When nothing is left, a retry is not made, and a read waits: one goes
    after 2 seconds, and while they fail the next one after five times as long. So an
    outage does not get worse by them. A 429 costs nothing of it.

    Args:
        inner: What sends.
        max_retries: How often a request is sent again, not counting 429.

    Raises:
        InvalidRequestError: *max_retries* is not a whole number from 0.
    """

    def __init__(self, inner: Transport, *, max_retries: int = 4) -> None:
        if type(max_retries) is not int or max_retries < 0:
            raise InvalidRequestError(
                f"max_retries must be a whole number from 0, not {max_retries!r:.60}"
            )
        self._inner = inner
        self._max_retries = max_retries
        self._budget = Budget()

    def __repr__(self) -> str:
        return f"RetryingTransport({self._inner!r})"

    @property
    def server(self) -> str:
        """Which server the inner transport reaches, or empty if it does not say."""
        return str(getattr(self._inner, "server", ""))

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the inner transport says of its limit. ``None``: nothing."""
        found = getattr(self._inner, "rate_limit", None)
        return found if isinstance(found, RateLimit) else None

    async def send(self, request: Request) -> Response:
        """
        Send *request*, again if need be; see `Transport.send`.

        Raises:
            RateLimitError:
                A read was answered with 503, and to wait for longer than its call may.
        """
        call = current()
        budget = self._budget
        place: Place | None = None
        if call.settling:
            place = await budget.wait(call)
        else:
            budget.count_call(call.began)
        retries, sent = 0, call.sent
        while True:
            outcome = await self._attempt(request, call, place)
            if isinstance(outcome, Response) and outcome.status < _ERRORS:
                return outcome
            plan = again(request, outcome, retries, _jitter())
            if plan is None:
                break
            if not self._has_time(plan, call):
                _tell_promise(request, outcome, plan)
                break
            place = None
            if not _is_limit(outcome):
                place = budget.take(call.time()) if retries < self._max_retries else None
                if place is None:
                    break
                retries += 1
            # What was sent was not taken up.
            call.sent = sent
            await self._pause(plan, call, place)
        if isinstance(outcome, CfssoError):
            raise outcome
        return outcome

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()

    async def _attempt(
        self, request: Request, call: Call, place: Place | None
    ) -> Response | CfssoError:
        """Send once; *place* is what it costs of the budget if it fails."""
        # The attempt itself, not the waits of other transports for it.
        begun = call.time() - call.waited
        call.held = False
        failed = True
        try:
            outcome: Response | CfssoError
            try:
                outcome = await self._inner.send(request)
            except CfssoError as error:
                outcome = error
            except Exception as error:
                # Of a transport that is not ours; it may have sent it.
                call.attempted(request, error, call.time() - call.waited - begun)
                raise
            failed = _is_failure(outcome)
            if not call.held:
                call.attempted(request, outcome, call.time() - call.waited - begun)
            return outcome
        finally:
            if not call.held:
                self._budget.count(place, call.time(), failed=failed)
            else:
                self._budget.give_back(place)

    def _has_time(self, plan: Again, call: Call) -> bool:
        if plan.promised:
            return plan.seconds <= min(call.may_wait(), _LONGEST_PROMISE)
        return plan.seconds < call.left()

    async def _pause(self, plan: Again, call: Call, place: Place | None) -> None:
        reason = "rate limit" if plan.promised else "retry"
        try:
            await call.sleep(plan.seconds, reason, limited=plan.promised)
        except BaseException:
            self._budget.give_back(place)
            raise


def _is_failure(outcome: Response | CfssoError) -> bool:
    if isinstance(outcome, Response):
        return outcome.status >= _SERVER_ERRORS or outcome.status in _UNDECIDED
    return isinstance(outcome, APIConnectionError)


def _is_limit(outcome: Response | CfssoError) -> bool:
    return isinstance(outcome, Response) and outcome.status == _TOO_MANY


def _jitter() -> float:
    # Here, since it is slow to load.
    import random

    return random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing


def _tell_promise(request: Request, outcome: Response | CfssoError, plan: Again) -> None:
    """Raise for an answer, other than a 429, that asks for a longer wait than there is time."""
    if isinstance(outcome, Response) and plan.promised and not _is_limit(outcome):
        raise RateLimitError(
            f"{outcome.status} from {request}: asks to wait {plan.seconds:,.0f} s",
            status=outcome.status,
            ray_id=outcome.headers.get("cf-ray"),
            retry_after=plan.seconds,
            request=request,
        )
