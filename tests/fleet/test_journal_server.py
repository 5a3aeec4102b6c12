"""A journal belongs to one server, and what refuses to go on with it leaves it as it is."""

import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from journals import begun, intent, target
from worlds import Through, World

import cfsso
from cfsso.fleet import Outcome, apply, break_glass, read_journal, resume, revert
from cfsso.fleet import OutcomeStatus as Status
from cfsso.fleet._journal import Journal

pytestmark = pytest.mark.virtual_time

DATA = Path(__file__).with_name("data")
API = "https://api.cloudflare.com/client/v4"
Act = Callable[..., AsyncIterator[Outcome]]


class At(Through):
    """A transport to an emulator that calls itself as it is told."""

    def __init__(self, cloud: cfsso.CloudflareEmulator, server: str) -> None:
        super().__init__(cloud)
        self.server = server


async def taken(outcomes: AsyncIterator[Outcome]) -> list[Status]:
    """Take all outcomes; return how they ended."""
    return [outcome.status async for outcome in outcomes]


def connectors_of(cloud: cfsso.CloudflareEmulator, server: str | None = None) -> Any:
    """Return the connectors of *cloud*, which is reached as *server* unless it says itself."""
    transport = cfsso.InMemoryTransport(cloud) if server is None else At(cloud, server)
    return cfsso.AsyncSSOConnectors(transport)


def found(path: Path) -> tuple[Any, ...]:
    """Return all that can be seen of a file and of what lies beside it."""
    status = path.stat()
    beside = sorted((one.name, one.stat().st_size) for one in path.parent.iterdir())
    return path.read_bytes(), status.st_mtime_ns, status.st_ino, status.st_mode, beside


def make_hot(path: Path) -> None:
    """Leave something beside a file that SQLite would deal with before it reads anything."""
    path.with_name(f"{path.name}-journal").write_bytes(os.urandom(2000))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the name of a file that does not exist."""
    return tmp_path / "run.cfsso"


class TestServers:
    """Which server a journal belongs to."""

    async def test_of_a_run(self, path: Path) -> None:
        """A journal says which server its run reached, before and after it is opened again."""
        world = World.of("verified", "verified")
        await taken(apply(connectors_of(world.cloud, API), world.changes, journal=path))

        async with await read_journal(path) as reader:
            assert (API, API, 2) == (reader.server, reader.latest.server, reader.latest.written)
        assert [Status.CHANGED] * 2 == await taken(revert(connectors_of(world.cloud, API), path))
        async with await read_journal(path) as reader:
            assert [API, API] == [run.server for run in reader.runs]

    @pytest.mark.parametrize("act", [resume, revert])
    @pytest.mark.parametrize(
        ("there", "here", "words"),
        [
            (API, "emulated:1a2b3c4d", f"{API}, not to the emulated Cloudflare 1a2b3c4d"),
            ("emulated:1a2b3c4d", API, f"the emulated Cloudflare 1a2b3c4d, not to {API}"),
            (
                API,
                "http://127.0.0.1:8080/client/v4",
                f"{API}, not to http://127.0.0.1:8080/client/v4",
            ),
        ],
    )
    async def test_another_one(
        self, path: Path, act: Act, there: str, here: str, words: str
    ) -> None:
        """It is refused with both named; nothing is sent, and the file stays as it is."""
        world = World.of("verified")
        await taken(apply(connectors_of(world.cloud, there), world.changes, journal=path))
        before = found(path)
        connectors = connectors_of(world.cloud, here)
        sent = len(world.cloud.requests)

        with pytest.raises(cfsso.InvalidRequestError) as caught:
            await taken(act(connectors, path))

        assert f"{path} belongs to {words}; nothing was sent" == str(caught.value)
        assert before == found(path)
        assert sent == len(world.cloud.requests)
        assert [Status.CHANGED] == await taken(revert(connectors_of(world.cloud, there), path))

    async def test_a_rehearsal(self, path: Path, tmp_path: Path) -> None:
        """A revert that is rehearsed on an emulator does not use up the real one."""
        world = World.of("verified", "verified")
        await taken(apply(connectors_of(world.cloud, API), world.changes, journal=path))
        world.cloud.save(tmp_path / "cloud.json")
        rehearsal = cfsso.CloudflareEmulator.load(tmp_path / "cloud.json")

        with pytest.raises(cfsso.InvalidRequestError, match="not to the emulated Cloudflare"):
            await taken(revert(connectors_of(rehearsal), path))
        assert [Status.CHANGED] * 2 == await taken(revert(connectors_of(world.cloud, API), path))

    @pytest.mark.parametrize("there", ["", API])
    async def test_one_that_does_not_say(self, path: Path, there: str) -> None:
        """A transport without a name is refused nothing, and what was known stays known."""
        world = World.of("verified")
        await taken(apply(connectors_of(world.cloud, there), world.changes, journal=path))

        assert [Status.CHANGED] == await taken(revert(connectors_of(world.cloud, ""), path))
        async with await read_journal(path) as reader:
            assert there == reader.server
        assert [Status.CHANGED] == await taken(revert(connectors_of(world.cloud, API), path))
        async with await read_journal(path) as reader:
            assert API == reader.server

    async def test_what_was_begun_when_its_owner_was_killed(self, path: Path) -> None:
        """A refused journal keeps even what SQLite would take back."""
        await (await begun(path, *map(target, range(3)))).aclose()
        journal = await Journal.open(path, server=API)
        await journal.intend(0, intent(0))
        await journal.aclose()
        make_hot(path)
        before = found(path)

        with pytest.raises(cfsso.InvalidRequestError, match="belongs to https://api"):
            await Journal.open(path, server="emulated:00000000")
        assert before == found(path)


class TestRefusals:
    """What is refused for another reason stays as it is, too."""

    async def test_a_rescue_whose_revert_was_killed(self, path: Path) -> None:
        """A rescue is not resumed, and what a killed writer left beside its journal stays there."""
        world = World.of("enabled")
        await taken(break_glass(connectors_of(world.cloud), world.cloud.accounts, journal=path))
        make_hot(path)
        before = found(path)

        with pytest.raises(cfsso.InvalidRequestError, match="is the journal of a rescue"):
            await taken(resume(connectors_of(world.cloud), path))
        assert before == found(path)

    async def test_a_number_that_is_out_of_range(self, path: Path) -> None:
        """An argument that can't be used is no reason to touch the file."""
        world = World.of("verified")
        await taken(apply(connectors_of(world.cloud), world.changes, journal=path))
        before = found(path)

        with pytest.raises(cfsso.InvalidRequestError, match="concurrency"):
            await taken(resume(connectors_of(world.cloud), path, concurrency=0))
        assert before == found(path)

    async def test_a_run_that_is_shown_again(self, path: Path) -> None:
        """A finished run that is shown again keeps the time at which it ended."""
        world = World.of("verified")
        await taken(apply(connectors_of(world.cloud), world.changes, journal=path))
        async with await read_journal(path) as reader:
            ended = reader.latest.ended
        for act in (resume, revert, revert, resume):
            assert [Status.CHANGED] == await taken(act(connectors_of(world.cloud), path))

        async with await read_journal(path) as reader:
            assert ended == reader.runs[0].ended
            first_revert = reader.runs[1].ended
        assert first_revert is not None
        async with await read_journal(path) as reader:
            assert [ended, first_revert] == [run.ended for run in reader.runs]


