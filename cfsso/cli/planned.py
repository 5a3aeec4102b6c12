"""A plan on the screen: what would change, account by account, and how far it reaches."""

import asyncio
import math
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.table import Table

import cfsso
from cfsso.cli import records, render
from cfsso.cli.progress import Lines, Live
from cfsso.cli.screen import is_live, say
from cfsso.cli.summary import counted
from cfsso.cli.waits import Waits
from cfsso.fleet import Plan, PlanAction, PlannedChange

_SIGNS: Final = {PlanAction.CHANGE: "~ change", PlanAction.BLOCKED: "! blocked"}
_STATUSES: Final = {
    PlanAction.CHANGE: "changed",
    PlanAction.UNCHANGED: "unchanged",
    PlanAction.BLOCKED: "blocked",
}
_STYLES: Final = {PlanAction.CHANGE: "green", PlanAction.BLOCKED: "yellow"}
# From here on an id stands beside the domain.
_ROOM_FOR_IDS: Final = 120
# How often somebody without a terminal learns that it goes on.
_SECONDS: Final = 5.0
_MINUTE: Final = 60


@contextmanager
def watched(
    connectors: cfsso.AsyncSSOConnectors, accounts: int, *, json: bool
) -> Generator[cfsso.AsyncSSOConnectors, None, None]:
    """Show on stderr how many of *accounts* are listed, if that takes long."""
    # A bar and JSON on one terminal would overwrite each other.
    live = is_live(sys.stderr) and not (json and sys.stdout.isatty())
    waits = Waits(limits=not live)
    shown = Live(accounts, waits.left) if live else _Quiet(accounts)

    def watch(event: cfsso.Event) -> None:
        """Take notice of what happens."""
        waits(event)
        if event.operation == "list" and event.kind is cfsso.EventKind.END:
            shown.add(green=event.error is None)

    with shown:
        yield connectors.with_options(on_event=watch)


class _Quiet(Lines):
    """A line from time to time, and none if it is soon over."""

    def add(self, *, green: bool) -> None:  # noqa: ARG002 - the plan says what is not
        """Count one account more, and say so if it is time."""
        self._done += 1
        now = asyncio.get_running_loop().time()
        if now - self._told >= _SECONDS:
            self._told = now
            say(f"{self._done:,} of {self._total:,} accounts read")


def show(plan: Plan) -> None:
    """Print what is not unchanged, a block for each account, and what it comes to."""
    console = render.screen()
    accounts: dict[str, list[PlannedChange]] = {}
    for row in plan.rows:
        if row.action is not PlanAction.UNCHANGED:
            accounts.setdefault(row.change.account_id, []).append(row)
    for account_id, rows in accounts.items():
        console.print(render.cell(f"account {account_id}", "bold"))
        _show_rows(console, plan, rows)
        console.print()
    console.print(render.cell(summary(plan)), soft_wrap=True)


def summary(plan: Plan) -> str:
    """Return in one line what a plan comes to: its blast radius."""
    counts = Counter(row.action for row in plan.rows)
    accounts = counted(len(plan.changed_accounts), "account")
    change, unchanged, blocked = (f"{counts[action]:,}" for action in PlanAction)
    parts = [
        f"Plan: {change} to change, {unchanged} unchanged, {blocked} blocked",
        f"{counted(len(plan.domains), 'domain')} in {accounts}",
        f"{counted(plan.requests, 'request')}, {_duration(plan.seconds)}",
    ]
    if plan.merged:
        parts.append(f"{counted(plan.merged, 'repeated row')} merged")
    return "; ".join(parts)


def unread(plan: Plan) -> list[str]:
    """Return a line for each account that could not be looked at."""
    return [
        f"account {account_id} could not be read: {why}: a domain may be enabled there"
        for account_id, why in plan.unread.items()
    ]


def emit(plan: Plan) -> None:
    """Print each target as an object, and each account that could not be looked at."""
    for row in plan.rows:
        records.emit(_record(plan, row))
    for account_id, why in plan.unread.items():
        records.emit(
            {
                "account_id": account_id,
                "sso_connector_id": None,
                "status": "failed",
                "reason": f"the account could not be read: {why}",
            }
        )


def _show_rows(console: Console, plan: Plan, rows: Sequence[PlannedChange]) -> None:
    with_ids = console.width >= _ROOM_FOR_IDS
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True, min_width=max(map(len, _SIGNS.values())))
    if with_ids:
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for row in rows:
        sso_connector_id = row.change.sso_connector_id
        domain = row.before and row.before.email_domain
        table.add_row(
            render.cell(f"  {_SIGNS[row.action]}", _STYLES[row.action]),
            *([render.cell(sso_connector_id)] * with_ids),
            render.cell(domain or ("-" if with_ids else sso_connector_id)),
            render.cell(", ".join(filter(None, (_differences(plan, row), row.reason)))),
        )
    render.draw(console, table)


def _differences(plan: Plan, row: PlannedChange) -> str:
    words = {True: "true", False: "false", None: "?"}
    parts = [f"{name}: {words[was]} -> {words[to]}" for name, was, to in row.differences]
    if row.needs is not None:
        parts.append(f"after {plan.rows[row.needs].change.account_id} has disabled it")
    return ", ".join(parts)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "no rate limit"
    if not seconds:
        return "no wait at the rate limit"
    if seconds < _MINUTE:
        return f"about {math.ceil(seconds)} s at the rate limit"
    return f"about {math.ceil(seconds / _MINUTE):,} min at the rate limit"


def _record(plan: Plan, row: PlannedChange) -> dict[str, Any]:
    change = row.change
    needs = None if row.needs is None else plan.rows[row.needs].change
    return {
        "account_id": change.account_id,
        "sso_connector_id": change.sso_connector_id,
        "status": _STATUSES[row.action],
        "action": row.action.value,
        "email_domain": None if row.before is None else row.before.email_domain,
        "enabled": change.wished.get("enabled"),
        "use_fedramp_language": change.wished.get("use_fedramp_language"),
        "before": None if row.before is None else records.of_connector(row.before),
        "differences": [
            {"field": name, "from": was, "to": to} for name, was, to in row.differences
        ],
        "reason": row.reason or None,
        "needs": needs
        and {"account_id": needs.account_id, "sso_connector_id": needs.sso_connector_id},
    }
