"""Canary, waves and max_failures: how much of a run may be under way."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from scripted import failure
from worlds import Reply, Rule, Through, World

import cfsso
from cfsso.fleet import Change, Outcome, apply
from cfsso.fleet import OutcomeStatus as Status

pytestmark = pytest.mark.virtual_time

REFUSED = cfsso.Response(403, {}, b'{"success":false,"errors":[{"code":1,"message":"no"}]}')


class Slow(Through):
    """A transport whose requests take a second, and that knows how many of a kind overlap."""

    def __init__(self, cloud: cfsso.CloudflareEmulator, rule: Rule = lambda _request: None) -> None:
        super().__init__(cloud, rule)
        self.writing: set[str] = set()
        self.most_writes = 0
        self.unconfirmed: set[str] = set()
        self.most_unconfirmed = 0
        self.patched: list[str] = []

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request* after a second."""
        account = request.account_id
        if request.is_write:
            self.writing.add(request.path)
            self.unconfirmed.add(account)
            self.patched.append(account)
        self.most_writes = max(self.most_writes, len(self.writing))
        self.most_unconfirmed = max(self.most_unconfirmed, len(self.unconfirmed))
        await asyncio.sleep(1)
        try:
            return await super().send(request)
        finally:
            self.writing.discard(request.path)
            if request.path.endswith("sso_connectors"):
                self.unconfirmed.discard(account)


def refusing(changes: Iterable[Change]) -> Rule:
    """Refuse the PATCHes of these changes."""
    keys = {change.sso_connector_id for change in changes}
    return lambda r: REFUSED if r.is_write and r.path[-32:] in keys else None


def counted(outcomes: Iterable[Outcome]) -> dict[Status, int]:
    """Return how many outcomes there are of each status."""
    found: dict[Status, int] = {}
    for outcome in outcomes:
        found[outcome.status] = found.get(outcome.status, 0) + 1
    return found


@pytest.mark.parametrize("max_failures", [0, 1, 3])
async def test_never_more_writes_under_way_than_failures_are_left(max_failures: int) -> None:
    """Writes, and accounts that were not read back, are never more than the tolerance plus one."""
    world = World.of("verified", "verified", "verified", accounts=6)
    transport = Slow(world.cloud)

    outcomes = await world.run(transport, max_failures=max_failures)

    assert {Status.CHANGED: 18} == counted(outcomes)
    assert max_failures + 1 == transport.most_writes
    assert max_failures + 1 == transport.most_unconfirmed


@pytest.mark.parametrize("max_failures", [0, 1, 4])
async def test_failures_stop_the_run_at_once(max_failures: int) -> None:
    """If every write fails, the tolerance plus one are sent; the others say why they are not."""
    world = World.of("verified", "verified", "verified", accounts=6)
    transport = Slow(world.cloud, refusing(world.changes))

    outcomes = await world.run(transport, max_failures=max_failures)

    assert max_failures + 1 == len(transport.patched)
    failed = max_failures + 1
    assert {Status.FAILED: failed, Status.NOT_ATTEMPTED: 18 - failed} == counted(outcomes)
    note = "the run stopped after 1 failure"
    if max_failures:
        note = f"the run stopped after {failed} failures ({max_failures} tolerated)"
    assert {note} == {o.note for o in outcomes if o.status is Status.NOT_ATTEMPTED}


async def test_tolerated_failures_leave_less_room() -> None:
    """Each failure makes one write less be under way."""
    world = World.of("verified", accounts=9)
    refusals = [REFUSED, REFUSED]
    overlapping: list[int] = []

    def rule(request: cfsso.Request) -> cfsso.Response | None:
        if not request.is_write:
            return None
        overlapping.append(len(transport.writing))
        return refusals.pop() if refusals else None

    transport = Slow(world.cloud, rule)

    outcomes = await world.run(transport, max_failures=2)

    assert {Status.FAILED: 2, Status.CHANGED: 7} == counted(outcomes)
    # The first three had begun together when two of them failed.
    assert [3, 3, 3, 1, 1, 1, 1, 1, 1] == overlapping


async def test_a_lie_found_by_the_read_counts() -> None:
    """A write that only the read after it shows to have failed stops the run too."""
    world = World.of("verified", "verified", accounts=3)
    body = b'{"success":true,"result":{"id":"%s","enabled":true}}'

    def lie(request: cfsso.Request) -> cfsso.Response | None:
        return (
            cfsso.Response(200, {}, body % request.path[-32:].encode())
            if request.is_write
            else None
        )

    transport = Slow(world.cloud, lie)

    outcomes = await world.run(transport, max_failures=0)

    assert 1 == len(set(transport.patched))
    assert {Status.CONFLICT: 2, Status.NOT_ATTEMPTED: 4} == counted(outcomes)


