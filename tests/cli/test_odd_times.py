"""A time that parses and that UTC does not have is shown and kept, whatever the command."""

from pathlib import Path
from typing import Any

import attrs
import pytest

import cfsso

OLD, NEW = "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"
ODD = "odd.example"


@attrs.define
class Odd:
    """A server with three accounts, the second of which has a connector of such times."""

    emulator: cfsso.CloudflareEmulator
    url: str
    connector: str

    @property
    def accounts(self) -> tuple[str, ...]:
        """The ids of the accounts."""
        return self.emulator.accounts

    @property
    def states(self) -> list[bool | None]:
        """Whether the connectors are enabled."""
        return [c.enabled for a in self.accounts for c in self.emulator.connectors(a)]


@pytest.fixture
def odd(cloud: Any, serve: Any) -> Odd:
    """Serve the accounts; each has one connector, which is enabled."""
    cloud.add(enabled=True)
    for domain in (ODD, "last.example"):
        account = cloud.emulator.add_account()
        cloud.emulator.add_connector(account, email_domain=domain, enabled=True, status="verified")
    state = cloud.emulator.to_state()
    [shown] = [*state["accounts"].values()][1]["connectors"]
    shown.update(created_on=OLD, updated_on=NEW)
    made = cfsso.CloudflareEmulator.from_state(state, rate_limit=None)
    return Odd(made, serve(made), shown["id"])


def test_looking(run: Any, odd: Odd) -> None:
    """Tables and blocks show the time with its own offset, objects as the API has it."""
    listed = run("list", *odd.accounts, "--base-url", odd.url)
    records = run("list", *odd.accounts, "--json", "--base-url", odd.url).records
    block = run("get", odd.accounts[1], odd.connector, "--base-url", odd.url)

    assert 4 == len(listed.out.splitlines())
    assert "9999-12-31 23:59:59 -01:00" in listed.out
    assert "0001-01-01 00:00:00 +01:00" in block.out
    assert (OLD, NEW) == tuple(records[1][name] for name in ("created_on", "updated_on"))


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_break_glass(run: Any, odd: Odd, json: list[str]) -> None:
    """The drill and the rescue come to their ends in all accounts."""
    options = [*json, "--base-url", odd.url]

    drill = run("break-glass", *odd.accounts, "--drill", *options)
    rescue = run("break-glass", *odd.accounts, "--yes", *options)

    assert (0, 0) == (drill.code, rescue.code)
    assert [False] * 3 == odd.states


def test_a_run_and_its_journal(run: Any, cloud: Any, odd: Odd, tmp_path: Path) -> None:
    """A plan is saved, loaded and applied; the journal is reported on and reverted."""
    plan, page, journal = (str(tmp_path / name) for name in ("plan", "page.html", "run.cfsso"))
    rows = [
        f"{account},{connector.id},false,"
        for account in odd.accounts
        for connector in odd.emulator.connectors(account)
    ]
    at = ["--base-url", odd.url]

    planned = run("plan", cloud.rollout(*rows), "--json", "--out", plan, *at)
    applied = run("apply", plan, "--yes", "--json", "--journal", journal, *at)
    off = odd.states
    report = run("report", journal, "--json", "--html", page)
    lines = run("report", journal)
    back = run("revert", journal, "--yes", "--json", *at)

    assert [0] * 5 == [ran.code for ran in (planned, applied, report, lines, back)]
    assert ([False] * 3, [True] * 3) == (off, odd.states)
    [before] = [r["before"] for r in report.records if r["email_domain"] == ODD]
    assert (OLD, NEW) == (before["created_on"], before["updated_on"])
    assert ODD in Path(page).read_text("utf-8")


def test_moving_it(run: Any, odd: Odd) -> None:
    """Its domain can be transferred."""
    source, target = odd.accounts[1:]
    odd.emulator.add_connector(target, email_domain=ODD, status="verified")

    ran = run(
        *("transfer", ODD, "--from", source, "--to", target),
        *("--yes", "--json", "--base-url", odd.url),
    )

    assert 0 == ran.code
    assert [True, False, True, True] == odd.states
