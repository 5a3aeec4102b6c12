"""Who lives in a world: callers, keepers of domains, and somebody else."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import attrs
from sim_truth import WRITES, Op, Track

import cfsso
from cfsso import Request

if TYPE_CHECKING:
    from sim_world import World


@attrs.define(eq=False)
class Caller:
    """
    One task that makes calls, one after the other.

    Attributes:
        world: Where it lives.
        connectors: The client with its own options.
        deadline: Of each of its calls.
        max_wait: Likewise.
        patient: Whether it waits as long as it takes.
        known: What it has seen last of each connector.
    """

    world: "World"
    connectors: cfsso.AsyncSSOConnectors
    deadline: float | None = None
    max_wait: float | None = None
    patient: bool = True
    cut: tuple[int, float] | None = None
    op: Op | None = None
    known: dict[str, cfsso.SSOConnector] = attrs.field(factory=dict)

    async def call(self, op: Op, work: Awaitable[Any]) -> Any:
        """Await *work* as *op* and let the oracle judge; ``None`` if it failed."""
        oracle, now = self.world.oracle, self.world.loop.time
        op.deadline, op.max_wait, op.patient = self.deadline, self.max_wait, self.patient
        op.cut, self.cut = self.cut, None
        self.op = op
        oracle.begins(op)
        self.world.ops.append(op)
        value: Any = None
        try:
            value = await work
        except asyncio.CancelledError:
            oracle.cancelled(op, now())
            raise
        except Exception as error:  # noqa: BLE001 - that it is no other is what is judged
            oracle.raised(op, error, now())
        else:
            oracle.returned(op, value, now())
        finally:
            oracle.note("ends", op.number, op.result)
        if self.connectors.on_event is not None and not op.over:
            oracle.breaks(op, "no event tells of its end")
        return value

    def hears(self, event: cfsso.Event) -> None:
        """See that the events of a call tell what is true, and end once."""
        op, oracle = self.op, self.world.oracle
        assert op is not None
        oracle.note("hears", op.number, str(event.kind), event.attempts, event.waited)
        if op.over or op.ended:
            oracle.breaks(op, f"an event after the end: {event.kind}")
        if event.operation != op.kind:
            oracle.breaks(op, f"an event of {event.operation}")
        if event.kind is not cfsso.EventKind.END:
            return
        op.over = True
        assert op.task is not None
        if not op.task.cancelling() and event.writes < op.may_have_sent and op.deadline is None:
            oracle.breaks(op, f"it counts {event.writes} writes")

    async def toggle(self, track: Track, wished: dict[str, bool], before: bool) -> Any:  # noqa: FBT001
        """Update a connector."""
        body = ",".join(f'"{name}":{str(value).lower()}' for name, value in wished.items())
        op = self._op("update", Request("PATCH", track.path, f"{{{body}}}".encode()), track)
        op.wished = wished
        known = self.known.get(track.id) if before else None
        op.before = None if known is None else known.updated_on
        op.unstamped = known is not None and known.updated_on is None
        work = self.connectors.update(track.id, account_id=track.account, **wished, before=known)
        return self._saw(await self.call(op, work))

    async def get(self, track: Track) -> Any:
        """Read a connector."""
        work = self.connectors.get(track.id, account_id=track.account)
        return self._saw(await self.call(self._op("get", None, track), work))

    async def list(self, account: str) -> Any:
        """Read an account."""
        op = self._op("list", None, None)
        op.account = account
        return await self.call(op, self.connectors.list(account_id=account))

    async def create(self, account: str, domain: str) -> Any:
        """Create a connector."""
        path = f"/accounts/{account}/sso_connectors"
        op = self._op("create", Request("POST", path, b'{"email_domain":"%s"}' % domain.encode()))
        return await self.call(op, self.connectors.create(account_id=account, email_domain=domain))

    async def begin(self, track: Track) -> None:
        """Begin its verification."""
        write = Request("POST", f"{track.path}/begin_verification")
        op = self._op("begin_verification", write, track)
        work = self.connectors.begin_verification(track.id, account_id=track.account)
        await self.call(op, work)

    async def delete(self, track: Track) -> None:
        """Delete a connector."""
        op = self._op("delete", Request("DELETE", track.path), track)
        await self.call(op, self.connectors.delete(track.id, account_id=track.account))

    def _op(self, kind: str, write: Request | None, track: Track | None = None) -> Op:
        assert (kind in WRITES) == (write is not None)
        op = Op(len(self.world.ops), kind, write)
        op.track = track
        return op

    def _saw(self, connector: cfsso.SSOConnector | None) -> cfsso.SSOConnector | None:
        if connector is not None:
            self.known[connector.id] = connector
        return connector


async def toggles(caller: Caller, home: Track, times: int) -> None:
    """Switch a connector back and forth, looking at it now and then."""
    chance = caller.world.random.random
    track = home
    for _ in range(times):
        before = chance()
        if before < 0.05:
            await caller.get(track)
        elif before < 0.75 and track.id not in caller.known:
            # As if it had just been looked up.
            caller.known[track.id] = caller.world.cloud.connector(track.account, track.id)
        enabled, fedramp = track.values
        if chance() < 0.1:
            # Perhaps it is so already.
            enabled = not enabled
        field = chance()
        wished = {"enabled": not enabled} if field < 0.85 else {}
        if field > 0.75:
            wished["use_fedramp_language"] = not fedramp
        await caller.toggle(track, wished, before < 0.8)
        if chance() < 0.1:
            track = caller.world.any_track()


async def keeps(caller: Caller, account: str, domain: str) -> None:
    """Create, begin, look, and delete."""
    chance = caller.world.random.random
    created = await caller.create(account, domain)
    track = created and caller.world.truth.tracks.get(created.id)
    if track is None:
        tracks = caller.world.truth.tracks.values()
        there = [t for t in tracks if t.domain == domain and t.account == account]
        track = next((t for t in there if not t.verified and t.gone is None), None)
    if track is not None:
        if chance() < 0.5:
            await caller.begin(track)
        if chance() < 0.5:
            await caller.toggle(track, {"enabled": True}, before=False)
        if chance() < 0.7:
            await caller.delete(track)
    if chance() < 0.5:
        await caller.list(account)


async def writes_elsewhere(world: "World", times: int, seconds: float) -> None:
    """Be somebody else, who writes too."""
    chance = world.random.random
    for _ in range(times):
        await asyncio.sleep(chance() * 2 * seconds / times)
        track = world.any_track()
        body = b'{"enabled":%s}' % (b"true" if chance() < 0.5 else b"false")
        if chance() < 0.2:
            body = b'{"use_fedramp_language":true}'
        world.elsewhere(Request("PATCH", track.path, body), "foreign")


async def uses_up(world: "World", account: str, seconds: float) -> None:
    """Be somebody else, with the same credential."""
    await asyncio.sleep(world.random.random() * seconds)
    for _ in range(int(world.plan.limit.requests)):
        world.elsewhere(Request("GET", f"/accounts/{account}/sso_connectors"), account)
