"""
Which credentials a server blocks, for all event loops of the process.

A 429 is about the credential, not about the loop that was told. So what one loop learns
holds in the others, and in those that are made later.
"""

import threading
import time
from collections.abc import Hashable
from typing import Final

# For how many seconds after its end a block is remembered, unless somebody got through.
_REMEMBERED: Final = 3600.0
# A loop whose clock is off by more seconds than this lives in a time of its own.
_NEAR: Final = 10.0
# With fewer blocks it is not worth looking for those that are over.
_FEW: Final = 64


class Block:
    """
    One block of a credential.

    It ends by the wall clock, which goes on while a process is frozen. A clock that is set back
    does not prolong it: by the monotonic clock it is never longer than the server asked.

    Args:
        seconds: How long it lasts from now on.
    """

    __slots__ = ("_ends", "_ends_by_wall")

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._ends_by_wall = time.time() + seconds

    def left(self) -> float:
        """Return the seconds until its end; below 0 it is over since then."""
        return min(self._ends - time.monotonic(), self._ends_by_wall - time.time())


class Blocks:
    """
    The blocks of all credentials. Threads may share it.

    Attributes:
        changes: How often there was a new block.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._lock = threading.Lock()
        self._by_key: dict[Hashable, Block] = {}
        self._most = _FEW

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, key: Hashable, seconds: float) -> Block | None:
        """Remember that a credential is blocked. ``None``: a block that ends later is known."""
        block = Block(seconds)
        with self._lock:
            known = self._by_key.get(key)
            if known is not None and known.left() >= seconds:
                return None
            self._by_key[key] = block
            self.changes += 1
            if len(self._by_key) > self._most:
                self._forget()
        return block

    def find(self, key: Hashable) -> Block | None:
        """Return the block of a credential, which may be over. ``None``: somebody got through."""
        with self._lock:
            block = self._by_key.get(key)
            if block is not None and block.left() < -_REMEMBERED:
                del self._by_key[key]
                return None
        return block

    def remove(self, key: Hashable) -> None:
        """Forget a block that is over, since somebody got through."""
        with self._lock:
            block = self._by_key.get(key)
            if block is not None and block.left() <= 0:
                del self._by_key[key]

    def _forget(self) -> None:
        kept = {key: block for key, block in self._by_key.items() if block.left() > -_REMEMBERED}
        self._by_key = kept
        self._most = max(_FEW, 2 * len(kept))


BLOCKS: Final = Blocks()
"""Those that this process knows of."""


def is_real(now: float) -> bool:
    """Whether a loop that shows *now* goes by the clock of the machine."""
    return abs(now - time.monotonic()) < _NEAR


class News:
    """
    What one event loop knows of the block of one credential.

    Args:
        key: What tells the credential from others.

    Attributes:
        changes: The `Blocks.changes` that it knows of.
    """

    __slots__ = ("_block", "_key", "changes")

    def __init__(self, key: Hashable) -> None:
        self.changes = 0
        self._key = key
        self._block: Block | None = None

    def tell(self, seconds: float, now: float) -> None:
        """Let all loops know that the credential is blocked; this one knows."""
        if is_real(now):
            self._block = BLOCKS.add(self._key, seconds) or self._block

    def learn(self, now: float) -> float | None:
        """Return what is left of a block that is new here, 0 if it is over. ``None``: none is."""
        self.changes = BLOCKS.changes
        block = BLOCKS.find(self._key) if is_real(now) else None
        if block is None or block is self._block:
            return None
        self._block = block
        return max(0.0, block.left())

    def got_through(self) -> None:
        """Let all loops know that a request got through after a block."""
        BLOCKS.remove(self._key)
