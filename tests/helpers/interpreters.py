"""Python where nothing was imported before."""

import os
import subprocess
import sys


def in_fresh_interpreter(code: str) -> str:
    """Run *code* where nothing was imported before; return what it prints."""
    # Compiled on both sides, as installed packages are.
    env = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout  # noqa: S603
