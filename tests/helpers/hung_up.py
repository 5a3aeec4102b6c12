"""A rescue whose terminal goes away: SIGHUP at a moment of its own, in real processes."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import cfsso
from cfsso.cli.hangups import HANGUP
from cfsso.emulator.http import serving
from cfsso.fleet import Outcome, read_journal

SECONDS = 60.0


def clouds(accounts: int, latency: float) -> cfsso.CloudflareEmulator:
    """Return an emulator in which each account has a connector that is on, and one that is off."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, latency=latency)
    for number in range(accounts):
        account = cloud.add_account()
        for enabled in (True, False):
            domain = f"{'on' if enabled else 'off'}-{number}.example"
            cloud.add_connector(account, email_domain=domain, enabled=enabled, status="verified")
    return cloud


@contextmanager
def served(cloud: cfsso.CloudflareEmulator) -> Generator[str, None, None]:
    """Serve *cloud* from a thread, and give its base URL."""
    urls: list[str] = []
    begun = threading.Event()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def stay() -> None:
        async with serving(cloud) as url:
            urls.append(url)
            begun.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(stay()))
    thread.start()
    assert begun.wait(SECONDS)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(SECONDS)
        loop.close()


def rescue(
    url: str, cloud: cfsso.CloudflareEmulator, folder: Path, after: float | None
) -> tuple[int, str, str]:
    """
    Break the glass in a process of its own.

    Args:
        url: Where *cloud* is served.
        cloud: All of its accounts are rescued.
        folder: Where the list of accounts and the journal ``j`` are made.
        after: Seconds from its first line until it gets a SIGHUP. ``None``: it gets none.

    Returns:
        The exit code, and what stood on stdout and stderr.
    """
    accounts = folder / "accounts.txt"
    accounts.write_text("\n".join(cloud.accounts))
    words = ["--base-url", url, "--json", "break-glass", "--accounts-file", str(accounts)]
    command = [sys.executable, "-m", "cfsso", *words, "--journal", str(folder / "j"), "--yes"]
    with subprocess.Popen(  # noqa: S603 - it is ours
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CLOUDFLARE_API_TOKEN": "any", "PYTHONDEVMODE": ""},
    ) as process:
        try:
            assert process.stderr is not None
            first = process.stderr.readline()
            if after is not None:
                assert HANGUP is not None
                time.sleep(after)
                process.send_signal(HANGUP)
            out, err = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    return process.returncode, out, first + err


def broken(cloud: cfsso.CloudflareEmulator, folder: Path, code: int, out: str) -> list[str]:
    """Return what is not as it must be after a rescue: nothing, whatever happened meanwhile."""
    accounts = len(cloud.accounts)
    found = [f"exit {code}"] if code else []
    left = [a for a in cloud.accounts if any(c.enabled for c in cloud.connectors(a))]
    found += [f"SSO is on in {left}"] if left else []
    statuses = [json.loads(line)["status"] for line in out.splitlines()]
    if sorted(statuses) != ["changed"] * accounts + ["unchanged"] * accounts:
        found.append(f"it says {statuses}")
    named = {
        (str(o.before and o.before.email_domain), o.status.value) for o in recorded(folder / "j")
    }
    if named != {(f"on-{number}.example", "changed") for number in range(accounts)}:
        found.append(f"the journal names {sorted(named)}")
    return found


def recorded(path: Path) -> list[Outcome]:
    """Return what a journal says of the connectors that were written."""

    async def read() -> list[Outcome]:
        async with await read_journal(path) as reader:
            return [one.outcome async for one in reader.targets() if one.intended is not None]

    return asyncio.run(read())


def trials(count: int, accounts: int, latency: float, folder: Path, seed: int) -> list[str]:
    """Return what was not as it must be in so many rescues, each hung up at a random moment."""
    random = Random(seed)  # noqa: S311 - it has to be repeatable
    cloud = clouds(accounts, latency)
    bad: list[str] = []
    usual = 0.0
    with served(cloud) as url:
        for number in range(count + 1):
            own = folder / str(number)
            own.mkdir()
            _enable(cloud)
            begun = time.perf_counter()
            # The first one tells how long it takes.
            after = random.uniform(0, usual) if number else None
            code, out, err = rescue(url, cloud, own, after)
            usual = usual or time.perf_counter() - begun
            bad += [f"{number}, {after} s: {it}\n{err}" for it in broken(cloud, own, code, out)]
    return bad


def _enable(cloud: cfsso.CloudflareEmulator) -> None:
    for account in cloud.accounts:
        for connector in cloud.connectors(account):
            if str(connector.email_domain).startswith("on-") and not connector.enabled:
                path = f"/accounts/{account}/sso_connectors/{connector.id}"
                answer = cloud.handle(cfsso.Request("PATCH", path, b'{"enabled": true}'))
                assert 200 == answer.status
