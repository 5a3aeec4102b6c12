"""The page of `cfsso report --html`: whole, harmless, and true."""

import datetime as dt
import itertools
import re
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
from journals import MOMENT, connector
from pages import STATUSES, Page, mixed, parsed, recorded, report

import cfsso
from cfsso.cli import html_report
from cfsso.cli.html_text import text
from cfsso.fleet import Change, Outcome, OutcomeStatus, Recorded, Run, RunKind

_STYLE = Path(html_report.__file__).with_name("report.css").read_text("utf-8")


def test_the_page_needs_nothing_else() -> None:
    """There is no script and no address; the policy forbids to fetch or run anything."""
    page = html_report.page(mixed())
    taken = Page(page)

    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    (meta,) = taken.all("meta", http_equiv="Content-Security-Policy") or [
        element for element in taken.all("meta") if "http-equiv" in element.attributes
    ]
    assert policy == meta.attributes["content"]
    names = {name for element in taken.elements for name in element.attributes}
    assert set() == names & {"src", "href", "srcset", "action", "data", "style", "xlink:href"}
    assert not [name for name in names if name.startswith("on")]
    tags = {element.tag for element in taken.elements}
    assert set() == tags & {"script", "link", "iframe", "object", "embed", "img", "base", "form"}
    (style,) = taken.texts("style")
    assert not re.search(r"url\(|@import|image-set|</", style)
    assert "://" not in page


def test_the_page_is_well_formed() -> None:
    """One h1, no level left out, ids once, each reference meets one, tables even and with heads."""
    taken = parsed(mixed())

    levels = [int(e.tag[1]) for e in taken.elements if re.fullmatch("h[1-6]", e.tag)]
    ids = [e.attributes["id"] for e in taken.elements if "id" in e.attributes]
    names = [
        e.attributes["aria-labelledby"] or ""
        for e in taken.elements
        if "aria-labelledby" in e.attributes
    ]
    assert (1, 1) == (levels[0], levels.count(1))
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert len(ids) == len(set(ids))
    assert set(" ".join(names).split()) <= set(ids)
    assert "en" == taken.all("html")[0].attributes["lang"]
    assert [] == [
        e for e in taken.all("th") if e.attributes.get("scope") not in {"col", "row", "rowgroup"}
    ]
    widths: list[set[int]] = []
    row: list[int] = []
    for element in taken.elements:
        if element.tag == "table":
            widths.append(set())
        elif element.tag == "tr":
            row.clear()
        elif element.tag in {"td", "th"}:
            row.append(int(element.attributes.get("colspan") or 1))
            widths[-1].discard(sum(row[:-1]))
            widths[-1].add(sum(row))
    assert [{8}, {7}, {5}] == widths


def test_what_stands_on_top() -> None:
    """The title and the first lines say which journal it is and how it stands."""
    taken = parsed(mixed())

    assert ["rollout.cfsso: 5 of 8 not green"] == taken.texts("title")[:1]
    assert ["rollout.cfsso"] == taken.texts("h1")
    assert ["5 of 8 connectors not green."] == taken.texts("p", class_="verdict bad")
    tiles = [" ".join(element.text.split()) for element in taken.all("li")]
    assert "2 changed written, and a later read shows it" == tiles[0]
    assert ["3 accounts", "8 domains"] == tiles[7:9]
    assert "2,814 requests after the planning" == tiles[9]
    assert "1 min 0 s duration" == tiles[10]


