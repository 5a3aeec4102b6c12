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
from cfsso.cli.options import Settings
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
    """With all well it says what was disabled and where, exits 0, and nothing enabled is left."""
    hooked(lambda _: None)
    accounts = grown(cloud, 3)

    ran = run("break-glass", *accounts, accounts[0], "--yes")

    assert 0 == ran.code
    assert ran.out.endswith(
        "\n"
        "disabled now: company-0.example, company-1.example, company-2.example\n"
        "SSO is off in 3 of 3 accounts: 3 connectors disabled now, 0 were off already\n"
    )
    assert [] == locked(cloud.emulator)
    assert "3 of 3 accounts done: 3 connectors disabled, 0 accounts not off" in ran.err


def test_ninety_seven_of_a_hundred_over_a_real_port(
    run: Any, cloud: Any, serve: Any, tmp_path: Path
) -> None:
    """Three accounts fail in their own ways; the others are off, and the three are named."""
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
    *rows, empty, domains, line = ran.out.splitlines()
    assert line.startswith(
        "SSO is off in 97 of 100 accounts: 97 connectors disabled now, 0 were off already;"
        " it may still be on in 3: "
    )
    assert domains.startswith("disabled now: company-")
    assert domains.endswith(" and 87 more")
    assert "" == empty
    reasons = {row.split()[0]: row for row in rows[1:]}
    assert {unknown, forbidden, without} == set(reasons)
    assert "401" in reasons[unknown]
    assert "check CLOUDFLARE_API_TOKEN or --token-file" in reasons[unknown]
    assert "403" in reasons[forbidden]
    assert "SSO Connector Write" in reasons[forbidden]
    assert "put its token into the file of --token-file" in reasons[without]
    assert "token-" not in ran.out.replace("--token-file", "")
    again = f"cfsso break-glass --accounts-file {listed} --yes --base-url {url} --token-file {file}"
    assert f"cfsso: hint: `{again}` does what is left, once that is put right\n" in ran.err


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
    assert ("unchanged", None, "it has no connectors") == (
        records[nothing]["status"],
        records[nothing]["sso_connector_id"],
        records[nothing]["note"],
    )
    assert ("failed", None, None) == (
        records["f" * 32]["status"],
        records["f" * 32]["sso_connector_id"],
        records["f" * 32]["before"],
    )
    counts = "1 connector disabled now, 0 were off already"
    still = f"it may still be on in 1: {'f' * 32}"
    assert f"cfsso: SSO is off in 2 of 3 accounts: {counts}; {still}\n" in ran.err


def test_one_domain(run: Any, cloud: Any, hooked: Any) -> None:
    """Only connectors of the domain are disabled, and the line names it."""
    hooked(lambda _: None)
    cloud.add(enabled=True, email_domain="one.example")
    cloud.add(enabled=True, email_domain="other.example")

    ran = run("break-glass", cloud.account, "--domain", "One.example", "--yes")

    assert 0 == ran.code
    said = "SSO is off for One.example: 1 connector disabled now, 0 were off already"
    assert ran.out.endswith(f"\n\n{said}, in 1 of 1 accounts\n")
    assert "disabled now: " not in ran.out
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
    assert "WOULD DISABLE" in ran.out
    assert "the token works until 2150-01-01 00:00:00 UTC" in ran.out
    assert ran.out.endswith(
        "would be disabled: company-0.example\n"
        "SSO would be off in 1 of 2 accounts: 1 connector would be disabled, 0 are off already;"
        f" it might stay on in 1: {forbidden}\n"
    )
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
    assert "the token is disabled; it has no connectors: make a new token" in ran.out


