"""The judge of fleets knows what outages, tokens, neighbours and rescues may come to."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import islice
from random import Random
from types import SimpleNamespace
from typing import Any, Final

import attrs
import fleet_glass
import fleet_operator
import fleet_strays
import pytest
from fleet_endings import ends_by_right, holds, stops_in_time
from fleet_limits import Windows, counted, goes_at_once
from fleet_links import SERVER
from fleet_oracle import Oracle
from fleet_plan import FleetPlan
from fleet_process import Process
from fleet_rescues import has_taken_back
from fleet_truth import Program, Sent, Track, Truth, Version
from fleet_world import simulate_fleet

import cfsso
from cfsso import Request, fleet
from cfsso.fleet import Outcome, OutcomeStatus

Outcomes = AsyncGenerator[Outcome]

ACCOUNT: Final = "a" * 32
CONNECTOR: Final = "c" * 32
LIST: Final = Request("GET", f"/accounts/{ACCOUNT}/sso_connectors")
PATCH: Final = Request(
    "PATCH", f"/accounts/{ACCOUNT}/sso_connectors/{CONNECTOR}", b'{"enabled":false}'
)


async def _says_failed(*args: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.apply(*args, **options):
        is_open = outcome.status == "not_attempted"
        yield attrs.evolve(outcome, status=OutcomeStatus.FAILED) if is_open else outcome


async def _says_unknown(*args: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.apply(*args, **options):
        is_open = outcome.status == "not_attempted"
        yield attrs.evolve(outcome, status=OutcomeStatus.UNKNOWN) if is_open else outcome


async def _says_not_why(*args: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.apply(*args, **options):
        is_open = outcome.status == "not_attempted"
        yield attrs.evolve(outcome, note="", error=None) if is_open else outcome


async def _reads_once_more(client: Any, *args: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.resume(client, *args, **options):
        yield outcome
    await client.list(account_id=outcome.change.account_id)


async def _reads_often(client: Any, changes: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.apply(client, changes, **options):
        for _ in range(6):
            await client.list(account_id=outcome.change.account_id)
        yield outcome


async def _claims_to_have_written(*args: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.break_glass(*args, **options):
        off = outcome.status == "unchanged" and outcome.change.sso_connector_id
        yield attrs.evolve(outcome, status=OutcomeStatus.CHANGED) if off else outcome


async def _tells_less(*args: Any, **options: Any) -> Outcomes:
    seen = set[str]()
    async for outcome in fleet.break_glass(*args, **options):
        if outcome.status == "changed" or outcome.change.account_id not in seen:
            yield outcome
        seen.add(outcome.change.account_id)


async def _takes_any_domain(*args: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.break_glass(*args, **{**options, "domain": None}):
        yield outcome


async def _enables_all(client: Any, *args: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.revert(client, *args, **options):
        for found in await client.list(account_id=outcome.change.account_id):
            if not found.enabled:
                await client.update(found.id, account_id=outcome.change.account_id, enabled=True)
        yield outcome


async def _disables_again(client: Any, *args: Any, **options: Any) -> Outcomes:
    async for outcome in fleet.revert(client, *args, **options):
        yield outcome
        if outcome.status == "changed":
            change = outcome.change
            await client.update(
                change.sso_connector_id, account_id=change.account_id, enabled=False
            )


def _is_fleet(plan: FleetPlan) -> bool:
    return plan.act == "fleet" and plan.kills == 0


def _is_out(plan: FleetPlan) -> bool:
    return _is_fleet(plan) and bool(plan.outages) and plan.rate > 0


def _is_quiet(plan: FleetPlan) -> bool:
    return _is_fleet(plan) and plan.is_quiet


def _is_glass(plan: FleetPlan) -> bool:
    return plan.act == "glass"


def _is_reverted(plan: FleetPlan) -> bool:
    return plan.act == "glass" and plan.reverts and not plan.foreign and not plan.reactive


@pytest.mark.parametrize(
    ("rule", "name", "liar", "suits"),
    [
        ("F10 failed, and nobody refused it", "apply", _says_failed, _is_out),
        ("F10 unknown, and nothing of it ever left", "apply", _says_unknown, _is_out),
        ("F10 not attempted, without a reason", "apply", _says_not_why, _is_out),
        ("F13 all had ended", "resume", _reads_once_more, _is_fleet),
        ("F13", "apply", _reads_often, _is_quiet),
        ("F14 changed, and nothing was written", "break_glass", _claims_to_have_written, _is_glass),
        ("F14 no outcome for", "break_glass", _tells_less, _is_glass),
        ("F14", "break_glass", _takes_any_domain, _is_glass),
        ("F15 it was no rescue that disabled", "revert", _enables_all, _is_reverted),
        ("F15 a revert of a rescue writes", "revert", _disables_again, _is_reverted),
    ],
)
def test_the_judge_sees_through_lies_of_the_worst_day(
    rule: str,
    name: str,
    liar: Callable[..., Any],
    suits: Callable[[FleetPlan], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A function that says what is not so, or does too much, breaks the rule that is about it."""
    names = {each: getattr(fleet, each) for each in fleet.__all__}
    false = SimpleNamespace(**{**names, name: liar})
    monkeypatch.setattr(fleet_operator, "fleet", false)
    monkeypatch.setattr(fleet_glass, "fleet", false)

    assert any(f": {rule}" in story for seed in _seeds(suits) for story in _stories(seed))


