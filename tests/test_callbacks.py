"""A callback that nothing would await is refused, or the log says so."""

import asyncio
import functools
import gc
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any
from unittest.mock import AsyncMock

import pytest
from scripted import ACCOUNT, CONNECTOR, Scripted, shown, success

import cfsso
from cfsso import fleet
from cfsso.testing import Fault, alter_answer

pytestmark = pytest.mark.virtual_time


async def by_coroutine(*_: object) -> None:
    """Do nothing until it is awaited."""


async def by_async_generator(*_: object) -> AsyncGenerator[None]:
    """Do nothing until somebody goes through it."""
    yield


def by_generator(*_: object) -> Generator[None]:
    """Do nothing until somebody goes through it."""
    yield


class ByCall:
    """Is called as a function, and is async."""

    async def __call__(self, *_: object) -> None:
        """Do nothing until it is awaited."""

    async def method(self, *_: object) -> None:
        """Do nothing until it is awaited."""


ASYNC = {
    "function": by_coroutine,
    "async generator": by_async_generator,
    "generator": by_generator,
    "object": ByCall(),
    "method": ByCall().method,
    "partial": functools.partial(by_coroutine, 1),
    "partial of a partial of an object": functools.partial(functools.partial(ByCall(), 1), 2),
    "mock": AsyncMock(),
    "no function": 5,
}
TAKERS: dict[str, Callable[[Any], object]] = {
    "connect": lambda given: cfsso.connect(api_token="any", on_event=given),
    "constructor": lambda given: cfsso.AsyncSSOConnectors(Scripted(), on_event=given),
    "with_options": lambda given: cfsso.AsyncSSOConnectors(Scripted()).with_options(on_event=given),
    "a fault's suits": lambda given: Fault("name", by_coroutine, suits=given),  # type: ignore[arg-type]
    "an altered answer": lambda given: alter_answer("name", given),
}


@pytest.mark.parametrize("given", ASYNC.values(), ids=ASYNC)
@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
def test_what_is_async_is_refused(take: Callable[[Any], object], given: object) -> None:
    """It is refused where it is handed in, and the text says what to do instead."""
    with pytest.raises(
        cfsso.InvalidRequestError,
        match=r"(must not be async, since nothing awaits it: .*; give a plain function|a function)",
    ):
        take(given)


@pytest.mark.parametrize("given", ASYNC.values(), ids=ASYNC)
async def test_other_watchers_are_refused_before_anything_is_sent(given: Any) -> None:
    """So it is with who watches a verification, and a transfer."""
    inner = Scripted(success(shown()))
    connectors = cfsso.AsyncSSOConnectors(inner)

    with pytest.raises(cfsso.InvalidRequestError, match="on_look must"):
        await connectors.wait_until_verified(CONNECTOR, account_id=ACCOUNT, on_look=given)
    with pytest.raises(cfsso.InvalidRequestError, match="on_confirmed must"):
        await fleet.transfer(
            connectors, "x.example", source=ACCOUNT, target="b" * 32, on_confirmed=given
        )
    assert [] == inner.requests


@pytest.mark.parametrize(
    "function", [by_coroutine, by_async_generator, by_generator], ids=lambda f: f.__name__
)
async def test_one_that_turns_out_to_be_async_is_named_once(
    function: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    """One that returns a coroutine is named in the log, once, and Python warns of nothing."""
    connectors = cfsso.AsyncSSOConnectors(
        Scripted(success([])), on_event=lambda event: function(event, "late")
    )
    with caplog.at_level(logging.WARNING, "cfsso"):
        for _ in range(3):
            await connectors.list(account_id=ACCOUNT)
    gc.collect()

    assert 1 == len(caplog.records)
    assert logging.ERROR == caplog.records[0].levelno
    assert "on_event must not be async, since nothing awaits it" in caplog.text


async def test_it_is_named_also_where_a_run_stands_between(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A run passes events on, and closes what comes back as well."""
    cloud = cfsso.CloudflareEmulator()
    account = cloud.add_account()
    key = cloud.add_connector(account, email_domain="x.example", status="verified").id
    connectors = cfsso.AsyncSSOConnectors(
        cfsso.InMemoryTransport(cloud), on_event=lambda event: by_coroutine(event, "late")
    )
    changes = [fleet.Change(account, str(key), enabled=True)]
    outcomes = [outcome async for outcome in fleet.apply(connectors, changes)]
    rescued = [outcome async for outcome in fleet.break_glass(connectors, [account])]
    gc.collect()

    assert [True, True] == [outcome.status.is_green for outcome in [*outcomes, *rescued]]
    assert 1 == len(caplog.records)


async def test_one_that_starts_a_task_is_fine(caplog: pytest.LogCaptureFixture) -> None:
    """What goes on by itself may be returned, as may anything else."""
    seen: list[object] = []

    async def note(event: cfsso.Event) -> None:
        seen.append(event.kind)

    loop = asyncio.get_running_loop()
    for watch in (lambda event: loop.create_task(note(event)), lambda event: event):
        connectors = cfsso.AsyncSSOConnectors(Scripted(success([])), on_event=watch)
        await connectors.list(account_id=ACCOUNT)
    await asyncio.sleep(0)

    assert [cfsso.EventKind.ATTEMPT, cfsso.EventKind.END] == seen
    assert [] == caplog.records


async def test_a_watcher_is_what_was_handed_in() -> None:
    """It can be compared, handed on, and taken away."""
    events: list[cfsso.Event] = []
    connectors = cfsso.AsyncSSOConnectors(Scripted(success([])), on_event=events.append)
    again = connectors.with_options(on_event=connectors.on_event)

    assert connectors.on_event == events.append == again.on_event
    assert connectors.on_event == again.on_event
    assert hash(connectors.on_event) == hash(events.append)
    assert repr(connectors.on_event) == repr(events.append)
    assert connectors.with_options(on_event=None).on_event is None


async def test_a_fingerprint_may_be_plain_or_async() -> None:
    """What tells tokens apart is awaited if it is async."""

    async def later(_account_id: str) -> str:
        return "abcd"

    plain = cfsso.AsyncSSOConnectors(Scripted(), fingerprint=lambda _account_id: "abcd")
    awaited = cfsso.AsyncSSOConnectors(Scripted(), fingerprint=later)

    assert "abcd" == await plain.credential(ACCOUNT) == await awaited.credential(ACCOUNT)
