"""A plan that is applied: what has moved since is refused, and what depends comes in order."""

import asyncio
from pathlib import Path

import attrs
import pytest
from worlds import Through, World

import cfsso
from cfsso.fleet import Change, Outcome, Plan, apply, plan, read_journal
from cfsso.fleet import OutcomeStatus as Status

pytestmark = pytest.mark.virtual_time


async def planned(world: World) -> tuple[cfsso.AsyncSSOConnectors, Through, Plan]:
    """Return connectors, their transport, and a plan of the world's changes."""
    transport = Through(world.cloud)
    connectors = cfsso.AsyncSSOConnectors(transport)
    made = await plan(connectors, world.changes)
    transport.seen.clear()
    return connectors, transport, made


async def done(
    connectors: cfsso.AsyncSSOConnectors, made: Plan, **options: object
) -> list[Outcome]:
    """Apply a plan; return the outcomes in its order."""
    found = [outcome async for outcome in apply(connectors, made, **options)]  # type: ignore[arg-type]
    changes = [row.change for row in made.rows]
    assert len(changes) == len(found)
    return sorted(found, key=lambda outcome: changes.index(outcome.change))


def patch(world: World, number: int, body: bytes) -> None:
    """Be somebody else, who writes the connector of a change."""
    change = world.changes[number]
    path = f"/accounts/{change.account_id}/sso_connectors/{change.sso_connector_id}"
    world.cloud.advance(1)
    assert 200 == world.cloud.handle(cfsso.Request("PATCH", path, body)).status


async def test_what_was_planned_is_done() -> None:
    """Changes are written, the unchanged only read, the blocked neither."""
    world = World.of("verified", "enabled", "pending", None)
    connectors, transport, made = await planned(world)

    outcomes = await done(connectors, made)

    expected = [Status.CHANGED, Status.UNCHANGED, Status.BLOCKED, Status.BLOCKED]
    assert expected == [outcome.status for outcome in outcomes]
    assert ["GET", "PATCH", "GET"] == transport.seen
    assert "can't be enabled: verification is pending" == outcomes[2].note
    assert "the account has no such connector" == outcomes[3].note
    assert (0, 1) == (outcomes[2].attempts, outcomes[0].attempts)


@pytest.mark.parametrize(
    ("bodies", "note"),
    [
        ([b'{"use_fedramp_language":true}'], "use_fedramp_language is True, updated_on is "),
        ([b'{"enabled":true}', b'{"enabled":false}'], "updated_on is "),
    ],
)
async def test_what_has_moved_since_is_refused(bodies: list[bytes], note: str) -> None:
    """A connector that somebody wrote after the plan is a conflict, and not written."""
    world = World.of("verified", "verified")
    connectors, transport, made = await planned(world)
    for body in bodies:
        patch(world, 0, body)

    outcomes = await done(connectors, made)

    assert [Status.CONFLICT, Status.CHANGED] == [outcome.status for outcome in outcomes]
    assert outcomes[0].note.startswith(f"it has moved since the plan: {note}")
    assert 0 == outcomes[0].attempts
    assert 1 == transport.seen.count("PATCH")


async def test_a_record_that_was_found_meanwhile_is_no_move() -> None:
    """Cloudflare's own progress with the TXT record does not make a plan stale."""
    world = World.of("pending")
    change = attrs.evolve(world.changes[0], enabled=cfsso.UNSET, use_fedramp_language=True)
    world.changes = [change]
    connectors, _, made = await planned(world)
    found = world.cloud.connector(change.account_id, change.sso_connector_id)
    world.cloud.dns[str(found.email_domain)] = [str(found.verification.code)]
    world.cloud.advance(3600)
    verified = world.cloud.connector(change.account_id, change.sso_connector_id)
    assert found.updated_on != verified.updated_on

    assert [Status.CHANGED] == [outcome.status for outcome in await done(connectors, made)]


async def test_what_moved_to_the_wish_is_unchanged() -> None:
    """Somebody else did it already."""
    world = World.of("verified")
    connectors, transport, made = await planned(world)
    patch(world, 0, b'{"enabled":true}')

    assert [Status.UNCHANGED] == [o.status for o in await done(connectors, made)]
    assert ["GET"] == transport.seen


async def test_what_was_unchanged_and_is_not_any_more() -> None:
    """A target that needed nothing when it was planned is a conflict if it moved away."""
    world = World.of("enabled")
    connectors, transport, made = await planned(world)
    patch(world, 0, b'{"enabled":false}')

    (outcome,) = await done(connectors, made)

    assert Status.CONFLICT is outcome.status
    assert outcome.note.startswith("it has moved since the plan: enabled is False")
    assert ["GET"] == transport.seen


