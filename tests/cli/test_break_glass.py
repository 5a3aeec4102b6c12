"""`cfsso break-glass`: everybody gets back in, and who does not is named with a way on."""

import asyncio
import datetime as dt
import errno
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import cfsso
from cfsso.cli import rescuing
from cfsso.cli.rescued import Rescued
from cfsso.fleet import Change, Outcome, OutcomeStatus

SECONDS = 30.0


def grown(cloud: Any, count: int) -> list[str]:
    """Give *count* accounts an enabled connector each; return their ids."""
    accounts = [cloud.account, *(cloud.emulator.add_account() for _ in range(count - 1))]
    for account in accounts:
        cloud.add(account=account, enabled=True)
    return accounts


def locked(emulator: cfsso.CloudflareEmulator) -> list[str]:
    """Return the accounts that really have an enabled connector."""
    return [a for a in emulator.accounts if any(c.enabled for c in emulator.connectors(a))]


def test_everybody_gets_back_in(run: Any, cloud: Any, hooked: Any) -> None:
    """With all well there is one line, exit 0, and nothing enabled is left."""
    hooked(lambda _: None)
    accounts = grown(cloud, 3)

    ran = run("break-glass", *accounts, accounts[0], "--yes")

    assert (0, "3 of 3 accounts are open\n") == (ran.code, ran.out)
    assert [] == locked(cloud.emulator)
    assert "3 of 3 accounts done: 3 open, 0 not" in ran.err


def test_ninety_seven_of_a_hundred_over_a_real_port(
    run: Any, cloud: Any, serve: Any, tmp_path: Path
) -> None:
    """Three accounts fail in their own ways; the others are open, and the three are named."""
    accounts = grown(cloud, 100)
    unknown, forbidden, without = accounts[10], accounts[50], accounts[99]
    tokens = {account: f"token-{n}" for n, account in enumerate(accounts)}
    for account, token in tokens.items():
        if account != unknown:
            cloud.emulator.add_token(token, [accounts[0] if account == forbidden else account])
    del tokens[without]
    file = tmp_path / "tokens.json"
    file.write_text(json.dumps(tokens))
    file.chmod(0o600)
    listed = tmp_path / "accounts.csv"
    listed.write_text("\n".join(["account_id,name", *(f"{a},x  # y" for a in accounts), "", "# z"]))
    url = serve(cloud.emulator)

    ran = run(
        *("--base-url", url, "break-glass", "--accounts-file", str(listed)),
        *("--token-file", str(file), "--yes"),
    )

    assert 1 == ran.code
    assert [unknown, forbidden, without] == locked(cloud.emulator)
    *rows, empty, line = ran.out.splitlines()
    assert line.startswith("97 of 100 accounts are open; 3 are not: ")
    assert "" == empty
    reasons = {row.split()[0]: row for row in rows[1:]}
    assert {unknown, forbidden, without} == set(reasons)
    assert "401" in reasons[unknown]
    assert "check CLOUDFLARE_API_TOKEN or --token-file" in reasons[unknown]
    assert "403" in reasons[forbidden]
    assert "SSO Connector Write" in reasons[forbidden]
    assert "put its token into the file of --token-file" in reasons[without]
    assert "token-" not in ran.out.replace("--token-file", "")


def test_each_outcome_is_a_record(run: Any, cloud: Any) -> None:
    """With `--json` a whole account has no connector id; the line goes to stderr."""
    [account] = grown(cloud, 1)
    nothing = cloud.emulator.add_account()
    cloud.emulator.save(cloud.path)

    ran = run(
        *("--json", "break-glass", account, nothing, "f" * 32, "--yes"),
        *("--emulate", cloud.state),
    )

    records = {record["account_id"]: record for record in ran.records}
    assert 1 == ran.code
    assert ("changed", False, 1) == (
        records[account]["status"],
        records[account]["after"]["enabled"],
        records[account]["attempts"],
    )
    assert ("unchanged", None, "no connector is enabled") == (
        records[nothing]["status"],
        records[nothing]["sso_connector_id"],
        records[nothing]["note"],
    )
    assert ("failed", None, None) == (
        records["f" * 32]["status"],
        records["f" * 32]["sso_connector_id"],
        records["f" * 32]["before"],
    )
    assert f"cfsso: 2 of 3 accounts are open; 1 is not: {'f' * 32}\n" in ran.err


