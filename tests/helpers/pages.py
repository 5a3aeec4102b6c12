"""Reports made by hand, and their pages taken apart."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import attrs
from journals import MOMENT, connector

from cfsso.cli import html_report, reports, windows
from cfsso.fleet import Change, Outcome, OutcomeStatus, Recorded, Run, RunKind

_EMPTY = {"meta", "br", "input", "path"}


def recorded(number: int, status: str = "changed", account: int = 0, **fields: Any) -> Recorded:
    """Return what a journal says of a target, a second a number."""
    at = MOMENT + dt.timedelta(seconds=number)
    written = status in {"changed", "failed", "conflict", "unknown"}
    known: dict[str, Any] = {
        "change": Change(f"a{account:031x}", f"{number:032x}", enabled=True),
        "status": OutcomeStatus(status),
        "before": connector(number),
        "after": connector(number, enabled=status in {"changed", "unchanged"}),
    }
    outcome = Outcome(**(known | fields))
    return Recorded(outcome=outcome, intended=at if written else None, ended=at)


def report(
    *targets: Recorded,
    activity: Sequence[tuple[dt.datetime, str, int]] = (),
    journal: str = "rollout.cfsso",
    **fields: Any,
) -> reports.Report:
    """Return a report of one run that has ended a minute after it began."""
    known: dict[str, Any] = {"begun": MOMENT, "ended": MOMENT + dt.timedelta(seconds=60)}
    run = Run(number=1, kind=RunKind.APPLY, total=len(targets), **(known | fields))
    return reports.Report(
        journal=journal,
        runs=[run],
        run=run,
        targets=targets,
        windows=windows.of_activity(activity),
        counts={1: Counter(each.outcome.status.value for each in targets)},
    )


@attrs.define
class Element:
    """An element of a page, with the text in it."""

    tag: str
    attributes: dict[str, str | None]
    inside: tuple[str, ...]
    text: str = ""


class Page(HTMLParser):
    """A page that is well-formed, taken apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(page)
        self.close()
        assert [] == self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        assert len(attrs) == len(dict(attrs))
        element = Element(tag, dict(attrs), tuple(each.tag for each in self._open))
        self.elements.append(element)
        if tag not in _EMPTY:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep one that is closed at once, as in SVG."""
        assert "svg" in [each.tag for each in self._open]
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """See that it is the one that is open."""
        assert tag == self._open.pop().tag

    def handle_data(self, data: str) -> None:
        """Add text to all that it is in."""
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements of this name that have these attributes."""
        wanted = {name.removesuffix("_"): value for name, value in attributes.items()}
        return [
            element
            for element in self.elements
            if element.tag == tag and wanted.items() <= element.attributes.items()
        ]

    def texts(self, tag: str, **attributes: str) -> list[str]:
        """Return their texts, with single blanks."""
        return [" ".join(element.text.split()) for element in self.all(tag, **attributes)]

    @property
    def rows(self) -> list[list[str]]:
        """The cells of each row of targets."""
        found: list[list[str]] = []
        for element in self.elements:
            if element.tag == "tr":
                found.append([])
            elif element.tag in {"td", "th"}:
                found[-1].append(" ".join(element.text.split()))
        return [row for row in found if len(row) > 5 and "Connector" not in row]


def parsed(made: reports.Report) -> Page:
    """Return the page of a report, taken apart."""
    return Page(html_report.page(made))


STATUSES = tuple(status.value for status in OutcomeStatus)


def mixed() -> reports.Report:
    """Return a report with each status, more tokens than are drawn, and odd texts."""
    activity = [
        (MOMENT.replace(microsecond=0) + dt.timedelta(seconds=second), f"{token:08x}", token + 1)
        for second in range(0, 400, 3)
        for token in range(6)
    ]
    odd = connector(7, email_domain='"><script>alert(1)</script>')
    return report(
        *(recorded(number, status, number % 3) for number, status in enumerate(STATUSES)),
        recorded(7, "changed", 1, before=odd, after=attrs.evolve(odd, enabled=True)),
        activity=activity,
        plan="ab12" * 16,
        merged=2,
        credentials=("00000005",),
        versions={"cfsso": "0"},
        options={"canary": 1},
    )
