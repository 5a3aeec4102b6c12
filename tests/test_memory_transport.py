import asyncio
import json

import pytest

from cfsso import InvalidRequestError, WriteState
from cfsso.emulator import CloudflareEmulator
from cfsso.transports.base import MAX_BODY, Request, Response, Transport
from cfsso.transports.memory import InMemoryTransport


@pytest.fixture
def cloud() -> CloudflareEmulator:
    """Give an emulator with one account."""
    cloud = CloudflareEmulator()
    cloud.add_account("a" * 32)
    return cloud


LIST = Request("GET", f"/accounts/{'a' * 32}/sso_connectors")
CREATE = Request("POST", LIST.path, b'{"email_domain": "a.example"}')


async def test_it_is_a_transport_to_the_emulator(cloud: CloudflareEmulator) -> None:
    """A request reaches the emulator as it is, trusted, and the answer comes back."""
    transport = InMemoryTransport(cloud)

    response = await transport.send(LIST)

    assert isinstance(transport, Transport)
    assert (200, []) == (response.status, json.loads(response.body)["result"])
    assert (LIST.path, None) == (cloud.requests[0].path, cloud.requests[0].credential)


async def test_a_token_is_presented_and_never_shown(cloud: CloudflareEmulator) -> None:
    """The emulator checks it like any client's; the transport's repr is silent."""
    cloud.add_token("canary", ["a" * 32])
    good = InMemoryTransport(cloud, api_token="canary")
    bad = InMemoryTransport(cloud, api_token="wrong canary")
    none = InMemoryTransport(cloud, api_token="other")

    statuses = [(await transport.send(LIST)).status for transport in (good, bad, none)]

    assert [200, 400, 401] == statuses
    assert "InMemoryTransport(<CloudflareEmulator: 1 accounts>)" == repr(good)


async def test_sending_gives_others_a_turn(cloud: CloudflareEmulator) -> None:
    """The answer never comes within the step of the event loop that asked."""
    task = asyncio.ensure_future(InMemoryTransport(cloud).send(LIST))
    await asyncio.sleep(0)

    assert 1 == len(cloud.requests)
    assert not task.done()
    assert 200 == (await task).status


async def test_a_cancelled_write_is_done(cloud: CloudflareEmulator) -> None:
    """Whoever gives up during the latency has written all the same."""
    cloud.latency = 3600.0
    task = asyncio.ensure_future(InMemoryTransport(cloud).send(CREATE))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert 1 == len(cloud.connectors("a" * 32))


@pytest.mark.parametrize(("request_", "write"), [(LIST, None), (CREATE, WriteState.NOT_SENT)])
async def test_a_closed_transport_sends_nothing(
    cloud: CloudflareEmulator, request_: Request, write: WriteState | None
) -> None:
    """It may be closed twice; the emulator goes on for others."""
    transport = InMemoryTransport(cloud)
    await transport.aclose()
    await transport.aclose()

    with pytest.raises(InvalidRequestError, match="closed") as caught:
        await transport.send(request_)

    assert (write, request_) == (caught.value.write, caught.value.request)
    assert [] == cloud.requests
    assert 200 == (await InMemoryTransport(cloud).send(LIST)).status


async def test_an_answer_of_any_size_comes_whole(
    cloud: CloudflareEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too large is refused by whoever reads it, for every transport alike."""
    body = b" " * (MAX_BODY + 1)
    monkeypatch.setattr(cloud, "handle", lambda *_: Response(200, {}, body))

    assert body == (await InMemoryTransport(cloud).send(LIST)).body


async def test_answers_are_copies(cloud: CloudflareEmulator) -> None:
    """Two answers share nothing that could be changed."""
    transport = InMemoryTransport(cloud)
    first, second = await transport.send(LIST), await transport.send(LIST)

    assert first.body == second.body
    assert first.headers is not second.headers