async def test_a_lost_answer_that_a_read_settles_is_no_failure() -> None:
    """What turns out well in the end does not count."""
    world = World.of("verified", accounts=3)
    lost = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
    sent: set[str] = set()

    class Lossy(Through):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            answer = await super().send(request)
            if request.is_write and not sent:
                sent.add(request.path)
                raise lost
            # All reads fail until the account is listed again.
            if request.path in sent:
                raise lost
            return answer

    outcomes = await world.run(Lossy(world.cloud), max_failures=1, concurrency=1)

    assert [Status.CHANGED] * 3 == [outcome.status for outcome in outcomes]
    assert "the answer was lost, a read shows it" == outcomes[0].note


@pytest.mark.parametrize("canary", [1, 2])
async def test_the_canary_goes_alone(canary: int) -> None:
    """Nothing else is written before the first ones have succeeded; then waves double."""
    world = World.of("verified", accounts=12)
    begun: list[tuple[float, str]] = []

    class Timed(Slow):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            if request.is_write:
                begun.append((asyncio.get_running_loop().time(), request.account_id))
            return await super().send(request)

    outcomes = await world.run(Timed(world.cloud), canary=canary)

    assert {Status.CHANGED: 12} == counted(outcomes)
    waves: dict[float, int] = {}
    for when, _ in begun:
        waves[when] = waves.get(when, 0) + 1
    # A list, then rounds of a write and a list.
    assert [canary * 2**n for n in range(10)][: len(waves) - 1] == [*waves.values()][:-1]
    assert [1.0, 3.0, 5.0] == [*waves][:3]


async def test_the_canary_counts_connectors_inside_an_account() -> None:
    """Of an account of twenty one is written and read back, and then waves that double."""
    world = World.of(*["verified"] * 20)
    transport = Slow(world.cloud)

    outcomes = await world.run(transport, canary=1)

    assert {Status.CHANGED: 20} == counted(outcomes)
    waves = [1, 2, 4, 8, 5]
    expected = ["GET"]
    for wave in waves:
        expected += [*["PATCH"] * wave, "GET"]
    assert expected == transport.seen


async def test_the_canary_counts_connectors_over_accounts() -> None:
    """Never more connectors were written and not read back than have succeeded, plus the canary."""
    world = World.of(*["verified"] * 5, accounts=8)
    written: set[str] = set()
    succeeded: set[str] = set()
    beyond = list[tuple[int, int]]()

    class Counting(Slow):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            if request.is_write:
                written.add(request.path)
                if len(written - succeeded) > 2 + len(succeeded):
                    beyond.append((len(written), len(succeeded)))
            answer = await super().send(request)
            if not request.is_write:
                succeeded.update(path for path in written if path.startswith(request.path))
            return answer

    transport = Counting(world.cloud)

    outcomes = await world.run(transport, canary=2)

    assert {Status.CHANGED: 40} == counted(outcomes)
    assert [] == beyond
    assert len(transport.seen) <= 4 * 40


async def test_a_canary_inside_an_account_stops_the_rest_of_it() -> None:
    """If the one connector that went alone does not succeed, no other of its account is written."""
    world = World.of(*["verified"] * 20)
    transport = Slow(world.cloud, refusing(world.changes[:1]))

    outcomes = await world.run(transport, canary=1)

    assert {Status.FAILED: 1, Status.NOT_ATTEMPTED: 19} == counted(outcomes)
    assert ["GET", "PATCH", "GET"] == transport.seen


async def test_one_connector_goes_alone_unless_told() -> None:
    """Whoever says nothing of a canary has one."""
    world = World.of("verified", "verified", accounts=3)
    transport = Slow(world.cloud, refusing(world.changes))

    run = apply(cfsso.AsyncSSOConnectors(transport), world.changes)
    outcomes = [outcome async for outcome in run]

    assert {Status.FAILED: 1, Status.NOT_ATTEMPTED: 5} == counted(outcomes)


async def test_a_canary_that_did_not_succeed_stops_the_run() -> None:
    """Whatever max_failures says, nothing else is written."""
    world = World.of("verified", accounts=5)
    transport = Slow(world.cloud, refusing(world.changes[:1]))

    outcomes = await world.run(transport, canary=1)

    assert 1 == len(transport.patched)
    assert {Status.FAILED: 1, Status.NOT_ATTEMPTED: 4} == counted(outcomes)
    assert "the run stopped, since the canary did not succeed" == outcomes[1].note


async def test_what_needs_no_write_is_no_canary() -> None:
    """Accounts with nothing to write pass by, and prove nothing."""
    done, todo = World.of("enabled", accounts=3), World.of("verified", accounts=3)
    cloud = done.cloud
    changes = list(done.changes)
    for number in range(len(todo.changes)):
        account = cloud.add_account()
        made = cloud.add_connector(account, email_domain=f"x{number}.example", status="verified")
        changes.append(Change(account, made.id, enabled=True))
    world = World(cloud, changes)
    transport = Slow(cloud, refusing(changes[3:4]))

    outcomes = await world.run(transport, canary=1, concurrency=1)

    expected = [Status.UNCHANGED] * 3 + [Status.FAILED] + [Status.NOT_ATTEMPTED] * 2
    assert expected == [outcome.status for outcome in outcomes]


