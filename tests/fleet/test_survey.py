"""How far a plan reads: odd lists, large ones, outages, and refusals without end."""

import asyncio
import json
from typing import Any

import attrs
import pytest
from scripted import failure, shown, success
from worlds import Reply, Rule, Through, World

import cfsso
from cfsso.fleet import Change, Outcome, Plan, PlanAction, apply, plan
from cfsso.fleet import OutcomeStatus as Status

pytestmark = pytest.mark.virtual_time

CHANGE, BLOCKED = PlanAction.CHANGE, PlanAction.BLOCKED
LOST = cfsso.APIConnectionError("lost")
AGAIN = "; a run reads it again"


def over(cloud: cfsso.CloudflareEmulator, rule: Rule = lambda _: None) -> Any:
    """Return connectors whose requests are counted, and their transport."""
    transport = Through(cloud, rule)
    return cfsso.AsyncSSOConnectors(transport), transport


async def applied(connectors: cfsso.AsyncSSOConnectors, made: Plan) -> list[Outcome]:
    """Apply a plan; return the outcomes in its order."""
    changes = [row.change for row in made.rows]
    found = [outcome async for outcome in apply(connectors, made)]
    return sorted(found, key=lambda outcome: changes.index(outcome.change))


def spoilt(world: World, number: int) -> Rule:
    """Return a rule that gives one connector of the world a date that is none."""
    odd = world.changes[number]

    def rule(request: cfsso.Request) -> Reply | None:
        if request.is_write or odd.account_id != request.account_id:
            return None
        answer = json.loads(world.cloud.handle(request).body)
        result = answer["result"]
        for connector in result if isinstance(result, list) else [result]:
            if connector["id"] == odd.sso_connector_id:
                connector["updated_on"] = 7
        return success(result)

    return rule


async def test_one_odd_connector_among_many_costs_one_read() -> None:
    """The others are read by the list, and only the odd one can't be planned."""
    world = World.of(*["verified"] * 1_500)
    connectors, transport = over(world.cloud, spoilt(world, 700))

    made = await plan(connectors, world.changes)

    assert ["GET"] * 2 == transport.seen
    assert [world.changes[700]] == [row.change for row in made.undecided]
    assert 1_499 == len(made.writes)


async def test_a_list_of_more_than_a_megabyte_costs_one_read() -> None:
    """However many there are, the list shows them."""
    world = World.of(*["verified"] * 4_000)
    connectors, transport = over(world.cloud)

    made = await plan(connectors, world.changes)

    assert ["GET"] == transport.seen
    assert 4_000 == len(made.writes)