@pytest.mark.parametrize(
    ("color", "title", "statuses", "fields"),
    [
        ("good", "rollout.cfsso: all green", ["changed", "unchanged"], {}),
        ("warn", "rollout.cfsso: 1 of 2 not green", ["changed", "blocked"], {}),
        ("warn", "rollout.cfsso: all green, not ended", ["changed"], {"ended": None}),
        ("bad", "rollout.cfsso: 1 of 1 not green, not ended", ["unknown"], {"ended": None}),
        ("good", "rollout.cfsso: all green", [], {}),
    ],
)
def test_how_a_run_stands(color: str, title: str, statuses: Any, fields: Any) -> None:
    """The colour goes with the words, and a run that has not ended says so."""
    taken = parsed(report(*(recorded(n, s) for n, s in enumerate(statuses)), **fields))

    (verdict,) = taken.texts("p", class_=f"verdict {color}")
    assert title == taken.texts("title")[0]
    assert ("not ended" in title) == verdict.endswith("The run has not ended.")
    assert ("so far" in " ".join(taken.texts("li"))) == ("ended" in fields)


def test_what_the_run_was_told() -> None:
    """The whole digest, tokens, versions, options and repeated rows are there."""
    taken = parsed(mixed())

    facts = dict(zip(taken.texts("dt"), taken.texts("dd"), strict=True))
    assert ("ab12" * 16, "00000005", "2 repeated rows") == (
        *(facts["plan"], facts["tokens"], facts["merged"]),
    )
    assert ("cfsso 0", "canary 1", "1 of 1: apply") == (
        *(facts["versions"], facts["options"], facts["run"]),
    )
    bare = parsed(report(recorded(0)))
    assert "merged" not in bare.texts("dt")
    assert ["\N{EN DASH}"] * 2 == bare.texts("dd")[4:6]


def test_each_target_has_its_row() -> None:
    """What is not green comes first, the worst before, and then each account has all of its own."""
    rows = parsed(mixed()).rows

    problems = [row for row in rows if len(row) == 8]
    others = [row for row in rows if len(row) == 7]
    worst = ["unknown", "conflict", "failed", "blocked", "not_attempted"]
    assert worst == [row[4] for row in problems]
    assert sorted([*STATUSES, "changed"]) == sorted(row[3] for row in others)
    change = "enabled: false \N{RIGHTWARDS ARROW} true"
    assert [
        *(f"{0:032x}", "d0.example", change, "changed", "11:00:09", "11:00:09", ""),
    ] == others[0]
    said = "a read after the last write shows otherwise; last read: enabled false"
    assert ["11:00:13", "11:00:13", said] == problems[1][5:]
    assert ["\N{EN DASH}", "the state found forbids it; nothing was sent"] == problems[3][5::2]


def test_what_is_not_known_is_shown_as_such() -> None:
    """A target that was not seen has no domain, a question mark and no times."""
    change = Change("a" * 32, "b" * 32, enabled=False, use_fedramp_language=True)
    unseen = Outcome(change=change, status=OutcomeStatus.NOT_ATTEMPTED)
    seen = connector(0, email_domain=None, use_fedramp_language=True, enabled=None)
    failed = attrs.evolve(
        unseen, status=OutcomeStatus.FAILED, before=seen, after=seen, error=cfsso.CfssoError("no")
    )

    rows = parsed(
        report(*(Recorded(outcome=each, intended=None, ended=None) for each in (unseen, failed)))
    ).rows

    none, arrow = "\N{EN DASH}", "\N{RIGHTWARDS ARROW}"
    asked = f"enabled: ? {arrow} falseuse_fedramp_language: ? {arrow} true"
    assert [none, asked, "not_attempted", none, none] == rows[1][2:7]
    asked = f"enabled: ? {arrow} falseuse_fedramp_language: true"
    last = "no; last read: enabled ?, use_fedramp_language true"
    assert [none, asked, "failed", none, none, last] == rows[0][2:]


def test_a_note_of_what_is_green_is_kept() -> None:
    """A reason stands beside a green target only if there is one."""
    (row,) = parsed(report(recorded(0, "changed", note="somebody else did it"))).rows

    assert "somebody else did it" == row[-1]


