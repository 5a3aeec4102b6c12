"""What a person at a terminal sees of a process, and types."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from typing import Any, Self

import attrs
import banners

# In a session of its own the terminal has to be taken, so that Ctrl-C becomes a signal;
# and what runs the tests may ignore it, which no shell on a terminal does.
START = (
    "-c",
    "import fcntl, signal, termios\n"  # noqa: ISC004 - one program
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "fcntl.ioctl(2, termios.TIOCSCTTY, 0)\n"
    "from cfsso.cli import main\n"
    "main()",
)
SECONDS = 30.0


@attrs.define
class Screen:
    """A process on a terminal of some columns, and all that it wrote there."""

    process: subprocess.Popen[str]
    terminal: int
    text: str = ""

    @classmethod
    def start(cls, spawn: Any, *args: str, columns: int = 80, **others: Any) -> Self:
        """Start the command on a terminal of its own; to be used with ``with``."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        streams = {**dict.fromkeys(("stdin", "stdout", "stderr"), theirs), **others}
        process = spawn(*args, start=START, start_new_session=True, **streams)
        os.close(theirs)
        return cls(process, ours)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.terminal)

    def wait_for(self, wanted: str) -> None:
        """Read until *wanted* has been written."""
        deadline = time.monotonic() + SECONDS
        while wanted not in self.text:
            assert time.monotonic() < deadline, f"no {wanted!r} in {self.text!r}"
            assert self._read(), f"no {wanted!r} in {self.text!r}"

    def wait_for_the_plan(self) -> None:
        """Read until a run has planned, and forget how."""
        self.wait_for("Plan: ")
        self.text = self.text.partition("Plan: ")[2]

    def type(self, keys: str) -> None:
        """Type *keys*."""
        os.write(self.terminal, keys.encode())

    def end(self) -> int:
        """Read to the end, leave out which server it was, and return the exit code."""
        deadline = time.monotonic() + SECONDS
        while self._read():
            assert time.monotonic() < deadline, self.text
        self.text = banners.without(self.text)
        return self.process.wait(SECONDS)

    def _read(self) -> bool:
        """Read what there is; return whether more may come."""
        ready, _, _ = select.select([self.terminal], [], [], 0.1)
        if not ready:
            return self.process.poll() is None
        try:
            chunk = os.read(self.terminal, 65536)
        except OSError:
            return False
        self.text += chunk.decode()
        return bool(chunk)
