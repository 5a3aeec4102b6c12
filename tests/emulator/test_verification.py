from collections.abc import Callable
from typing import Any

import pytest

from cfsso.emulator import CloudflareEmulator
from cfsso.models import SSOConnector, VerificationStatus

Call = Callable[..., tuple[int, Any]]

DAY = 24 * 60 * 60


@pytest.fixture
def pending(cloud: CloudflareEmulator, account: str) -> SSOConnector:
    """Give a connector whose polling has just begun."""
    return cloud.add_connector(account, email_domain="a.example", status="pending")


def status_of(cloud: CloudflareEmulator, account: str) -> str | None:
    (connector,) = cloud.connectors(account)
    return connector.verification.raw_status


def test_the_next_poll_finds_the_record(
    cloud: CloudflareEmulator, account: str, pending: SSOConnector
) -> None:
    """The TXT record counts at the next poll, not before, and moves updated_on."""
    cloud.dns["a.example"] = ["v=spf1 -all", str(pending.verification.code)]
    before = status_of(cloud, account)
    cloud.advance(1)
    after = cloud.connector(account, str(pending.id))

    assert "pending" == before
    assert VerificationStatus.VERIFIED is after.verification.status
    assert after.updated_on != pending.updated_on


def test_polls_keep_their_rhythm(account: str, cloud: CloudflareEmulator) -> None:
    """A look that finds nothing puts the next one on the grid that began at the start."""
    seeded = cloud.add_connector(account, email_domain="a.example", status="pending")
    cloud.advance(2.5)
    looked = status_of(cloud, account)
    cloud.dns["a.example"] = [str(seeded.verification.code)]
    cloud.advance(0.25)
    early = status_of(cloud, account)
    cloud.advance(0.25)

    assert ("pending", "pending", "verified") == (looked, early, status_of(cloud, account))


@pytest.mark.parametrize("domain", ["a.example", "A.Example."])
def test_dns_knows_a_domain_in_any_spelling(domain: str) -> None:
    """The table is asked for the comparable form and for the form as created."""
    cloud = CloudflareEmulator(poll=0)
    account = cloud.add_account()
    seeded = cloud.add_connector(account, email_domain="A.Example.", status="pending")
    before = status_of(cloud, account)

    cloud.dns[domain] = [str(seeded.verification.code)]

    assert ("pending", "verified") == (before, status_of(cloud, account))


def test_a_wrong_record_is_none(
    cloud: CloudflareEmulator, account: str, pending: SSOConnector
) -> None:
    """The whole code has to stand there."""
    cloud.dns["a.example"] = [str(pending.verification.code)[:-1], ""]
    cloud.advance(60)

    assert "pending" == status_of(cloud, account)


def test_polling_gives_up_after_two_days(
    cloud: CloudflareEmulator, account: str, pending: SSOConnector
) -> None:
    """A record that comes after the timeout is not found any more."""
    cloud.advance(2 * DAY - 1)
    before = status_of(cloud, account)
    cloud.advance(1)
    cloud.dns["a.example"] = [str(pending.verification.code)]
    cloud.advance(60)

    assert ("pending", "failed") == (before, status_of(cloud, account))


def test_a_record_within_two_days_is_found_though_nobody_looked(
    cloud: CloudflareEmulator, account: str, pending: SSOConnector
) -> None:
    """Verification goes on without requests."""
    cloud.dns["a.example"] = [str(pending.verification.code)]
    cloud.advance(3 * DAY)

    assert "verified" == status_of(cloud, account)


def test_begin_verification_starts_over(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str
) -> None:
    """A failed connector is pending again, with the same code, for two more days."""
    seeded = cloud.add_connector(account, email_domain="a.example", status="failed")

    answer = call("POST", f"{connectors}/{seeded.id}/begin_verification", b"")
    again = cloud.connector(account, str(seeded.id))
    cloud.advance(2 * DAY)

    assert (200, {"success": True, "errors": [], "messages": []}) == answer
    assert VerificationStatus.PENDING is again.verification.status
    assert again.verification.code == seeded.verification.code
    assert "failed" == status_of(cloud, account)


def test_begin_verification_while_pending_prolongs(
    cloud: CloudflareEmulator,
    account: str,
    call: Call,
    connectors: str,
    pending: SSOConnector,
) -> None:
    """The two days count from the last beginning."""
    cloud.advance(DAY)
    call("POST", f"{connectors}/{pending.id}/begin_verification")
    cloud.advance(DAY)
    before = status_of(cloud, account)
    cloud.advance(DAY)

    assert ("pending", "failed") == (before, status_of(cloud, account))


def test_begin_verification_leaves_a_verified_connector_alone(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str
) -> None:
    """What is verified, and perhaps enabled, stays so."""
    seeded = cloud.add_connector(account, email_domain="a.example", status="verified", enabled=True)

    assert 200 == call("POST", f"{connectors}/{seeded.id}/begin_verification")[0]
    assert seeded == cloud.connector(account, str(seeded.id))


def test_a_request_sees_what_polling_found(
    cloud: CloudflareEmulator, call: Call, connectors: str, pending: SSOConnector
) -> None:
    """Enabling succeeds as soon as the record was found, without a read between."""
    cloud.dns["a.example"] = [str(pending.verification.code)]
    cloud.advance(1)

    assert 200 == call("PATCH", f"{connectors}/{pending.id}", {"enabled": True})[0]


def test_what_is_deleted_times_out_unseen(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str, pending: SSOConnector
) -> None:
    """The end of polling does not bring a deleted connector back."""
    call("DELETE", f"{connectors}/{pending.id}")
    cloud.advance(2 * DAY)

    assert () == cloud.connectors(account)