def test_a_day_later_has_its_date() -> None:
    """A time on another day than the beginning is written with the day."""
    late = attrs.evolve(recorded(0), ended=MOMENT + dt.timedelta(days=1))

    (row,) = parsed(report(late)).rows

    assert ["11:00:09", "2026-03-05 11:00:09"] == row[4:6]


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        ("company.example", "company.example"),
        ("a=b+c-d@e", "a=b+c-d@e"),
        ("&#x27;=cmd()|&#x27; /C calc&#x27;!A0", "=cmd()|' /C calc'!A0"),
        ("&#x27;+1", "+1"),
        ("&#x27;-1", "-1"),
        ("&#x27;@SUM(1)", "@SUM(1)"),
        ("&#x27;\\t=1", "\t=1"),
        ("&#x27;\\tname", "\tname"),
        ("&#x27;\\rname", "\rname"),
        ("&#x27; =1", " =1"),
        ("&#x27;\\u3000=1", "\u3000=1"),
        ("&#x27;\uff1d1", "\uff1d1"),
        ("&lt;b&gt;&amp;&quot;", '<b>&"'),
        ("\\u202eevil\\x00\\x1b[31m\\ud800", "\u202eevil\0\x1b[31m\ud800"),
        (f"{'x' * 1999}\N{HORIZONTAL ELLIPSIS}", "x" * 3000),
        ("", ""),
    ],
)
def test_text_from_elsewhere_is_harmless(expected: str, given: str) -> None:
    """Markup is shown, odd characters are visible, and a formula is none any more."""
    assert expected == text(given)


HOSTILE = (
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "=cmd()|' /C calc'!A0"),
    *(
        "@SUM(1)",
        "\u202egro.live",
        "&lt;b&gt;",
        "</td></tr></table><h1>owned</h1>",
        "]]>",
        "--><b>",
    ),
)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_server_can_not_break_out(hostile: str) -> None:
    """What a server, a file name or a journal says is text wherever it stands."""
    odd = connector(0, email_domain=hostile)
    error = cfsso.APIStatusError(hostile, status=403)
    made = report(
        recorded(0, "failed", before=odd, after=None, error=error, note=hostile),
        activity=[(MOMENT, hostile, 1)],
        journal=f"folder/{hostile.replace('/', '')}",
        plan=hostile,
        credentials=(hostile,),
        versions={hostile: hostile},
        options={hostile: hostile},
    )
    plain = report(
        recorded(0, "failed", after=None, error=cfsso.APIStatusError("no", status=403), note="no"),
        activity=[(MOMENT, "a", 1)],
        plan="p",
    )

    page = html_report.page(made)
    taken = Page(page)

    assert [(e.tag, sorted(e.attributes)) for e in parsed(plain).elements] == [
        (e.tag, sorted(e.attributes)) for e in taken.elements
    ]
    shown = hostile.replace("\u202e", "\\u202e")
    apart = "'" if hostile[0] in "=@-" else ""
    assert f"{apart}{shown}" == taken.rows[0][2] == taken.rows[1][1]
    assert all(f"{apart}{shown}: {shown}" == row[-1] for row in taken.rows)
    assert "\u202e" not in page


def test_there_is_a_choice_for_each_status_there_is() -> None:
    """The page has a button for all and one for each status; for a single one there is none."""
    taken = parsed(mixed())
    few = parsed(report(recorded(0), recorded(1, "blocked")))
    one = parsed(report(recorded(0)))

    assert ["all (8)", "changed (2)", *(f"{s} (1)" for s in STATUSES[1:])] == taken.texts("label")
    assert ["all (2)", "changed (1)", "blocked (1)"] == few.texts("label")
    assert [] == one.texts("fieldset")
    assert ["show-all"] == [
        e.attributes["id"] for e in taken.all("input") if "checked" in e.attributes
    ]
    (style,) = taken.texts("style")
    for status in STATUSES:
        assert f"#show-{status}:checked" in style


