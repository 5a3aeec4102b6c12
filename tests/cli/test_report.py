"""`cfsso report`: what a journal says, on the screen and as objects."""

import asyncio
import datetime as dt
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crashes import crash
from journals import MOMENT, begun, ending, feed, target
from screens import Screen
from worlds import World

import cfsso
from cfsso.cli import reports, windows
from cfsso.fleet import _plain
from cfsso.fleet._journal import Journal
from cfsso.fleet._targets import RunKind
from cfsso.testing import run_in_virtual_time


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Return where a journal is to be made."""
    return tmp_path / "rollout.cfsso"


@pytest.fixture
def applied(run: Any, cloud: Any, journal: Path) -> Any:
    """Return the records of a run of which one target is changed, one unchanged, one blocked."""
    rows = (cloud.add(), cloud.add(enabled=True), cloud.add("pending"))
    file = cloud.rollout(*(f"{cloud.account},{row},true," for row in (*rows, rows[0])))
    return run(
        *("--json", "--emulate", cloud.state, "apply", file, "--yes", "--canary", "2"),
        *("--max-failures", "5", "--journal", str(journal)),
    ).records


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what sets how many seconds after `MOMENT` it is."""

    def set_to(seconds: float) -> None:
        moment = MOMENT + dt.timedelta(seconds=seconds)
        monkeypatch.setattr(_plain, "now", lambda: moment)

    set_to(0)
    return set_to


def lines_of(ran: Any) -> dict[str, str]:
    """Return the facts above the rows, by name."""
    assert (0, "") == (ran.code, ran.err)
    head = ran.out.split("\n\n")[0].splitlines()
    return {line[:14].rstrip(): line[14:] for line in head}


