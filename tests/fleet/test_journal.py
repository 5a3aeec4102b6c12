"""The journal of a run: nothing is lost in it, and it has one owner."""

import asyncio
import datetime as dt
import errno
import platform
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from journals import MOMENT, begun, connector, ending, everything, feed, intent, reopened, target

import cfsso
from cfsso._error_json import of_error
from cfsso.fleet import OutcomeStatus, _plain
from cfsso.fleet._journal import Journal
from cfsso.fleet._targets import RunKind, Target

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the name of a file that does not exist."""
    return tmp_path / "run.cfsso"


def _commits(path: Path) -> int:
    """Return how many transactions changed the file (SQLite's file change counter)."""
    return int.from_bytes(path.read_bytes()[24:28], "big")


class TestRuns:
    """What a run is, and which targets it has."""

    async def test_what_is_kept_of_a_run(self, path: Path) -> None:
        """A run is the same after the file was closed and opened, merged changes counted."""
        credentials: set[str] = set()

        async def targets() -> AsyncIterator[Target]:
            yield target(0)
            credentials.update({"token-b", "token-a"})

        journal = await Journal.create(path)
        run = await journal.begin(
            targets(),
            kind=RunKind.APPLY,
            merged=1,
            plan="d1ge57",
            credentials=credentials,
            options={"concurrency": 32, "canary": None},
        )
        await journal.finish()
        runs = journal.runs
        await journal.aclose()
        journal = await Journal.open(str(path))

        assert (1, 1, 1, "d1ge57") == (run.number, run.total, run.merged, run.plan)
        assert ("token-a", "token-b") == run.credentials
        assert {"concurrency": 32, "canary": None} == run.options
        assert {"cfsso": cfsso.__version__, "python": platform.python_version()} == run.versions
        assert run.ended is None
        assert (attrs.evolve(run, ended=runs[0].ended),) == runs == journal.runs
        assert runs[0].ended is not None
        await journal.aclose()

    async def test_runs_one_after_the_other(self, path: Path) -> None:
        """A run that takes another one back has a number and targets of its own."""
        journal = await begun(path, target(0), target(1))
        await journal.intend(0, intent(0))
        await journal.end({0: ending(0), 1: ending(1, "unchanged")})
        await journal.begin(feed([target(0)]), kind=RunKind.REVERT, reverts=1)
        await journal.intend(0, intent(0))
        await journal.intend(0, intent(0))
        await journal.aclose()
        journal = await Journal.open(path)

        assert [(1, "apply", None), (2, "revert", 1)] == [
            (run.number, run.kind, run.reverts) for run in journal.runs
        ]
        assert [target(0, intent=intent(0, 2))] == await journal.in_flight()
        assert {None: 1} == await journal.counts()
        assert {"changed": 1, "unchanged": 1} == await journal.counts(1)
        assert [0] == [one.position for one in await journal.written(1)]
        assert [0, 1] == [one.position for one in await journal.endings(run=1)]
        assert [] == await journal.endings()
        for unknown in (0, 3):
            with pytest.raises(cfsso.InvalidRequestError, match=f"no run {unknown}"):
                await journal.counts(unknown)
        await journal.aclose()

    async def test_no_run(self, path: Path) -> None:
        """A file in which no run began says so; nothing was sent by it."""
        journal = await begun(path)
        await journal.aclose()
        with sqlite3.connect(path) as database:
            database.execute("DELETE FROM runs")
            database.execute("DELETE FROM tallies")
        database.close()
        journal = await Journal.open(path)

        with pytest.raises(cfsso.InvalidRequestError, match="nothing was sent: delete the file"):
            _ = journal.run
        with pytest.raises(cfsso.InvalidRequestError, match="no run began"):
            await journal.finish()
        await journal.aclose()
        journal = await Journal.open(path, readonly=True)
        assert () == journal.runs
        await journal.aclose()

    async def test_every_field_of_a_target(self, path: Path) -> None:
        """Targets come back as they were given, in the order of rank, account and position."""
        error = cfsso.UnconfirmedWriteError(
            "it may have happened",
            write=cfsso.WriteState.UNKNOWN,
            settlement=cfsso.Settlement.CONFLICT,
            found=connector(3),
            request=cfsso.Request("PATCH", "/accounts", b'{"enabled":true}'),
        )
        failed = ending(3, "unknown", error=error, note="a \N{SNOWMAN}", before=None, after=None)
        given = [
            target(0, 7, rank=1, needs=3, expected=connector(0)),
            target(1, 8, wished={"enabled": False, "use_fedramp_language": True}),
            target(2, 7, rank=-1, ending=ending(2, "blocked", note="no such connector")),
            target(3, 8, holds={"enabled": True}, unsettled=True),
        ]
        journal = await begun(path, *given)
        await journal.end({3: failed})
        found = await everything(journal)
        await journal.aclose()

        turned = [attrs.evolve(given[n], turn=turn) for n, turn in ((2, 0), (1, 1), (3, 1), (0, 0))]
        assert turned == [*found[:2], attrs.evolve(found[2], ending=None), found[3]]
        assert found[2].ending is not None
        assert of_error(error) == of_error(found[2].ending.error or error)
        assert type(error) is type(found[2].ending.error)
        assert attrs.evolve(failed, error=None) == attrs.evolve(found[2].ending, error=None)
        assert {"blocked": 1, "unknown": 1, None: 2} == await _counts(path)

    async def test_pages(self, path: Path) -> None:
        """Pages go through thousands of targets, each once; the open ones alone if asked for."""
        journal = await begun(path, *(target(n, n // 2, rank=n % 3) for n in range(2500)))
        await journal.end({n: ending(n) for n in range(0, 2500, 5)})
        everyone = await everything(journal)
        left = await journal.pages(limit=5000)

        assert 2500 == len(everyone)
        assert sorted(everyone, key=lambda one: one.place) == everyone
        assert [one for one in everyone if one.ending is None] == left
        assert left[7:10] == await journal.pages(after=left[6].place, limit=3)
        assert [] == await journal.pages(after=left[-1].place)
        ended = await journal.endings(after_position=10, limit=2)
        assert [15, 20] == [one.position for one in ended]
        await journal.aclose()

    async def test_a_connector_that_stands_twice(self, path: Path) -> None:
        """A connector has one target; what says otherwise is refused, and nothing stays."""
        journal = await Journal.create(path)
        again = attrs.evolve(target(0), position=1500)
        targets = [*map(target, range(1500)), again]

        with pytest.raises(cfsso.InvalidRequestError) as caught:
            await journal.begin(feed(targets), kind=RunKind.APPLY)

        assert f"connector {0:032x} of account a{0:031x} stands twice" == str(caught.value)
        assert () == journal.runs
        await journal.begin(feed([target(4)]), kind=RunKind.APPLY)
        assert [target(4)] == await everything(journal)
        await journal.aclose()
        assert [target(4)] == await reopened(path)

    async def test_a_position_that_stands_twice(self) -> None:
        """Two connectors can't have one position."""
        journal = await Journal.create(None)
        targets = feed([target(0), attrs.evolve(target(1), position=0)])

        with pytest.raises(cfsso.InvalidRequestError, match="position 0 stands twice"):
            await journal.begin(targets, kind=RunKind.APPLY)
        await journal.aclose()

    async def test_targets_that_fail(self, path: Path) -> None:
        """What the targets' iterator raises passes through, and an earlier run stays as it was."""

        async def targets() -> AsyncIterator[Target]:
            yield target(0, ending=ending(0))
            raise OSError(errno.ENOENT, "the plan is gone")

        journal = await begun(path, target(0), target(1))
        await journal.end({0: ending(0)})

        with pytest.raises(OSError, match="the plan is gone"):
            await journal.begin(targets(), kind=RunKind.APPLY)
        await journal.end({1: ending(1)})
        await journal.aclose()

        assert {"changed": 2} == await _counts(path)

    async def test_a_run_that_is_cancelled(self) -> None:
        """Whoever is cancelled while a run begins leaves nothing of it."""
        ready = asyncio.Event()

        async def targets() -> AsyncIterator[Target]:
            yield target(0)
            ready.set()
            await asyncio.sleep(3600)

        journal = await Journal.create(None)
        task = asyncio.create_task(journal.begin(targets(), kind=RunKind.APPLY))
        await ready.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert () == journal.runs
        await journal.aclose()


async def _counts(path: Path) -> dict[Any, int]:
    journal = await Journal.open(path, readonly=True)
    counts = await journal.counts()
    await journal.aclose()
    return dict(counts)


class TestRecords:
    """Intents and endings."""

    async def test_durable_at_return(self, path: Path) -> None:
        """What is written can be read by others as soon as the call returns."""
        journal = await begun(path, target(0))

        await journal.intend(0, intent(0))
        assert [target(0, intent=intent(0, 1))] == await reopened(path)
        await journal.end({0: ending(0)})
        assert [target(0, intent=intent(0, 1), ending=ending(0))] == await reopened(path)
        await journal.aclose()

    async def test_in_flight(self, path: Path) -> None:
        """In flight is what has an intent and no ending that is known for good."""
        journal = await begun(path, *map(target, range(5)))
        for position in (3, 1, 2, 0):
            await journal.intend(position, intent(position))
        await journal.end({1: ending(1), 2: ending(2, "unknown"), 4: ending(4, "unchanged")})
        await journal.forget(0)
        expected = [
            target(3, intent=intent(3, 1)),
            target(2, intent=intent(2, 3), ending=ending(2, "unknown")),
        ]

        assert expected == await journal.in_flight()
        assert [2, 1, 3] == [one.position for one in await journal.written(1)]
        assert [1] == [one.position for one in await journal.written(1, before_number=3, limit=1)]
        assert target(0) == await journal.find(0)
        assert {"changed": 1, "unchanged": 1, "unknown": 1, None: 2} == await journal.counts()
        await journal.aclose()

    async def test_an_unknown_ending(self, path: Path) -> None:
        """An unknown ending may be replaced; it keeps its intent, and counts once."""
        journal = await begun(path, target(0))
        await journal.intend(0, intent(0))
        await journal.end({0: ending(0, "unknown")})
        await journal.end({0: ending(0, "unknown", note="still")})
        await journal.end({0: ending(0)})
        await journal.aclose()

        assert [target(0, intent=intent(0, 1), ending=ending(0))] == await reopened(path)
        assert {"changed": 1} == await _counts(path)

    async def test_a_second_intent(self, path: Path) -> None:
        """The later intent of a target counts; once it is taken back, the earlier one."""
        journal = await begun(path, target(0), target(1))
        for position in (0, 1, 0):
            await journal.intend(position, intent(position))

        assert [(1, 2), (0, 3)] == await _in_flight(journal)
        assert [0, 1] == [one.position for one in await journal.written(1)]
        await journal.forget(0)
        assert [(0, 1), (1, 2)] == await _in_flight(journal)
        await journal.forget(0)
        assert [(1, 2)] == await _in_flight(journal)
        with pytest.raises(cfsso.InvalidRequestError, match="target 0 of run 1 has no intent"):
            await journal.forget(0)
        await journal.intend(0, intent(0))
        assert [(1, 2), (0, 4)] == await _in_flight(journal)
        await journal.aclose()
        assert {None: 2} == await _counts(path)

    async def test_the_last_that_was_taken_back(self, path: Path) -> None:
        """Of all intents that were taken back the youngest is known, by its time."""
        journal = await begun(path, target(0), target(1))
        later = attrs.evolve(intent(1), at=MOMENT.replace(microsecond=0, second=10))
        assert await journal.last_taken_back() is None
        await journal.intend(0, intent(0))
        await journal.intend(1, later)
        await journal.forget(0)
        assert intent(0).at == await journal.last_taken_back()
        await journal.forget(1)
        assert later.at == await journal.last_taken_back()
        await journal.aclose()

    async def test_reopening_what_failed(self, path: Path) -> None:
        """Failed targets are open again with their reasons, not in flight; all others stay."""
        journal = await begun(path, *map(target, range(4)))
        for position in (0, 1, 3):
            await journal.intend(position, intent(position))
        refused = ending(1, "failed", note="refused")
        endings = {0: ending(0), 1: refused, 2: ending(2, "failed"), 3: ending(3, "unknown")}
        await journal.end(endings)
        await journal.finish()

        assert 2 == await journal.reopen_failed()
        await journal.aclose()
        journal = await Journal.open(path)

        assert journal.run.ended is None
        assert [
            target(1, ending=attrs.evolve(refused, status=OutcomeStatus.NOT_ATTEMPTED)),
            target(2, ending=ending(2, "not_attempted")),
            target(3, intent=intent(3, 3), ending=ending(3, "unknown")),
        ] == await journal.pages()
        assert [3] == [one.position for one in await journal.in_flight()]
        assert {"changed": 1, "not_attempted": 2, "unknown": 1} == await journal.counts()
        assert 0 == await journal.reopen_failed()
        await journal.intend(1, intent(1))
        await journal.end({1: ending(1), 2: ending(2, "unchanged")})
        assert {"changed": 2, "unchanged": 1, "unknown": 1} == await journal.counts()
        await journal.aclose()

    async def test_reopening_where_nothing_failed(self, path: Path) -> None:
        """A finished run without a failed target stays finished."""
        journal = await begun(path, target(0))
        await journal.end({0: ending(0)})
        await journal.finish()

        assert 0 == await journal.reopen_failed()
        assert journal.run.ended is not None
        await journal.aclose()

    async def test_what_is_refused(self, path: Path) -> None:
        """A target ends once, and only targets that there are can be written about."""
        journal = await begun(path, target(0), target(1))
        await journal.end({0: ending(0)})

        with pytest.raises(cfsso.InvalidRequestError, match="target 0 of run 1 has ended as chang"):
            await journal.end({1: ending(1), 0: ending(0, "failed")})
        with pytest.raises(cfsso.InvalidRequestError, match="run 1 has no target 7"):
            await journal.end({7: ending(7)})
        with pytest.raises(cfsso.InvalidRequestError, match="run 1 has no target 7"):
            await journal.intend(7, intent(7))
        with pytest.raises(cfsso.InvalidRequestError, match="run 1 has no target 7"):
            await journal.find(7)
        await journal.aclose()

        assert [target(0, ending=ending(0)), target(1)] == await reopened(path)

    async def test_shared_commits(self, path: Path) -> None:
        """32 intents at once need 2 commits at most, and a refused one hinders no other."""
        journal = await begun(path, *map(target, range(32)))
        before = _commits(path)

        results = await asyncio.gather(
            *(journal.intend(n, intent(n)) for n in [*range(16), 99, *range(16, 32)]),
            return_exceptions=True,
        )

        assert 2 >= _commits(path) - before
        assert 32 == results.count(None)
        assert isinstance(results[16], cfsso.InvalidRequestError)
        assert 32 == len(await journal.in_flight())
        await journal.aclose()

    async def test_waves(self, path: Path) -> None:
        """What comes while a commit is under way goes with the next one."""
        journal = await begun(path, *map(target, range(60)))
        before = _commits(path)

        async def work(first: int) -> None:
            for position in range(first, first + 3):
                await journal.intend(position, intent(position))
                await journal.end({position: ending(position)})

        await asyncio.gather(*(work(first) for first in range(0, 60, 3)))

        assert 12 >= _commits(path) - before
        assert {"changed": 60} == await journal.counts()
        await journal.aclose()

    async def test_a_cancelled_caller(self, path: Path) -> None:
        """Whoever is cancelled takes no record of others along."""
        journal = await begun(path, *map(target, range(8)))
        tasks = [asyncio.create_task(journal.intend(n, intent(n))) for n in range(8)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)
        tasks[5].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await journal.end({n: ending(n) for n in range(8)})
        await journal.aclose()

        assert [0, 5] == [n for n, result in enumerate(results) if result is not None]
        assert {1, 2, 3, 4, 6, 7} <= {one.position for one in await reopened(path) if one.intent}

    async def test_closing_during_a_commit(self, path: Path) -> None:
        """What was handed in before the journal is closed is written, and then it is closed."""
        journal = await begun(path, *map(target, range(3)))
        writing = []
        for position in range(3):
            writing.append(asyncio.create_task(journal.intend(position, intent(position))))
            await asyncio.sleep(0)
        await journal.aclose()
        await asyncio.gather(*writing)

        assert [0, 1, 2] == [one.position for one in await reopened(path) if one.intent]

    async def test_activity(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Requests are counted by second and token, over all commits and the last of them."""
        first = MOMENT.replace(microsecond=0)
        milliseconds = 0
        monkeypatch.setattr(_plain, "now", lambda: first + dt.timedelta(milliseconds=milliseconds))
        journal = await Journal.create(path)
        journal.count("b")
        milliseconds = 999
        journal.count("a")
        journal.count("b")
        await journal.begin(feed([target(0)]), kind=RunKind.APPLY)
        journal.count("b")
        await journal.intend(0, intent(0))
        milliseconds = 2001
        journal.count("a")
        await journal.aclose()
        reader = await Journal.open(path, readonly=True)
        last = first + dt.timedelta(seconds=2)

        assert [(first, "a", 1), (first, "b", 3), (last, "a", 1)] == await reader.activity()
        assert await reader.activity(1) == await reader.activity()
        await reader.aclose()


async def _in_flight(journal: Journal) -> list[tuple[int, int]]:
    return [(one.position, one.intent.number) for one in await journal.in_flight() if one.intent]
