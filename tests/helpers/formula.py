"""A Cloudflare that is computed: accounts of ten connectors, and one bit for each connector."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import cfsso
from cfsso.fleet import Change

AN_ACCOUNT: Final = 10
_HEADERS: Final = {"content-type": "application/json", "date": "Mon, 02 Mar 2026 08:15:42 GMT"}


class Formula:
    """
    A transport to accounts that are not kept; their connectors are verified.

    Args:
        targets: How many connectors there are.
        every: The connectors of every so manieth account are disabled at first.

    Attributes:
        writes: How many writes were sent.
    """

    def __init__(self, targets: int, every: int = 1) -> None:
        # All of it is written to, so that its memory counts from the beginning.
        self._enabled = bytearray(b"\xff" * (targets // 8 + 1))
        for number in range(targets):
            self._set(number, enabled=number // AN_ACCOUNT % every != 0)
        self.writes = 0

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Answer a list, a read or an update."""
        await asyncio.sleep(0)
        parts = request.path.split("/")
        first = int(parts[2], 16) * AN_ACCOUNT
        result: Any
        if request.is_write:
            number = int(parts[4], 16)
            self._set(number, enabled=json.loads(request.body or b"")["enabled"])
            self.writes += 1
            result = self._shown(number)
        elif len(parts) > 4:
            result = self._shown(int(parts[4], 16))
        else:
            result = [self._shown(number) for number in range(first, first + AN_ACCOUNT)]
        envelope = {"success": True, "errors": [], "messages": [], "result": result}
        return cfsso.Response(200, _HEADERS, json.dumps(envelope).encode())

    async def aclose(self) -> None:
        """Hold nothing."""

    def all_enabled(self, targets: int) -> bool:
        """Say whether the first *targets* connectors are enabled."""
        return all(self._enabled[n // 8] >> n % 8 & 1 for n in range(targets))

    def _set(self, number: int, *, enabled: bool) -> None:
        bit = 1 << number % 8
        if enabled:
            self._enabled[number // 8] |= bit
        else:
            self._enabled[number // 8] &= ~bit

    def _shown(self, number: int) -> dict[str, Any]:
        enabled = bool(self._enabled[number // 8] >> number % 8 & 1)
        return {
            "id": f"{number:032x}",
            "email_domain": f"d{number}.example",
            "enabled": enabled,
            "use_fedramp_language": False,
            "verification": {"code": f"cloudflare_dashboard_sso={number}", "status": "verified"},
            "created_on": "2026-03-01T00:00:00Z",
            "updated_on": f"2026-03-0{2 if enabled else 1}T00:00:00Z",
        }


async def changes(targets: int) -> AsyncIterator[Change]:
    """Ask for all connectors to be enabled, one after the other; none is held."""
    for number in range(targets):
        yield Change(f"{number // AN_ACCOUNT:032x}", f"{number:032x}", enabled=True)
