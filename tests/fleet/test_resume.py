"""A run that was cut off, and goes on: nothing is lost, and nothing done twice."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from crashes import crash
from failing_vfs import FailingVfs, Fault, failing_vfs
from worlds import Through, World

import cfsso
from cfsso.fleet import Change, Outcome, apply, read_journal, resume
from cfsso.fleet import OutcomeStatus as Status
from cfsso.fleet._journal import Journal

pytestmark = pytest.mark.virtual_time

REFUSED = cfsso.Response(403, {}, b'{"success":false,"errors":[{"code":1,"message":"no"}]}')


def applying(world: World, **options: Any) -> Any:
    """Return what begins to apply the world's changes, one write after the other."""
    options.setdefault("canary", 0)

    def begin(connectors: cfsso.AsyncSSOConnectors, journal: Path) -> AsyncGenerator[Outcome, None]:
        return apply(connectors, world.changes, journal=journal, max_failures=0, **options)

    return begin


async def resumed(
    world: World, journal: Path, transport: Through | None = None, **options: Any
) -> list[Outcome]:
    """Resume; return the outcomes as they come."""
    connectors = cfsso.AsyncSSOConnectors(transport or Through(world.cloud))
    return [outcome async for outcome in resume(connectors, journal, **options)]


def in_order(world: World, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes in the order of the changes, each of which has one."""
    found = list(outcomes)
    assert len(world.changes) == len(found)
    return sorted(found, key=lambda outcome: world.changes.index(outcome.change))


def write(world: World, number: int, body: bytes) -> None:
    """Be somebody else, who writes the connector of a change."""
    change = world.changes[number]
    path = f"/accounts/{change.account_id}/sso_connectors/{change.sso_connector_id}"
    world.cloud.advance(1)
    assert 200 == world.cloud.handle(cfsso.Request("PATCH", path, body)).status


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("nth", [1, 3, 4])
async def test_cut_off_and_resumed(nth: int, done: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """What was under way is settled by a read; it is written again only if it was not done."""
    world = World.of("verified", "verified", accounts=2)
    journal = await crash(world, tmp_path / "j", nth, applying(world), done=done)
    transport = Through(world.cloud)

    outcomes = in_order(world, await resumed(world, journal, transport))

    assert [Status.CHANGED] * 4 == [outcome.status for outcome in outcomes]
    assert 4 == sum(r.method == "PATCH" for r in world.cloud.requests)
    # Of the account whose writes are not read back yet each one is read.
    assert "GET" == transport.seen[0]
    for outcome in outcomes:
        change = outcome.change
        really = world.cloud.connector(change.account_id, change.sso_connector_id)
        assert really == outcome.after
        assert outcome.before is not None
        assert outcome.before.enabled is False


async def test_what_is_known_comes_first(tmp_path: Path) -> None:
    """The recorded outcomes are yielded before anything is sent, as they were."""
    world = World.of("verified", accounts=3)
    journal = await crash(world, tmp_path / "j", 3, applying(world, concurrency=1), done=True)
    transport = Through(world.cloud)
    connectors = cfsso.AsyncSSOConnectors(transport)

    outcomes = resume(connectors, journal)
    first = [await anext(outcomes), await anext(outcomes)]
    assert [] == transport.seen
    rest = [outcome async for outcome in outcomes]

    assert world.changes == [outcome.change for outcome in [*first, *rest]]
    assert ["", "", "it was under way when the run was cut off, and a read shows it"] == [
        outcome.note for outcome in [*first, *rest]
    ]
    assert ["GET"] == transport.seen


async def test_a_finished_run_is_shown_and_not_repeated(tmp_path: Path) -> None:
    """Of a finished run there are its outcomes, and nothing is sent."""
    world = World.of("verified", "pending", accounts=2)
    expected = await world.run(journal=tmp_path / "j")
    transport = Through(world.cloud)

    outcomes = in_order(world, await resumed(world, tmp_path / "j", transport))

    assert [(o.change, o.status, o.before, o.after, o.attempts, o.note) for o in expected] == [
        (o.change, o.status, o.before, o.after, o.attempts, o.note) for o in outcomes
    ]
    assert [] == transport.seen


async def test_errors_are_remembered(tmp_path: Path) -> None:
    """A recorded failure has the same error again, of the same class."""
    world = World.of("verified")
    transport = Through(world.cloud, lambda r: REFUSED if r.is_write else None)
    (failed,) = await world.run(transport, journal=tmp_path / "j")

    (outcome,) = await resumed(world, tmp_path / "j")

    assert failed.error is not None
    assert outcome.error is not None
    assert cfsso.PermissionDeniedError is type(outcome.error)
    assert str(failed.error) == str(outcome.error)
    assert (403, failed.error.errors, failed.error.request) == (
        outcome.error.status,
        outcome.error.errors,
        outcome.error.request,
    )


@pytest.mark.parametrize(
    ("bodies", "shown"),
    [
        ([b'{"use_fedramp_language":true}'], "enabled=False"),
        ([b'{"enabled":true}', b'{"enabled":false}'], "enabled=False"),
    ],
)
async def test_somebody_else_wrote_meanwhile(
    bodies: list[bytes], shown: str, tmp_path: Path
) -> None:
    """What was under way and shows a foreign write is a conflict, and is left alone."""
    world = World.of("verified")
    journal = await crash(world, tmp_path / "j", 1, applying(world), done=False)
    for body in bodies:
        write(world, 0, body)
    transport = Through(world.cloud)

    (outcome,) = await resumed(world, journal, transport)

    assert Status.CONFLICT is outcome.status
    assert outcome.note == (
        f"it was under way when the run was cut off, and somebody else wrote: a read shows {shown}"
    )
    assert ["GET"] == transport.seen


async def test_gone_meanwhile(tmp_path: Path) -> None:
    """What was under way and is deleted is a conflict."""
    world = World.of("verified")
    journal = await crash(world, tmp_path / "j", 1, applying(world), done=False)
    change = world.changes[0]
    await cfsso.AsyncSSOConnectors(Through(world.cloud)).delete(
        change.sso_connector_id, account_id=change.account_id
    )

    (outcome,) = await resumed(world, journal)

    assert Status.CONFLICT is outcome.status
    assert "the account has no such connector now" in outcome.note


async def test_what_can_not_be_settled_stays_open(tmp_path: Path) -> None:
    """As long as nobody can see what became of a write it is unknown; a later resume settles it."""
    world = World.of("verified", "verified")
    journal = await crash(world, tmp_path / "j", 2, applying(world), done=True)
    blind = Through(world.cloud, lambda _request: REFUSED)

    outcomes = in_order(world, await resumed(world, journal, blind))
    assert [Status.UNKNOWN] * 2 == [outcome.status for outcome in outcomes]
    assert ["GET"] == blind.seen

    outcomes = in_order(world, await resumed(world, journal))
    assert [Status.CHANGED] * 2 == [outcome.status for outcome in outcomes]
    assert 2 == sum(r.method == "PATCH" for r in world.cloud.requests)


async def test_unknown_is_settled_by_a_resume(tmp_path: Path) -> None:
    """An outcome that was unknown when the run ended is looked at again."""
    world = World.of("verified")
    lost = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
    broken = False

    class Lossy(Through):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            nonlocal broken
            answer = await super().send(request)
            broken = broken or request.is_write
            if broken:
                raise lost
            return answer

    (outcome,) = await world.run(Lossy(world.cloud), journal=tmp_path / "j")
    assert Status.UNKNOWN is outcome.status

    (outcome,) = await resumed(world, tmp_path / "j")
    assert Status.CHANGED is outcome.status
    (outcome,) = await resumed(world, tmp_path / "j", blind := Through(world.cloud))
    assert Status.CHANGED is outcome.status
    assert [] == blind.seen


async def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    """What was not attempted is done by the resume, and the journal then says that all is over."""
    world = World.of("verified", "verified", accounts=3)
    stop = asyncio.Event()

    def rule(request: cfsso.Request) -> None:
        if request.is_write:
            stop.set()

    stopped = await world.run(
        Through(world.cloud, rule), journal=tmp_path / "j", stop=stop, concurrency=1
    )
    assert {Status.CHANGED, Status.NOT_ATTEMPTED} == {outcome.status for outcome in stopped}
    async with await read_journal(tmp_path / "j") as journal:
        assert journal.latest.ended is None

    outcomes = await resumed(world, tmp_path / "j")

    assert [Status.CHANGED] * 6 == [outcome.status for outcome in outcomes]
    assert 6 == sum(r.method == "PATCH" for r in world.cloud.requests)
    async with await read_journal(tmp_path / "j") as journal:
        assert journal.latest.ended is not None


async def test_a_resume_has_the_options_of_its_run(tmp_path: Path) -> None:
    """Unless others are given, a run goes on as it began."""
    world = World.of("verified", accounts=4)
    journal = await crash(world, tmp_path / "j", 1, applying(world), done=False)
    shutil.copy(journal, tmp_path / "other")
    refusing = Through(world.cloud, lambda r: REFUSED if r.is_write else None)

    one = await resumed(world, journal, refusing)
    assert 1 == sum(outcome.status is Status.FAILED for outcome in one)

    all_ = await resumed(world, tmp_path / "other", refusing, max_failures=None)
    assert [Status.FAILED] * 4 == [outcome.status for outcome in all_]


async def test_closing_settles_what_is_under_way(tmp_path: Path) -> None:
    """Closing the iterator begins nothing more, and what was sent is settled and recorded."""
    world = World.of("verified", accounts=3)

    class Late(Through):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            await asyncio.sleep(1)
            return await super().send(request)

    transport = Late(world.cloud)
    connectors = cfsso.AsyncSSOConnectors(transport)
    run = apply(connectors, world.changes, journal=tmp_path / "j", concurrency=1)
    async with aclosing(run) as outcomes:
        await anext(outcomes)
        # The second account is listed, and its write under way.
        await asyncio.sleep(1.5)

    assert ["GET", "PATCH", "GET"] * 2 == transport.seen
    async with await read_journal(tmp_path / "j") as journal:
        found = [recorded.outcome.status async for recorded in journal.targets()]
    assert [Status.CHANGED, Status.CHANGED, Status.NOT_ATTEMPTED] == found


@pytest.mark.parametrize("closing", [False, True])
async def test_half_a_minute_is_all_that_a_stop_waits(closing: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """What is not settled 30 seconds after a stop is unknown, and the journal still has it."""
    world = World.of("verified", "verified", accounts=2)
    stop, begun = asyncio.Event(), asyncio.Event()

    class Stuck(Through):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            answer = await super().send(request)
            if request.is_write:
                begun.set()
                await asyncio.Event().wait()
            return answer

    connectors = cfsso.AsyncSSOConnectors(Stuck(world.cloud))
    run = apply(connectors, world.changes, journal=tmp_path / "j", stop=stop, concurrency=1)
    outcomes: list[Outcome] = []

    async def take() -> None:
        async with aclosing(run):
            async for outcome in run:
                outcomes.append(outcome)  # noqa: PERF401 - those before a cancellation count

    task = asyncio.create_task(take())
    await begun.wait()
    now = asyncio.get_running_loop().time()
    if closing:
        task.cancel()
    else:
        stop.set()
    await asyncio.wait({task})

    assert 30.0 == asyncio.get_running_loop().time() - now
    expected = [] if closing else [Status.NOT_ATTEMPTED] * 3 + [Status.UNKNOWN]
    assert expected == sorted(outcome.status for outcome in outcomes)
    assert 4 == len(in_order(world, await resumed(world, tmp_path / "j")))
    for change in world.changes:
        assert world.cloud.connector(change.account_id, change.sso_connector_id).enabled
    assert 4 == sum(r.method == "PATCH" for r in world.cloud.requests)


async def test_closing_what_was_stopped_waits_no_longer(tmp_path: Path) -> None:
    """Whoever stops and then closes leaves at once, with a journal that is whole."""
    world = World.of("verified")
    stop, begun = asyncio.Event(), asyncio.Event()

    class Stuck(Through):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            answer = await super().send(request)
            if request.is_write:
                begun.set()
                await asyncio.Event().wait()
            return answer

    run = apply(
        cfsso.AsyncSSOConnectors(Stuck(world.cloud)),
        world.changes,
        journal=tmp_path / "j",
        stop=stop,
    )
    task = asyncio.ensure_future(anext(run))
    await begun.wait()
    stop.set()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})

    assert 0.0 == asyncio.get_running_loop().time()
    (outcome,) = await resumed(world, tmp_path / "j")
    assert Status.CHANGED is outcome.status


async def test_only_what_is_a_journal_is_resumed(tmp_path: Path) -> None:
    """Nothing is sent if the file is missing or something else."""
    world = World.of("verified")
    transport = Through(world.cloud)
    (tmp_path / "text").write_text("account_id,sso_connector_id\n")

    for name in ("missing", "text"):
        with pytest.raises(cfsso.InvalidRequestError, match=name):
            await resumed(world, tmp_path / name, transport)
    assert [] == transport.seen


async def test_a_journal_is_not_overwritten(tmp_path: Path) -> None:
    """A run onto a journal that exists is refused, and leaves it as it is."""
    world = World.of("verified")
    await world.run(journal=tmp_path / "j")
    content = (tmp_path / "j").read_bytes()
    transport = Through(world.cloud)

    with pytest.raises(cfsso.InvalidRequestError, match="exists"):
        await world.run(transport, journal=tmp_path / "j")
    assert [] == transport.seen
    assert content == (tmp_path / "j").read_bytes()


async def test_a_refused_run_leaves_no_journal(tmp_path: Path) -> None:
    """If the changes can't be used there is no file, so that the name is free."""
    world = World.of("verified")
    world.changes *= 2

    with pytest.raises(cfsso.InvalidRequestError, match="stands twice"):
        await world.run(journal=tmp_path / "j")
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (cfsso.JournalError("the file is gone"), cfsso.JournalError),
        (OSError("a bug"), ExceptionGroup),
    ],
)
async def test_a_journal_that_can_not_be_read_any_more(
    error: Exception,
    expected: type[Exception],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing more is begun, what is under way is brought to its end, and the error is raised."""
    world = World.of("verified", accounts=3)
    pages = Journal.pages
    left = [None]

    async def fails(self: Journal, **options: Any) -> Any:
        """Fail from the second page on."""
        if not left:
            raise error
        left.pop()
        return await pages(self, **options)

    monkeypatch.setattr(Journal, "pages", fails)
    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud))
    found: list[Outcome] = []

    async def take() -> None:
        """Take the outcomes that there are."""
        async for outcome in apply(connectors, world.changes, journal=tmp_path / "j"):
            found.append(outcome)  # noqa: PERF401 - those before the error count

    with pytest.raises(expected):
        await take()
    assert [] == [outcome for outcome in found if outcome.status is Status.UNKNOWN]
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_a_run_takes_no_change_without_a_connector() -> None:
    """What names an account only is for no run; nothing is sent."""
    world = World.of("verified")
    world.changes.append(Change("a" * 32, "", enabled=True))
    transport = Through(world.cloud)

    with pytest.raises(cfsso.InvalidRequestError, match="names no connector: give"):
        await world.run(transport)
    assert [] == transport.seen


async def test_what_was_under_way_in_an_account_without_a_token(tmp_path: Path) -> None:
    """It can't be settled, so it is unknown and stays open."""
    world = World.of("verified")
    journal = await crash(world, tmp_path / "j", 1, applying(world), done=True)

    async def fingerprint(_account_id: str) -> str:
        raise cfsso.InvalidRequestError("api_token is missing")

    transport = Through(world.cloud)
    connectors = cfsso.AsyncSSOConnectors(transport, fingerprint=fingerprint)

    (outcome,) = [outcome async for outcome in resume(connectors, journal)]

    assert Status.UNKNOWN is outcome.status
    assert "api_token is missing" == str(outcome.error)
    assert [] == transport.seen
    (outcome,) = await resumed(world, journal)
    assert Status.CHANGED is outcome.status


@pytest.fixture
def vfs() -> Iterator[FailingVfs]:
    """Return what lets SQLite's operations fail."""
    with failing_vfs() as found:
        if found is None:
            pytest.skip("the symbols of this Python's SQLite can't be found")
        yield found


@pytest.mark.parametrize("fault", [Fault.FULL, Fault.SYNC])
@pytest.mark.parametrize("number", [1, 2, 4, 8])
async def test_one_outcome_for_each_target_on_a_disk_that_fails(
    vfs: FailingVfs, fault: Fault, number: int, tmp_path: Path
) -> None:
    """Whenever that is in a run, each target has one outcome, and a resume does the rest."""
    world = World.of("verified", "verified", accounts=20)
    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud))
    run = apply(connectors, world.changes, journal=tmp_path / "j", canary=0, concurrency=4)
    outcomes = [await anext(run)]
    vfs.arm(fault, number, for_ever=True)

    with pytest.raises(cfsso.JournalError):
        await take(run, outcomes)
    vfs.heal()

    assert [1] * 40 == list(Counter(outcome.change for outcome in outcomes).values())
    again = in_order(world, await resumed(world, tmp_path / "j"))
    assert {Status.CHANGED} == {outcome.status for outcome in again}


