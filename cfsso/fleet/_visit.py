"""Reading one account of a run: by its token, within the limits, and only while the run goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import inf
from typing import Final, TypeVar

import attrs

from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import APIResponseValidationError, AuthenticationError, CfssoError, NotFoundError
from cfsso.events import Event, EventKind
from cfsso.fleet._gate import Gate, Stopped
from cfsso.fleet._held import Held, Watch
from cfsso.fleet._journal import Journal
from cfsso.fleet._judged import Sight
from cfsso.models import SSOConnector

_Result = TypeVar("_Result")

# What was read longer ago is read again before a write goes by it.
FRESH: Final = 5.0


@attrs.frozen(kw_only=True)
class Means:
    """
    What the accounts of a run share.

    Attributes:
        connectors: Where they are.
        journal: What is intended and how it ended.
        gate: How much may be under way.
        active: As many accounts at once, but for those that wait for a limit.
        places: As many requests at once.
        refused: The credentials that a 401 has stopped, each with why.
    """

    connectors: AsyncSSOConnectors
    journal: Journal
    gate: Gate
    active: asyncio.Semaphore
    places: asyncio.Semaphore
    refused: dict[str, str] = attrs.field(factory=dict)


class Visit:
    """
    One account while it is under way.

    Args:
        means: What it shares with others.
        account_id: The account.
        keys: The ids of the connectors that count.
    """

    def __init__(self, means: Means, account_id: str, keys: Sequence[str]) -> None:
        self._means = means
        self._id = account_id
        self._keys = keys
        # Unless it is known better, each account has a credential of its own.
        self._credential = account_id
        self._sights: Mapping[str, Sight] = {}
        self._seen = -inf
        self._looking = asyncio.Lock()
        self._is_active = False

    async def begin(self) -> None:
        """Wait until it may be under way, and find out which token it has."""
        await self._means.active.acquire()
        self._is_active = True
        try:
            self._credential = await self._means.connectors.credential(self._id) or self._id
        except CfssoError as error:
            self._sights = dict.fromkeys(self._keys, error)
            self._seen = inf

    def let_another_go(self) -> None:
        """
        Give its place among those under way to another.

        It never comes back: to wait for a place while others wait for its end would be for ever.
        """
        if self._is_active:
            self._is_active = False
            self._means.active.release()

    def sight(self, key: str) -> Sight:
        """Return what the last look showed of a connector."""
        return self._sights.get(key)

    def seen(self, key: str) -> SSOConnector | None:
        """Return a connector as it was last read. ``None``: it was not."""
        sight = self._sights.get(key)
        return sight if isinstance(sight, SSOConnector) else None

    @property
    def is_fresh(self) -> bool:
        """Whether the last look is so short ago that a write may go by it."""
        return asyncio.get_running_loop().time() - self._seen <= FRESH

    async def look_if_stale(self) -> None:
        """Look, unless that was done a moment ago; as `look`."""
        async with self._looking:
            if not self.is_fresh:
                await self.look(leave=True)

    async def look(self, *, leave: bool) -> None:
        """
        List the account; what the list does not show is read by itself.

        Args:
            leave: Whether to give up waiting for a limit once the run is to end.

        Raises:
            Stopped: It was given up.
        """
        found: dict[str, Sight] = {}
        try:
            listed = await self._read(lambda c: c.list(account_id=self._id), leave=leave)
            found = {connector.id: connector for connector in listed}
        except APIResponseValidationError:
            # One connector that can't be read must not hide the others.
            pass
        except CfssoError as error:
            self.heed(error)
            found = dict.fromkeys(self._keys, error)
        # Single reads may take long.
        seen = asyncio.get_running_loop().time()
        others = [key for key in self._keys if key not in found]
        reads = (self._get(key, leave=leave) for key in others)
        # All of them, so that none is left under way when another one is given up.
        sights = await asyncio.gather(*reads, return_exceptions=True)
        for key, sight in zip(others, sights, strict=True):
            if isinstance(sight, BaseException) and not isinstance(sight, CfssoError):
                raise sight
            found[key] = sight
        # Nobody asks for the others of the account, and they may be many.
        self._sights = {key: found[key] for key in self._keys}
        self._seen = seen

    async def glance(self, key: str) -> Sight:
        """
        Read one connector, within a place for requests that there is already.

        Raises:
            Held: It would have to wait for a limit.
        """
        watch = Watch(self.count)
        connectors = self._means.connectors.with_options(on_event=watch)
        return await _sight(watch.run(connectors.get(key, account_id=self._id)), self.heed)

    async def _get(self, key: str, *, leave: bool) -> Sight:
        read = self._read(lambda c: c.get(key, account_id=self._id), leave=leave)
        return await _sight(read, self.heed)

    async def _read(
        self, read: Callable[[AsyncSSOConnectors], Awaitable[_Result]], *, leave: bool
    ) -> _Result:
        """Do a read, without a place for as long as a limit holds it up."""
        while True:
            watch = Watch(self.count)
            try:
                async with self._means.places:
                    return await watch.run(
                        read(self._means.connectors.with_options(on_event=watch))
                    )
            except Held as held:
                seconds = held.seconds
            await self.rest(seconds, leave=leave)

    async def rest(self, seconds: float, *, leave: bool) -> None:
        """Wait for a limit, and let another account go for it; *leave* as for `look`."""
        self.let_another_go()
        await (self._means.gate.rest(seconds) if leave else asyncio.sleep(seconds))

    def check_open(self) -> None:
        """
        See that something more may begin.

        Raises:
            Stopped: It may not, or not with this token.
        """
        if self._means.gate.reason is not None:
            raise Stopped(self._means.gate.reason)
        if self._credential in self._means.refused:
            raise Stopped(self._means.refused[self._credential])

    def heed(self, error: CfssoError) -> None:
        """Let a 401 stop whatever has the same token."""
        if isinstance(error, AuthenticationError):
            known = "" if self._credential == self._id else f" {self._credential}"
            reason = f"the token{known} was refused with {error.status}"
            self._means.refused.setdefault(self._credential, reason)

    def count(self, event: Event) -> None:
        """Let the journal count requests, and pass on what happens."""
        if event.kind is EventKind.ATTEMPT:
            self._means.journal.count("" if self._credential == self._id else self._credential)
        on_event = self._means.connectors.on_event
        if on_event is not None:
            on_event(event)


async def _sight(read: Awaitable[SSOConnector], heed: Callable[[CfssoError], None]) -> Sight:
    try:
        return await read
    except NotFoundError:
        return None
    except CfssoError as error:
        heed(error)
        return error
