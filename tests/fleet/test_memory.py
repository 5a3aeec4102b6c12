"""What a run holds in memory does not grow with the fleet."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

_ENDURANCE: Final = Path(__file__).parent.parent / "crashes" / "endurance.py"
_IN_MEMORY: Final = "/dev/shm"  # noqa: S108 - memory, no file


def test_memory_does_not_grow_with_the_number_of_targets() -> None:
    """From 5,000 targets to 20,000 the peak of memory grows by 100 bytes a target at most."""
    # With fewer targets SQLite's cache of 2 MB is not full yet, and with so few of them the
    # grain of what the system gives counts; `nox -s endurance` measures with many.
    options = ["--few", "5000", "--many", "20000", "--most", "0", "--every", "10"]
    options += ["--bytes", "100"]
    if os.access(_IN_MEMORY, os.W_OK):
        options += ["--folder", _IN_MEMORY]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, "-P", _ENDURANCE, *options],
            cwd=folder,
            capture_output=True,
            check=False,
            text=True,
        )

    assert (0, "") == (done.returncode, done.stderr), done.stdout
    (slope,) = re.findall(r"^(-?[0-9.]+) bytes a target$", done.stdout, re.MULTILINE)
    assert 100 >= float(slope)
