"""Whole fleets with kills, faults and others, and the judge who watches them."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from itertools import islice
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Final

import attrs
import fleet_glass
import fleet_operator
import pytest
from fleet_oracle import Oracle
from fleet_plan import FleetPlan
from fleet_process import Process
from fleet_report import FleetReport
from fleet_rows import Row
from fleet_truth import Program, Read, Sent, Track, Truth, Version
from fleet_world import simulate_fleet

import cfsso
from cfsso import Request, fleet
from cfsso.fleet import Outcome, OutcomeStatus

HERE: Final = Path(__file__).parent
REGRESSIONS: Final = json.loads((HERE / "fleet_regression_seeds.json").read_text("utf-8"))
SHOWN: Final[dict[str, Any]] = {
    "id": "c" * 32,
    "email_domain": "a.example",
    "enabled": False,
    "use_fedramp_language": False,
    "verification": {"status": "verified"},
    "updated_on": "2026-03-04T11:00:09.1234Z",
}


@pytest.mark.parametrize("seed", range(40))
def test_no_rule_is_broken_in_a_fleet(seed: int) -> None:
    """Whatever is killed, lost, refused or written by others, no rule is broken."""
    report = simulate_fleet(seed)

    assert {} == report.broken
    assert report.counts["requests"] > 1


@pytest.mark.parametrize("found", REGRESSIONS, ids=[str(found["seed"]) for found in REGRESSIONS])
def test_what_once_broke_a_rule_does_so_no_more(found: dict[str, Any]) -> None:
    """A seed that once showed a bug shows none."""
    assert {} == simulate_fleet(found["seed"], former=True).broken, found["was"]


def test_a_seed_is_the_same_fleet_in_another_process() -> None:
    """Two runs of a seed do the same at the same times, whatever ran before and hashes say."""
    code = "from fleet_world import simulate_fleet as s; print(s(7, keeps_trace=True).digest)"
    found = {
        subprocess.run(  # noqa: S603 - what runs is written above
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    first = simulate_fleet(7, keeps_trace=True)
    assert len(first.trace) > 20
    assert {first.digest} == found
    assert first.digest != simulate_fleet(8, keeps_trace=True).digest


def test_much_goes_wrong() -> None:
    """In some fleets there are kills, faults, foreign writes, refusals, resumes and reverts."""
    total = FleetReport()
    for seed in range(12):
        total.add(simulate_fleet(seed))

    wanted = ("crashes", "faults", "foreign writes", "resumes", "reverts", "ended changed")
    assert [] == [name for name in wanted if total.figures()[name] < 3]
    assert 12 == total.figures()["worlds"]


# What is wrong with a fleet of functions that lie, and of which rule that is a breach.

Outcomes = AsyncGenerator[Outcome]


async def _says_green(*args: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.apply(*args, **options):
        yield attrs.evolve(outcome, status=OutcomeStatus.CHANGED)


async def _says_twice(*args: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.apply(*args, **options):
        yield outcome
        yield outcome


async def _loses_one(*args: Any, **options: Any) -> Outcomes:
    lost = False
    async for outcome in fleet.apply(*args, **options):
        if lost:
            yield outcome
        lost = True


async def _has_no_canary(*args: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.apply(*args, **{**options, "canary": 0}):
        yield outcome


async def _writes_beside_it(client: Any, changes: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.apply(client, changes, **options):
        change = outcome.change
        if change.sso_connector_id != "f" * 32:
            await client.list(account_id=change.account_id)
            await client.update(
                change.sso_connector_id, account_id=change.account_id, enabled=False
            )
        yield outcome


async def _hangs(*args: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.apply(*args, **options):
        yield outcome
    await asyncio.Event().wait()


async def _leaves_something(*args: Any, **options: Any) -> Outcomes:
    left = asyncio.create_task(asyncio.sleep(1000))
    async for outcome in fleet.apply(*args, **options):
        yield outcome
    assert not left.done()


async def _contradicts(*args: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.resume(*args, **options):
        green = outcome.status.is_green
        yield attrs.evolve(outcome, status=OutcomeStatus.BLOCKED) if green else outcome


async def _opens_one(client: Any, accounts: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.break_glass(client, accounts[:1], **options):
        yield outcome


async def _opens_nothing(client: Any, accounts: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.break_glass(client, accounts, **options, drill=True):
        yield outcome


async def _enables_first(
    client: cfsso.AsyncSSOConnectors, domain: str, *, source: str, target: str
) -> tuple[Outcome, Outcome]:
    with contextlib.suppress(cfsso.CfssoError):
        await client.list(account_id=source)
        found = next(c for c in await client.list(account_id=target) if c.email_domain == domain)
        await client.update(found.id, account_id=target, enabled=True)
    return await fleet.transfer(client, domain, source=source, target=target)


def _is_fleet(plan: FleetPlan) -> bool:
    return plan.act == "fleet" and plan.kills == 0


def _has_canary(plan: FleetPlan) -> bool:
    return _is_fleet(plan) and plan.canary > 0 and plan.concurrency > 2


def _is_glass(plan: FleetPlan) -> bool:
    return plan.act == "glass"


def _is_transfer(plan: FleetPlan) -> bool:
    return plan.act == "transfer"


@pytest.mark.parametrize(
    ("rule", "name", "liar", "suits"),
    [
        ("F1 changed", "apply", _says_green, _is_fleet),
        ("F3", "apply", _says_twice, _is_fleet),
        ("F3", "apply", _loses_one, _is_fleet),
        ("F3", "resume", _contradicts, _is_fleet),
        ("F4", "apply", _writes_beside_it, _is_fleet),
        ("F5 another connector", "apply", _has_no_canary, _has_canary),
        ("F9 it does not end", "apply", _hangs, _is_fleet),
        ("F9 left", "apply", _leaves_something, _is_fleet),
        ("F8 no outcome", "break_glass", _opens_one, _is_glass),
        ("F8 unchanged, and it is not open", "break_glass", _opens_nothing, _is_glass),
        ("F5 enabled before", "transfer", _enables_first, _is_transfer),
    ],
)
def test_the_judge_sees_through_lies(
    rule: str,
    name: str,
    liar: Callable[..., Any],
    suits: Callable[[FleetPlan], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A function that does or says something wrong breaks the rule that is about it."""
    names = {each: getattr(fleet, each) for each in fleet.__all__}
    false = SimpleNamespace(**{**names, name: liar})
    monkeypatch.setattr(fleet_operator, "fleet", false)
    monkeypatch.setattr(fleet_glass, "fleet", false)
    seeds = (seed for seed in range(2000) if suits(FleetPlan.of(seed, Random(seed))))  # noqa: S311 - as it is drawn

    assert any(f": {rule}" in story for seed in islice(seeds, 40) for story in _stories(seed))


