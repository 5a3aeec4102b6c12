"""`transfer`: the question, the steps on stderr, and what became of both accounts."""

import re
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from screens import Screen

import cfsso

DOMAIN = "acme.example"
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "moving-a-domain.md"


@attrs.define
class Two:
    """The accounts of a cloud between which the domain moves, and their connectors of it."""

    cloud: Any
    source: str
    target: str
    old: str
    new: str

    @property
    def args(self) -> tuple[str, ...]:
        """What the command is called with."""
        return "transfer", DOMAIN, "--from", self.source, "--to", self.target

    @property
    def enabled(self) -> tuple[bool | None, bool | None]:
        """Whether the domain really is enabled in the source and in the target."""
        emulator = self.cloud.emulator
        return (
            emulator.connector(self.source, self.old).enabled,
            emulator.connector(self.target, self.new).enabled,
        )

    @property
    def writes(self) -> int:
        """How many writes the emulator was sent."""
        return sum(entry.method != "GET" for entry in self.cloud.emulator.requests)


@pytest.fixture
def two(cloud: Any, hooked: Any) -> Two:
    """Return two accounts, one with the domain enabled, one with it verified."""
    hooked(lambda _: None)
    other = cloud.emulator.add_account()
    old = cloud.add(email_domain=DOMAIN, enabled=True)
    new = cloud.add(email_domain=DOMAIN, account=other)
    return Two(cloud, cloud.account, other, old, new)


def test_a_transfer_is_told_step_by_step(run: Any, two: Two) -> None:
    """Each confirmed step is a line on stderr, and both accounts are a row on stdout."""
    ran = run(*two.args, "--yes")

    assert 0 == ran.code
    assert [
        f"cfsso: disabled in account {two.source}, confirmed",
        f"cfsso: enabled in account {two.target}, confirmed",
    ] == ran.err.splitlines()
    head, first, second = ran.out.splitlines()
    assert ["ACCOUNT", "CONNECTOR", "SSO", "STATUS", "REASON"] == head.split()
    assert [two.source, two.old, "disabled", "changed"] == first.split()[:4]
    assert [two.target, two.new, "enabled", "changed"] == second.split()[:4]
    assert (False, True) == two.enabled


def test_a_transfer_as_json(run: Any, two: Two) -> None:
    """With `--json` there is an object an account, the source first."""
    ran = run(*two.args, "--yes", "--json")

    assert 0 == ran.code
    assert [
        (two.source, two.old, "changed", False, DOMAIN),
        (two.target, two.new, "changed", True, DOMAIN),
    ] == [
        (
            one["account_id"],
            one["sso_connector_id"],
            one["status"],
            one["enabled"],
            one["email_domain"],
        )
        for one in ran.records
    ]


def test_a_transfer_that_was_made_before(run: Any, two: Two) -> None:
    """Running it again writes nothing and is green."""
    run(*two.args, "--yes")

    ran = run(*two.args, "--yes", "--json")

    assert (0, "") == (ran.code, ran.err)
    assert ["unchanged", "unchanged"] == [one["status"] for one in ran.records]
    assert 2 == two.writes


def test_a_target_that_is_not_ready(run: Any, two: Two) -> None:
    """Nothing is written, and both rows say what to do; exit 1."""
    two.cloud.emulator.handle(
        cfsso.Request("DELETE", f"/accounts/{two.target}/sso_connectors/{two.new}"), None
    )

    ran = run(*two.args, "--yes")

    assert (1, "") == (ran.code, ran.err)
    assert 2 == ran.out.count("the target has no connector of the domain: create one there")
    rows = [line.split()[:4] for line in ran.out.splitlines()[1:]]
    assert [two.source, two.old, "enabled", "blocked"] == rows[0]
    assert [two.target, "-", "-", "blocked"] == rows[1]
    assert 1 == two.writes


def test_a_target_that_is_refused(
    run: Any, two: Two, hooked: Any, answer: Callable[..., cfsso.Response]
) -> None:
    """The domain goes back to where it was, which is a line of its own; exit 1."""
    hooked(lambda r: answer(403) if r.is_write and r.account_id == two.target else None)

    ran = run(*two.args, "--yes")

    assert 1 == ran.code
    assert [
        f"cfsso: disabled in account {two.source}, confirmed",
        f"cfsso: enabled again in account {two.source}, confirmed",
    ] == ran.err.splitlines()
    assert "enabled again, since the target could not be: 403" in ran.out
    assert (True, False) == two.enabled


