"""Break-glass for one domain: a mistyped one must not look like a success."""

import asyncio
from typing import Any

import pytest
from scripted import failure, shown, success
from worlds import Reply, Through

import cfsso
from cfsso.fleet import Outcome, break_glass
from cfsso.fleet import OutcomeStatus as Status
from cfsso.fleet._search import nearest

pytestmark = pytest.mark.virtual_time


def clouds(*domains: str, enabled: bool = True) -> cfsso.CloudflareEmulator:
    """Return an emulator with an account for each domain."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
    for domain in domains:
        account = cloud.add_account()
        cloud.add_connector(account, email_domain=domain, enabled=enabled, status="verified")
    return cloud


async def rescue(
    cloud: cfsso.CloudflareEmulator, domain: str, rule: Any = lambda _: None, **options: Any
) -> list[Outcome]:
    """Break the glass for a domain."""
    connectors = cfsso.AsyncSSOConnectors(Through(cloud, rule))
    outcomes = break_glass(connectors, cloud.accounts, domain=domain, **options)
    return [outcome async for outcome in outcomes]


@pytest.mark.parametrize("drill", [False, True])
async def test_a_domain_that_nobody_has_is_no_success(drill: bool) -> None:  # noqa: FBT001
    """Every account is blocked, and the note names the domain that is nearest."""
    cloud = clouds("nordwind.example", "other.example", "another.example")

    outcomes = await rescue(cloud, "nordwind.exampel", drill=drill)

    said = "no connector of nordwind.exampel in any of 3 accounts; the nearest is nordwind.example"
    assert [("", Status.BLOCKED)] * 3 == [(o.change.sso_connector_id, o.status) for o in outcomes]
    assert {f"the token works, with no end; {said}" if drill else said} == {
        o.note for o in outcomes
    }
    assert {"GET"} == {entry.method for entry in cloud.requests}


async def test_a_near_domain_that_can_not_be_printed() -> None:
    """Its odd characters are shown escaped."""
    cloud = clouds("nordwind.example")
    odd = shown(email_domain="nordwind.example\udfff\x1b[31m")

    outcomes = await rescue(cloud, "nordwind.exampel", lambda _request: success([odd]))

    [note] = [outcome.note for outcome in outcomes]
    assert note.isprintable()
    assert "the nearest is nordwind.example\\" in note


@pytest.mark.parametrize("drill", [False, True])
@pytest.mark.parametrize("enabled", [False, True])
async def test_accounts_without_the_domain_are_no_failure_where_another_has_it(
    enabled: bool,  # noqa: FBT001 - a parameter
    drill: bool,  # noqa: FBT001
) -> None:
    """It is found, on or off, in whichever account: then nothing is wrong with the others."""
    cloud = clouds("a.example", "b.example", "c.example", enabled=enabled)

    outcomes = await rescue(cloud, "B.example", drill=drill)

    assert {Status.UNCHANGED, Status.CHANGED} >= {o.status for o in outcomes}
    without = [o for o in outcomes if o.change.account_id != cloud.accounts[1]]
    assert 2 == len(without)
    assert all(o.note.endswith("it has no connector of B.example") for o in without)


async def test_what_is_held_back_is_told_once_the_domain_is_found() -> None:
    """An account without the domain waits for no more than the first one that has it."""
    cloud = clouds("a.example", "b.example", "c.example")
    slow = cloud.accounts[2]
    told: list[str] = []

    class Slow(Through):
        """The last account answers after a minute."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            if request.account_id == slow:
                assert {*cloud.accounts[:2]} == {*told} or not told
                await asyncio.sleep(60)
                assert {*cloud.accounts[:2]} == {*told}
            return await super().send(request)

    connectors = cfsso.AsyncSSOConnectors(Slow(cloud))
    async for outcome in break_glass(connectors, cloud.accounts, domain="b.example"):
        told += [outcome.change.account_id]

    assert 3 == len(told)


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (0, "no connector of x.test in any of 3 accounts"),
        (1, "no connector of x.test in any of the 2 accounts that could be read"),
        (2, "no connector of x.test in the one account that could be read"),
    ],
)
async def test_how_many_accounts_were_read_is_told(refused: int, said: str) -> None:
    """What could not be read may have the domain, so the note counts only what was."""
    cloud = clouds("a.example", "b.example", "c.example")
    failing = cloud.accounts[:refused]

    def rule(request: cfsso.Request) -> Reply | None:
        return failure(403) if request.account_id in failing else None

    outcomes = await rescue(cloud, "x.test", rule)

    assert {said} == {o.note.partition(";")[0] for o in outcomes if o.status is Status.BLOCKED}
    assert refused == sum(o.status is Status.FAILED for o in outcomes)
    assert 3 == len(outcomes)


async def test_an_account_that_hides_a_connector_was_not_read() -> None:
    """What the list leaves out may be of the domain."""
    cloud = clouds("a.example", "b.example")
    short = success([], result_info={"total_count": 1})

    outcomes = await rescue(
        cloud, "x.test", lambda r: short if r.account_id == cloud.accounts[0] else None
    )

    assert [Status.NOT_ATTEMPTED, Status.BLOCKED] == [o.status for o in outcomes]
    assert outcomes[1].note.startswith("no connector of x.test in the one account that could be")


async def test_one_account_with_nothing_near() -> None:
    """Where no domain was seen none is named."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
    cloud.add_account()

    [outcome] = await rescue(cloud, "x.test")

    assert (Status.BLOCKED, "no connector of x.test in the account") == (
        outcome.status,
        outcome.note,
    )


async def test_a_drill_with_a_dead_token_stays_a_failure() -> None:
    """That the token is over is the worse news, and both are told."""
    cloud = clouds("a.example")
    dead = success({"id": "x", "status": "expired"})

    [outcome] = await rescue(
        cloud, "b.example", lambda r: dead if r.path.endswith("verify") else None, drill=True
    )

    assert Status.FAILED is outcome.status
    assert (
        "the token is expired; no connector of b.example in the account; the nearest is a.example"
    ) == outcome.note


@pytest.mark.parametrize(
    ("domain", "others", "found"),
    [
        ("nordwind.exampel", ["westwind.example", "nordwind.example"], "nordwind.example"),
        ("NORDWIND.example", ["nordwind.example", "nordwind.examples"], "nordwind.example"),
        ("nordwind.de", ["Nordwind.DE.", "nord.de"], "Nordwind.DE."),
        ("a.example", ["zzz.test"], "zzz.test"),
        ("a.example", [], None),
    ],
)
def test_the_nearest_domain(domain: str, others: list[str], found: str | None) -> None:
    """It is the one that is most alike, in whichever order they were seen."""
    assert found == nearest(domain, others) == nearest(domain, others[::-1])