def test_one_domain(run: Any, cloud: Any, hooked: Any) -> None:
    """Only connectors of the domain are disabled, and the line names it."""
    hooked(lambda _: None)
    cloud.add(enabled=True, email_domain="one.example")
    cloud.add(enabled=True, email_domain="other.example")

    ran = run("break-glass", cloud.account, "--domain", "One.example", "--yes")

    assert (0, "1 of 1 accounts are open for One.example\n") == (ran.code, ran.out)
    states = {c.email_domain: c.enabled for c in cloud.emulator.connectors(cloud.account)}
    assert {"one.example": False, "other.example": True} == states


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ([], "no accounts: give their ids or --accounts-file FILE: see cfsso break-glass --help"),
        (
            ["x"],
            (
                "Invalid value for '[ACCOUNT]...': must be 32 ASCII letters and digits, not 'x':"
                " see cfsso break-glass --help"
            ),
        ),
        (
            ["a" * 32, "--domain", "localhost"],
            "--domain must be a domain name such as example.com, not 'localhost'",
        ),
        (["a" * 32, "--accounts-file", "nowhere"], "nowhere: No such file or directory"),
    ],
)
def test_bad_usage_is_one_line_and_2(
    args: list[str], problem: str, run: Any, cloud: Any, hooked: Any
) -> None:
    """Nothing is sent for what can't be understood."""
    hooked(lambda _: None)

    ran = run("break-glass", *args, "--yes")

    assert (2, "", f"cfsso: {problem}\n") == (ran.code, ran.out, ran.err)
    assert [] == cloud.emulator.requests


def test_bad_lines_are_named_by_their_number(
    run: Any, cloud: Any, hooked: Any, tmp_path: Path
) -> None:
    """A line that is no id stops everything before a request is sent."""
    hooked(lambda _: None)
    file = tmp_path / "accounts.txt"
    file.write_text(f"# ours\n{cloud.account}\n\nx\n,{cloud.account}\naccount_id\n")

    ran = run("break-glass", "--accounts-file", str(file), "--yes")

    assert 2 == ran.code
    said = "account_id must be 32 letters and digits, not"
    assert [
        f"cfsso: {file}: row 4: {said} 1 characters",
        f"cfsso: {file}: row 5: {said} 0 characters",
        f"cfsso: {file}: row 6: {said} 10 characters",
        f"cfsso: {file}: 3 rows can't be used; nothing was sent",
    ] == ran.err.splitlines()
    assert [] == cloud.emulator.requests


def test_without_a_token_nobody_is_asked(run: Any) -> None:
    """What would fail for every account is said before the question."""
    ran = run("break-glass", "a" * 32)

    assert 2 == ran.code
    assert ran.err.startswith("cfsso: no token")


def test_without_a_terminal_it_needs_yes(run: Any, cloud: Any) -> None:
    """Where nobody can be asked it is refused, unless told so or only rehearsed."""
    grown(cloud, 1)

    asked = run("break-glass", cloud.account, "--emulate", cloud.state)
    drilled = run("break-glass", cloud.account, "--emulate", cloud.state, "--drill")

    assert (2, "") == (asked.code, asked.out)
    assert "break-glass needs --yes without a terminal; nothing was sent" in asked.err
    assert 0 == drilled.code


@pytest.mark.usefixtures("at_terminal")
@pytest.mark.parametrize(
    ("domain", "answer", "agreed"),
    [
        (None, "all\n", True),
        (None, " ALL \n", True),
        (None, "yes\n", False),
        (None, "", False),
        ("one.example", "One.example\n", True),
        ("one.example", "all\n", False),
        ("one.example", "y\n", False),
    ],
)
def test_the_question(
    domain: str | None,
    answer: str,
    agreed: bool,  # noqa: FBT001 - a parameter
    run: Any,
    cloud: Any,
    hooked: Any,
) -> None:
    """Only the word itself is a yes; nothing is listed before it is said."""
    hooked(lambda _: None)
    cloud.add(enabled=True, email_domain="one.example")
    options = [] if domain is None else ["--domain", domain]

    ran = run("break-glass", cloud.account, *options, answer=answer)

    assert (0 if agreed else 1) == ran.code
    what = "connector" if domain is None else "connector of one.example"
    assert ran.err.startswith(f"Disable every {what} in 1 account? ")
    assert f" Type {domain or 'all'} to go on: " in ran.err
    assert agreed == bool(cloud.emulator.requests)
    assert agreed == ("not confirmed: nothing was sent" not in ran.err)


