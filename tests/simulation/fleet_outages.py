"""Times in which nobody reaches the API: nothing connects, or a gateway answers for everybody."""

import asyncio
from random import Random
from typing import Final

import attrs

from cfsso import Request, Response
from cfsso.testing import FAULTS, Fault, Line, answer_with

_LONGEST: Final = 600.0
_HTML: Final = b"<html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>"

KINDS: Final[dict[str, Fault]] = {
    "refused": FAULTS["refuse_connection"],
    "silent": FAULTS["time_out_connecting"],
    "502": answer_with(
        502, applied=False, headers={"content-type": "text/html"}, body=_HTML, name="gateway"
    ),
    "503": answer_with(503, applied=False, name="unavailable"),
    "busy": answer_with(503, applied=False, headers={"retry-after": "5"}, name="busy"),
}
"""What becomes of each request meanwhile; the server never hears of it."""

# Connecting in vain takes so long, and to be refused.
_CONNECTING: Final = 10.0
_REFUSED: Final = 0.002
_CONNECTS: Final = {"502", "503", "busy"}


@attrs.frozen
class Outage:
    """
    A time in which the whole server is away.

    Attributes:
        kind: What becomes of requests, one of `KINDS`.
        begins: When, by the loop.
        ends: When the server is back.
    """

    kind: str
    begins: float
    ends: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.ends - self.begins

    @classmethod
    def some(cls, random: Random, *, soon: bool = False) -> "tuple[Outage, ...]":
        """Draw some, of 1 second to 10 minutes, one after the other; the first one perhaps soon."""
        found, begins = list[Outage](), 1.0
        for number in range(random.choice((1, 1, 2, 3))):
            begins += 10 ** random.uniform(-1.5, 0.0 if soon and not number else 1.2)
            ends = begins + _LONGEST ** random.random()
            found.append(cls(random.choice([*KINDS]), begins, ends))
            begins = ends
        return tuple(found)


class Weather:
    """
    When the server is away.

    Args:
        outages: One after the other.

    Attributes:
        hit: The outages that a request met.
    """

    def __init__(self, outages: tuple[Outage, ...]) -> None:
        self._outages = outages
        self._time = asyncio.get_running_loop().time
        self.hit: set[Outage] = set()

    @property
    def now(self) -> Outage | None:
        """The outage of this moment. ``None``: the server is there."""
        now = self._time()
        return next((each for each in self._outages if each.begins <= now < each.ends), None)

    @property
    def left(self) -> float:
        """The seconds until the last one is over."""
        return max([0.0, *(each.ends - self._time() for each in self._outages)])

    def within(self, begun: float, ended: float) -> float:
        """Return for how many of these seconds the server was away."""
        parts = (min(o.ends, ended) - max(o.begins, begun) for o in self._outages)
        return sum(part for part in parts if part > 0)

    async def meet(self, request: Request, line: Line) -> Response | None:
        """Let an outage befall *request* before it has left. ``None``: there is none."""
        outage = self.now
        if outage is None:
            return None
        self.hit.add(outage)
        await asyncio.sleep(_CONNECTING if outage.kind == "silent" else _REFUSED)
        return await KINDS[outage.kind](request, line)

    async def meet_on_the_way(self, request: Request, line: Line) -> Response | None:
        """The same, for one that has left: its sender can't know that it never came."""
        outage = self.now
        if outage is None:
            return None
        self.hit.add(outage)
        fault = KINDS[outage.kind] if outage.kind in _CONNECTS else FAULTS["lose_request"]
        return await fault(request, line)
