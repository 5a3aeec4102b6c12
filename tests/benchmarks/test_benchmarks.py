"""The benchmark: it measures, shows what it measured, and judges by it."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from bench_criteria import judge
from bench_rows import Case, Key, Plan, Row, Rows, interleave, read
from bench_servers import serving
from bench_stall import percentile
from bench_starts import closure, size
from bench_table import markdown, picture, table, verdicts
from bench_world import BenchError, check, environment, fresh

RUN: Final = Path(__file__).parent / "run.py"
SVG: Final = "{http://www.w3.org/2000/svg}"
PATCH: Final = ("patch", "32 in flight, plain")
IMPORT: Final = ("import", "fresh interpreter")
# Good ones, just so: by key, the figure that is judged and its value.
GOOD: Final[dict[Key, tuple[str, float]]] = {
    (*PATCH, "lean"): ("cpu_us", 100.0),
    (*PATCH, "taught"): ("cpu_us", 115.0),
    (*PATCH, "cfsso"): ("cpu_us", 115.0),
    (*PATCH, "official-aiohttp"): ("cpu_us", 691.0),
    (*PATCH, "official"): ("cpu_us", 1381.0),
    ("stall", "always 256 in flight", "taught"): ("p99.9", 10.0),
    ("stall", "always 256 in flight", "cfsso"): ("p99.9", 10.9),
    (*IMPORT, "import cfsso"): ("cpu_ms", 12.5),
    (*IMPORT, "cfsso, a toggle in memory"): ("cpu_ms", 25.0),
    (*IMPORT, "import cloudflare"): ("cpu_ms", 100.0),
    ("size", "without extras", "cfsso"): ("mib", 1.0),
    ("size", "without extras", "official SDK"): ("mib", 4.0),
    ("memory", "1 there", "cfsso"): ("rate", 20_000.0),
    ("memory", "100 there", "cfsso"): ("rate", 24_000.0),
}


def rows_of(figures: Mapping[Key, tuple[str, float]]) -> Rows:
    """Return rows with one figure each, as it would be after three rounds."""
    return {
        key: Row(key, {name: [value / 2, value, value * 3]})
        for key, (name, value) in figures.items()
    }


def test_a_small_run_measures_and_writes_all_it_should(tmp_path: Path) -> None:
    """One client against the bundled server: a table, figures as JSON, and a picture."""
    files = ["--json", str(tmp_path / "figures.json"), "--svg", str(tmp_path / "cpu.svg")]
    few = ["--clients", "floor", "--in-flight", "32", "--plain", "--server", "bundled"]
    few += ["--pause", "0"]
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-P", str(RUN), "patch", "--quick", *few, *files],
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
    )

    assert 0 == done.returncode, done.stderr
    assert "32 in flight, plain     floor: asyncio.Protocol" in done.stdout
    assert "\x1b" not in done.stdout
    assert 100 >= max(map(len, done.stdout.splitlines()))
    figures = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    (row,) = figures["rows"]
    # It is measured twice in a round.
    assert 2 == len(row["samples"]["cpu_us"])
    assert {"cpu_us", "rate", "connections"} == set(row["medians"])
    assert 32 == row["medians"]["connections"]
    assert 0 < row["medians"]["cpu_us"]
    assert "bundled" == figures["meta"]["server"]
    assert [] == figures["criteria"]
    assert SVG + "svg" == ET.parse(tmp_path / "cpu.svg").getroot().tag  # noqa: S314 - ours


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    """What can't be measured is told before anything is."""
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-P", str(RUN), "nonsense"],
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
    )

    assert 2 == done.returncode
    assert "no such part: nonsense" in done.stderr


def test_all_criteria_can_be_met() -> None:
    """Figures at the bounds pass, and all ten criteria were asked of them."""
    found = judge(rows_of(GOOD))

    assert 10 == len(found)
    assert [] == [verdict for verdict in found if not verdict.passed]


@pytest.mark.parametrize(
    ("key", "factor", "missed"),
    [
        ((*PATCH, "cfsso"), 1.01, 4),
        ((*PATCH, "taught"), 0.99, 1),
        ((*PATCH, "lean"), 0.99, 1),
        ((*PATCH, "official"), 0.99, 1),
        ((*PATCH, "official-aiohttp"), 0.99, 1),
        (("stall", "always 256 in flight", "cfsso"), 1.02, 1),
        ((*IMPORT, "import cfsso"), 1.01, 1),
        ((*IMPORT, "cfsso, a toggle in memory"), 1.01, 1),
        ((*IMPORT, "import cloudflare"), 0.99, 2),
        (("size", "without extras", "cfsso"), 1.01, 1),
        (("memory", "1 there", "cfsso"), 0.99, 2),
        (("memory", "100 there", "cfsso"), 1.01, 1),
    ],
)
def test_a_criterion_fails_beyond_its_bound(key: Key, factor: float, missed: int) -> None:
    """Each figure that is a little worse fails the criteria that it is part of, and no other."""
    name, value = GOOD[key]
    found = judge(rows_of({**GOOD, key: (name, value * factor)}))

    assert missed == sum(not verdict.passed for verdict in found)


def test_what_could_not_be_measured_fails() -> None:
    """A row with an error, or without a figure, meets no criterion; none is asked of others."""
    rows = rows_of(GOOD)
    rows[(*PATCH, "taught")].error = "no"
    rows[(*IMPORT, "import cfsso")].samples.clear()
    rows["memory", "1 there", "cfsso"].error = "no"
    del rows["size", "without extras", "cfsso"]
    failed = [verdict for verdict in judge(rows) if not verdict.passed]

    assert 4 == len(failed)
    assert {None} == {verdict.value for verdict in failed}
    assert 9 == len(judge(rows))


