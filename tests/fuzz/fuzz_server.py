"""A server on a socket that keeps the truth of some connectors, and has faults."""

import asyncio
import datetime as dt
import email.utils
import json
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final

import attrs
from fuzz_truth import EPOCH, Call, Track, Version
from raw_sockets import reset

ACCOUNT: Final = "5d1f0a93c7e24b68a0b3d9e7f1c24680"
_REASONS: Final = (400, 403, 409, 422)
_UNDECIDED: Final = (408, 425, 500, 502, 503, 504, 520, 522, 524, 525, 530)
_HTML: Final = b"<!DOCTYPE html><html><head><title>Error</title></head><body>Ray</body></html>"


@attrs.frozen(kw_only=True)
class Traits:
    """
    What a server is like.

    Attributes:
        write_faults: How often something goes wrong with a write, from 0 to 1.
        read_faults: How often it does with a read.
        lies: How often it is an answer that shows what is not so.
        stale: How often a read shows an older state.
        digits: How many digits of a second its times have. None: connectors have no times.
        dated: Whether its answers have a Date.
    """

    write_faults: float
    read_faults: float
    lies: float
    stale: float
    digits: int | None
    dated: bool

    @classmethod
    def of(cls, random: Random) -> "Traits":
        """Draw some."""
        return cls(
            write_faults=random.choice([0.1, 0.5, 0.9]),
            read_faults=random.choice([0.0, 0.1, 0.5]),
            lies=random.choice([0.0, 0.0, 0.02, 0.1]),
            stale=random.choice([0.0, 0.2, 0.5, 0.8]),
            digits=random.choice([6, 6, 6, 6, 4, 3, 0, None]),
            dated=random.random() < 0.9,
        )


@attrs.define
class Answer:
    """
    What is sent back.

    Attributes:
        status: The HTTP status.
        body: Its content.
        version: The state that it shows. None: none, or it lies.
        headers: Further ones.
    """

    status: int
    body: bytes
    version: Version | None = None
    headers: tuple[str, ...] = ()


@attrs.frozen
class Asked:
    """
    A request.

    Attributes:
        writer: Where its answer goes.
        track: Which connector it is about.
        wished: What it asks for. None: it is a read.
        fate: What befalls it.
    """

    writer: asyncio.StreamWriter
    track: Track
    wished: bool | None
    fate: str


