"""Tables and blocks for people, on stdout."""

import datetime as dt
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

import cfsso
from cfsso._text import printable, shown_time
from cfsso.cli.results import Result
from cfsso.cli.screen import say

# Where nothing is cut off: files and pipes have no width.
_ENDLESS: Final = 100_000
# The least that holds an id and what stands beside it; narrower terminals wrap.
_LEAST: Final = 76
# From here on an account has a column of its own, and times have room.
_WIDE: Final = 140
_ROOM_FOR_TIMES: Final = 100
_WIDTHS: Final[Mapping[str, int]] = {
    "ACCOUNT": 32,
    "CONNECTOR": 32,
    "SSO": 8,
    "STATUS": 13,
    "VERIFICATION": 12,
    "UPDATED": 23,
}
# A domain beside a reason.
_SHORT: Final = 24
_TEXT: Final = 2000
# A rate below this has a decimal place.
_FAST: Final = 10

STYLES: Final[Mapping[str, str]] = {
    "changed": "green",
    "blocked": "yellow",
    "failed": "red",
    "conflict": "red",
    "unknown": "bold red",
    "not_attempted": "yellow",
    "verified": "green",
}


def screen(stream: TextIO | None = None) -> Console:
    """Return what draws on *stream*, stdout unless given; no colour but on a terminal."""
    out = sys.stdout if stream is None else stream
    on_terminal = out.isatty()
    console = Console(
        file=out, force_terminal=on_terminal, markup=False, emoji=False, highlight=False
    )
    console.width = max(console.width, _LEAST) if on_terminal else _ENDLESS
    return console


def draw(console: Console, table: Table) -> None:
    """Draw a table, without the blanks at the ends of its lines."""
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        console.file.write(f"{line.rstrip()}\n")


def cell(text: str, style: str = "") -> Text:
    """Return *text*, whoever wrote it, as something that can only be shown."""
    return Text(printable(text, _TEXT), style)


def word(status: str) -> Text:
    """Return a status in its colour, if it has one."""
    return cell(status, STYLES.get(status, ""))


def rate_text(rate: float) -> str:
    """Return a number a second with two digits that mean something."""
    if rate < 1:
        return f"{60 * rate:.1f}/min"
    return f"{rate:,.0f}/s" if rate >= _FAST else f"{rate:.1f}/s"


def show_connectors(accounts: Iterable[tuple[str, Sequence[cfsso.SSOConnector]]]) -> None:
    """Draw the connectors of accounts, in the order given; say which have none."""
    console = screen()
    timed = console.width >= _ROOM_FOR_TIMES
    rows: list[tuple[str, list[Text]]] = []
    for account_id, connectors in accounts:
        if not connectors:
            say(f"account {account_id} has no connectors")
        for connector in connectors:
            cells = [
                cell(connector.id or "-"),
                cell(connector.email_domain or "-"),
                cell(_state(connector.enabled)),
                word(connector.verification.raw_status or "-"),
            ]
            rows.append((account_id, [*cells, *([cell(_time(connector.updated_on))] * timed)]))
    headers = ["CONNECTOR", "DOMAIN", "SSO", "VERIFICATION", *(["UPDATED"] * timed)]
    if rows:
        show_by_account(console, headers, rows, flexible="DOMAIN")


def show_by_account(
    console: Console,
    headers: Sequence[str],
    rows: Iterable[tuple[str, Sequence[Text]]],
    *,
    flexible: str,
) -> None:
    """
    Draw rows that begin with a connector's id, each with the account it belongs to.

    The account is a column if there is room, otherwise a line above its rows. The
    column *flexible* gets the room that is left; a domain there is cut, other text
    goes on in the next line.
    """
    if console.width >= _WIDE:
        table = _table(["ACCOUNT", *headers], flexible, expand=console.width < _ENDLESS)
        for account_id, cells in rows:
            table.add_row(cell(account_id), *cells)
        draw(console, table)
        return
    for number, (account_id, group) in enumerate(groupby(rows, key=lambda row: row[0])):
        if number:
            console.print()
        console.print(cell(f"account {account_id}", "bold"))
        table = _table(headers, flexible, expand=True)
        table.show_header = number == 0
        for _, cells in group:
            table.add_row(*cells)
        draw(console, table)


def _table(headers: Sequence[str], flexible: str, *, expand: bool = False) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=expand)
    for header in headers:
        cut = header == "DOMAIN"
        table.add_column(
            header,
            no_wrap=header != "REASON",
            overflow="ellipsis" if cut else "fold",
            min_width=_WIDTHS.get(header),
            max_width=_SHORT if cut and expand and header != flexible else None,
            ratio=1 if expand and header == flexible else None,
        )
    return table


def show_result(result: Result) -> None:
    """Print what is known after a single command, one line a value."""
    lines = {
        "result": result.status.value.replace("_", " "),
        "account": result.target.account_id,
        "connector": result.target.sso_connector_id or "-",
        **({} if result.connector is None else _block(result.connector)),
    }
    show_lines(lines)


def show_connector(account_id: str, connector: cfsso.SSOConnector) -> None:
    """Print one connector, one line a value."""
    show_lines({"account": account_id, "connector": connector.id or "-", **_block(connector)})


def show_lines(lines: Mapping[str, str]) -> None:
    """Print names and values, whole whatever the width."""
    console = screen()
    for name, value in lines.items():
        text = Text.assemble((f"{name:<14}", "bold"), word(value))
        console.print(text, soft_wrap=True)


def _block(connector: cfsso.SSOConnector) -> dict[str, str]:
    verification = connector.verification
    block = {
        "email domain": connector.email_domain or "-",
        "SSO": _state(connector.enabled),
        "FedRAMP": _state(connector.use_fedramp_language),
        "verification": verification.raw_status or "-",
    }
    if verification.code and verification.status is not cfsso.VerificationStatus.VERIFIED:
        block["TXT name"] = connector.email_domain or "-"
        block["TXT value"] = verification.code
    return {**block, "created": _time(connector.created_on), "updated": _time(connector.updated_on)}


def _state(value: bool | None) -> str:  # noqa: FBT001 - a value to show, not a switch
    return {True: "enabled", False: "disabled", None: "-"}[value]


def _time(moment: dt.datetime | None) -> str:
    return "-" if moment is None else shown_time(moment)
