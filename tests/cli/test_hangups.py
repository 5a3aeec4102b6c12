"""The terminal goes away: a rescue goes on to its end, and everything else stops in order."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from hung_up import clouds, recorded, served, trials

from cfsso.cli import hangups

pytestmark = pytest.mark.skipif(hangups.HANGUP is None, reason="the system has no SIGHUP")

SIGHUP = getattr(signal, "SIGHUP", 0)


def hang_up() -> None:
    """Do to this process what the end of its terminal does."""
    os.kill(os.getpid(), SIGHUP)


def test_a_rescue_goes_on(run: Any, cloud: Any, hooked: Any) -> None:
    """Whatever the moment, everything is disabled, and exit 0 says so."""
    for _ in range(3):
        cloud.add(enabled=True)
    hooked(lambda _request: hang_up())

    ran = run("break-glass", cloud.account, "--yes")

    assert 0 == ran.code
    assert not any(c.enabled for c in cloud.emulator.connectors(cloud.account))
    assert signal.SIG_DFL is signal.getsignal(SIGHUP)


def test_a_single_command_stops(run: Any, cloud: Any, hooked: Any) -> None:
    """It ends as by SIGTERM, with the code of its own signal."""
    connector = cloud.add()
    hooked(lambda _request: hang_up())

    ran = run("get", cloud.account, connector)

    assert (129, "", "cfsso: interrupted\n") == (ran.code, ran.out, ran.err)


def test_a_run_settles_and_stops(run: Any, cloud: Any, hooked: Any, tmp_path: Path) -> None:
    """No further write is sent, and each target has its outcome."""
    ids = [cloud.add() for _ in range(8)]
    file = cloud.rollout(*(f"{cloud.account},{each},true," for each in ids))
    hooked(lambda request: hang_up() if request.method == "PATCH" else None)

    ran = run(
        *("--json", "apply", file, "--yes", "--concurrency", "1"),
        *("--journal", str(tmp_path / "j"), "--canary", "1"),
    )

    assert 129 == ran.code
    assert "interrupted by SIGHUP" in ran.err
    assert {"changed", "not_attempted"} == {record["status"] for record in ran.records}
    assert 8 == len(ran.records)


def test_nohup_stays_in_force(run: Any, cloud: Any, hooked: Any) -> None:
    """A process that was started to outlive its terminal does."""
    connector = cloud.add()
    hooked(lambda _request: hang_up())
    before = signal.signal(SIGHUP, signal.SIG_IGN)
    try:
        ran = run("get", cloud.account, connector)
        assert hangups.is_ignored()
    finally:
        signal.signal(SIGHUP, before)

    assert 0 == ran.code


def test_only_the_main_thread_can_outlive_a_terminal() -> None:
    """Elsewhere it is left as it is, without an error."""

    def use() -> None:
        with hangups.outlived():
            ignored.append(hangups.is_ignored())

    ignored: list[bool] = []
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()

    assert [False] == ignored


def test_systems_without_the_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to outlive, and nothing to listen to."""
    monkeypatch.setattr(hangups, "HANGUP", None)

    with hangups.outlived():
        assert hangups.is_ignored()


def test_a_rescue_is_safe_from_its_first_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever hangs up while modules are imported and files are read ends nothing."""
    import cfsso.cli

    ignored: list[bool] = []
    monkeypatch.setattr(
        "importlib.import_module", lambda _name: ignored.append(hangups.is_ignored())
    )
    before = signal.getsignal(SIGHUP)
    try:
        for words in (["list", "a" * 32], ["--json", "break-glass", "x"]):
            with pytest.raises(SystemExit):
                cfsso.cli.main(words)
    finally:
        signal.signal(SIGHUP, before)

    assert [False, False, True, True] == ignored


@pytest.mark.timeout(240)
def test_a_rescue_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Hung up at random moments it disables everything, exits 0, and its journal names it all."""
    count = int(os.environ.get("CFSSO_HANGUPS", "3"))

    assert [] == trials(count, 60, 0.02, tmp_path, seed=count)


def test_a_rescue_on_a_terminal_that_is_gone(
    on_terminal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nowhere to write to all is done and recorded; exit 1 says that the results are lost."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "any")
    cloud = clouds(30, 0.2)
    with served(cloud) as url:
        words = ("break-glass", *cloud.accounts, "--journal", str(tmp_path / "j"), "--yes")
        screen = on_terminal("--base-url", url, *words, columns=100)
        screen.wait_for("0/30")
        os.close(screen.terminal)
        screen.terminal = os.open(os.devnull, os.O_RDONLY)
        code = screen.process.wait(30)

    assert 1 == code
    assert not any(c.enabled for a in cloud.accounts for c in cloud.connectors(a))
    assert 30 == len(recorded(tmp_path / "j"))