def test_a_bar_in_place_of_lines(
    run: Any, cloud: Any, hooked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a line can be redrawn, none is left behind."""
    hooked(lambda _: None)
    monkeypatch.setattr(rescuing, "is_live", lambda _stream: True)
    counts: list[tuple[int, int, int]] = []
    count = rescuing._Bar.count

    def watched(bar: Any, done: int, found: Rescued) -> None:
        counts.append((done, found.disabled, found.left))
        count(bar, done, found)

    monkeypatch.setattr(rescuing._Bar, "count", watched)

    ran = run("break-glass", *grown(cloud, 2), "f" * 32, "--yes")

    assert 1 == ran.code
    assert (3, 2, 1) == counts[-1]
    assert "accounts done" not in ran.err


def lines(*statuses: OutcomeStatus, domain: str | None = None) -> str:
    """Return the last line for accounts with a connector each that ended so."""
    found = Rescued(Settings(), len(statuses), domain, drill=False)
    for number, status in enumerate(statuses):
        change = Change(f"{number}" * 32, "c" * 32, enabled=False)
        found.add(Outcome(change=change, status=status))
    return found.line


def test_the_last_line_names_some_accounts() -> None:
    """Of many that are not off it names the first ones and counts the rest."""
    many = lines(*[OutcomeStatus.FAILED] * 7, OutcomeStatus.CHANGED, domain="one.example")

    named = ", ".join(f"{n}" * 32 for n in range(5))
    assert (
        f"SSO may still be on for one.example in 7 of 8 accounts: {named} and 2 more;"
        " 1 connector disabled now, 0 were off already"
    ) == many


def test_the_last_line_counts_what_was_off_already() -> None:
    """What was not written now is told apart from what was."""
    both = OutcomeStatus.UNCHANGED, OutcomeStatus.CHANGED, OutcomeStatus.CHANGED

    assert (
        "SSO is off for one.example: 2 connectors disabled now, 1 was off already,"
        " in 3 of 3 accounts"
    ) == lines(*both, domain="one.example")


def test_what_to_do_next(capsys: pytest.CaptureFixture[str]) -> None:
    """Each row says why, and what to do about it, the worst last."""
    account, connector = "a" * 32, "b" * 32
    settings = Settings()
    settings.base_url = "http://localhost/a b"
    there = "--base-url 'http://localhost/a b'"
    unconfirmed = cfsso.UnconfirmedWriteError("lost", write=cfsso.WriteState.UNKNOWN)

    def outcome(status: str, **members: Any) -> Outcome:
        change = Change(account, connector, enabled=False)
        return Outcome(change=change, status=OutcomeStatus(status), **members)

    outcomes = [
        outcome("unknown", error=unconfirmed),
        outcome("conflict", note="it was enabled meanwhile"),
        outcome("not_attempted", error=cfsso.APIConnectionError("cut")),
        outcome("failed", error=cfsso.NotFoundError("404")),
        outcome("blocked", note="no domain"),
        outcome("not_attempted"),
        outcome("changed"),
    ]

    found = Rescued(settings, 1, None, drill=False)
    for each in outcomes:
        found.add(each)
    found.show()

    rows = capsys.readouterr().out.splitlines()
    first = next(n for n, row in enumerate(rows) if "STATUS" in row)
    said = [row.split("  ")[-1].strip() for row in rows[first + 1 : -3]]
    assert [
        "cut: check the network, --base-url and HTTPS_PROXY",
        "the run stopped before it came to it: run it again",
        "no domain",
        f"404: check the ids; `cfsso list {account} {there}` shows what the token can see",
        "it was enabled meanwhile: see who enables it, and run it again",
        f"lost: run it again, or look with `cfsso get {account} {connector} {there}`",
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
    again = f"cfsso break-glass {' '.join([first, *others])} --yes"
    assert f"cfsso: interrupted by {number.name}\n" in ran.err
    assert f"cfsso: hint: `{again}` goes on with what is left\n" in ran.err
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
    from cfsso.cli.session import Session

    def hook(_request: cfsso.Request) -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    hooked(hook)
    settings = Settings()

    with pytest.raises(asyncio.CancelledError):
        rescuing.Rescuing(
            settings, Session(settings), rescuing.Order(accounts=[cloud.account])
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
    """The question, a bar with what is off and what is not, the table, and the line."""
    accounts = grown(cloud, 4)
    cloud.emulator.latency = 0.2
    url = serve(cloud.emulator)
    screen = on_terminal("--base-url", url, "break-glass", *accounts, "f" * 32, columns=120)

    screen.wait_for("Type all to go on: ")
    asked = screen.text
    screen.type("all\n")

    assert 1 == screen.end()
    shown = screen.text
    assert "Disable every connector in 5 accounts? People can then sign in" in asked
    assert "4 connectors disabled, 1 account not off" in shown
    assert "5/5" in shown
    assert "404" in shown
    assert "SSO is off in 4 of 5 accounts: 4 connectors disabled now, 0 were off already" in shown
    assert [] == locked(cloud.emulator)


def test_a_domain_that_nobody_has(run: Any, cloud: Any, hooked: Any) -> None:
    """It is exit 1, nothing is on stdout, and stderr names the domain that is nearest."""
    hooked(lambda _: None)
    for domain in ("nordwind.example", "other.example"):
        account = cloud.emulator.add_account()
        cloud.add(account=account, enabled=True, email_domain=domain)
    words = ("break-glass", *cloud.emulator.accounts, "--domain", "nordwind.exampel")

    real, drilled, records = (
        run(*words, "--yes"),
        run(*words, "--drill"),
        run("--json", *words, "--yes"),
    )

    said = "cfsso: no connector of nordwind.exampel in any of 3 accounts; nothing"
    hint = "cfsso: did you mean nordwind.example?\n"
    assert (1, 1, 1) == (real.code, drilled.code, records.code)
    assert ("", "") == (real.out, drilled.out)
    assert real.err.endswith(f"{said} was disabled\n{hint}")
    assert f"{said} would be disabled\n{hint}" in drilled.err
    assert records.err.endswith(f"{said} was disabled\n{hint}")
    assert ["blocked"] * 3 == [record["status"] for record in records.records]
    assert 2 == len(locked(cloud.emulator))
    assert not list(Path(os.environ["XDG_STATE_HOME"]).rglob("*.cfsso"))


def test_a_domain_that_nobody_has_where_some_can_t_be_read(
    run: Any, cloud: Any, hooked: Any, answer: Any
) -> None:
    """The accounts of which it is not known are named, with what to do."""
    first, closed = grown(cloud, 2)
    refused = answer(403, success=False, errors=[{"code": 9109, "message": "no"}])
    hooked(lambda request: refused if request.account_id == closed else None)

    ran = run("break-glass", first, closed, "--domain", "x.example", "--yes")

    assert 1 == ran.code
    assert "SSO Connector Write" in ran.out
    assert (
        "cfsso: no connector of x.example in the one account that could be read;"
        f" nothing was disabled; not known of {closed}\n"
    ) in ran.err


def test_a_domain_that_is_off_already_is_no_failure(run: Any, cloud: Any, hooked: Any) -> None:
    """It is found, and there was nothing to do: exit 0."""
    hooked(lambda _: None)
    cloud.add(email_domain="one.example")

    ran = run("break-glass", cloud.account, "--domain", "one.example", "--yes")
    drilled = run("break-glass", cloud.account, "--domain", "one.example", "--drill")

    said = "0 connectors disabled now, 1 was off already, in 1 of 1 accounts"
    assert (0, 0) == (ran.code, drilled.code)
    assert f"SSO is off for one.example: {said}\n" in ran.out
    assert "SSO would be off for one.example: 0 connectors would be disabled, 1 is off" in (
        drilled.out
    )


def test_many_accounts_have_no_table(run: Any, cloud: Any, hooked: Any) -> None:
    """It would push what matters off the screen; a drill then names each connector."""
    hooked(lambda _: None)
    accounts = grown(cloud, 41)

    drilled = run("break-glass", *accounts, "--drill")
    ran = run("break-glass", *accounts, "--yes")

    # A header, a row for each connector and each token, a blank, the domains and the line.
    assert 1 + 41 + 41 + 3 == len(drilled.out.splitlines())
    assert 2 == len(ran.out.splitlines())


def test_the_table_counts_by_account(run: Any, cloud: Any, hooked: Any, answer: Any) -> None:
    """Each account has what is off now, what was before, what is not, and its domains."""
    for number in range(5):
        cloud.add(enabled=True, email_domain=f"d{number}.example")
    cloud.add(email_domain="off.example")
    [*_, last, _] = cloud.emulator.connectors(cloud.account)
    refused = answer(403, success=False, errors=[{"code": 9109, "message": "no"}])
    hooked(lambda request: refused if request.is_write and last.id in request.path else None)

    ran = run("break-glass", cloud.account, "--yes")

    header, row, *_ = ran.out.splitlines()
    assert ["ACCOUNT", "DISABLED NOW", "OFF ALREADY", "NOT OFF", "DOMAINS"] == [
        part.strip() for part in header.split("  ") if part.strip()
    ]
    assert [cloud.account, "4", "1", "1"] == row.split()[:4]
    assert row.endswith("d0.example, d1.example, d2.example and 1 more")


def test_a_list_that_hides_something_is_for_the_dashboard(
    run: Any, cloud: Any, hooked: Any, answer: Any
) -> None:
    """What no command can see has to be looked at by a person."""
    short = answer(200, success=True, result=[], result_info={"total_count": 2})
    hooked(lambda _request: short)

    ran = run("break-glass", cloud.account, "--yes")

    assert 1 == ran.code
    said = "the list hides 2 of the connectors: look at this account in the dashboard"
    assert said in ran.out


def journals() -> list[Path]:
    """Return the journals in the user's folder."""
    return list(Path(os.environ["XDG_STATE_HOME"]).rglob("*.cfsso"))


def test_the_journal_and_the_way_back(run: Any, cloud: Any, hooked: Any) -> None:
    """Its path is said first and last, and the command that is printed switches all on again."""
    hooked(lambda _: None)
    accounts = grown(cloud, 3)
    cloud.add(email_domain="off.example")

    ran = run("break-glass", *accounts, "--yes")

    [path] = journals()
    assert ran.err.startswith(f"cfsso: journal: {path}\n")
    back = f"cfsso revert {path}"
    assert ran.err.endswith(
        f"cfsso: journal: {path}\ncfsso: hint: `{back}` enables again what was disabled now\n"
    )
    assert [] == locked(cloud.emulator)
    taken_back = run(*back.split()[1:], "--yes")
    assert 0 == taken_back.code
    assert accounts == locked(cloud.emulator)
    states = {c.email_domain: c.enabled for c in cloud.emulator.connectors(accounts[0])}
    assert {"company-0.example": True, "off.example": False} == states


def test_a_rescue_that_writes_nothing_leaves_no_journal(
    run: Any, cloud: Any, hooked: Any, tmp_path: Path
) -> None:
    """Neither does a drill; one that somebody has named stays."""
    hooked(lambda _: None)
    cloud.add()
    named = tmp_path / "mine"

    ran = run("break-glass", cloud.account, "--yes")
    assert (0, []) == (ran.code, journals())
    assert 1 == ran.err.count("journal")
    assert 0 == run("break-glass", cloud.account, "--drill").code
    assert [] == journals()
    assert 0 == run("break-glass", cloud.account, "--yes", "--journal", str(named)).code
    assert named.exists()


def test_a_rehearsal_leaves_a_journal_only_if_one_is_named(
    run: Any, cloud: Any, tmp_path: Path
) -> None:
    """What happened to an emulated cloud is nothing to take back, unless somebody wants to."""
    grown(cloud, 1)
    words = ("break-glass", cloud.account, "--yes", "--emulate", cloud.state)

    ran = run(*words)
    named = run(*words, "--journal", str(tmp_path / "j"))

    assert (0, 0) == (ran.code, named.code)
    assert "journal" not in ran.err
    assert [] == journals()
    back = f"cfsso revert {tmp_path / 'j'} --emulate {cloud.state}"
    assert f"`{back}` enables again" in named.err


def test_a_rehearsal_needs_no_temporary_folder(
    run: Any, cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a place for its journal it goes on without one."""
    grown(cloud, 1)

    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)

    assert 0 == run("break-glass", cloud.account, "--yes", "--emulate", cloud.state).code


def test_a_journal_that_can_t_be_kept_is_said_once(
    run: Any, cloud: Any, hooked: Any, tmp_path: Path
) -> None:
    """Everybody gets back in; the way back is not promised."""
    hooked(lambda _: None)
    accounts = grown(cloud, 3)
    there = tmp_path / "there"
    there.write_text("mine")

    ran = run("break-glass", *accounts, "--yes", "--journal", str(there))

    assert 0 == ran.code
    assert [] == locked(cloud.emulator)
    assert 1 == ran.err.count("warning: ")
    assert "revert" not in ran.err
    assert "mine" == there.read_text()


def test_without_a_home_there_is_no_journal_but_a_rescue(
    run: Any, cloud: Any, hooked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That nothing is recorded is said before the first request."""
    hooked(lambda _: None)
    monkeypatch.delenv("XDG_STATE_HOME")

    def homeless() -> None:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)

    ran = run("break-glass", *grown(cloud, 2), "--yes")

    assert 0 == ran.code
    assert [] == locked(cloud.emulator)
    assert ran.err.startswith("cfsso: warning: no place for the journal: Could not determine")


def test_a_name_that_is_none_of_a_file_is_bad_usage(run: Any, cloud: Any, hooked: Any) -> None:
    """It can't have been meant, and nothing was sent yet."""
    hooked(lambda _: None)

    ran = run("break-glass", cloud.account, "--yes", "--journal", "")

    assert 2 == ran.code
    assert "is no name of a file" in ran.err
    assert [] == cloud.emulator.requests


def test_a_closed_stdout_does_not_stop_a_rescue(
    run: Any, cloud: Any, hooked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the table can't be shown stderr has the line, and the way back; exit 1."""
    hooked(lambda _: None)
    accounts = grown(cloud, 3)

    def refuse(_found: Rescued) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Rescued, "show", refuse)

    ran = run("break-glass", *accounts, "--yes")

    assert 1 == ran.code
    assert [] == locked(cloud.emulator)
    assert "cfsso: SSO is off in 3 of 3 accounts: 3 connectors disabled now" in ran.err
    assert "enables again what was disabled now\n" in ran.err


@pytest.mark.parametrize("words", [("--yes",), ("--yes", "--json"), ("--drill",)])
def test_what_can_t_be_shown_of_one_hides_no_other(
    words: tuple[str, ...], run: Any, cloud: Any, hooked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in a record or a row is named in its place; all are disabled."""
    hooked(lambda _: None)
    odd, *others = grown(cloud, 3)
    missing = "f" * 32

    def fail_for_one(show: Callable[[Outcome], Any]) -> Callable[[Outcome], Any]:
        def show_or_fail(outcome: Outcome) -> Any:
            if outcome.change.account_id in {odd, missing}:
                raise ZeroDivisionError
            return show(outcome)

        return show_or_fail

    of_outcome, reason = cfsso.cli.records.of_outcome, cfsso.cli.summary.reason
    monkeypatch.setattr("cfsso.cli.records.of_outcome", fail_for_one(of_outcome))
    monkeypatch.setattr("cfsso.cli.summary.reason", fail_for_one(reason))

    ran = run("break-glass", odd, *others, missing, *words)

    assert 1 == ran.code
    assert "it can't be shown: ZeroDivisionError" in ran.out
    assert ("--drill" in words) == bool(locked(cloud.emulator))
    if "--json" in words:
        statuses = {record["account_id"]: record["status"] for record in ran.records}
        assert {**dict.fromkeys([odd, *others], "changed"), missing: "failed"} == statuses


def test_a_date_that_utc_does_not_have(run: Any, tmp_path: Path) -> None:
    """One odd account of three keeps none from being disabled and shown."""
    odd = "0a5d1f0a93c7e24b68a0b3d9e7f1c246"
    connector = {
        "id": "1b7be0c2193d4f5886e1b7d0c95f3a12",
        "email_domain": "odd.example",
        "enabled": True,
        "use_fedramp_language": False,
        "created_on": "0001-01-01T00:00:00+01:00",
        "updated_on": "9999-12-31T23:59:59-01:00",
        "verification": {"code": "cloudflare_dashboard_sso=1b7b", "status": "verified"},
    }
    plain = {
        **connector,
        "created_on": "2026-01-01T00:00:00Z",
        "updated_on": "2026-01-01T00:00:00Z",
    }
    accounts = {
        "1" * 32: {"connectors": [{**plain, "id": "2" * 32, "email_domain": "a.example"}]},
        odd: {"connectors": [connector]},
        "3" * 32: {"connectors": [{**plain, "id": "4" * 32, "email_domain": "b.example"}]},
    }
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"accounts": accounts, "dns": {}}))

    for words in ([], ["--json"]):
        ran = run(*words, "break-glass", *accounts, "--yes", "--emulate", str(state))

        assert 0 == ran.code
        if words:
            assert {*accounts} == {record["account_id"] for record in ran.records}
            assert {"changed"} == {record["status"] for record in ran.records}
            [shown] = [r["after"] for r in ran.records if r["account_id"] == odd]
            assert "0001-01-01T00:00:00+01:00" == shown["created_on"]
        else:
            assert "SSO is off in 3 of 3 accounts: 3 connectors disabled now" in ran.out
