"""A run that is taken back: only what it changed, only where nobody else has changed it since."""

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import attrs
import pytest
from crashes import crash
from worlds import Through, World

import cfsso
from cfsso.fleet import Change, Outcome, RunKind, _plain, apply, plan, read_journal, resume, revert
from cfsso.fleet import OutcomeStatus as Status

pytestmark = pytest.mark.virtual_time

REFUSED = cfsso.Response(403, {}, b'{"success":false,"errors":[{"code":1,"message":"no"}]}')


async def reverted(
    world: World, journal: Path, transport: Through | None = None, **options: Any
) -> list[Outcome]:
    """Revert; return the outcomes as they come."""
    connectors = cfsso.AsyncSSOConnectors(transport or Through(world.cloud))
    return [outcome async for outcome in revert(connectors, journal, **options)]


def shown(world: World) -> list[tuple[bool | None, bool | None]]:
    """Return the two fields of the connector of each change."""
    found = [world.cloud.connector(c.account_id, c.sso_connector_id) for c in world.changes]
    return [(connector.enabled, connector.use_fedramp_language) for connector in found]


def write(world: World, number: int, body: bytes) -> None:
    """Be somebody else, who writes the connector of a change."""
    change = world.changes[number]
    path = f"/accounts/{change.account_id}/sso_connectors/{change.sso_connector_id}"
    world.cloud.advance(1)
    assert 200 == world.cloud.handle(cfsso.Request("PATCH", path, body)).status


class Written(Through):
    """A transport that knows what was written, in order."""

    def __init__(self, world: World) -> None:
        super().__init__(world.cloud)
        self.written: list[tuple[str, bytes | None]] = []

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*."""
        if request.is_write:
            self.written.append((request.path[-32:], request.body))
        return await super().send(request)


async def test_only_what_was_changed_is_restored(tmp_path: Path) -> None:
    """Fields and connectors that the run did not change stay as they are."""
    world = World.of("verified", "enabled", "verified", "pending")
    first, second, third, fourth = world.changes
    # The second one's `enabled` is as wished, so only its wording changes.
    world.changes = [first, attrs.evolve(second, use_fedramp_language=True), third, fourth]
    before = shown(world)
    await world.run(journal=tmp_path / "j")
    transport = Written(world)

    outcomes = await reverted(world, tmp_path / "j", transport, max_failures=0)

    assert before == shown(world)
    assert [Status.CHANGED] * 3 == [outcome.status for outcome in outcomes]
    assert [
        (third.sso_connector_id, b'{"enabled":false}'),
        (second.sso_connector_id, b'{"use_fedramp_language":false}'),
        (first.sso_connector_id, b'{"enabled":false}'),
    ] == transport.written
    assert ["GET", "PATCH", "PATCH", "PATCH", "GET"] == transport.seen


async def test_what_somebody_else_changed_is_a_conflict(tmp_path: Path) -> None:
    """Where a field no longer holds what the run wrote, it is left alone."""
    world = World.of("verified", "verified")
    world.changes[0] = attrs.evolve(world.changes[0], use_fedramp_language=True)
    await world.run(journal=tmp_path / "j")
    write(world, 0, b'{"use_fedramp_language":false}')
    transport = Written(world)

    outcomes = await reverted(world, tmp_path / "j", transport)

    by_change = {outcome.change.sso_connector_id: outcome for outcome in outcomes}
    conflict = by_change[world.changes[0].sso_connector_id]
    assert Status.CONFLICT is conflict.status
    assert conflict.note == (
        "it no longer shows what the run wrote: a read shows enabled=True,"
        " use_fedramp_language=False"
    )
    assert Status.CHANGED is by_change[world.changes[1].sso_connector_id].status
    assert [world.changes[1].sso_connector_id] == [key for key, _ in transport.written]


async def test_a_foreign_change_of_another_field_is_no_conflict(tmp_path: Path) -> None:
    """Only the fields that the run changed count."""
    world = World.of("verified")
    await world.run(journal=tmp_path / "j")
    write(world, 0, b'{"use_fedramp_language":true}')

    (outcome,) = await reverted(world, tmp_path / "j")

    assert Status.CHANGED is outcome.status
    assert [(False, True)] == shown(world)


async def test_what_is_as_before_already(tmp_path: Path) -> None:
    """What somebody else has taken back is unchanged."""
    world = World.of("verified")
    await world.run(journal=tmp_path / "j")
    write(world, 0, b'{"enabled":false}')
    transport = Written(world)

    (outcome,) = await reverted(world, tmp_path / "j", transport)

    assert Status.UNCHANGED is outcome.status
    assert [] == transport.written


async def test_what_is_gone(tmp_path: Path) -> None:
    """A connector that is no longer there is a conflict."""
    world = World.of("verified")
    await world.run(journal=tmp_path / "j")
    write(world, 0, b'{"enabled":false}')
    change = world.changes[0]
    await cfsso.AsyncSSOConnectors(Through(world.cloud)).delete(
        change.sso_connector_id, account_id=change.account_id
    )

    (outcome,) = await reverted(world, tmp_path / "j")

    assert Status.CONFLICT is outcome.status


async def test_what_was_refused_was_not_written(tmp_path: Path) -> None:
    """A write that surely did not happen has nothing to take back."""
    world = World.of("verified", "verified")
    refused = world.changes[0].sso_connector_id
    transport = Through(
        world.cloud, lambda r: REFUSED if r.is_write and r.path.endswith(refused) else None
    )
    await world.run(transport, journal=tmp_path / "j")

    (outcome,) = await reverted(world, tmp_path / "j")

    assert world.changes[1].sso_connector_id == outcome.change.sso_connector_id


async def test_what_it_was_before_is_not_known(tmp_path: Path) -> None:
    """What was disabled although it could not be read can't be restored, and is named."""
    world = World.of("enabled")
    world.changes[0] = attrs.evolve(world.changes[0], enabled=False)
    broken = cfsso.Response(500, {}, b"{}")
    written = False

    def rule(request: cfsso.Request) -> cfsso.Response | None:
        nonlocal written
        written = written or request.is_write
        return None if written else broken

    (done,) = await world.run(Through(world.cloud, rule), journal=tmp_path / "j")
    assert (Status.CHANGED, None) == (done.status, done.before)
    transport = Written(world)

    (outcome,) = await reverted(world, tmp_path / "j", transport)

    assert Status.CONFLICT is outcome.status
    assert "what it was before is not known, since it could not be read" == outcome.note
    assert [] == transport.seen


