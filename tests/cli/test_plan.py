"""`cfsso plan`: what it shows, what it saves, and how it exits."""

import errno
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import cfsso
from cfsso.fleet import Plan
from cfsso.fleet.plans import is_plan
from cfsso.testing import FaultyTransport, answer_with

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def moving(cloud: Any) -> tuple[str, str, str]:
    """Return a file by which a domain moves, the account that has it and the one to get it."""
    domain = "company.example"
    target = cloud.emulator.add_account()
    old = cloud.add(email_domain=domain, enabled=True)
    new = cloud.add(email_domain=domain, account=target)
    pending = cloud.add("pending", email_domain="new.example")
    done = cloud.add(email_domain="done.example", enabled=True)
    file = cloud.rollout(
        f"{target},{new},true,true",
        f"{cloud.account},{old},false,",
        f"{cloud.account},{pending},true,",
        f"{cloud.account},{done},true,",
        f"{cloud.account},{done},true,",
        f"{target},{'0' * 32},true,",
    )
    return file, cloud.account, target


def test_the_example_can_be_planned(run: Any) -> None:
    """The example rollout has no obstacles on the example cloud."""
    ran = run(
        *("--emulate", str(EXAMPLES / "cloud.json")), *("plan", str(EXAMPLES / "rollout.csv"))
    )

    assert 0 == ran.code
    assert ran.out.endswith(
        "\n\nPlan: 129 to change, 18 unchanged, 0 blocked; 100 domains in 40 accounts;"
        " 209 requests, no rate limit; 1 repeated row merged\n"
    )
    assert "" == ran.err


def test_a_block_for_each_account(run: Any, cloud: Any, moving: Any) -> None:
    """What is to change and what is blocked stands by account; unchanged is only counted."""
    file, source, target = moving

    ran = run("--emulate", cloud.state, "plan", file)

    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    ids = [c.id for a in (target, source) for c in cloud.emulator.connectors(a)]
    assert 1 == ran.code
    both = "enabled: false -> true, use_fedramp_language: false -> true"
    assert [
        f"account {target}",
        f"~ change {ids[0]} company.example {both}, after {source} has disabled it",
        f"! blocked {'0' * 32} - the account has no such connector",
        "",
        f"account {source}",
        f"~ change {ids[1]} company.example enabled: true -> false",
        f"! blocked {ids[2]} new.example can't be enabled: verification is pending",
        "",
    ] == lines[:-1]
    assert lines[-1].startswith("Plan: 2 to change, 1 unchanged, 2 blocked; 1 domain in 2 accounts")
    assert lines[-1].endswith("; 6 requests, no rate limit; 1 repeated row merged")
    assert not any(line.endswith(" ") for line in ran.out.splitlines())


def test_each_target_is_a_record(run: Any, cloud: Any, moving: Any) -> None:
    """With `--json` stdout has one object a target; what a change waits for is named."""
    file, source, target = moving

    ran = run("--json", "--emulate", cloud.state, "plan", file)

    new, old, pending, done, missing = ran.records
    assert 1 == ran.code
    assert ["changed", "changed", "blocked", "unchanged", "blocked"] == [
        record["status"] for record in ran.records
    ]
    assert ["change", "change", "blocked", "unchanged", "blocked"] == [
        record["action"] for record in ran.records
    ]
    assert "can't be enabled: verification is pending" == pending["reason"]
    assert (None, None, []) == (done["reason"], done["needs"], done["differences"])
    assert (None, None) == (missing["before"], missing["email_domain"])
    assert new.pop("before")["enabled"] is False
    assert {
        "account_id": target,
        "sso_connector_id": new["sso_connector_id"],
        "status": "changed",
        "action": "change",
        "email_domain": "company.example",
        "enabled": True,
        "use_fedramp_language": True,
        "differences": [
            {"field": "enabled", "from": False, "to": True},
            {"field": "use_fedramp_language", "from": False, "to": True},
        ],
        "reason": None,
        "needs": {"account_id": source, "sso_connector_id": old["sso_connector_id"]},
    } == new


