"""A plan: what is read, what is decided, and what it comes to."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import attrs
import pytest
from scripted import failure, shown, success
from worlds import Reply, Rule, Through, World

import cfsso
from cfsso.fleet import Change, Changes, Plan, PlanAction, PlannedChange, plan, read_changes

pytestmark = pytest.mark.virtual_time

CHANGE, UNCHANGED, BLOCKED = PlanAction.CHANGE, PlanAction.UNCHANGED, PlanAction.BLOCKED
DOMAIN = "company.example"
LIMIT = cfsso.RateLimit(requests=10, seconds=60)


@attrs.define
class Clouds:
    """An emulator, and a plan of what is asked of it."""

    cloud: cfsso.CloudflareEmulator = attrs.field(
        factory=lambda: cfsso.CloudflareEmulator(rate_limit=None, seed=1)
    )

    def add(self, domain: str = DOMAIN, account: str | None = None, **fields: Any) -> Change:
        """Add a connector, to a new account unless given; return a change that enables it."""
        account = account or self.cloud.add_account()
        fields.setdefault("status", "verified")
        made = self.cloud.add_connector(account, email_domain=domain, **fields)
        return Change(account, str(made.id), enabled=True)

    async def plan(self, *changes: Change, rule: Rule = lambda _: None, **options: Any) -> Plan:
        """Return the plan of *changes*."""
        connectors = cfsso.AsyncSSOConnectors(Through(self.cloud, rule))
        return await plan(connectors, changes, **options)


@pytest.fixture
def clouds() -> Clouds:
    """Return an empty one."""
    return Clouds()


def actions(made: Plan) -> list[PlanAction]:
    """Return the actions alone."""
    return [row.action for row in made.rows]


def reasons(made: Plan) -> list[str]:
    """Return the reasons alone."""
    return [row.reason for row in made.rows]


def off(change: Change) -> Change:
    """Return the change that disables instead."""
    return attrs.evolve(change, enabled=False)


def to_account(account_id: str, reply: Reply) -> Rule:
    """Reply to all requests of one account."""
    return lambda request: reply if request.account_id == account_id else None


async def test_each_account_is_listed_once_and_nothing_is_written() -> None:
    """The rows are those of the changes, in their order, and reading them takes one list each."""
    world = World.of("verified", "enabled", accounts=3)
    transport = Through(world.cloud)

    made = await plan(cfsso.AsyncSSOConnectors(transport), world.changes)

    assert ["GET"] * 3 == transport.seen
    assert world.changes == [row.change for row in made.rows]
    assert [CHANGE, UNCHANGED] * 3 == actions(made)
    for row in made.rows:
        really = world.cloud.connector(row.change.account_id, row.change.sso_connector_id)
        assert really == row.before
    assert made.created.tzinfo is not None


async def test_what_differs_is_told_field_by_field(clouds: Clouds) -> None:
    """Only values that are another now are differences, and only of what is to change."""
    both = attrs.evolve(clouds.add("a.example"), use_fedramp_language=False)
    wording = attrs.evolve(clouds.add("b.example"), enabled=False, use_fedramp_language=True)
    pending = clouds.add("c.example", status="pending")

    made = await clouds.plan(both, wording, pending)

    assert [
        (("enabled", False, True),),
        (("use_fedramp_language", False, True),),
        (),
    ] == [row.differences for row in made.rows]


async def test_a_value_that_is_not_shown_differs(clouds: Clouds) -> None:
    """A field that the answer does not have is one to write."""
    change = clouds.add()
    odd = shown(id=change.sso_connector_id)
    del odd["enabled"]

    made = await clouds.plan(change, rule=lambda _: success([odd]))

    assert (("enabled", None, True),) == made.rows[0].differences


@pytest.mark.parametrize("status", ["awaiting", "pending", "failed", "withdrawn\n"])
async def test_what_is_not_verified_is_blocked(status: str, clouds: Clouds) -> None:
    """An enable needs a verified domain; the reason has the status, made printable."""
    change = clouds.add()
    odd = shown(id=change.sso_connector_id, enabled=False, verification={"status": status})

    made = await clouds.plan(change, rule=lambda _: success([odd]))

    said = status.replace("\n", r"\n")
    assert [f"can't be enabled: verification is {said}"] == reasons(made)
    assert [BLOCKED] == actions(made)
    assert made.rows[0].before is not None


@pytest.mark.parametrize(
    "members",
    [{"verification": {}, "enabled": False}, {"verification": {"status": "failed"}}],
    ids=["no status", "enabled already"],
)
async def test_what_may_be_enabled_without_a_verified_domain(
    members: dict[str, Any], clouds: Clouds
) -> None:
    """Where the answer says nothing, or it is enabled already, nothing is blocked."""
    change = attrs.evolve(clouds.add(), use_fedramp_language=True)
    odd = shown(id=change.sso_connector_id, **members)

    made = await clouds.plan(change, rule=lambda _: success([odd]))

    assert [CHANGE] == actions(made)


async def test_disabling_needs_no_verified_domain(clouds: Clouds) -> None:
    """A connector that can't be enabled can still be disabled, or is so."""
    made = await clouds.plan(off(clouds.add(status="failed")))

    assert [UNCHANGED] == actions(made)


