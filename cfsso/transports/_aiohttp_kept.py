"""
Connections that serve more than one request, as far as nobody is misled by it.

A server, or what stands on the way to it, may answer one request twice. The second
answer then waits where the answer to the next request is expected, and says of it what
is not so. Therefore a connection is used again only

- for what it was not asked about before: a second answer is about another connector then,
  and is doubted;
- for no write if it was asked for a list, which is about every connector;
- after it was silent for a second, once, when it was new: most second answers come soon;
- if nothing at all has come on it since its last answer.
"""

import asyncio
import select
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

LIST: Final = "/sso_connectors"
"""What a list is about."""

# Seconds.
_REST: Final = 1.0
_LONGEST_IDLE: Final = 15.0
# As web servers have it.
_MOST_REQUESTS: Final = 1000
_MOST_KEPT: Final = 200
# Whoever asks for the same over and over again finds one soon or not at all.
_TRIES: Final = 8


class Line:
    """
    One connection.

    Args:
        connection: The connection, which is nobody else's until it is closed.

    Attributes:
        protocol: What reads its answers.
        asked: What it was asked about.
        since: When it was put away.
        expired: Whether its time ran out in the midst of an answer.
    """

    __slots__ = ("_connection", "_transport", "_unread", "asked", "expired", "protocol", "since")

    def __init__(self, connection: "Connection") -> None:
        protocol, transport = connection.protocol, connection.transport
        assert protocol is not None  # noqa: S101 # it is open
        assert transport is not None  # noqa: S101
        self._connection = connection
        self._transport = transport
        self.protocol: ResponseHandler = protocol
        self.asked: set[str] = set()
        self.since = 0.0
        self.expired = False
        self._unread: select.poll | None = None

    def write(self, data: bytes) -> None:
        """Send *data*."""
        self._transport.write(data)

    def expire(self) -> None:
        """End an answer that takes too long."""
        self.expired = True
        # Not that of the protocol, which lets whoever reads wait for ever.
        self._transport.abort()

    def is_quiet(self) -> bool:
        """Whether it is open and nothing has come that nobody asked for."""
        protocol = self.protocol
        if not protocol.is_connected() or protocol.should_close:
            return False
        if self._unread is None:
            self._unread = select.poll()
            self._unread.register(self._transport.get_extra_info("socket"), select.POLLIN)
        # What the event loop has not read yet counts too.
        return not self._unread.poll(0)

    def close(self) -> None:
        """Close it."""
        self._connection.close()


class Kept:
    """
    The connections that nothing is under way on.

    Args:
        loop: The event loop that they belong to.
        most: How many there may be.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self._loop = loop
        self._most = most
        # In the order of time.
        self._resting: deque[Line] = deque()
        # The one used last is taken first.
        self._rested: list[Line] = []
        self._sweeping: asyncio.TimerHandle | None = None
        self._is_closed = False

    def take(self, about: str, now: float, *, writes: bool) -> Line | None:
        """
        Return one that may be asked *about* something, and is nobody else's from now on.

        Args:
            about: What the request is about.
            now: The time of the loop.
            writes: Whether the request is a write.
        """
        resting, rested = self._resting, self._rested
        while resting and resting[0].since + _REST <= now:
            rested.append(resting.popleft())
        for n in range(len(rested) - 1, max(-1, len(rested) - 1 - _TRIES), -1):
            line = rested[n]
            if about in line.asked or (writes and LIST in line.asked):
                continue
            del rested[n]
            if line.since + _LONGEST_IDLE > now and line.is_quiet():
                return line
            line.close()
        return None

    def put(self, line: Line, about: str) -> bool:
        """Keep a connection that was asked *about* something and has answered, if it may be."""
        line.asked.add(about)
        full = len(self._resting) + len(self._rested) >= min(self._most, _MOST_KEPT)
        spent = len(line.asked) >= _MOST_REQUESTS or line.protocol.should_close
        if full or spent or self._is_closed:
            return False
        # A parser would swallow the beginning of an answer; without it every byte shows.
        line.protocol._parser = None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        line.since = self._loop.time()
        (self._rested if len(line.asked) > 1 else self._resting).append(line)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(_LONGEST_IDLE, self._sweep)
        return True

    def close(self) -> None:
        """Close all of them, and keep none from now on."""
        self._is_closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        self.let_go()

    def let_go(self) -> None:
        """Close all of them."""
        for line in (*self._resting, *self._rested):
            line.close()
        self._resting.clear()
        self._rested.clear()

    def _sweep(self) -> None:
        """Close those that nobody wanted for long."""
        self._sweeping = None
        latest = self._loop.time() - _LONGEST_IDLE
        for line in (*self._resting, *self._rested):
            if line.since <= latest:
                line.close()
        self._resting = deque(line for line in self._resting if line.since > latest)
        self._rested = [line for line in self._rested if line.since > latest]
        if self._resting or self._rested:
            self._sweeping = self._loop.call_later(_LONGEST_IDLE, self._sweep)