def test_a_narrow_terminal_has_the_domain_or_the_id(
    run: Any, cloud: Any, moving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no room for both, an id stands only for what has no domain."""

    def screen() -> Console:
        return Console(file=sys.stdout, width=80, highlight=False)

    monkeypatch.setattr("cfsso.cli.render.screen", screen)

    lines = run("--emulate", cloud.state, "plan", moving[0]).out.splitlines()

    assert ["~", "change", "company.example", "enabled:"] == lines[1].split()[:4]
    blocked = next(line for line in lines if line.startswith("  ! blocked"))
    assert ["!", "blocked", "0" * 32, "the"] == blocked.split()[:4]
    assert all(len(line) <= 80 for line in lines if not line.startswith("Plan: "))


@pytest.mark.parametrize(
    ("expected", "rows", "options"),
    [
        (0, ["on"], []),
        (0, ["off"], []),
        (0, ["on"], ["--detailed-exitcode"]),
        (3, ["off"], ["--detailed-exitcode"]),
        (1, ["off", "pending"], ["--detailed-exitcode"]),
        (1, ["pending"], []),
    ],
)
def test_how_it_exits(expected: int, rows: Any, options: Any, run: Any, cloud: Any) -> None:
    """0 without obstacles, 1 with one, and 3 for changes if that was asked for."""
    ids = {"on": cloud.add(enabled=True), "off": cloud.add(), "pending": cloud.add("pending")}
    file = cloud.rollout(*(f"{cloud.account},{ids[row]},true," for row in rows))

    assert expected == run("plan", file, "--emulate", cloud.state, *options).code


def test_nothing_to_change_is_one_line(run: Any, cloud: Any) -> None:
    """If all is as wished there is only the line that sums it up."""
    file = cloud.rollout(f"{cloud.account},{cloud.add(enabled=True)},true,")

    ran = run("plan", file, "--emulate", cloud.state)

    line = "0 to change, 1 unchanged, 0 blocked; 0 domains in 0 accounts; 1 request, no rate limit"
    assert f"Plan: {line}\n" == ran.out


def test_a_plan_is_saved_even_if_nobody_reads_it(run: Any, cloud: Any, moving: Any) -> None:
    """`--out` writes what was made, and says how to go on."""
    out = cloud.path.with_name("the plan")

    ran = run("plan", moving[0], "--emulate", cloud.state, "--out", str(out), "--json")

    assert is_plan(out.read_bytes())
    assert [record["account_id"] for record in ran.records] == [
        row.change.account_id for row in Plan.load(out).rows
    ]
    assert f"cfsso: saved: `cfsso apply '{out}' --emulate {cloud.state}` does it\n" == ran.err


def test_a_plan_that_can_not_be_saved_is_shown(
    run: Any, cloud: Any, moving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What took long to read is not lost with the file."""
    out = str(cloud.path.with_name("rollout.plan"))

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    ran = run("plan", moving[0], "--emulate", cloud.state, "--out", out)

    assert 2 == ran.code
    assert "Plan: 2 to change" in ran.out
    assert f"cfsso: {out}: No space left on device\n" == ran.err


def test_a_plan_is_no_file_of_changes(run: Any, cloud: Any, moving: Any) -> None:
    """A saved plan can't be planned once more."""
    out = str(cloud.path.with_name("rollout.plan"))
    run("plan", moving[0], "--emulate", cloud.state, "--out", out)

    ran = run("plan", out, "--emulate", cloud.state)

    line = f"cfsso: {out}: a plan already: give the changes it is to be of\n"
    assert (2, "", line) == (ran.code, ran.out, ran.err)


@pytest.mark.parametrize(
    ("said", "rows"),
    [
        (["{file}: row 2: enabled must be true, false or empty, not 'maybe'; nothing was sent"],
         ["{account},{connector},maybe,"]),
        (["{file}: row 2: enabled must be true, false or empty, not 'maybe'",
          "{file}: row 4: asks for other values of connector {connector} than row 3",
          "{file}: 2 rows can't be used; nothing was sent"],
         ["{account},{connector},maybe,", "{account},{connector},true,",
          "{account},{connector},false,"]),
    ],
    ids=["one", "two"],
)  # fmt: skip
def test_rows_that_can_not_be_used_are_all_named(
    said: list[str], rows: list[str], run: Any, cloud: Any, hooked: Any
) -> None:
    """Every bad row is a line on stderr; nothing is sent, and the exit code is 2."""
    requests: list[cfsso.Request] = []
    hooked(requests.append)
    names = {"account": cloud.account, "connector": cloud.add()}
    file = cloud.rollout(*(row.format(**names) for row in rows))

    ran = run("plan", file)

    lines = [f"cfsso: {line.format(file=file, **names)}" for line in said]
    assert (2, "", lines) == (ran.code, ran.out, ran.err.splitlines())
    assert [] == requests


def test_further_accounts_are_looked_at(run: Any, cloud: Any) -> None:
    """Accounts of options and of a file are read for domains that are enabled there."""
    holders, rows = [], []
    for number in range(3):
        holder = cloud.emulator.add_account()
        cloud.add(email_domain=f"d{number}.example", account=holder, enabled=True)
        wanting = cloud.add(email_domain=f"d{number}.example")
        holders.append(holder)
        rows.append(f"{cloud.account},{wanting},true,")
    listed = cloud.path.with_name("accounts.txt")
    listed.write_text(f"\ufeff# ours\n\n  {holders[2]} # HR\r\n{holders[2]}\n", "utf-8")
    options = ["--account", holders[0], "--account", holders[1], "--accounts-file", str(listed)]
    file = cloud.rollout(*rows)

    ran = run("plan", file, "--emulate", cloud.state, "--json", *options)

    assert [f"d{n}.example is enabled in account {holders[n]}" for n in range(3)] == [
        record["reason"] for record in ran.records
    ]
    assert 0 == run("plan", file, "--emulate", cloud.state).code


@pytest.mark.parametrize(
    ("said", "content"),
    [
        (["row 1: account_id must be 32 letters and digits, not 1 characters; nothing was sent"],
         b"x"),
        (["row 1: account_id must be 32 letters and digits, not 1 characters",
          "row 3: account_id must be 32 letters and digits, not 2 characters",
          "2 rows can't be used; nothing was sent"], b"x\n\nyz"),
        (["no accounts"], b"# none\n"),
        (["not UTF-8 at byte 1: save it as UTF-8"], b"a\xff"),
    ],
    ids=["one", "two", "none", "bytes"],
)  # fmt: skip
def test_a_file_of_accounts_that_can_not_be_used(
    said: list[str], content: bytes, run: Any, cloud: Any, moving: Any
) -> None:
    """Every bad line is named on stderr, and the exit code is 2."""
    listed = cloud.path.with_name("accounts.txt")
    listed.write_bytes(content)

    ran = run("plan", moving[0], "--emulate", cloud.state, "--accounts-file", str(listed))

    lines = [f"cfsso: {listed}: {line}" for line in said]
    assert (2, "", lines) == (ran.code, ran.out, ran.err.splitlines())


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ("account_id must be 32 letters and digits, not 1 characters", ["--account", "x"]),
        ("nowhere: No such file or directory", ["--accounts-file", "nowhere"]),
    ],
)
def test_accounts_that_can_not_be(
    said: str, options: Any, run: Any, cloud: Any, moving: Any
) -> None:
    """What is no account, or no file, is one line and 2."""
    ran = run("plan", moving[0], "--emulate", cloud.state, *options)

    assert (2, "", f"cfsso: {said}\n") == (ran.code, ran.out, ran.err)


