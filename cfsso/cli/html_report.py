"""A run as one page for a change ticket: it fetches nothing and runs nothing."""

import datetime as dt
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Final

from cfsso._text import shown_time
from cfsso._version import __version__
from cfsso.cli import exit_codes, html_results, reports, summary
from cfsso.cli.endings import CommandEnded
from cfsso.cli.html_text import scrolling, text
from cfsso.cli.html_timeline import timeline
from cfsso.cli.reports import Report
from cfsso.cli.screen import say
from cfsso.cli.summary import counted
from cfsso.cli.windows import LIMIT
from cfsso.fleet import _files

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
# By this a page is told from others.
_BEGIN: Final = (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
)
KIND: Final = _files.Kind("a page of cfsso", lambda head: head.startswith(_BEGIN.encode()))
"""What `save` replaces."""
# How many tokens have a drawing.
_DRAWN: Final = 4
_WORST: Final = frozenset({"failed", "conflict", "unknown"})


def write(report: Report) -> None:
    """Print the page to stdout, in UTF-8 whatever the terminal has."""
    sys.stdout.flush()
    sys.stdout.buffer.write(page(report).encode())
    sys.stdout.buffer.flush()


def save(report: Report, path: str) -> None:
    """
    Write the page to a file in one step, readable by its owner only.

    Raises:
        InvalidRequestError: It can't be written, or something else than a former page is
            there; what was there is untouched.
    """
    _files.replace(path, page(report), KIND)


def page(report: Report) -> str:
    """Return the page."""
    return "\n".join([*_head(report), *_body(report), ""])


def _head(report: Report) -> Iterator[str]:
    style = _style()
    yield _BEGIN
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<title>{_name(report)}: {_state(report)}</title>"
    yield "\n".join(["<style>", style, *html_results.filter_rules(), "</style>"])
    yield "</head>"


def _style() -> str:
    file = resources.files("cfsso.cli").joinpath("report.css")
    try:
        return file.read_text("utf-8")
    except OSError as error:
        say(f"{file}: {error.strerror}: a part of cfsso is missing: install it again")
    raise CommandEnded(exit_codes.NOT_GREEN)


def _body(report: Report) -> Iterator[str]:
    run = report.run
    yield "<body>"
    yield f"<header><p>{reports.kind_of(run)}, begun {shown_time(run.begun)}</p>"
    yield f"<h1>{_name(report)}</h1>"
    yield f'<p class="verdict {_color(report)}">{_verdict(report)}</p></header>'
    yield "<main>"
    yield from _tiles(report)
    yield from _facts(report)
    yield from _results(report)
    yield from _requests(report)
    yield from _runs(report)
    yield "</main>"
    made = shown_time(dt.datetime.now(dt.UTC))
    yield f"<footer>Written {made} by cfsso {__version__}. All times are in UTC.</footer>"
    yield "</body>\n</html>"


def _name(report: Report) -> str:
    return text(Path(report.journal).name)


def _state(report: Report) -> str:
    total = len(report.targets)
    state = f"{report.not_green:,} of {total:,} not green" if report.not_green else "all green"
    return state if report.run.ended else f"{state}, not ended"


def _verdict(report: Report) -> str:
    total = len(report.targets)
    verdict = (
        f"{report.not_green:,} of {counted(total, 'connector')} not green."
        if report.not_green
        else f"All green: {counted(total, 'connector')} read back as asked for."
    )
    return verdict if report.run.ended else f"{verdict} The run has not ended."


def _color(report: Report) -> str:
    if _WORST & set(report.counts[report.run.number]):
        return "bad"
    return "warn" if report.not_green or not report.run.ended else "good"


def _tiles(report: Report) -> Iterator[str]:
    counts = report.counts[report.run.number]
    outcomes = report.outcomes
    seen = [outcome.after or outcome.before for outcome in outcomes]
    sent = sum(window.sent for window in report.windows)
    tiles = [
        ("accounts", f"{len({outcome.change.account_id for outcome in outcomes}):,}", ""),
        ("domains", f"{len({one.email_domain for one in seen if one} - {None}):,}", ""),
        ("requests", f"{sent:,}", "after the planning"),
        ("duration", reports.lasted(report.seconds), "" if report.run.ended else "so far"),
    ]
    yield '<section aria-labelledby="summary"><h2 id="summary">Summary</h2>\n<ul class="tiles">'
    for status, meaning in summary.MEANINGS.items():
        if status in counts:
            yield _tile(status, f"{counts[status]:,}", meaning, status)
    for name, value, remark in tiles:
        yield _tile(name, value, remark)
    yield "</ul></section>"


def _tile(name: str, value: str, remark: str, kind: str = "") -> str:
    more = f" <small>{remark}</small>" if remark else ""
    begin = f'<li class="{kind}">' if kind else "<li>"
    return f"{begin}<strong>{value}</strong> <b>{name}</b>{more}</li>"


def _facts(report: Report) -> Iterator[str]:
    facts = reports.facts(report)
    if report.run.plan:
        facts["plan"] = report.run.plan
    if report.run.merged:
        facts["merged"] = counted(report.run.merged, "repeated row")
    yield '<section aria-labelledby="told"><h2 id="told">The run</h2>\n<dl>'
    for name, value in facts.items():
        shown = "\N{EN DASH}" if value == "-" else text(value)
        yield f"<div><dt>{name}</dt><dd>{shown}</dd></div>"
    yield "</dl></section>"


def _results(report: Report) -> Iterator[str]:
    yield '<section class="results" aria-labelledby="results"><h2 id="results">Results</h2>'
    yield (
        "<p>A change is what it was \N{RIGHTWARDS ARROW} what was asked for. Intended is when its"
        " write was about to be sent, ended when its outcome was known.</p>"
    )
    yield from html_results.filters(report)
    yield from html_results.problems(report)
    yield from html_results.accounts(report)
    yield "</section>"


def _requests(report: Report) -> Iterator[str]:
    windows = report.windows
    yield '<section aria-labelledby="requests"><h2 id="requests">Requests against the limit</h2>'
    if not windows:
        yield "<p>No requests are written down.</p></section>"
        return
    yield (
        f"<p>Cloudflare allows each token {LIMIT.requests:,} requests in any"
        f" {LIMIT.seconds:.0f} seconds. The curve is what the run has sent in the"
        f" {LIMIT.seconds:.0f} seconds before; what planning or others with the same token sent"
        " is not in it.</p>"
    )
    for number, window in enumerate(windows[:_DRAWN], 1):
        yield timeline(window, number)
    rest = windows[_DRAWN:]
    if rest:
        yield (
            f"<p>{counted(len(rest), 'more token')} sent at most {rest[0].peak:,} each in"
            f" {LIMIT.seconds:.0f} seconds.</p>"
        )
    yield "</section>"


def _runs(report: Report) -> Iterator[str]:
    yield '<section aria-labelledby="runs"><h2 id="runs">Runs of this journal</h2>'
    yield f'{scrolling("Runs of this journal")}<table class="runs">'
    heads = "".join(
        f'<th scope="col">{head}</th>' for head in ("Run", "Kind", "Begun", "Ended", "Outcomes")
    )
    yield f"<thead><tr>{heads}</tr></thead><tbody>"
    for run in report.runs:
        ended = shown_time(run.ended) if run.ended else "not ended"
        cells = (
            *(reports.kind_of(run), shown_time(run.begun), ended),
            reports.tally(report.counts[run.number]),
        )
        yield f'<tr><th scope="row">{run.number}</th><td>{"</td><td>".join(cells)}</td></tr>'
    yield "</tbody></table></div></section>"
