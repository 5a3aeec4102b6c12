"""What one toggle runs of our own code, in counts that a busy machine does not change."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench_counts import RECORD, VERSION, excess

SCRIPT = Path(__file__).parent / "parts" / "bench_counts.py"


def test_a_toggle_costs_no_more_than_recorded() -> None:
    """Instructions and calls of a toggle, in memory and over HTTP, are within 5 % of the record."""
    recorded = json.loads(RECORD.read_text())
    if VERSION not in recorded:
        pytest.skip(f"nothing is recorded for Python {VERSION}")
    # Elsewhere, since coverage traces here.
    command = [sys.executable, "-P", str(SCRIPT)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)  # noqa: S603

    assert {} == excess(found, recorded[VERSION])


def test_what_is_more_is_named() -> None:
    """More than 5 % is an excess, and less is none."""
    recorded = {"in memory": {"calls": 200.0, "instructions": 2000.0}}
    found = {"in memory": {"calls": 210.0, "instructions": 2120.0}}

    assert {"instructions in memory": 1.06} == excess(found, recorded)
