"""The tables of rules in docs/emulator.md, which other programs read."""

import re
from pathlib import Path

ROW = re.compile(r"\| `(?P<name>[a-z0-9-]+)` \| (?P<rule>[^|]+) \| \*(?P<label>\w+)\* \|([^|]*)\|")
PAGE = Path(__file__).parents[2] / "docs" / "emulator.md"


def rows() -> list[str]:
    """Return the lines of the tables of rules, without their heads."""
    _, rules = PAGE.read_text(encoding="utf-8").split("\n## The rules\n")
    return [line for line in rules.splitlines() if line.startswith(("| `", "| …"))]


def test_each_rule_has_a_name_and_a_label() -> None:
    """No two rules share a name, and none is without one of the three labels."""
    matches = [ROW.fullmatch(row) for row in rows()]
    found = [match.groupdict() for match in matches if match]

    assert len(rows()) == len(found) == len({rule["name"] for rule in found})
    assert len(found) > 60
    assert {"assumed", "documented"} <= {rule["label"] for rule in found}
    assert {rule["label"] for rule in found} <= {"assumed", "documented", "doubtful"}