async def test_what_is_not_there_is_blocked(clouds: Clouds) -> None:
    """A connector that neither the list nor a read of its own shows is blocked."""
    change = attrs.evolve(clouds.add(), sso_connector_id="0" * 32)

    made = await clouds.plan(change)

    assert [(BLOCKED, "the account has no such connector", None)] == [
        (row.action, row.reason, row.before) for row in made.rows
    ]


async def test_what_the_list_does_not_show_is_read_by_itself(clouds: Clouds) -> None:
    """A list that leaves something out does not block it."""
    change = clouds.add()
    rule: Rule = lambda r: success([]) if r.path.endswith("sso_connectors") else None  # noqa: E731

    made = await clouds.plan(change, rule=rule)

    assert [CHANGE] == actions(made)


async def test_one_odd_connector_hides_no_other(clouds: Clouds) -> None:
    """If a list can't be read, each connector is read; only the odd one is blocked."""
    good = clouds.add("good.example")
    odd = clouds.add("odd.example", account=good.account_id)

    def rule(request: cfsso.Request) -> Reply | None:
        if request.path.endswith(good.sso_connector_id):
            return None
        member = shown(id=odd.sso_connector_id, enabled="yes")
        return success([member] if request.path.endswith("sso_connectors") else member)

    made = await clouds.plan(good, odd, rule=rule)

    assert [CHANGE, BLOCKED] == actions(made)
    assert made.rows[1].reason.startswith("the connector could not be read: 200: ")
    assert odd.account_id not in made.rows[1].reason


async def test_an_account_that_can_not_be_read_blocks_its_rows_only(clouds: Clouds) -> None:
    """The reason has what went wrong, without the ids that stand beside it."""
    denied, fine = clouds.add("a.example"), clouds.add("b.example")

    made = await clouds.plan(denied, fine, rule=to_account(denied.account_id, failure(403)))

    assert [BLOCKED, CHANGE] == actions(made)
    assert made.rows[0].reason.startswith("the account could not be read: 403")
    assert denied.account_id not in made.rows[0].reason


@pytest.mark.parametrize(
    ("status", "action"),
    [(403, CHANGE), (500, CHANGE), (404, CHANGE), (401, BLOCKED), (429, BLOCKED)],
)
async def test_what_only_lets_people_in_is_tried_all_the_same(
    status: int, action: PlanAction, clouds: Clouds
) -> None:
    """A disable needs no read, unless its request can't succeed either."""
    change = off(clouds.add("a.example", enabled=True))

    made = await clouds.plan(change, rule=to_account(change.account_id, failure(status)))

    assert [action] == actions(made)
    assert (("enabled", None, False),) == made.rows[0].differences or action is BLOCKED
    assert made.rows[0].reason.startswith(f"the account could not be read: {status}")
    assert made.rows[0].reason.endswith("; it is tried all the same") is (action is CHANGE)
    assert made == Plan.from_json(made.to_json())


