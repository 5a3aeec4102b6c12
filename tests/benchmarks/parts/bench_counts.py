"""
How much of cfsso's own code one toggle runs: bytecode instructions and calls, not time.

A busy machine changes no count, so a test can hold them against recorded ones. Whoever
makes the way of a toggle longer on purpose records anew:

    python tests/benchmarks/parts/bench_counts.py --record
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import cfsso
from cfsso.testing import VirtualTimeLoop
from cfsso.transports import _aiohttp_kept

RECORD = Path(__file__).parents[1] / "counts.json"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PACKAGE = str(Path(cfsso.__file__).parent)
WARM_UP, TOGGLES = 20, 50
LIMIT = cfsso.RateLimit(requests=10**6, seconds=300.0)

MOST = 1.05

Toggle = Callable[[int], Awaitable[Any]]
Counts = dict[str, dict[str, float]]


class Counting:
    """Counts what is run and called in files of the package while it is entered."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._ours: dict[CodeType, bool] = {}

    def __enter__(self) -> Counter[str]:
        sys.setprofile(self._profile)
        sys.settrace(self._trace)
        return self.counts

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        sys.setprofile(None)

    def _is_ours(self, frame: FrameType) -> bool:
        code = frame.f_code
        if code not in self._ours:
            self._ours[code] = code.co_filename.startswith(PACKAGE)
        return self._ours[code]

    def _profile(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event == "c_call":
            self.counts["calls"] += self._is_ours(frame)
        elif event == "call":
            caller = frame.f_back
            self.counts["calls"] += self._is_ours(frame) or (
                caller is not None and self._is_ours(caller)
            )

    def _trace(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        if not self._is_ours(frame):
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return self._count

    def _count(self, _frame: FrameType, event: str, _argument: Any) -> Any:
        self.counts["instructions"] += event == "opcode"
        return self._count


async def in_memory() -> dict[str, float]:
    """Count a toggle against the emulator, through pacing and retries."""
    cloud = cfsso.CloudflareEmulator(seed=1, rate_limit=None)
    account = cloud.add_account()
    seeded = [
        cloud.add_connector(account, email_domain=f"d{n}.example", status="verified").id
        for n in range(WARM_UP + TOGGLES)
    ]
    paced = cfsso.PacingTransport(cfsso.InMemoryTransport(cloud), rate_limit=LIMIT)
    connectors = cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(paced), deadline=120.0)
    async with connectors:
        return await _counted(
            lambda n: connectors.update(seeded[n], account_id=account, enabled=True)
        )


async def over_http() -> dict[str, float]:
    """Count a toggle over a connection that is in use again, through all that connect() has."""
    server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connectors = cfsso.connect(
        api_token="a-token", base_url=f"http://127.0.0.1:{port}/v4", rate_limit=LIMIT
    )
    async with server, connectors:
        return await _counted(
            lambda n: connectors.update(f"{n:032}", account_id="a" * 32, enabled=True)
        )


class _Server(asyncio.Protocol):
    """Confirms every PATCH, of which each comes in one piece here."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        connector = {
            "id": data.split(b" ", 2)[1].rpartition(b"/")[2].decode(),
            "email_domain": "example.com",
            "enabled": True,
            "use_fedramp_language": False,
            "created_on": "2026-01-01T00:00:00Z",
            "updated_on": "2026-01-01T00:00:00Z",
            "verification": {"code": "1234567890", "status": "verified"},
        }
        answer = {"success": True, "errors": [], "messages": [], "result": connector}
        body = json.dumps(answer).encode()
        fields = ("Content-Type: application/json", "CF-Ray: 8f00-AMS")
        head = ("HTTP/1.1 200 OK", *fields, f"Content-Length: {len(body)}", "", "")
        self._transport.write("\r\n".join(head).encode() + body)


async def _counted(toggle: Toggle) -> dict[str, float]:
    """Return the counts of one toggle, the mean of many; each is of another connector."""
    for number in range(WARM_UP):
        # Python 3.12 counts nothing the first time.
        with Counting():
            await toggle(number)
    with Counting() as counts:
        for number in range(WARM_UP, WARM_UP + TOGGLES):
            await toggle(number)
    return {kind: count / TOGGLES for kind, count in sorted(counts.items())}


def excess(found: Counts, recorded: Counts) -> dict[str, float]:
    """Return what is more than 5 % above the record, as its ratio to it."""
    ratios = {
        f"{kind} {way}": count / recorded[way][kind]
        for way, counts in found.items()
        for kind, count in counts.items()
    }
    return {what: ratio for what, ratio in ratios.items() if ratio > MOST}


def measure() -> Counts:
    """Return all counts of this Python."""
    # Otherwise a connection rests for a second before it is used again.
    _aiohttp_kept._REST = 0.0  # type: ignore[misc]
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        memory = runner.run(in_memory())
    return {"in memory": memory, "over HTTP": asyncio.run(over_http())}


def main() -> None:
    """Print the counts, or record them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write them into counts.json")
    found = measure()
    if parser.parse_args().record:
        known = json.loads(RECORD.read_text()) if RECORD.exists() else {}
        known[VERSION] = found
        RECORD.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
