"""The transport on which things go wrong: rules, chance, and what it must not change."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

import cfsso
from cfsso.testing import (
    FAULTS,
    Fault,
    FaultyTransport,
    answer_with,
    delay_request,
    lose_answer,
    lose_request,
    refuse_connection,
    run_in_virtual_time,
    stale_read,
)
from cfsso.testing import _seen as seen_module

ACCOUNT = "5d1f0a93c7e24b68a0b3d9e7f1c24680"
OTHER_ACCOUNT = "6" * 32
CONNECTOR = "a47be0c2193d4f5886e1b7d0c95f3a12"
OTHER = "c0ffee5e11d24a7f9b3c8d1e0f2a4b6c"


class Answering:
    """A transport that answers everything with 200, and counts how often it is closed."""

    def __init__(self) -> None:
        self.seen: list[cfsso.Request] = []
        self.closed = 0

    def __repr__(self) -> str:
        return "Answering()"

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Keep *request*."""
        self.seen.append(request)
        return cfsso.Response(200, {}, b'{"success":true,"result":null}')

    async def aclose(self) -> None:
        """Count."""
        self.closed += 1


def request(
    method: str = "GET", connector: str | None = CONNECTOR, account: str = ACCOUNT
) -> cfsso.Request:
    """Return a request for a connector, or for all of an account."""
    item = f"/{connector}" if connector else ""
    return cfsso.Request(method, f"/accounts/{account}/sso_connectors{item}")


async def hits(transport: FaultyTransport, *requests: cfsso.Request) -> list[bool]:
    """Return of each request whether it failed."""
    found = []
    for one in requests:
        try:
            await transport.send(one)
        except cfsso.APIConnectionError:
            found.append(True)
        else:
            found.append(False)
    return found


async def test_without_faults_nothing_changes() -> None:
    """A healthy transport hands on the very request and the very answer."""
    inner = Answering()
    transport = FaultyTransport(inner)
    asked = request("PATCH")

    response = await transport.send(asked)

    assert [asked] == inner.seen
    assert 200 == response.status
    assert 1 == transport.requests
    assert {} == transport.injected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [True, False, False, False]),
        ({"nth": 3}, [False, False, True, False]),
        ({"nth": 2, "times": 2}, [False, True, True, False]),
        ({"nth": 2, "times": None}, [False, True, True, True]),
    ],
    ids=str,
)
async def test_a_rule_counts(options: dict[str, Any], expected: list[bool]) -> None:
    """`nth` and `times` say which of the matching requests are befallen."""
    transport = FaultyTransport(Answering())
    transport.on(refuse_connection, **options)
    assert expected == await hits(transport, *[request()] * 4)
    assert {"refuse_connection": sum(expected)} == transport.injected
    assert 4 == transport.requests


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"method": "PATCH"}, [False, True, True, True, False]),
        ({"sso_connector_id": CONNECTOR}, [True, True, False, True, False]),
        ({"account_id": ACCOUNT}, [True, True, True, False, True]),
        ({"account_id": ACCOUNT, "sso_connector_id": OTHER}, [False, False, True, False, False]),
        ({"method": "GET", "sso_connector_id": CONNECTOR}, [True, False, False, False, False]),
    ],
    ids=str,
)
async def test_a_rule_matches(options: dict[str, Any], expected: list[bool]) -> None:
    """Method and ids narrow a rule."""
    transport = FaultyTransport(Answering())
    transport.on(refuse_connection, times=None, **options)
    assert expected == await hits(
        transport,
        request("GET"),
        request("PATCH"),
        request("PATCH", OTHER),
        request("PATCH", CONNECTOR, OTHER_ACCOUNT),
        request("GET", None),
    )


async def test_a_rule_counts_from_when_it_was_added() -> None:
    """What was sent before a rule was added does not count, nor what does not match."""
    transport = FaultyTransport(Answering())
    await hits(transport, request("PATCH"), request("PATCH"))
    transport.on(lose_answer, method="PATCH", nth=2)
    found = await hits(transport, request("PATCH"), request(), request("PATCH"), request("PATCH"))
    assert [False, False, True, False] == found


