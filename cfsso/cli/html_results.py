"""The targets of a run as tables: what is not green, and everything by account."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import cfsso
from cfsso._text import shown_time
from cfsso.cli import reports, summary
from cfsso.cli.html_text import scrolling, text
from cfsso.cli.reports import Report
from cfsso.cli.summary import counted
from cfsso.fleet import Outcome, OutcomeStatus, Recorded

# A page with more is folded, and has each target once.
_FEW: Final = 200
# A fold has whole accounts: one, or several with so many targets at most.
_FOLD: Final = 100
_COLUMNS: Final = ("Connector", "Domain", "Change", "Status", "Intended", "Ended", "Reason")
_WORST_FIRST: Final = ("unknown", "conflict", "failed", "blocked", "not_attempted")
# What was read of these last is part of their reason.
_DOUBTED: Final = frozenset(_WORST_FIRST[:3])
_NONE: Final = "\N{EN DASH}"
_WORDS: Final = {True: "true", False: "false", None: "?"}


def filters(report: Report) -> Iterator[str]:
    """Yield what a reader chooses statuses with, if there are several."""
    counts = report.counts[report.run.number]
    if len(counts) < 2:  # noqa: PLR2004 - nothing to choose from
        return
    yield '<fieldset class="filter"><legend>Show</legend>'
    choices = {
        "all": len(report.targets),
        **{n: counts[n] for n in summary.MEANINGS if n in counts},
    }
    for name, count in choices.items():
        checked = " checked" if name == "all" else ""
        yield (
            f'<label><input type="radio" name="show" id="show-{name}"{checked}>'
            f" {name} ({count:,})</label>"
        )
    yield "</fieldset>"


def filter_rules() -> Iterator[str]:
    """Yield the style rules that make the choice work, without any script."""
    for status in OutcomeStatus:
        yield (
            f".results:has(#show-{status}:checked)"
            f" :is(tr[class],tbody[class],details):not(.{status}){{display:none}}"
        )


def problems(report: Report) -> Iterator[str]:
    """Yield a table of all that is not green, the worst first."""
    found = [recorded for recorded in report.targets if not recorded.outcome.status.is_green]
    found.sort(key=lambda recorded: _WORST_FIRST.index(recorded.outcome.status))
    if not found:
        return
    yield "<h3>Not green</h3>"
    yield from _begin_table("What is not green", ("Account", *_COLUMNS))
    yield "<tbody>"
    for recorded in found:
        yield _row(recorded, report.run.begun, with_account=True)
    yield "</tbody></table></div>"


def accounts(report: Report) -> Iterator[str]:
    """Yield a table for each account, or for several small ones; folded if there is much."""
    by_account: dict[str, list[Recorded]] = {}
    for recorded in report.targets:
        by_account.setdefault(recorded.outcome.change.account_id, []).append(recorded)
    few = len(report.targets) <= _FEW
    yield "<h3>By account</h3>"
    if not few and report.not_green:
        yield "<p>What is not green stands above, and is only counted here.</p>"
    for fold in _folds(sorted(by_account.items())):
        everything = [recorded for _, targets in fold for recorded in targets]
        ids = [account_id for account_id, _ in fold]
        name = f"Account {ids[0]}" if len(ids) == 1 else f"Accounts {ids[0]} to {ids[-1]}"
        yield f'<details class="{_statuses(everything)}"{" open" if few else ""}>'
        yield f"<summary>{name}: {_tally(everything)}</summary>"
        yield from _begin_table(name, _COLUMNS)
        for account_id, targets in fold:
            yield from _account(report, account_id, targets, whole=few)
        yield "</table></div></details>"


def _folds(
    by_account: Iterable[tuple[str, list[Recorded]]],
) -> Iterator[list[tuple[str, list[Recorded]]]]:
    fold: list[tuple[str, list[Recorded]]] = []
    size = 0
    for account_id, targets in by_account:
        if fold and size + len(targets) > _FOLD:
            yield fold
            fold, size = [], 0
        fold.append((account_id, targets))
        size += len(targets)
    if fold:
        yield fold


def _account(
    report: Report, account_id: str, targets: Sequence[Recorded], *, whole: bool
) -> Iterator[str]:
    statuses = _statuses(targets)
    yield (
        f'<tbody class="{statuses}"><tr class="account {statuses}">'
        f'<th colspan="{len(_COLUMNS)}" scope="rowgroup">'
        f"Account <code>{account_id}</code>: {_tally(targets)}</th></tr>"
    )
    for recorded in targets:
        if whole or recorded.outcome.status.is_green:
            yield _row(recorded, report.run.begun)
    yield "</tbody>"


def _begin_table(name: str, columns: Sequence[str]) -> Iterator[str]:
    yield scrolling(name)
    kind = "with-account" if len(columns) > len(_COLUMNS) else "by-account"
    heads = "".join(f'<th scope="col">{column}</th>' for column in columns)
    yield f'<table class="{kind}"><thead><tr>{heads}</tr></thead>'


def _row(recorded: Recorded, begun: dt.datetime, *, with_account: bool = False) -> str:
    outcome = recorded.outcome
    change, status = outcome.change, outcome.status
    seen = outcome.after or outcome.before
    domain = text(seen.email_domain) if seen and seen.email_domain else _NONE
    account = f"<td><code>{change.account_id}</code></td>" if with_account else ""
    cells = (
        domain,
        _changes(outcome),
        f"<b>{status}</b>",
        _clock(recorded.intended, begun),
        _clock(recorded.ended, begun),
        _reason(outcome),
    )
    return (
        f'<tr class="{status}">{account}<th scope="row">{change.sso_connector_id}</th>'
        f"<td>{'</td><td>'.join(cells)}</td></tr>"
    )


def _changes(outcome: Outcome) -> str:
    """Return each field asked for, from what it was to the wish."""
    parts: list[str] = []
    for name, wish in outcome.change.wished.items():
        was = None if outcome.before is None else getattr(outcome.before, name)
        start = "" if was is wish else f"{_WORDS[was]} \N{RIGHTWARDS ARROW} "
        parts.append(f"{name}: {start}{_WORDS[wish]}")
    return "<br>".join(parts)


def _reason(outcome: Outcome) -> str:
    if outcome.status.is_green:
        return text(outcome.note)
    said = summary.reason(outcome)
    after = outcome.after
    if after is None or outcome.status not in _DOUBTED or outcome.change.is_shown_by(after):
        return text(said)
    return text(f"{said}; last read: {_shown(outcome, after)}")


def _shown(outcome: Outcome, seen: cfsso.SSOConnector) -> str:
    names = outcome.change.wished
    return ", ".join(f"{name} {_WORDS[getattr(seen, name)]}" for name in names)


def _clock(moment: dt.datetime | None, begun: dt.datetime) -> str:
    if moment is None:
        return _NONE
    whole = shown_time(moment).removesuffix(" UTC")
    day, _, clock = whole.partition(" ")
    return clock if shown_time(begun).startswith(day) else whole


def _statuses(targets: Iterable[Recorded]) -> str:
    return " ".join(sorted({recorded.outcome.status for recorded in targets}))


def _tally(targets: Sequence[Recorded]) -> str:
    counts = Counter(recorded.outcome.status.value for recorded in targets)
    return f"{counted(len(targets), 'connector')}, {reports.tally(counts)}"
