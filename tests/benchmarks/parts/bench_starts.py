"""What it costs to have it: imports, memory, files, and the way to the first byte."""

import compileall
import contextlib
import importlib.metadata
import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from bench_rows import Case, Plan
from bench_world import ANSWER, TARGETS, TOKEN, BenchError, cpus, environment, fresh, path, pinned
from packaging.requirements import Requirement

import cfsso

# No json: it is a part of what is measured. getrusage() begins with the peak of the parent.
_PROBE: Final = """
import resource, time
def peak():
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before, began = peak(), time.process_time()
%s
took = time.process_time() - began
print('{"cpu_ms": %%f, "peak_mib": %%f}' %% (took * 1000, (peak() - before) / 1024))
"""
_THREE: Final = """
import cfsso
cloud = cfsso.CloudflareEmulator()
account = cloud.add_account()
made = cloud.add_connector(account, email_domain="example.com", status="verified")
connectors = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cloud))
"""
_TOGGLE: Final = """
import asyncio
asyncio.run(connectors.update(made.id, account_id=account, enabled=True))
"""
_OFFICIAL: Final = "import cloudflare; client = cloudflare.AsyncCloudflare(api_token='t' * 40)"
IMPORTS: Final = {
    "import cfsso": "import cfsso",
    "cfsso, its emulator ready": _THREE,
    "cfsso, a toggle in memory": _THREE + _TOGGLE,
    "cfsso, its AiohttpTransport": "import cfsso; cfsso.AiohttpTransport('t' * 40)",
    "asyncio, attrs and cattrs": "import asyncio, attrs, cattrs",
    "import aiohttp": "import aiohttp",
    "import cloudflare": "import cloudflare",
    "cloudflare, its iam.sso": _OFFICIAL + "; client.iam.sso",
}
_AIOHTTP: Final = """
import asyncio
import sys
import aiohttp
async def main():
    headers = {"Authorization": "Bearer " + sys.argv[2]}
    async with aiohttp.ClientSession() as session:
        async with session.get(sys.argv[1] + sys.argv[3], headers=headers) as answer:
            answer.raise_for_status()
            print((await answer.json())["result"])
asyncio.run(main())
"""
_CLOUDFLARE: Final = """
import asyncio
import sys
import cloudflare
async def main():
    async with cloudflare.AsyncCloudflare(api_token=sys.argv[2], base_url=sys.argv[1]) as client:
        account, _, connector = sys.argv[3].split("/")[2:]
        print(await client.iam.sso.get(connector, account_id=account))
asyncio.run(main())
"""


def _is_wanted(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def closure(name: str) -> set[str]:
    """Return the distributions that *name* needs, with its own name, without extras."""
    found: set[str] = set()
    left = [name]
    while left:
        one = left.pop().lower().replace("_", "-")
        if one not in found:
            found.add(one)
            needs = map(Requirement, importlib.metadata.requires(one) or ())
            left += [need.name for need in needs if _is_wanted(need)]
    return found


def _files(name: str) -> Iterator[Path]:
    if name == "cfsso":
        # An editable installation has no files of its own.
        yield from Path(cfsso.__file__).parent.rglob("*")
        return
    for file in importlib.metadata.files(name) or ():
        yield Path(str(file.locate()))


def _compiled(file: Path) -> int:
    # As pip does when it installs; other installers leave it to the first import.
    compileall.compile_file(file, quiet=2)
    made = Path(importlib.util.cache_from_source(str(file)))
    return made.stat().st_size if made.exists() else 0


def size(name: str) -> dict[str, float]:
    """Return the MiB of files of *name* and of all that it needs, with and without compiled."""
    found = [f for each in closure(name) for f in _files(each) if f.suffix != ".pyc"]
    files = [file for file in found if file.is_file()]
    bare = sum(file.stat().st_size for file in files)
    compiled = sum(_compiled(file) for file in files if file.suffix == ".py")
    sizes = {"mib": (bare + compiled) / 2**20, "bare_mib": bare / 2**20}
    return {**sizes, "packages": len(closure(name))}


def imports(plan: Plan, stack: ExitStack) -> list[Case]:
    """Return what measures imports, and the size of what is installed."""
    del plan, stack
    cases = [
        Case("import", "fresh interpreter", what, partial(fresh, ["-c", _PROBE % code]))
        for what, code in IMPORTS.items()
    ]
    sizes = {"cfsso": "cfsso", "official SDK": "cloudflare"}
    for label, name in sizes.items():
        cases.append(Case("size", "without extras", label, partial(size, name), once=True))
    return cases


def _first_byte(listening: socket.socket, command: list[str]) -> dict[str, float]:
    """Return the milliseconds from the start of a process to its first byte."""
    body = (ANSWER % TARGETS[0][1]).encode()
    began = time.perf_counter()
    with pinned(cpus()[0]):
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-P", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(),
        )
    try:
        connection, _ = listening.accept()
        with connection:
            request = connection.recv(1)
            took = time.perf_counter() - began
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            lines = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            head = f"HTTP/1.1 200 OK\r\nConnection: close\r\n{lines}\r\n"
            connection.sendall(head.encode() + body)
    except TimeoutError:
        process.kill()
        raise BenchError("no request came") from None
    finally:
        _, said = process.communicate(timeout=60)
    if process.returncode:
        raise BenchError((said.decode().strip().splitlines() or ["it said nothing"])[-1])
    return {"ms": took * 1000}


def cold_starts(plan: Plan, stack: ExitStack) -> list[Case]:
    """Return what measures the way from the start of a process to its first byte."""
    del plan
    listening = stack.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", 0))))
    listening.settimeout(20)
    base = f"http://127.0.0.1:{listening.getsockname()[1]}/client/v4"
    script = [base, TOKEN, path(TARGETS[0])]
    commands = {
        "cfsso get": ["-m", "cfsso", "--base-url", base, "get", *TARGETS[0]],
        "ten lines with aiohttp": ["-c", _AIOHTTP, *script],
        "ten lines with the official SDK": ["-c", _CLOUDFLARE, *script],
    }
    return [
        Case("cold start", "to the first byte", what, partial(_first_byte, listening, command))
        for what, command in commands.items()
    ]