async def test_what_is_gone_since_the_plan() -> None:
    """A connector that was deleted after the plan is a conflict."""
    world = World.of("verified")
    connectors, _, made = await planned(world)
    change = world.changes[0]
    await connectors.delete(change.sso_connector_id, account_id=change.account_id)

    (outcome,) = await done(connectors, made)

    assert Status.CONFLICT is outcome.status
    assert "the account has no such connector" == outcome.note


async def test_what_can_not_be_read_again_is_not_written() -> None:
    """Not even a disable: the plan has to hold yet."""
    world = World.of("enabled")
    world.changes[0] = attrs.evolve(world.changes[0], enabled=False)
    _, _, made = await planned(world)
    refused = cfsso.Response(403, {}, b'{"success":false,"errors":[{"code":1,"message":"no"}]}')
    transport = Through(world.cloud, lambda r: None if r.is_write else refused)

    (outcome,) = await done(cfsso.AsyncSSOConnectors(transport), made)

    assert Status.FAILED is outcome.status
    assert isinstance(outcome.error, cfsso.PermissionDeniedError)
    assert ["GET"] == transport.seen


def moving(*, spare: bool = False) -> World:
    """Return a world in which example.com moves from one account to another."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
    there, here = cloud.add_account(), cloud.add_account()
    new = cloud.add_connector(there, email_domain="example.com", status="verified")
    old = cloud.add_connector(here, email_domain="Example.com", enabled=True, status="verified")
    changes = [Change(there, new.id, enabled=True), Change(here, old.id, enabled=False)]
    if spare:
        for account in (there, here, cloud.add_account()):
            made = cloud.add_connector(
                account, email_domain=f"{account[:8]}.example", status="verified"
            )
            changes.append(Change(account, made.id, enabled=True))
    return World(cloud, changes)


class Named(Through):
    """A transport that knows which account was written in which order."""

    def __init__(self, world: World) -> None:
        super().__init__(world.cloud)
        self.written: list[str] = []

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*; answers take a while."""
        if request.is_write:
            self.written.append(request.path[-32:])
        await asyncio.sleep(0.1)
        return await super().send(request)


@pytest.mark.parametrize("spare", [False, True])
async def test_a_domain_is_disabled_before_it_is_enabled_elsewhere(spare: bool) -> None:  # noqa: FBT001
    """What another target needs comes just before it, after all that nobody waits for."""
    world = moving(spare=spare)
    transport = Named(world)
    connectors = cfsso.AsyncSSOConnectors(transport)
    made = await plan(connectors, world.changes)

    outcomes = await done(connectors, made)

    assert {Status.CHANGED} == {outcome.status for outcome in outcomes}
    new, old = (change.sso_connector_id for change in world.changes[:2])
    assert transport.written.index(old) < transport.written.index(new)
    assert new == transport.written[-1] or spare


async def test_what_is_needed_and_not_done_blocks() -> None:
    """If the domain could not be disabled it is not enabled elsewhere."""
    world = moving()
    old = world.changes[1].sso_connector_id
    _, _, made = await planned(world)
    refused = cfsso.Response(403, {}, b'{"success":false,"errors":[{"code":1,"message":"no"}]}')
    transport = Through(
        world.cloud, lambda r: refused if r.is_write and r.path.endswith(old) else None
    )

    outcomes = await done(cfsso.AsyncSSOConnectors(transport), made, canary=0)

    assert [Status.BLOCKED, Status.FAILED] == [outcome.status for outcome in outcomes]
    here = world.changes[1].account_id
    assert outcomes[0].note == (
        f"connector {old} of account {here} is failed, and has to be done before this one"
    )
    assert 1 == transport.seen.count("PATCH")


async def test_what_is_needed_and_not_attempted() -> None:
    """If the run stops before the disable, the enable is not attempted either."""
    world = moving()
    connectors, transport, made = await planned(world)
    stop = asyncio.Event()
    stop.set()

    outcomes = await done(connectors, made, stop=stop)

    assert [Status.NOT_ATTEMPTED] * 2 == [outcome.status for outcome in outcomes]
    assert [] == transport.seen


async def test_the_journal_names_the_plan(tmp_path: Path) -> None:
    """The head of a journal has the plan's digest, the tokens' fingerprints and the options."""
    world = World.of("verified")

    async def fingerprint(_account_id: str) -> str:
        return "12345678"

    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud), fingerprint=fingerprint)
    made = await plan(connectors, world.changes)
    await done(connectors, made, journal=tmp_path / "j", canary=1, max_failures=2)

    async with await read_journal(tmp_path / "j") as journal:
        run = journal.latest
    assert made.digest == run.plan
    assert ("12345678",) == run.credentials
    assert {"concurrency": 32, "canary": 1, "max_failures": 2} == run.options
    assert cfsso.__version__ == run.versions["cfsso"]
    assert (1, cfsso.fleet.RunKind.APPLY, None) == (run.total, run.kind, run.reverts)
    assert run.ended is not None
    assert run.begun <= run.ended
