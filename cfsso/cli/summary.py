"""What a run came to: the rows that are not green, the counts, one line."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

import cfsso
from cfsso.cli import render
from cfsso.fleet import Outcome

# In the order of the table, and what each means.
MEANINGS: Final = {
    "changed": "written, and a later read shows it",
    "unchanged": "had the requested values; nothing was sent",
    "blocked": "the state found forbids it; nothing was sent",
    "failed": "the API refused it; nothing was changed",
    "conflict": "a read after the last write shows otherwise",
    "unknown": "may have been applied: look before you repeat",
    "not_attempted": "nothing was written; it can be done again",
}
# What matters most comes last, next to the prompt.
_ROWS: Final = (
    *("unchanged", "changed", "not_attempted", "blocked", "failed", "conflict", "unknown"),
)
# From here on a domain has a column of its own.
_ROOM_FOR_DOMAINS: Final = 140
# From here on equal rows are one.
_MANY: Final = 10


def show(outcomes: Sequence[Outcome], *, elapsed: float, merged: int) -> None:
    """
    Print the outcomes of a run.

    Args:
        outcomes: One for each target.
        elapsed: Seconds the run took.
        merged: How many rows of the file repeated an earlier one.
    """
    console = render.screen()
    _show_problems(console, [outcome for outcome in outcomes if not outcome.status.is_green])
    _show_counts(console, Counter(outcome.status.value for outcome in outcomes))
    console.print(render.cell(_line(outcomes, elapsed, merged)), soft_wrap=True)


def _show_problems(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Draw a row for each outcome, but one for all that are equal if those are many."""
    alike: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        alike.setdefault((outcome.status.value, reason(outcome)), []).append(outcome)
    groups = {key: group for key, group in alike.items() if len(group) > _MANY}
    for (status, said), group in sorted(groups.items(), key=lambda item: _ROWS.index(item[0][0])):
        accounts = len({outcome.change.account_id for outcome in group})
        many = f"{counted(len(group), 'connector')} in {counted(accounts, 'account')}"
        line = Text.assemble(render.word(status), "  ", render.cell(many), "  ", render.cell(said))
        console.print(line, soft_wrap=True)
    if groups:
        console.print()
    show_rows(console, [o for o in outcomes if (o.status.value, reason(o)) not in groups])


def reason(outcome: Outcome) -> str:
    """Say why an outcome is what it is, without the ids that stand beside it."""
    said = [outcome.note, _said(outcome.error)]
    # What was not begun has no reason of its own.
    silent = {**MEANINGS, "not_attempted": "the run stopped before it came to it"}
    return ": ".join(filter(None, said)) or silent[outcome.status.value]


def _said(error: cfsso.CfssoError | None) -> str:
    if error is None:
        return ""
    if error.request is None:
        return str(error)
    request = f"{error.request.method} {error.request.path}"
    return str(error).replace(f" from {request}", "").replace(f"{request}: ", "")


def show_rows(
    console: Console, outcomes: Sequence[Outcome], why: Callable[[Outcome], str] = reason
) -> None:
    """Draw outcomes, the worst last; *why* says what stands in the last column."""
    if not outcomes:
        return
    wide = console.width >= _ROOM_FOR_DOMAINS
    rows: list[tuple[str, list[Text]]] = []
    order = sorted(outcomes, key=lambda o: (_ROWS.index(o.status.value), o.change.account_id))
    for outcome in order:
        seen = outcome.after or outcome.before
        domain = (seen and seen.email_domain) or "-"
        said = why(outcome)
        cells = [render.cell(outcome.change.sso_connector_id or "-")]
        if wide:
            cells += [render.cell(domain), render.word(outcome.status.value), render.cell(said)]
        else:
            named = said if domain == "-" else f"{domain}: {said}"
            cells += [render.word(outcome.status.value), render.cell(named)]
        rows.append((outcome.change.account_id, cells))
    headers = ["CONNECTOR", *(["DOMAIN"] * wide), "STATUS", "REASON"]
    render.show_by_account(console, headers, rows, flexible="REASON")
    console.print()


def _show_counts(console: Console, counts: Counter[str]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("STATUS", no_wrap=True)
    table.add_column("COUNT", justify="right", no_wrap=True)
    table.add_column("MEANING")
    for status, meaning in MEANINGS.items():
        if counts[status]:
            table.add_row(
                render.word(status), render.cell(f"{counts[status]:,}"), render.cell(meaning)
            )
    render.draw(console, table)
    console.print()


def _line(outcomes: Sequence[Outcome], elapsed: float, merged: int) -> str:
    accounts = len({outcome.change.account_id for outcome in outcomes})
    green = sum(outcome.status.is_green for outcome in outcomes)
    rate = render.rate_text(len(outcomes) / elapsed) if elapsed > 0 else "at once"
    line = (
        f"{counted(len(outcomes), 'connector')} in {counted(accounts, 'account')},"
        f" {green:,} green, in {elapsed:.1f} s ({rate})"
    )
    return f"{line}; {counted(merged, 'repeated row')} merged" if merged else line


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
