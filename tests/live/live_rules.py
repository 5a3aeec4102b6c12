"""The rules of docs/emulator.md: what is asked of each, and why not of some."""

import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final, TypeAlias

import attrs
from live_account import Account, Answer

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "emulator.md"

_ROW: Final = re.compile(r"\| `([a-z0-9-]+)` \| ([^|]+) \| \*(\w+)\* \|[^|]*\|")

HOLDS: Final = "holds"
DIFFERS: Final = "differs"
NOT_ASKED: Final = "could not be asked"

_ENABLES: Final = "the suite never enables a connector"
_VERIFIES: Final = "example.com is nobody's to verify"
_USES_UP: Final = "it would use up the limit"
_ELSEWHERE: Final = "it takes a second account or token"

WHY_NOT: Final = {
    "not-http": "our client sends nothing of the kind",
    "id-sets": "the server chooses the ids",
    "refused-domains": "a connector left behind could not be told from one of yours",
    "refused-domains-answer": "a connector left behind could not be told from one of yours",
    "several-accounts": _ELSEWHERE,
    "enable-unverified": _ENABLES,
    "enable-unverified-answer": _ENABLES,
    "enable-held": _ENABLES,
    "enable-held-answer": _ENABLES,
    "patch-whole": "the only other field is `enabled`",
    "delete-enabled": _ENABLES,
    "txt-place": _VERIFIES,
    "polling": "it takes two days",
    "polling-times": "it takes two days",
    "polling-end": "it takes two days",
    "begin-verified": _VERIFIES,
    "malformed-credential": "our client sends nothing of the kind",
    "key-pair": "it takes a real key",
    "key-pair-answer": "it takes a real key",
    "any-token": "a convenience of the emulator",
    "token-permission": _ELSEWHERE,
    "read-only-token": _ELSEWHERE,
    "token-ended": _ELSEWHERE,
    "trusted-caller": "a convenience of the emulator",
    "limit": _USES_UP,
    "limit-block": _USES_UP,
    "limit-window": _USES_UP,
    "limit-code": _USES_UP,
    "limit-retry-after": _USES_UP,
    "limit-time": "others may use the same limit",
    "limit-trusted": "a convenience of the emulator",
}
"""Why a rule is not asked about."""


@attrs.frozen
class Rule:
    """A row of the page: its name, its text, and how sure it is."""

    name: str
    text: str
    label: str


def rules() -> list[Rule]:
    """Return the rules in the order of the page."""
    _, text = PAGE.read_text("utf-8").split("\n## The rules\n")
    return [Rule(*match.groups()) for match in map(_ROW.fullmatch, text.splitlines()) if match]


@attrs.define
class Findings:
    """What is known of each rule, by its name: how it stands, and what came back."""

    stands: dict[str, tuple[str, str]] = attrs.field(factory=dict)

    def tell(self, name: str, *, holds: bool, seen: object) -> None:
        """Say what an answer shows of a rule; a rule that differs once does not hold."""
        state, said = self.stands.get(name, (HOLDS, ""))
        if state == NOT_ASKED:
            state, said = HOLDS, ""
        state = DIFFERS if not holds else state
        texts = [*filter(None, said.split("; ")), str(seen)]
        self.stands[name] = (state, "; ".join(dict.fromkeys(texts)))

    def expect(self, name: str, answer: Answer, status: int, *codes: int) -> None:
        """Say whether *answer* has the status and the codes that the rule speaks of."""
        holds = (status, list(codes)) == (answer.status, answer.codes)
        self.tell(name, holds=holds, seen=answer)

    def give_up(self, names: Iterable[str], why: object) -> None:
        """Say why rules could not be asked about, those of which nothing is known."""
        for name in names:
            self.stands.setdefault(name, (NOT_ASKED, str(why)))

    def of(self, name: str) -> tuple[str, str]:
        """Return how a rule stands, and what came back or why nothing did."""
        return self.stands.get(name) or (NOT_ASKED, WHY_NOT.get(name, "not reached"))


Put: TypeAlias = Callable[[Account, Findings], Awaitable[None]]


@attrs.frozen
class Question:
    """Something to ask, and the names of the rules that it tells something of."""

    names: tuple[str, ...]
    put: Put


def asks(*names: str) -> Callable[[Put], Question]:
    """Make a question of a function; *names* are the rules that it tells something of."""
    return lambda put: Question(names, put)


async def put_all(
    questions: Iterable[Question], account: Account, findings: Findings, say: Callable[[str], None]
) -> None:
    """Put one after the other; what goes wrong with one spares the others."""
    for question in questions:
        say(f"asking about {', '.join(question.names)}")
        account.log.rule = question.names[0]
        try:
            await question.put(account, findings)
        except Exception as error:  # noqa: BLE001 - a server may answer anything
            findings.give_up(question.names, f"{type(error).__name__}: {error}")
        findings.give_up(question.names, "the answers before it were not as expected")
