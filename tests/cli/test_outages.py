"""An outage in the middle of a run, in real processes."""

from pathlib import Path

from outage_trial import trial


def test_a_server_that_goes_away_costs_no_target(tmp_path: Path) -> None:
    """The server stops in mid-run and comes back; all ends `changed`, at the latest by a resume."""
    assert [] == trial(tmp_path, accounts=20, latency=0.2, away=2.0, seed=1)
