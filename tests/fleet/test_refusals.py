"""Ten refusals alike in a row, in more than one account, are one mistake: the run stops."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from scripted import failure
from worlds import Reply, Rule, Through, World

import cfsso
from cfsso.fleet import Change, OutcomeStatus, apply, read_journal, resume
from cfsso.fleet import OutcomeStatus as Status

pytestmark = pytest.mark.virtual_time

NO = failure(403, {"code": 9109, "message": "not allowed"})
ALSO_NO = failure(403, {"code": 9999, "message": "not allowed either"})


def refusing(world: World, *replies: Reply | None) -> Rule:
    """Reply to the PATCH of each change; None, and all after the last, go through."""
    by_key = dict(zip((c.sso_connector_id for c in world.changes), replies, strict=False))
    return lambda r: by_key.get(r.path[-32:]) if r.is_write else None


async def test_two_columns_that_are_swapped(tmp_path: Path) -> None:
    """Of 300 accounts that are none only those under way are asked for; the rest stays open."""
    world = World.of("verified", accounts=300)
    right = world.changes
    world.changes = [Change(c.sso_connector_id, c.account_id, enabled=True) for c in right]
    transport = Through(world.cloud)
    connectors = cfsso.AsyncSSOConnectors(transport)

    run = apply(connectors, world.changes, journal=tmp_path / "j", concurrency=8)
    outcomes = [outcome async for outcome in run]

    counts = Counter(outcome.status for outcome in outcomes)
    assert counts[Status.FAILED] + counts[Status.NOT_ATTEMPTED] == 300
    assert 10 <= counts[Status.FAILED] <= len(transport.seen) <= 18
    assert all(isinstance(o.error, cfsso.NotFoundError) for o in outcomes if o.error)
    (note,) = {outcome.note for outcome in outcomes if outcome.status is Status.NOT_ATTEMPTED}
    assert note.startswith(
        "10 targets in a row, in 10 accounts, were refused alike: 404 from GET /"
    )
    async with await read_journal(tmp_path / "j") as journal:
        assert journal.latest.ended is None
        recorded = {each.outcome.note async for each in journal.targets()}
    assert {"", note} == recorded


async def test_success_between_them_begins_anew() -> None:
    """Nine refusals, a success, and nine more stop nothing."""
    world = World.of("verified", accounts=19)
    transport = Through(world.cloud, refusing(world, *[NO] * 9, None, *[NO] * 9))

    outcomes = await world.run(transport, concurrency=1)

    expected = [*[Status.FAILED] * 9, Status.CHANGED, *[Status.FAILED] * 9]
    assert expected == [outcome.status for outcome in outcomes]


async def test_others_between_them_begin_anew() -> None:
    """Refusals with another code are not alike; what was blocked says nothing."""
    world = World.of("verified", accounts=20)
    replies = [*[NO] * 9, ALSO_NO, *[NO] * 9]
    transport = Through(world.cloud, refusing(world, *replies))

    outcomes = await world.run(transport, concurrency=1)

    assert [*[Status.FAILED] * 19, Status.CHANGED] == [outcome.status for outcome in outcomes]


async def test_one_account_may_refuse_all_of_its_own() -> None:
    """However many targets one account refuses, the others go on."""
    world = World.of(*["verified"] * 15)
    bad = world.changes[0].account_id
    account = world.cloud.add_account()
    made = world.cloud.add_connector(account, email_domain="x.example", status="verified")
    world.changes.append(Change(account, made.id, enabled=True))
    transport = Through(world.cloud, lambda r: NO if r.is_write and r.account_id == bad else None)

    outcomes = await world.run(transport, concurrency=1)

    assert [*[Status.FAILED] * 15, Status.CHANGED] == [outcome.status for outcome in outcomes]


@pytest.mark.parametrize("again", [False, True])
async def test_what_was_refused_is_tried_again_if_asked(again: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """A resume does what is open; with ``failed`` it does what was refused, too."""
    world = World.of("verified", accounts=30)
    blocked = True
    transport = Through(world.cloud, lambda r: NO if blocked and r.is_write else None)
    outcomes = await world.run(transport, journal=tmp_path / "j", concurrency=1)
    found = Counter(outcome.status for outcome in outcomes)
    assert {Status.FAILED: 10, Status.NOT_ATTEMPTED: 20} == found
    blocked = False
    connectors = cfsso.AsyncSSOConnectors(transport)

    run = resume(connectors, tmp_path / "j", failed=again)
    resumed = Counter[OutcomeStatus]([outcome.status async for outcome in run])

    assert resumed == ({Status.CHANGED: 30} if again else {Status.FAILED: 10, Status.CHANGED: 20})
    async with await read_journal(tmp_path / "j") as journal:
        assert journal.latest.ended is not None


async def test_a_token_that_was_revoked_and_a_new_one(tmp_path: Path) -> None:
    """A 401 says nothing of a target: with a new token a resume does all that is left."""
    world = World.of("verified", accounts=40)
    written = 0

    def rule(request: cfsso.Request) -> Reply | None:
        nonlocal written
        written += request.is_write
        return failure(401, {"code": 10000, "message": "x"}) if written > 10 else None

    async def fingerprint(_account_id: str) -> str:
        return "12345678"

    old = cfsso.AsyncSSOConnectors(Through(world.cloud, rule), fingerprint=fingerprint)
    first = [o async for o in apply(old, world.changes, journal=tmp_path / "j", concurrency=2)]
    assert {Status.CHANGED, Status.UNKNOWN, Status.NOT_ATTEMPTED} >= {o.status for o in first}
    assert {"", "the token 12345678 was refused with 401"} >= {
        outcome.note for outcome in first if outcome.status is Status.NOT_ATTEMPTED
    }

    new = cfsso.AsyncSSOConnectors(Through(world.cloud))
    resumed = [outcome.status async for outcome in resume(new, tmp_path / "j")]

    assert [Status.CHANGED] * 40 == resumed
    assert 0.0 == asyncio.get_running_loop().time()