@pytest.mark.usefixtures("virtual_time")
def test_a_target_in_doubt(run: Any, two: Two, hooked: Any) -> None:
    """What can't be known is unknown, its state is not shown, and the exit is 4."""

    def cut(request: cfsso.Request) -> BaseException | None:
        if request.account_id != two.target or two.writes == 0:
            return None
        return cfsso.APIConnectionError("cut", write=cfsso.WriteState.UNKNOWN)

    hooked(cut)

    ran = run(*two.args, "--yes")

    assert 4 == ran.code
    assert [two.target, two.new, "-", "unknown"] == ran.out.splitlines()[2].split()[:4]
    assert "it may be enabled, or be so later: look at it, and transfer again" in ran.out


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("transfer", "localhost", "--from", "a" * 32, "--to", "b" * 32), "must be a domain name"),
        (("transfer", DOMAIN, "--from", "x", "--to", "b" * 32), "source must be 32 letters"),
        (("transfer", DOMAIN, "--from", "a" * 32, "--to", "a" * 32), "must be two accounts"),
        (("transfer", DOMAIN, "--from", "a" * 32), "Missing option '--to'"),
    ],
)
def test_bad_input_is_refused_before_anything(
    args: tuple[str, ...], problem: str, run: Any, two: Two
) -> None:
    """What can't be used is one line and 2, before anybody is asked."""
    ran = run(*args)

    assert (2, "", 1) == (ran.code, ran.out, ran.err.count("\n"))
    assert problem in ran.err
    assert [] == two.cloud.emulator.requests


def test_without_a_terminal_a_yes_is_needed(run: Any, two: Two) -> None:
    """Where nobody can be asked nothing is sent without `--yes`; exit 2."""
    ran = run(*two.args)

    line = "transfer needs --yes without a terminal; nothing was sent: see cfsso transfer --help"
    assert (2, "", f"cfsso: {line}\n") == (ran.code, ran.out, ran.err)
    assert [] == two.cloud.emulator.requests


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
@pytest.mark.usefixtures("at_terminal")
def test_only_a_yes_is_a_yes(typed: str, code: int, run: Any, two: Two) -> None:
    """The question names the domain and both accounts; anything but a yes sends nothing."""
    ran = run(*two.args, answer=typed)

    assert code == ran.code
    assert (
        f"Transfer {DOMAIN}: disable SSO in account {two.source}, then enable it in account"
        f" {two.target}? Between the two its users sign in without SSO, for some seconds [y/N] "
    ) in ran.err
    assert ("cfsso: not confirmed: nothing was sent\n" in ran.err) is (code == 1)
    assert (2 if code == 0 else 0) == two.writes


def test_a_signal_says_how_to_go_on(run: Any, two: Two, hooked: Any) -> None:
    """Whoever leaves between the steps learns how to look and how to go on; exit 130."""

    def interrupt(request: cfsso.Request) -> None:
        if request.is_write and request.account_id == two.target:
            signal.raise_signal(signal.SIGINT)

    hooked(interrupt)

    ran = run(*two.args, "--yes")

    assert (130, "") == (ran.code, ran.out)
    assert ran.err.endswith(
        f"cfsso: interrupted: `cfsso list {two.source} {two.target}` shows how it stands;"
        " run it again to go on\n"
    )
    assert (False, False) == two.enabled
    hooked(lambda _: None)
    assert 0 == run(*two.args, "--yes").code
    assert (False, True) == two.enabled


def test_what_a_person_sees(two: Two, spawn: Any) -> None:
    """The question waits for an answer; then come the steps, and rows that fit."""
    with Screen.start(spawn, "--emulate", two.cloud.state, *two.args) as screen:
        screen.wait_for("for some seconds [y/N] ")
        screen.type("y\n")
        assert 0 == screen.end()

    text = re.sub(r"\x1b\[[0-9;]*m", "", screen.text)
    lines = [line.rstrip() for line in text.split("[y/N] ")[1].splitlines()]
    assert [
        "y",
        f"cfsso: disabled in account {two.source}, confirmed",
        f"cfsso: enabled in account {two.target}, confirmed",
        f"account {two.source}",
        "CONNECTOR                         SSO       STATUS         REASON",
        f"{two.old}  disabled  changed        written, and a later",
    ] == lines[:6]
    assert all(len(line) <= 80 for line in lines)


def test_ctrl_c_at_the_question_sends_nothing(two: Two, spawn: Any) -> None:
    """Ctrl-C instead of an answer is one line and 130."""
    with Screen.start(spawn, "--emulate", two.cloud.state, *two.args) as screen:
        screen.wait_for("[y/N] ")
        screen.type("\x03")
        assert 130 == screen.end()

    assert screen.text.endswith("cfsso: interrupted\r\n")
    assert "confirmed" not in screen.text


@pytest.mark.usefixtures("virtual_time")
def test_the_commands_of_the_page_work(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command that docs/moving-a-domain.md shows on a cloud in memory says what it shows."""
    monkeypatch.chdir(ROOT)
    blocks = re.findall(
        r"^```console\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    lines = "".join(blocks).splitlines()
    shown: dict[str, list[str]] = {}
    said: list[str] = []
    for line in lines:
        if line.startswith("$ cfsso "):
            shown[line.removeprefix("$ cfsso ")] = said = []
        else:
            said.append(line)

    emulated = {command: said for command, said in shown.items() if command.startswith("--emulate")}
    ran = {command: run(*shlex.split(command)) for command in emulated}

    assert 3 == len(ran)
    assert {0} == {one.code for one in ran.values()}
    assert emulated == {command: one.err.splitlines() for command, one in ran.items()}
