"""A process that runs a fleet over a journal, and may be killed at any moment."""

import asyncio
import functools
import json
import os
import select
import signal
import sqlite3
import ssl
import time
import traceback
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

import cfsso
from cfsso._connect import connect
from cfsso.emulator import http
from cfsso.fleet import Change, Outcome, _account, _driver, _plain, apply, resume, revert
from cfsso.transports import aiohttp, pacing, retrying

# What a child would load or build on its way is there before it is forked.
_LOADED: Final = (http, aiohttp, pacing, retrying, sqlite3)
# A write of a process on this machine that was killed does not take half a minute to arrive.
_SECONDS: Final = 0.25


@attrs.frozen(kw_only=True)
class Job:
    """
    What a child is to do.

    Attributes:
        kind: ``apply``, ``resume`` or ``revert``.
        base_url: Where its server is.
        journal: The file.
        changes: For ``apply``.
        options: For ``apply`` and ``revert``.
        output: Where it writes each outcome as soon as it has it.
    """

    kind: str
    base_url: str
    journal: Path
    changes: Sequence[Change]
    options: Mapping[str, Any]
    output: Path


@attrs.frozen
class Told:
    """
    What a child has said before its end.

    Attributes:
        statuses: By connector.
        twice: The connectors that it named more than once.
        end: ``done``, why the run was refused, or empty if it was killed.
        seconds: How long it took.
    """

    statuses: Mapping[str, str]
    twice: Sequence[str]
    end: str
    seconds: float


def warm_up() -> None:
    """Build what is built on first use: converters, and the certificates that nobody needs here."""
    _plain.to_connector({"verification": {}}, "$")
    ssl.create_default_context = functools.cache(ssl.create_default_context)  # type: ignore[assignment]
    ssl.create_default_context()


def run(job: Job, *, kill_after: float | None = None) -> Told:
    """Let a child do its job; kill it after so many seconds, unless it has ended before."""
    job.output.write_bytes(b"")
    began = time.perf_counter()
    # Nobody writes into it; it ends when the child does.
    alive, held = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(alive)
            _child(job)
        finally:
            os._exit(1)
    os.close(held)
    if not select.select([alive], [], [], kill_after)[0]:
        os.kill(child, signal.SIGKILL)
    os.close(alive)
    os.waitpid(child, 0)
    return _told(job.output, time.perf_counter() - began)


def _child(job: Job) -> None:
    _driver._SECONDS_TO_SETTLE = _SECONDS  # type: ignore[misc]
    _account._SECONDS_TO_ARRIVE = _SECONDS  # type: ignore[misc]
    output = os.open(job.output, os.O_WRONLY | os.O_APPEND)

    def say(*words: str) -> None:
        """Let go of a line at once, as a whole."""
        os.write(output, json.dumps(words).encode() + b"\n")

    try:
        asyncio.run(_work(job, say))
        say("done")
    except cfsso.InvalidRequestError as refusal:
        say(f"refused: {refusal}")
    except BaseException:
        say(f"failed: {traceback.format_exc()}")
        raise
    os._exit(0)


async def _work(job: Job, say: Any) -> None:
    async with connect(api_token="t" * 40, base_url=job.base_url, rate_limit=None) as connectors:
        outcomes: AsyncGenerator[Outcome]
        if job.kind == "apply":
            outcomes = apply(connectors, job.changes, journal=job.journal, **job.options)
        elif job.kind == "revert":
            outcomes = revert(connectors, job.journal, **job.options)
        else:
            outcomes = resume(connectors, job.journal)
        async for outcome in outcomes:
            say(outcome.change.sso_connector_id, outcome.status.value)


def _told(output: Path, seconds: float) -> Told:
    statuses: dict[str, str] = {}
    twice: list[str] = []
    end = ""
    for line in output.read_text().splitlines():
        words = json.loads(line)
        if len(words) == 1:
            (end,) = words
            continue
        key, status = words
        if key in statuses:
            twice.append(key)
        statuses[key] = status
    return Told(statuses, twice, end, seconds)
