"""What one process may send, and what is kept in reserve for those who are locked out."""

from collections import deque
from typing import TYPE_CHECKING, Final

from fleet_truth import Program, Sent

import cfsso

if TYPE_CHECKING:
    from fleet_oracle import Oracle

# Nothing that these send is urgent by itself.
_MODEST: Final = {"plan", "apply", "resume", "revert", "neighbour"}
# How soon a call that is urgent has its place.
_AT_ONCE: Final = 1.0
# For so long a fault asks to wait.
_BLOCK: Final = 20.0
_SLACK: Final = 1e-3
_TOO_MANY: Final = 429
_ASK_TO_WAIT: Final = {_TOO_MANY, 503}


class Windows:
    """
    What was counted at the server of each process and token.

    Args:
        limit: What one token may send.
    """

    def __init__(self, limit: cfsso.RateLimit) -> None:
        self.limit = limit
        self._times: dict[tuple[int, str, bool], deque[float]] = {}

    @property
    def reserve(self) -> int:
        """How many places of a window only what is urgent may have."""
        return self.limit.reserve

    def is_full(self, token: str, now: float) -> bool:
        """Whether the server would refuse one more request with *token*."""
        times = [each for (_, of, _), own in self._times.items() if of == token for each in own]
        return sum(each > now - self.limit.seconds for each in times) >= self.limit.requests

    def count(self, sent: Sent, now: float) -> tuple[int, int]:
        """Count a request; return how many its process has in this window, and as many urgent."""
        of = [
            self._times.setdefault((sent.process.number, sent.token, urgent), deque())
            for urgent in (False, True)
        ]
        of[sent.urgent].append(now)
        for times in of:
            while times and times[0] <= now - self.limit.seconds + _SLACK:
                times.popleft()
        return len(of[0]), len(of[1])


def counted(oracle: "Oracle", sent: Sent, status: int, now: float) -> None:
    """See that no run takes what is in reserve; *sent* was answered by the server itself."""
    kind, limit = sent.process.process.kind, oracle.windows.limit
    if status == _TOO_MANY:
        oracle.counts["limits met"] += 1
        return
    plain, urgent = oracle.windows.count(sent, now)
    most = limit.requests - limit.reserve if kind in _MODEST else limit.requests
    if plain > most or plain + urgent > limit.requests:
        story = f"F11 {plain} requests in a window, and {urgent} urgent ones, of {limit}"
        oracle.breaks(sent.process, story)


def goes_at_once(
    oracle: "Oracle", program: Program, key: str, called: float, *, full: bool = False
) -> None:
    """
    See that what is urgent left within a second, unless the server has asked to wait.

    Args:
        oracle: Who is told.
        program: Whose it is.
        key: The connector that it disables.
        called: When.
        full: Whether the server would have refused it then, since all places were taken.
    """
    oracle.counts["urgent writes"] += 1
    windows = oracle.windows
    if not windows.reserve:
        return
    left = [sent for sent in program.writes_of(key) if sent.left >= called]
    since = called - max(windows.limit.seconds, _BLOCK) - _AT_ONCE
    asked = [s for s in program.requests if s.status in _ASK_TO_WAIT and (s.ended or 0) > since]
    # It can't know that nothing of what an outage took was counted.
    window = called - windows.limit.seconds - _AT_ONCE
    own = [s for s in program.requests if window < (s.ended or s.left) and s not in left]
    if asked or full or len(own) >= windows.limit.requests:
        oracle.counts["urgent writes after a limit was met"] += 1
    elif not left or left[0].left > called + _AT_ONCE:
        oracle.breaks(program, f"F11 {key}, which is urgent since {called:.3f}, has not left yet")
