"""Which calls go first, and which may take what is in reserve."""

from collections.abc import Awaitable, Callable

import pytest
from scripted import ACCOUNT, CONNECTOR, Scripted, shown, success

import cfsso
from cfsso.transports._call import current

URGENT, BEGUN, NEW = "urgent", "begun", "new"


class Ranks(Scripted):
    """A transport that notes what it is told of the urgency of each request."""

    def __init__(self) -> None:
        super().__init__(success([shown(enabled=False)]))
        self.ranks: list[str] = []

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Note it, and show a connector that is disabled."""
        call = current()
        self.ranks.append(URGENT if call.urgent else BEGUN if call.queued else NEW)
        return await super().send(request)


async def disable(connectors: cfsso.AsyncSSOConnectors) -> None:
    await connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=False)


async def reword(connectors: cfsso.AsyncSSOConnectors) -> None:
    await connectors.update(CONNECTOR, account_id=ACCOUNT, use_fedramp_language=False)


async def list_(connectors: cfsso.AsyncSSOConnectors) -> None:
    await connectors.list(account_id=ACCOUNT)


async def get(connectors: cfsso.AsyncSSOConnectors) -> None:
    await connectors.get(CONNECTOR, account_id=ACCOUNT)


CALLS: list[Callable[[cfsso.AsyncSSOConnectors], Awaitable[None]]] = [disable, reword, list_, get]


@pytest.mark.parametrize(
    ("urgent", "ranks"),
    [
        (None, [URGENT, NEW, NEW, NEW]),
        (True, [URGENT, URGENT, URGENT, URGENT]),
        (False, [BEGUN, BEGUN, NEW, NEW]),
    ],
)
async def test_urgency(urgent: bool | None, ranks: list[str]) -> None:  # noqa: FBT001
    """Only what disables is urgent by itself; all or nothing is if that is said."""
    transport = Ranks()
    connectors = cfsso.AsyncSSOConnectors(transport)
    for call in CALLS:
        await call(connectors._with_urgency(urgent=urgent))
    assert ranks == transport.ranks
    # Others on the same transport keep theirs.
    await disable(connectors)
    assert URGENT == transport.ranks[-1]


async def test_continuing() -> None:
    """What goes on with something ranks before what is new, and takes nothing in reserve."""
    transport = Ranks()
    connectors = cfsso.AsyncSSOConnectors(transport)._with_urgency(urgent=False)._continuing()
    for call in CALLS:
        await call(connectors.with_options(max_wait=1.0))
    assert [BEGUN] * 4 == transport.ranks