async def test_an_account_without_a_token_is_one_that_can_not_be_read(clouds: Clouds) -> None:
    """A missing credential blocks the rows of its account, and takes no time of any limit."""
    change = clouds.add()

    async def fingerprint(_account_id: str) -> str:
        raise cfsso.InvalidRequestError("no token")

    connectors = cfsso.AsyncSSOConnectors(
        Through(clouds.cloud), fingerprint=fingerprint, rate_limit=LIMIT
    )
    made = await plan(connectors, [change])

    assert ["the account could not be read: no token; a run reads it again"] == reasons(made)
    assert 0.0 == made.seconds


async def test_a_domain_that_is_enabled_elsewhere_is_blocked(clouds: Clouds) -> None:
    """An enable is blocked while another account of the plan has the domain enabled."""
    holder, wanting = clouds.add("München.example", enabled=True), clouds.add("MÜNCHEN.example")

    made = await clouds.plan(holder, wanting)

    assert [UNCHANGED, BLOCKED] == actions(made)
    assert f"xn--mnchen-3ya.example is enabled in account {holder.account_id}" == reasons(made)[1]


async def test_a_domain_that_only_looks_alike_blocks_nothing(clouds: Clouds) -> None:
    """No letter is taken for another one: both domains may be enabled, each in its account."""
    holder, wanting = clouds.add("straße.example", enabled=True), clouds.add("strasse.example")

    assert [UNCHANGED, CHANGE] == actions(await clouds.plan(holder, wanting))


async def test_what_is_no_domain_name_is_compared_as_it_is(clouds: Clouds) -> None:
    """A domain that has no ASCII form is still the same domain in any case."""
    holder, wanting = clouds.add("a.example"), clouds.add("b.example")

    def rule(request: cfsso.Request) -> Reply | None:
        if request.account_id == holder.account_id:
            return success([shown(id=holder.sso_connector_id, email_domain="ü" * 200)])
        found = {"id": wanting.sso_connector_id, "email_domain": "Ü" * 200, "enabled": False}
        return success([shown(**found)])

    made = await clouds.plan(holder, wanting, rule=rule)

    assert [UNCHANGED, BLOCKED] == actions(made)


async def test_a_further_account_is_looked_at_for_domains(clouds: Clouds) -> None:
    """What is enabled in an account that the changes do not name blocks as well."""
    holder, wanting = clouds.add(enabled=True), clouds.add()
    further = [holder.account_id, wanting.account_id, holder.account_id]

    made = await clouds.plan(wanting, accounts=further)

    assert [f"{DOMAIN} is enabled in account {holder.account_id}"] == reasons(made)
    assert (holder.account_id,) == made.accounts
    assert {} == made.unread


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("403: ", failure(403)),
        ("200: expected list at $.result", success({})),
        ("the list hides 1 of the connectors", success([{"id": 1}])),
        ("the list hides 1 of the connectors", success([shown(enabled="x")])),
        ("the list hides 1 of the connectors", success([shown(email_domain=7)])),
        ("the list hides 1 of the connectors", success([], result_info={"total_count": 1})),
    ],
    ids=range(6),
)
async def test_a_further_account_that_can_not_be_read_is_named(
    said: str, reply: cfsso.Response, clouds: Clouds
) -> None:
    """It blocks nothing, since nothing is known, but the plan says so."""
    other, wanting = clouds.add("other.example"), clouds.add()

    made = await clouds.plan(
        wanting, accounts=[other.account_id], rule=to_account(other.account_id, reply)
    )

    assert [CHANGE] == actions(made)
    assert [other.account_id] == [*made.unread]
    assert made.unread[other.account_id].startswith(said)


