"""
What the requests of one call share: its time, its waits, and who watches it.

The operation makes it, and the transports below find it by `current`, so that a
transport of somebody else's may stand between them.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

import attrs

from cfsso._log import log
from cfsso.errors import (
    APITimeoutError,
    CfssoError,
    Settlement,
    UnconfirmedWriteError,
    WriteState,
)
from cfsso.events import Event, EventKind, OnEvent
from cfsso.models import ResponseInfo, SSOConnector
from cfsso.transports._deadlines import Deadlines
from cfsso.transports.base import Request, Response

if TYPE_CHECKING:
    import asyncio

NEVER: Final = float("inf")

_Result = TypeVar("_Result")
_CURRENT: ContextVar["Call | None"] = ContextVar("cfsso_call", default=None)


def now() -> float:
    """Return the time of the running event loop."""
    import asyncio

    return asyncio.get_running_loop().time()


class Sink(Protocol):
    """Takes the content of one answer piece by piece, so that nobody holds all of it."""

    def feed(self, chunk: bytes) -> None:
        """
        Take the next piece of the decoded content.

        Raises:
            ValueError: It can't take this answer; the text says why.
        """

    def close(self) -> bytes:
        """
        Return what is kept of the content, which is complete: the body of the response.

        Raises:
            ValueError: As in `feed`.
        """
        ...


SinkOf: TypeAlias = Callable[[], Sink]
"""Makes a sink for one answer."""


@attrs.define(eq=False, kw_only=True)
class Call:
    """
    One call of an operation.

    Attributes:
        operation: The method's name.
        account_id: Its account.
        sso_connector_id: Its connector, if it has one.
        deadline: Seconds for the whole. None: no bound.
        deadlines: Where calls of that deadline are watched. None: it is by itself.
        loop: The running event loop. None: it is found out.
        max_wait:
            Seconds it may wait for limits. None: no bound, and such waits do not
            count toward the deadline.
        on_event: Who watches it.
        urgent: Whether it goes ahead of others: it lets people in.
        queued: Whether one of its requests had a place already.
        settling: Whether its requests come on top of it, to settle a doubt.
        sink:
            Makes what takes the content of an answer in the 200s to a GET, a new one for
            each answer. A transport that does not know of it returns the whole content.
            None: the content is the body, up to `MAX_BODY`.
        held: Whether the present request waits for its turn, so that it is no attempt yet.
        sent:
            Whether a byte of the present request may have left this machine. None: nobody
            has said. A transport that knows makes that False while it has the request, and
            True as soon as it hands the first byte to a socket, which stays so.
        request: The present request.
        doubt: Why a write is in doubt, while it is.
        attempts: How often something was sent, or tried to be.
        writes: How many writes may have arrived.
        waited: Seconds spent waiting.
        settlement: How a doubt was settled, if there was one.
        warnings: What successes had to say.
        is_over: Whether it has ended.
        time: What tells the time.
        began: When it began.
    """

    operation: str
    account_id: str = ""
    sso_connector_id: str | None = None
    deadline: float | None = None
    deadlines: Deadlines | None = None
    loop: "asyncio.AbstractEventLoop | None" = None
    max_wait: float | None = None
    on_event: OnEvent | None = None
    urgent: bool = False
    queued: bool = False
    settling: bool = False
    sink: SinkOf | None = None
    held: bool = True
    sent: bool | None = None
    request: Request | None = None
    doubt: CfssoError | None = None
    attempts: int = 0
    writes: int = 0
    waited: float = 0.0
    settlement: Settlement | None = None
    warnings: tuple[ResponseInfo, ...] = ()
    is_over: bool = False
    time: Callable[[], float] = now
    began: float = 0.0
    _limited: float = 0.0
    _timer: "asyncio.Timeout | None" = None
    _ends: float | None = None

    async def run(self, work: Awaitable[_Result]) -> _Result:
        """
        Await *work* as this call.

        Raises:
            APITimeoutError: The deadline passed.
            UnconfirmedWriteError: It passed while a write was in doubt.
        """
        if self.loop is None:
            import asyncio

            self.loop = asyncio.get_running_loop()
        self.time = self.loop.time
        self.began = self.time()
        token = _CURRENT.set(self)
        error: CfssoError | None = None
        try:
            return await (work if self.deadline is None else self._in_time(work))
        except CfssoError as raised:
            error = raised
            raise
        except BaseException:
            self._cut_off()
            raise
        finally:
            _CURRENT.reset(token)
            self.is_over = True
            # It holds the caller's task, and an error's traceback may hold this.
            self._timer = self._ends = None
            if self.on_event is not None:
                self.tell(
                    EventKind.END,
                    seconds=self.time() - self.began,
                    error=error,
                    settlement=self.settlement,
                    warnings=self.warnings,
                )

    async def _in_time(self, work: Awaitable[_Result]) -> _Result:
        import asyncio

        assert self.loop is not None  # noqa: S101 # it runs
        deadlines = self.deadlines or Deadlines(self.loop, self.deadline or 0.0)
        try:
            async with asyncio.Timeout(None) as self._timer:
                self._ends = deadlines.start(self, self.began)
                try:
                    return await work
                finally:
                    deadlines.stop(self)
        except TimeoutError:
            self._cut_off()
        raise self._timed_out() from self.doubt

    def expire(self) -> None:
        """End it if its deadline is there; it may have been moved."""
        # A wait that ended at the same moment may have set it, and been the first.
        if self._timer is not None and self._ends is not None and not self._timer.expired():
            self._timer.reschedule(self._ends)

    @property
    def may_have_left(self) -> bool:
        """Whether a byte of the present request may have left; so it may if nobody has said."""
        return not self.held if self.sent is None else self.sent

    def _cut_off(self) -> None:
        """Count the request that was under way when the call ended, since it may have arrived."""
        if self.request is not None and not self.held:
            self.attempts += 1
            self.writes += self.request.is_write and self.may_have_left

    def _timed_out(self) -> CfssoError:
        said = f"no result within the deadline of {self.deadline:g} s"
        if self.doubt is not None:
            return self.unconfirmed(self.doubt, said)
        state = WriteState.UNKNOWN if self.may_have_left else WriteState.NOT_SENT
        return APITimeoutError(
            f"{self.request}: {said}",
            write=None if self.request is None else self.request.write_state(state),
            request=self.request,
        )

    def unconfirmed(
        self,
        doubt: CfssoError,
        said: str,
        settlement: Settlement = Settlement.UNKNOWN,
        found: SSOConnector | None = None,
        retry_after: float | None = None,
    ) -> UnconfirmedWriteError:
        """Return the error for a write in doubt, with what the doubtful answer had."""
        self.settlement = settlement
        error = UnconfirmedWriteError(
            f"may or may not have happened: {doubt}; {said}",
            settlement=settlement,
            found=found,
            write=WriteState.UNKNOWN,
            status=doubt.status,
            errors=doubt.errors,
            messages=doubt.messages,
            ray_id=doubt.ray_id,
            retry_after=doubt.retry_after if retry_after is None else retry_after,
            request=doubt.request,
            edge=doubt.edge,
            title=doubt.title,
            detail=doubt.detail,
            response=doubt.response,
        )
        if doubt.retryable is not None:
            error.retryable = doubt.retryable
        return error

    def left(self) -> float:
        """Return the seconds until the deadline; inf if there is none."""
        return NEVER if self._ends is None else self._ends - self.time()

    def may_wait(self) -> float:
        """Return how many seconds it may yet wait for a limit; inf if there is no bound."""
        if self.max_wait is None:
            return NEVER
        return min(self.max_wait - self._limited, self.left())

    @contextmanager
    def waiting(self, seconds: float, reason: str, *, limited: bool = False) -> Generator[None]:
        """Count the time in it as waiting; *limited* if it is for a limit."""
        self.held = True
        self.tell(EventKind.WAIT, seconds=seconds, reason=reason)
        begun = self.time()
        ends = self._move_deadline(None) if limited and self.max_wait is None else None
        try:
            yield
        finally:
            took = self.time() - begun
            self.waited += took
            if limited:
                self._limited += took
            if ends is not None:
                self._move_deadline(ends + took)

    def _move_deadline(self, when: float | None) -> float | None:
        """Return when it was; one that is over, whose cancellation was swallowed, stays."""
        timer = self._timer
        if timer is None or self.is_over or timer.expired():
            return None
        was, self._ends = self._ends, when
        timer.reschedule(when)
        return was

    async def sleep(self, seconds: float, reason: str, *, limited: bool = False) -> None:
        """Wait *seconds*."""
        import asyncio

        with self.waiting(seconds, reason, limited=limited):
            await asyncio.sleep(seconds)

    def attempted(self, request: Request, outcome: Response | Exception, seconds: float) -> None:
        """Count one request and what came of it."""
        error = outcome if isinstance(outcome, CfssoError) else None
        self.attempts += 1
        self.writes += request.is_write and not (error and error.write is WriteState.NOT_SENT)
        if self.on_event is not None:
            status = outcome.status if isinstance(outcome, Response) else None
            self.tell(
                EventKind.ATTEMPT, request=request, status=status, seconds=seconds, error=error
            )

    def tell(self, kind: EventKind, **members: Any) -> None:
        """Let whoever watches know."""
        if self.on_event is None:
            return
        event = Event(
            kind=kind,
            operation=self.operation,
            account_id=self.account_id,
            sso_connector_id=self.sso_connector_id,
            attempts=self.attempts,
            writes=self.writes,
            waited=self.waited,
            **members,
        )
        try:
            self.on_event(event)
        except Exception:  # noqa: BLE001 - a watcher must not change what is watched
            log().exception("on_event failed")


def current() -> Call:
    """Return the call that runs here, or one without bounds if none does."""
    call = _CURRENT.get()
    # A task that a call left behind is no part of it.
    return Call(operation="", began=now()) if call is None or call.is_over else call