def test_a_drill_shows_all_and_writes_nothing(
    run: Any, cloud: Any, serve: Any, tmp_path: Path
) -> None:
    """It shows what would be disabled, which tokens work and until when, and what is missing."""
    account, forbidden = grown(cloud, 2)
    ends = dt.datetime(2150, 1, 1, tzinfo=dt.UTC)
    cloud.emulator.add_token("canary", [account], expires_on=ends)
    file = tmp_path / "token"
    file.write_text("canary")
    file.chmod(0o600)

    ran = run(
        *("--base-url", serve(cloud.emulator), "--token-file", str(file)),
        *("break-glass", account, forbidden, "--drill"),
    )

    assert 1 == ran.code
    assert "would be disabled" in ran.out
    assert "the token works until 2150-01-01 00:00:00 UTC" in ran.out
    assert f"1 of 2 accounts are ready; 1 is not: {forbidden}\n" in ran.out
    assert "a drill can't show whether a token may write" in ran.err
    assert {"GET"} == {entry.method for entry in cloud.emulator.requests}
    assert [account, forbidden] == locked(cloud.emulator)


def test_a_drill_with_a_user_s_token(
    run: Any, cloud: Any, serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for all accounts is asked about; of one by account it is said that it can't be."""
    url = serve(cloud.emulator)
    ends = dt.datetime(2150, 1, 1, tzinfo=dt.UTC)
    cloud.emulator.add_token("cfut_canary", [cloud.account], expires_on=ends)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "cfut_canary")
    file = tmp_path / "tokens.json"
    file.write_text(json.dumps({cloud.account: "cfut_canary"}))
    file.chmod(0o600)

    one = run("--base-url", url, "break-glass", cloud.account, "--drill")
    mapped = run(
        *("--base-url", url, "--token-file", str(file)), "break-glass", cloud.account, "--drill"
    )

    assert (0, 0) == (one.code, mapped.code)
    assert "the token works until 2150-01-01 00:00:00 UTC" in one.out
    assert "the token works, but until when is not known: 401" in mapped.out


def test_a_drill_of_a_token_that_is_over(run: Any, cloud: Any, hooked: Any, answer: Any) -> None:
    """A token that the list still takes, but that is disabled, is to be replaced."""
    dead = answer(200, success=True, result={"status": "disabled"})
    hooked(lambda request: dead if request.path.endswith("verify") else None)

    ran = run("break-glass", cloud.account, "--drill")

    assert 1 == ran.code
    assert "the token is disabled; no connector is enabled: make a new token" in ran.out


