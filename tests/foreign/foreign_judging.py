"""What the foreign suites reported, and whether that is what it must be."""

import base64
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias
from xml.etree import ElementTree as ET

import attrs

Kind: TypeAlias = tuple[str, str]
"""A check of Schemathesis, and the status and codes of the answer that it remarked."""

_SUCCEEDED: Final = 200


def missed(report: Path, expected: int) -> list[str]:
    """
    Return what keeps a suite from having passed as a whole, from a report in JUnit's format.

    Args:
        report: pytest's or Node's.
        expected: How many tests there must be, all of them passed.
    """
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - our own run wrote it
    bad = [case.get("name", "?") for case in cases if any(c.tag in _BAD for c in case)]
    problems = [f"not passed: {name}" for name in bad]
    if expected != len(cases):
        problems.append(f"{len(cases)} tests were found where {expected} must be")
    return problems


_BAD: Final = {"failure", "error", "skipped"}


def explained(file: Path) -> dict[Kind, str]:
    """Return the names of the remarks that are explained."""
    remarks = tomllib.loads(file.read_text("utf-8"))["remark"]
    return {(remark["check"], remark["answer"]): remark["name"] for remark in remarks}


@attrs.define
class Findings:
    """
    What runs of Schemathesis came to.

    Attributes:
        cases: How many requests were made.
        statuses: How often each operation was answered with which status.
        remarks: How often each kind of remark came up.
        examples: One request and what was said of it, for each kind.
    """

    cases: int = 0
    statuses: Counter[tuple[str, int]] = attrs.field(factory=Counter)
    remarks: Counter[Kind] = attrs.field(factory=Counter)
    examples: dict[Kind, str] = attrs.field(factory=dict)

    def add(self, events: Iterable[str]) -> None:
        """Add a run, from the lines of its NDJSON report."""
        for line in events:
            ((name, event),) = json.loads(line).items()
            if name == "ScenarioFinished":
                self._add_scenario(event["recorder"])

    def _add_scenario(self, recorder: dict[str, Any]) -> None:
        for key, interaction in recorder.get("interactions", {}).items():
            case, response = recorder["cases"][key]["value"], interaction.get("response") or {}
            status = response.get("status_code", 0)
            self.cases += 1
            self.statuses[f"{case['method']} {case['path']}", status] += 1
            for check in recorder.get("checks", {}).get(key, ()):
                if check["status"] == "failure":
                    kind = (check["name"], " ".join(map(str, [status, *_codes(response)])))
                    self.remarks[kind] += 1
                    said, *_ = check["failure_info"]["failure"]["message"].splitlines()
                    self.examples[kind] = f"{case['method']} {case['path']}: {said}"

    def problems(self, names: dict[Kind, str], operations: int) -> Iterator[str]:
        """Yield what is not as it must be; *names* are the remarks that are explained."""
        for kind in sorted(self.remarks.keys() - names.keys()):
            yield f"a remark that is not explained: {' '.join(kind)}: {self.examples[kind]}"
        for operation, status in sorted(self.statuses):
            if status not in range(_SUCCEEDED, 500):
                yield f"{operation} was answered with {status}"
        succeeded = {operation for operation, status in self.statuses if status == _SUCCEEDED}
        if operations != len(succeeded):
            yield f"only {len(succeeded)} of {operations} operations ever succeeded"


def _codes(response: dict[str, Any]) -> list[Any]:
    try:
        body = json.loads(base64.b64decode(response["content"]["$base64"]))
        return [error["code"] for error in body["errors"]]
    except (KeyError, TypeError, ValueError):
        return ["no envelope"]