async def test_a_rule_counts_what_suits_its_fault() -> None:
    """A request that the fault can't befall is no match."""
    transport = FaultyTransport(Answering())
    transport.on(delay_request(5))
    assert [False, True] == await hits(transport, request("GET"), request("DELETE"))
    await transport.aclose()


async def test_the_first_of_several_rules_counts() -> None:
    """Of two rules for one request the first one befalls, and the second one counts it."""
    transport = FaultyTransport(Answering())
    transport.on(lose_answer)
    transport.on(refuse_connection, nth=2)
    assert [True, True, False] == await hits(transport, *[request()] * 3)
    assert {"lose_answer": 1, "refuse_connection": 1} == transport.injected


async def test_heal_ends_it_all() -> None:
    """After `heal` there are no rules and no chance, and both can be set again."""
    transport = FaultyTransport(Answering(), rate=1, seed=1, faults=[lose_request])
    transport.on(refuse_connection, nth=2, times=None)
    assert [True, True] == await hits(transport, request(), request())
    transport.heal()
    assert 0.0 == transport.rate
    assert [False, False] == await hits(transport, request(), request())
    transport.rate = 1.0
    assert [True] == await hits(transport, request())
    assert {"lose_request": 2, "refuse_connection": 1} == transport.injected


async def befallen(seed: int | None, rate: float = 0.3) -> tuple[list[str], int]:
    """Return the faults by chance of a thousand requests, and the seed."""
    made = [answer_with(500 + n, applied=False, name=f"f{n}") for n in range(10)]
    transport = FaultyTransport(Answering(), seed=seed, rate=rate, faults=made)
    answers = [await transport.send(request()) for _ in range(1000)]
    return [str(answer.status) for answer in answers], transport.seed


async def test_a_seed_repeats_chance() -> None:
    """The same seed gives the same faults, another one others, and a drawn one is told."""
    first, _ = await befallen(7)
    assert (first, 7) == await befallen(7)
    assert first != (await befallen(8))[0]
    drawn, seed = await befallen(None)
    assert (drawn, seed) == await befallen(seed)


async def test_a_rate_is_a_share() -> None:
    """About that share of requests is befallen, by each of the faults."""
    found, _ = await befallen(7)
    counts = {name: found.count(name) for name in set(found)}
    assert 250 < 1000 - counts.pop("200") < 350
    assert 10 == len(counts)
    assert 10 < min(counts.values())
    assert ["200"] * 1000 == (await befallen(7, 0.0))[0]
    assert "200" not in (await befallen(7, 1.0))[0]


async def test_chance_looks_for_a_fault_that_suits() -> None:
    """At a rate of 1 only what nothing suits is spared."""
    never = Fault("never", lose_request.act, suits=lambda _request, _send: False)
    transport = FaultyTransport(
        Answering(), seed=1, rate=1, faults=[*[never] * 50, delay_request(1)]
    )
    asked = [request("GET"), request("PATCH"), request("DELETE")]
    assert [False, True, True] == await hits(transport, *asked)
    assert {"delay_request": 2} == transport.injected
    await transport.aclose()


def test_every_fault_has_its_turn() -> None:
    """In a few thousand requests all of the catalogue is seen."""

    async def main() -> None:
        cloud = cfsso.CloudflareEmulator(seed=1, rate_limit=None)
        account = cloud.add_account()
        seeded = cloud.add_connector(account, email_domain="example.com", status="verified")
        transport = FaultyTransport(cfsso.InMemoryTransport(cloud), seed=1, rate=0.5)
        path = f"/accounts/{account}/sso_connectors/{seeded.id}"
        for number in range(6000):
            with contextlib.suppress(cfsso.APIConnectionError):
                body = b'{"enabled":true}' if number % 2 else None
                await transport.send(cfsso.Request("PATCH" if body else "GET", path, body))
        await transport.aclose()
        assert set(FAULTS) == set(transport.injected)
        assert 6000 == transport.requests

    run_in_virtual_time(main())