async def test_a_move_is_taken_back_in_reverse(tmp_path: Path) -> None:
    """A domain is disabled where it went before it is enabled where it came from."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
    here, there = cloud.add_account(), cloud.add_account()
    old = cloud.add_connector(here, email_domain="example.com", enabled=True, status="verified")
    new = cloud.add_connector(there, email_domain="example.com", status="verified")
    world = World(cloud, [Change(there, new.id, enabled=True), Change(here, old.id, enabled=False)])
    connectors = cfsso.AsyncSSOConnectors(Through(cloud))
    made = await plan(connectors, world.changes)
    done = [o async for o in apply(connectors, made, journal=tmp_path / "j")]
    assert [Status.CHANGED] * 2 == [outcome.status for outcome in done]
    transport = Written(world)

    outcomes = await reverted(world, tmp_path / "j", transport)

    assert [Status.CHANGED] * 2 == [outcome.status for outcome in outcomes]
    assert [(new.id, b'{"enabled":false}'), (old.id, b'{"enabled":true}')] == transport.written


async def test_a_move_that_no_plan_knew_is_taken_back_in_order(tmp_path: Path) -> None:
    """Changes without a plan that moved a domain, by luck, are taken back in order all the same."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
    here, there = cloud.add_account(), cloud.add_account()
    old = cloud.add_connector(here, email_domain="example.com", enabled=True, status="verified")
    new = cloud.add_connector(there, email_domain="Example.com", status="verified")
    world = World(cloud, [Change(here, old.id, enabled=False), Change(there, new.id, enabled=True)])
    await world.run(journal=tmp_path / "j", max_failures=0)
    transport = Written(world)

    outcomes = await reverted(world, tmp_path / "j", transport)

    assert [Status.CHANGED] * 2 == [outcome.status for outcome in outcomes]
    assert [(new.id, b'{"enabled":false}'), (old.id, b'{"enabled":true}')] == transport.written


async def test_a_move_back_waits_for_its_first_half(tmp_path: Path) -> None:
    """If the domain can't be disabled where it is, it is not enabled where it was."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
    here, there = cloud.add_account(), cloud.add_account()
    old = cloud.add_connector(here, email_domain="example.com", enabled=True, status="verified")
    new = cloud.add_connector(there, email_domain="example.com", status="verified")
    world = World(cloud, [Change(there, new.id, enabled=True), Change(here, old.id, enabled=False)])
    connectors = cfsso.AsyncSSOConnectors(Through(cloud))
    made = await plan(connectors, world.changes)
    assert 2 == len([o async for o in apply(connectors, made, journal=tmp_path / "j")])
    refusing = Through(cloud, lambda r: REFUSED if r.is_write else None)

    outcomes = await reverted(world, tmp_path / "j", refusing)

    assert [Status.FAILED, Status.BLOCKED] == [outcome.status for outcome in outcomes]
    assert 1 == refusing.seen.count("PATCH")


def serially(world: World) -> Any:
    """Return what begins to apply the world's changes, one write after the other."""
    return lambda connectors, journal: apply(
        connectors, world.changes, journal=journal, max_failures=0
    )


