"""The judge: looks at each request, answer and result, and names the rule that is broken."""

import asyncio
import contextlib
import json
from collections import deque
from typing import Any, Final

from sim_truth import CURRENT, Op, Truth
from sim_verdicts import Verdicts

import cfsso
from cfsso import Request, Response, WriteState

# Sums of floats may be off by less.
_SLACK: Final = 1e-6
# What the documentation promises: half a minute without a write before the same is sent again.
_PATIENCE: Final = 30.0
_BLOCK: Final = 300.0
# What is settled by listing the account.
_LISTING: Final = {"create", "delete", "list"}
_CLOSING: Final = {429, 503}
# Of a 429 of the catalogue that gives a date.
_DATE: Final = 30.0


class Credential:
    """
    What one token has done, and what it was told.

    Attributes:
        shared: Whether others may use up its limit, so that a 429 is no fault of ours.
    """

    __slots__ = (
        "arrivals",
        "closed_at",
        "closed_until",
        "limit",
        "needs_probe",
        "probes",
        "shared",
    )

    def __init__(self, limit: cfsso.RateLimit) -> None:
        self.limit = limit
        self.arrivals: deque[float] = deque()
        self.closed_at = self.closed_until = 0.0
        self.needs_probe = False
        # One that is urgent may go beside one that is not.
        self.probes: list[Op] = []
        self.shared = False


