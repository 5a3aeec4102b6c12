"""`cfsso apply`: a file of changes, in this process."""

import asyncio
import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import cfsso
from cfsso.cli import running
from cfsso.cli.app import app

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def test_the_command_of_the_readme(run: Any) -> None:
    """The example rollout ends green on the example cloud."""
    ran = run(
        *("--emulate", str(EXAMPLES / "cloud.json")),
        *("apply", str(EXAMPLES / "rollout.csv"), "--yes"),
    )

    assert 0 == ran.code
    assert "in 40 accounts" in ran.out


def test_all_that_is_not_green_has_a_row_with_its_reason(run: Any, cloud: Any) -> None:
    """Rows for what is not green, the worst last, then counts and one line."""
    on, off, pending = cloud.add(), cloud.add(enabled=True), cloud.add("pending")
    file = cloud.rollout(
        f"{cloud.account},{on},true,",
        f"{cloud.account},{off},true,",
        f"{'f' * 32},{on},false,",
        f"{cloud.account},{pending},TRUE,",
        f"{cloud.account},{on},true,",
    )

    ran = run("apply", file, "--yes", "--emulate", cloud.state)

    lines = ran.out.splitlines()
    assert 1 == ran.code
    assert ["ACCOUNT", "CONNECTOR", "DOMAIN", "STATUS", "REASON"] == lines[0].split()
    assert [cloud.account, pending, "company-2.example", "blocked"] == lines[1].split()[:4]
    assert lines[1].endswith("can't be enabled: verification is pending")
    assert ["f" * 32, on, "-", "failed", "404:"] == lines[2].split()[:5]
    assert [["changed", "1"], ["unchanged", "1"], ["blocked", "1"], ["failed", "1"]] == [
        line.split()[:2] for line in lines[5:9]
    ]
    assert lines[-1].startswith("4 connectors in 2 accounts, 2 green, in ")
    assert lines[-1].endswith("; 1 repeated row merged")
    assert "cfsso: 4 of 4 done, 2 not green" in ran.err
    assert "\r" not in ran.err


def test_each_target_is_a_record(run: Any, cloud: Any) -> None:
    """With `--json` stdout has one object a target, with wish, before, after and reason."""
    connector, other = cloud.add(), "0" * 32
    file = cloud.rollout(f"{cloud.account},{connector},true,", f"{cloud.account},{other},,false")

    ran = run("--json", "apply", file, "--yes", "--emulate", cloud.state)

    records = {record["sso_connector_id"]: record for record in ran.records}
    done, blocked = records[connector], records[other]
    assert 1 == ran.code
    assert (False, True) == (done.pop("before")["enabled"], done.pop("after")["enabled"])
    assert {
        "account_id": cloud.account,
        "sso_connector_id": connector,
        "status": "changed",
        "email_domain": "company-0.example",
        "enabled": True,
        "use_fedramp_language": None,
        "error": None,
        "note": None,
        "attempts": 1,
    } == done
    assert {
        "account_id": cloud.account,
        "sso_connector_id": other,
        "status": "blocked",
        "email_domain": None,
        "enabled": None,
        "use_fedramp_language": False,
        "before": None,
        "after": None,
        "error": None,
        "note": "the account has no such connector",
        "attempts": 0,
    } == blocked


def test_json_lines_are_a_file_of_changes_too(run: Any, cloud: Any) -> None:
    """A file that ends in .jsonl is read as JSON Lines."""
    connector = cloud.add()
    file = cloud.path.with_name("rollout.jsonl")
    file.write_text(
        f'{{"account_id":"{cloud.account}","sso_connector_id":"{connector}","enabled":true}}\n'
    )

    ran = run("apply", str(file), "--yes", "--emulate", cloud.state, "--json")

    assert ["changed"] == [record["status"] for record in ran.records]


def test_every_bad_row_is_named_and_nothing_is_sent(run: Any, cloud: Any, hooked: Any) -> None:
    """All rows that can't be used are on stderr, one line each; exit 2."""
    hooked(lambda _: None)
    connector = cloud.add()
    file = cloud.rollout(
        f"{cloud.account},{connector},maybe,",
        f"{cloud.account},{connector},true,",
        f"{cloud.account},{connector},false,",
    )

    ran = run("apply", file, "--yes")

    assert (2, "") == (ran.code, ran.out)
    assert [
        f"cfsso: {file}: row 2: enabled must be true, false or empty, not 'maybe'",
        f"cfsso: {file}: row 4: asks for other values of connector {connector} than row 3",
        f"cfsso: {file}: 2 rows can't be used; nothing was sent",
    ] == ran.err.splitlines()
    assert [] == cloud.emulator.requests


@pytest.mark.parametrize("name", ["rollout.csv", "missing.csv"])
def test_a_single_problem_is_a_single_line(name: str, run: Any, cloud: Any) -> None:
    """A file with one bad row, or none at all, is one line; exit 2."""
    file = Path(cloud.rollout(f"{cloud.account},x,true,")).with_name(name)

    ran = run("apply", str(file), "--yes", "--emulate", cloud.state)

    assert (2, 1) == (ran.code, ran.err.count("\n"))
    assert ran.err.startswith(f"cfsso: {file}: ")


