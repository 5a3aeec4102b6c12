"""Updates against servers on sockets that lose, cut, delay, repeat and forge."""

import re
from pathlib import Path

import pytest
from fuzz_judge import EXPLAINED, TRUE, Judge
from fuzz_truth import Call, Look, Track, Version
from fuzz_world import judged

import cfsso

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
CONNECTOR = "a47be0c2193d4f5886e1b7d0c95f3a12"


@pytest.mark.timeout(120)
def test_every_false_success_is_explained() -> None:
    """In 40 worlds of fixed seeds no success is disproved, and none is false without a reason."""
    judge = judged(range(1, 41))

    assert [] == judge.broken
    assert 300 <= judge.counts["successes"]
    assert 50 <= judge.counts["shown by GET"]
    # The worlds are bad enough.
    assert 10 <= judge.counts["success: stale reads"] + judge.counts["success: a lying answer"]


def test_the_page_has_the_sentences() -> None:
    """Each kind of a false success has its sentence in docs/reliability.md."""
    page = re.sub(r"\s+|\*\*", " ", PAGE.read_text("utf-8"))
    page = re.sub(r" +", " ", page)

    assert [] == [sentence for sentence in EXPLAINED.values() if sentence not in page]


def look(serial: int | None, time: str | None, *, enabled: bool, **others: object) -> Look:
    """Return an answer that shows such a state."""
    members = {"method": "GET", "status": 200, "dated": True, "fate": "right", **others}
    return Look(serial=serial, enabled=enabled, time=time, **members)  # type: ignore[arg-type]


OLD, NEW = "2026-03-04T11:00:09.123456Z", "2026-03-04T11:00:10.123456Z"
ON = cfsso.SSOConnector(id=CONNECTOR, enabled=True)


@pytest.mark.parametrize(
    ("looks", "kind", "broken"),
    [
        ([look(2, OLD, enabled=True)] * 2, "stale reads", False),
        ([look(2, OLD, enabled=True)], "one stale read", True),
        ([look(2, OLD, enabled=True, dated=False)], "a stale read without a Date", False),
        ([look(3, NEW, enabled=False), *[look(2, OLD, enabled=True)] * 2], "times", True),
        ([look(3, OLD, enabled=False), *[look(2, OLD, enabled=True)] * 2], "times", False),
        ([look(None, NEW, enabled=True, method="PATCH", fate="lie")], "a lying answer", False),
        ([look(2, NEW, enabled=True, fate="left over")], "an answer to another", True),
    ],
)
def test_the_judge(looks: list[Look], kind: str, broken: bool) -> None:  # noqa: FBT001
    """A success that is not so is told by how it came about, and by what denies it."""
    track = Track(CONNECTOR, [Version(2, 9.1, enabled=True), Version(3, 10.1, enabled=False)])
    call = Call(1, track, wished=True, before=None, began=3, looks=looks)
    judge = Judge()

    judge.returned(call, ON)

    assert broken is bool(judge.broken)
    assert any(name.startswith(f"success: {kind}") for name in judge.counts)


def test_the_judge_of_what_is_so() -> None:
    """What is so at the end is true, and what was so in between was overtaken."""
    states = [Version(1, 0.0, enabled=False), Version(2, 1.0, enabled=True)]
    proof = look(2, NEW, enabled=True, method="PATCH")
    kinds = []
    for more in ([], [Version(3, 2.0, enabled=False)], [Version(3, 2.0, False, 7, late=True)]):  # noqa: FBT003
        judge = Judge()
        call = Call(1, Track(CONNECTOR, [*states, *more]), True, None, 1, [proof])  # noqa: FBT003
        judge.returned(call, ON)
        assert [] == judge.broken
        kinds += [name for name in judge.counts if name.startswith("success: ")]

    overtaken = ["success: overtaken by another", "success: overtaken by a late write"]
    assert [f"success: {TRUE}", *overtaken] == kinds


def test_the_judge_of_errors() -> None:
    """An error that denies what was sent or done is a broken rule."""
    track = Track(CONNECTOR, [Version(1, 0.0, enabled=False)])
    state = cfsso.WriteState
    told = []
    for write, arrived, done in (
        (state.NOT_SENT, 0, 0),
        (state.NOT_SENT, 1, 0),
        (state.REFUSED, 1, 0),
        (state.REFUSED, 1, 1),
        (state.UNKNOWN, 1, 1),
        (None, 0, 0),
    ):
        judge = Judge()
        call = Call(1, track, True, None, 1, arrived=arrived, done=done)  # noqa: FBT003
        judge.raised(call, cfsso.CfssoError("no", write=write))
        told.append(bool(judge.broken))

    assert [False, True, False, True, False, True] == told
