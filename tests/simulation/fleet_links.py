"""What stands between a process and the emulator, and does not die with it."""

import asyncio
import contextvars
import json
from collections.abc import Mapping
from contextvars import ContextVar
from random import Random
from typing import TYPE_CHECKING, Any, Final

import attrs
from fleet_keys import Keys
from fleet_limits import counted
from fleet_outages import Weather
from fleet_truth import Program, Sent
from sim_links import EPOCH

import cfsso
from cfsso import Request, Response, WriteState
from cfsso.testing import (
    FAULTS,
    Fault,
    FaultyTransport,
    answer_with,
    delay_request,
    false_success,
    lose_answer,
    lose_request,
    time_out,
)

if TYPE_CHECKING:
    from fleet_oracle import Oracle

# A write whose sender is gone arrives within so many seconds, or never.
LINGERING: Final = 20.0
SERVER: Final = "https://api.simulated.example/client/v4"
"""Where all that is simulated goes to."""

# How likely an outage takes an answer that is on its way.
_LOST: Final = 0.5

SENT: ContextVar[Sent] = ContextVar("simulated_request")
"""The request that is on its way; what is done for it inherits it."""


class Exit:
    """
    A process's end of the wire, below all of its own waiting.

    Attributes:
        server: Where it goes to.
    """

    def __init__(self, roads: "Roads", program: Program, server: str = SERVER) -> None:
        self.server = server
        self._roads = roads
        self._program = program
        program.keys = roads.keys.held()

    async def send(self, request: Request) -> Response:
        """Let the world carry *request*."""
        process, oracle = self._program.process, self._roads.oracle
        process.passes("send")
        sent = oracle.leaves(self._program, request)
        sent.token = self._program.keys[self._roads.tokens[request.account_id]]
        way = self._roads.carry(sent)
        try:
            process.passes("sent")
            await asyncio.wait({way})
            process.passes("answer")
        except BaseException:
            self._roads.abandon(sent, way)
            raise
        error = way.exception()
        if error:
            sent.unsent = getattr(error, "write", None) is WriteState.NOT_SENT
        oracle.ends(sent, None if error else way.result())
        if error:
            raise error
        return way.result()

    async def aclose(self) -> None:
        """Hold nothing."""


class Roads:
    """
    All ways to the emulator, with what goes wrong on them.

    Attributes:
        oracle: Who sees what goes there.
        tokens: The names of the accounts' tokens.
        keys: What these are presented as.
        weather: When the server is away.
        faulty: Where faults befall requests.
    """

    def __init__(
        self,
        cloud: "LaggingCloud",
        oracle: "Oracle",
        tokens: Mapping[str, str],
        keys: Keys,
        weather: Weather,
        random: Random,
        latency: float,
        faults: list[Fault],
    ) -> None:
        self.oracle = oracle
        self.tokens = tokens
        self.keys = keys
        self.weather = weather
        self._cloud = cloud
        self._random = random.random
        self._latency = latency
        self.faulty = FaultyTransport(self, seed=int(random.random() * 2**32), faults=faults)

    def carry(self, sent: Sent) -> "asyncio.Task[Response]":
        """Begin to carry a request, for nobody's account."""
        context = contextvars.Context()
        context.run(SENT.set, sent)
        work = self._carry(sent.request)
        way = asyncio.get_running_loop().create_task(work, context=context)
        # Nobody may be left to hear of it.
        way.add_done_callback(lambda way: way.cancelled() or way.exception())
        return way

    def abandon(self, sent: Sent, way: "asyncio.Task[Response]") -> None:
        """Its sender has gone; what is not there yet may be lost, or take its time."""
        sent.abandoned = True
        self.oracle.ends(sent, None)
        if sent.arrived is None and self._random() < 0.5:
            way.cancel()

    async def _carry(self, request: Request) -> Response:
        met = await self.weather.meet(request, self.faulty._line)
        return met or await self.faulty.send(request)

    async def send(self, request: Request) -> Response:
        """Carry *request* there and the answer back; the last link before the emulator."""
        sent, line = SENT.get(), self.faulty._line
        await asyncio.sleep(self._latency * self._random())
        if sent.abandoned:
            await asyncio.sleep(LINGERING * self._random())
        met = await self.weather.meet_on_the_way(request, line)
        if met is not None:
            return met
        way = cfsso.InMemoryTransport(self._cloud, api_token=sent.token)
        response = await way.send(request)
        await asyncio.sleep(self._latency * self._random())
        # What is on its way back when the server goes away may be lost.
        if self.weather.now is not None and self._random() < _LOST:
            return await FAULTS["lose_request"](request, line)
        return response

    async def aclose(self) -> None:
        """Hold nothing."""


class LaggingCloud(cfsso.CloudflareEmulator):
    """An emulator whose reads may show what was some seconds ago, and that is watched."""

    def __init__(self, oracle: "Oracle", random: Random, lag: float, **options: Any) -> None:
        super().__init__(**options)
        self._clock._epoch = EPOCH
        self._oracle = oracle
        self._chance = random.random
        self.lag = lag
        self._loop = asyncio.get_running_loop()

    def handle(self, request: Request, headers: Mapping[str, str] | None = None) -> Response:
        """Answer *request*."""
        response = super().handle(request, headers)
        now = self._loop.time()
        sent = SENT.get(None)
        if sent is not None:
            counted(self._oracle, sent, response.status, now)
        if request.is_write:
            self._oracle.arrives(sent, request, response, now)
            return response
        if sent is None:
            return response
        age = 0.0
        if self.lag and response.status in {200, 404} and self._chance() < 0.5:
            age = min(self.lag * self._chance(), now)
            response = self._aged(request, response, now - age)
        sent.shown_at = now - age
        sent.arrived = now
        return response

    def _aged(self, request: Request, response: Response, time: float) -> Response:
        shown = self._oracle.truth.earlier(request, time)
        if shown is None:
            return response
        body = {"success": True, "errors": [], "messages": [], "result": shown}
        return attrs.evolve(response, status=200, body=json.dumps(body).encode())


def _for_writes(fault: Fault) -> Fault:
    suits = fault.suits
    return attrs.evolve(fault, suits=lambda r, line: r.is_write and suits(r, line))


_BLOCK: Final = answer_with(429, applied=False, headers={"retry-after": "20"}, name="block")

FAULTY: Final[list[Fault]] = [
    *[lose_request] * 6,
    *[lose_answer] * 6,
    *[delay_request(5), delay_request(12)] * 2,
    *[_for_writes(time_out(20, applied=True)), time_out(8, applied=False)],
    *[FAULTS[name] for name in ("fail_dns", "refuse_connection", "delay_answer")] * 2,
    *[FAULTS[f"status_{n}_{done}applied"] for n in (500, 502) for done in ("", "not_")],
    *[FAULTS[f"status_503_retry_after_{done}applied"] for done in ("", "not_")],
    *[FAULTS[name] for name in ("html_page_applied", "cut_json", "lying_echo_applied")],
    *[_for_writes(FAULTS[f"status_{n}"]) for n in (400, 403, 409, 422)] * 3,
    *[_BLOCK] * 4,
]
"""What may befall requests: no read lies, and what is late arrives within 20 seconds."""

LIES: Final[list[Fault]] = [*FAULTY, *[false_success] * 20]
"""The same, and answers of success to writes that are not done."""