@pytest.mark.usefixtures("at_terminal")
def test_without_a_token_nobody_is_asked(run: Any, cloud: Any) -> None:
    """What can't be done is said before the question; exit 2."""
    ran = run("apply", cloud.rollout(f"{cloud.account},{'b' * 32},true,"), answer="y\n")

    assert 2 == ran.code
    assert "Apply" not in ran.err
    assert "no token" in ran.err


def test_without_a_terminal_apply_needs_a_yes(run: Any, cloud: Any) -> None:
    """Where nobody can be asked nothing happens; exit 2."""
    file = cloud.rollout(f"{cloud.account},{'b' * 32},true,")

    ran = run("apply", file, "--emulate", cloud.state)

    assert 2 == ran.code
    assert ran.err.startswith("cfsso: apply needs --yes without a terminal; nothing was sent")


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1)])
@pytest.mark.usefixtures("at_terminal")
def test_the_question_says_how_much_it_is(typed: str, code: int, run: Any, cloud: Any) -> None:
    """The question counts connectors, accounts, and what is to be done to them."""
    one, two, three = cloud.add(), cloud.add(enabled=True), cloud.add()
    file = cloud.rollout(
        f"{cloud.account},{one},true,",
        f"{cloud.account},{two},false,",
        f"{cloud.account},{three},,true",
    )

    ran = run("apply", file, "--emulate", cloud.state, answer=typed)

    assert code == ran.code
    assert (
        f"Apply {file}: 3 connectors in 1 account, 1 to enable, 1 to disable,"
        " 1 to change in wording only? [y/N] "
    ) in ran.err
    assert ("cfsso: not confirmed: nothing was sent" in ran.err) is (code == 1)


@pytest.mark.parametrize("typed", ["y\n", "n\n"])
@pytest.mark.usefixtures("at_terminal", "virtual_time")
def test_what_could_not_be_planned_is_asked_about(
    typed: str, run: Any, cloud: Any, hooked: Any
) -> None:
    """What the run has to read again first may be written, so that is a question too."""
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")
    refused = [cfsso.Response(401, {}, b"")]
    hooked(lambda _: refused.pop() if refused else None)

    ran = run("apply", file, answer=typed)

    assert (
        f"Apply {file}: 0 connectors in 0 accounts, 0 to enable, 0 to disable,"
        " 1 to read again first? [y/N] "
    ) in ran.err
    assert (0 if "y" in typed else 1) == ran.code


@pytest.mark.usefixtures("virtual_time")
def test_an_unknown_outcome_exits_4(run: Any, cloud: Any, hooked: Any) -> None:
    """One target of which nothing is known outweighs all others."""
    connector, other = cloud.add(), cloud.add()
    unknown = cfsso.WriteState.UNKNOWN
    hooked(
        lambda r: (
            cfsso.APITimeoutError(f"{r.method} {r.path}: cut", write=unknown, request=r)
            if r.method == "PATCH" and r.path.endswith(connector)
            else None
        )
    )
    file = cloud.rollout(f"{cloud.account},{connector},true,", f"{cloud.account},{other},true,")

    ran = run("apply", file, "--yes")

    assert 4 == ran.code
    assert " unknown  " in ran.out


@pytest.mark.parametrize(
    ("error", "note", "expected"),
    [
        (None, "", "the API refused it; nothing was changed"),
        (None, "a note", "a note"),
        (cfsso.CfssoError("odd"), "", "odd"),
        (
            cfsso.CfssoError("403 from GET /a/b: no", request=cfsso.Request("GET", "/a/b")),
            "a note",
            "a note: 403: no",
        ),
    ],
)
def test_a_reason_leaves_out_what_stands_beside_it(
    error: cfsso.CfssoError | None, note: str, expected: str
) -> None:
    """The request, whose ids are in the row already, is not repeated."""
    from cfsso.cli.summary import reason

    change = cfsso.fleet.Change("a" * 32, "b" * 32, enabled=True)
    status = cfsso.fleet.OutcomeStatus.FAILED

    assert expected == reason(
        cfsso.fleet.Outcome(change=change, status=status, error=error, note=note)
    )


def at_request(number: int, action: Callable[[], object]) -> Callable[[cfsso.Request], None]:
    """Return a hook that does *action* when the request of that number comes."""
    count = 0

    def hook(_request: cfsso.Request) -> None:
        nonlocal count
        count += 1
        if count == number:
            action()

    return hook


