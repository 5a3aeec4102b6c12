"""Whole worlds, and the judge who watches them."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from sim_oracle import Credential, Oracle
from sim_report import FLOORS, Report, reachable_cells
from sim_scenarios import most_in
from sim_truth import Op, Track, Truth
from sim_world import simulate

import cfsso
from cfsso import Request, Response, Settlement, UnconfirmedWriteError, WriteState
from cfsso.testing import run_in_virtual_time

HERE: Final = Path(__file__).parent
REGRESSIONS: Final = json.loads((HERE / "regression_seeds.json").read_text("utf-8"))
ACCOUNT: Final = "a" * 32
ITEM: Final = f"/accounts/{ACCOUNT}/sso_connectors/{'c' * 32}"
PATCH: Final = Request("PATCH", ITEM, b'{"enabled":true}')
GET: Final = Request("GET", ITEM)
POST: Final = Request("POST", f"/accounts/{ACCOUNT}/sso_connectors", b"{}")
SHOWN: Final[dict[str, Any]] = {
    "id": "c" * 32,
    "email_domain": "a.example",
    "enabled": False,
    "use_fedramp_language": False,
    "verification": {"status": "verified"},
    "updated_on": "2026-03-04T11:00:09.1234Z",
}


@pytest.mark.parametrize("seed", range(40))
def test_no_rule_is_broken_in_a_world(seed: int) -> None:
    """Whatever goes wrong in a world, no rule is broken, and a full run asks for much."""
    report = simulate(seed)

    assert {} == report.broken
    assert report.counts["update"] > 50


@pytest.mark.parametrize("found", REGRESSIONS, ids=[str(found["seed"]) for found in REGRESSIONS])
def test_what_once_broke_a_rule_does_so_no_more(found: dict[str, Any]) -> None:
    """A seed that once showed a bug shows none."""
    assert {} == simulate(found["seed"]).broken, found["was"]


def test_a_seed_is_the_same_world_each_time() -> None:
    """Two runs of a seed do the same at the same times; another seed does not."""
    first = simulate(7, keeps_trace=True)

    assert len(first.trace) > 100
    assert first.digest == simulate(7, keeps_trace=True).digest
    assert first.digest != simulate(8, keeps_trace=True).digest


def test_a_seed_is_the_same_world_in_another_process() -> None:
    """Neither the order of hashes nor what ran before has a say."""
    code = "from sim_world import simulate; print(simulate(7, keeps_trace=True).digest)"
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

    assert {simulate(7, keeps_trace=True).digest} == found


class Scene:
    """A judge, one connector, and one call of it, to be told false facts."""

    def __init__(self, kind: str = "update", write: Request | None = PATCH) -> None:
        self.oracle = Oracle(Truth())
        self.credential = Credential(cfsso.RateLimit(2, 10))
        self.oracle.credentials[ACCOUNT] = self.credential
        self.track: Track = self.oracle.truth.add(ACCOUNT, SHOWN, 0.0, None)
        self.op = self.call(kind, write)

    def call(self, kind: str = "update", write: Request | None = PATCH) -> Op:
        """Begin a call."""
        op = Op(0, kind, write)
        op.track = self.track
        op.wished = {"enabled": True} if kind == "update" else {}
        self.oracle.begins(op)
        return op

    def send(self, request: Request = PATCH, status: int = 200, **headers: str) -> None:
        """Let the call send *request*; the server has nothing of it."""
        self.oracle.leaves(self.op, request, ACCOUNT)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.oracle.answers(self.op, request, Response(status, named, b""), ACCOUNT)

    def arrive(self, request: Request = PATCH, status: int = 200) -> None:
        """Let *request* arrive."""
        body = json.dumps({"result": SHOWN}, separators=(",", ":")).encode()
        now = asyncio.get_running_loop().time()
        self.oracle.arrives(self.op, ACCOUNT, request, Response(status, {}, body), now)

    def someone_writes(self) -> None:
        """Let somebody else switch the wording."""
        body = json.dumps({"result": SHOWN}, separators=(",", ":")).encode()
        request = Request("PATCH", ITEM, b'{"use_fedramp_language":true}')
        self.oracle.truth.accept(request, body, asyncio.get_running_loop().time(), None)

    def give(self, **members: Any) -> None:
        """Let the call return a connector."""
        shown = cfsso.SSOConnector(
            **{"id": "c" * 32, "enabled": True, "use_fedramp_language": False, **members}
        )
        self.oracle.returned(self.op, shown, 0.0)

    def fail(self, error: Exception) -> None:
        """Let the call raise."""
        self.oracle.raised(self.op, error, 0.0)


async def _false_success(scene: Scene) -> None:
    scene.send()
    scene.give()


async def _wrong_connector(scene: Scene) -> None:
    scene.give(id="d" * 32)


async def _other_value(scene: Scene) -> None:
    scene.give(enabled=False)


async def _refused_and_done(scene: Scene) -> None:
    scene.arrive()
    scene.fail(cfsso.BadRequestError("no", write=WriteState.REFUSED))


async def _done_after_refusal(scene: Scene) -> None:
    scene.fail(cfsso.APIConnectionError("no", write=WriteState.NOT_SENT))
    scene.arrive()


async def _no_state(scene: Scene) -> None:
    scene.fail(cfsso.APIConnectionError("no"))


async def _strange(scene: Scene) -> None:
    scene.fail(KeyError("no"))


async def _hidden(scene: Scene) -> None:
    error = cfsso.APIConnectionError("no", write=WriteState.UNKNOWN)
    error.__cause__ = KeyError("no")
    scene.fail(error)


async def _unasked_value(scene: Scene) -> None:
    scene.arrive(Request("PATCH", ITEM, b'{"enabled":false}'))


async def _unasked_target(scene: Scene) -> None:
    scene.arrive(Request("DELETE", ITEM))


async def _too_many(scene: Scene) -> None:
    for _ in range(3):
        scene.arrive(GET)


async def _own_429(scene: Scene) -> None:
    scene.arrive(GET, 429)


async def _before_retry_after(scene: Scene) -> None:
    scene.send(GET, 429, retry_after="30")
    await asyncio.sleep(29)
    scene.send(GET)


async def _no_probe(scene: Scene) -> None:
    scene.send(GET, 503, retry_after="5")
    await asyncio.sleep(5)
    scene.oracle.leaves(scene.op, GET, ACCOUNT)
    scene.oracle.leaves(scene.call("get", None), GET, ACCOUNT)


async def _impatient(scene: Scene) -> None:
    scene.send()
    await asyncio.sleep(29)
    scene.send()


async def _third(scene: Scene) -> None:
    for _ in range(3):
        scene.send()
        await asyncio.sleep(30)


async def _blind_to_others(scene: Scene) -> None:
    scene.send()
    await asyncio.sleep(1)
    scene.someone_writes()
    scene.oracle.leaves(scene.op, GET, ACCOUNT)
    scene.arrive(GET)
    scene.oracle.answers(scene.op, GET, Response(200, {}, b""), ACCOUNT)
    await asyncio.sleep(30)
    scene.send()


async def _after_the_end(scene: Scene) -> None:
    scene.fail(cfsso.BadRequestError("no", write=WriteState.REFUSED))
    scene.send(GET)


async def _twice(scene: Scene) -> None:
    for _ in range(2):
        scene.fail(cfsso.BadRequestError("no", write=WriteState.REFUSED))


async def _false_conflict(scene: Scene) -> None:
    await asyncio.sleep(10)
    scene.op.began = 10.0
    scene.send()
    scene.fail(UnconfirmedWriteError("?", settlement=Settlement.CONFLICT, write=WriteState.UNKNOWN))


async def _false_gone(scene: Scene) -> None:
    scene.fail(UnconfirmedWriteError("?", settlement=Settlement.GONE, write=WriteState.UNKNOWN))


async def _late(scene: Scene) -> None:
    scene.op.deadline = scene.op.max_wait = 1.0
    scene.oracle.raised(scene.op, cfsso.APITimeoutError("no", write=WriteState.UNKNOWN), 1.1)


async def _swallowed(scene: Scene) -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    scene.op.task = task
    task.cancel()
    scene.fail(cfsso.BadRequestError("no", write=WriteState.REFUSED))
    await asyncio.wait([task])


LIES: Final = {
    "it shows what never was": _false_success,
    "another connector": _wrong_connector,
    "it returns": _other_value,
    "done, but it says refused": _refused_and_done,
    "it is done after all": _done_after_refusal,
    "what became of the write": _no_state,
    "a strange error": _strange,
    "passes for one of the network": _hidden,
    "nobody asked for PATCH": _unasked_value,
    "nobody asked for DELETE": _unasked_target,
    "3 requests in 10 s": _too_many,
    "a 429 of our own making": _own_429,
    "before Retry-After": _before_retry_after,
    "probes": _no_probe,
    "sent again after 29": _impatient,
    "a third write": _third,
    "a read has shown": _blind_to_others,
    "after the call's end": _after_the_end,
    "a second result": _twice,
    "somebody else wrote": _false_conflict,
    "it says gone": _false_gone,
    "after its deadline": _late,
    "cancelled: True": _swallowed,
}


@pytest.mark.parametrize("story", LIES)
def test_the_judge_sees_what_is_wrong(story: str) -> None:
    """Each rule can be broken, and is then named."""

    async def tell() -> list[str]:
        scene = Scene()
        await LIES[story](scene)
        return scene.oracle.broken

    broken = run_in_virtual_time(tell())

    assert any(story in told for told in broken), broken


def test_the_judge_knows_a_false_delete_and_a_second_create() -> None:
    """A connector that is there was not deleted, and a create is sent once."""

    async def tell() -> list[str]:
        delete = Scene("delete", Request("DELETE", ITEM))
        delete.send(Request("DELETE", ITEM))
        delete.oracle.returned(delete.op, None, 0.0)
        create = Scene("create", POST)
        for _ in range(2):
            create.send(POST)
        return [*delete.oracle.broken, *create.oracle.broken]

    deleted, created = run_in_virtual_time(tell())

    assert "deleted, but it is there" in deleted
    assert "create is sent twice" in created


def test_the_judge_lets_pass_what_is_right() -> None:
    """A write that was done may be reported as done."""

    async def tell() -> list[str]:
        scene = Scene()
        scene.oracle.leaves(scene.op, PATCH, ACCOUNT)
        scene.arrive()
        scene.oracle.answers(scene.op, PATCH, Response(200, {}, b""), ACCOUNT)
        scene.give()
        return scene.oracle.broken

    assert [] == run_in_virtual_time(tell())


def test_figures_add_up_and_fall_short_when_they_do() -> None:
    """A sum of reports has the sum of their figures; a small one is held to be too small."""
    one = simulate(3)
    total = Report()
    total.add(one)
    total.add(one)

    assert 2 * one.counts["update"] == total.figures()["toggles"]
    assert [f"toggles: {total.counts['update']:,} of 300,000"] == [
        lack for lack in total.shortfalls() if lack.startswith("toggles")
    ]
    assert set(FLOORS) <= set(total.figures())
    assert ("stale_read", "update") not in set(reachable_cells())
    assert ("stale_read", "update, settling") in set(reachable_cells())


def test_the_most_requests_of_any_window_are_found() -> None:
    """A window holds what lies less than its length apart."""
    assert 3 == most_in([0.0, 5.0, 9.0, 10.0, 20.0], 10.0)
