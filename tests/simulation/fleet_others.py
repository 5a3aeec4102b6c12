"""Who else lives in a world: people who write connectors, and programs that use up a limit."""

import asyncio
import contextvars
from typing import TYPE_CHECKING

from fleet_truth import Track

from cfsso import Request

if TYPE_CHECKING:
    from fleet_world import FleetWorld

_FOREIGN = "token-foreign"


class Others:
    """Everybody but the operator."""

    def __init__(self, world: "FleetWorld") -> None:
        self._world = world
        self._random = world.random
        self.writing = True

    def write(self, track: Track) -> None:
        """Change a connector in some way, or delete it."""
        if not self.writing:
            return
        chance = self._random.random()
        body = b'{"enabled":%s}' % (b"true" if self._random.random() < 0.5 else b"false")
        method = "PATCH"
        if chance < 0.3:
            body = b'{"use_fedramp_language":%s}' % (b"true" if chance < 0.2 else b"false")
        self._send(Request(method, track.path, body))
        if chance > 0.97:
            self._send(Request("DELETE", track.path))

    def _send(self, request: Request) -> None:
        # Nobody's: what the operator does at this moment is no part of it.
        contextvars.Context().run(
            self._world.cloud.handle, request, {"authorization": f"Bearer {_FOREIGN}"}
        )

    async def live(self) -> None:
        """Write now and then, for as long as there is a storm."""
        plan = self._world.plan
        for _ in range(plan.foreign):
            await asyncio.sleep(2 * self._random.random() * plan.storm / plan.foreign)
            self.write(self._random.choice(self._world.tracks))

    def notice(self, track: Track) -> None:
        """Perhaps write what the operator has just written or looked at."""
        if track.account not in self._world.tokens:
            return
        if self._random.random() < self._world.plan.reactive:
            seconds = self._random.choice((0.01, 0.3, 3.0, 10.0)) * self._random.random()
            asyncio.get_running_loop().call_later(seconds, self.write, track)

    async def use_up(self) -> None:
        """Use up the limit of a token."""
        await asyncio.sleep(self._random.random() * self._world.plan.storm)
        account = self._random.choice(self._world.accounts)
        token = self._world.tokens[account]
        request = Request("GET", f"/accounts/{account}/sso_connectors")
        for _ in range(int(self._world.plan.limit.requests) + 1):
            self._world.cloud.handle(request, {"authorization": f"Bearer {token}"})