class Server:
    """
    Serves connectors of one account.

    Args:
        traits: What it is like.
        random: Decides what goes wrong.
        tracks: The connectors.

    Attributes:
        calls: By connector, the call that is under way.
        fates: How often what befell a request, by name.
    """

    def __init__(self, traits: Traits, random: Random, tracks: list[Track]) -> None:
        self._traits = traits
        self._random = random
        self._tracks = {track.id: track for track in tracks}
        self._last: dict[str, Answer] = {}
        self._time = asyncio.get_running_loop().time
        self.calls: dict[str, Call] = {}
        self.fates: dict[str, int] = {}

    def shown(self, track: Track, version: Version, **members: Any) -> dict[str, Any]:
        """Return a connector in that state as the API shows it."""
        found: dict[str, Any] = {
            "id": track.id,
            "email_domain": f"{track.id[:8]}.example",
            "enabled": version.enabled,
            "use_fedramp_language": False,
            "verification": {"code": "cloudflare_dashboard_sso=0b7d", "status": "verified"},
            "created_on": "2026-03-02T08:15:42.462622Z",
        }
        if self._traits.digits is not None:
            found["updated_on"] = self._stamp(version.time)
        return {**found, **members}

    def _stamp(self, time: float) -> str:
        moment = EPOCH + dt.timedelta(seconds=time)
        digits = self._traits.digits or 0
        fraction = f".{moment.microsecond:06}"[: digits + 1] if digits else ""
        return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, path = head.split(" ", 2)[:2]
            length = 0
            for line in head.lower().split("\r\n"):
                if line.startswith("content-length:"):
                    length = int(line.partition(":")[2])
            body = await reader.readexactly(length)
            track = self._tracks[path.rsplit("/", 1)[1]]
            faults = _WRITE_FAULTS if method == "PATCH" else _READ_FAULTS
            fate = self._fate(faults)
            self.fates[fate] = self.fates.get(fate, 0) + 1
            wished = json.loads(body)["enabled"] if body else None
            await _FATES[fate](self, Asked(writer, track, wished, fate))

    def _fate(self, faults: dict[str, int]) -> str:
        random, traits = self._random, self._traits
        is_write = faults is _WRITE_FAULTS
        if random.random() < traits.lies:
            return random.choice(_LIES) if is_write else "says gone"
        if random.random() < (traits.write_faults if is_write else traits.read_faults):
            return random.choices([*faults], [*faults.values()])[0]
        if not is_write and random.random() < traits.stale:
            return "stale"
        return "right"

    # What befalls requests.

    async def right(self, asked: Asked) -> None:
        """Do it, and say so."""
        self._do(asked)
        await self._say(asked, self._truth(asked.track))

    async def stale(self, asked: Asked) -> None:
        """Show an older state: the last but one, or any."""
        states = asked.track.versions
        older = states[-2:] if self._random.random() < 0.5 else states
        await self._say(asked, self._truth(asked.track, self._random.choice(older)))

    async def slow(self, asked: Asked) -> None:
        """Answer late, with what was so at once."""
        self._do(asked)
        answer = self._truth(asked.track)
        await asyncio.sleep(self._random.uniform(0.1, 15))
        await self._say(asked, answer)

    async def lost(self, asked: Asked) -> None:
        """Lose the request, or do it later, once or twice."""
        self._arrive(asked)
        if asked.fate == "late":
            for _ in range(self._random.choice([1, 1, 2])):
                self._later(asked)
        if self._random.random() < 0.5:
            await asyncio.sleep(self._random.uniform(0, 20))
        self._end(asked.writer)

    async def twice(self, asked: Asked) -> None:
        """Do it now and once more later."""
        self._do(asked)
        self._later(asked)
        await self._say(asked, self._truth(asked.track))

    async def cut(self, asked: Asked) -> None:
        """Do it, and end the connection at some byte of the answer."""
        self._do(asked)
        data = self._bytes(self._truth(asked.track), asked.fate)
        asked.writer.write(data[: self._random.randrange(len(data))])
        await asked.writer.drain()
        self._end(asked.writer)

    async def answered_twice(self, asked: Asked) -> None:
        """Do it and answer it twice."""
        self._do(asked)
        data = self._bytes(self._truth(asked.track), asked.fate)
        asked.writer.write(data + self._bytes(self._truth(asked.track), "left over"))
        await asked.writer.drain()

    async def status(self, asked: Asked) -> None:
        """Answer with a status that leaves open what was done, which is done or not."""
        if self._random.random() < 0.5:
            self._do(asked)
        else:
            self._arrive(asked)
        status = self._random.choice(_UNDECIDED)
        body = self._random.choice([_HTML, b"", _failure(status), _edge(status)])
        await self._say(asked, Answer(status, body))

    async def garbage(self, asked: Asked) -> None:
        """Answer with what is no answer of the API, whether it was done or not."""
        if self._random.random() < 0.5:
            self._do(asked)
        else:
            self._arrive(asked)
        truth = self._truth(asked.track).body
        other = json.loads(truth)
        other["result"]["id"] = "f" * 32
        bodies = [_HTML, b"", truth[: len(truth) // 2], _failure(1000), b"null", b"[]"]
        bodies += [json.dumps(other).encode(), b'{"success":true,"result":null}']
        await self._say(asked, Answer(200, self._random.choice(bodies)))

    async def refused(self, asked: Asked) -> None:
        """Refuse it."""
        self._arrive(asked)
        status = self._random.choice(_REASONS)
        body = self._random.choice([_failure(status), _HTML, _edge(status)])
        await self._say(asked, Answer(status, body))

    async def limited(self, asked: Asked) -> None:
        """Refuse it for a limit."""
        wait = f"Retry-After: {self._random.randint(0, 3)}"
        await self._say(asked, Answer(429, _failure(429), headers=(wait,)))

    async def not_done(self, asked: Asked) -> None:
        """Do nothing, and show how it is."""
        self._arrive(asked)
        await self._say(asked, self._truth(asked.track))

    async def lie(self, asked: Asked) -> None:
        """Do nothing, and show what was asked for."""
        self._arrive(asked)
        track = asked.track
        now = Version(track.now.serial, self._time(), asked.wished is True)
        answer = self._last.get(track.id) if asked.fate == "replayed" else None
        body = _success(self.shown(track, now))
        await self._say(asked, attrs.evolve(answer or Answer(200, body), version=None))

    async def says_gone(self, asked: Asked) -> None:
        """Say that there is no such connector."""
        await self._say(asked, Answer(404, _failure(1001)))

    # The parts of these.

    def _arrive(self, asked: Asked) -> Call | None:
        """Count a write; return the call that it belongs to. None: it is none."""
        if asked.wished is None:
            return None
        call = self.calls[asked.track.id]
        call.arrived += 1
        return call

    def _do(self, asked: Asked) -> None:
        call = self._arrive(asked)
        if call is not None:
            call.done += 1
            asked.track.write(self._time(), enabled=call.wished, writer=call.number)

    def _later(self, asked: Asked) -> None:
        call = self.calls[asked.track.id]
        call.done += 1

        def arrive() -> None:
            asked.track.write(self._time(), enabled=call.wished, writer=call.number, late=True)

        asyncio.get_running_loop().call_later(self._random.uniform(0.2, 50), arrive)

    def _truth(self, track: Track, version: Version | None = None) -> Answer:
        version = version or track.now
        return Answer(200, _success(self.shown(track, version)), version)

    def _bytes(self, answer: Answer, fate: str) -> bytes:
        headers = [f"HTTP/1.1 {answer.status} Whatever", f"Content-Length: {len(answer.body)}"]
        headers += ["Content-Type: application/json", f"X-Fate: {fate}", *answer.headers]
        if answer.version is not None:
            headers.append(f"X-Serial: {answer.version.serial}")
        if self._traits.dated:
            moment = EPOCH + dt.timedelta(seconds=self._time())
            headers.append(f"Date: {email.utils.format_datetime(moment, usegmt=True)}")
        return "\r\n".join([*headers, "", ""]).encode() + answer.body

    async def _say(self, asked: Asked, answer: Answer) -> None:
        if answer.version is not None and asked.wished is not None:
            self._last[asked.track.id] = answer
        asked.writer.write(self._bytes(answer, asked.fate))
        await asked.writer.drain()

    def _end(self, writer: asyncio.StreamWriter) -> None:
        if self._random.random() < 0.5:
            reset(writer)
        raise ConnectionResetError


Fate = Callable[[Server, Asked], Awaitable[None]]

# How often what befalls a write, and a read.
_WRITE_FAULTS: Final = {
    "request lost": 4,
    "late": 4,
    "twice": 2,
    "cut": 5,
    "slow": 2,
    "answered twice": 1,
    "status": 4,
    "garbage": 3,
    "refused": 1,
    "limited": 1,
    "not done": 2,
}
_READ_FAULTS: Final = {
    "request lost": 2,
    "cut": 2,
    "slow": 2,
    "answered twice": 1,
    "status": 3,
    "garbage": 3,
    "refused": 1,
    "limited": 1,
}
_LIES: Final = ["lie", "replayed"]
_FATES: Final[dict[str, Fate]] = {
    "right": Server.right,
    "stale": Server.stale,
    "request lost": Server.lost,
    "late": Server.lost,
    "twice": Server.twice,
    "cut": Server.cut,
    "slow": Server.slow,
    "answered twice": Server.answered_twice,
    "status": Server.status,
    "garbage": Server.garbage,
    "refused": Server.refused,
    "limited": Server.limited,
    "not done": Server.not_done,
    "lie": Server.lie,
    "replayed": Server.lie,
    "says gone": Server.says_gone,
}


def _success(result: object) -> bytes:
    return json.dumps({"success": True, "errors": [], "messages": [], "result": result}).encode()


def _failure(code: int) -> bytes:
    errors = [{"code": code, "message": "no"}]
    return json.dumps({"success": False, "errors": errors, "messages": [], "result": None}).encode()


def _edge(status: int) -> bytes:
    return json.dumps(
        {"status": status, "title": "Error", "detail": "no", "retryable": True}
    ).encode()
