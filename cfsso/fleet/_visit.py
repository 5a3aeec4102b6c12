"""Reading one account of a run: by its token, within the limits, and only while the run goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from math import inf
from typing import Final, TypeVar

from cfsso._seen import Seen
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import APIResponseValidationError, CfssoError, NotFoundError
from cfsso.events import Event, EventKind
from cfsso.fleet._gate import Stopped
from cfsso.fleet._held import Held, Watch
from cfsso.fleet._judged import Sight, believed
from cfsso.fleet._lanes import Stay
from cfsso.fleet._means import Means
from cfsso.fleet._verdicts import is_token_refused
from cfsso.models import SSOConnector

_Result = TypeVar("_Result")

# What was read longer ago is read again before a write goes by it.
FRESH: Final = 5.0
# How often a call that failed is made again while there is no outage to be seen, and when.
TRIES: Final = 2
PAUSE: Final = 1.0


class Visit:
    """
    One account while it is under way.

    The account is listed. What its list does not show, or shows in part only, is read by
    itself: once before it is written, and once after.

    Args:
        means: What it shares with others.
        account_id: The account.
        keys: The ids of the connectors that count.
        patient: Whether nothing may be written without a read, even if none is answered.
    """

    def __init__(
        self, means: Means, account_id: str, keys: Sequence[str], *, patient: bool
    ) -> None:
        self._means = means
        self._id = account_id
        self._keys = keys
        self._is_patient = patient
        # Unless it is known better, each account has a credential of its own.
        self._credential = account_id
        self._sights: dict[str, Sight] = {}
        # What was read, and which of the keys the last read showed as they were before that.
        self._seen = Seen()
        self._outdated: set[str] = set()
        # When the account was listed, and when what was read by itself.
        self._listed = -inf
        self._alone: dict[str, float] = {}
        self._is_opaque = False
        self._looking = asyncio.Lock()
        self._stay: Stay | None = None
        self._is_active = False

    async def begin(self, requests: int = 0) -> None:
        """
        Find out which token it has, and wait until it may be under way.

        Args:
            requests: How many the rate limit is to have places for. 0: none in advance.

        Raises:
            Stopped: The run is to end.
        """
        problem: CfssoError | None = None
        lane = None
        try:
            known = await self._means.connectors.credential(self._id)
            self._credential = known or self._id
            lane = self._means.lane(known or "")
        except CfssoError as error:
            problem = error
        if lane is not None and requests:
            self._stay = await lane.enter(self._id, requests)
        await self._means.active.acquire()
        self._is_active = True
        if problem is not None:
            self._sights = dict.fromkeys(self._keys, problem)
            self._listed = inf

    def need(self, requests: int) -> None:
        """Need no more than so many further requests."""
        if self._stay is not None:
            self._stay.needs(requests)

    def end(self) -> None:
        """Let others go on in its place."""
        self._let_another_go()
        self._means.outage.forget(self._id)
        if self._stay is not None:
            self._stay.leave()

    def _let_another_go(self) -> None:
        """
        Give its place among those under way to another.

        It never comes back: to wait for a place while others wait for its end would be for ever.
        """
        if self._is_active:
            self._is_active = False
            self._means.active.release()

    def is_unread(self, key: str) -> bool:
        """Whether a connector was not read yet."""
        return key not in self._sights

    def sight(self, key: str) -> Sight:
        """Return what the last look showed of a connector."""
        return self._sights.get(key)

    def seen(self, key: str) -> SSOConnector | None:
        """Return a connector as it was last read. ``None``: it was not."""
        sight = self._sights.get(key)
        return sight if isinstance(sight, SSOConnector) else None

    def is_outdated(self, key: str) -> bool:
        """Whether the last read of a connector showed an older state than one before it."""
        return key in self._outdated

    def is_fresh(self, key: str) -> bool:
        """Whether a connector was read so short ago that a write may go by it."""
        if key not in self._sights or (self._is_patient and self._means.outage.holding):
            return False
        seen = self._alone.get(key, self._listed)
        return asyncio.get_running_loop().time() - seen <= FRESH

    async def look(self) -> None:
        """
        Look at the account for the first time; as `look_at`.

        If its list can't be read at all, each connector is read when it has its turn.
        """
        if self._listed == -inf:
            await self._list(leave=True)
            if not self._is_opaque:
                await self._look_at_all(filter(self.is_unread, self._keys), leave=True)

    async def look_at(self, key: str) -> None:
        """
        Look again, unless a connector was seen a moment ago.

        Raises:
            Stopped: It would have to wait, and the run is to end.
        """
        async with self._looking:
            if not self.is_fresh(key) and key in self._sights and key not in self._alone:
                await self._list(leave=True)
        if not self.is_fresh(key):
            await self._look_alone(key, leave=True)

    async def look_back(self, keys: Iterable[str]) -> None:
        """Look at the account, and at each of *keys*, even if the run is to end."""
        if self._listed < inf:
            await self._list(leave=False)
            others = [key for key in keys if key in self._alone or key not in self._sights]
            await self._look_at_all(others, leave=False)

    async def _list(self, *, leave: bool) -> None:
        shown: dict[str, Sight] = {}
        if not self._is_opaque:
            try:
                found = await self._read(lambda c: c._list_for_rescue(self._id), leave=leave)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - one odd connector must not hide the others
                shown = {each.id: each for each in found.connectors if each.id not in found.odd}
            except CfssoError as error:
                # What the edge or a proxy says is no list that could be read in another way.
                self._is_opaque = isinstance(error, APIResponseValidationError) and not error.edge
                if not self._is_opaque:
                    self.heed(error)
                    shown = dict.fromkeys(self._keys, error)
        self._listed = asyncio.get_running_loop().time()
        # Nobody asks for the others of the account, and they may be many.
        for key in self._keys:
            if key in shown and not self._is_old(key, shown[key]):
                self._sights[key] = shown[key]
                self._alone.pop(key, None)
            elif key not in self._alone:
                self._sights.pop(key, None)

    async def _look_at_all(self, keys: Iterable[str], *, leave: bool) -> None:
        reads = [self._look_alone(key, leave=leave) for key in keys]
        # All of them, so that none is left under way when another one is given up.
        for result in await asyncio.gather(*reads, return_exceptions=True):
            if result is not None:
                raise result

    async def _look_alone(self, key: str, *, leave: bool) -> None:
        read = self._read(lambda c: c.get(key, account_id=self._id), leave=leave)
        self._sights[key] = self._believed(key, await _sight(read, self.heed))
        self._alone[key] = asyncio.get_running_loop().time()

    def _is_old(self, key: str, sight: Sight) -> bool:
        return self._believed(key, sight) is not sight

    def _believed(self, key: str, sight: Sight) -> Sight:
        """Return *sight*, or an error if a former read showed a newer state."""
        found = believed(sight, self._seen)
        if found is sight:
            self._outdated.discard(key)
        else:
            self._outdated.add(key)
        return found

    async def glance(self, key: str) -> Sight:
        """
        Read one connector, within a place for requests that there is already.

        Raises:
            Held: It would have to wait.
        """
        watch = Watch(self.count, self._means.outage)
        connectors = self._means.connectors.with_options(on_event=watch)
        sight: Sight = None
        is_lost = self._means.outage.holding
        if not (is_lost and self._is_patient):
            sight = await _sight(watch.run(connectors.get(key, account_id=self._id)), self.heed)
            sight = self._believed(key, sight)
            is_lost = isinstance(sight, CfssoError) and self.may_fare_better(sight)
        if is_lost and self._is_patient:
            raise Held(0.0, 0)
        return sight

    async def _read(
        self, read: Callable[[AsyncSSOConnectors], Awaitable[_Result]], *, leave: bool
    ) -> _Result:
        """Do a read, without a place for as long as something holds it up."""
        failed, connectors = 0, self._means.connectors
        is_hasty = leave and not self._is_patient
        if not leave:
            # The end of what has begun goes before what is new.
            connectors = connectors._continuing()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the engine is ours
        while True:
            watch = Watch(self.count, None if is_hasty else self._means.outage)
            try:
                async with self._means.outage.turn(leave=leave), self._means.places:
                    return await watch.run(read(connectors.with_options(on_event=watch)))
            except Held as held:
                seconds = held.seconds
            except CfssoError as error:
                failed += not self._means.outage.holding
                # Where reads are answered with 5xx a write may get through.
                is_vain = is_hasty and error.status is not None
                if is_vain or failed > TRIES or not self.may_fare_better(error):
                    raise
                seconds = 0.0
            await self.rest(seconds, leave=leave)

    def may_fare_better(self, error: CfssoError) -> bool:
        """Whether an outage explains *error*, so that the same is to be tried again after it."""
        return self._means.outage.explains(error, self._id)

    async def rest(self, seconds: float, *, leave: bool) -> None:
        """
        Wait for a limit, or for the next try, and let another account go for it.

        Args:
            seconds: How long; 0: nothing was answered.
            leave: Whether to give up waiting once the run is to end.

        Raises:
            Stopped: It was given up.
        """
        self._let_another_go()
        if seconds and self._stay is not None and self._listed > -inf:
            self._stay.held()
        if not seconds and not self._means.outage.holding:
            seconds = PAUSE
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
        if is_token_refused(error):
            known = "" if self._credential == self._id else f" {self._credential}"
            reason = f"the token{known} was refused with {error.status}"
            self._means.refused.setdefault(self._credential, reason)

    def count(self, event: Event) -> None:
        """Let the journal and the limit count requests, and pass on what happens."""
        if event.kind is EventKind.ATTEMPT:
            self._means.journal.count("" if self._credential == self._id else self._credential)
            if self._stay is not None:
                self._stay.sent(event.seconds)
            self._means.outage.notice(event)
        on_event = self._means.connectors.on_event
        if on_event is not None:
            on_event(event)


async def _sight(read: Awaitable[SSOConnector], heed: Callable[[CfssoError], None]) -> Sight:
    try:
        return await read
    except CfssoError as error:
        if isinstance(error, NotFoundError) and not error.edge:
            return None
        heed(error)
        return error