@pytest.fixture
def two_accounts(cloud: Any) -> Any:
    """Return a file of one change in each of two accounts."""
    other = cloud.emulator.add_account()
    return cloud.rollout(
        f"{cloud.account},{cloud.add()},true,", f"{other},{cloud.add(account=other)},true,"
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_further_writes(
    number: signal.Signals, code: int, run: Any, cloud: Any, hooked: Any, two_accounts: str
) -> None:
    """What is under way is finished and read back, the rest is not attempted."""
    hooked(at_request(4, lambda: signal.raise_signal(number)))

    ran = run("apply", two_accounts, "--yes", "--json", "--concurrency", "1")

    assert code == ran.code
    assert ["changed", "not_attempted"] == [record["status"] for record in ran.records]
    # The plan read both accounts.
    methods = [request.method for request in cloud.emulator.requests]
    assert ["GET", "GET", "GET", "PATCH", "GET"] == methods
    assert "cfsso: stopping: no further write is sent; once more to leave at once\n" in ran.err
    (journal,) = Path(os.environ["XDG_STATE_HOME"], "cfsso").iterdir()
    assert ran.err.endswith(
        f"cfsso: interrupted by {number.name}\ncfsso: journal: {journal}\n"
        f"cfsso: hint: `cfsso resume {journal}` goes on with what is left\n"
        f"cfsso: hint: `cfsso revert {journal}` takes it back\n"
    )


def test_an_interrupted_run_still_has_its_table(run: Any, hooked: Any, two_accounts: str) -> None:
    """The table shows what was done and what was not."""
    hooked(at_request(3, lambda: signal.raise_signal(signal.SIGINT)))

    ran = run("apply", two_accounts, "--yes", "--concurrency", "1")

    assert 130 == ran.code
    assert "not_attempted      2  nothing was written; it can be done again" in ran.out


def test_a_second_signal_leaves_at_once(run: Any, hooked: Any, two_accounts: str) -> None:
    """What is not known by then is reported as unknown, so that each target has a status."""

    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    hooked(at_request(7, twice))

    ran = run("apply", two_accounts, "--yes", "--json", "--concurrency", "1")

    assert 130 == ran.code
    assert [("changed", None), ("unknown", "left before it was read back")] == [
        (record["status"], record["note"]) for record in ran.records
    ]


def test_a_cancellation_that_no_signal_asked_for_passes(
    run: Any, hooked: Any, two_accounts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelling the task from elsewhere is not taken for a signal."""

    async def cancelled(*_args: object) -> None:
        """Be cancelled."""
        raise asyncio.CancelledError

    hooked(lambda _: None)
    monkeypatch.setattr(running.Running, "_take_outcomes", cancelled)

    with pytest.raises(asyncio.CancelledError):
        run("apply", two_accounts, "--yes")


@pytest.mark.parametrize(
    ("number", "lines"),
    [
        (errno.EPIPE, []),
        (errno.ENOSPC, ["cfsso: can't write the results: No space left on device"]),
    ],
)
def test_a_run_whose_records_nobody_takes_writes_no_further(
    number: int,
    lines: list[str],
    run: Any,
    cloud: Any,
    hooked: Any,
    two_accounts: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A closed pipe or a full disk stops the run like a signal; exit 1, no traceback."""

    def full(_record: object) -> None:
        raise OSError(number, os.strerror(number))

    hooked(lambda _: None)
    monkeypatch.setattr("cfsso.cli.records.emit", full)

    ran = run("apply", two_accounts, "--yes", "--json", "--concurrency", "1")

    assert (1, "") == (ran.code, ran.out)
    shown = [line for line in ran.err.splitlines() if "can't" in line or "done" in line]
    assert shown[0].startswith("cfsso: 2 of 2 done, 1 not green")
    assert lines == shown[1:]
    assert 1 == [request.method for request in cloud.emulator.requests].count("PATCH")


def test_a_signal_during_a_read_ends_it(run: Any, cloud: Any, hooked: Any) -> None:
    """A command that only reads ends with one line and 130."""
    hooked(at_request(1, lambda: signal.raise_signal(signal.SIGINT)))

    ran = run("list", cloud.account)

    assert (130, "", "cfsso: interrupted\n") == (ran.code, ran.out, ran.err)


def test_a_signal_during_a_write_leaves_advice(run: Any, cloud: Any, hooked: Any) -> None:
    """A command that writes says how to see whether it has; SIGTERM is 143."""
    connector = cloud.add()
    hooked(at_request(1, lambda: signal.raise_signal(signal.SIGTERM)))

    ran = run("disable", cloud.account, connector)

    assert 143 == ran.code
    assert (
        f"cfsso: interrupted: it may have happened: run `cfsso get {cloud.account} {connector}`"
        " before you repeat it\n"
    ) == ran.err


def test_a_read_that_is_cancelled_from_elsewhere_passes_it_on(
    run: Any, cloud: Any, hooked: Any
) -> None:
    """Without a signal a cancellation is not reported as one."""
    hooked(lambda _: asyncio.CancelledError())

    with pytest.raises(asyncio.CancelledError):
        run("get", cloud.account, "b" * 32)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
@pytest.mark.usefixtures("at_terminal")
def test_ctrl_c_at_the_question_is_one_line(
    error: BaseException, run: Any, cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no loop runs, Ctrl-C ends with 130 just the same."""

    def interrupt(_question: str) -> bool:
        raise error

    monkeypatch.setattr("cfsso.cli.asking.ask", interrupt)
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")

    ran = run("apply", file, "--emulate", cloud.state)

    assert 130 == ran.code
    assert "cfsso: interrupted\n" == ran.err


def test_the_group_is_click_s() -> None:
    """The commands can be nested in another program of click."""
    assert isinstance(app, click.Group)