async def test_a_wait_at_the_gate_makes_what_was_read_old() -> None:
    """What was read more than 5 seconds before its write is read again, and judged anew."""
    world = World.of(*["verified"] * 8)

    class Meddled(Slow):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            if len(self.patched) == 2 and request.is_write:
                # Somebody else is faster.
                last = world.changes[-1]
                body = b'{"enabled":true}'
                path = f"/accounts/{last.account_id}/sso_connectors/{last.sso_connector_id}"
                self._inner._cloud.handle(cfsso.Request("PATCH", path, body))
            return await super().send(request)

    transport = Meddled(world.cloud)
    outcomes = await world.run(transport, max_failures=0)

    assert [Status.CHANGED] * 7 + [Status.UNCHANGED] == [outcome.status for outcome in outcomes]
    assert 7 == len(transport.patched)
    assert ["GET", *["PATCH"] * 6, "GET", "PATCH", "GET"] == transport.seen


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("canary", -1),
        ("canary", 1.0),
        ("canary", True),
        ("max_failures", -1),
        ("max_failures", "1"),
        ("concurrency", 0),
    ],
)
async def test_impossible_numbers_are_refused(name: str, value: Any) -> None:
    """Only whole numbers in range are taken, before anything is sent."""
    world = World.of("verified")
    transport = Through(world.cloud)

    with pytest.raises(cfsso.InvalidRequestError, match=rf"^{name} must be a whole number from "):
        await world.run(transport, **{name: value})
    assert [] == transport.seen


async def test_a_401_stops_its_token_and_no_other() -> None:
    """Of a token that is refused nothing more is tried; other tokens' targets go on."""
    world = World.of("verified", "verified", accounts=6)
    mine = [change.account_id for change in world.changes[::2]]
    refused = cfsso.Response(401, {}, b'{"success":false,"errors":[{"code":10000,"message":"x"}]}')
    bad = set(mine[::2])

    async def fingerprint(account_id: str) -> str:
        return "deadbeef" if account_id in bad else "12345678"

    transport = Through(
        world.cloud, lambda r: refused if r.is_write and r.account_id in bad else None
    )
    connectors = cfsso.AsyncSSOConnectors(transport, fingerprint=fingerprint)

    run = apply(connectors, world.changes, concurrency=1, max_failures=0)
    outcomes = [outcome async for outcome in run]

    by_status = counted(outcomes)
    assert {Status.CHANGED: 6, Status.NOT_ATTEMPTED: 6} == by_status
    left = [o for o in outcomes if o.status is Status.NOT_ATTEMPTED]
    assert bad == {o.change.account_id for o in left}
    (tried,) = [outcome for outcome in left if outcome.attempts]
    assert isinstance(tried.error, cfsso.AuthenticationError)
    note = "the token deadbeef was refused with 401"
    assert {note} == {outcome.note for outcome in left if outcome is not tried}


async def test_a_missing_token_keeps_nobody_else() -> None:
    """An account without a token is not attempted, with the reason, and others go on."""
    world = World.of("verified", accounts=3)
    first = world.changes[0].account_id

    async def fingerprint(account_id: str) -> str:
        if account_id == first:
            raise cfsso.InvalidRequestError("api_token is missing")
        return "12345678"

    transport = Through(world.cloud)
    connectors = cfsso.AsyncSSOConnectors(transport, fingerprint=fingerprint)

    outcomes = [outcome async for outcome in apply(connectors, world.changes)]

    assert {Status.CHANGED: 2, Status.NOT_ATTEMPTED: 1} == counted(outcomes)
    assert ["api_token is missing"] == [str(o.error) for o in outcomes if o.error]
    assert (4, 2) == (transport.seen.count("GET"), transport.seen.count("PATCH"))


async def test_a_canary_that_could_not_be_read_back_stops_the_run() -> None:
    """A token that is refused after the canary was written does not clear the way for others."""
    world = World.of("verified", accounts=3)
    lists: list[cfsso.Request] = []

    def rule(request: cfsso.Request) -> Reply | None:
        if not request.is_write:
            lists.append(request)
        return failure(401) if len(lists) == 2 and not request.is_write else None

    outcomes = await world.run(Through(world.cloud, rule), canary=1, concurrency=1)

    assert [Status.UNKNOWN, Status.NOT_ATTEMPTED, Status.NOT_ATTEMPTED] == [
        outcome.status for outcome in outcomes
    ]
    assert "the run stopped, since the canary did not succeed" == outcomes[1].note
