"""A run: what becomes of each target, and that green is only what was read back."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import attrs
import pytest
from scripted import failure, success
from worlds import Reply, Rule, Through, World

import cfsso
from cfsso.fleet import Change, Outcome, apply, read_journal, resume
from cfsso.fleet import OutcomeStatus as Status

pytestmark = pytest.mark.virtual_time

LOST = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
NOT_SENT = cfsso.APIConnectionError("no way", write=cfsso.WriteState.NOT_SENT)


def statuses(outcomes: Iterable[Outcome]) -> list[Status]:
    """Return the statuses alone."""
    return [outcome.status for outcome in outcomes]


def to_patches(*replies: Reply | None) -> Rule:
    """Reply to PATCHes in turn; None, and all after the last, go through."""
    waiting = list(replies)
    return lambda request: waiting.pop(0) if waiting and request.method == "PATCH" else None


def to_lists(*replies: Reply | None) -> Rule:
    """Reply to lists in turn; None, and all after the last, go through."""
    waiting = list(replies)
    return lambda r: waiting.pop(0) if waiting and r.path.endswith("sso_connectors") else None


def to_reads_after_a_patch(reply: Reply) -> Rule:
    """Let a PATCH be lost unapplied, and reply to each single read."""

    def rule(request: cfsso.Request) -> Reply | None:
        if request.method == "PATCH":
            return LOST
        return None if request.path.endswith("sso_connectors") else reply

    return rule


async def test_green_needs_a_read_after_the_last_write() -> None:
    """What was changed is written once, and reported after a list that follows all writes."""
    world = World.of("verified", "verified", "enabled")
    transport = Through(world.cloud)

    outcomes = await world.run(transport)

    assert [Status.CHANGED, Status.CHANGED, Status.UNCHANGED] == statuses(outcomes)
    assert ["GET", "PATCH", "PATCH", "GET"] == transport.seen
    assert [1, 1, 0] == [outcome.attempts for outcome in outcomes]
    for outcome, was in zip(outcomes, [False, False, True], strict=True):
        change = outcome.change
        assert outcome.before is not None
        assert was is outcome.before.enabled
        really = world.cloud.connector(change.account_id, change.sso_connector_id)
        assert really == outcome.after
        assert outcome.error is None


async def test_nothing_to_do() -> None:
    """What is as wished is read once and not written; no changes are no requests."""
    world = World.of("enabled")
    transport = Through(world.cloud)

    outcome = (await world.run(transport))[0]

    assert (Status.UNCHANGED, 0, outcome.before) == (
        outcome.status,
        outcome.attempts,
        outcome.after,
    )
    assert ["GET"] == transport.seen
    assert [] == await World(world.cloud, []).run(transport)
    assert ["GET"] == transport.seen


@pytest.mark.parametrize(
    ("note", "state"),
    [
        ("can't be enabled: verification is awaiting", "awaiting"),
        ("can't be enabled: verification is pending", "pending"),
        ("can't be enabled: verification is failed", "failed"),
    ],
)
async def test_blocked(note: str, state: str | None) -> None:
    """What its present state forbids is not sent, while the others of the account are."""
    world = World.of(state, "verified")
    transport = Through(world.cloud)

    outcomes = await world.run(transport)

    assert [Status.BLOCKED, Status.CHANGED] == statuses(outcomes)
    assert (note, 0) == (outcomes[0].note, outcomes[0].attempts)
    assert ["GET", "PATCH", "GET"] == transport.seen


async def test_blocked_for_want_of_a_connector() -> None:
    """What neither the list nor a read of its own shows is not written."""
    world = World.of(None, "verified")
    transport = Through(world.cloud)

    outcomes = await world.run(transport)

    assert [Status.BLOCKED, Status.CHANGED] == statuses(outcomes)
    assert ("the account has no such connector", 0) == (outcomes[0].note, outcomes[0].attempts)
    assert ["GET", "GET", "PATCH", "GET"] == transport.seen


async def test_blocked_by_a_status_of_the_future() -> None:
    """A status that is not known blocks enabling, and its text is shown escaped."""
    world = World.of("verified")
    shown = {"id": world.changes[0].sso_connector_id, "verification": {"status": "odd\x1b[2J"}}

    outcome = (await world.run(Through(world.cloud, to_lists(success([shown])))))[0]

    assert Status.BLOCKED is outcome.status
    assert "can't be enabled: verification is odd\\x1b[2J" == outcome.note


@pytest.mark.parametrize("state", ["awaiting", "pending", "failed", "verified"])
async def test_disabling_is_never_blocked(state: str) -> None:
    """Nothing that is found keeps a connector from being disabled or reworded."""
    world = World.of(state)
    change = world.changes[0]
    for flags in (
        {"enabled": False, "use_fedramp_language": True},
        {"use_fedramp_language": False},
    ):
        world.changes = [Change(change.account_id, change.sso_connector_id, **flags)]
        assert [Status.CHANGED] == statuses(await world.run())


async def test_an_answer_without_a_status_does_not_block() -> None:
    """A list that says nothing of verification leaves the decision to Cloudflare."""
    world = World.of("verified")
    rule = to_lists(success([{"id": world.changes[0].sso_connector_id}]))

    assert [Status.CHANGED] == statuses(await world.run(Through(world.cloud, rule)))


@pytest.mark.parametrize(
    ("status", "attempts", "reply"),
    [
        (Status.FAILED, 1, failure(409, {"code": 20006, "message": "held"})),
        (Status.FAILED, 1, failure(404)),
        (Status.NOT_ATTEMPTED, 1, failure(429, retry_after="300")),
        (Status.NOT_ATTEMPTED, 1, failure(401)),
        (Status.NOT_ATTEMPTED, 1, failure(400, {"code": 9106, "message": "no token"})),
        (
            Status.NOT_ATTEMPTED,
            0,
            cfsso.InvalidRequestError("no token", write=cfsso.WriteState.NOT_SENT),
        ),
        (Status.NOT_ATTEMPTED, 0, cfsso.InvalidRequestError("no token, in other words")),
    ],
)
async def test_only_a_refusal_of_the_write_ends_its_target(
    status: Status, attempts: int, reply: Reply, tmp_path: Path
) -> None:
    """What says nothing of the target leaves it open, with its reason, and a resume does it."""
    world = World.of("verified", "verified")

    outcomes = await world.run(
        Through(world.cloud, to_patches(None, reply)), concurrency=1, journal=tmp_path / "j"
    )

    assert [Status.CHANGED, status] == statuses(outcomes)
    assert attempts == outcomes[1].attempts
    assert isinstance(outcomes[1].error, cfsso.CfssoError)
    assert outcomes[1].after is not None
    assert outcomes[1].after.enabled is False
    async with await read_journal(tmp_path / "j") as journal:
        recorded = [each.outcome async for each in journal.targets()]
    assert status is recorded[1].status
    assert str(outcomes[1].error) == str(recorded[1].error)
    again = {each async for each in resumed(world, tmp_path / "j")}
    assert {Status.CHANGED, status if status.is_final else Status.CHANGED} == again
    assert {Status.CHANGED} == {each async for each in resumed(world, tmp_path / "j", failed=True)}


async def test_what_never_left_is_tried_again() -> None:
    """A write that was not sent, while nobody is answered, is sent a moment later."""
    world = World.of("verified")
    transport = Through(world.cloud, to_patches(NOT_SENT, NOT_SENT))

    (outcome,) = await world.run(transport)

    assert (Status.CHANGED, 1) == (outcome.status, outcome.attempts)
    assert ["GET", "PATCH", "PATCH", "PATCH", "GET"] == transport.seen
    assert 2.0 == asyncio.get_running_loop().time()


async def test_a_write_that_never_leaves_is_not_tried_for_ever() -> None:
    """If reads are answered and the write can't be sent, its target ends after three tries."""
    world = World.of("verified")
    transport = Through(world.cloud, lambda r: NOT_SENT if r.is_write else None)

    (outcome,) = await world.run(transport)

    assert (Status.NOT_ATTEMPTED, 0) == (outcome.status, outcome.attempts)
    assert isinstance(outcome.error, cfsso.APIConnectionError)
    assert 3 == transport.seen.count("PATCH")