async def test_closing_closes_the_inner_one() -> None:
    """`aclose` may be repeated, and afterwards nothing is sent."""
    inner = Answering()
    transport = FaultyTransport(inner)
    await transport.aclose()
    await transport.aclose()
    assert 2 == inner.closed
    transport.on(refuse_connection, times=None)
    for asked, write in ((request("PATCH"), "not_sent"), (request("GET"), None)):
        with pytest.raises(cfsso.InvalidRequestError, match="closed") as refused:
            await transport.send(asked)
        assert write == refused.value.write
        assert asked is refused.value.request
    assert [] == inner.seen


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda _: FaultyTransport(object()), "inner must be a transport"),  # type: ignore[arg-type]
        (lambda t: FaultyTransport(t, seed="1"), "seed must be a whole number or None"),  # type: ignore[arg-type]
        (lambda t: FaultyTransport(t, seed=True), "seed must be a whole number or None"),
        (lambda t: FaultyTransport(t, rate=1.1), "rate must be a number from 0 to 1"),
        (lambda t: FaultyTransport(t, rate=float("nan")), "rate must be a number from 0 to 1"),
        (lambda t: FaultyTransport(t, rate=True), "rate must be a number from 0 to 1"),
        (lambda t: FaultyTransport(t, rate=0.5, faults=()), "faults must be at least one"),
        (lambda t: FaultyTransport(t, faults=["lose_answer"]), "a fault must be"),  # type: ignore[list-item]
        (lambda t: t.on("lose_answer"), "a fault must be a cfsso.testing.Fault"),
        (lambda t: t.on(lose_answer, method="patch"), "method must be an upper-case"),
        (lambda t: t.on(lose_answer, account_id="1"), "account_id must be an id"),
        (lambda t: t.on(lose_answer, sso_connector_id=1), "sso_connector_id must be an id"),
        (lambda t: t.on(lose_answer, nth=0), "nth must be a whole number from 1"),
        (lambda t: t.on(lose_answer, nth=True), "nth must be a whole number from 1"),
        (lambda t: t.on(lose_answer, times=0), "times must be a whole number from 1"),
        (lambda t: t.on(lose_answer, times=1.0), "times must be a whole number from 1"),
    ],
    ids=map(str, range(16)),
)
def test_wrong_arguments(make: Callable[[Any], Any], problem: str) -> None:
    """What can't be meant is refused by its name."""
    with pytest.raises(cfsso.InvalidRequestError, match=problem):
        make(FaultyTransport(Answering()))


def test_its_repr_says_how_to_see_it_again() -> None:
    """Transport, seed and rate are shown."""
    transport = FaultyTransport(Answering(), seed=5, rate=0.25)
    assert "FaultyTransport(Answering(), seed=5, rate=0.25)" == repr(transport)


class Lagging:
    """An emulator behind a transport on which every read that can be stale is."""

    def __init__(self, within: float = 30, connectors: int = 1, latency: float = 0.0) -> None:
        self.cloud = cfsso.CloudflareEmulator(seed=1, latency=latency)
        self.account = self.cloud.add_account()
        self.ids = [
            self.cloud.add_connector(
                self.account, email_domain=f"d{n}.example", status="verified"
            ).id
            for n in range(connectors)
        ]
        self.transport = FaultyTransport(cfsso.InMemoryTransport(self.cloud))
        self.transport.on(stale_read(within), times=None)
        self.connectors = cfsso.AsyncSSOConnectors(self.transport)

    async def get(self, place: int = 0) -> bool | None:
        """Return whether a connector shows as enabled."""
        return (await self.connectors.get(self.ids[place], account_id=self.account)).enabled

    async def list(self) -> list[bool | None]:
        """Return of each connector whether the list shows it as enabled."""
        return [one.enabled for one in await self.connectors.list(account_id=self.account)]

    async def set(self, enabled: bool, place: int = 0) -> None:  # noqa: FBT001
        """Enable or disable a connector."""
        await self.connectors.update(self.ids[place], account_id=self.account, enabled=enabled)


