"""Accounts on an emulator, changes that ask for them, and a transport that may misbehave."""

import asyncio
from collections.abc import Callable
from typing import Any

import attrs

import cfsso
from cfsso.fleet import Change, Outcome, apply

Reply = cfsso.Response | Exception
Rule = Callable[[cfsso.Request], Reply | None]


class Through:
    """A transport to an emulator that a *rule* may answer for, and that counts."""

    def __init__(self, cloud: cfsso.CloudflareEmulator, rule: Rule = lambda _request: None) -> None:
        self._inner = cfsso.InMemoryTransport(cloud)
        self._rule = rule
        self.seen: list[str] = []
        self.under_way = 0
        self.most = 0

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*, unless the rule has a reply of its own."""
        self.seen.append(request.method)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            reply = self._rule(request) or await self._inner.send(request)
            # Let the others have their turn, as a network would.
            await asyncio.sleep(0)
        finally:
            self.under_way -= 1
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def aclose(self) -> None:
        """Hold nothing."""


@attrs.define
class World:
    """An emulator with accounts, and changes that ask for its connectors to be enabled."""

    cloud: cfsso.CloudflareEmulator
    changes: list[Change]

    @classmethod
    def of(cls, *states: str | None, accounts: int = 1) -> "World":
        """Give each account a connector for each state; ``None`` asks for one that is none."""
        cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
        changes = []
        for number in range(accounts):
            account = cloud.add_account()
            for place, state in enumerate(states):
                connector_id: str | None = "f" * 32
                if state is not None:
                    connector_id = cloud.add_connector(
                        account,
                        email_domain=f"d{place}.a{number}.example",
                        enabled=state == "enabled",
                        status="verified" if state == "enabled" else state,
                    ).id
                changes.append(Change(account, str(connector_id), enabled=True))
        return cls(cloud, changes)

    async def run(self, transport: Through | None = None, **options: Any) -> list[Outcome]:
        """Apply, without a canary unless told; return the outcomes in the order of the changes."""
        connectors = cfsso.AsyncSSOConnectors(transport or Through(self.cloud))
        options.setdefault("canary", 0)
        found = [outcome async for outcome in apply(connectors, self.changes, **options)]
        assert len(self.changes) == len(found)
        return sorted(found, key=lambda outcome: self.changes.index(outcome.change))
