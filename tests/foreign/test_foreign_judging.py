"""What makes the foreign suites fail."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from foreign_judging import Findings, explained, missed

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "emulator.md"
OPERATION = "GET /accounts/{account_id}/sso_connectors"


@pytest.mark.parametrize(
    ("cases", "problems"),
    [
        ('<testcase name="a"/><testcase name="b"/>', []),
        ('<testcase name="a"/>', ["1 tests were found where 2 must be"]),
        ('<testcase name="a"/><testcase name="b"><skipped/></testcase>', ["not passed: b"]),
        ('<testcase name="a"><failure/></testcase><testcase name="b"/>', ["not passed: a"]),
        ('<testcase name="a"><error/></testcase><testcase name="b"/>', ["not passed: a"]),
    ],
)
def test_all_of_a_suite_must_pass(tmp_path: Path, cases: str, problems: list[str]) -> None:
    """A test that failed, was skipped or is missing is told."""
    report = tmp_path / "report.xml"
    report.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")

    assert problems == missed(report, 2)


def scenario(status: int, failed: str = "", content: bytes = b"") -> str:
    """Return a line of Schemathesis's report: one request, and one check that failed."""
    method, path = OPERATION.split()
    failure = {"failure": {"message": "so and so\nand more"}}
    check: dict[str, Any] = {"name": failed, "status": "failure", "failure_info": failure}
    response = {"status_code": status, "content": {"$base64": base64.b64encode(content).decode()}}
    recorder = {
        "cases": {"x": {"value": {"method": method, "path": path}}},
        "checks": {"x": [check]} if failed else {},
        "interactions": {"x": {"response": response}},
    }
    return json.dumps({"ScenarioFinished": {"recorder": recorder}})


REFUSED = b'{"errors": [{"code": 9106}]}'
NEW = ("ignored_auth", "400 no envelope")
KNOWN = {("ignored_auth", "400 9106"): "a-name"}


@pytest.mark.parametrize(
    ("lines", "problems"),
    [
        ([scenario(200)], []),
        ([scenario(200), scenario(400, "ignored_auth", REFUSED)], []),
        (
            [scenario(200), scenario(400, "ignored_auth", b"[]")],
            [
                f"a remark that is not explained: {' '.join(NEW)}: {OPERATION}: so and so",
            ],
        ),
        ([scenario(200), scenario(500)], [f"{OPERATION} was answered with 500"]),
        ([scenario(404)], ["only 0 of 1 operations ever succeeded"]),
    ],
)
def test_schemathesis_finds_nothing_new(lines: list[str], problems: list[str]) -> None:
    """A new kind of remark, a 5xx, and an operation that never succeeds are told."""
    findings = Findings()
    findings.add(['{"EngineStarted": {}}', *lines])

    assert problems == list(findings.problems(KNOWN, 1))
    assert len(lines) == findings.cases


def test_each_remark_is_explained() -> None:
    """docs/emulator.md has a row for each kind of remark, and for no other."""
    _, section = PAGE.read_text("utf-8").split("\n## Suites of others\n")
    named = {row.split("`")[-2] for row in section.splitlines() if row.endswith("` |")}

    assert set(explained(HERE / "remarks.toml").values()) == named
