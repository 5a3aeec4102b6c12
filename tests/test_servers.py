"""Which server a transport reaches, in one spelling, through whatever stands around it."""

from pathlib import Path

import pytest

import cfsso
from cfsso.testing import FaultyTransport
from cfsso.transports._urls import checked_base_url

TOKEN = "t" * 40


def cloud() -> cfsso.CloudflareEmulator:
    """Return a cloud with a connector; the same each time but for the time of the day."""
    made = cfsso.CloudflareEmulator(seed=1)
    made.add_connector(made.add_account(), email_domain="a.example", status="verified")
    return made


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.cloudflare.com/client/v4", "https://api.cloudflare.com/client/v4"),
        ("https://api.cloudflare.com/client/v4/", "https://api.cloudflare.com/client/v4"),
        ("HTTPS://API.Cloudflare.com:443/client/v4", "https://api.cloudflare.com/client/v4"),
        ("https://api.cloudflare.com:8443", "https://api.cloudflare.com:8443"),
        ("https://proxy.example/Client/V4", "https://proxy.example/Client/V4"),
        ("http://127.0.0.1:80/client/v4", "http://127.0.0.1/client/v4"),
        ("http://[0:0:0:0:0:0:0:1]:8080/", "http://[::1]:8080"),
    ],
)
def test_one_spelling(url: str, expected: str) -> None:
    """What leads to the same server is spelled the same."""
    assert expected == checked_base_url(url)


async def test_the_real_one() -> None:
    """The usual stack reaches the API, unless it is told otherwise."""
    async with cfsso.connect(api_token=TOKEN) as connectors:
        assert "https://api.cloudflare.com/client/v4" == connectors.server
    async with cfsso.connect(api_token=TOKEN, base_url="http://localhost:80/") as connectors:
        assert "http://localhost" == connectors.server


def test_through_others() -> None:
    """What stands around a transport reaches what that reaches, if that says so."""
    emulated = cloud()
    inner = cfsso.InMemoryTransport(emulated)
    around = FaultyTransport(cfsso.RetryingTransport(cfsso.PacingTransport(inner)))

    assert f"emulated:{emulated.identity}" == around.server == inner.server
    assert around.server == cfsso.AsyncSSOConnectors(around).server


def test_one_that_does_not_say() -> None:
    """A transport without that attribute is not known, nor is what stands around it."""

    class Silent:
        """A transport that says nothing."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            """Send nothing."""
            raise NotImplementedError(request)

        async def aclose(self) -> None:
            """Hold nothing."""

    assert "" == cfsso.PacingTransport(Silent()).server
    assert "" == cfsso.AsyncSSOConnectors(Silent()).server


def test_a_state_that_is_loaded(tmp_path: Path) -> None:
    """It has one identity, whatever is written to it, and wherever its tokens and DNS are."""
    first = cloud()
    first.save(tmp_path / "a.json")
    loaded, again = (cfsso.CloudflareEmulator.load(tmp_path / "a.json") for _ in range(2))
    state = first.to_state()
    other = cfsso.CloudflareEmulator.from_state(state | {"dns": {}, "tokens": {TOKEN: []}})
    before = loaded.identity
    loaded.add_account()

    assert before == loaded.identity == again.identity == other.identity
    assert before != cfsso.CloudflareEmulator.from_state(loaded.to_state()).identity
    assert cfsso.CloudflareEmulator.from_state({}).identity != before


def test_one_that_is_made_in_code() -> None:
    """Its identity is what it had when it was first asked for, and stays."""
    first, second = cloud(), cloud()
    second.add_account()
    before = first.identity
    first.add_account()

    assert before == first.identity != second.identity
    assert 8 == len(before)