async def resumed(world: World, journal: Path, **options: Any) -> AsyncIterator[Status]:
    """Resume; yield the statuses."""
    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud))
    async for outcome in resume(connectors, journal, **options):
        yield outcome.status


async def test_what_was_refused_is_no_failed_write() -> None:
    """A write that was refused surely did not happen, whatever becomes of the others."""
    world = World.of("verified", "verified")

    outcomes = await world.run(Through(world.cloud, to_patches(failure(409))))

    assert [Status.FAILED, Status.CHANGED] == statuses(outcomes)
    assert outcomes[0].after is not None
    assert outcomes[0].after.enabled is False


async def test_a_lost_answer_that_a_read_settles() -> None:
    """A write whose answer was lost but whose effect is read is a change."""
    world = World.of("verified")
    connector_id = world.changes[0].sso_connector_id
    rule = to_patches(success({"id": connector_id, "enabled": False}))
    lying_reads = iter([success({"id": connector_id, "enabled": False})])

    def both(request: cfsso.Request) -> Reply | None:
        if request.method == "GET" and request.path.endswith(connector_id):
            # Done meanwhile, although neither the answer nor this read shows it.
            world.cloud.handle(attrs.evolve(request, method="PATCH", body=b'{"enabled":true}'))
            return next(lying_reads)
        return rule(request)

    outcome = (await world.run(Through(world.cloud, both)))[0]

    assert (Status.CHANGED, 1) == (outcome.status, outcome.attempts)
    assert "the answer was lost, a read shows it" == outcome.note
    assert isinstance(outcome.error, cfsso.UnconfirmedWriteError)


