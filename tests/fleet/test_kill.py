"""Processes that are killed at random points of their runs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import cfsso
from cfsso.fleet import resume

_RUN: Final = Path(__file__).parent.parent / "crashes" / "run.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are killed by POSIX's means")
def test_no_kill_loses_or_doubles_anything(tmp_path: Path) -> None:
    """Runs that are killed and gone on with lose no target, and say only what is true."""
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-P", _RUN, "--trials", "20", "--workers", "2"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
    )

    assert (0, "") == (done.returncode, done.stderr)
    figures = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines())
    assert ("20", "0") == (figures["trials"], figures["broken rules"])
    assert 0 < int(figures["kills"])


async def test_a_journal_that_was_not_finished_may_be_deleted(tmp_path: Path) -> None:
    """A process killed while it makes its journal leaves nothing in it; the way on is said."""
    journal = tmp_path / "run.cfsso"
    journal.write_bytes(b"")
    connectors = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cfsso.CloudflareEmulator()))

    with pytest.raises(cfsso.InvalidRequestError, match="but empty: delete it and start again"):
        await anext(resume(connectors, journal))
