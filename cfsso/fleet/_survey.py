"""Read accounts for a plan: each once, and no further than makes sense."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from cfsso._log import log
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import (
    APIConnectionError,
    APIResponseValidationError,
    CfssoError,
    NotFoundError,
)
from cfsso.events import Event, EventKind, OnEvent
from cfsso.fleet._verdicts import is_turned_away
from cfsso.fleet.outcomes import OutcomeStatus
from cfsso.fleet.plans import domain_key
from cfsso.models import SSOConnector

Key: TypeAlias = tuple[str, str]
Sight: TypeAlias = SSOConnector | CfssoError
"""What a read shows of a connector: how it is, or why it can't be seen."""

# So many targets in a row, of more than one account, that are refused alike end the reading.
ALIKE: Final = 10
# Seconds of nothing but lost connections and 5xx that end it.
OUTAGE: Final = 45.0
# How long to wait before one more try while it lasts.
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 4.0
_SERVER_ERRORS: Final = 500
_NOT_FOUND: Final = 404


class _Refusals:
    """
    Targets in a row that the API, or what stands before it, refused alike.

    Attributes:
        said: Why nothing more is to be read; empty while it is.
        obstacle: What stands before the API, if it was that. ``None``: it was not.
    """

    def __init__(self) -> None:
        self.said = ""
        self.obstacle: CfssoError | None = None
        self._kind: object = None
        self._count = 0
        self._accounts = 0

    def add(self, error: CfssoError, targets: int) -> None:
        """Count an account that could not be read, with its *targets*."""
        refused = OutcomeStatus.of_run_error(error) is OutcomeStatus.FAILED
        if not refused and not is_turned_away(error):
            return
        kind = error.status, tuple(item.code for item in error.errors)
        if kind != self._kind:
            self.clear()
        self._kind = kind
        self._count += targets
        self._accounts += 1
        if self._count >= ALIKE and self._accounts > 1 and not self.said:
            self.obstacle = error if error.edge else None
            self.said = (
                f"not read, since {self._count} targets in a row were refused alike:"
                f" {said_of(error)}: {_advice(error)}"
            )

    def clear(self) -> None:
        """Begin anew, since something was not refused."""
        self._kind, self._count, self._accounts = None, 0, 0


class _Outage:
    """
    A time in which nothing but lost connections and 5xx comes.

    Args:
        timer: Ends the reading when it has lasted too long.
        on_event: Who watches, too.

    Attributes:
        lost: How many accounts in a row could not be read for that.
        turn: Taken by the one that tries while it lasts.
    """

    def __init__(self, timer: asyncio.Timeout, on_event: OnEvent | None) -> None:
        self.lost = 0
        self.turn = asyncio.Lock()
        self._timer = timer
        self._on_event = on_event
        self._time = asyncio.get_running_loop().time
        self._pause = _FIRST_PAUSE

    @property
    def lasts(self) -> bool:
        """Whether so much was lost that it is no matter of single accounts."""
        return self.lost >= ALIKE

    def __call__(self, event: Event) -> None:
        """Take notice of one event, and pass it on."""
        if event.kind is EventKind.ATTEMPT and not self._timer.expired():
            if not _is_lost(event.error, event.status):
                self.lost, self._pause = 0, _FIRST_PAUSE
                self._timer.reschedule(None)
            elif self._timer.when() is None:
                self._timer.reschedule(self._time() + OUTAGE)
        if self._on_event is not None:
            self._on_event(event)

    async def hold(self) -> None:
        """Wait before the next try, each time longer, unless it is over."""
        if self.lasts:
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)