@pytest.mark.parametrize("fault", [Fault.FULL, Fault.SYNC])
@pytest.mark.parametrize("number", [1, 2, 4, 8])
@pytest.mark.parametrize("done", [False, True])
async def test_one_outcome_for_each_target_of_a_resume_on_a_disk_that_fails(
    vfs: FailingVfs,
    fault: Fault,
    number: int,
    done: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was settled and could not be written down has no second outcome."""
    world = World.of("verified", "verified", accounts=20)
    journal = await crash(
        world,
        tmp_path / "j",
        30,
        lambda connectors, path: apply(connectors, world.changes, journal=path, canary=0),
        done=done,
    )
    in_flight = Journal.in_flight

    async def fill(self: Journal) -> Any:
        """Let the disk be full from now on."""
        vfs.arm(fault, number, for_ever=True)
        return await in_flight(self)

    monkeypatch.setattr(Journal, "in_flight", fill)
    run = resume(cfsso.AsyncSSOConnectors(Through(world.cloud)), journal)
    outcomes: list[Outcome] = []

    with pytest.raises(cfsso.JournalError):
        await take(run, outcomes)
    vfs.heal()

    assert [1] * 40 == list(Counter(outcome.change for outcome in outcomes).values())
    monkeypatch.undo()
    again = in_order(world, await resumed(world, journal))
    assert {Status.CHANGED} == {outcome.status for outcome in again}


async def take(run: AsyncGenerator[Outcome, None], outcomes: list[Outcome]) -> None:
    """Take the outcomes that there are."""
    async for outcome in run:
        outcomes.append(outcome)  # noqa: PERF401 - those before an error count


async def test_a_journal_that_can_not_be_read_in_the_middle_of_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a target needs can't be found out any more: each target has its outcome all the same."""
    world = World.of("verified", "verified", accounts=2)
    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud))
    moved = await cfsso.fleet.plan(connectors, world.changes)

    async def fails(_self: Journal, _position: int) -> Any:
        raise cfsso.JournalError("the file is gone")

    monkeypatch.setattr(Journal, "find", fails)
    found = [outcome async for outcome in apply(connectors, moved, journal=tmp_path / "j")]

    assert [Status.CHANGED] * 4 == [outcome.status for outcome in found]