@pytest.mark.parametrize("done", [False, True])
async def test_an_unfinished_run_is_settled_first(done: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """What was under way is taken back if it was done; it has half a minute to show."""
    world = World.of("verified", accounts=3)
    journal = await crash(world, tmp_path / "j", 2, serially(world), done=done)
    begun = asyncio.get_running_loop().time()

    outcomes = await reverted(world, journal)

    assert [Status.CHANGED] * (1 + done) == [outcome.status for outcome in outcomes]
    assert [(False, False)] * 3 == shown(world)
    waited = asyncio.get_running_loop().time() - begun
    assert 0.0 == waited if done else 29.0 < waited <= 30.0


async def test_a_late_write_is_taken_back_too(tmp_path: Path) -> None:
    """A write that arrives after the run was cut off is waited for."""
    world = World.of("verified")
    journal = await crash(world, tmp_path / "j", 1, serially(world), done=False)
    asyncio.get_running_loop().call_later(10, write, world, 0, b'{"enabled":true}')

    (outcome,) = await reverted(world, journal)

    assert Status.CHANGED is outcome.status
    assert [(False, False)] == shown(world)


async def test_the_wait_for_a_late_write_is_told(tmp_path: Path) -> None:
    """A revert that waits says once why, and for how long."""
    world = World.of("verified", "verified", accounts=2)
    journal = await crash(
        world,
        tmp_path / "j",
        2,
        lambda connectors, path: apply(connectors, world.changes, journal=path, canary=0),
        done=False,
    )
    events: list[cfsso.Event] = []
    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud), on_event=events.append)
    begun = asyncio.get_running_loop().time()

    outcomes = [outcome async for outcome in revert(connectors, journal)]

    assert outcomes
    (wait,) = [event for event in events if event.reason == "in flight"]
    assert (cfsso.EventKind.WAIT, "revert", "") == (wait.kind, wait.operation, wait.account_id)
    assert 29.0 < wait.seconds <= 30.0
    assert wait.seconds == asyncio.get_running_loop().time() - begun
    assert [(False, False)] * 4 == shown(world)


async def test_what_can_not_be_settled_is_not_green(tmp_path: Path) -> None:
    """While a write of the run may still arrive its connector is unknown, whatever it shows."""
    world = World.of("verified")
    journal = await crash(world, tmp_path / "j", 1, serially(world), done=False)
    broken = iter([REFUSED])
    transport = Through(world.cloud, lambda _request: next(broken, None))

    (outcome,) = await reverted(world, journal, transport)

    assert Status.UNKNOWN is outcome.status
    assert "a write of the run that is taken back may still arrive" == outcome.note


async def test_a_write_that_a_resume_took_back_may_be_late_too(tmp_path: Path) -> None:
    """A revert waits for what was on its way at a crash, even if the resume wrote it again."""
    world = World.of("verified")
    journal = await crash(world, tmp_path / "j", 1, serially(world), done=False)
    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud))
    assert [Status.CHANGED] == [o.status async for o in resume(connectors, journal)]
    # The first write arrives after all.
    asyncio.get_running_loop().call_later(13, write, world, 0, b'{"enabled":true}')

    (outcome,) = await reverted(world, journal)

    assert Status.CHANGED is outcome.status
    assert [(False, False)] == shown(world)
    await asyncio.sleep(60)
    assert [(False, False)] == shown(world)


async def test_what_could_not_be_settled_is_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a minute after the revert began no write of before can arrive any more."""
    world = World.of("verified")
    journal = await crash(world, tmp_path / "j", 1, serially(world), done=False)
    broken = iter([REFUSED])
    await reverted(world, journal, Through(world.cloud, lambda _request: next(broken, None)))
    now = _plain.now()
    monkeypatch.setattr("cfsso.fleet._account.now", lambda: now + dt.timedelta(seconds=31))

    (outcome,) = await reverted(world, journal)

    assert Status.UNCHANGED is outcome.status


@pytest.mark.parametrize("again", [resume, revert])
@pytest.mark.parametrize("done", [False, True])
async def test_a_revert_that_is_cut_off_goes_on(
    again: Any,
    done: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    """Both resume and revert go on with it, and none begins another one."""
    world = World.of("verified", accounts=3)
    await world.run(journal=tmp_path / "j")
    journal = await crash(
        world,
        tmp_path / "j",
        2,
        lambda connectors, path: revert(connectors, path, max_failures=0),
        done=done,
    )
    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud))

    outcomes = [outcome async for outcome in again(connectors, journal)]

    assert [Status.CHANGED] * 3 == [outcome.status for outcome in outcomes]
    assert [(False, False)] * 3 == shown(world)
    assert 6 == sum(r.method == "PATCH" for r in world.cloud.requests)
    async with await read_journal(journal) as reader:
        kinds = [(run.kind, run.reverts, run.ended is None) for run in reader.runs]
    assert [(RunKind.APPLY, None, False), (RunKind.REVERT, 1, False)] == kinds


async def test_a_revert_that_has_ended_is_shown(tmp_path: Path) -> None:
    """The second revert sends nothing and tells what the first one did."""
    world = World.of("verified")
    await world.run(journal=tmp_path / "j")
    (expected,) = await reverted(world, tmp_path / "j")
    transport = Written(world)

    (outcome,) = await reverted(world, tmp_path / "j", transport)

    assert expected == outcome
    assert [] == transport.seen


async def test_nothing_to_take_back(tmp_path: Path) -> None:
    """A run that wrote nothing is taken back by doing nothing."""
    world = World.of("enabled")
    await world.run(journal=tmp_path / "j")
    transport = Written(world)

    assert [] == await reverted(world, tmp_path / "j", transport)
    assert [] == transport.seen