async def test_unknown() -> None:
    """A write that nothing settles stays unknown, even when a later read does not show it."""
    world = World.of("verified")

    outcome = (await world.run(Through(world.cloud, to_reads_after_a_patch(failure(500)))))[0]

    assert (Status.UNKNOWN, 1) == (outcome.status, outcome.attempts)
    assert isinstance(outcome.error, cfsso.UnconfirmedWriteError)
    assert outcome.after is not None
    assert outcome.after.enabled is False


async def test_a_lost_write_is_sent_again() -> None:
    """A write that never arrived is sent once more, and both tries are counted."""
    world = World.of("verified")
    transport = Through(world.cloud, to_patches(LOST))

    outcome = (await world.run(transport))[0]

    assert (Status.CHANGED, 2) == (outcome.status, outcome.attempts)
    assert ["GET", "PATCH", *["GET"] * 5, "PATCH", "GET"] == transport.seen


async def test_a_foreign_write_is_a_conflict() -> None:
    """A write that got lost while somebody else wrote is not sent onto that."""
    world = World.of("verified")

    def rule(request: cfsso.Request) -> Reply | None:
        if request.method != "PATCH":
            return None
        world.cloud.handle(attrs.evolve(request, body=b'{"use_fedramp_language":true}'))
        return LOST

    outcome = (await world.run(Through(world.cloud, rule)))[0]

    assert (Status.CONFLICT, 1) == (outcome.status, outcome.attempts)
    assert isinstance(outcome.error, cfsso.UnconfirmedWriteError)
    assert cfsso.Settlement.CONFLICT is outcome.error.settlement


async def test_gone_while_in_doubt_is_a_conflict() -> None:
    """A connector that is gone when its write is in doubt was deleted by somebody else."""
    world = World.of("verified")

    def rule(request: cfsso.Request) -> Reply | None:
        if request.method != "PATCH":
            return None
        world.cloud.handle(attrs.evolve(request, method="DELETE", body=None))
        return LOST

    outcome = (await world.run(Through(world.cloud, rule)))[0]

    assert (Status.CONFLICT, 1, None) == (outcome.status, outcome.attempts, outcome.after)
    assert isinstance(outcome.error, cfsso.UnconfirmedWriteError)
    assert cfsso.Settlement.GONE is outcome.error.settlement


async def test_whoever_watches_sees_every_call() -> None:
    """The connectors' own watcher is told of all calls of a run, writes included."""
    world = World.of("verified")
    events: list[cfsso.Event] = []
    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud), on_event=events.append)

    assert [Status.CHANGED] == [o.status async for o in apply(connectors, world.changes)]

    ends = [event for event in events if event.kind is cfsso.EventKind.END]
    assert ["list", "update", "list"] == [event.operation for event in ends]
    assert [0, 1, 0] == [event.writes for event in ends]


