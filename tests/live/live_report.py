"""What was found, as a table that may be shown to anybody."""

from collections import Counter
from collections.abc import Callable

from live_rules import DIFFERS, HOLDS, NOT_ASKED, Findings, Rule


def table(rules: list[Rule], findings: Findings, mask: Callable[[str], str]) -> str:
    """Return a table in Markdown with a row for each rule, in the order of the page."""
    lines = ["| rule | label | | what came back, or why nothing |", "| --- | --- | --- | --- |"]
    for rule in rules:
        state, seen = findings.of(rule.name)
        text = " ".join(mask(seen).replace("|", r"\|").split())
        mark = f"**{state}**" if state == DIFFERS else state
        lines.append(f"| `{rule.name}` | *{rule.label}* | {mark} | {text} |")
    return "\n".join(lines)


def totals(rules: list[Rule], findings: Findings) -> str:
    """Return how many rules hold, differ, and could not be asked about."""
    counts = Counter(findings.of(rule.name)[0] for rule in rules)
    return ", ".join(f"{state}: {counts[state]}" for state in (HOLDS, DIFFERS, NOT_ASKED))
