"""What needs a server: CPU per PATCH, stalls of the event loop, and other loops and decoders."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

from bench_clients import CLIENTS
from bench_rows import Case, Plan
from bench_servers import Server, serving
from bench_world import PARTS, BenchError, fresh

_CHILD: Final = str(PARTS / "bench_child.py")
_STALLED: Final = ("lean", "taught", "cfsso")
_SLOW: Final = ("official", "official-aiohttp", "single-shots")
_OPEN: Final = 2000.0


def _ask(kind: str, given: dict[str, Any], server: Server) -> dict[str, float]:
    return {**fresh([_CHILD, kind, json.dumps(given)], {"SSL_CERT_FILE": server.authority})}


def _patched(given: dict[str, Any], server: Server) -> dict[str, float]:
    before = server.accepted()
    figures = _ask("patch", given, server)
    after = server.accepted()
    if before is not None and after is not None:
        # The question itself is one of them.
        figures["connections"] = after - before - 1
    return figures


def _chosen(plan: Plan, names: tuple[str, ...]) -> Iterator[str]:
    return (name for name in names if not plan.clients or name in plan.clients)


def patches(plan: Plan, server: Server) -> Iterator[Case]:
    """Yield what measures CPU per PATCH."""
    ways = [(n, tls) for tls in (False, True)[: plan.tls + 1] for n in plan.in_flight]
    # What is judged is measured twice in a round.
    for in_flight, tls in [*ways, *(way for way in ways if way == (32, False))]:
        for name in _chosen(plan, tuple(CLIENTS)):
            given = {
                "client": name,
                "base": server.tls if tls else server.plain,
                "in_flight": in_flight,
                "requests": plan.requests // (3 if name in _SLOW else 1),
                "pause": plan.pause,
            }
            case = f"{in_flight} in flight, {'TLS' if tls else 'plain'}"
            yield Case("patch", case, name, partial(_patched, given, server))


def stalls(plan: Plan, server: Server) -> Iterator[Case]:
    """Yield what measures how late a ticker in the same loop is."""
    for rate in (None, _OPEN):
        for name in _chosen(plan, _STALLED):
            given = {
                "client": name,
                "base": server.plain,
                "in_flight": 256,
                "pause": plan.pause,
                "seconds": plan.stall,
                "rate": rate,
            }
            case = "always 256 in flight" if rate is None else f"{rate:,.0f} a second for all"
            yield Case("stall", case, name, partial(_ask, "lateness", given, server))


def options(plan: Plan, server: Server) -> Iterator[Case]:
    """Yield what measures uvloop, and other decoders of JSON."""
    for loop in ("asyncio", "uvloop"):
        for name in _chosen(plan, ("taught", "cfsso")):
            given = {
                "client": name,
                "base": server.plain,
                "in_flight": 32,
                "requests": plan.requests,
                "pause": plan.pause,
                "loop": loop,
            }
            yield Case("loop", loop, name, partial(_ask, "patch", given, server))
    for by in ("json", "orjson", "msgspec"):
        decoding = {"by": by, "number": plan.decoded}
        yield Case("decode", "the answer", by, partial(_ask, "decode", decoding, server))


def _with_server(
    make: Callable[[Plan, Server], Iterator[Case]], plan: Plan, stack: ExitStack
) -> list[Case]:
    if unknown := set(plan.clients) - set(CLIENTS):
        raise BenchError(f"no such client: {', '.join(unknown)}; there are {', '.join(CLIENTS)}")
    return list(make(plan, stack.enter_context(serving(plan.server))))


HTTP_PARTS: Final = {
    "patch": partial(_with_server, patches),
    "stall": partial(_with_server, stalls),
    "options": partial(_with_server, options),
}
