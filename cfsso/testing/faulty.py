"""A transport on which things go wrong: as told, or by chance."""

import contextlib
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import attrs

from cfsso.emulator import checks
from cfsso.errors import InvalidRequestError, WriteState
from cfsso.testing._seen import Seen
from cfsso.testing.catalogue import FAULTS
from cfsso.testing.faults import Fault
from cfsso.transports.base import Request, Response, Transport

if TYPE_CHECKING:
    import asyncio

# From a fault that does not suit to the next one: a prime, so all of them have a turn.
_STEP = 7919


class FaultyTransport:
    """
    A `cfsso.Transport` around another one, with faults on the way.

    Faults come by rules, see `on`, and else by chance. Without both all goes well.

    Args:
        inner: The way to the server. It is closed with this one.
        seed: Makes chance the same each time for the same requests in the same order.
        rate: The share of requests that a fault befalls by chance, from 0 to 1.
        faults: What is drawn from, each as likely as the other. ``None``: all of `FAULTS`.

    Attributes:
        injected: How often each fault befell a request, by its name.
        requests: How many requests there were.
        seed: As given, else drawn: it says how to see a failure again.

    Raises:
        InvalidRequestError: An argument can't be used.
    """

    def __init__(
        self,
        inner: Transport,
        *,
        seed: int | None = None,
        rate: float = 0.0,
        faults: Iterable[Fault] | None = None,
    ) -> None:
        # Not above, since it is slow to load.
        from random import Random, SystemRandom

        if not _is(inner, Transport):
            raise checks.wrong("inner", "a transport")
        self._inner = inner
        self.seed = SystemRandom().getrandbits(32) if seed is None else _whole(seed, "seed")
        self._random = Random(self.seed).random  # noqa: S311  (chance in a test)
        self._faults = tuple(map(_fault, FAULTS.values() if faults is None else faults))
        self.rate = rate
        self.injected: Counter[str] = Counter()
        self.requests = 0
        self._line = _Line(inner.send)
        self._rules: list[_Rule] = []
        self._closed = False

    def __repr__(self) -> str:
        return f"FaultyTransport({self._inner!r}, seed={self.seed}, rate={self._rate})"

    @property
    def server(self) -> str:
        """Which server the inner transport reaches, or empty if it does not say."""
        return str(getattr(self._inner, "server", ""))

    @property
    def rate(self) -> float:
        """The share of requests that a fault befalls by chance; yours to change."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        """Set it; `InvalidRequestError` if it is no share or there is no fault to draw."""
        if type(rate) not in {int, float} or not 0 <= rate <= 1:
            raise checks.wrong("rate", "a number from 0 to 1")
        if rate and not self._faults:
            raise checks.wrong("faults", "at least one if rate is above 0")
        self._rate = rate

    @property
    def delayed(self) -> int:
        """How many writes are still on the way, see `delay_request`."""
        return len(self._line.tasks)

    def on(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        account_id: str | None = None,
        sso_connector_id: str | None = None,
        nth: int = 1,
        times: int | None = 1,
    ) -> None:
        """
        Let *fault* befall certain requests from now on.

        Of several rules for one request the first one counts, and all of them count
        the request.

        Args:
            fault: One of `FAULTS`, or of your own.
            method: The HTTP method. ``None``: any.
            account_id: What the path names. ``None``: any.
            sso_connector_id: What the path names. ``None``: any, or none.
            nth: The first request to befall, of those that match and suit the fault.
            times: How many of them in a row. ``None``: all that follow.

        Raises:
            InvalidRequestError: An argument can't be used.
        """
        if method is not None:
            Request(method, "/accounts")
        if account_id is not None:
            checks.identifier(account_id, "account_id")
        if sso_connector_id is not None:
            checks.identifier(sso_connector_id, "sso_connector_id")
        first = _count(nth, "nth")
        self._rules.append(
            _Rule(
                fault=_fault(fault),
                method=method,
                account_id=account_id,
                sso_connector_id=sso_connector_id,
                first=first,
                end=math.inf if times is None else first + _count(times, "times"),
            )
        )

    def heal(self) -> None:
        """Forget the rules and end chance. Writes that are on the way still arrive."""
        self._rules.clear()
        self._rate = 0.0

    async def send(self, request: Request) -> Response:
        """
        Send *request*, unless a fault befalls it.

        Raises:
            CfssoError: As the fault or the inner transport says.
            InvalidRequestError: The transport is closed.
        """
        if self._closed:
            raise InvalidRequestError(
                "the transport is closed",
                write=request.write_state(WriteState.NOT_SENT),
                request=request,
            )
        self.requests += 1
        fault = self._ruled(request) if self._rules else None
        if fault is None and self._rate and self._random() < self._rate:
            fault = self._drawn(request)
        if fault is None:
            return await self._line(request)
        self.injected[fault.name] += 1
        return await fault(request, self._line)

    async def aclose(self) -> None:
        """Close the inner transport. Writes that are on the way are dropped."""
        self._closed = True
        try:
            await self._line.drop()
        finally:
            await self._inner.aclose()

    def _ruled(self, request: Request) -> Fault | None:
        befalls = [rule.fault for rule in self._rules if rule.befalls(request, self._line)]
        self._rules = [rule for rule in self._rules if not rule.is_over]
        return befalls[0] if befalls else None

    def _drawn(self, request: Request) -> Fault | None:
        count = len(self._faults)
        # Drawn once, whatever suits: later draws must not depend on what was read when.
        place = int(self._random() * count)
        for turn in range(count):
            fault = self._faults[(place + turn * _STEP) % count]
            if fault.suits(request, self._line):
                return fault
        return None


class _Line(Seen):
    """The way to the server, with a by-way for what arrives later."""

    __slots__ = ("_dropped", "tasks")

    def __init__(self, send: Callable[[Request], Awaitable[Response]]) -> None:
        super().__init__(send)
        self.tasks: set[asyncio.Task[None]] = set()
        self._dropped = False

    def later(self, request: Request, seconds: float) -> None:
        """Send *request* after *seconds*; nobody gets the answer."""
        # Not above, since it is slow to load.
        import asyncio

        if self._dropped:
            return

        async def deliver() -> None:
            await asyncio.sleep(seconds)
            # There is nobody to tell.
            with contextlib.suppress(Exception):
                await self(request)

        task = asyncio.get_running_loop().create_task(deliver())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def drop(self) -> None:
        """Send nothing more, and wait until that is so."""
        import asyncio

        self._dropped = True
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@attrs.define(kw_only=True, eq=False)
class _Rule:
    """Which requests a fault befalls: from the *first* one that matches, to before the *end*."""

    fault: Fault
    method: str | None
    account_id: str | None
    sso_connector_id: str | None
    first: int
    end: float
    seen: int = 0

    def befalls(self, request: Request, line: _Line) -> bool:
        """Whether it befalls *request*, which is counted."""
        if (
            self.method not in {None, request.method}
            or self.account_id not in {None, request.account_id}
            or self.sso_connector_id not in {None, *request.path.split("/")[4:5]}
            or not self.fault.suits(request, line)
        ):
            return False
        self.seen += 1
        return self.first <= self.seen < self.end

    @property
    def is_over(self) -> bool:
        """Whether it befalls no other request."""
        return self.seen + 1 >= self.end


def _is(value: Any, kind: Any) -> bool:
    # Whether callers hand in what they should; to a type checker they always do.
    return isinstance(value, kind)


def _fault(value: Any) -> Fault:
    if not isinstance(value, Fault):
        raise checks.wrong("a fault", "a cfsso.testing.Fault, as in FAULTS")
    return value


def _whole(value: Any, name: str) -> int:
    if type(value) is not int:
        raise checks.wrong(name, "a whole number or None")
    return value


def _count(value: Any, name: str) -> int:
    if type(value) is not int or value < 1:
        raise checks.wrong(name, "a whole number from 1")
    return value