def _seeds(suits: Callable[[FleetPlan], bool]) -> Iterator[int]:
    seeds = (seed for seed in range(4000) if suits(FleetPlan.of(seed, Random(seed))))  # noqa: S311 - as it is drawn
    return islice(seeds, 60)


def _stories(seed: int) -> list[str]:
    try:
        return [story for told in simulate_fleet(seed).broken.values() for story in told]
    except (cfsso.CfssoError, AssertionError):
        # What a liar comes to by itself is not the point.
        return []


def test_the_judge_sees_what_a_wrong_use_of_a_journal_comes_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A journal that is used where it should be refused breaks the rule."""
    monkeypatch.setattr(fleet_strays, "_WAYS", {"used": (SERVER, fleet.resume)})
    seeds = _seeds(lambda plan: _is_fleet(plan) and plan.stray > 0)

    assert any(": F16 used, and it is not refused" in s for seed in seeds for s in _stories(seed))


class Scene:
    """A judge and a process, to be told false facts."""

    def __init__(self, kind: str = "apply") -> None:
        self.oracle = Oracle(Truth(), slowness=0.0, lag=0.0)
        self.program = Program(Process(3, kind, Random(1), 0.0))  # noqa: S311 - a disk

    def sends(self, request: Request, left: float, **members: Any) -> Sent:
        """Let the process send something."""
        sent = Sent(self.program, request, left, len(self.program.requests))
        for name, value in members.items():
            setattr(sent, name, value)
        self.program.requests.append(sent)
        if request.is_write:
            self.program.writes.append(sent)
        return sent


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("status", "sent", "broken"),
    [
        ("failed", {"status": 409}, ""),
        ("failed", {"status": 401}, "F10 failed"),
        ("failed", {"unsent": True}, "F10 failed"),
        ("unknown", {"status": 502}, ""),
        ("unknown", {"unsent": True}, "F10 unknown"),
        ("unknown", {"status": 429, "limited": True}, "F10 unknown"),
        ("not_attempted", {"status": 401}, ""),
        ("not_attempted", {"unsent": True}, ""),
        ("not_attempted", {"status": 502}, "F10 not attempted, and yet sent"),
        ("not_attempted", {}, "F10 not attempted, and yet sent"),
    ],
)
async def test_the_judge_knows_which_ending_is_right(
    status: str, sent: dict[str, Any], broken: str
) -> None:
    """Only a refusal is a failure, only what left is unknown, and only what did not is open."""
    scene = Scene()
    scene.sends(PATCH, 1.0, ended=2.0, **sent)
    change = fleet.Change(ACCOUNT, CONNECTOR, enabled=False)
    outcome = Outcome(change=change, status=OutcomeStatus(status), note="a reason")
    ends_by_right(scene.oracle, scene.program, outcome)

    assert bool(broken) == bool(scene.oracle.broken)
    assert broken in "".join(scene.oracle.broken)


@pytest.mark.virtual_time
async def test_the_judge_sees_who_goes_on_in_an_outage() -> None:
    """A run that hears nothing for much longer than 45 seconds, and went on, breaks the rule."""
    scene = Scene()
    scene.sends(LIST, 1.0, ended=2.0, status=200)
    for second in range(3, 150):
        scene.sends(LIST, second, ended=second + 0.5, status=502 if second % 2 else None)
    await asyncio.sleep(150)
    stops_in_time(scene.oracle, scene.program)
    holds(scene.oracle, scene.program)
    patient = Scene()
    patient.sends(LIST, 100.0, ended=140.0)
    stops_in_time(patient.oracle, patient.program)
    holds(patient.oracle, patient.program)

    assert ["F12", "F12"] == [story.split(": ")[1].split()[0] for story in scene.oracle.broken]
    assert [] == patient.oracle.broken


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("kind", "urgent", "broken"),
    [("apply", False, 1), ("neighbour", False, 1), ("neighbour", True, 0), ("glass", False, 0)],
)
async def test_the_judge_counts_what_is_in_reserve(
    kind: str,
    urgent: bool,  # noqa: FBT001
    broken: int,
) -> None:
    """Whoever is not urgent leaves the reserve of a window alone."""
    scene = Scene(kind)
    scene.oracle.windows = Windows(cfsso.RateLimit(5, 10, reserve=2))
    for moment in range(4):
        counted(scene.oracle, scene.sends(LIST, moment, urgent=urgent), 200, moment)
    counted(scene.oracle, scene.sends(LIST, 12.0), 200, 13.5)

    assert broken == len(scene.oracle.broken)


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("left", "asked", "broken"), [(20.5, None, 0), (22.0, None, 1), (None, None, 1), (22.0, 429, 0)]
)
async def test_the_judge_sees_what_is_urgent_and_waits(
    left: float | None, asked: int | None, broken: int
) -> None:
    """What is urgent leaves within a second, or a server has asked its process to wait."""
    scene = Scene("neighbour")
    scene.oracle.windows = Windows(cfsso.RateLimit(5, 10, reserve=2))
    scene.sends(LIST, 18.0, ended=19.0, status=asked)
    if left is not None:
        scene.sends(PATCH, left)
    goes_at_once(scene.oracle, scene.program, CONNECTOR, 20.0)

    assert broken == len(scene.oracle.broken)


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("told", "later", "cut", "broken"),
    [
        ("changed", [(30.0, 4, True)], False, None),
        ("conflict", [(25.0, None, False)], False, None),
        ("changed", [], False, "and now"),
        (None, [], False, "and not known"),
        (None, [], True, None),
    ],
)
async def test_the_judge_knows_what_a_rescue_has_disabled(
    told: str | None,
    later: list[tuple[float, int | None, bool]],
    cut: bool,  # noqa: FBT001
    broken: str | None,
) -> None:
    """A revert of a rescue enables all of it, but for what others wrote and nobody recorded."""
    scene = Scene("glass")
    shown = {"id": CONNECTOR, "email_domain": "a.example", "use_fedramp_language": False}
    shown["enabled"] = True
    track = Track(ACCOUNT, shown)
    scene.oracle.truth.tracks[track.id] = track
    for moment, writer, enabled in [(20.0, 3, False), *later]:
        track.versions.append(Version(moment, shown | {"enabled": enabled}, writer))
    scene.program.cut = cut
    program = Program(Process(4, "revert", Random(1), 0.0))  # noqa: S311 - a disk
    program.told = {} if told is None else {CONNECTOR: told}
    has_taken_back(scene.oracle, scene.program, program)

    assert (broken is not None) == bool(scene.oracle.broken)
    assert (broken or "") in "".join(scene.oracle.broken)
