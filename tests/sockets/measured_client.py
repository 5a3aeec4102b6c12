"""
Asks a server once; prints what that came to, and its price in memory and in time.

A program of its own, since the memory of the tests is not the client's.
"""

import asyncio
import json
import pathlib
import resource
import sys
import time

import cfsso

_PROC = pathlib.Path("/proc/self")
# A client that took all it is given would take the machine along.
_LIMIT = 2 * 1024**3


def _reset_peak() -> None:
    (_PROC / "clear_refs").write_text("5")


def _peak() -> int:
    """Return the most memory that was resident since the peak was reset, in bytes."""
    # Not ru_maxrss: it is never reset, and begins with what the parent had before exec.
    lines = (_PROC / "status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


async def _main(base_url: str, seconds: float) -> None:
    transport = cfsso.AiohttpTransport("a-token", base_url=base_url, timeout=seconds)
    await transport.send(cfsso.Request("GET", "/harmless"))
    _reset_peak()
    before, started = _peak(), time.monotonic()
    error: cfsso.CfssoError | None = None
    try:
        await transport.send(cfsso.Request("PATCH", "/hostile", b"{}"))
    except cfsso.CfssoError as caught:
        error = caught
    found = {
        "seconds": time.monotonic() - started,
        "growth": _peak() - before,
        "error": type(error).__name__,
        "write": getattr(error, "write", None),
    }
    await transport.aclose()
    print(json.dumps(found))  # noqa: T201 (the test reads it)


resource.setrlimit(resource.RLIMIT_AS, (_LIMIT, _LIMIT))
asyncio.run(_main(sys.argv[1], float(sys.argv[2])))