def cloud_of(name: str) -> cfsso.CloudflareEmulator:
    """Return the cloud as it was when a journal of format 1 was left."""
    return cfsso.CloudflareEmulator.load(DATA / f"{name}.json", rate_limit=None)


class TestFormatOne:
    """Journals of the release before: ``data/format-1*.cfsso``, made by its code."""

    @pytest.fixture
    def finished(self, path: Path) -> Path:
        """Return a copy of one whose run came to its end, with a failure and a doubt."""
        shutil.copyfile(DATA / "format-1.cfsso", path)
        return path

    @pytest.fixture
    def cut_off(self, path: Path) -> Path:
        """Return a copy of one whose process was killed during the third of four writes."""
        shutil.copyfile(DATA / "format-1-cut-off.cfsso", path)
        return path

    async def test_reading(self, finished: Path) -> None:
        """It is reported as it was, and stays of its format."""
        before = found(finished)
        async with await read_journal(finished) as reader:
            recorded = [one.outcome async for one in reader.targets()]
            run = reader.latest

        assert ["changed", "failed", "unknown", "changed", "blocked"] == [
            str(one.status) for one in recorded
        ]
        assert isinstance(recorded[1].error, cfsso.PermissionDeniedError)
        assert ("", "", 4, None) == (reader.server, run.server, run.written, run.ended)
        assert before == found(finished)

    async def test_resuming(self, cut_off: Path) -> None:
        """What was left is done, and from then on the journal knows its server."""
        cloud = cloud_of("format-1-cut-off")

        assert [Status.CHANGED] * 4 == await taken(resume(connectors_of(cloud), cut_off))

        (account,) = cloud.accounts
        assert [True] * 4 == [one.enabled for one in cloud.connectors(account)]
        async with await read_journal(cut_off) as reader:
            assert f"emulated:{cloud.identity}" == reader.server == reader.latest.server
        with pytest.raises(cfsso.InvalidRequestError, match="belongs to the emulated Cloudflare"):
            await taken(revert(connectors_of(cloud, API), cut_off))
        assert [Status.CHANGED] * 4 == await taken(revert(connectors_of(cloud), cut_off))
        assert [False] * 4 == [one.enabled for one in cloud.connectors(account)]

    @pytest.mark.parametrize("name", ["format-1", "format-1-cut-off"])
    async def test_reverting(self, path: Path, name: str) -> None:
        """What it wrote is taken back, what was in doubt is settled first."""
        shutil.copyfile(DATA / f"{name}.cfsso", path)
        cloud = cloud_of(name)
        (account,) = cloud.accounts
        assert any(one.enabled for one in cloud.connectors(account))

        assert {Status.CHANGED} == set(await taken(revert(connectors_of(cloud), path)))

        assert [False] * 4 == [one.enabled for one in cloud.connectors(account)]

    async def test_opening_alone(self, finished: Path) -> None:
        """Opening it, and closing it unused, does not touch it."""
        before = found(finished)
        journal = await Journal.open(finished, server=API)
        assert ("", 1) == (journal.server, len(journal.runs))
        await journal.aclose()

        assert before == found(finished)