def test_a_bar_in_place_of_lines(
    run: Any, cloud: Any, hooked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a line can be redrawn, none is left behind."""
    hooked(lambda _: None)
    monkeypatch.setattr(rescuing, "is_live", lambda _stream: True)
    counts: list[tuple[int, int]] = []
    count = rescuing._Bar.count

    def watched(bar: Any, done: int, opened: int) -> None:
        counts.append((done, opened))
        count(bar, done, opened)

    monkeypatch.setattr(rescuing._Bar, "count", watched)

    ran = run("break-glass", *grown(cloud, 2), "f" * 32, "--yes")

    assert 1 == ran.code
    assert (3, 2) == counts[-1]
    assert "accounts done" not in ran.err


def lines(*statuses: OutcomeStatus, domain: str | None = None) -> str:
    """Return the last line for accounts whose outcomes have these statuses."""
    accounts = {f"{n}" * 32: status.is_green for n, status in enumerate(statuses)}
    return Rescued([], accounts, domain, drill=False).line


def test_the_last_line_names_some_accounts() -> None:
    """Of many that are not open it names the first ones and counts the rest."""
    assert "0 of 0 accounts are open" == lines()
    many = lines(*[OutcomeStatus.FAILED] * 7, OutcomeStatus.CHANGED, domain="one.example")

    named = ", ".join(f"{n}" * 32 for n in range(5))
    assert f"1 of 8 accounts are open for one.example; 7 are not: {named} and 2 more" == many


def test_what_to_do_next(capsys: pytest.CaptureFixture[str]) -> None:
    """Each row says why, and what to do about it, the worst last."""
    account, connector = "a" * 32, "b" * 32
    unconfirmed = cfsso.UnconfirmedWriteError("lost", write=cfsso.WriteState.UNKNOWN)

    def outcome(status: str, **members: Any) -> Outcome:
        change = Change(account, connector, enabled=False)
        return Outcome(change=change, status=OutcomeStatus(status), **members)

    outcomes = [
        outcome("unknown", error=unconfirmed),
        outcome("conflict", note="it was enabled meanwhile"),
        outcome("failed", error=cfsso.APIConnectionError("cut")),
        outcome("blocked", note="no domain"),
        outcome("not_attempted"),
        outcome("changed"),
    ]

    Rescued(outcomes, {account: False}, None, drill=False).show()

    said = [line.split("  ")[-1].strip() for line in capsys.readouterr().out.splitlines()[1:-2]]
    assert [
        "the run stopped before it came to it: run it again",
        "no domain",
        "cut: check the network, --base-url and HTTPS_PROXY",
        "it was enabled meanwhile: see who enables it, and run it again",
        f"lost: run it again, or look with `cfsso get {account} {connector}`",
    ] == said


class _Full:
    """A stdout that takes nothing."""

    def __init__(self) -> None:
        self.tried = 0

    def __call__(self, *_args: Any, **options: Any) -> None:
        """Refuse what goes to stdout."""
        if not options.get("err"):
            self.tried += 1
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_does_not_stop_a_rescue(
    run: Any, cloud: Any, hooked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That results can't be written is said at the end, when everybody is in."""
    hooked(lambda _: None)
    accounts = grown(cloud, 3)
    full, echo = _Full(), click.echo
    monkeypatch.setattr(
        click, "echo", lambda *a, **o: echo(*a, **o) if o.get("err") else full(*a, **o)
    )

    ran = run("break-glass", *accounts, "--yes", "--json")

    assert (1, 1) == (ran.code, full.tried)
    assert [] == locked(cloud.emulator)
    assert ran.err.endswith("cfsso: can't write the results: No space left on device\n")


def never(*accounts: str) -> Callable[[cfsso.Request], bool]:
    """Return which requests are never answered: writes to these accounts."""
    return lambda request: request.method == "PATCH" and request.account_id in accounts


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch, cloud: Any) -> Callable[..., None]:
    """Return what keeps some requests from being answered, and does something before."""

    def stuck(
        is_stuck: Callable[[cfsso.Request], bool],
        then: Callable[[], object],
        seconds: float = 3600,
    ) -> None:
        class Stuck(cfsso.InMemoryTransport):
            """A transport on which some requests hang."""

            async def send(self, request: cfsso.Request) -> cfsso.Response:
                if is_stuck(request):
                    then()
                    await asyncio.sleep(seconds)
                return await super().send(request)

        def connect(**_options: object) -> cfsso.AsyncSSOConnectors:
            return cfsso.AsyncSSOConnectors(Stuck(cloud.emulator))

        monkeypatch.setattr("cfsso.connect", connect)

    return stuck


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_begins_no_further_write(
    number: signal.Signals, code: int, run: Any, cloud: Any, stuck: Any
) -> None:
    """What is under way is settled and read back, and what is left is named."""
    first, *others = grown(cloud, 4)

    def is_slow(request: cfsso.Request) -> bool:
        if request.method == "PATCH" and request.account_id == first:
            os.kill(os.getpid(), number)
        return request.account_id != first

    stuck(is_slow, bool, 0.5)

    ran = run("--json", "break-glass", first, *others, "--yes")

    assert code == ran.code
    assert f"interrupted by {number.name}: run it again to go on" in ran.err
    statuses = {record["account_id"]: record["status"] for record in ran.records}
    assert {first: "changed", **dict.fromkeys(others, "not_attempted")} == statuses
    assert others == locked(cloud.emulator)