@pytest.mark.parametrize("odd", [{"enabled": False, "email_domain": 7}, {"updated_on": 7}])
async def test_a_further_account_of_which_enough_can_be_read(odd: Any, clouds: Clouds) -> None:
    """What is off, or whose domain is known, leaves nothing open."""
    other, wanting = clouds.add("other.example"), clouds.add(DOMAIN)
    reply = success([shown(**{"email_domain": DOMAIN, **odd})])

    made = await clouds.plan(
        wanting, accounts=[other.account_id], rule=to_account(other.account_id, reply)
    )

    assert {} == made.unread
    assert [CHANGE if "enabled" in odd else BLOCKED] == actions(made)


@pytest.mark.parametrize("backwards", [False, True])
async def test_an_enable_needs_the_disable_elsewhere(backwards: bool, clouds: Clouds) -> None:  # noqa: FBT001 - a case
    """A domain that moves is enabled only after the row that disables it, wherever it stands."""
    holder, wanting = off(clouds.add(enabled=True)), clouds.add()
    order = [wanting, holder] if backwards else [holder, wanting]

    made = await clouds.plan(*order)

    assert [CHANGE, CHANGE] == actions(made)
    assert order.index(holder) == made.rows[order.index(wanting)].needs
    assert made.rows[order.index(holder)].needs is None
    assert (DOMAIN,) == made.domains


async def test_an_enable_is_blocked_with_the_disable_that_it_needs(clouds: Clouds) -> None:
    """Where the disable can't be done, the enable can't either, and says so."""
    holder, wanting = off(clouds.add(enabled=True)), clouds.add()
    contradicted = attrs.evolve(holder, use_fedramp_language=True)

    made = await clouds.plan(holder, contradicted, wanting)

    assert [BLOCKED, BLOCKED] == actions(made)
    assert reasons(made)[1] == (
        f"{DOMAIN} is enabled in account {holder.account_id}: its disable is blocked"
    )
    assert made.rows[1].needs is None


async def test_a_domain_that_two_accounts_show_as_enabled_is_blocked(clouds: Clouds) -> None:
    """If reads show a domain enabled twice, it is moving, and no disable makes room for sure."""
    wanting = clouds.add()
    holders = [off(clouds.add(f"{n}.example")) for n in range(2)]
    ids = [holder.account_id for holder in holders]

    def rule(request: cfsso.Request) -> Reply | None:
        found = [shown(id=h.sso_connector_id) for h in holders if h.account_id in request.path]
        member = shown(id=wanting.sso_connector_id, enabled=False)
        return success(found or [member])

    made = await clouds.plan(wanting, *holders, rule=rule)

    assert [BLOCKED, CHANGE, CHANGE] == actions(made)
    assert reasons(made)[0].endswith(f"is enabled in account {' and '.join(sorted(ids))}")


async def test_a_domain_can_not_be_enabled_twice(clouds: Clouds) -> None:
    """Two rows that want the same domain block each other; one that can't have it does not."""
    one, two = clouds.add(), clouds.add()
    pending = clouds.add("other.example", status="pending")
    fine = clouds.add("other.example")

    made = await clouds.plan(one, two, pending, fine)

    assert [BLOCKED, BLOCKED, BLOCKED, CHANGE] == actions(made)
    assert [f"{DOMAIN} would be enabled twice"] * 2 == reasons(made)[:2]


async def test_a_connector_without_a_domain_is_in_nobody_s_way(clouds: Clouds) -> None:
    """Where the answer has no domain, nothing is compared."""
    changes = [clouds.add(f"{n}.example") for n in range(3)]

    def rule(request: cfsso.Request) -> Reply | None:
        found = [c for c in changes if c.account_id in request.path]
        enabled = found == changes[:1]
        return success(
            [shown(id=c.sso_connector_id, email_domain=None, enabled=enabled) for c in found]
        )

    made = await clouds.plan(*changes, rule=rule)

    assert [UNCHANGED, CHANGE, CHANGE] == actions(made)
    assert () == made.domains