@pytest.mark.parametrize(("canary", "expected"), [(None, 1), (0, 0), (3, 3)])
async def test_a_resume_has_the_canary_of_its_run(
    canary: int | None, expected: int, tmp_path: Path
) -> None:
    """It is recorded with the run: one unless told, and none if the run was to have none."""
    world = World.of(*["verified"] * 8)
    options = {} if canary is None else {"canary": canary}
    stop = asyncio.Event()
    stop.set()
    connectors = cfsso.AsyncSSOConnectors(Through(world.cloud))
    run = apply(connectors, world.changes, journal=tmp_path / "j", stop=stop, **options)
    assert {Status.NOT_ATTEMPTED} == {outcome.status async for outcome in run}
    transport = Through(world.cloud)

    assert [Status.CHANGED] * 8 == [
        o.status for o in await resumed(world, tmp_path / "j", transport)
    ]

    first = (transport.seen.index("GET", 1) - 1) if expected else 8
    assert (expected or 8) == first


async def test_the_journal_of_a_rescue_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has nothing that is to be done; nothing is sent."""
    world = World.of("verified")
    with monkeypatch.context() as patch:
        kinds = SimpleNamespace(APPLY=cfsso.fleet.RunKind.BREAK_GLASS)
        patch.setattr("cfsso.fleet.run.RunKind", kinds)
        await world.run(journal=tmp_path / "j")
    transport = Through(world.cloud)

    with pytest.raises(cfsso.InvalidRequestError, match="the journal of a rescue"):
        await resumed(world, tmp_path / "j", transport)
    assert [] == transport.seen