async def test_a_run_waits_for_limits_as_long_as_it_takes() -> None:
    """The bound that single calls have on waits does not hold in a run."""
    world = World.of("verified")
    transport = cfsso.RetryingTransport(
        Through(world.cloud, to_patches(failure(429, retry_after="300")))
    )
    connectors = cfsso.AsyncSSOConnectors(transport, max_wait=1.0, deadline=60.0)

    assert [Status.CHANGED] == [o.status async for o in apply(connectors, world.changes)]
    assert 300.0 == asyncio.get_running_loop().time()


async def test_a_lie_is_a_conflict() -> None:
    """An answer that claims what a later read does not show is never green."""
    world = World.of("verified")
    lie = success({"id": world.changes[0].sso_connector_id, "enabled": True})

    outcome = (await world.run(Through(world.cloud, to_patches(lie))))[0]

    assert (Status.CONFLICT, 1) == (outcome.status, outcome.attempts)
    assert "the last read shows other values" == outcome.note
    assert outcome.after is not None
    assert outcome.after.enabled is False


async def test_a_read_that_lags_behind_is_done_again() -> None:
    """A list that contradicts a confirmed write may show an old state: it has six seconds."""
    world = World.of("verified")
    stale: list[cfsso.Response] = []

    class Lagging(Through):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            answer = await super().send(request)
            if request.is_write:
                return answer
            stale.append(answer)
            late = asyncio.get_running_loop().time() >= 5
            return answer if late else stale[0]

    transport = Lagging(world.cloud)

    (outcome,) = await world.run(transport)

    assert Status.CHANGED is outcome.status
    assert ["GET", "PATCH", "GET", "GET", "GET"] == transport.seen


async def test_gone_after_the_write_is_a_conflict() -> None:
    """A connector that the last reads do not show is never green."""
    world = World.of("verified", "enabled")
    lists = to_lists(None, success([{"id": "x"}, {"enabled": True}]))

    def gone(request: cfsso.Request) -> Reply | None:
        single = request.method == "GET" and not request.path.endswith("sso_connectors")
        return failure(404) if single else lists(request)

    outcomes = await world.run(Through(world.cloud, gone))

    assert [Status.CONFLICT, Status.CONFLICT] == statuses(outcomes)
    assert [None, None] == [outcome.after for outcome in outcomes]
    assert {"the last read does not show it"} == {outcome.note for outcome in outcomes}


async def test_an_account_that_can_not_be_read() -> None:
    """A failed first list fails the account's targets and no others, and nothing is written."""
    world = World.of("verified", "verified", accounts=2)
    transport = Through(world.cloud, to_lists(failure(403)))

    outcomes = await world.run(transport, concurrency=1)

    assert [Status.FAILED] * 2 + [Status.CHANGED] * 2 == statuses(outcomes)
    assert isinstance(outcomes[0].error, cfsso.PermissionDeniedError)
    assert outcomes[0].before is None
    assert 2 == transport.seen.count("PATCH")


async def test_an_account_that_can_not_be_read_back() -> None:
    """Without the last list only what was written is in doubt, and what failed stays failed."""
    world = World.of("verified", "verified", "enabled")
    replies = {"PATCH": [failure(409)], "GET": [None, failure(403)]}

    def rule(request: cfsso.Request) -> Reply | None:
        waiting: Any = replies[request.method]
        return waiting.pop(0) if waiting else None

    outcomes = await world.run(Through(world.cloud, rule))

    assert [Status.FAILED, Status.UNKNOWN, Status.NOT_ATTEMPTED] == statuses(outcomes)
    assert isinstance(outcomes[0].error, cfsso.ConflictError)
    assert isinstance(outcomes[1].error, cfsso.PermissionDeniedError)
    assert "it could not be read back" == outcomes[1].note
    assert outcomes[1].after is None


async def test_stop_before_the_first_request() -> None:
    """A run that is stopped at once sends nothing and names every target."""
    world = World.of("verified", "verified", accounts=3)
    transport, stop = Through(world.cloud), asyncio.Event()
    stop.set()

    assert [Status.NOT_ATTEMPTED] * 6 == statuses(await world.run(transport, stop=stop))
    assert [] == transport.seen


