"""What reads have shown of late, so that a later one can be stale."""

import json
from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from cfsso.transports.base import Request, Response

# What lies beyond is not remembered, so no read of it is ever stale.
_PATHS: Final = 10_000
_BODY: Final = 65_536

_OK: Final = 200


@attrs.define(eq=False)
class _Shown:
    """
    What one path has shown.

    Attributes:
        latest: The last answer.
        outdated_at: When the first write after `latest` began. ``None``: there was none.
        before: What was shown before `latest`, and was outdated by a write.
        before_outdated_at: When it was.
        writes: How many writes have begun or ended.
        pending: How many have begun and not ended; what a read shows meanwhile may be
            the state of before or of after, so it is not kept.
    """

    latest: Response | None = None
    outdated_at: float | None = None
    before: Response | None = None
    before_outdated_at: float = 0.0
    writes: int = 0
    pending: int = 0

    def change(self, now: float, pending: int) -> None:
        """A write begins, or ends."""
        self.writes += 1
        self.pending += pending
        if self.latest is not None and self.outdated_at is None:
            self.outdated_at = now

    def keep(self, response: Response, writes: int) -> None:
        """Remember an answer, unless there was a write after *writes*."""
        if response.status != _OK or self.writes != writes or self.pending:
            return
        if len(response.body) > _BODY:
            return
        if self.outdated_at is not None:
            self.before, self.before_outdated_at = self.latest, self.outdated_at
        self.latest, self.outdated_at = response, None

    def earlier(self, since: float) -> Response | None:
        """Return what was shown and still right at some moment from *since*."""
        if self.outdated_at is None:
            return self.before if self.before_outdated_at >= since else None
        return self.latest if self.outdated_at >= since else None


class Seen:
    """Carries requests, and remembers what their answers show."""

    __slots__ = ("_send", "_shown")

    def __init__(self, send: Callable[[Request], Awaitable[Response]]) -> None:
        self._send = send
        self._shown: dict[str, _Shown] = {}

    async def __call__(self, request: Request) -> Response:
        """Send *request* and return the real answer."""
        if request.is_write:
            return await self._write(request)
        shown = self._of(request.path)
        writes = shown.writes
        response = await self._send(request)
        shown.keep(response, writes)
        return response

    def earlier(self, request: Request, within: float) -> Response | None:
        """Return what a GET would have shown before the writes of the last seconds."""
        shown = self._shown.get(request.path)
        if shown is None or request.is_write:
            return None
        response = shown.earlier(_now() - within)
        return response and _own(request.path, response)

    async def _write(self, request: Request) -> Response:
        parts = request.path.split("/")
        collection, item = self._of("/".join(parts[:4])), self._of("/".join(parts[:5]))
        if not item.writes and item.latest is None:
            # Not even read by itself so far: the list speaks for it.
            item.latest = collection.latest
        # They are one for a create.
        both = {collection, item}
        now = _now()
        for shown in both:
            shown.change(now, 1)
        writes = item.writes
        try:
            response = await self._send(request)
        finally:
            undisturbed = item.writes == writes
            now = _now()
            for shown in both:
                shown.change(now, -1)
        if request.method == "PATCH" and undisturbed:
            item.keep(response, item.writes)
        return response

    def _of(self, path: str) -> _Shown:
        shown = self._shown.get(path)
        if shown is None:
            shown = _Shown()
            if len(self._shown) < _PATHS:
                self._shown[path] = shown
        return shown


def _own(path: str, response: Response) -> Response | None:
    """Return what of *response*, which may be the account's list, is an answer for *path*."""
    *_, name = path.split("/")
    if name == "sso_connectors":
        return response
    try:
        envelope = json.loads(response.body)
        result = envelope["result"]
        if not isinstance(result, list):
            return response
        own = next(connector for connector in result if connector["id"] == name)
    except (LookupError, RecursionError, StopIteration, TypeError, ValueError):
        return None
    return attrs.evolve(response, body=json.dumps({**envelope, "result": own}).encode())


def _now() -> float:
    # Not above, since it is slow to load.
    import asyncio

    return asyncio.get_running_loop().time()