@attrs.define
class Survey:
    """
    What reading accounts showed.

    Attributes:
        connectors: Where they are.
        places: As many requests at once.
        failures: Why accounts could not be read.
        unasked: Why accounts were not read, for good unless there is an obstacle.
        credentials: The fingerprints of their tokens.
        seen: What was asked for, as it was seen.
        enabled: The connectors that are enabled, by domain.
    """

    connectors: AsyncSSOConnectors
    places: asyncio.Semaphore
    failures: dict[str, CfssoError] = attrs.field(factory=dict)
    unasked: dict[str, str] = attrs.field(factory=dict)
    credentials: dict[str, str | None] = attrs.field(factory=dict)
    seen: dict[Key, Sight] = attrs.field(factory=dict)
    enabled: dict[str, list[Key]] = attrs.field(factory=dict)
    _refusals: _Refusals = attrs.field(factory=_Refusals)

    @property
    def obstacle(self) -> CfssoError | None:
        """What stands before the API, so that accounts were not read. ``None``: nothing does."""
        return self._refusals.obstacle

    async def run(self, wanted: Mapping[str, Sequence[str]], concurrency: int) -> None:
        """Read the accounts, and what each wants that its list does not show whole."""
        left = dict(wanted)
        try:
            async with asyncio.timeout(None) as timer:
                outage = _Outage(timer, self.connectors.on_event)
                self.connectors = self.connectors.with_options(on_event=outage)
                # Again at the end what was lost, since the API may answer then.
                for _ in range(2):
                    await self._read_all(left, outage, concurrency)
        except TimeoutError:
            said = f"nothing but lost connections and 5xx for {OUTAGE:.0f} s"
            for account_id in left:
                self.failures.setdefault(account_id, APIConnectionError(said))

    async def _read_all(
        self, left: dict[str, Sequence[str]], outage: _Outage, concurrency: int
    ) -> None:
        """Read accounts, and take out of *left* what is not lost."""
        waiting = iter([*left.items()])

        async def work() -> None:
            """Read one account after another; in an outage only one at a time."""
            for account_id, ids in waiting:
                if self._refusals.said:
                    self.unasked[account_id] = self._refusals.said
                    is_lost = False
                elif outage.lasts:
                    async with outage.turn:
                        await outage.hold()
                        is_lost = await self._read(account_id, ids)
                else:
                    is_lost = await self._read(account_id, ids)
                outage.lost += is_lost
                if not is_lost:
                    del left[account_id]

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(concurrency, len(left))):
                workers.create_task(work())

    def sight(self, key: Key) -> Sight | None:
        """Return what was seen of a connector, or why nothing was. ``None``: it is not there."""
        return self.failures.get(key[0]) or self.seen.get(key)

    async def _read(self, account_id: str, ids: Sequence[str]) -> bool:
        """Read an account; return whether it is lost for now."""
        self.failures.pop(account_id, None)
        async with self.places:
            try:
                self.credentials[account_id] = await self.connectors.credential(account_id)
                odd = await self._list(account_id, frozenset(ids))
            except Exception as error:  # noqa: BLE001 - it must not stop the others
                ours = _as_ours(error)
                if not isinstance(ours, APIResponseValidationError) or ours.edge:
                    self.failures[account_id] = ours
                    self._refusals.add(ours, len(ids))
                    return _is_lost(ours, ours.status)
                # One answer that can't be read must not hide all connectors.
                if not ids:
                    self.failures[account_id] = ours
                odd = ids
        self._refusals.clear()
        others = [key for key in ids if key in odd or (account_id, key) not in self.seen]
        await asyncio.gather(*(self._get(key, account_id) for key in others))
        return False

    async def _list(self, account_id: str, ids: Collection[str]) -> Collection[str]:
        """List an account; return the ids of what the list shows in part only."""
        found = await self.connectors._list_for_rescue(account_id)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] # of this package only
        hidden = found.lost
        for connector in found.connectors:
            key = account_id, connector.id
            if connector.id in ids:
                self.seen[key] = connector
            elif connector.id in found.odd:
                known = connector.enabled is False or (connector.enabled and connector.email_domain)
                hidden += not known
            if connector.enabled is True:
                self.enabled.setdefault(domain_key(connector.email_domain), []).append(key)
        if hidden:
            said = f"the list hides {hidden} of the connectors"
            log().warning("account %s: %s", account_id, said)
            if not ids:
                self.failures[account_id] = APIResponseValidationError(said)
        return found.odd

    async def _get(self, sso_connector_id: str, account_id: str) -> None:
        key = account_id, sso_connector_id
        async with self.places:
            try:
                found = await self.connectors.get(sso_connector_id, account_id=account_id)
            except Exception as error:  # noqa: BLE001 - it must not stop the others
                self.seen[key] = ours = _as_ours(error)
                if isinstance(ours, NotFoundError) and not ours.edge:
                    del self.seen[key]
            else:
                self.seen[key] = found


def _is_lost(error: CfssoError | None, status: int | None) -> bool:
    return isinstance(error, APIConnectionError) or (status or 0) >= _SERVER_ERRORS


def said_of(error: CfssoError) -> str:
    """Return what went wrong, without the ids that stand beside it."""
    if error.request is None:
        return str(error)
    request = f"{error.request.method} {error.request.path}"
    return str(error).replace(f" from {request}", "").replace(f"{request}: ", "")


def _advice(error: CfssoError) -> str:
    if error.edge:
        return "check --base-url, and what stands between here and Cloudflare"
    if error.status == _NOT_FOUND:
        return "check that account_id and sso_connector_id are not swapped"
    return "check the token and the accounts"


def _as_ours(error: Exception) -> CfssoError:
    if isinstance(error, CfssoError):
        return error
    log().error("what kept an account from being read is a bug", exc_info=error)
    ours = CfssoError(f"unexpected: {type(error).__name__}")
    ours.__cause__ = error
    return ours