@pytest.mark.usefixtures("applied")
def test_a_run_in_full(run: Any, cloud: Any, journal: Path) -> None:
    """Facts come first, then what is not green, the counts and one line; the exit code is 0."""
    ran = run("report", str(journal))

    facts = lines_of(ran)
    blocks = ran.out.split("\n\n")
    names = "journal run begun ended plan tokens requests versions options"
    assert names.split() == [*facts]
    assert (str(journal), "1 of 1: apply") == (facts["journal"], facts["run"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", facts["begun"])
    assert re.fullmatch(rf"{facts['begun'][:11]}.* UTC, after \d+\.\d s", facts["ended"])
    assert re.fullmatch("[0-9a-f]{12}", facts["plan"])
    assert "-" == facts["tokens"]
    assert "3; one token sent 3 of 1,200 in 300 s at most" == facts["requests"]
    assert facts["versions"].startswith(f"cfsso {cfsso.__version__}, python 3.")
    assert "concurrency 32, canary 2, max_failures 5" == facts["options"]
    assert f"{cloud.account}  {cloud.emulator.connectors(cloud.account)[2].id}" in blocks[1]
    assert "verification is pending" in blocks[1]
    assert [["changed", "1"], ["unchanged", "1"], ["blocked", "1"]] == [
        line.split()[:2] for line in blocks[2].splitlines()[1:]
    ]
    assert blocks[3].startswith("3 connectors in 1 account, 2 green, in ")
    assert blocks[3].endswith("; 1 repeated row merged\n")


def test_each_target_is_an_object(run: Any, applied: Any, journal: Path) -> None:
    """The objects are those of the run, in order, with the run's number and their times."""
    records = run("report", str(journal), "--json").records

    def key(record: Any) -> Any:
        return record["sso_connector_id"]

    known = {"run", "intended", "ended"}
    assert sorted(applied, key=key) == [
        {name: value for name, value in record.items() if name not in known}
        for record in sorted(records, key=key)
    ]
    written, *others = sorted(records, key=lambda record: record["status"] != "changed")
    assert {1} == {record["run"] for record in records}
    assert written["intended"].endswith("Z")
    intended, ended = (dt.datetime.fromisoformat(written[n]) for n in ("intended", "ended"))
    assert intended <= ended
    assert [None, None] == [record["intended"] for record in others]
    assert all(record["ended"] for record in others)


@pytest.mark.usefixtures("applied")
def test_each_run_of_a_journal_has_a_line(run: Any, cloud: Any, journal: Path) -> None:
    """An apply and its revert have a line each; the latest is in full, or the one asked for."""
    run("--emulate", cloud.state, "revert", str(journal), "--yes")

    latest = run("report", str(journal))
    first = run("report", str(journal), "--run", "1")

    assert "2 of 2: revert of run 1" == lines_of(latest)["run"]
    assert "1 of 2: apply" == lines_of(first)["run"]
    assert "-" == lines_of(latest)["plan"]
    assert latest.out.split("\n\n")[-1].startswith("1 connector in 1 account, ")
    assert first.out.split("\n\n")[-1].startswith("3 connectors in 1 account, 2 green")
    for ran in (latest, first):
        header, one, two = (re.split("  +", line) for line in ran.out.split("\n\n")[1].splitlines())
        assert ["RUN", "KIND", "BEGUN", "OUTCOMES"] == header
        assert ["1", "apply", "1 changed, 1 unchanged, 1 blocked"] == [*one[:2], one[3]]
        assert ["2", "revert of run 1"] == two[:2]


def test_a_run_that_was_cut_off(run: Any, journal: Path) -> None:
    """What was under way is unknown, the rest not attempted, and the exit code is 0 still."""
    world = World.of("verified", "verified", "verified")
    run_in_virtual_time(
        crash(
            world,
            journal,
            2,
            lambda c, path: cfsso.fleet.apply(c, world.changes, journal=path),
            done=False,
        )
    )

    ran = run("report", str(journal))
    statuses = [record["status"] for record in run("--json", "report", str(journal)).records]

    note = "not ended: what it has not come to yet counts as not_attempted"
    assert note == lines_of(ran)["ended"]
    assert "unknown" in statuses
    assert {"unknown", "not_attempted", "changed"} >= {*statuses}
    assert "under way when the run was cut off: resume settles it" in ran.out


async def test_a_run_that_is_under_way(run: Any, journal: Path) -> None:
    """A journal that somebody writes can be reported, and is not written to."""
    held = await begun(journal, target(0), target(1))
    try:
        await held.end({0: ending(0)})
        before = await asyncio.to_thread(journal.read_bytes)
        ran = await asyncio.to_thread(run, "report", str(journal), "--json")
        assert before == await asyncio.to_thread(journal.read_bytes)
    finally:
        await held.aclose()

    assert ["changed", "not_attempted"] == [record["status"] for record in ran.records]
    assert MOMENT == dt.datetime.fromisoformat(ran.records[0]["ended"])
    assert ran.records[1]["ended"] is None


def test_a_run_of_nothing(run: Any, journal: Path) -> None:
    """A run without targets, requests and tokens has a report too."""

    async def make() -> None:
        made = await begun(journal)
        await begun_again(made)
        await made.aclose()

    async def begun_again(made: Journal) -> None:
        await made.finish()
        await made.begin(feed([]), kind=RunKind.REVERT, reverts=1)

    asyncio.run(make())

    ran = run("report", str(journal))

    facts = lines_of(ran)
    assert ["-", "-", "none", "-"] == [facts[n] for n in ("plan", "tokens", "requests", "options")]
    assert "1    apply" in ran.out
    assert ran.out.split("\n\n")[1].endswith("no targets; not ended")
    assert "0 connectors in 0 accounts, 0 green, in 0.0 s (at once)\n" in ran.out


def test_many_tokens(run: Any, journal: Path, clock: Any) -> None:
    """Of the tokens the first few are named; requests count by the busiest of them."""

    async def make() -> None:
        made = await Journal.create(journal)
        options = {"concurrency": 1, "canary": 0, "max_failures": None}
        tokens = [f"{number:08x}" for number in range(9)]
        await made.begin(feed([target(0)]), kind=RunKind.APPLY, credentials=tokens, options=options)
        for number, token in enumerate(tokens):
            for _ in range(number + 1):
                made.count(token)
        clock(3720)
        made.count(tokens[0])
        await made.end({0: ending(0, at=MOMENT)})
        await made.finish()
        await made.aclose()

    asyncio.run(make())

    ran = run("report", str(journal))

    facts = lines_of(ran)
    assert "00000000, 00000001, 00000002, 00000003, 5 more" == facts["tokens"]
    assert "46; one token sent 9 of 1,200 in 300 s at most" == facts["requests"]
    assert "2026-03-04 12:02:09 UTC, after 1 h 2 min" == facts["ended"]
    assert "concurrency 1, canary 0, max_failures any number" == facts["options"]


@pytest.mark.parametrize(
    ("expected", "seconds"),
    [
        *(("0.0 s", 0.0), ("59.9 s", 59.9), ("1 min 0 s", 60.0), ("59 min 59 s", 3599.9)),
        *(("1 h 0 min", 3600.0), ("1 d 0 h", 86400.0), ("2 d 3 h", 184000.0)),
    ],
)
def test_how_long_it_took(expected: str, seconds: float) -> None:
    """A time has its two largest units."""
    assert expected == reports.lasted(seconds)


def at(seconds: float) -> dt.datetime:
    """Return a whole second after `MOMENT`."""
    return MOMENT.replace(microsecond=0) + dt.timedelta(seconds=seconds)


def test_the_window_slides() -> None:
    """A request counts for as long as the limit's window is, and no second longer."""
    found = windows.of_activity(
        [(at(0), "a", 700), (at(299), "a", 400), (at(300), "a", 600), (at(300), "b", 1)]
    )

    busy, calm = found
    points = [(0, 700), (299, 1100), (300, 1000), (599, 600), (600, 0)]
    assert tuple((at(second), count) for second, count in points) == busy.points
    assert ("a", 1700, 1100, at(299)) == (busy.credential, busy.sent, busy.peak, busy.peak_at)
    assert ("b", 1, 1, at(300)) == (calm.credential, calm.sent, calm.peak, calm.peak_at)


def test_the_window_is_what_a_count_by_hand_gives() -> None:
    """At each second the curve is the sum of the seconds before."""
    sent = {second: (second * 7919) % 11 for second in range(0, 900, 7)}

    (window,) = windows.of_activity([(at(second), "", count) for second, count in sent.items()])

    for moment, count in window.points:
        now = (moment - at(0)).total_seconds()
        assert count == sum(n for second, n in sent.items() if now - 300 < second <= now)


@pytest.mark.usefixtures("applied")
def test_a_page_is_written_beside_the_rest(run: Any, journal: Path) -> None:
    """`--html` replaces a former page by one that only its owner can read; the rest is shown."""
    page = journal.with_name("the page.html")
    page.write_text(run("report", str(journal), "--html", "-").out + "longer", "utf-8")
    page.chmod(0o644)

    ran = run("report", str(journal), "--html", str(page))

    assert (0, f"cfsso: written: {page}\n") == (ran.code, ran.err)
    assert ran.out.startswith("journal  ")
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert 0o600 == stat.S_IMODE(page.stat().st_mode)
    assert [] == [*journal.parent.glob(".cfsso-*")]
    assert 3 == len(run("report", str(journal), "--html", str(page), "--json").records)


@pytest.mark.usefixtures("applied")
def test_a_page_on_stdout(run: Any, journal: Path) -> None:
    """With `-` stdout has the page and nothing else, and can't have objects too."""
    ran = run("report", str(journal), "--html", "-")
    both = run("report", str(journal), "--html", "-", "--json")

    assert (0, "") == (ran.code, ran.err)
    assert ran.out.startswith("<!doctype html>")
    assert ran.out.endswith("</html>\n")
    line = "--json and --html - exclude each other: both write to stdout: see cfsso report --help"
    assert (2, "", f"cfsso: {line}\n") == (both.code, both.out, both.err)


@pytest.mark.usefixtures("applied")
def test_the_page_is_utf_8_whatever_the_terminal_has(spawn: Any, journal: Path) -> None:
    """What is piped is what its head says, also where the locale has other letters."""
    env = {
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONUTF8": "0",
        "PYTHONIOENCODING": "ascii",
    }
    process = spawn("report", str(journal), "--html", "-", env=env)

    out, err = process.communicate(timeout=30)

    assert (0, "") == (process.returncode, err)
    assert "false \N{RIGHTWARDS ARROW} true" in out


_ITSELF = "this is the journal itself: give another name"
_NO_FILE = "not a file: give another name"
_LINK = "a symbolic link: give the name of a file"
_OTHER = "there is something else than a page of cfsso: give another name, or remove it"


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    ("problem", "make"),
    [
        pytest.param(_ITSELF, lambda path, _: path.with_name("rollout.cfsso"), id="itself"),
        pytest.param(_ITSELF, lambda path, journal: path.hardlink_to(journal), id="hard link"),
        pytest.param(_LINK, lambda path, journal: path.symlink_to(journal), id="link"),
        pytest.param(_LINK, lambda path, _: path.symlink_to("nowhere"), id="dangling"),
        pytest.param(_OTHER, lambda path, _: path.write_bytes(b"x") and None, id="other"),
        pytest.param(_OTHER, lambda _, journal: shutil.copy(journal, f"{journal}2"), id="journal"),
        pytest.param(_NO_FILE, lambda path, _: path.mkdir(), id="folder"),
        pytest.param(_NO_FILE, lambda path, _: os.mkfifo(path), id="pipe"),
        pytest.param("No such file or directory", lambda path, _: path / "page.html", id="nowhere"),
        pytest.param("no name of a file", lambda path, _: f"{path}\0", id="zero"),
    ],
)
def test_no_place_for_a_page(problem: str, make: Any, run: Any, journal: Path) -> None:
    """Only a former page is replaced, and no link followed; the report is refused with 2."""
    page = journal.with_name("page.html")
    path = str(make(page, journal) or page)
    before = journal.read_bytes()

    ran = run("report", str(journal), "--html", path)

    shown = path.replace("\0", "\\x00")
    assert (2, "", f"cfsso: {shown}: {problem}\n") == (ran.code, ran.out, ran.err)
    assert before == journal.read_bytes()


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    ("problem", "damage", "options"),
    [
        ("is no journal of cfsso", lambda path: path.write_text("x" * 9000, "utf-8"), []),
        ("No such file or directory", lambda path: path.unlink(), []),
        ("has no run 2", lambda _path: None, ["--run", "2"]),
        ("damaged", lambda path: os.truncate(path, path.stat().st_size // 2), []),
    ],
)
def test_what_is_no_journal_is_refused(
    problem: str, damage: Any, options: Any, run: Any, journal: Path
) -> None:
    """A file that can't be reported is one line and 2, and no page is written."""
    damage(journal)
    page = journal.with_name("page.html")

    ran = run("report", str(journal), "--html", str(page), *options)

    assert (2, "", 1) == (ran.code, ran.out, ran.err.count("\n"))
    assert ran.err.startswith(f"cfsso: {journal}")
    assert problem in ran.err
    assert not page.exists()


@pytest.mark.usefixtures("applied")
def test_a_person_at_a_terminal_sees_it(
    spawn: Any, cloud: Any, run: Any, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal of 80 columns it is coloured and fits."""
    run("--emulate", cloud.state, "revert", str(journal), "--yes")
    monkeypatch.chdir(journal.parent)
    with Screen.start(spawn, "report", journal.name, "--run", "1") as screen:
        assert 0 == screen.end()

    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.text).split("\r\n")
    assert "\x1b[33mblocked" in screen.text
    assert all(len(line) <= 80 for line in plain), plain
    assert "journal       rollout.cfsso" == plain[0]
    assert f"account {cloud.account}" in plain
    assert any(line.startswith("1    apply") for line in plain)
