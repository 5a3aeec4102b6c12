"""`cfsso resume --failed`, as it is typed."""

from typing import Any

import cfsso


def test_what_the_api_refused_is_tried_again(
    run: Any, cloud: Any, hooked: Any, answer: Any, tmp_path: Any
) -> None:
    """Without the option it stays failed; with it, it is done once the reason is gone."""
    refusing = True

    def refuse(request: cfsso.Request) -> Any:
        refused = answer(403, success=False, errors=[])
        return refused if request.is_write and refusing else None

    hooked(refuse)
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")
    journal = str(tmp_path / "run.cfsso")
    assert 1 == run("apply", file, "--yes", "--journal", journal).code
    refusing = False

    plain = run("resume", journal, "--json")
    failed = run("resume", journal, "--json", "--failed")
    again = run("resume", journal, "--json", "--failed")

    assert (1, ["failed"]) == (plain.code, [record["status"] for record in plain.records])
    assert (0, ["changed"]) == (failed.code, [record["status"] for record in failed.records])
    assert (0, ["changed"]) == (again.code, [record["status"] for record in again.records])
    assert "finished at 2" in plain.err
    assert "nothing was sent now" not in failed.err
    assert "nothing was sent now" in again.err