@pytest.mark.parametrize("as_json", [False, True])
def test_an_account_that_can_not_be_looked_at(as_json: bool, run: Any, cloud: Any) -> None:  # noqa: FBT001 - a case
    """It is named, since a domain may be enabled there, and the exit code is 1."""
    file = cloud.rollout(f"{cloud.account},{cloud.add(enabled=True)},true,")
    unknown = "f" * 32

    ran = run(
        *("plan", file, "--emulate", cloud.state, "--account", unknown), *(["--json"] * as_json)
    )

    assert 1 == ran.code
    assert ran.err.startswith(f"cfsso: account {unknown} could not be read: 404: ")
    assert ran.err.endswith(": a domain may be enabled there\n")
    if as_json:
        *_, record = ran.records
        assert record.pop("reason").startswith("the account could not be read: 404: ")
        assert {"account_id": unknown, "sso_connector_id": None, "status": "failed"} == record


def test_what_the_limit_asks_for_is_told(
    run: Any, cloud: Any, moving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line that sums it up says how long the requests take."""
    limits = {
        "no wait at the rate limit": cfsso.RateLimit(),
        "about 5 min at the rate limit": cfsso.RateLimit(requests=5),
        "about 3 s at the rate limit": cfsso.RateLimit(requests=5, seconds=2.5),
    }

    for said, limit in limits.items():
        monkeypatch.setattr(
            "cfsso.connect",
            lambda limit=limit, **_: cfsso.AsyncSSOConnectors(
                cfsso.InMemoryTransport(cloud.emulator), rate_limit=limit
            ),
        )
        assert f"; 6 requests, {said}; " in run("plan", moving[0]).out


@pytest.mark.usefixtures("virtual_time")
def test_progress_is_told_only_if_it_takes_long(
    run: Any, cloud: Any, faulty: FaultyTransport
) -> None:
    """Without a terminal accounts are counted after five seconds; what is soon over is silent."""
    accounts = [cloud.emulator.add_account() for _ in range(3)]
    rows = [f"{account},{cloud.add(account=account)},true," for account in accounts]
    file = cloud.rollout(f"{accounts[0]},{'0' * 32},true,", *rows)

    quick = run("plan", file)
    # After the list of the first account and the read of what it does not show.
    faulty.on(answer_with(429, applied=False, headers={"retry-after": "287"}), nth=3)
    slow = run("plan", file, "--concurrency", "1")

    assert "" == quick.err
    assert quick.out == slow.out
    assert [
        "cfsso: waiting 287 s for the rate limit",
        "cfsso: 2 of 3 accounts read",
    ] == slow.err.splitlines()


def test_whoever_does_not_wait_gets_a_plan_with_an_obstacle(
    run: Any, cloud: Any, faulty: FaultyTransport
) -> None:
    """With `--max-wait` an account that would take longer is one that can't be read."""
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")
    faulty.on(answer_with(429, applied=False, headers={"retry-after": "287"}))

    ran = run("plan", file, "--max-wait", "60", "--json")

    assert 1 == ran.code
    (record,) = ran.records
    assert record["reason"].startswith("the account could not be read: 429")


def test_an_interrupted_plan_is_one_line(run: Any, cloud: Any, moving: Any, hooked: Any) -> None:
    """Ctrl-C ends the reading at once; nothing is shown or saved."""
    out = cloud.path.with_name("rollout.plan")
    hooked(lambda _: signal.raise_signal(signal.SIGINT))

    ran = run("plan", moving[0], "--out", str(out))

    assert (130, "", "cfsso: interrupted\n") == (ran.code, ran.out, ran.err)
    assert not out.exists()


def test_the_file_of_a_plan_holds_no_token(
    run: Any, cloud: Any, moving: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the file nor what is shown has the credential in it."""
    url = serve(cloud.emulator)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "s3cret-and-long-enough")
    out = cloud.path.with_name("rollout.plan")

    ran = run("--base-url", url, "plan", moving[0], "--out", str(out))

    assert 1 == ran.code
    assert "s3cret" not in ran.out + ran.err + out.read_text()
    assert 0.0 == json.loads(out.read_text())["seconds"]