def test_verdicts_are_shown_but_not_judged_in_a_quick_run() -> None:
    """The lines say pass or FAIL, and neither if the run was too short to tell."""
    found = judge(rows_of({**GOOD, (*PATCH, "lean"): ("cpu_us", 1.0)}))
    judged = verdicts(found, judged=True).splitlines()

    assert 9 == sum(line.endswith("pass") for line in judged)
    assert 1 == sum(line.endswith("FAIL") for line in judged)
    assert all(line.endswith("not judged") for line in verdicts(found, judged=False).splitlines())
    assert 100 >= max(map(len, judged))


def test_figures_are_read_back_and_shown() -> None:
    """From their JSON the same tables come, with medians and ratios, within 100 columns."""
    rows = rows_of(GOOD)
    rows[(*PATCH, "official")].error = "x" * 200
    again = read(json.loads(json.dumps([row.shown() for row in rows.values()])))

    assert rows == again
    lines = table(again).splitlines()
    (ours,) = (line for line in lines if line.split()[:3] == ["cfsso", "115", "-"])
    assert "1.00" == ours.split()[-1]
    assert 100 >= max(map(len, lines))
    text = markdown(again, judge(again))
    assert "| 32 in flight, plain | official SDK, httpx | 1,381 | - | - | 12.01 |" in text
    assert "| CPU a PATCH: of the leanest aiohttp | ≤ 1.150 | 1.150 |" in text


def test_the_picture_has_a_bar_and_a_figure_for_each_client() -> None:
    """It is well-formed, its bars are in proportion, and it needs nothing from elsewhere."""
    drawn = picture(rows_of(GOOD))
    root = ET.fromstring(drawn)  # noqa: S314 - ours
    texts = [text.text for text in root.iter(SVG + "text")]
    widths = [float(bar.get("width", "0")) for bar in root.iter(SVG + "rect")]

    assert 5 == len(widths)
    assert pytest.approx(1381 / 115, rel=0.01) == max(widths) / widths[1]
    assert {"cfsso", "115", "official SDK, httpx", "1,381"} <= set(texts)
    assert "prefers-color-scheme: dark" in drawn
    assert 1 == drawn.count("http:")


def test_rounds_are_interleaved() -> None:
    """All are measured in turn, every other time backwards; what fails is noted and gone past."""
    asked: list[str] = []

    def measure(name: str) -> Mapping[str, float]:
        asked.append(name)
        if name == "b":
            raise BenchError("no")
        return {"figure": len(asked)}

    cases = [Case("part", "case", name, lambda name=name: measure(name)) for name in "abc"]  # type: ignore[misc] # mypy takes it for a str without a default
    rows = interleave([*cases, Case("part", "case", "d", lambda: measure("d"), once=True)], 2)

    assert list("abcdcba") == asked
    assert {"figure": [1, 7]} == rows["part", "case", "a"].samples
    assert "no" == rows["part", "case", "b"].error
    assert 1 == len(rows["part", "case", "d"].samples["figure"])


def test_a_wrong_answer_is_no_measurement() -> None:
    """Clients take only the answer for their connector, enabled."""
    check("b", True, ("a", "b"))  # noqa: FBT003 - as it stands in the answer
    with pytest.raises(BenchError):
        check("c", True, ("a", "b"))  # noqa: FBT003 - as it stands in the answer
    with pytest.raises(BenchError):
        check("b", "true", ("a", "b"))


def test_a_child_that_fails_says_why() -> None:
    """The error of a fresh process is the one that is told."""
    assert {"a": 1} == fresh(["-c", "print('{\"a\": 1}')"])
    with pytest.raises(BenchError, match="ValueError: so it is"):
        fresh(["-c", "raise ExceptionGroup('all', [ValueError('so it is')])"], tries=1)


def test_a_server_counts_its_connections() -> None:
    """How many it took tells who opens a new one for each request."""
    with serving("bundled") as server:
        assert [1, 2] == [server.accepted(), server.accepted()]


def test_percentiles() -> None:
    """Of a hundred values the median is in the middle, and the last counts from p99 on."""
    values = [float(number) for number in range(100)]

    assert [50.0, 99.0, 99.0] == [percentile(values, share) for share in (0.5, 0.99, 0.999)]


def test_the_closure_of_requirements() -> None:
    """What is installed counts with all that it needs, and without extras."""
    needed = closure("cfsso")

    assert {"cfsso", "aiohttp", "attrs", "cattrs", "frozenlist"} <= needed
    assert set() == {"click", "rich", "pytest"} & needed
    sizes = size("attrs")
    assert 1 == sizes["packages"]
    assert 0 < sizes["bare_mib"] < sizes["mib"]


def test_measured_processes_know_one_token_and_keep_compiled_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is set outside, each has the same token and no other credential."""
    monkeypatch.setenv("CLOUDFLARE_API_KEY", "k")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    made = environment({"A": "b"})

    assert {"CLOUDFLARE_API_TOKEN": "t" * 40, "A": "b"}.items() <= made.items()
    assert set() == {"CLOUDFLARE_API_KEY", "PYTHONDONTWRITEBYTECODE"} & set(made)
    assert made.items() - {("A", "b"), ("CLOUDFLARE_API_TOKEN", "t" * 40)} <= os.environ.items()


def test_a_full_run_is_more_than_a_quick_one() -> None:
    """By default everything is measured, several times."""
    plan = Plan()

    assert (5, (1, 32, 256), True, ()) == (plan.rounds, plan.in_flight, plan.tls, plan.clients)
    assert 1_000_000 == max(plan.sizes)
