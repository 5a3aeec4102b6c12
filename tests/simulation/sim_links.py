"""What stands on the way: the client's end, the wire, and the server's own door."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any, Final

import attrs
from sim_oracle import Oracle
from sim_truth import CURRENT, Op

import cfsso
from cfsso import Request, Response
from cfsso.testing import (
    FAULTS,
    Fault,
    Line,
    alter_answer,
    answer_with,
    delay_request,
    stale_read,
    time_out,
)

# When simulated time begins. Whole seconds would be rare, and hide what comes in between.
EPOCH: Final = 1_790_000_000.37


class Exit:
    """The client's end, below all of its own waiting; one for each stack."""

    def __init__(
        self, inner: cfsso.Transport, oracle: Oracle, answered: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._oracle = oracle
        self._answered = answered

    async def send(self, request: Request) -> Response:
        """Tell the oracle what leaves, and what comes back."""
        op, account, oracle = CURRENT.get(), request.account_id, self._oracle
        oracle.leaves(op, request, account)
        try:
            response = await self._inner.send(request)
        except BaseException as error:
            oracle.fails(op, request, error, account)
            raise
        oracle.answers(op, request, response, account)
        self._answered()
        return response

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


class Wire:
    """
    The way to the emulator, by account; it takes its time in both directions.

    What was under way when its sender gave up may still arrive.
    """

    def __init__(
        self, cloud: "WatchedCloud", tokens: Mapping[str, str], random: Random, latency: float
    ) -> None:
        self._ways = {
            account: cfsso.InMemoryTransport(cloud, api_token=token)
            for account, token in tokens.items()
        }
        self._random = random.random
        self._latency = latency
        self._late: set[asyncio.Task[Response]] = set()

    async def send(self, request: Request) -> Response:
        """Carry *request* there and the answer back."""
        way = self._ways[request.account_id]
        if self._latency:
            try:
                await asyncio.sleep(self._latency * self._random())
            except asyncio.CancelledError:
                if self._random() < 0.5:
                    asyncio.get_running_loop().call_later(0.05, self._arrive_late, request)
                raise
        return await way.send(request)

    def _arrive_late(self, request: Request) -> None:
        work = self._ways[request.account_id].send(request)
        task = asyncio.get_running_loop().create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def aclose(self) -> None:
        """Close the ways."""
        for way in self._ways.values():
            await way.aclose()


class WatchedCloud(cfsso.CloudflareEmulator):
    """An emulator that shows the oracle every request; its answers may lack a Date."""

    def __init__(self, oracle: Oracle, *, dated: bool, **options: Any) -> None:
        super().__init__(**options)
        self._clock._epoch = EPOCH
        self._oracle = oracle
        self._dated = dated
        self._time = asyncio.get_running_loop().time

    def handle(self, request: Request, headers: Mapping[str, str] | None = None) -> Response:
        """Answer *request*."""
        response = super().handle(request, headers)
        now = self._time()
        op = CURRENT.get(None)
        if op is not None:
            self._oracle.arrives(op, request.account_id, request, response, now)
        elif request.is_write and response.status == 200:
            self._oracle.truth.accept(request, response.body, now, None)
        if self._dated:
            return response
        headers = {k: v for k, v in response.headers.items() if k != "date"}
        return Response(response.status, headers, response.body)


def _recorded(fault: Fault) -> Fault:
    """Return *fault*, which from now on tells the call that it befalls."""
    act, name, ambiguous = fault.act, fault.name, fault.ambiguous

    async def recorded(request: Request, line: Line) -> Response:
        op: Op = CURRENT.get()
        op.hit = name
        op.hits.append((name, op.write is not None and not request.is_write))
        if ambiguous and request.is_write:
            op.ambiguous = True
        return await act(request, line)

    return attrs.evolve(fault, act=recorded)


def _for_writes(fault: Fault) -> Fault:
    suits = fault.suits
    return attrs.evolve(fault, suits=lambda r, line: r.is_write and suits(r, line))


# What the edge itself calls passing.
_OF_THE_EDGE_FOR_NOW: Final = re.compile(r"edge_(1015|50[0-4]|52[0-4])(_|$)")
# These say for good that a read is refused: no doubt can be settled after them.
_FINAL: Final = {
    "challenge",
    *("proxy_403", "proxy_407"),
    *(name for name in FAULTS if name.startswith("edge_") and not _OF_THE_EDGE_FOR_NOW.match(name)),
    *(f"status_{n}" for n in (400, 401, 403, 404, 409, 422)),
    *(f"status_{n}_{done}" for n in (301, 302, 307, 308) for done in ("applied", "not_applied")),
}
# What matters most comes more often than once.
_MORE: Final = {
    "lose_answer": 5,
    "lose_request": 5,
    "delay_request": 3,
    "stale_read": 5,
} | dict.fromkeys(("another_deleted", "another_created"), 5)


def _weighted(faults: Iterable[Fault]) -> list[Fault]:
    return [fault for fault in faults for _ in range(_MORE.get(fault.name, 1))]


def _of_another(response: Response) -> Response:
    body = re.sub(rb'"email_domain":"[^"]*"', b'"email_domain":"another.example"', response.body)
    return attrs.evolve(response, body=body)


_DELETED: Final = b'{"success":true,"errors":[],"messages":[],"result":{"id":"%s"}}' % (b"0" * 32)
_ABOUT_OTHERS: Final = [
    answer_with(
        200,
        applied=False,
        body=_DELETED,
        name="another_deleted",
        suits=lambda request, _line: request.method == "DELETE",
    ),
    alter_answer(
        "another_created",
        _of_another,
        suits=lambda request, _line: request.method == "POST" and request.body is not None,
    ),
]
_OTHER_LENGTHS: Final = [delay_request(12), stale_read(30), time_out(25, applied=True)]

ALL: Final = _weighted(map(_recorded, [*FAULTS.values(), *_ABOUT_OTHERS, *_OTHER_LENGTHS]))
"""Every fault of the catalogue, answers about others, and some faults of other lengths."""

PASSING: Final = [_for_writes(fault) if fault.name in _FINAL else fault for fault in ALL]
"""The same, but no read is refused for good."""

LATE: Final = _recorded(delay_request(45))
"""A write that arrives when its sender has long sent it again."""

OUTAGES: Final = [
    fault
    for fault in PASSING
    if fault.name.startswith(("fail_dns", "refuse", "lose_", "time_out", "status_5", "html_page"))
]
"""What may befall everything for a while."""
