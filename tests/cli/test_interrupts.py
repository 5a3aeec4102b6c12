"""A signal ends a command at once, whatever hangs."""

import os
import select
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

# Far less than what hangs would take.
SOON = 2.0
# As Python starts it, but each look-up hangs, and says so once it does.
HANGING = """
import socket, sys, time

def hang(*_args, **_named):
    sys.stderr.write("it hangs\\n")
    time.sleep(30)
    raise OSError("no such name")

def watch(event, args):
    if event == "open" and str(args[0]).endswith("token"):
        sys.stderr.write("it hangs\\n")

sys.addaudithook(watch)
socket.getaddrinfo = hang
from cfsso.cli import main
main()
"""
ACCOUNT = "5d1f0a93c7e24b68a0b3d9e7f1c24680"
KEY = "a47be0c2193d4f5886e1b7d0c95f3a12"
NUMBERS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


class Hanging:
    """A command whose look-ups of names hang, as does its token file if that is a pipe."""

    def __init__(self, spawn: Any, args: Sequence[str], **env: str) -> None:
        start = ("-X", "dev", "-W", "error", "-c", HANGING)
        self.process = spawn(*args, start=start, env={"CLOUDFLARE_API_TOKEN": "any", **env})
        self.said = self.out = ""
        self.wait_for("it hangs")

    def wait_for(self, wanted: str) -> None:
        """Read stderr until *wanted* stands there."""
        stderr = self.process.stderr.fileno()
        end = time.monotonic() + 30
        while wanted not in self.said:
            assert time.monotonic() < end, self.said
            if select.select([stderr], [], [], 1)[0]:
                chunk = os.read(stderr, 65536)
                assert chunk, self.said
                self.said += chunk.decode()

    def end_by(self, number: signal.Signals) -> int:
        """Send a signal, by which it must end soon; return the exit code."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self.out, rest = self.process.communicate(timeout=30)
        self.said += rest
        assert time.monotonic() - begun < SOON
        assert "Warning" not in self.said
        return int(self.process.returncode)


@pytest.mark.parametrize(("number", "code"), NUMBERS)
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("list", ACCOUNT), "interrupted"),
        (("get", ACCOUNT, KEY), "interrupted"),
        (("disable", ACCOUNT, KEY), "interrupted: nothing was changed"),
        (("delete", ACCOUNT, KEY, "--yes"), "interrupted: nothing was changed"),
    ],
    ids=["list", "get", "disable", "delete"],
)
def test_a_look_up_that_hangs(
    args: Sequence[str], words: str, number: signal.Signals, code: int, spawn: Any
) -> None:
    """The command ends, and a write is not said to be in doubt."""
    hanging = Hanging(spawn, args)

    assert code == hanging.end_by(number)
    assert f"cfsso: {words}\n" in hanging.said


def test_a_look_up_of_a_proxy_that_hangs(spawn: Any) -> None:
    """It is the same with the name of a proxy."""
    hanging = Hanging(spawn, ["list", ACCOUNT], HTTPS_PROXY="http://proxy.example:3128")

    assert 130 == hanging.end_by(signal.SIGINT)
    assert "cfsso: interrupted\n" in hanging.said


@pytest.mark.parametrize(("number", "code"), NUMBERS)
def test_a_plan_whose_look_up_hangs(
    number: signal.Signals, code: int, cloud: Any, spawn: Any
) -> None:
    """A run that has not begun ends by the first signal."""
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")
    hanging = Hanging(spawn, ["apply", file, "--yes"])

    assert code == hanging.end_by(number)
    assert "cfsso: interrupted\n" in hanging.said


@pytest.mark.parametrize(("number", "code"), NUMBERS)
def test_a_rescue_whose_look_up_hangs(
    number: signal.Signals, code: int, cloud: Any, spawn: Any
) -> None:
    """The second signal ends a run at once, and it says that nothing was done."""
    hanging = Hanging(spawn, ["break-glass", cloud.account, "--yes"])
    hanging.process.send_signal(number)
    hanging.wait_for("stopping")

    assert code == hanging.end_by(number)
    assert f"interrupted by {number.name}" in hanging.said
    assert "not_attempted" in hanging.out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_token_file_that_nobody_writes(
    number: signal.Signals, spawn: Any, tmp_path: Path
) -> None:
    """A pipe in the place of a token file is waited for no longer than somebody likes."""
    pipe = tmp_path / "token"
    os.mkfifo(pipe)
    hanging = Hanging(spawn, ["--token-file", str(pipe), "list", ACCOUNT])

    assert hanging.end_by(number) in {130, -signal.SIGTERM}