class Scene:
    """A judge, a connector that is read and written by one process, to be told false facts."""

    def __init__(self) -> None:
        self.oracle = Oracle(Truth(), slowness=0.0, lag=0.0)
        self.program = Program(Process(3, "resume", Random(1), 0.0))  # noqa: S311 - a disk
        self.track = Track("a" * 32, SHOWN)
        self.oracle.truth.tracks[self.track.id] = self.track
        request = Request("PATCH", self.track.path, b'{"enabled":true}')
        self.sent = Sent(self.program, request, left=20.0, serial=0)
        self.read = Read(begun=16.0, shown_at=16.5, ended=17.0, shown=SHOWN)
        wish = {"enabled": True}
        self.row = Row(
            run=1,
            position=0,
            rank=0,
            needs=None,
            expected=None,
            holds=None,
            unsettled=False,
            wished=wish,
            number=1,
            at=19.0,
            body="",
            before=SHOWN,
            status=None,
        )

    def becomes(self, time: float, writer: int | None = None, **members: Any) -> None:
        """Let the connector change."""
        shown = {**SHOWN, "updated_on": f"2026-03-04T12:00:{time:02.0f}Z", **members}
        self.track.versions.append(Version(time, shown, writer))

    def goes(self, **members: Any) -> None:
        """Let the write go by the read, for a row with other *members*."""
        row = self.row._replace(**members)
        self.oracle.goes_by(self.sent, row, self.read, self.track)


async def _goes_by_an_old_read(scene: Scene) -> None:
    scene.read = scene.read._replace(begun=1.0, shown_at=1.0, ended=2.0)
    scene.goes()


async def _writes_what_is_gone(scene: Scene) -> None:
    scene.read = scene.read._replace(shown=None)
    scene.goes()


async def _forgets_the_plan(scene: Scene) -> None:
    scene.goes(expected={**SHOWN, "updated_on": "2026-03-04T10:00:00Z"})


async def _takes_back_what_others_wrote(scene: Scene) -> None:
    scene.goes(holds={"enabled": True})


async def _writes_what_was_in_flight(scene: Scene) -> None:
    scene.oracle.flights[3, 1, 0] = 5.0
    scene.program.first_reads[scene.track.id] = scene.read
    scene.becomes(9.0, use_fedramp_language=True)
    scene.goes()


