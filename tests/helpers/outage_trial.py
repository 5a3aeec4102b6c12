"""A server that goes away in the middle of a run, and comes back: in real processes."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from random import Random

import attrs

import cfsso
from cfsso.fleet import read_journal

SECONDS = 180.0
_ENVIRONMENT = {"CLOUDFLARE_API_TOKEN": "any", "PYTHONDEVMODE": ""}


@attrs.frozen
class Place:
    """
    Where an emulator is served again and again.

    Attributes:
        state: Its state file.
        port: Its port.
        latency: Seconds that an answer takes.
    """

    state: Path
    port: int
    latency: float

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/client/v4"

    @contextlib.contextmanager
    def served(self) -> Generator[None, None, None]:
        """Serve it from a process of its own, which saves its state at the end."""
        words = ["--state", str(self.state), "--port", str(self.port), "--no-rate-limit"]
        with subprocess.Popen(  # noqa: S603 - it is ours
            [*_command("emulator"), *words, "--latency", str(self.latency)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **_ENVIRONMENT},
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline().startswith("listening on")
                yield
            finally:
                process.terminate()
                process.wait(SECONDS)


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "cfsso", *words]


def trial(folder: Path, *, accounts: int, latency: float, away: float, seed: int) -> list[str]:
    """
    Apply a file, take the server away at a random moment, and resume until nothing is open.

    The moment may be while the command plans, too.

    Args:
        folder: An empty one.
        accounts: How many accounts there are, each with two connectors.
        latency: Seconds that an answer takes.
        away: For how many seconds nothing listens.
        seed: Where the moment comes from.

    Returns:
        What was not as it must be.
    """
    rows = _make(folder, accounts)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    place = Place(folder / "cloud.json", port, latency)
    journal = str(folder / "run.cfsso")
    usual = accounts * 4 * latency / 32
    moment = Random(seed).uniform(0.0, 5 * usual)  # noqa: S311 - it has to be repeatable
    options = ["--base-url", place.url]
    with place.served():
        run = _start("apply", str(folder / "rollout.csv"), "--journal", journal, "--yes", *options)
        assert run.stderr is not None
        assert run.stderr.readline().startswith("using ")
        time.sleep(moment)
    time.sleep(away)
    with place.served():
        codes = [_end(run)]
        while codes[-1] and len(codes) < 4:
            codes.append(_end(_start("resume", journal, *options)))
    found = Counter(asyncio.run(_recorded(journal)))
    bad = [] if codes[-1] == 0 else [f"exit codes {codes}"]
    if found != {"changed": len(rows)}:
        bad.append(f"the journal says {dict(found)}")
    cloud = cfsso.CloudflareEmulator.load(place.state)
    off = [key for account, key in rows if not cloud.connector(account, key).enabled]
    return bad + ([f"not enabled: {off}"] if off else [])


def _make(folder: Path, accounts: int) -> list[tuple[str, str]]:
    cloud = cfsso.CloudflareEmulator()
    rows: list[tuple[str, str]] = []
    for number in range(accounts):
        account = cloud.add_account()
        for part in range(2):
            domain = f"d{part}.a{number}.example"
            made = cloud.add_connector(account, email_domain=domain, status="verified")
            rows.append((account, made.id))
    cloud.save(folder / "cloud.json")
    lines = ["account_id,sso_connector_id,enabled", *(f"{a},{c},true" for a, c in rows)]
    (folder / "rollout.csv").write_text("\n".join(lines))
    return rows


def _start(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 - it is ours
        _command(*words),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **_ENVIRONMENT},
    )


def _end(process: "subprocess.Popen[str]") -> int:
    with process:
        try:
            process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    return int(process.returncode)


async def _recorded(journal: str) -> list[str]:
    async with await read_journal(journal) as reader:
        return [one.outcome.status.value async for one in reader.targets()]


def told(bad: list[str], away: float, seed: int) -> str:
    """Return a trial as one line."""
    return json.dumps({"away": away, "seed": seed, "broken": bad})