async def test_stop_in_the_middle() -> None:
    """After a stop no write begins; what was written is read back and reported."""
    world = World.of("verified", "verified", "verified", accounts=2)
    stop = asyncio.Event()

    def rule(request: cfsso.Request) -> None:
        if request.method == "PATCH":
            stop.set()

    transport = Through(world.cloud, rule)
    outcomes = await world.run(transport, concurrency=1, stop=stop)

    assert [Status.CHANGED, *[Status.NOT_ATTEMPTED] * 5] == statuses(outcomes)
    assert ["GET", "PATCH", "GET"] == transport.seen
    assert outcomes[1].before is not None
    assert outcomes[3].before is None


@pytest.mark.parametrize("concurrency", [1, 2, 5])
async def test_no_more_requests_than_allowed_at_once(concurrency: int) -> None:
    """The bound on requests holds over accounts, targets and lists, and is used up."""
    world = World.of(*["verified"] * 4, accounts=4)
    transport = Through(world.cloud)

    assert {Status.CHANGED} == set(statuses(await world.run(transport, concurrency=concurrency)))
    assert concurrency == transport.most


@pytest.mark.parametrize("concurrency", [0, -1, True, 1.5, None, "2"], ids=repr)
async def test_an_impossible_concurrency_is_refused(concurrency: Any) -> None:
    """A bound that is no whole number from 1 is refused before anything is sent."""
    world = World.of("verified")
    transport = Through(world.cloud)

    with pytest.raises(cfsso.InvalidRequestError, match=r"^concurrency must be a whole number"):
        await world.run(transport, concurrency=concurrency)
    assert [] == transport.seen


async def test_a_connector_stands_once() -> None:
    """A run in which a connector stands twice is refused before anything is sent."""
    world = World.of("verified")
    world.changes *= 2
    transport = Through(world.cloud)

    with pytest.raises(cfsso.InvalidRequestError, match=r"stands twice$"):
        await world.run(transport)
    assert [] == transport.seen


async def test_an_account_is_reported_while_others_are_under_way() -> None:
    """Outcomes come as accounts are done, not at the end of the run."""
    world = World.of("verified", accounts=2)
    transport = Through(world.cloud)

    outcomes = apply(cfsso.AsyncSSOConnectors(transport), world.changes, concurrency=1)
    early = [(outcome.change, len(transport.seen) < 6) async for outcome in outcomes]
    assert [(world.changes[0], True), (world.changes[1], False)] == early


def stuck(world: World, all_stuck: asyncio.Event) -> cfsso.AsyncSSOConnectors:
    """Return connectors of which only the first account's requests ever end."""
    first = world.changes[0].account_id

    class Stuck(Through):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            if request.account_id != first:
                self.seen.append("stuck")
                if self.seen.count("stuck") == len(world.changes) - 1:
                    all_stuck.set()
                await asyncio.Event().wait()
            return await super().send(request)

    return cfsso.AsyncSSOConnectors(Stuck(world.cloud))


async def test_closing_early_leaves_nothing() -> None:
    """Closing the iterator ends what is under way and leaves no task."""
    world = World.of("verified", accounts=5)
    before, all_stuck = asyncio.all_tasks(), asyncio.Event()

    outcomes = apply(stuck(world, all_stuck), world.changes)
    first = await anext(outcomes)
    await all_stuck.wait()
    assert before < asyncio.all_tasks()
    await outcomes.aclose()

    assert Status.CHANGED is first.status
    assert before == asyncio.all_tasks()


async def test_cancelling_leaves_nothing() -> None:
    """A cancelled run is cancelled, with all its tasks."""
    world = World.of("verified", accounts=5)
    before, all_stuck = asyncio.all_tasks(), asyncio.Event()

    async def consume() -> None:
        async for _ in apply(stuck(world, all_stuck), world.changes):
            pass

    task = asyncio.create_task(consume())
    await all_stuck.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert before == asyncio.all_tasks()


