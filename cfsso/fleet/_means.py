"""What the accounts of a run share."""

import asyncio
from math import inf

import attrs

from cfsso._log import log
from cfsso.connectors import AsyncSSOConnectors
from cfsso.events import Event, EventKind
from cfsso.fleet._gate import Gate
from cfsso.fleet._journal import Journal
from cfsso.fleet._lanes import Lane
from cfsso.fleet._outage import Outage
from cfsso.fleet._refusals import Refusals


@attrs.frozen(kw_only=True)
class Means:
    """
    What the accounts of a run share.

    Attributes:
        connectors: Where they are.
        journal: What is intended and how it ended.
        gate: How much may be under way.
        operation: What the run does, for whoever watches.
        concurrency: How many accounts, and requests, may be under way at once.
        active: As many accounts at once, but for those that wait for limits.
        places: As many requests at once.
        outage: Whether anything is answered.
        refusals: How many targets were refused alike.
        refused: The credentials that a 401 has stopped, each with why.
    """

    connectors: AsyncSSOConnectors
    journal: Journal
    gate: Gate
    operation: str
    concurrency: int
    active: asyncio.Semaphore
    places: asyncio.Semaphore
    outage: Outage
    refusals: Refusals
    refused: dict[str, str] = attrs.field(factory=dict)
    _lanes: dict[str, Lane] = attrs.field(factory=dict, init=False)

    @classmethod
    def of(
        cls,
        connectors: AsyncSSOConnectors,
        journal: Journal,
        gate: Gate,
        *,
        operation: str,
        concurrency: int,
        outage: float | None,
    ) -> "Means":
        """Return what a run has: for *concurrency* and *outage* see `cfsso.fleet.apply`."""
        # A fleet waits its turn: the reserve is for what lets people in.
        connectors = connectors._with_urgency(False)  # noqa: SLF001, FBT003 # pyright: ignore[reportPrivateUsage] - the engine is ours

        def tell(pause: float, silence: float) -> None:
            """Say that the run holds."""
            tell_wait(connectors, operation, "outage", pause, waited=silence)

        return cls(
            connectors=connectors,
            journal=journal,
            gate=gate,
            operation=operation,
            concurrency=concurrency,
            active=asyncio.Semaphore(concurrency),
            places=asyncio.Semaphore(concurrency),
            outage=Outage(gate, inf if outage is None else outage, tell),
            refusals=Refusals(gate),
        )

    def lane(self, credential: str) -> Lane | None:
        """Return the lane of a credential. ``None``: its limit is not known, or there is none."""
        limit = self.connectors.rate_limit
        if limit is None:
            return None
        lane = self._lanes.get(credential)
        if lane is None:
            lane = self._lanes[credential] = Lane(
                limit, self.concurrency, self.gate, self._tell_limit
            )
        return lane

    def _tell_limit(self, account_id: str, seconds: float) -> None:
        tell_wait(self.connectors, "list", "rate limit", seconds, account_id=account_id)


def tell_wait(
    connectors: AsyncSSOConnectors,
    operation: str,
    reason: str,
    seconds: float,
    *,
    account_id: str = "",
    waited: float = 0.0,
) -> None:
    """Let whoever watches know of a wait that no call makes."""
    if connectors.on_event is None:
        return
    try:
        connectors.on_event(
            Event(
                kind=EventKind.WAIT,
                operation=operation,
                account_id=account_id,
                reason=reason,
                seconds=seconds,
                waited=waited,
            )
        )
    except Exception:  # noqa: BLE001 - a watcher must not change what is watched
        log().exception("on_event failed")
