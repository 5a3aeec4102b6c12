"""`apply --journal`, `resume` and `revert`: a run that can go on, and be taken back."""

import asyncio
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from screens import Screen

import cfsso


@pytest.fixture
def three(cloud: Any) -> str:
    """Return a file that enables a connector in each of three accounts."""
    rows = []
    for _ in range(3):
        account = cloud.emulator.add_account()
        rows.append(f"{account},{cloud.add(account=account)},true,")
    return str(cloud.rollout(*rows))


@pytest.fixture
def journal(cloud: Any) -> str:
    """Return the name of a journal to make."""
    return str(cloud.path.with_name("run.cfsso"))


def at_patch(number: int, action: Callable[[], object]) -> Callable[[cfsso.Request], None]:
    """Return a hook that does *action* when the PATCH of that number comes."""
    count = 0

    def hook(request: cfsso.Request) -> None:
        nonlocal count
        count += request.is_write
        if request.is_write and count == number:
            action()

    return hook


def enabled(cloud: Any) -> list[bool]:
    """Return which connectors of the three accounts are enabled."""
    return [
        connector.enabled
        for account in cloud.emulator.accounts
        for connector in cloud.emulator.connectors(account)
    ]


def patches(cloud: Any) -> int:
    """Return how many writes came."""
    return sum(request.method == "PATCH" for request in cloud.emulator.requests)


def test_a_run_that_was_stopped_goes_on_and_is_taken_back(
    run: Any, cloud: Any, hooked: Any, three: str, journal: str
) -> None:
    """What was not attempted is done by the resume, all of it is undone by the revert."""
    hooked(at_patch(2, lambda: signal.raise_signal(signal.SIGINT)))
    args = ("--json", "apply", three, "--yes", "--journal", journal, "--concurrency", "1")

    ran = run(*args)
    assert 130 == ran.code
    assert ["changed", "changed", "not_attempted"] == [r["status"] for r in ran.records]
    assert ran.err.endswith(
        f"cfsso: interrupted by SIGINT\ncfsso: journal: {journal}\n"
        f"cfsso: hint: `cfsso resume {journal}` goes on with what is left\n"
        f"cfsso: hint: `cfsso revert {journal}` takes it back\n"
    )

    ran = run("--json", "resume", journal)
    assert 0 == ran.code
    assert ["changed"] * 3 == [record["status"] for record in ran.records]
    assert ([True] * 3, 3) == (enabled(cloud), patches(cloud))

    ran = run("--json", "revert", journal, "--yes")
    assert 0 == ran.code
    assert ["changed"] * 3 == [record["status"] for record in ran.records]
    assert [False] * 3 == [record["enabled"] for record in ran.records]
    assert ([False] * 3, 6) == (enabled(cloud), patches(cloud))

    for command in (("resume", journal), ("revert", journal, "--yes")):
        ran = run(*command)
        assert 0 == ran.code
        assert "3 connectors in 3 accounts, 3 green" in ran.out
    assert 6 == patches(cloud)


def test_a_journal_is_for_its_owner_only(run: Any, three: str, cloud: Any, journal: str) -> None:
    """Its mode is 0600, and a second apply onto it is refused and leaves it as it is."""
    assert 0 == run("apply", three, "--yes", "--journal", journal, "--emulate", cloud.state).code
    assert 0o600 == stat.S_IMODE(Path(journal).stat().st_mode)
    content = Path(journal).read_bytes()

    ran = run("apply", three, "--yes", "--journal", journal, "--emulate", cloud.state)

    assert (2, "") == (ran.code, ran.out)
    assert ran.err == (
        f"cfsso: {journal} exists: give another --journal, or go on with it:"
        f" `cfsso resume {journal} --emulate {cloud.state}`\n"
    )
    assert content == Path(journal).read_bytes()


def test_without_a_name_it_is_kept_with_the_user_s_state(
    run: Any, hooked: Any, three: str, tmp_path: Path
) -> None:
    """A run has a journal in any case; its folder is the user's alone."""
    hooked(lambda _: None)

    assert 0 == run("apply", three, "--yes").code

    (made,) = (tmp_path / "state" / "cfsso").iterdir()
    assert ".cfsso" == made.suffix
    assert 0o700 == stat.S_IMODE(made.parent.stat().st_mode)
    assert 0o600 == stat.S_IMODE(made.stat().st_mode)