def test_a_read_shows_what_was_before_the_write() -> None:
    """Within the lag a read shows the state before the write, and the present one after it."""

    async def main() -> None:
        world = Lagging(within=30)
        assert not await world.get()
        await world.set(True)
        assert not await world.get()
        await asyncio.sleep(29)
        assert not await world.get()
        await asyncio.sleep(2)
        assert await world.get()
        assert {"stale_read": 2} == world.transport.injected

    run_in_virtual_time(main())


def test_a_read_is_stale_after_an_answer_that_was_lost() -> None:
    """What was before a write is known even if its answer never came."""

    async def main() -> None:
        world = Lagging(within=30)
        await world.get()
        world.transport.heal()
        world.transport.on(lose_answer, method="PATCH")
        world.transport.on(stale_read(30))
        await world.set(True)
        assert {"lose_answer": 1, "stale_read": 1} == world.transport.injected
        assert await world.get()

    run_in_virtual_time(main())


def test_a_deleted_connector_is_still_shown() -> None:
    """A stale read shows a connector that was deleted, whatever is there now."""

    async def main() -> None:
        world = Lagging()
        assert not await world.get()
        await world.connectors.delete(world.ids[0], account_id=world.account)
        assert not await world.get()
        assert {"stale_read": 1} == world.transport.injected

    run_in_virtual_time(main())


def test_a_limit_is_never_stale() -> None:
    """A read that meets the rate limit gets that, and nothing older."""

    async def main() -> None:
        cloud = cfsso.CloudflareEmulator(seed=1, rate_limit=cfsso.RateLimit(2, 300))
        account = cloud.add_account()
        one = cloud.add_connector(account, email_domain="d.example", status="verified")
        transport = FaultyTransport(cfsso.InMemoryTransport(cloud))
        transport.on(stale_read(30), times=None)
        connectors = cfsso.AsyncSSOConnectors(transport)
        await connectors.get(one.id, account_id=account)
        await connectors.update(one.id, account_id=account, enabled=True)
        with pytest.raises(cfsso.RateLimitError):
            await connectors.get(one.id, account_id=account)

    run_in_virtual_time(main())


def test_a_list_speaks_for_a_connector_that_was_not_read() -> None:
    """After a list alone, a read of a connector is stale by that list."""

    async def main() -> None:
        world = Lagging(connectors=2)
        assert [False, False] == await world.list()
        await world.set(True, 1)  # noqa: FBT003
        assert not await world.get(1)
        assert not await world.get(0)
        assert [False, False] == await world.list()
        assert {"stale_read": 2} == world.transport.injected

    run_in_virtual_time(main())


def test_no_read_is_stale_without_a_write_or_a_read_before_it() -> None:
    """Where there is nothing older to show, nothing is injected."""

    async def main() -> None:
        world = Lagging()
        await world.set(True)
        assert await world.get()
        assert [True] == await world.list()
        assert await world.get()
        assert {} == world.transport.injected

    run_in_virtual_time(main())


def test_a_connector_made_later_is_in_no_older_list() -> None:
    """A create leaves the list stale; what is stale of the new connector is no older than it."""

    async def main() -> None:
        world = Lagging()
        assert [False] == await world.list()
        made = await world.connectors.create(account_id=world.account, email_domain="new.example")
        world.ids.append(made.id)
        assert [False] == await world.list()
        await world.connectors.begin_verification(made.id, account_id=world.account)
        assert not await world.get(1)
        assert {"stale_read": 2} == world.transport.injected

    run_in_virtual_time(main())


def test_the_state_before_is_that_of_the_last_answer() -> None:
    """The answer to an update is what the next one leaves behind."""

    async def main() -> None:
        world = Lagging(within=30)
        await world.get()
        await world.set(True)
        await asyncio.sleep(100)
        await world.set(False)
        assert await world.get()
        await asyncio.sleep(100)
        assert not await world.get()

    run_in_virtual_time(main())