async def _writes_what_it_did_not_read(scene: Scene) -> None:
    scene.becomes(9.0, use_fedramp_language=True)
    scene.sent.based_on = scene.read
    scene.oracle.overwrites(scene.sent, scene.track.now)


async def _restores_something_else(scene: Scene) -> None:
    scene.becomes(9.0, writer=1, enabled=True)
    scene.oracle.restores(scene.program, scene.track, {"enabled": True})


async def _goes_on_after_a_401(scene: Scene) -> None:
    scene.program.options = {"same": len}
    scene.program.refused["b" * 32] = 5.0
    scene.program.writes = [scene.sent]
    scene.oracle.heeds_refusals(scene.program)


async def _stops_for_the_401_of_others(scene: Scene) -> None:
    scene.program.options = {"same": str}
    scene.program.refused["b" * 32] = 5.0
    change = fleet.Change("a" * 32, scene.track.id, enabled=True)
    status = OutcomeStatus.NOT_ATTEMPTED
    note = "the token was refused with 401"
    scene.program.outcomes = [(6.0, Outcome(change=change, status=status, note=note))]
    scene.oracle.heeds_refusals(scene.program)


def _fail(scene: Scene, *times: float) -> None:
    error = cfsso.BadRequestError("no", write=cfsso.WriteState.REFUSED)
    scene.program.options = {"max_failures": 1}
    scene.program.failed = {str(time): (time, error) for time in times}
    scene.program.told = dict.fromkeys(scene.program.failed, "failed")


async def _fails_too_often(scene: Scene) -> None:
    _fail(scene, 5.0, 6.0, 7.0)
    scene.oracle.heeds_max_failures(scene.program)


async def _begins_after_the_last_failure(scene: Scene) -> None:
    _fail(scene, 5.0, 6.0)
    scene.program.writes = [scene.sent]
    scene.oracle.heeds_max_failures(scene.program)


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("rule", "tell"),
    [
        ("F2 it goes by a read that is 18.000 s old", _goes_by_an_old_read),
        ("F2 a write of what a read does not show", _writes_what_is_gone),
        ("moved since the plan", _forgets_the_plan),
        ("F2 revert of what does not hold", _takes_back_what_others_wrote),
        ("was in flight since 5.000", _writes_what_was_in_flight),
        ("F2 the read before the write showed another", _writes_what_it_did_not_read),
        ("F7", _restores_something_else),
        ("F5 3 writes failed, 1 were tolerated", _fails_too_often),
        ("F5 a write begins at 20.000", _begins_after_the_last_failure),
        ("F6 a write begins", _goes_on_after_a_401),
        ("by the 401 of others", _stops_for_the_401_of_others),
    ],
)
async def test_the_judge_knows_what_may_be_written(
    rule: str, tell: Callable[[Scene], Awaitable[None]]
) -> None:
    """What goes by nothing, or by what is old or of others, breaks the rule that is about it."""
    scene = Scene()
    await tell(scene)

    assert 1 == len(scene.oracle.broken)
    assert rule in scene.oracle.broken[0]


@pytest.mark.virtual_time
async def test_the_judge_lets_pass_what_is_right() -> None:
    """A write by a fresh read is no breach, nor is it that others write in the gap."""
    scene = Scene()
    scene.goes(expected=SHOWN)
    scene.becomes(18.0, use_fedramp_language=True)
    scene.sent.based_on = scene.read
    scene.oracle.overwrites(scene.sent, scene.track.now)

    assert [] == scene.oracle.broken
    assert 1 == scene.oracle.counts["others overtaken in the gap"]


@pytest.mark.virtual_time
async def test_a_dead_process_does_nothing_more() -> None:
    """What the disk has not begun when a process dies is not done, and its tasks go no further."""
    done: list[str] = []
    process = Process(0, "apply", Random(1), 10.0)  # noqa: S311 - a disk
    jobs = [process.disk.do(lambda: done.append("first"))]
    jobs.append(process.disk.do(lambda: done.append("second")))
    process.die()
    before = list(done)
    await asyncio.sleep(100)

    assert not any(job.done() for job in jobs)
    assert before == done
    assert "second" not in done
    with pytest.raises(asyncio.CancelledError):
        process.passes("send")


def _stories(seed: int) -> list[str]:
    try:
        return [story for told in simulate_fleet(seed).broken.values() for story in told]
    except (cfsso.CfssoError, AssertionError):
        # What a liar comes to by itself is not the point.
        return []
