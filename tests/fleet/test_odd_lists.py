"""Whatever a list is like, a run sends at most four requests a target."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from worlds import Through, World

import cfsso
from cfsso.fleet import Outcome, apply
from cfsso.fleet import OutcomeStatus as Status

pytestmark = pytest.mark.virtual_time

Alter = Callable[[Any], Any]


class Altered(Through):
    """A transport that shows some connectors otherwise in lists, and perhaps by themselves."""

    def __init__(self, world: World, in_lists: Alter, alone: Alter = lambda shown: shown) -> None:
        super().__init__(world.cloud)
        self._in_lists = in_lists
        self._alone = alone
        self.lists = 0

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*, and alter its answer."""
        answer = await super().send(request)
        envelope = json.loads(answer.body)
        if request.path.endswith("sso_connectors"):
            self.lists += 1
            envelope = self._in_lists(envelope)
        else:
            envelope["result"] = self._alone(envelope["result"])
        return attrs.evolve(answer, body=json.dumps(envelope).encode())


def odd(*keys: str) -> Alter:
    """Return what makes connectors of *keys* odd."""
    return lambda shown: shown | {"created_on": "yesterday"} if shown["id"] in keys else shown


def each(alter: Alter) -> Alter:
    """Return what alters each connector of a list."""
    return lambda envelope: envelope | {"result": [alter(shown) for shown in envelope["result"]]}


async def applied(
    world: World, transport: Through, **options: Any
) -> tuple[Counter[Status], list[Outcome]]:
    """Apply with 0.05 s of latency; see that it was done with few requests."""
    world.cloud.latency = 0.05
    connectors = cfsso.AsyncSSOConnectors(transport, deadline=120.0)
    outcomes = [outcome async for outcome in apply(connectors, world.changes, **options)]
    assert len(transport.seen) <= 4 * len(world.changes)
    return Counter(outcome.status for outcome in outcomes), outcomes


@pytest.mark.parametrize(("concurrency", "canary"), [(1, 1), (4, 0), (32, 1)])
async def test_one_odd_connector_among_many(concurrency: int, canary: int) -> None:
    """It alone is read by itself, once; it can't be enabled, and all the others are."""
    world = World.of(*["verified"] * 1500)
    key = world.changes[700].sso_connector_id
    transport = Altered(world, each(odd(key)), odd(key))

    found, outcomes = await applied(world, transport, concurrency=concurrency, canary=canary)

    assert {Status.CHANGED: 1499, Status.NOT_ATTEMPTED: 1} == found
    (left,) = [outcome for outcome in outcomes if outcome.status is Status.NOT_ATTEMPTED]
    assert key == left.change.sso_connector_id
    assert isinstance(left.error, cfsso.APIResponseValidationError)
    assert transport.lists <= 12


@pytest.mark.parametrize("concurrency", [2, 32])
async def test_many_accounts_with_an_odd_one_each(concurrency: int) -> None:
    """An odd connector that is a target costs its account two requests, and no other target any."""
    world = World.of(*["verified"] * 100, accounts=30)
    keys = [change.sso_connector_id for change in world.changes[::100]]
    transport = Altered(world, each(odd(*keys)))

    found, _ = await applied(world, transport, concurrency=concurrency)

    # What is odd in lists only is written like all others.
    assert {Status.CHANGED: 3000} == found


async def test_an_odd_neighbour_costs_nothing() -> None:
    """What is odd and was not asked for is not read by itself."""
    world = World.of(*["verified"] * 10)
    neighbour = world.changes.pop().sso_connector_id
    transport = Altered(world, each(odd(neighbour)))

    found, _ = await applied(world, transport, canary=0)

    assert {Status.CHANGED: 9} == found
    assert ["GET", *["PATCH"] * 9, "GET"] == transport.seen


@pytest.mark.parametrize("concurrency", [1, 32])
async def test_a_list_that_can_not_be_read_at_all(concurrency: int) -> None:
    """Each connector is read before its write and after it, and the list is not tried again."""
    world = World.of(*["verified"] * 300)
    transport = Altered(world, lambda envelope: envelope | {"result": "too much"})

    found, _ = await applied(world, transport, concurrency=concurrency)

    assert {Status.CHANGED: 300} == found
    assert 1 == transport.lists


async def test_a_list_that_leaves_most_out() -> None:
    """What a list does not show is read by itself, before its write and after it."""
    world = World.of(*["verified"] * 200)

    def cut(envelope: Any) -> Any:
        """Show the first ten, of two hundred."""
        return envelope | {"result": envelope["result"][:10], "result_info": {"total_count": 200}}

    transport = Altered(world, cut)

    found, _ = await applied(world, transport)

    assert {Status.CHANGED: 200} == found


async def test_connectors_that_are_not_there_are_asked_for_once() -> None:
    """A target that neither the list nor a read of its own shows is blocked by two requests."""
    world = World.of(*["verified"] * 50)
    world.changes = [
        attrs.evolve(change, sso_connector_id=f"{number:032x}") if number % 2 else change
        for number, change in enumerate(world.changes)
    ]
    transport = Altered(world, lambda envelope: envelope)

    found, _ = await applied(world, transport, canary=0)

    assert {Status.CHANGED: 25, Status.BLOCKED: 25} == found
    assert 2 + 25 + 25 == len(transport.seen)
