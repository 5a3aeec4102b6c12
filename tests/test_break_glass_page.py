"""What docs/break-glass.md says of tokens: what is published, and what the emulator shows."""

import asyncio
from pathlib import Path

import pytest

import cfsso

PAGE = (Path(__file__).parents[1] / "docs" / "break-glass.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "fact",
    [
        # Changelog 2026-10-01.
        "You don't need to be a *Super Administrator*",
        "*API Token Provisioning* is enough",
        "no permission that you don't have yourself",
        # Changelog 2026-04-18.
        "disables a token at once when a scanner finds it",
        "it *Compromised*",
        # "Control API access".
        "API access is switched off for the account (Enterprise only). Then no token works.",
        "*Enable API Access*",
    ],
)
def test_it_says_what_is_known_of_tokens(fact: str) -> None:
    """Who may create one, and what makes one useless, is as Cloudflare has published it."""
    assert fact in " ".join(PAGE.split())


def test_a_drill_does_not_find_out_that_a_token_may_only_read() -> None:
    """The page says so; the rescue then fails with the page that documents the permission."""
    assert "A drill cannot test whether a token may write" in " ".join(PAGE.split())
    cloud = cfsso.CloudflareEmulator()
    account = cloud.add_account()
    cloud.add_connector(account, email_domain="a.example", status="verified", enabled=True)
    cloud.add_token("reader", [account], permission="read")

    async def rescue(*, drill: bool) -> list[cfsso.fleet.Outcome]:
        transport = cfsso.InMemoryTransport(cloud, api_token="reader")
        connectors = cfsso.AsyncSSOConnectors(transport)
        acts = cfsso.fleet.break_glass(connectors, [account], drill=drill)
        return [outcome async for outcome in acts]

    drilled = asyncio.run(rescue(drill=True))
    (rescued,) = asyncio.run(rescue(drill=False))

    assert [] == [outcome.error for outcome in drilled if outcome.error]
    assert isinstance(rescued.error, cfsso.PermissionDeniedError)
    assert str(rescued.error.errors[0].documentation_url).endswith(
        "/iam/subresources/sso/methods/update"
    )
    assert cloud.connectors(account)[0].enabled
