"""Sends again what may be sent again, and nothing else."""

from typing import TYPE_CHECKING, Final

import attrs

from cfsso import _failures, _problems
from cfsso._headers import BLOCK_SECONDS
from cfsso.errors import (
    APIConnectionError,
    CfssoError,
    InvalidRequestError,
    WriteState,
)
from cfsso.transports._budget import Budget
from cfsso.transports._by_loop import ByLoop
from cfsso.transports._call import Call, current
from cfsso.transports._window import Place
from cfsso.transports.base import RateLimit, Request, Response, Transport

if TYPE_CHECKING:
    import asyncio

# Seconds before the first retry, and how often they double: up to 8.
_FIRST_PAUSE: Final = 0.5
_DOUBLINGS: Final = 4
# How often those after a refusal for the limit do: until they are as long as the API's block.
_MORE_DOUBLINGS: Final = 10
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

    A write may only if Cloudflare did not take it up: nothing was sent, it is 429, or its edge
    refused it for now. Nothing may that an answer says not to repeat.

    Args:
        request: What was sent, or was to be.
        outcome: What came of it.
        retries: How often it was sent again already, after outcomes of that kind.
        jitter: A factor for a wait that no answer asks for, from ½ to 1.
    """
    if isinstance(outcome, Response):
        return _after_answer(request, outcome, retries, jitter)
    if not isinstance(outcome, APIConnectionError) or not outcome.retryable:
        return None
    if request.is_write and outcome.write is not WriteState.NOT_SENT:
        return None
    return Again(_pause(retries, jitter), promised=False)


def _after_answer(request: Request, outcome: Response, retries: int, jitter: float) -> Again | None:
    limited = _is_limit(outcome)
    # What is sent once, a POST, is repeated only after a 429.
    refused = limited or (request.method != "POST" and _is_turned_away(outcome))
    if not refused and (request.is_write or not _is_failure(outcome)):
        return None
    if _problems.retryable(outcome) is False:
        return None
    promise = _problems.retry_after(outcome)
    if promise is None:
        return Again(_pause(retries, jitter), promised=False)
    if limited:
        # A promise that is not kept is worth less each time; others wait as long.
        pause = _pause(retries + min(retries, 1), 1.0, _MORE_DOUBLINGS)
        return Again(max(promise, pause), promised=True)
    return Again(max(promise, _pause(retries, jitter)), promised=True)


def _pause(retries: int, jitter: float, doublings: int = _DOUBLINGS) -> float:
    return float(min(_FIRST_PAUSE * 2 ** min(retries, doublings), BLOCK_SECONDS) * jitter)


class RetryingTransport:
    """
    A `Transport` around a transport that sends again what may be sent again.

    That is: what was never sent; a read that failed, by its connection or with 408,
    425 or 5xx; and what was answered with 429, or, but for a POST, turned away by
    Cloudflare's edge for now, after the time that it asks, which grows while that does not
    help. A write that may have happened is never sent again here, and nothing whose answer
    says that it is no use: 525, 526, and ``"retryable": false``.

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
        # Who waits for it waits on an event loop, and threads may share this transport.
        self._budgets = ByLoop(lambda _loop: Budget())
        self._last: tuple[asyncio.AbstractEventLoop, Budget] | None = None

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
                A read was answered with 5xx, and to wait for longer than its call may.
        """
        call = current()
        budget = self._budget
        place: Place | None = None
        if call.settling:
            place = await budget.wait(call)
        else:
            budget.count_call(call.began)
        retries = limits = 0
        sent = call.sent
        while True:
            outcome = await self._attempt(request, call, place)
            if isinstance(outcome, Response) and outcome.status < _ERRORS:
                return outcome
            limited = _is_limit(outcome)
            plan = again(request, outcome, limits if limited else retries, _jitter())
            if plan is None:
                break
            if not self._has_time(plan, call):
                if isinstance(outcome, Response) and plan.promised and _is_failure(outcome):
                    raise _failures.too_long(request, outcome, plan.seconds)
                break
            place = None
            limits += limited
            if not limited:
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

    @property
    def _budget(self) -> Budget:
        import asyncio

        loop, last = asyncio.get_running_loop(), self._last
        if last is None or last[0] is not loop:
            last = self._last = loop, self._budgets.of(loop)
        return last[1]

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


def _is_turned_away(outcome: Response) -> bool:
    """Whether nobody behind Cloudflare's edge got the request, which may pass it later."""
    is_refusal = _ERRORS <= outcome.status < _SERVER_ERRORS and outcome.status not in _UNDECIDED
    return is_refusal and _problems.is_turned_away(outcome)


def _jitter() -> float:
    # Here, since it is slow to load.
    import random

    return random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
