"""What all clients write to, and the answer they get; processes of their own, and on which CPU."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

Target: TypeAlias = tuple[str, str]

PARTS: Final = Path(__file__).parent
TOKEN: Final = "t" * 40
ACCOUNTS: Final = 20
# Nobody writes one connector two thousand times in a row.
TARGETS: Final[list[Target]] = [(f"{n % ACCOUNTS:032x}", f"{n:032x}") for n in range(2000)]
BODY: Final = b'{"enabled":true}'
# `%s` is the id. It is what Cloudflare documents, on one line as it comes.
ANSWER: Final = (
    '{"errors":[],"messages":[],"result":{"id":"%s","created_on":"2026-01-01T00:00:00Z",'
    '"email_domain":"example.com","enabled":true,"updated_on":"2026-01-01T00:00:00Z",'
    '"use_fedramp_language":false,"verification":{"code":"cloudflare_dashboard_sso=1234567890",'
    '"status":"verified"}},"success":true}'
)
HEADERS: Final = {
    "cf-ray": "8f00000000000000-AMS",
    "cf-cache-status": "DYNAMIC",
    "Ratelimit": '"default";r=999999;t=300',
    "Ratelimit-Policy": '"default";q=1200;w=300',
}


class BenchError(Exception):
    """A measurement that came to nothing."""


def path(target: Target) -> str:
    """Return what follows the base URL."""
    account, connector = target
    return f"/accounts/{account}/sso_connectors/{connector}"


def check(found: Any, enabled: Any, target: Target) -> None:
    """See that an answer is that of *target*, which is enabled."""
    if found != target[1] or enabled is not True:
        raise BenchError(f"asked for {target[1]}, got {found!r} with enabled={enabled!r}")


def cpus() -> tuple[int | None, int | None]:
    """Return the CPUs of the client and of the server; ``None``: anywhere."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)


@contextlib.contextmanager
def pinned(cpu: int | None) -> Iterator[None]:
    """Let processes that begin herein run on *cpu*."""
    if cpu is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a measured process: compiled files are kept, as installed ones."""
    unwanted = {"PYTHONDONTWRITEBYTECODE", "CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "CLOUDFLARE_API_TOKEN": TOKEN, **(extra or {})}


def fresh(command: list[str], extra: Mapping[str, str] | None = None, *, tries: int = 2) -> Any:
    """
    Return the JSON that a fresh interpreter prints, on the client's CPU.

    Args:
        command: What follows ``python -P``.
        extra: Variables for it.
        tries: How often to try before giving up.

    Raises:
        BenchError: It failed each time; with the last line that it said.
    """
    said = ""
    for _ in range(tries):
        with pinned(cpus()[0]):
            done = subprocess.run(  # noqa: S603 - ourselves
                [sys.executable, "-P", *command],
                capture_output=True,
                check=False,
                text=True,
                timeout=600,
                env=environment(extra),
            )
        if done.returncode == 0:
            return json.loads(done.stdout)
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        # That of a group of errors ends in a rule.
        said = next((line for line in reversed(lines) if "Error" in line), lines[-1]).strip("| ")
    raise BenchError(said)
