"""What Cloudflare's edge or a proxy refuses is the API's refusal of no target."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from edges import BLOCK_PAGE, BLOCKED, PORTAL_PAGE, answer, edge
from scripted import failure, respond
from worlds import Rule, Through, World

import cfsso
from cfsso._error_json import of_error
from cfsso._json import plain
from cfsso._nodes import Node
from cfsso.fleet import Change, OutcomeStatus, apply, break_glass, plan, read_journal, resume
from cfsso.fleet import OutcomeStatus as Status
from cfsso.fleet._error_nodes import to_error

pytestmark = pytest.mark.virtual_time

EDGES: dict[str, cfsso.Response] = {
    "a block": answer(403, BLOCKED),
    "a page": answer(403, BLOCK_PAGE),
    "a proxy": answer(403, {"error": "blocked"}),
    "a 401": answer(401, {"title": "Log in to the proxy"}),
    "a 404": answer(404, b"<title>404 Not Found</title>"),
    "a 409": answer(409, {"message": "no"}),
    "a 526": edge(526),
}
every_edge = pytest.mark.parametrize("reply", EDGES.values(), ids=EDGES)


def of(reply: cfsso.Response, *, write: bool) -> cfsso.CfssoError:
    """Return the error that an answer becomes."""
    request = cfsso.Request("PATCH" if write else "GET", "/accounts/a/b", b"{}" if write else None)
    with pytest.raises(cfsso.CfssoError) as caught:
        cfsso._wire.read(request, reply)
    return caught.value


@every_edge
@pytest.mark.parametrize("write", [True, False])
def test_how_a_target_ends(reply: cfsso.Response, *, write: bool) -> None:
    """What the edge refuses leaves a target open; the same by the API is final, or a token's."""
    refused = failure(reply.status)

    assert Status.NOT_ATTEMPTED is OutcomeStatus.of_run_error(of(reply, write=write))
    expected = {401: Status.NOT_ATTEMPTED, 526: Status.UNKNOWN if write else Status.NOT_ATTEMPTED}
    found = OutcomeStatus.of_run_error(of(refused, write=write))
    assert expected.get(reply.status, Status.FAILED) is found


@every_edge
def test_a_journal_keeps_who_refused(reply: cfsso.Response) -> None:
    """An error that is read from a journal tells as much of the edge as before."""
    error = of(reply, write=True)

    restored = to_error(Node(plain(of_error(error))))

    names = ("edge", "title", "detail", "retryable", "status", "ray_id", "write")
    assert [getattr(error, name) for name in names] == [getattr(restored, name) for name in names]
    assert str(error) == str(restored)


@every_edge
async def test_writes_that_the_edge_refuses(reply: cfsso.Response, tmp_path: Path) -> None:
    """A run that the edge lets read but not write leaves its targets open, and a resume does it."""
    world = World.of("verified", "verified", accounts=2)
    blocked = True
    transport = Through(world.cloud, lambda r: reply if blocked and r.is_write else None)

    outcomes = await world.run(transport, journal=tmp_path / "j", concurrency=1)

    assert {Status.NOT_ATTEMPTED: 4} == Counter(outcome.status for outcome in outcomes)
    errors = [outcome.error for outcome in outcomes]
    assert all(error is not None and error.edge for error in errors)
    assert {cfsso.WriteState.REFUSED} == {error.write for error in errors if error}
    blocked = False
    run = resume(cfsso.AsyncSSOConnectors(transport), tmp_path / "j")
    assert {Status.CHANGED: 4} == Counter([outcome.status async for outcome in run])


@every_edge
async def test_reads_that_the_edge_refuses(reply: cfsso.Response) -> None:
    """What the edge does not let be read is not written, nor taken for absent."""
    world = World.of("verified", "verified", accounts=2)
    transport = Through(world.cloud, lambda _: reply)

    outcomes = await world.run(transport, concurrency=1)

    assert {Status.NOT_ATTEMPTED: 4} == Counter(outcome.status for outcome in outcomes)
    assert {"GET"} == set(transport.seen)


@every_edge
async def test_what_lets_people_in_is_tried(reply: cfsso.Response) -> None:
    """A disable is tried although the edge refuses to let the connector be read."""
    world = World.of("enabled")
    world.changes = [Change(c.account_id, c.sso_connector_id, enabled=False) for c in world.changes]
    transport = Through(world.cloud, lambda r: None if r.is_write else reply)

    (outcome,) = await world.run(transport)

    assert "PATCH" in transport.seen
    assert Status.UNKNOWN is outcome.status


def only(path_end: str, reply: cfsso.Response) -> Rule:
    """Reply to reads of one path."""
    return lambda r: reply if not r.is_write and r.path.endswith(path_end) else None