async def test_rows_are_merged_or_contradict_each_other(clouds: Clouds) -> None:
    """What was asked for twice stands once; if the values differ, blocked."""
    change, other = clouds.add("a.example"), clouds.add("b.example")

    made = await clouds.plan(change, other, change, off(other), other)

    assert [(CHANGE, ""), (BLOCKED, "asked for other values twice")] == [
        (row.action, row.reason) for row in made.rows
    ]
    assert 2 == made.merged


async def test_rows_that_a_file_merged_count_too(clouds: Clouds, tmp_path: Path) -> None:
    """What `read_changes` merged is known to the plan, and so is an iterator of changes."""
    change = clouds.add()
    file = tmp_path / "rollout.csv"
    row = f"{change.account_id},{change.sso_connector_id},true\n"
    file.write_text(f"account_id,sso_connector_id,enabled\n{row * 3}")
    changes: Changes = read_changes(file)

    async def stream() -> AsyncIterator[Change]:
        for each in changes:
            yield each

    connectors = cfsso.AsyncSSOConnectors(Through(clouds.cloud))
    assert 2 == (await plan(connectors, changes)).merged
    assert 1 == len((await plan(connectors, stream())).rows)


@pytest.mark.parametrize(
    ("said", "changes", "options"),
    [
        ("expected a Change, not str", ["x"], {}),
        ("account " + "a" * 32 + " has no connector", [Change("a" * 32, "", enabled=False)], {}),
        ("account_id must be 32", [], {"accounts": ["x"]}),
        ("concurrency must be a whole number from 1, not 0", [], {"concurrency": 0}),
        ("concurrency must be a whole number from 1, not True", [], {"concurrency": True}),
        ("max_wait must be seconds", [], {"max_wait": -1}),
    ],
)
async def test_what_can_not_be_planned(
    said: str, changes: Iterable[Any], options: Any, clouds: Clouds
) -> None:
    """What can't be used is refused before anything is sent."""
    transport = Through(clouds.cloud)
    fine = clouds.add()

    with pytest.raises(cfsso.InvalidRequestError, match=said):
        await plan(cfsso.AsyncSSOConnectors(transport), [fine, *changes], **options)

    assert [] == transport.seen


async def test_an_empty_plan_has_nothing_to_change(clouds: Clouds) -> None:
    """Without changes nothing is read, and nothing would be sent."""
    made = await clouds.plan()

    assert ((), 0, False, ()) == (made.rows, made.requests, made.has_changes, made.domains)


@pytest.mark.parametrize(
    ("expected", "options"), [(1, {"concurrency": 1}), (4, {"concurrency": 4})]
)
async def test_requests_overlap_within_bounds(expected: int, options: Any) -> None:
    """No more requests are under way than allowed, and as many as that."""
    world = World.of(None, "verified", accounts=6)
    transport = Through(world.cloud)

    await plan(cfsso.AsyncSSOConnectors(transport), world.changes, **options)

    assert expected == transport.most


async def test_single_reads_overlap_within_bounds(clouds: Clouds) -> None:
    """What one account's list does not show is read within the same bounds as other lists."""
    change = clouds.add()
    missing = [attrs.evolve(change, sso_connector_id=f"{n:032}") for n in range(6)]
    others = [clouds.add(f"{n}.example") for n in range(6)]
    transport = Through(clouds.cloud)

    await plan(cfsso.AsyncSSOConnectors(transport), [*missing, *others], concurrency=2)

    assert (13, 2) == (len(transport.seen), transport.most)


async def test_a_plan_waits_for_limits_as_long_as_it_is_told(clouds: Clouds) -> None:
    """Waits for a limit have no bound but the plan's own; then the account can't be read."""
    change = clouds.add()
    replies = [failure(429, retry_after="100")] * 2

    def connectors() -> cfsso.AsyncSSOConnectors:
        waiting = list(replies)
        through = Through(clouds.cloud, lambda _: waiting.pop() if waiting else None)
        paced = cfsso.PacingTransport(through)
        return cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(paced), max_wait=1.0)

    loop = asyncio.get_running_loop()
    assert [BLOCKED] == actions(await plan(connectors(), [change], max_wait=10.0))
    begun = loop.time()
    assert [CHANGE] == actions(await plan(connectors(), [change]))
    assert 200 <= loop.time() - begun