@pytest.mark.parametrize(("count", "is_open"), [(200, True), (201, False)])
def test_a_large_page_is_folded(count: int, is_open: bool) -> None:  # noqa: FBT001 - what is expected
    """Up to 200 targets all is open; of more each stands once, and what is green is folded."""
    targets = [recorded(n, "failed" if n % 50 == 0 else "changed", n // 40) for n in range(count)]

    taken = parsed(report(*targets))

    folds = taken.all("details")
    assert is_open == all("open" in fold.attributes for fold in folds)
    assert is_open == any("open" in fold.attributes for fold in folds)
    failed = (count + 49) // 50
    assert count + failed * is_open == len(taken.rows)
    assert failed == len([row for row in taken.rows if len(row) == 8])
    above = "What is not green stands above, and is only counted here."
    assert is_open == (above not in taken.texts("p"))
    name = f"Accounts a{0:031x} to a{1:031x}: 80 connectors, 78 changed, 2 failed"
    assert name == taken.texts("summary")[0]


def test_accounts_come_in_order_and_large_ones_alone() -> None:
    """Folds go by account id; an account with many connectors has a fold of its own."""
    sizes = {9: 150, 20: 70, 0: 101, 4: 100, 21: 1, 5: 70}
    accounts = [account for account, size in sizes.items() for _ in range(size)]
    targets = [recorded(number, account=account) for number, account in enumerate(accounts)]

    taken = parsed(report(*targets))

    assert [
        f"Account a{0:031x}: 101 connectors, 101 changed",
        f"Account a{4:031x}: 100 connectors, 100 changed",
        f"Account a{5:031x}: 70 connectors, 70 changed",
        f"Account a{9:031x}: 150 connectors, 150 changed",
        f"Accounts a{20:031x} to a{21:031x}: 71 connectors, 71 changed",
    ] == taken.texts("summary")


def test_ten_thousand_targets(record_testsuite_property: Any) -> None:
    """A page of 10,000 targets in as many accounts is written in 3 s and has less than 6 MB."""
    activity = [(MOMENT + dt.timedelta(seconds=n), "a" * 8, 4) for n in range(7500)]
    statuses = ["changed"] * 29 + ["failed"]
    for per in (1, 3):
        targets = [recorded(n, statuses[n % 30], n // per) for n in range(10_000)]
        made = report(*targets, activity=activity)

        began = time.process_time()
        page = html_report.page(made)
        seconds = time.process_time() - began

        record_testsuite_property(f"page-of-10000-seconds-{per}", seconds)
        assert 3 >= seconds
        assert 6_000_000 >= len(page.encode())
        assert 10_000 == page.count('<th scope="row">') - 1


def points(page: str) -> list[list[tuple[int, int]]]:
    """Return the corners of each curve."""
    curves: list[list[tuple[int, int]]] = []
    for path in re.findall(r'<path class="curve" d="([^"]+)"', page):
        x = y = 0
        curves.append([])
        for letter, first, second in re.findall(r"([MHV])(\d+)(?: (\d+))?", path):
            x, y = {
                "M": (int(first), int(second or 0)),
                "H": (int(first), y),
                "V": (x, int(first)),
            }[letter]
            curves[-1].append((x, y))
    return curves


def test_the_curve_against_the_limit() -> None:
    """The busiest tokens have a drawing with words; the rest is named; it stays in its frame."""
    page = html_report.page(mixed())
    taken = Page(page)

    captions = taken.texts("figcaption")
    assert 4 == len(captions) == len(taken.all("svg")) == len(taken.texts("title")) - 1
    assert (
        "Token 00000005 804 requests; at most 600 of 1,200 in 300 seconds, at"
        " 2026-03-04 11:05:06 UTC." == captions[0]
    )
    assert [caption.partition(" ")[2].partition(" ")[2] for caption in captions] == taken.texts(
        "desc"
    )
    assert ["limit: 1,200"] * 4 == taken.texts("text", class_="name")
    assert ["0", "400", "800", "1,200"] == taken.texts("text", class_="count")[:4]
    assert "2 more tokens sent at most 200 each in 300 seconds." in taken.texts("p")
    (limit,) = {e.attributes["d"] for e in taken.all("path", class_="limit")}
    height = int(re.findall(r"\d+", str(limit))[1])
    for curve in points(page):
        assert all(48 <= x <= 686 and height < y <= 182 for x, y in curve)
        assert sorted(x for x, _ in curve) == [x for x, _ in curve]


def test_a_peak_between_two_points_is_not_lost() -> None:
    """Where many seconds share a place the largest number is drawn."""
    begin = MOMENT.replace(microsecond=0)
    activity = [(begin, "a", 1), (begin + dt.timedelta(days=9), "a", 1)]
    activity += [(begin + dt.timedelta(days=4), "a", 1300)]

    page = html_report.page(report(recorded(0), activity=activity))

    (curve,) = points(page)
    top = min(y for _, y in curve)
    (limit,) = re.findall(r'<path class="limit" d="M\d+ (\d+)', page)
    assert int(limit) > top
    assert 22 <= top
    # Before and after it there is next to nothing.
    assert {182} == {y for x, y in curve if abs(x - 331) > 2}


@pytest.mark.parametrize(
    ("expected", "seconds"),
    [
        (["11:00:10", "11:00:20", "11:00:30", "11:00:40", "11:00:50", "11:01:00"], 0),
        (["11:05", "11:10", "11:15", "11:20", "11:25"], 1600),
        (["03-04 12:00", "03-04 18:00", "03-05 00:00", "03-05 06:00", "03-05 12:00"], 100_000),
        (["2026-03-06", "2026-03-08", "2026-03-10", "2026-03-12"], 9 * 86400),
    ],
)
def test_times_stand_below_the_curve(expected: list[str], seconds: float) -> None:
    """The axis has a few round times in UTC, with the day where there are several."""
    begin = MOMENT.replace(microsecond=0)
    activity = [(begin, "", 1), (begin + dt.timedelta(seconds=seconds), "", 1)]

    taken = parsed(report(recorded(0), activity=activity))

    assert expected == taken.texts("text", class_="time")
    assert ["Token not known"] == taken.texts("strong")[-1:]


def test_no_requests_are_no_drawing() -> None:
    """A run that has sent nothing says so."""
    taken = parsed(report(recorded(0, "unchanged")))

    assert [] == taken.all("svg")
    assert "No requests are written down." in taken.texts("p")


def test_the_runs_of_the_journal() -> None:
    """Each run has a row, a revert with what it takes back; one may not have ended."""
    one = mixed()
    revert = Run(number=2, kind=RunKind.REVERT, begun=MOMENT, reverts=1)
    both = attrs.evolve(one, runs=[one.run, revert], counts={**one.counts, 2: {}})

    taken = parsed(both)

    cells = taken.texts("td")[-8:]
    assert ["apply", "2026-03-04 11:00:09 UTC", "2026-03-04 11:01:09 UTC"] == cells[:3]
    assert cells[3].startswith("2 changed, 1 unchanged, 1 blocked, ")
    assert ["revert of run 1", "2026-03-04 11:00:09 UTC", "not ended", "no targets"] == cells[4:]


def luminance(color: str) -> float:
    """Return the relative luminance of WCAG 2 of a colour such as ``#a40e26``."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("number", [0, 1, 2], ids=["light", "dark", "print"])
def test_each_colour_of_text_can_be_read(number: int) -> None:
    """On paper and cards each colour of text has a contrast of 4.5 at least."""
    block = re.findall(r":root \{(.*?)\}", _STYLE, re.DOTALL)[number]
    colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block))

    for ground in ("paper", "card"):
        for ink in ("ink", "soft", "good", "warn", "bad"):
            one, two = sorted(luminance(colors[name]) for name in (ground, ink))
            assert 4.5 <= (two + 0.05) / (one + 0.05), (ground, ink)
