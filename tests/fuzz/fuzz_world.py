"""A world of updates: a server with faults on a socket, others who write, and callers."""

import asyncio
import contextlib
import datetime as dt
from random import Random
from typing import Final

import attrs
from fuzz_judge import Judge
from fuzz_server import ACCOUNT, Server, Traits
from fuzz_truth import CURRENT, Call, Look, Track, Version, shown
from hasty_loop import run_hastily
from raw_sockets import raw_server

import cfsso

_CALLS: Final = 6
# Seconds after which a state is old enough that its time tells.
_LONG_AGO: Final = 3600.0


class Watched:
    """A transport that tells each call what it was answered."""

    def __init__(self, inner: cfsso.Transport) -> None:
        self._inner = inner

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*."""
        response = await self._inner.send(request)
        headers = response.headers
        serial = headers.get("x-serial")
        connector = shown(response.body)
        look = Look(
            method=request.method,
            status=response.status,
            serial=None if serial is None else int(serial),
            enabled=connector.get("enabled"),
            time=connector.get("updated_on"),
            dated="date" in headers,
            fate=headers.get("x-fate", ""),
        )
        CURRENT.get().looks.append(look)
        return response

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


@attrs.define
class World:
    """One server with some connectors, and what is done to them."""

    seed: int
    judge: Judge
    number: int = 0

    async def run(self) -> None:
        """Let all happen."""
        random = Random(self.seed)  # noqa: S311 - what happens, not a secret
        now = asyncio.get_running_loop().time()
        tracks = [_track(random, now) for _ in range(random.randint(1, 3))]
        server = Server(Traits.of(random), random, tracks)
        async with raw_server(server) as url:
            inner = cfsso.AiohttpTransport("a-token", base_url=url, timeout=random.choice([5, 30]))
            transport = cfsso.RetryingTransport(Watched(inner))
            async with cfsso.AsyncSSOConnectors(transport) as connectors:
                others = asyncio.create_task(self._write_too(random, tracks))
                async with asyncio.TaskGroup() as callers:
                    for track in tracks:
                        callers.create_task(self._call(random, server, connectors, track))
                others.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await others
        self.judge.counts.update({f"fate: {k}": v for k, v in server.fates.items()})

    async def _write_too(self, random: Random, tracks: list[Track]) -> None:
        mean = random.choice([5.0, 30.0, 300.0])
        while True:
            await asyncio.sleep(random.expovariate(1 / mean))
            track, time = random.choice(tracks), asyncio.get_running_loop().time()
            track.write(time, enabled=not track.now.enabled)
            if random.random() < 0.3:
                # Some have second thoughts at once.
                await asyncio.sleep(random.uniform(0.001, 1.5))
                time = asyncio.get_running_loop().time()
                track.write(time, enabled=not track.now.enabled)

    async def _call(
        self, random: Random, server: Server, connectors: cfsso.AsyncSSOConnectors, track: Track
    ) -> None:
        for _ in range(_CALLS):
            await asyncio.sleep(random.uniform(0, 20))
            self.number += 1
            state = random.choice(track.versions[-3:])
            before = None if random.random() < 0.4 else _known(server, track, state)
            wished = random.choice([not track.now.enabled, random.random() < 0.5])
            call = Call(self.number, track, wished, before, track.now.serial)
            server.calls[track.id] = call
            CURRENT.set(call)
            try:
                found = await connectors.update(
                    track.id, account_id=ACCOUNT, enabled=wished, before=before
                )
            except cfsso.CfssoError as error:
                self.judge.raised(call, error)
            else:
                self.judge.returned(call, found)
            # What is under way yet belongs to this call.
            await asyncio.sleep(random.choice([0.0, 60.0]))


def _track(random: Random, now: float) -> Track:
    """Return a connector that was written some times, long ago or just now."""
    key = f"{random.getrandbits(128):032x}"
    time = now - random.choice([2.0, 90.0, _LONG_AGO])
    track = Track(key, [Version(1, time - 3000, random.random() < 0.5)])
    for _ in range(random.randint(0, 3)):
        time += random.choice([0.0004, 0.3])
        track.write(time, enabled=not track.now.enabled)
    return track


def _known(server: Server, track: Track, version: Version) -> cfsso.SSOConnector:
    """Return a state as somebody may have known it before."""
    text = server.shown(track, version).get("updated_on")
    return cfsso.SSOConnector(
        id=track.id,
        enabled=version.enabled,
        updated_on=None if text is None else dt.datetime.fromisoformat(text),
    )


def judged(seeds: range, at_once: int = 25) -> Judge:
    """Let the worlds of these seeds run, some at a time; return what became of their calls."""
    judge = Judge()

    async def run_all() -> None:
        waiting = iter(seeds)

        async def work() -> None:
            for seed in waiting:
                await World(seed, judge).run()

        async with asyncio.TaskGroup() as workers:
            for _ in range(at_once):
                workers.create_task(work())

    run_hastily(run_all())
    return judge
