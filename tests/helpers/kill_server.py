"""An emulator in a process of its own, which tells what really happened."""

import asyncio
import json
import os
import socket
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self, TypeAlias

import cfsso
from cfsso.emulator.http import serving

# An account and one of its connectors, with what its verification is, and whether it is enabled.
Made: TypeAlias = tuple[str, str, str, bool]
# How often a connector was written, and whether it is enabled.
Truth: TypeAlias = dict[str, tuple[int, bool]]


class Server:
    """
    The process, as seen from the one that began it.

    Attributes:
        base_url: Where it listens.
    """

    def __init__(self, control: socket.socket) -> None:
        self._lines = control.makefile("rw")
        self.base_url: str = json.loads(self._lines.readline())

    @classmethod
    def start(cls, latency: float) -> Self:
        """Fork it; it ends with this process, which must have neither threads nor a loop."""
        ours, theirs = socket.socketpair()
        if os.fork():
            theirs.close()
            return cls(ours)
        ours.close()
        try:
            asyncio.run(_serve(theirs, latency))
        finally:
            os._exit(1)

    def fleet(self, *accounts: Sequence[str]) -> list[Made]:
        """Forget what was, and add accounts with connectors in these states."""
        return [tuple(made) for made in self._ask(accounts)]

    def requests(self) -> int:
        """Return how many requests there were since the fleet was added."""
        count: int = self._ask("requests")
        return count

    def truth(self) -> Truth:
        """Return what is true of the connectors of the fleet."""
        return {key: tuple(seen) for key, seen in self._ask("truth").items()}

    def _ask(self, question: Any) -> Any:
        print(json.dumps(question), file=self._lines, flush=True)
        return json.loads(self._lines.readline())


async def _serve(control: socket.socket, latency: float) -> None:
    cloud = cfsso.CloudflareEmulator(rate_limit=None, latency=latency, log=None)
    fleet: list[Made] = []
    reader, writer = await asyncio.open_connection(sock=control)
    async with serving(cloud) as base_url:
        answer: Any = base_url
        while True:
            writer.write(json.dumps(answer).encode() + b"\n")
            question = json.loads(await reader.readline())
            if question == "requests":
                answer = len(cloud.requests)
            elif question == "truth":
                answer = _truth(cloud, fleet)
            else:
                cloud.requests.clear()
                answer = fleet = _added(cloud, question)


def _added(cloud: cfsso.CloudflareEmulator, accounts: Sequence[Sequence[str]]) -> list[Made]:
    fleet: list[Made] = []
    for states in accounts:
        account = cloud.add_account()
        for state in states:
            enabled = state == "enabled"
            status = "verified" if enabled else state
            domain = f"{len(cloud.accounts)}-{len(fleet)}.example"
            made = cloud.add_connector(account, email_domain=domain, enabled=enabled, status=status)
            fleet.append((account, made.id, status, enabled))
    return fleet


def _truth(cloud: cfsso.CloudflareEmulator, fleet: Sequence[Made]) -> Truth:
    writes = Counter(r.path[-32:] for r in cloud.requests if r.method != "GET")
    return {
        key: (writes[key], bool(cloud.connector(account, key).enabled))
        for account, key, _, _ in fleet
    }