class Held:
    """Remembers through `Seen`, and holds each answer back until it is released."""

    def __init__(self) -> None:
        self.seen = seen_module.Seen(self._send)
        self._held: dict[str, tuple[asyncio.Future[cfsso.Response], asyncio.Task[Any]]] = {}

    async def _send(self, request: cfsso.Request) -> cfsso.Response:
        return await self._held[request.method][0]

    async def begin(self, method: str) -> None:
        """Send a request."""
        answer: asyncio.Future[cfsso.Response] = asyncio.get_running_loop().create_future()
        sending = asyncio.ensure_future(self.seen(request(method)))
        self._held[method] = answer, sending
        await asyncio.sleep(0)

    async def end(self, method: str, status: int = 200) -> None:
        """Let its answer arrive."""
        answer, sending = self._held[method]
        answer.set_result(cfsso.Response(status, {}, b'{"result":{}}'))
        await sending

    def remembers(self) -> bool:
        """Whether there is something older to show."""
        return self.seen.earlier(request("GET"), 3600) is not None


@pytest.mark.parametrize(
    ("order", "remembered"),
    [
        ("GET get PATCH patch", True),
        ("PATCH patch GET get", True),
        ("GET PATCH get patch", False),
        ("GET PATCH patch get", False),
        ("PATCH GET get patch", False),
        ("PATCH GET patch get", False),
    ],
)
async def test_a_read_beside_a_write_is_not_remembered(order: str, *, remembered: bool) -> None:
    """What a read shows while a write is under way is the state of before or of after."""
    held = Held()
    for step in order.split():
        await (
            held.begin(step)
            if step.isupper()
            else held.end(step.upper(), 500 - 300 * (step == "get"))
        )
    await held.begin("DELETE")
    assert remembered == held.remembers()
    await held.end("DELETE")
    assert remembered == held.remembers()


@pytest.mark.parametrize(
    ("order", "remembered"),
    [
        ("PATCH patch", True),
        ("PATCH POST post patch", False),
        ("PATCH POST patch post", False),
        ("POST PATCH post patch", False),
        ("POST PATCH patch post", False),
        ("POST post PATCH patch", True),
    ],
)
async def test_the_answer_to_a_write_beside_another_is_not_remembered(
    order: str, *, remembered: bool
) -> None:
    """What an update shows while another write is under way may be over already."""
    held = Held()
    for step in order.split():
        await (held.begin(step) if step.isupper() else held.end(step.upper()))
    await held.begin("DELETE")
    assert remembered == held.remembers()
    await held.end("DELETE")


async def test_a_cancelled_write_leaves_nothing_under_way() -> None:
    """After a write was cancelled, reads are remembered again."""
    held = Held()
    await held.begin("PATCH")
    sending = held._held["PATCH"][1]
    sending.cancel()
    await asyncio.wait([sending])
    for step in ("GET", "DELETE"):
        await held.begin(step)
        await held.end(step)
    assert held.remembers()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many paths, or so many bytes, no read is stale."""

    async def main() -> None:
        monkeypatch.setattr(seen_module, "_PATHS", 1)
        world = Lagging(connectors=2)
        for place in (0, 1):
            await world.get(place)
            await world.set(True, place)  # noqa: FBT003
        assert [False, True] == [await world.get(place) for place in (0, 1)]
        monkeypatch.setattr(seen_module, "_BODY", 10)
        world = Lagging()
        await world.get()
        await world.set(True)
        assert await world.get()

    run_in_virtual_time(main())


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"result":[{}]}', b"[" * 50_000], ids=repr)
async def test_nonsense_is_not_shown_again(body: bytes) -> None:
    """An older answer that can't be read makes no stale one."""

    class Nonsense(Answering):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            return cfsso.Response(200 if request.method == "GET" else 500, {}, body)

    transport = FaultyTransport(Nonsense())
    transport.on(stale_read(30), times=None)
    for method in ("GET", "PATCH", "GET"):
        assert body == (await transport.send(request(method))).body
    assert {} == transport.injected