@pytest.mark.parametrize("home", ["", "relative"])
def test_a_state_folder_that_counts_for_nothing(
    home: str, run: Any, hooked: Any, three: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty or relative XDG_STATE_HOME is ignored, as its specification says."""
    hooked(lambda _: None)
    monkeypatch.setenv("XDG_STATE_HOME", home)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    assert 0 == run("apply", three, "--yes").code

    assert 1 == len([*(tmp_path / "home" / ".local" / "state" / "cfsso").iterdir()])


def test_no_place_for_a_journal(
    run: Any, cloud: Any, hooked: Any, three: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none can be made nothing is written, and the line says what to do; exit 2."""
    hooked(lambda _: None)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))

    ran = run("apply", three, "--yes")

    assert (2, "") == (ran.code, ran.out)
    assert ran.err.endswith(": give --journal FILE; nothing was sent\n")
    assert 0 == patches(cloud)


def test_a_rehearsal_leaves_nothing(run: Any, cloud: Any, three: str, tmp_path: Path) -> None:
    """With `--emulate` there is no journal unless one is asked for."""
    assert 0 == run("apply", three, "--yes", "--emulate", cloud.state).code
    assert not (tmp_path / "state").exists()


def test_a_rehearsal_that_is_stopped_is_to_be_run_again(
    run: Any, cloud: Any, three: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no journal stays there is nothing to resume."""
    handle = cfsso.CloudflareEmulator.handle

    def stops(self: Any, request: cfsso.Request, *args: Any) -> cfsso.Response:
        """Be interrupted at the first write."""
        if request.is_write:
            signal.raise_signal(signal.SIGINT)
        return handle(self, request, *args)

    monkeypatch.setattr(cfsso.CloudflareEmulator, "handle", stops)

    ran = run("apply", three, "--yes", "--emulate", cloud.state, "--concurrency", "1")

    assert 130 == ran.code
    assert ran.err.endswith("interrupted by SIGINT: run it again to go on\n")


def test_two_signals_before_the_run_began(
    run: Any, cloud: Any, hooked: Any, three: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no journal was made yet, nothing was attempted."""
    hooked(lambda _: None)

    async def create(_cls: object, _path: str, /, **_: object) -> None:
        """Be interrupted twice."""
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(30)

    monkeypatch.setattr("cfsso.fleet._journal.Journal.create", classmethod(create))

    ran = run("--json", "apply", three, "--yes")

    assert 130 == ran.code
    assert ["not_attempted"] * 3 == [record["status"] for record in ran.records]
    assert 0 == patches(cloud)


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1)])
@pytest.mark.usefixtures("at_terminal")
def test_with_json_the_plan_is_one_line(
    typed: str, code: int, run: Any, three: str, cloud: Any
) -> None:
    """Whoever is asked sees what it comes to; stdout has nothing but outcomes."""
    ran = run("--json", "apply", three, "--emulate", cloud.state, answer=typed)

    assert code == ran.code
    assert "cfsso: Plan: 3 to change, 0 unchanged, 0 blocked; " in ran.err
    assert 3 * (1 - code) == len(ran.records)


def test_a_run_that_wrote_nothing_names_no_way_on(
    run: Any, cloud: Any, journal: str, hooked: Any
) -> None:
    """Where nothing is left and nothing to be taken back, only the journal is named."""
    account = cloud.emulator.add_account()
    pending = cloud.add("pending", account=account)
    file = cloud.rollout(f"{account},{pending},true,")
    hooked(lambda _: None)

    ran = run("apply", file, "--yes", "--journal", journal)

    assert 1 == ran.code
    assert ran.err.endswith(f"\ncfsso: journal: {journal}\n")
    assert "hint" not in ran.err


def test_a_plan_that_was_saved_is_applied(run: Any, cloud: Any, three: str, hooked: Any) -> None:
    """What has moved since the plan is a conflict, and left alone."""
    hooked(lambda _: None)
    plan = str(cloud.path.with_name("p"))
    assert 0 == run("plan", three, "--out", plan).code
    first, *others = cloud.emulator.accounts[1:]
    (connector,) = cloud.emulator.connectors(first)
    body = b'{"use_fedramp_language":true}'
    path = f"/accounts/{first}/sso_connectors/{connector.id}"
    assert 200 == cloud.emulator.handle(cfsso.Request("PATCH", path, body)).status

    ran = run("--json", "apply", plan, "--yes", "--canary", "0")

    assert 1 == ran.code
    statuses = {record["account_id"]: record["status"] for record in ran.records}
    assert {first: "conflict", **dict.fromkeys(others, "changed")} == statuses


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1)])
@pytest.mark.usefixtures("at_terminal")
def test_a_revert_asks(
    typed: str, code: int, run: Any, cloud: Any, hooked: Any, three: str, journal: str
) -> None:
    """The question says which run it was, and how much it wrote."""
    hooked(lambda _: None)
    assert 0 == run("apply", three, "--yes", "--journal", journal).code

    ran = run("revert", journal, answer=typed)

    assert code == ran.code
    assert f"Revert {journal}: what the apply of 20" in ran.err
    assert " UTC wrote to 3 connectors in 3 accounts? [y/N] " in ran.err
    assert [code == 1] * 3 == enabled(cloud)


