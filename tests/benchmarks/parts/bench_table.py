"""Figures for reading: on a terminal, in Markdown, and as a picture."""

from collections.abc import Iterator
from html import escape
from typing import Final

import attrs
from bench_clients import CLIENTS
from bench_criteria import Verdict
from bench_rows import Row, Rows

_CASE: Final = 23
_WHAT: Final = 31
_FIGURE: Final = 8


@attrs.frozen
class _Shown:
    """
    How a part is shown.

    Attributes:
        title: What it measures.
        columns: By figure, the heading and how many decimals.
        base: Whose figure, the first of the columns, the ratio is of; ``""``: no ratio.
        ratio: The figure that the ratio is of, if it is another one.
    """

    title: str
    columns: dict[str, tuple[str, int]]
    base: str = ""
    ratio: str = ""

    def share(self, row: Row, rows: Rows) -> str:
        """Return what a row is of the base."""
        other = rows.get((*row.key[:2], self.base))
        name = self.ratio or next(iter(self.columns))
        mine, base = row.median(name), None if other is None else other.median(name)
        return "" if mine is None or not base else f"{mine / base:.2f}"


_SPEED: Final = {"cpu_us": ("µs CPU", 0), "rate": ("a second", 0)}
SHOWN: Final = {
    "patch": _Shown("CPU for a PATCH", {**_SPEED, "connections": ("opened", 0)}, "taught"),
    "stall": _Shown(
        "lateness of a ticker in the same loop, ms",
        {"p50": ("p50", 2), "p99": ("p99", 2), "p99.9": ("p99.9", 2), "rate": ("a second", 0)},
        "taught",
        "p99.9",
    ),
    "loop": _Shown("CPU for a PATCH by event loop, 32 in flight, plain", _SPEED, "taught"),
    "decode": _Shown("decoding an answer", {"us": ("µs CPU", 2)}, "json"),
    "import": _Shown(
        "imports", {"cpu_ms": ("ms CPU", 1), "peak_mib": ("MiB", 1)}, "import cloudflare"
    ),
    "size": _Shown(
        "installed, with and without compiled files",
        {"mib": ("MiB", 1), "bare_mib": ("without", 1), "packages": ("packages", 0)},
        "official SDK",
    ),
    "cold start": _Shown("cold start", {"ms": ("ms", 0)}, base="ten lines with aiohttp"),
    "memory": _Shown("toggles in memory, a second of CPU", {"rate": ("a second", 0)}),
    "bulk": _Shown("memory of a bulk run", {"bytes": ("bytes", 1)}),
    "limits": _Shown("time at the documented limits, of the ideal", {"ratio": ("of ideal", 4)}),
}


def _label(what: str) -> str:
    return CLIENTS[what].label if what in CLIENTS else what


def _cells(shown: _Shown, row: Row, rows: Rows) -> list[str]:
    cells: list[str] = []
    for name, (_, decimals) in shown.columns.items():
        value = row.median(name)
        cells.append("-" if value is None else f"{value:,.{decimals}f}")
    return [*cells, shown.share(row, rows)] if shown.base else cells


def _parts(rows: Rows) -> Iterator[tuple[_Shown, list[str], list[Row]]]:
    for part, shown in SHOWN.items():
        if found := [row for key, row in rows.items() if key[0] == part]:
            headings = [heading for heading, _ in shown.columns.values()]
            yield shown, [*headings, "ratio"] if shown.base else headings, found


def table(rows: Rows) -> str:
    """Return the medians for a terminal of 100 columns."""
    lines: list[str] = []
    for shown, headings, found in _parts(rows):
        base = f" (ratio: to {_label(shown.base)})" if shown.base else ""
        lines += ["", shown.title + base]
        lines.append(" " * (_CASE + _WHAT + 1) + "".join(f"{h:>{_FIGURE + 1}}" for h in headings))
        last = ""
        for row in found:
            _, case, what = row.key
            cells = "".join(f"{cell:>{_FIGURE + 1}}" for cell in _cells(shown, row, rows))
            first = "" if case == last else case
            lines.append(f"{first:<{_CASE}} {_label(what):<{_WHAT}}{cells}".rstrip())
            if row.error:
                lines.append(f"{'':<{_CASE}} failed: {row.error[:68]}")
            last = case
    return "\n".join(lines[1:])


def markdown(rows: Rows, found: list[Verdict]) -> str:
    """Return the verdicts and medians as tables for the documentation."""
    lines = ["", "| what is asked | bound | figure |", "| --- | ---: | ---: |"]
    for verdict in found:
        value, bound = _figures(verdict)
        sign = "≥" if verdict.at_least else "≤"
        lines.append(f"| {verdict.name} | {sign} {bound} | {value} |")
    for shown, headings, shown_rows in _parts(rows):
        title = shown.title[0].upper() + shown.title[1:]
        base = f"; the ratio is to {_label(shown.base)}" if shown.base else ""
        lines += ["", f"{title}{base}:", "", f"| when | what | {' | '.join(headings)} |"]
        lines.append("| --- | --- |" + " ---: |" * len(headings))
        for row in shown_rows:
            cells = " | ".join(_cells(shown, row, rows))
            lines.append(f"| {row.key[1]} | {_label(row.key[2])} | {cells} |")
    return "\n".join(lines[1:])


def _figures(verdict: Verdict) -> tuple[str, str]:
    decimals = 3 if verdict.bound < 1000 else 0
    value = "none" if verdict.value is None else f"{verdict.value:,.{decimals}f}"
    return value, f"{verdict.bound:,.{decimals}f}"


def verdicts(found: list[Verdict], *, judged: bool) -> str:
    """Return what became of the criteria, one a line."""
    lines: list[str] = []
    for verdict in found:
        value, number = _figures(verdict)
        bound = f"{'>=' if verdict.at_least else '<='} {number}"
        word = ("pass" if verdict.passed else "FAIL") if judged else "not judged"
        lines.append(f"{verdict.name:<48}{value:>12}   {bound:<14}{word}")
    return "\n".join(lines)


_STYLE: Final = """
text { font: 14px system-ui, sans-serif; fill: #1f2328; }
rect { fill: #8c959f; } rect.ours { fill: #0969da; } path { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } rect { fill: #6e7681; } rect.ours { fill: #58a6ff; }
  path { fill: #0d1117; }
}"""
_ROW: Final = 30
_BARS: Final = 260
_LENGTH: Final = 380


def picture(rows: Rows) -> str:
    """Return CPU per PATCH by client, 32 in flight and plain, as SVG."""
    cells = [row for key, row in rows.items() if key[:2] == ("patch", "32 in flight, plain")]
    figures = [(row.key[2], us) for row in cells if (us := row.median("cpu_us")) is not None]
    most = max((us for _, us in figures), default=1.0)
    title = "CPU for a PATCH, 32 in flight, microseconds: less is better"
    height = 50 + _ROW * len(figures)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}\n</style>",
        f'<path d="M0 0h720v{height}H0z"/>',
        f'<text x="8" y="24" style="font-weight: 600">{escape(title)}</text>',
    ]
    for number, (name, us) in enumerate(figures):
        top = 40 + _ROW * number
        width = max(1.0, us / most * _LENGTH)
        kind = ' class="ours"' if name.startswith("cfsso") else ""
        label = escape(_label(name))
        lines += [
            f'<text x="{_BARS - 10}" y="{top + 16}" text-anchor="end">{label}</text>',
            f'<rect{kind} x="{_BARS}" y="{top}" width="{width:.1f}" height="22" rx="2"/>',
            f'<text x="{_BARS + width + 8:.1f}" y="{top + 16}">{us:,.0f}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
