"""A damaged journal is refused with its place named, or gives what was written; nothing else."""

import contextlib
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from journals import begun, connector, ending, everything, intent, reopened, target

import cfsso
from cfsso._error_json import of_error
from cfsso.fleet import _rows
from cfsso.fleet._journal import Journal
from cfsso.fleet._targets import RunKind, Target

_EVERY_BYTE = "CFSSO_EVERY_BYTE"
_PATIENT = pytest.mark.timeout(0 if os.environ.get(_EVERY_BYTE) else 60)
_TARGETS = 50
# How SQLite and we call what can't be used; always after the name of the file.
_WORDS = re.compile(
    r" is no journal of cfsso(, but empty: delete it and start again)?; nothing was sent"
    r"| is of format \d+, and this cfsso reads 2: upgrade cfsso; nothing was sent"
    r"|: damaged(:| at) [^\n]+; nothing was sent"
    r"|: can't be written: it, or its folder, is read-only for you: copy it, and a file"
    r" [^\n]+-journal if there is one, into a folder that you can write to; nothing was sent"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder in memory, if this system has one."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - memory, no file
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


def _places(size: int, stride: int, *, whole: int = 0) -> Iterable[int]:
    """Return the first *whole* places and every so many of the others; all if asked for."""
    if os.environ.get(_EVERY_BYTE):
        return range(size)
    return [*range(whole), *range(whole, size, stride)]


async def _finish(path: Path) -> list[Target]:
    """Make a journal with a finished run, and return its targets."""
    journal = await begun(path, *(target(n, n // 3, rank=n % 2) for n in range(_TARGETS)))
    for n in range(_TARGETS):
        journal.count("token")
        await journal.intend(n, intent(n))
    error = cfsso.InternalServerError("it failed", write=cfsso.WriteState.UNKNOWN, status=500)
    await journal.end({n: ending(n) for n in range(_TARGETS - 1)})
    await journal.end({_TARGETS - 1: ending(_TARGETS - 1, "failed", error=error, note="why")})
    await journal.finish()
    found = await everything(journal)
    await journal.aclose()
    return found


def _plain(targets: list[Target]) -> list[Any]:
    """Return *targets* so that they can be compared: the last one's error as what it says."""
    *others, last = targets
    assert last.ending is not None
    assert last.ending.error is not None
    said = of_error(last.ending.error)
    return [*others, attrs.evolve(last, ending=attrs.evolve(last.ending, error=None)), said]


async def _is_refused(path: Path, expected: list[Any]) -> bool:
    """Open and read a journal that may be damaged; nothing but the two may happen."""
    try:
        journal = await Journal.open(path)
        try:
            assert 1 == len(journal.runs)
            assert expected == _plain(await everything(journal))
        finally:
            await journal.aclose()
    except cfsso.InvalidRequestError as error:
        text = str(error)
        assert text.startswith(str(path)), text
        assert _WORDS.fullmatch(text.removeprefix(str(path))), text
        return True
    return False


def _flipped(content: bytes, place: int, mask: int) -> bytes:
    return content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]


class TestFile:
    """
    The file itself.

    With CFSSO_EVERY_BYTE=1 in the environment every byte and every length is tried,
    which takes long; else one in so many.
    """

    @_PATIENT
    @pytest.mark.parametrize("mask", [0xFF, 0x01])
    async def test_flipped(self, folder: Path, mask: int) -> None:
        """A byte that is flipped is found, or carries nothing."""
        path = folder / "run.cfsso"
        expected = _plain(await _finish(path))
        content = path.read_bytes()
        refused = 0
        places = [*_places(len(content), 701, whole=100)]
        for place in places:
            path.write_bytes(_flipped(content, place, mask))
            refused += await _is_refused(path, expected)

        # Of such a file about a third is in use.
        assert len(places) / 3 < refused

    @_PATIENT
    async def test_cut(self, folder: Path) -> None:
        """A file that ends too early is found, wherever it ends."""
        path = folder / "run.cfsso"
        expected = _plain(await _finish(path))
        content = path.read_bytes()
        for length in _places(len(content), 997):
            path.write_bytes(content[:length])
            assert await _is_refused(path, expected), length


class TestRollbackJournal:
    """What a killed writer leaves beside the file; see `TestFile` for every byte."""

    @_PATIENT
    @pytest.mark.parametrize(
        "damage",
        [
            lambda content, place: _flipped(content, place, 0xFF),
            lambda content, place: _flipped(content, place, 0x01),
            lambda content, place: content[:place],
        ],
        ids=["flipped", "one bit flipped", "cut"],
    )
    async def test_damaged(self, folder: Path, damage: Callable[[bytes, int], bytes]) -> None:
        """What can't be taken back shows; it never becomes other targets."""
        file, path = folder / "file", folder / "run.cfsso"
        expected = _plain(await _finish(file))
        await _kill_while_it_begins(file)
        rollback = file.with_name("killed-journal").read_bytes()
        beside = path.with_name("run.cfsso-journal")
        refused = 0
        for place in _places(len(rollback), 997, whole=16):
            shutil.copyfile(file.with_name("killed"), path)
            beside.write_bytes(damage(rollback, place))
            refused += await _is_refused(path, expected)
            beside.unlink(missing_ok=True)

        assert 0 < refused

    async def test_whole(self, folder: Path) -> None:
        """What a killed writer did not commit is taken back, even by who only reads."""
        file = folder / "file"
        expected = _plain(await _finish(file))
        size = file.stat().st_size
        await _kill_while_it_begins(file)

        assert size < (folder / "killed").stat().st_size
        assert not await _is_refused(file, expected)
        assert expected == _plain(await reopened(folder / "killed"))


async def _kill_while_it_begins(file: Path) -> None:
    """Leave "killed" and "killed-journal", as of a process that was killed in a transaction."""

    async def targets() -> AsyncIterator[Target]:
        # More than SQLite keeps in memory, so that the file is written to before the commit.
        for position in range(4000):
            yield target(position, expected=seen)
        for name in ("", "-journal"):
            shutil.copyfile(f"{file}{name}", file.with_name(f"killed{name}"))
        raise EOFError

    seen = connector(0)
    journal = await Journal.open(file)
    with contextlib.suppress(EOFError):
        await journal.begin(targets(), kind=RunKind.REVERT)
    await journal.aclose()


def _edit(path: Path, *statements: str) -> None:
    """Let another program change the file."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


class TestRows:
    """What SQLite finds nothing wrong with."""

    @pytest.mark.parametrize(
        ("statement", "problem"),
        [
            (
                "UPDATE targets SET wished='{}' WHERE position=1",
                "at target 1 of run 1: its digest does not match",
            ),
            (
                "UPDATE endings SET note=x'00' WHERE position=0",
                "at the ending of target 0 of run 1: its digest does not match",
            ),
            ("UPDATE intents SET number=7", "at intent 7 of run 1: its digest does not match"),
            ("UPDATE runs SET total=2", "at run 1: its digest does not match"),
            ("UPDATE tallies SET intents=2", "at the tally of run 1: its digest does not match"),
            ("UPDATE owner SET pid=2", "at its owner: its digest does not match"),
            ("UPDATE requests SET sent=9", "at the requests of run 1 at 20"),
            ("DELETE FROM targets WHERE position=1", "at run 1: 3 targets are written down, 2 are"),
            ("DELETE FROM intents", "at run 1: 1 intents are written down, 0 are there"),
            ("DELETE FROM endings", "at run 1: 1 endings are written down, 0 are there"),
            ("UPDATE identity SET server='a'", "at its server: its digest does not match"),
            ("DELETE FROM identity", ": its server is missing"),
            ("DROP TABLE identity", ": its tables are not those of a journal"),
            ("PRAGMA user_version=1", ": its tables are not those of a journal"),
            ("PRAGMA user_version=0", ": there is no format 0"),
            ("DELETE FROM tallies", ": a run is missing"),
            ("DELETE FROM runs", ": a run is missing"),
            ("DELETE FROM runs; DELETE FROM tallies", ": a run is missing"),
            ("DROP INDEX targets_in_order", ": its tables are not those of a journal"),
            ("DROP TABLE endings", ": its tables are not those of a journal"),
            ("ALTER TABLE runs ADD COLUMN x", ": its tables are not those of a journal"),
            (
                "CREATE TRIGGER t AFTER INSERT ON endings BEGIN DELETE FROM endings; END",
                ": its tables are not those of a journal",
            ),
        ],
    )
    async def test_edited(self, folder: Path, statement: str, problem: str) -> None:
        """A row that was changed, or is missing, is named."""
        path = folder / "run.cfsso"
        await _short(path)
        _edit(path, *([statement] if "TRIGGER" in statement else statement.split(";")))

        for readonly in (False, True):
            with pytest.raises(cfsso.InvalidRequestError) as caught:
                await Journal.open(path, readonly=readonly)
            assert str(caught.value).startswith(
                f"{path}: damaged{' ' * (problem[0] != ':')}{problem}"
            )
            assert str(caught.value).endswith("; nothing was sent")

    @pytest.mark.parametrize(
        ("table", "column", "cell", "problem"),
        [
            (_rows.TARGETS, "wished", "{", "target 0 of run 1: Expecting property name "),
            (_rows.TARGETS, "expected", '{"enabled":1}', "target 0 of run 1: expected bool at "),
            (_rows.INTENTS, "before", "[]", "intent 1 of run 1: expected object at "),
            (_rows.ENDINGS, "status", "done", "the ending of target 0 of run 1: 'done' is not a "),
            (_rows.ENDINGS, "error", "{}", "the ending of target 0 of run 1: no type at $"),
        ],
    )
    async def test_another_meaning(
        self, folder: Path, table: _rows.Table, column: str, cell: str, problem: str
    ) -> None:
        """A row with a true digest that can't be understood ends what reads it."""
        path = folder / "run.cfsso"
        await _short(path)
        _forge(path, table, column, cell)
        journal = await Journal.open(path)

        with pytest.raises(cfsso.JournalError) as caught:
            await everything(journal)
        await journal.aclose()

        assert str(caught.value).startswith(f"{path}: damaged at {problem}")
        assert str(caught.value).endswith("; no more is sent")

    async def test_another_kind_of_run(self, folder: Path) -> None:
        """A run that can't be understood is refused."""
        path = folder / "run.cfsso"
        await _short(path)
        _forge(path, _rows.RUNS, "kind", "break")

        with pytest.raises(cfsso.InvalidRequestError, match="damaged at run 1: 'break' is not a v"):
            await Journal.open(path)

    async def test_damaged_meanwhile(self, folder: Path) -> None:
        """Damage that comes while a run is under way ends what reads it."""
        path = folder / "run.cfsso"
        await _short(path)
        journal = await Journal.open(path)
        _edit(path, "UPDATE endings SET note='all is well'")

        with pytest.raises(cfsso.JournalError, match="damaged at the ending of target 0 of run 1"):
            await journal.endings()
        assert [1, 2] == [one.position for one in await journal.pages()]
        await journal.aclose()


async def _short(path: Path) -> None:
    """Make a journal of three targets with an intent, an ending and a request."""
    journal = await begun(path, *map(target, range(3)))
    journal.count("token")
    await journal.intend(0, intent(0))
    await journal.end({0: ending(0)})
    await journal.aclose()


def _forge(path: Path, table: _rows.Table, column: str, cell: str) -> None:
    """Change a cell of the first row, and its digest with it."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        row = database.execute(f"SELECT * FROM {table.name} ORDER BY 1, 2").fetchone()  # noqa: S608 - a name of ours
        cells = dict(zip(table.columns, row[:-1], strict=True)) | {column: cell}
        database.execute(table.insert, table.sealed(*cells.values()))
