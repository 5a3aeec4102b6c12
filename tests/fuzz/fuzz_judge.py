"""The judge of fuzzed updates: is a success so, and if not, which sentence explains it?"""

import datetime as dt
from collections import Counter
from typing import Final

from fuzz_truth import Call, Look

import cfsso
from cfsso import Settlement, WriteState

TRUE: Final = "it is so"
EXPLAINED: Final = {
    "overtaken by another": "Somebody else may write right after.",
    "overtaken by a late write": "A write that was given up may land late",
    "a lying answer": "A server that lies in every detail is believed",
    "stale reads": "Reads may lag",
    "a stale read without a Date": "One is enough for an answer without a `Date`",
    "times that do not tell": "Of two with the same time, or without any, the later read counts",
}
"""What a success may be that is not so in the end, with the sentence of docs/reliability.md."""


class Judge:
    """
    Judges how calls end.

    Attributes:
        counts: What was counted, by name.
        broken: What no sentence explains, in words.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.broken: list[str] = []

    def breaks(self, kind: str, call: Call) -> None:
        """A rule is broken."""
        self.counts[f"BROKEN: {kind}"] += 1
        self.broken.append(f"{kind}: {call}")

    def raised(self, call: Call, error: cfsso.CfssoError) -> None:
        """A call ended with an error."""
        self.counts["errors"] += 1
        if error.write is WriteState.NOT_SENT and call.arrived:
            self.breaks("not sent, but it arrived", call)
        elif error.write is WriteState.REFUSED and call.done:
            self.breaks("refused, but it was done", call)
        elif error.write is None:
            self.breaks("nothing said of the write", call)
        if isinstance(error, cfsso.UnconfirmedWriteError):
            self.counts[f"unconfirmed: {error.settlement}"] += 1
            if error.settlement in {Settlement.APPLIED, Settlement.ALREADY}:
                self.breaks("an error that says that it was done", call)

    def returned(self, call: Call, found: cfsso.SSOConnector) -> None:
        """A call returned *found*."""
        self.counts["successes"] += 1
        if found.id != call.track.id or found.enabled is not call.wished:
            self.breaks("another connector or value", call)
            return
        proof = call.looks[-1]
        self.counts[f"shown by {proof.method}"] += 1
        if _is_disproved(call, proof):
            self.breaks("a read of the same settling disproves it", call)
        kind = _kind(call, proof)
        self.counts[f"success: {kind}"] += 1
        if kind not in {TRUE, *EXPLAINED}:
            self.breaks(f"a false success: {kind}", call)


def _kind(call: Call, proof: Look) -> str:
    """Say what a success is worth by the truth."""
    while_it_ran = call.track.since(call.began)
    if while_it_ran[-1].enabled is call.wished:
        return TRUE
    if proof.fate == "left over":
        return "an answer to another request"
    last_so = [version for version in while_it_ran if version.enabled is call.wished]
    if last_so:
        after = call.track.since(last_so[-1].serial + 1)[0]
        return "overtaken by a late write" if after.late else "overtaken by another"
    # Else it was so before the call began, and what was read is older than that.
    return "a lying answer" if proof.serial is None else _kind_of_stale(call, proof.serial, proof)


def _kind_of_stale(call: Call, serial: int, proof: Look) -> str:
    newer = [look for look in call.looks if look.serial is not None and look.serial > serial]
    if any(look.enabled is not call.wished for look in newer):
        return "times that do not tell"
    if not proof.dated and proof.method == "GET":
        return "a stale read without a Date"
    reads = [look for look in call.looks if look.method == "GET" and _shows(look, call)]
    return "stale reads" if len(reads) >= _AGREE else "one stale read"


# So many stale reads that agree nobody can see through.
_AGREE: Final = 2


def _shows(look: Look, call: Call) -> bool:
    return look.serial is not None and look.enabled is call.wished


def _is_disproved(call: Call, proof: Look) -> bool:
    """Whether an answer that the call had shows a state that is newer, by what it shows itself."""
    for look in call.looks[:-1]:
        if look.fate == "says gone" and look.status == 404:
            return True
        if look.enabled is not (not call.wished) or look.serial is None:
            continue
        if _is_later(look.time, proof.time):
            return True
    before = call.before
    known = None if before is None or before.updated_on is None else before.updated_on.isoformat()
    return proof.method == "GET" and _is_later(known, proof.time)


def _is_later(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return False
    return dt.datetime.fromisoformat(one) > dt.datetime.fromisoformat(other)