@pytest.mark.parametrize("status", [404, 403])
async def test_a_connector_that_the_edge_hides(status: int) -> None:
    """A page in place of a connector does not say that the account has none."""
    world = World.of(None)
    page = answer(status, PORTAL_PAGE)

    (outcome,) = await world.run(Through(world.cloud, only("f" * 32, page)))
    made = await plan(
        cfsso.AsyncSSOConnectors(Through(world.cloud, only("f" * 32, page))), world.changes
    )

    assert Status.NOT_ATTEMPTED is outcome.status
    assert ["f" * 32] == [row.change.sso_connector_id for row in made.undecided]
    (outcome,) = await world.run(Through(world.cloud))
    assert Status.BLOCKED is outcome.status


async def test_a_portal_is_not_asked_for_each_connector() -> None:
    """A page in place of a list is no list that could be read one by one."""
    world = World.of(*["verified"] * 30, accounts=2)
    transport = Through(world.cloud, lambda _: answer(200, PORTAL_PAGE))

    outcomes = await world.run(transport, concurrency=1)

    assert {Status.NOT_ATTEMPTED: 60} == Counter(outcome.status for outcome in outcomes)
    assert len(transport.seen) <= 2


@pytest.mark.parametrize("name", sorted(set(EDGES) - {"a 526"}))
async def test_a_run_that_nothing_gets_through_stops(name: str, tmp_path: Path) -> None:
    """Ten alike in a row stop a run."""
    world = World.of("verified", accounts=300)
    transport = Through(world.cloud, lambda r: EDGES[name] if r.is_write else None)

    outcomes = await world.run(transport, journal=tmp_path / "j", concurrency=1)

    assert 10 == transport.seen.count("PATCH")
    assert outcomes[-1].note.startswith("10 targets in a row, in 10 accounts, were refused alike")
    assert "not the API" in outcomes[-1].note
    assert {Status.NOT_ATTEMPTED: 300} == Counter(outcome.status for outcome in outcomes)
    async with await read_journal(tmp_path / "j") as journal:
        assert journal.latest.ended is None


async def test_a_401_of_a_proxy_stops_no_token() -> None:
    """A proxy that wants a name and a password says nothing of a token, and counts as a failure."""
    world = World.of("verified", accounts=4)
    first = world.changes[0].account_id
    page = answer(401, b"<title>Log in</title>")
    rule: Any = lambda r: page if r.is_write and r.account_id == first else None  # noqa: E731

    async def fingerprint(_account_id: str) -> str:
        return "deadbeef"

    for failures, expected in ((None, Status.CHANGED), (0, Status.NOT_ATTEMPTED)):
        connectors = cfsso.AsyncSSOConnectors(Through(world.cloud, rule), fingerprint=fingerprint)
        run = apply(connectors, world.changes, concurrency=1, canary=0, max_failures=failures)
        outcomes = {o.change.account_id: o.status async for o in run}
        assert Status.NOT_ATTEMPTED is outcomes.pop(first)
        if failures is None:
            assert {expected, Status.UNCHANGED} >= set(outcomes.values())


async def test_a_plan_that_nothing_gets_through_ends() -> None:
    """A plan stops to read when the edge refuses ten in a row, and says what to look at."""
    world = World.of("verified", accounts=100)
    transport = Through(world.cloud, lambda _: answer(403, BLOCKED))

    *others, last = world.changes
    changes = [*others, Change(last.account_id, last.sso_connector_id, enabled=False)]
    made = await plan(cfsso.AsyncSSOConnectors(transport), changes, concurrency=1)

    assert 10 == len(transport.seen)
    assert others == [row.change for row in made.undecided]
    said = "check --base-url, and what stands between here and Cloudflare"
    assert made.rows[-2].reason.endswith(f"{said}; a run reads it again")
    assert made.rows[-1].reason.endswith(f"{said}; it is tried all the same")


async def test_a_rescue_that_the_edge_refuses() -> None:
    """A break-glass that is blocked has not failed for good."""
    world = World.of("enabled")
    account = world.changes[0].account_id
    for reads in (True, False):
        rule: Any = lambda r, reads=reads: (  # noqa: E731
            answer(403, BLOCKED) if r.is_write or reads else None
        )
        connectors = cfsso.AsyncSSOConnectors(Through(world.cloud, rule))
        (outcome,) = [found async for found in break_glass(connectors, [account])]
        assert Status.NOT_ATTEMPTED is outcome.status


async def test_a_side_of_a_transfer_that_the_edge_hides() -> None:
    """A page in place of a connector does not say that a transfer's side has none."""
    world = World.of("enabled")
    other = world.cloud.add_account()
    odd = respond(
        {
            "success": True,
            "result": [
                {
                    "id": world.changes[0].sso_connector_id,
                    "email_domain": "d0.a0.example",
                    "enabled": "x",
                }
            ],
        }
    )
    first = world.changes[0].account_id

    def rule(request: cfsso.Request) -> cfsso.Response | None:
        """Show one connector in part only, and hide it behind a page."""
        if request.is_write or request.account_id != first:
            return None
        return odd if request.path.endswith("sso_connectors") else answer(404, PORTAL_PAGE)

    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud, rule))
    moved = await cfsso.fleet.transfer(connectors, "d0.a0.example", source=first, target=other)

    assert all(not outcome.status.is_green for outcome in moved)
    assert any(outcome.error is not None and outcome.error.edge for outcome in moved)