class Oracle(Verdicts):
    """
    Checks a world as it goes on.

    Attributes:
        counts: What was counted, by name.
        trace: All that happened, if it is kept.
    """

    def __init__(self, truth: Truth, *, keeps_trace: bool = False) -> None:
        super().__init__(truth)
        self.credentials: dict[str, Credential] = {}
        self.trace: list[tuple[Any, ...]] | None = [] if keeps_trace else None
        self.address_limit = 200
        self._address: deque[float] = deque()
        self._loop = asyncio.get_running_loop()

    def note(self, *facts: Any) -> None:
        """Keep *facts* in the trace, with the time."""
        if self.trace is not None:
            self.trace.append((self._loop.time(), *facts))

    def begins(self, op: Op) -> None:
        """A call begins."""
        CURRENT.set(op)
        op.task = asyncio.current_task()
        op.began = self._loop.time()
        self.counts[op.kind] += 1
        self.open += 1

    def leaves(self, op: Op, request: Request, account: str) -> None:
        """A request leaves the client, after all waiting."""
        now = self._loop.time()
        self.note("leaves", op.number, request.method, request.path, request.body)
        if op.ended:
            self.breaks(op, "a request leaves after the call's end")
        self._keeps_promise(op, self.credentials[account], now)
        op.sent += 1
        op.in_flight = True
        op.sent_serial = self.truth.serial
        op.hit = ""
        if request.is_write:
            self._may_write(op, now)
        if op.cut is not None and op.cut[0] == op.sent and op.task is not None:
            self._loop.call_later(op.cut[1], op.task.cancel)

    def _keeps_promise(self, op: Op, credential: Credential, now: float) -> None:
        if now == credential.closed_at:
            # It was on its way out when the answer came in.
            return
        if now < credential.closed_until - _SLACK:
            self.breaks(op, f"a request {credential.closed_until - now:.3f} s before Retry-After")
        if credential.needs_probe:
            for probe in credential.probes:
                if probe.is_urgent is op.is_urgent:
                    self.breaks(op, f"a second request while {probe} probes")
            credential.probes.append(op)

    def _may_write(self, op: Op, now: float) -> None:
        if op.knows:
            self.breaks(op, f"a write although a read has shown: {op.knows}")
        if not op.may_have_sent:
            op.first_sent, op.first_serial = now, self.truth.serial
            return
        self.counts["resends"] += 1
        if op.kind in {"create", "begin_verification"}:
            self.breaks(op, f"{op.kind} is sent twice")
        elif op.may_have_sent > 1:
            self.breaks(op, "a third write")
        elif now - op.first_sent < _PATIENCE - _SLACK:
            self.breaks(op, f"the same is sent again after {now - op.first_sent:.3f} s")

    def fails(self, op: Op, request: Request, error: BaseException, account: str) -> None:
        """A request ends without an answer."""
        self.note("fails", op.number, type(error).__name__)
        op.in_flight = False
        unsent = isinstance(error, cfsso.CfssoError) and error.write is WriteState.NOT_SENT
        if request.is_write and not unsent:
            op.may_have_sent += 1
        credential = self.credentials[account]
        if op in credential.probes:
            credential.probes.remove(op)

    def answers(self, op: Op, request: Request, response: Response, account: str) -> None:
        """A request is answered."""
        self.note("answers", op.number, response.status)
        now = self._loop.time()
        op.in_flight = False
        if request.is_write:
            op.may_have_sent += not _is_turned_away(request, response)
        elif op.may_have_sent and not op.hit and response.status == 200:
            self._learns(op)
        credential = self.credentials[account]
        wait = _wait(response) if response.status in _CLOSING else None
        if op in credential.probes:
            credential.probes.clear()
            credential.needs_probe = wait is not None or credential.closed_until > now
        if wait is not None:
            credential.closed_at = now
            credential.closed_until = max(credential.closed_until, now + max(wait, 1.0))
            credential.needs_probe = True

    def _learns(self, op: Op) -> None:
        """Its own read, on which nothing was wrong, may show that somebody else wrote."""
        track = op.track
        if op.kind != "update" or track is None or op.looked < 0:
            return
        version = track.at(op.looked)
        if version is None:
            op.knows = "it is gone"
        elif version.serial > self.since(op, track) and not self.shows(op, version):
            op.knows = "somebody else wrote"

    def arrives(
        self, op: Op, account: str, request: Request, response: Response, now: float
    ) -> None:
        """A request of a client has reached the server, which has done what *response* says."""
        self.note("arrives", op.number, request.method, request.path, response.status)
        self.counts["requests"] += 1
        credential = self.credentials[account]
        self._keeps_limit(op, credential, now)
        if response.status == 429 and not credential.shared:
            self.breaks(op, "a 429 of our own making")
        if request.method == "GET":
            self._reads(op, account, request)
        else:
            self._writes(op, request, response, now)

    def _reads(self, op: Op, account: str, request: Request) -> None:
        if op.in_flight:
            op.looked = self.truth.serial
        expected = f"/accounts/{account}/sso_connectors"
        if op.kind not in _LISTING and op.track is not None:
            expected = op.track.path
        if request.path != expected:
            self.breaks(op, f"it reads {request.path}")

    def _writes(self, op: Op, request: Request, response: Response, now: float) -> None:
        asked = op.write
        if (
            asked is None
            or asked.method != request.method
            or asked.path != request.path
            or asked.body != request.body
        ):
            self.breaks(op, f"nobody asked for {request} {request.body!r}")
        op.arrived += response.status != 429
        if op.arrived > (1 if request.method == "POST" else 2):
            self.breaks(op, f"{op.arrived} writes arrive")
        op.rejected += response.status not in {200, 429}
        if response.status != 200:
            return
        op.accepted += 1
        if op.refused:
            self.breaks(op, f"it is done after all, though the call said {op.result}")
        self.truth.accept(request, response.body, now, op)
        self.counts["late writes"] += op.ended

    def _keeps_limit(self, op: Op, credential: Credential, now: float) -> None:
        for arrivals, most, seconds in (
            (credential.arrivals, credential.limit.requests, credential.limit.seconds),
            (self._address, self.address_limit, 1.0),
        ):
            while arrivals and arrivals[0] <= now - seconds + _SLACK:
                arrivals.popleft()
            arrivals.append(now)
            if len(arrivals) > most:
                self.breaks(op, f"{len(arrivals)} requests in {seconds:g} s")


def _is_turned_away(request: Request, response: Response) -> bool:
    """Whether a write was refused for now, by a limit or by the edge; a POST is not repeated."""
    if response.status == 429:
        return True
    if request.method == "POST" or not 400 <= response.status < 500:
        return False
    told = _members(response)
    return told.get("cloudflare_error") is True and told.get("retry_after") is not None


def _members(response: Response) -> dict[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        told = json.loads(response.body)
        return told if isinstance(told, dict) else {}
    return {}


def _wait(response: Response) -> float | None:
    """Return what an answer asks to wait, read independently of the client."""
    text = response.headers.get("retry-after", "")
    if text.isascii() and text.isdigit() and len(text) <= 6:
        return float(text)
    if text.endswith("GMT"):
        return _DATE
    told = _members(response).get("retry_after")
    if told is not None:
        return float(told)
    return _BLOCK if response.status == 429 else None
