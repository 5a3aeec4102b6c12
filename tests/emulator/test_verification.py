import datetime as dt
from collections.abc import Callable
from typing import Any, cast

import pytest

from cfsso import InvalidRequestError
from cfsso.emulator import CloudflareEmulator
from cfsso.models import SSOConnector, VerificationStatus
from cfsso.transports.base import Request

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


@pytest.mark.parametrize("record", [True, False])
def test_polling_that_nobody_watched_ended_in_time(
    cloud: CloudflareEmulator, account: str, pending: SSOConnector, *, record: bool
) -> None:
    """The change is dated two days after the beginning, whenever somebody looks."""
    cloud.dns["a.example"] = [str(pending.verification.code)] * record
    cloud.advance(5 * DAY)
    (seen,) = cloud.connectors(account)

    assert ("verified" if record else "failed") == seen.verification.raw_status
    assert seen.updated_on is not None
    assert pending.updated_on is not None
    assert dt.timedelta(days=2) == seen.updated_on - pending.updated_on


def test_what_a_look_found_is_dated_by_the_look(
    cloud: CloudflareEmulator, account: str, pending: SSOConnector
) -> None:
    """A poll takes place when somebody looks."""
    cloud.dns["a.example"] = [str(pending.verification.code)]
    cloud.advance(DAY)
    (seen,) = cloud.connectors(account)

    assert seen.updated_on is not None
    assert pending.updated_on is not None
    assert dt.timedelta(days=1) == seen.updated_on - pending.updated_on


@pytest.mark.parametrize(
    "created", ["x.example", "X.EXAMPLE", "b\N{LATIN SMALL LETTER U WITH DIAERESIS}.example"]
)
@pytest.mark.parametrize("respell", [str.upper, str.title, "{}.".format])
def test_dns_compares_domains_as_connectors_do(created: str, respell: Callable[[str], str]) -> None:
    """Every spelling of a domain is one key of the table."""
    cloud = CloudflareEmulator(poll=0)
    account = cloud.add_account()
    seeded = cloud.add_connector(account, email_domain=created, status="pending")

    cloud.dns[respell(created)] = [str(seeded.verification.code)]

    assert "verified" == status_of(cloud, account)
    assert created in cloud.dns
    assert 1 == len(cloud.dns)
    del cloud.dns[created]
    assert 0 == len(cloud.dns)
    assert "{}" == repr(cloud.dns)


def test_a_string_in_dns_is_one_text(
    cloud: CloudflareEmulator, account: str, pending: SSOConnector
) -> None:
    """It is no list of characters, and not searched for the code."""
    cloud.dns["a.example"] = cast("Any", f"x{pending.verification.code}")
    cloud.advance(1)
    before = status_of(cloud, account)
    cloud.dns["a.example"] = cast("Any", pending.verification.code)
    cloud.advance(1)

    assert ("pending", "verified") == (before, status_of(cloud, account))
    assert {"a.example": [pending.verification.code]} == cloud.to_state()["dns"]


@pytest.mark.parametrize(("domain", "texts"), [(5, []), ("", []), ("a.example", 5), ("b", [5])])
def test_dns_takes_lists_of_strings_by_domain(
    cloud: CloudflareEmulator, domain: Any, texts: Any
) -> None:
    """Anything else is refused at once, before a request meets it."""
    with pytest.raises(InvalidRequestError, match=r"^(a dns domain|dns texts) must be"):
        cloud.dns[domain] = texts

    assert {} == cloud.dns


def test_a_huge_text_is_compared_as_it_is(cloud: CloudflareEmulator) -> None:
    """What is longer than any domain name has no A-labels, which would take their time."""
    huge = "\N{LATIN CAPITAL LETTER U WITH DIAERESIS}" * 1_000_000 + "."
    cloud.dns[huge] = ["x"]

    assert [huge.lower()[:-1]] == list(cloud.dns)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("strasse.example", "stra\N{LATIN SMALL LETTER SHARP S}e.example"),
        ("kelvin.example", "\N{KELVIN SIGN}elvin.example"),
        ("office.example", "o\N{LATIN SMALL LIGATURE FFI}ce.example"),
    ],
    ids=ascii,
)
def test_domains_that_look_alike_are_two(cloud: CloudflareEmulator, one: str, other: str) -> None:
    """Each has its own TXT record, and one that is enabled does not bar the other."""
    account, second = cloud.add_account(), cloud.add_account()
    cloud.add_connector(account, email_domain=one, status="verified", enabled=True)
    seeded = cloud.add_connector(second, email_domain=other, status="pending")
    code = str(seeded.verification.code)
    path = f"/accounts/{second}/sso_connectors/{seeded.id}"

    cloud.dns[one] = [code]
    cloud.advance(1)
    before = status_of(cloud, second)
    cloud.dns[other] = [code]
    cloud.advance(1)

    assert ("pending", "verified") == (before, status_of(cloud, second))
    assert 200 == cloud.handle(Request("PATCH", path, b'{"enabled": true}')).status
    assert 2 == len(cloud.dns)
