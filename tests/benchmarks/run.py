"""
What cfsso costs beside the field: ``python tests/benchmarks/run.py``.

Every client is measured in rounds, each time in a fresh process, and medians are compared. A
full run takes about half an hour; ``--quick`` one or two minutes, and judges nothing.
"""

import argparse
import importlib.metadata
import json
import platform
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent / "parts"))

from bench_criteria import judge
from bench_http import HTTP_PARTS
from bench_memory import in_memory
from bench_others import others
from bench_rows import QUICK, Case, Plan, Rows, interleave, read
from bench_servers import find_nginx
from bench_starts import cold_starts, imports
from bench_table import markdown, picture, table, verdicts
from bench_world import BenchError, cpus

PARTS: Final[dict[str, Callable[[Plan, ExitStack], list[Case]]]] = {
    **HTTP_PARTS,
    "import": imports,
    "cold": cold_starts,
    "memory": in_memory,
    "others": others,
}
_VERSIONS: Final = ("cfsso", "aiohttp", "cloudflare", "httpx", "uvloop", "orjson", "msgspec")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true", help="one small round, without verdicts")
    parser.add_argument("--clients", help="which, with commas between them")
    parser.add_argument("--in-flight", help="how many at once, with commas between them")
    parser.add_argument("--pause", type=float, help="seconds in which new connections rest")
    parser.add_argument("--plain", action="store_true", help="leave TLS out")
    parser.add_argument("--server", choices=["nginx", "bundled"])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where figures are to go")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="where a picture is to go")
    parser.add_argument("--markdown", action="store_true", help="print tables to paste")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing, show this JSON")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds: at least 1")
    return options


def _plan(options: argparse.Namespace) -> Plan:
    given: dict[str, Any] = {**QUICK} if options.quick else {}
    if options.rounds is not None:
        given["rounds"] = options.rounds
    if options.pause is not None:
        given["pause"] = options.pause
    if options.clients:
        given["clients"] = tuple(options.clients.split(","))
    if options.in_flight:
        given["in_flight"] = tuple(map(int, options.in_flight.split(",")))
    return Plan(**given, tls=not options.plain, server=options.server)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _circumstances(plan: Plan, *, quick: bool) -> dict[str, Any]:
    client, server = cpus()
    return {
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _VERSIONS},
        "server": plan.server or ("nginx" if find_nginx() else "bundled"),
        "cpus": "shared" if client is None else f"{client} and {server}",
        "rounds": plan.rounds,
        "quick": quick,
    }


def _measure(parts: list[str], plan: Plan) -> Rows:
    rows: Rows = {}
    for name in parts:
        with ExitStack() as stack:
            rows |= interleave(PARTS[name](plan, stack), plan.rounds)
    return rows


def _show(rows: Rows, meta: dict[str, Any], options: argparse.Namespace) -> int:
    found = judge(rows)
    judged = not meta["quick"]
    if options.markdown:
        print(markdown(rows, found))  # noqa: T201
    else:
        shown = {name: value for name, value in meta.items() if name != "versions"}
        print(", ".join(f"{name}: {value}" for name, value in shown.items()))  # noqa: T201
        versions = ", ".join(f"{name} {v}" for name, v in meta["versions"].items())
        print(textwrap.fill(versions, 100))  # noqa: T201
        print(f"\n{table(rows)}\n\n{verdicts(found, judged=judged)}")  # noqa: T201
    if options.svg:
        options.svg.write_text(picture(rows), "utf-8")
    failed = [row.key for row in rows.values() if row.error]
    return int(bool(failed) or (judged and not all(verdict.passed for verdict in found)))


def main() -> int:
    """Do as the command line says; return 1 if a criterion is not met, or a case failed."""
    options = _options()
    if options.read:
        kept = json.loads(options.read.read_text("utf-8"))
        return _show(read(kept["rows"]), kept["meta"], options)
    plan = _plan(options)
    began = time.perf_counter()
    try:
        rows = _measure(options.parts or list(PARTS), plan)
    except BenchError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    meta = _circumstances(plan, quick=options.quick)
    meta["minutes"] = round((time.perf_counter() - began) / 60, 1)
    if options.json:
        kept = {
            "meta": meta,
            "rows": [row.shown() for row in rows.values()],
            "criteria": [
                {"name": v.name, "value": v.value, "bound": v.bound, "passed": v.passed}
                for v in judge(rows)
            ],
        }
        options.json.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    return _show(rows, meta, options)


if __name__ == "__main__":
    sys.exit(main())