def test_what_does_not_settle_in_time_is_left(
    run: Any, cloud: Any, stuck: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a signal the run goes on for a while at most; what was sent by then is unknown."""
    assert 30.0 == rescuing._SETTLING
    monkeypatch.setattr(rescuing, "_SETTLING", 0.2)
    hanging, *others = grown(cloud, 3)
    stuck(never(hanging), lambda: os.kill(os.getpid(), signal.SIGINT))

    ran = run("--json", "break-glass", hanging, *others, "--yes")

    records = {record["account_id"]: record for record in ran.records}
    assert 130 == ran.code
    assert ("unknown", None, "left before its outcome was known") == (
        records[hanging]["status"],
        records[hanging]["sso_connector_id"],
        records[hanging]["note"],
    )
    assert {"changed", "not_attempted"} >= {records[account]["status"] for account in others}


def test_a_second_signal_leaves_at_once(run: Any, cloud: Any, stuck: Any) -> None:
    """Whoever can't wait does not have to; all accounts are named."""
    accounts = grown(cloud, 2)

    def twice() -> None:
        loop = asyncio.get_running_loop()
        os.kill(os.getpid(), signal.SIGTERM)
        loop.call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)

    stuck(never(accounts[0]), twice)

    begun = time.monotonic()
    ran = run("--json", "break-glass", *accounts, "--yes")

    assert 143 == ran.code
    assert 10 > time.monotonic() - begun
    assert 2 == len(ran.records)
    assert 1 == ran.err.count("stopping: no further write is sent")


def test_a_signal_during_a_long_wait_leaves_at_once(
    run: Any, cloud: Any, faulty: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody sits through the rate limit to stop; what was not sent is not attempted."""
    accounts = grown(cloud, 2)
    promise = cfsso.testing.faults.answer_with(429, applied=False, headers={"retry-after": "200"})
    faulty.on(promise, times=None)
    said: list[str] = []

    def say(message: str) -> None:
        said.append(message)
        if message.startswith("waiting"):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("cfsso.cli.waits.say", say)
    begun = time.monotonic()

    ran = run("--json", "break-glass", *accounts, "--yes")

    assert 130 == ran.code
    assert 10 > time.monotonic() - begun
    assert ["not_attempted"] * 2 == [record["status"] for record in ran.records]
    assert "stopping at once: the rate limit asks to wait" in ran.err


def test_a_cancellation_from_elsewhere_passes(cloud: Any, hooked: Any) -> None:
    """Only a signal ends a run with its outcomes; any other cancellation goes on up."""
    from cfsso.cli.options import Settings
    from cfsso.cli.session import Session

    def hook(_request: cfsso.Request) -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    hooked(hook)
    settings = Settings()

    with pytest.raises(asyncio.CancelledError):
        rescuing.Rescuing(
            settings, Session(settings), [cloud.account], domain=None, drill=False
        ).run()


@pytest.mark.usefixtures("virtual_time")
def test_a_limit_is_waited_out_whatever_max_wait_says(run: Any, cloud: Any, faulty: Any) -> None:
    """A 429 is no reason to give up, and somebody who looks on is told."""
    [account] = grown(cloud, 1)
    promise = cfsso.testing.faults.answer_with(429, applied=False, headers={"retry-after": "300"})
    faulty.on(promise)

    ran = run("--max-wait", "1", "break-glass", account, "--yes")

    assert 0 == ran.code
    assert "cfsso: waiting 300 s for the rate limit\n" in ran.err
    assert [] == locked(cloud.emulator)


def test_what_a_person_sees(cloud: Any, serve: Any, on_terminal: Any) -> None:
    """The question, a bar with what is open and what is not, the table, and the line."""
    accounts = grown(cloud, 4)
    cloud.emulator.latency = 0.2
    url = serve(cloud.emulator)
    screen = on_terminal("--base-url", url, "break-glass", *accounts, "f" * 32, columns=120)

    screen.wait_for("Type all to go on: ")
    asked = screen.text
    screen.type("all\n")

    assert 1 == screen.end()
    shown = screen.text
    assert "Disable every connector in 5 accounts? Whoever has a password" in asked
    assert "4 open, 1 not" in shown
    assert "5/5" in shown
    assert "404" in shown
    assert f"4 of 5 accounts are open; 1 is not: {'f' * 32}" in shown
    assert [] == locked(cloud.emulator)