async def test_a_transport_that_breaks_its_contract() -> None:
    """What a transport raises against its contract is told of its targets, and no others."""
    world = World.of("verified", accounts=3)
    first = world.changes[0].account_id
    broken = Through(world.cloud, lambda r: ZeroDivisionError() if r.account_id == first else None)

    outcomes = await world.run(broken)

    assert [Status.NOT_ATTEMPTED, Status.CHANGED, Status.CHANGED] == statuses(outcomes)
    assert isinstance(outcomes[0].error, cfsso.APIConnectionError)


async def test_a_bug_gets_out() -> None:
    """What is none of our errors ends its account only, and is raised at the end of the run."""
    world = World.of("verified", accounts=3)
    before = asyncio.all_tasks()
    first = world.changes[0].account_id
    found: list[Outcome] = []

    class Buggy(cfsso.AsyncSSOConnectors):
        async def get(self, sso_connector_id: str, *, account_id: str) -> cfsso.SSOConnector:
            assert account_id != first
            return await super().get(sso_connector_id, account_id=account_id)

    empty = to_lists(success([]), success([]), success([]))
    connectors = Buggy(Through(world.cloud, empty))

    async def take() -> None:
        async for outcome in apply(connectors, world.changes, canary=0):
            found.append(outcome)  # noqa: PERF401 - those before the error count

    with pytest.raises(ExceptionGroup) as caught:
        await take()
    assert caught.group_contains(AssertionError)
    assert before == asyncio.all_tasks()
    found.sort(key=lambda outcome: world.changes.index(outcome.change))
    assert [Status.NOT_ATTEMPTED, Status.CHANGED, Status.CHANGED] == statuses(found)
    assert "a bug in cfsso ended this account: AssertionError" == found[0].note


async def test_a_list_that_leaves_some_out() -> None:
    """Targets that a list does not show are read by themselves, before and after."""
    world = World.of("verified", "verified")
    shown = {"id": world.changes[0].sso_connector_id, "enabled": False}
    short = success([shown], result_info={"total_count": 2})

    outcomes = await world.run(Through(world.cloud, to_lists(short)))

    assert [Status.CHANGED, Status.CHANGED] == statuses(outcomes)


async def test_a_neighbour_that_can_not_be_read() -> None:
    """A connector with an odd member keeps nobody from changing the others."""
    world = World.of("verified", "verified")
    odd = success([{"id": "x", "created_on": "yesterday"}])

    outcomes = await world.run(Through(world.cloud, to_lists(odd, odd)))

    assert [Status.CHANGED, Status.CHANGED] == statuses(outcomes)


@pytest.mark.parametrize(("status", "sent"), [(403, True), (500, True), (401, False), (429, False)])
async def test_a_rescue_needs_no_read(status: int, sent: bool) -> None:  # noqa: FBT001
    """What only lets people in is tried although it can't be read, unless that is hopeless."""
    world = World.of("enabled")
    change = world.changes[0]
    world.changes = [Change(change.account_id, change.sso_connector_id, enabled=False)]

    def no_reads(request: cfsso.Request) -> Reply | None:
        return failure(status) if request.method == "GET" else None

    outcome = (await world.run(Through(world.cloud, no_reads)))[0]

    if sent:
        assert Status.UNKNOWN is outcome.status
    else:
        assert Status.NOT_ATTEMPTED is outcome.status
    really = world.cloud.connector(change.account_id, change.sso_connector_id)
    assert (not sent) is really.enabled


async def test_what_a_list_leaves_out_and_a_read_refuses() -> None:
    """A target that can't be read by itself either has failed, with the reason."""
    world = World.of("verified")

    def refuse(request: cfsso.Request) -> Reply | None:
        return success([]) if request.path.endswith("sso_connectors") else failure(403)

    outcome = (await world.run(Through(world.cloud, refuse)))[0]

    assert Status.FAILED is outcome.status
    assert isinstance(outcome.error, cfsso.PermissionDeniedError)


async def test_changes_may_come_from_an_async_iterable() -> None:
    """Changes may be made while they are read, and anything else among them is refused."""
    world = World.of("verified")

    async def made() -> AsyncIterator[Change]:
        for change in world.changes:
            yield change

    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud))
    assert [Status.CHANGED] == [o.status async for o in apply(connectors, made())]
    with pytest.raises(cfsso.InvalidRequestError, match="expected a Change, not str"):
        await anext(apply(connectors, ["a"]))  # type: ignore[list-item] # wrong on purpose