@pytest.mark.usefixtures("at_terminal")
def test_a_revert_of_nothing_does_not_ask(run: Any, cloud: Any, hooked: Any, journal: str) -> None:
    """A run that wrote nothing is taken back without a word."""
    hooked(lambda _: None)
    file = cloud.rollout(f"{cloud.account},{cloud.add(enabled=True)},true,")
    assert 0 == run("apply", file, "--yes", "--journal", journal).code

    ran = run("revert", journal)

    assert 0 == ran.code
    assert "?" not in ran.err


def test_without_a_terminal_a_revert_needs_a_yes(run: Any, journal: str) -> None:
    """Where nobody can be asked nothing happens; exit 2."""
    ran = run("revert", journal)

    assert 2 == ran.code
    assert ran.err.startswith("cfsso: revert needs --yes without a terminal; nothing was sent")


@pytest.mark.parametrize("command", [("resume",), ("revert", "--yes")])
def test_what_is_no_journal(
    command: tuple[str, ...], run: Any, cloud: Any, three: str, hooked: Any
) -> None:
    """A file that is none, or is not there, is named; exit 2, and nothing is sent."""
    hooked(lambda _: None)
    name, *options = command

    for file in (three, str(cloud.path.with_name("missing"))):
        ran = run(name, file, *options)
        assert (2, "") == (ran.code, ran.out)
        assert ran.err.startswith(f"cfsso: {file}")
    assert [] == cloud.emulator.requests


def test_a_full_disk_ends_a_run(
    run: Any, cloud: Any, hooked: Any, three: str, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the journal can't be written nothing more is sent; the line says how to go on."""
    from cfsso.fleet._journal import Journal

    hooked(lambda _: None)
    intend = Journal.intend
    full = cfsso.JournalError("the disk is full: free space, then: cfsso resume")

    async def fails(self: Any, position: int, intent: Any) -> None:
        """Fail from the second on."""
        if position:
            raise full
        await intend(self, position, intent)

    monkeypatch.setattr(Journal, "intend", fails)
    end = Journal.end
    ended: list[object] = []

    async def ends(self: Any, endings: Any) -> None:
        """Fail as well, once the disk is full."""
        if ended:
            raise full
        ended.append(endings)
        await end(self, endings)

    monkeypatch.setattr(Journal, "end", ends)

    ran = run("apply", three, "--yes", "--journal", journal, "--concurrency", "1")

    assert 1 == ran.code
    assert "changed            1" in ran.out
    assert "not_attempted      2" in ran.out
    assert ran.err.endswith(
        f"cfsso: {full}\ncfsso: journal: {journal}\n"
        f"cfsso: hint: `cfsso resume {journal}` goes on with what is left\n"
        f"cfsso: hint: `cfsso revert {journal}` takes it back\n"
    )
    assert 1 == patches(cloud)


def test_a_revert_on_a_terminal(
    run: Any, cloud: Any, serve: Any, three: str, journal: str, on_terminal: Callable[..., Screen]
) -> None:
    """The question waits for an answer; then there is a table that fits."""
    url = serve(cloud.emulator)
    assert 0 == run("--base-url", url, "apply", three, "--yes", "--journal", journal).code
    screen = on_terminal("--base-url", url, "revert", journal)

    screen.wait_for("3 connectors in 3 accounts? [y/N] ")
    screen.type("y\n")

    assert 0 == screen.end()
    assert "3 connectors in 3 accounts, 3 green" in screen.text
    assert [False] * 3 == enabled(cloud)


def test_a_resume_on_a_terminal(
    run: Any, cloud: Any, serve: Any, three: str, journal: str, on_terminal: Callable[..., Screen]
) -> None:
    """It goes on without asking, and ends with the whole run's table."""
    url = serve(cloud.emulator)
    assert 0 == run("--base-url", url, "apply", three, "--yes", "--journal", journal).code
    screen = on_terminal("--base-url", url, "resume", journal)

    assert 0 == screen.end()
    assert "[y/N]" not in screen.text
    assert "3 connectors in 3 accounts, 3 green" in screen.text