async def test_what_a_list_hides_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What it shows is planned all the same."""
    world = World.of("verified")
    shown_ = success(
        [shown(id=world.changes[0].sso_connector_id, enabled=False)],
        result_info={"total_count": 4},
    )
    connectors, transport = over(world.cloud, lambda _: shown_)

    made = await plan(connectors, world.changes)

    assert ([CHANGE], ["GET"]) == ([row.action for row in made.rows], transport.seen)
    assert "the list hides 3 of the connectors" in caplog.text


@pytest.mark.parametrize(
    "reply", [LOST, *map(failure, (401, 408, 425, 429, 500, 503)), success({})], ids=repr
)
async def test_what_may_pass_is_left_to_the_run(reply: Reply) -> None:
    """A row that could not be read is shown as blocked, and a run that can read it does it."""
    world = World.of("verified", "pending", accounts=2)
    there = world.changes[0].account_id
    broken, _ = over(world.cloud, lambda r: reply if r.account_id == there else None)
    connectors, _ = over(world.cloud)

    made = await plan(broken, world.changes)
    again = Plan.from_json(made.to_json())
    outcomes = await applied(connectors, again)

    assert again == made
    assert [BLOCKED, BLOCKED, CHANGE, BLOCKED] == [row.action for row in made.rows]
    assert world.changes[:2] == [row.change for row in made.undecided]
    assert all(row.reason.endswith(AGAIN) is row.unread for row in made.rows)
    assert [Status.CHANGED, Status.BLOCKED] * 2 == [outcome.status for outcome in outcomes]


@pytest.mark.parametrize("status", [400, 403, 404, 409])
async def test_what_is_refused_is_final(status: int) -> None:
    """A refusal of the read says what the run would meet."""
    world = World.of("verified")
    broken, _ = over(world.cloud, lambda _: failure(status))
    connectors, transport = over(world.cloud)

    made = await plan(broken, world.changes)
    outcomes = await applied(connectors, made)

    assert (BLOCKED, False) == (made.rows[0].action, made.rows[0].unread)
    assert [Status.BLOCKED] == [outcome.status for outcome in outcomes]
    assert [] == transport.seen


async def test_a_bug_of_one_account_ends_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a list or a read comes to, the other accounts are planned."""
    world = World.of("verified", accounts=3)
    lists, gets = (change.account_id for change in world.changes[:2])

    class Broken(cfsso.AsyncSSOConnectors):
        """Connectors with a bug."""

        async def _list_for_rescue(self, account_id: str, **options: Any) -> Any:
            if account_id == lists:
                raise ZeroDivisionError
            return await super()._list_for_rescue(account_id, **options)

        async def get(self, *_args: Any, **_options: Any) -> Any:
            raise ZeroDivisionError

    rule: Rule = lambda r: success([]) if r.account_id == gets else None  # noqa: E731
    made = await plan(Broken(Through(world.cloud, rule)), world.changes)

    assert [BLOCKED, BLOCKED, CHANGE] == [row.action for row in made.rows]
    assert [
        f"the {what} could not be read: unexpected: ZeroDivisionError{AGAIN}"
        for what in ("account", "connector")
    ] == [row.reason for row in made.undecided]
    assert 2 == sum("is a bug" in record.message for record in caplog.records)


def swapped(world: World) -> list[Change]:
    """Return the changes with their two ids the wrong way round."""
    return [
        attrs.evolve(c, account_id=c.sso_connector_id, sso_connector_id=c.account_id)
        for c in world.changes
    ]


async def test_swapped_columns_end_the_reading() -> None:
    """Ten refusals alike are enough; the reason of the rest says what to look at."""
    world = World.of("verified", accounts=300)
    connectors, transport = over(world.cloud)

    made = await plan(connectors, swapped(world), accounts=["f" * 32], concurrency=8)

    assert len(transport.seen) < 20
    assert {BLOCKED} == {row.action for row in made.rows}
    assert () == made.undecided
    assert made.rows[0].reason.startswith("the account could not be read: 404: ")
    last = made.rows[-1].reason
    assert last.startswith("not read, since 10 targets in a row were refused alike: 404: ")
    assert last.endswith(": check that account_id and sso_connector_id are not swapped")
    assert {"f" * 32: last} == made.unread


async def test_other_refusals_without_end() -> None:
    """A token that may read no account is one thing to say, not ten thousand."""
    world = World.of("verified", accounts=100)
    connectors, transport = over(world.cloud, lambda _: failure(403))

    made = await plan(connectors, world.changes, concurrency=1)

    assert 10 == len(transport.seen)
    assert made.rows[-1].reason.endswith(": check the token and the accounts")


@pytest.mark.parametrize(
    "replies",
    [
        [failure(403)] * 9 + [None] + [failure(403)] * 9,
        [failure(403), failure(404)] * 10,
        [failure(403, {"code": 1}), failure(403, {"code": 2})] * 10,
        [failure(401)] * 20,
    ],
    ids=["a success between", "other statuses", "other codes", "tokens"],
)
async def test_what_is_not_refused_alike_ends_nothing(replies: list[Reply | None]) -> None:
    """Every account is read."""
    world = World.of("verified", accounts=len(replies))
    order = [change.account_id for change in world.changes]
    connectors, transport = over(world.cloud, lambda r: replies[order.index(r.account_id)])

    await plan(connectors, world.changes, concurrency=1)

    assert len(order) == len(transport.seen)


