"""The official SDK meets the emulator: two readings of one API."""

import datetime as dt
from collections.abc import AsyncIterator

import cloudflare
import pytest

from cfsso.emulator import CloudflareEmulator
from cfsso.emulator.http import serving
from cfsso.transports.base import RateLimit

NOBODY = "0" * 32


@pytest.fixture
def cloud() -> CloudflareEmulator:
    """Give an emulator."""
    return CloudflareEmulator()


@pytest.fixture
def account(cloud: CloudflareEmulator) -> str:
    """Give an account whose token the client has."""
    account = cloud.add_account()
    cloud.add_token("t0ken", [account])
    return account


@pytest.fixture
async def client(
    cloud: CloudflareEmulator, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[cloudflare.AsyncCloudflare]:
    """Give the official client, on the emulator's port and with nothing from the environment."""
    for name in ("API_TOKEN", "API_KEY", "EMAIL", "API_USER_SERVICE_KEY", "BASE_URL"):
        monkeypatch.delenv(f"CLOUDFLARE_{name}", raising=False)
    async with (
        serving(cloud) as url,
        cloudflare.AsyncCloudflare(api_token="t0ken", base_url=url, max_retries=0) as client,
    ):
        yield client


async def test_a_connector_lives_its_life(
    cloud: CloudflareEmulator, account: str, client: cloudflare.AsyncCloudflare
) -> None:
    """Create, begin, verify, get, list, enable, disable and delete, all with their values."""
    sso = client.iam.sso
    made = await sso.create(
        account_id=account,
        email_domain="a.example",
        begin_verification=False,
        use_fedramp_language=True,
    )
    assert made is not None
    assert made.verification is not None
    connector_id = str(made.id)
    assert ("a.example", False, True) == (
        made.email_domain,
        made.enabled,
        made.use_fedramp_language,
    )
    assert "awaiting" == made.verification.status
    assert isinstance(made.created_on, dt.datetime)

    begun = await sso.begin_verification(connector_id, account_id=account)
    assert (True, [], []) == (begun.success, begun.errors, begun.messages)

    cloud.dns["a.example"] = [str(made.verification.code)]
    cloud.advance(1)
    found = await sso.get(connector_id, account_id=account)
    assert found is not None
    assert found.verification is not None
    assert "verified" == found.verification.status

    enabled = await sso.update(connector_id, account_id=account, enabled=True)
    assert enabled is not None
    assert (connector_id, True, True) == (
        enabled.id,
        enabled.enabled,
        enabled.use_fedramp_language,
    )
    assert enabled.updated_on is not None
    assert enabled.updated_on > made.created_on

    page = await sso.list(account_id=account)
    assert [(connector_id, True)] == [(one.id, one.enabled) for one in page.result]

    changed = await sso.update(
        connector_id, account_id=account, enabled=False, use_fedramp_language=False
    )
    assert changed is not None
    assert (False, False) == (changed.enabled, changed.use_fedramp_language)

    gone = await sso.delete(connector_id, account_id=account)
    assert gone is not None
    assert connector_id == gone.id
    assert [] == [one async for one in sso.list(account_id=account)]


async def test_creating_begins_verification(
    account: str, client: cloudflare.AsyncCloudflare
) -> None:
    """Omitted fields have the documented defaults."""
    made = await client.iam.sso.create(account_id=account, email_domain="a.example")

    assert made is not None
    assert made.verification is not None
    assert ("pending", False) == (made.verification.status, made.use_fedramp_language)


async def test_not_found_and_not_routed(account: str, client: cloudflare.AsyncCloudflare) -> None:
    """An unknown connector and a malformed id are both 404, with their own codes."""
    with pytest.raises(cloudflare.NotFoundError) as unknown:
        await client.iam.sso.get(NOBODY, account_id=account)
    with pytest.raises(cloudflare.NotFoundError) as malformed:
        await client.iam.sso.get("nordwind", account_id=account)

    assert [20004] == [error.code for error in unknown.value.errors]
    assert [7003, 7000] == [error.code for error in malformed.value.errors]


async def test_an_unknown_token_is_not_authentic(
    account: str, client: cloudflare.AsyncCloudflare
) -> None:
    """401 with code 10000."""
    with pytest.raises(cloudflare.AuthenticationError) as caught:
        await client.with_options(api_token="other").iam.sso.list(account_id=account)

    assert [10000] == [error.code for error in caught.value.errors]


@pytest.mark.usefixtures("account")
async def test_another_account_is_forbidden(
    cloud: CloudflareEmulator, client: cloudflare.AsyncCloudflare
) -> None:
    """403 with code 10000."""
    with pytest.raises(cloudflare.PermissionDeniedError) as caught:
        await client.iam.sso.list(account_id=cloud.add_account())

    assert [10000] == [error.code for error in caught.value.errors]


async def test_a_domain_held_elsewhere_is_a_conflict(
    cloud: CloudflareEmulator, account: str, client: cloudflare.AsyncCloudflare
) -> None:
    """409 for enabling, for a duplicate, and for deleting what is enabled."""
    sso = client.iam.sso
    cloud.add_connector(
        cloud.add_account(), email_domain="a.example", status="verified", enabled=True
    )
    mine = cloud.add_connector(account, email_domain="a.example", status="verified")
    live = cloud.add_connector(account, email_domain="b.example", status="verified", enabled=True)

    with pytest.raises(cloudflare.ConflictError) as held:
        await sso.update(str(mine.id), account_id=account, enabled=True)
    with pytest.raises(cloudflare.ConflictError) as twice:
        await sso.create(account_id=account, email_domain="a.example")
    with pytest.raises(cloudflare.ConflictError) as enabled:
        await sso.delete(str(live.id), account_id=account)

    refused = [held.value, twice.value, enabled.value]
    assert [[20006], [20005], [20007]] == [[item.code for item in one.errors] for one in refused]


async def test_an_unverified_domain_is_a_bad_request(
    cloud: CloudflareEmulator, account: str, client: cloudflare.AsyncCloudflare
) -> None:
    """400 with the pointer to what was asked."""
    mine = cloud.add_connector(account, email_domain="a.example")

    with pytest.raises(cloudflare.BadRequestError) as caught:
        await client.iam.sso.update(str(mine.id), account_id=account, enabled=True)

    (error,) = caught.value.errors
    assert error.source is not None
    assert (20002, "/enabled") == (error.code, error.source.pointer)


async def test_the_limit_is_told() -> None:
    """429 with code 971 and the seconds to wait."""
    cloud = CloudflareEmulator(rate_limit=RateLimit(1, 300.0))
    account = cloud.add_account()
    async with (
        serving(cloud) as url,
        cloudflare.AsyncCloudflare(api_token="t0ken", base_url=url, max_retries=0) as client,
    ):
        await client.iam.sso.list(account_id=account)
        with pytest.raises(cloudflare.RateLimitError) as caught:
            await client.iam.sso.list(account_id=account)

    assert [971] == [error.code for error in caught.value.errors]
    assert "300" == caught.value.response.headers["Retry-After"]