async def test_what_a_plan_comes_to() -> None:
    """Requests are lists before and after and the writes; what has none to write has no second."""
    world = World.of("verified", "verified", accounts=2)
    idle = World.of("enabled")
    account = world.cloud.add_account()
    held = world.cloud.add_connector(
        account, email_domain="z.example", enabled=True, status="verified"
    )
    changes = [*world.changes, Change(account, str(held.id), enabled=True)]

    made = await plan(cfsso.AsyncSSOConnectors(Through(world.cloud)), reversed(changes))
    still = await plan(cfsso.AsyncSSOConnectors(Through(idle.cloud)), idle.changes)

    assert 3 + 4 + 2 == made.requests
    assert tuple(made.rows[1:]) == made.writes
    assert tuple(dict.fromkeys(row.change.account_id for row in made.rows[1:])) == (
        made.changed_accounts
    )
    assert ("d0.a0.example", "d0.a1.example", "d1.a0.example", "d1.a1.example") == made.domains
    assert (True, False) == (made.has_changes, still.has_changes)
    assert made.seconds is None


async def test_only_a_change_of_enabled_is_one_of_a_domain(clouds: Clouds) -> None:
    """Another wording on the sign-in page switches SSO for nobody."""
    change = clouds.add()
    wording = Change(change.account_id, change.sso_connector_id, use_fedramp_language=True)

    made = await clouds.plan(wording)

    assert (True, ()) == (made.has_changes, made.domains)


@pytest.mark.parametrize(
    ("expected", "accounts", "known"),
    [
        # Three requests an account: two lists and a write.
        (0.0, 3, False),
        (60.0, 4, False),
        (60.0, 6, False),
        (120.0, 7, False),
        # Every other account has a token of its own.
        (0.0, 6, True),
        (60.0, 7, True),
    ],
)
async def test_how_long_a_plan_takes(expected: float, accounts: int, known: bool) -> None:  # noqa: FBT001 - a case
    """A burst of what the limit lets pass, and then the window; the slowest credential decides."""
    world = World.of("verified", accounts=accounts)
    order = list(dict.fromkeys(change.account_id for change in world.changes))

    async def fingerprint(account_id: str) -> str:
        return f"token {order.index(account_id) % 2}"

    connectors = cfsso.AsyncSSOConnectors(
        Through(world.cloud), fingerprint=fingerprint if known else None, rate_limit=LIMIT
    )
    made = await plan(connectors, world.changes)

    assert expected == made.seconds


@pytest.mark.parametrize("reserve", [0, 2])
async def test_a_request_that_just_fits_does_not_wait(reserve: int) -> None:
    """As many requests as the limit has places for a run take no time; one more takes a window."""
    limit = attrs.evolve(LIMIT, reserve=reserve)
    world = World.of(*["verified"] * (8 - reserve))
    more = World.of(*["verified"] * (9 - reserve))

    seconds = [
        (
            await plan(cfsso.AsyncSSOConnectors(Through(w.cloud), rate_limit=limit), w.changes)
        ).seconds
        for w in (world, more)
    ]

    assert [0.0, 60.0] == seconds


async def test_a_plan_can_be_cancelled() -> None:
    """Cancelling ends the reads that are under way."""
    world = World.of("verified", accounts=4)

    class Never(Through):
        """A transport without answers."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            await asyncio.sleep(1e9)
            return await super().send(request)

    connectors = cfsso.AsyncSSOConnectors(Never(world.cloud))
    task = asyncio.create_task(plan(connectors, world.changes))
    await asyncio.sleep(1)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert 1 == len(asyncio.all_tasks())


def test_a_row_alone_says_nothing_that_it_does_not_know() -> None:
    """A row to change that was never seen differs in all that is wished."""
    row = PlannedChange(change=Change("a" * 32, "b" * 32, enabled=False), action=CHANGE)

    assert (("enabled", None, False),) == row.differences