async def test_one_account_that_is_refused_ends_nothing() -> None:
    """However many targets it has: it is one account."""
    world = World.of(*["verified"] * 20, accounts=2)
    first = world.changes[0].account_id
    connectors, _ = over(world.cloud, lambda r: failure(404) if r.account_id == first else None)

    made = await plan(connectors, world.changes, concurrency=1)

    assert [BLOCKED] * 20 + [CHANGE] * 20 == [row.action for row in made.rows]


class Down(Through):
    """A transport to a server that is away for some seconds."""

    def __init__(self, cloud: cfsso.CloudflareEmulator, seconds: float, reply: Reply) -> None:
        super().__init__(cloud, lambda _: reply if self.is_down else None)
        self._time = asyncio.get_running_loop().time
        self._until = self._time() + seconds

    @property
    def is_down(self) -> bool:
        """Whether it is away yet."""
        return self._time() < self._until


@pytest.mark.parametrize("reply", [LOST, failure(502)], ids=["lost", "502"])
@pytest.mark.parametrize("retries", [False, True])
async def test_an_outage_ends_the_reading(reply: Reply, retries: bool) -> None:  # noqa: FBT001 - a case
    """After 45 seconds of it nothing more is asked, and everything is left to the run."""
    world = World.of("verified", accounts=200)
    down = Down(world.cloud, 10_000, reply)
    transport: cfsso.Transport = cfsso.RetryingTransport(down) if retries else Slow(down)
    begun = asyncio.get_running_loop().time()

    made = await plan(cfsso.AsyncSSOConnectors(transport, deadline=120.0), world.changes)

    assert 45 <= asyncio.get_running_loop().time() - begun < 60
    assert world.changes == [row.change for row in made.undecided]
    said = f"nothing but lost connections and 5xx for 45 s{AGAIN}"
    assert made.rows[-1].reason == f"the account could not be read: {said}"


class Slow:
    """A transport that takes its time."""

    def __init__(self, inner: cfsso.Transport) -> None:
        self._inner = inner

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Wait, and send *request*."""
        await asyncio.sleep(10)
        return await self._inner.send(request)

    async def aclose(self) -> None:
        """Hold nothing."""


@pytest.mark.parametrize("seconds", [0.5, 5, 20, 40])
@pytest.mark.parametrize("retries", [False, True])
async def test_a_short_outage_is_waited_out(seconds: float, retries: bool) -> None:  # noqa: FBT001 - a case
    """What was lost meanwhile is read when the API answers again, and little was sent till then."""
    world = World.of("verified", accounts=200)
    down = Down(world.cloud, seconds, LOST)
    transport = cfsso.RetryingTransport(down) if retries else down

    made = await plan(cfsso.AsyncSSOConnectors(transport), world.changes)

    assert [CHANGE] * 200 == [row.action for row in made.rows]
    assert len(down.seen) < 200 + 100


async def test_an_outage_that_ends_in_time_begins_anew() -> None:
    """Only what is not interrupted by an answer is one outage."""
    world = World.of("verified", accounts=10)
    replies: list[Reply | None] = [LOST, LOST, LOST, None, LOST, LOST, LOST, None, LOST, LOST]
    order = [change.account_id for change in world.changes]
    through = Through(world.cloud, lambda r: replies[order.index(r.account_id)])

    made = await plan(cfsso.AsyncSSOConnectors(Slow(through)), world.changes, concurrency=1)

    assert [reply is LOST for reply in replies] == [row.unread for row in made.rows]
    # The first time each, and some of those that were lost again.
    assert 10 < len(through.seen) < 18


@pytest.mark.parametrize("action", ["change", "unchanged"])
def test_only_what_is_blocked_can_be_unread(action: str) -> None:
    """A file that says otherwise is refused by its path."""
    row = {
        "account_id": "a" * 32,
        "sso_connector_id": shown()["id"],
        "enabled": False,
        "action": action,
        "before": shown(enabled=action == "change"),
        "unread": True,
    }
    made = {
        **json.loads(Plan(created=cfsso.fleet._plain.now(), rows=()).to_json()),
        "rows": [row],
    }

    with pytest.raises(
        cfsso.InvalidRequestError, match=r"true beside action .* at \$.rows\[0\].un"
    ):
        Plan.from_json(json.dumps(made))
