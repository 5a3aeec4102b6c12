"""Break-glass: what one account or one connector does ends nothing for the others."""

import asyncio
import gc
import json
import tracemalloc
from typing import Any

import pytest
from worlds import Through

import cfsso
from cfsso.fleet import Outcome, break_glass
from cfsso.fleet import OutcomeStatus as Status
from cfsso.transports._call import current

pytestmark = pytest.mark.virtual_time


def clouds(accounts: int, connectors: int = 1) -> cfsso.CloudflareEmulator:
    """Return an emulator with enabled connectors in each of its accounts."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
    for number in range(accounts):
        account = cloud.add_account()
        for place in range(connectors):
            domain = f"d{place}.a{number}.example"
            cloud.add_connector(account, email_domain=domain, enabled=True, status="verified")
    return cloud


def locked(cloud: cfsso.CloudflareEmulator) -> list[str]:
    """Return the accounts that really have an enabled connector."""
    return [a for a in cloud.accounts if any(c.enabled for c in cloud.connectors(a))]


async def rescue(transport: cfsso.Transport, accounts: Any, **options: Any) -> list[Outcome]:
    """Break the glass."""
    connectors = cfsso.AsyncSSOConnectors(transport, deadline=120.0)
    return [outcome async for outcome in break_glass(connectors, accounts, **options)]


async def test_lists_that_hang_keep_no_other_account_waiting() -> None:
    """After a second without an answer another account begins in its place."""
    cloud = clouds(50)
    hanging = cloud.accounts[:40]
    loop = asyncio.get_running_loop()
    begun = loop.time()
    ended: dict[str, float] = {}

    class Hanging(Through):
        """Forty accounts never answer."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            if request.account_id in hanging:
                await asyncio.sleep(10**6)
            return await super().send(request)

    connectors = cfsso.AsyncSSOConnectors(Hanging(cloud), deadline=120.0)
    async for outcome in break_glass(connectors, cloud.accounts, concurrency=10):
        ended[outcome.change.account_id] = loop.time() - begun

    assert 5 > max(ended[account] for account in cloud.accounts[40:])
    assert [*hanging] == locked(cloud)


async def test_a_bug_with_one_connector_keeps_the_others_of_its_account() -> None:
    """It is unknown, with the bug named; all others of the account are off and read back."""
    cloud = clouds(2, 3)
    odd = cloud.connectors(cloud.accounts[0])[1].id

    class Broken(cfsso.AsyncSSOConnectors):
        """Connectors that fail for one of them."""

        async def update(self, sso_connector_id: str, **options: Any) -> Any:
            if sso_connector_id == odd:
                raise ZeroDivisionError
            return await super().update(sso_connector_id, **options)

    outcomes = [o async for o in break_glass(Broken(Through(cloud)), cloud.accounts)]

    [bad] = [outcome for outcome in outcomes if not outcome.status.is_green]
    assert (odd, Status.UNKNOWN) == (bad.change.sso_connector_id, bad.status)
    assert "unexpected: ZeroDivisionError" == str(bad.error)
    assert 6 == len(outcomes)
    assert 1 == sum(bool(c.enabled) for a in cloud.accounts for c in cloud.connectors(a))


async def test_a_bug_in_the_read_back_hides_nothing_that_was_written() -> None:
    """Each connector has its outcome, unknown, with the bug named."""
    cloud = clouds(1, 2)
    lists = iter(range(2))

    class Broken(cfsso.AsyncSSOConnectors):
        """Connectors whose second list fails."""

        async def _list_for_rescue(self, account_id: str, **options: Any) -> Any:
            if next(lists):
                raise ZeroDivisionError
            return await super()._list_for_rescue(account_id, **options)

    outcomes = [o async for o in break_glass(Broken(Through(cloud)), cloud.accounts)]

    assert [Status.UNKNOWN] * 2 == [outcome.status for outcome in outcomes]
    assert {"unexpected: ZeroDivisionError"} == {str(outcome.error) for outcome in outcomes}
    assert {1} == {outcome.attempts for outcome in outcomes}


@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize("drill", [False, True])
async def test_a_cancellation_that_nobody_asked_for_is_one_account_s(
    method: str,
    drill: bool,  # noqa: FBT001 - a parameter
) -> None:
    """A library below that loses its way ends with an outcome like any other error."""
    cloud = clouds(3)
    odd = cloud.accounts[1]

    class Lost(Through):
        """Cancels itself for one account."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            if request.account_id == odd and request.method == method:
                raise asyncio.CancelledError
            return await super().send(request)

    outcomes = await rescue(Lost(cloud), cloud.accounts, drill=drill)

    assert {*cloud.accounts} == {outcome.change.account_id for outcome in outcomes}
    bad = [outcome for outcome in outcomes if not outcome.status.is_green]
    assert (method == "GET" or not drill) == bool(bad)
    assert all((odd, Status.UNKNOWN) == (o.change.account_id, o.status) for o in bad)


async def test_all_calls_of_a_rescue_are_urgent_but_none_of_a_drill() -> None:
    """Lists, writes and lists again go ahead of what others send on the same token."""
    cloud = clouds(2)
    urgent: list[bool] = []

    class Watching(Through):
        """Keeps which requests are urgent."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            urgent.append(current().urgent)
            return await super().send(request)

    await rescue(Watching(cloud), cloud.accounts, drill=True)
    assert [False] * 4 == urgent
    urgent.clear()
    await rescue(Watching(cloud), cloud.accounts)
    assert [True] * 6 == urgent


async def test_an_account_that_is_done_is_an_event() -> None:
    """Whoever watches learns that it is, even while its outcome is held back, and may fail."""
    cloud = clouds(3)
    done: list[str] = []

    def watch(event: cfsso.Event) -> None:
        if event.operation == "break_glass":
            assert cfsso.EventKind.END is event.kind
            done.append(event.account_id)
            raise ZeroDivisionError

    connectors = cfsso.AsyncSSOConnectors(Through(cloud), on_event=watch)

    async for _ in break_glass(connectors, cloud.accounts, domain="nobody.test"):
        assert 3 == len(done)

    assert [*cloud.accounts] == sorted(done, key=cloud.accounts.index)


async def test_the_connectors_of_other_domains_take_no_room() -> None:
    """Of a long list only what is of the domain is kept while the rest goes on."""
    body = {
        "success": True,
        "errors": [],
        "messages": [],
        "result": [
            {
                "id": f"{n:032x}",
                "email_domain": f"{'the-one' if n == 7 else f'd{n}'}.example",
                "enabled": n != 7,
                "verification": {"code": f"cloudflare_dashboard_sso={n}", "status": "verified"},
            }
            for n in range(4000)
        ],
    }
    answer = cfsso.Response(200, {}, json.dumps(body).encode())
    del body
    held: list[int] = []

    class Listing(Through):
        """Gives one account the long list, and looks at the room taken when another one asks."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            if request.account_id == "a" * 32:
                return answer
            await asyncio.sleep(10)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
            return await super().send(request)

    cloud = clouds(1)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        outcomes = await rescue(
            Listing(cloud), ["a" * 32, *cloud.accounts], domain="the-one.example"
        )
    finally:
        tracemalloc.stop()

    assert [Status.UNCHANGED] * 2 == [outcome.status for outcome in outcomes]
    assert 500_000 > held[0] - before
