"""Targets, intents and endings made by hand, and a journal that is full of them."""

import datetime as dt
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import cfsso
from cfsso.fleet import OutcomeStatus
from cfsso.fleet._journal import Journal
from cfsso.fleet._targets import Ending, Intent, RunKind, Target

MOMENT = dt.datetime(2026, 3, 4, 11, 0, 9, 123456, tzinfo=dt.UTC)


def connector(number: int, **members: Any) -> cfsso.SSOConnector:
    """Return a connector that has all members, changed by *members*."""
    known: dict[str, Any] = {
        "id": f"{number:032x}",
        "email_domain": f"d{number}.example",
        "enabled": False,
        "use_fedramp_language": False,
        "verification": cfsso.Verification(
            code=f"cloudflare_dashboard_sso={number}",
            status=cfsso.VerificationStatus.VERIFIED,
            raw_status="verified",
            extra={"checks": [1, None]},
        ),
        "created_on": MOMENT,
        "updated_on": MOMENT,
        "extra": {"label": "caf\N{LATIN SMALL LETTER E WITH ACUTE}"},
    }
    return cfsso.SSOConnector(**(known | members))


def target(position: int, account: int | None = None, **fields: Any) -> Target:
    """Return a target; without *account* in an account of its own."""
    number = position if account is None else account
    known: dict[str, Any] = {
        "account_id": f"a{number:031x}",
        "sso_connector_id": f"{position:032x}",
        "wished": {"enabled": True},
        "turn": position,
    }
    return Target(position=position, **(known | fields))


def intent(position: int, number: int = 0) -> Intent:
    """Return what is about to be written to a target."""
    return Intent(at=MOMENT, before=connector(position), body='{"enabled":true}', number=number)


def ending(position: int, status: str = "changed", **fields: Any) -> Ending:
    """Return how a target ended."""
    known: dict[str, Any] = {
        "at": MOMENT,
        "before": connector(position),
        "after": connector(position, enabled=True),
        "attempts": 1,
    }
    return Ending(status=OutcomeStatus(status), **(known | fields))


async def feed(targets: Iterable[Target]) -> AsyncIterator[Target]:
    """Give *targets* one by one."""
    for item in targets:
        yield item


async def begun(path: Path | None, *targets: Target) -> Journal:
    """Return a new journal with a run of *targets*."""
    journal = await Journal.create(path)
    await journal.begin(feed(targets), kind=RunKind.APPLY)
    return journal


async def everything(journal: Journal) -> list[Target]:
    """Return all targets of the latest run, in order."""
    found: list[Target] = []
    while page := await journal.pages(open_only=False, after=found[-1].place if found else None):
        found += page
    return found


async def reopened(path: Path) -> list[Target]:
    """Return all targets of the latest run as they stand in the file."""
    journal = await Journal.open(path, readonly=True)
    try:
        return await everything(journal)
    finally:
        await journal.aclose()
