"""The tables of rules in docs/emulator.md, which other programs read."""

import re
from pathlib import Path

ROW = re.compile(
    r"\| `(?P<name>[a-z0-9-]+)` \| (?P<rule>[^|]+) \| \*(?P<label>\w+)\* \|(?P<source>[^|]*)\|"
)
PAGE = Path(__file__).parents[2] / "docs" / "emulator.md"


def rows() -> list[str]:
    """Return the lines of the tables of rules, without their heads."""
    _, rules = PAGE.read_text(encoding="utf-8").split("\n## The rules\n")
    return [line for line in rules.splitlines() if line.startswith(("| `", "| …"))]


def found() -> list[dict[str, str]]:
    """Return what the rows hold."""
    return [match.groupdict() for match in map(ROW.fullmatch, rows()) if match]


def test_each_rule_has_a_name_and_a_label() -> None:
    """No two rules share a name, and none is without one of the three labels."""
    assert len(rows()) == len(found()) == len({rule["name"] for rule in found()})
    assert len(found()) > 60
    assert {"assumed", "documented", "doubtful"} == {rule["label"] for rule in found()}


def test_what_contradicting_sources_say_is_doubtful() -> None:
    """Whether .edu may be created is not known, and the sources of both sides are given."""
    (edu,) = (rule for rule in found() if ".edu" in rule["rule"])

    assert ("refused-edu", "doubtful") == (edu["name"], edu["label"])
    assert "guide" in edu["source"]
    assert "cloudflare-docs/pull/28420" in edu["source"]


def test_open_questions_name_rules() -> None:
    """Each of the eleven questions names the rules that guess its answer, which exist."""
    _, _, part = PAGE.read_text(encoding="utf-8").partition("\n## What nobody has shown\n")
    questions = [line for line in part.split("\n## ")[0].splitlines() if "?" in line]
    named = [re.findall("`([a-z-]+)`", line.rpartition(" | ")[2]) for line in questions]

    assert 11 == len(questions)
    assert all(named)
    assert {name for names in named for name in names} <= {rule["name"] for rule in found()}
