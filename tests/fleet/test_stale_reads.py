"""What a read showed is not taken back by a later one that shows an older state."""

import asyncio
import json
from typing import Any

import attrs
import pytest
from worlds import Through

import cfsso
from cfsso.fleet import Change, Outcome, apply, break_glass, transfer
from cfsso.fleet import OutcomeStatus as Status

pytestmark = pytest.mark.virtual_time

DOMAIN = "mail.nordwind.example"


@attrs.define
class Lagging:
    """
    Two accounts with a connector of a domain, of which reads may show what was.

    Attributes:
        cloud: How it is.
        on: The account where it is enabled at first.
        off: The account where it is not.
        plan: For each read of an account, in turn, which of its states so far it shows; the
            last one of the plan goes on. By account.
        states: What the account had, from the first state to the present one. By account.
        is_contested: Whether somebody takes each write back at once.
    """

    cloud: cfsso.CloudflareEmulator = attrs.field(
        factory=lambda: cfsso.CloudflareEmulator(rate_limit=None, seed=1)
    )
    on: str = ""
    off: str = ""
    plan: dict[str, list[int]] = attrs.field(factory=dict)
    states: dict[str, list[cfsso.SSOConnector]] = attrs.field(factory=dict)
    is_contested: bool = False

    def __attrs_post_init__(self) -> None:
        for enabled in (True, False):
            account = self.cloud.add_account()
            made = self.cloud.add_connector(
                account, email_domain=DOMAIN, enabled=enabled, status="verified"
            )
            self.states[account] = [made]
            if enabled:
                self.on = account
            else:
                self.off = account
        self.cloud.advance(60)

    def connector(self, account: str) -> cfsso.SSOConnector:
        """Return the connector of an account as it is."""
        return self.cloud.connector(account, self.states[account][0].id)

    def write(self, account: str, *, enabled: bool) -> None:
        """Let somebody else write."""
        self.cloud.advance(1)
        path = f"/accounts/{account}/sso_connectors/{self.connector(account).id}"
        body = json.dumps({"enabled": enabled}).encode()
        assert 200 == self.cloud.handle(cfsso.Request("PATCH", path, body)).status
        self.note(account)

    def note(self, account: str) -> None:
        """Keep its present state, if that is a new one."""
        if self.connector(account) != self.states[account][-1]:
            self.states[account].append(self.connector(account))


class Reads(Through):
    """The way to them: reads show what the plan says."""

    def __init__(self, lagging: Lagging) -> None:
        super().__init__(lagging.cloud)
        self._lagging = lagging

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*; let a read show the state whose turn it is."""
        response = await super().send(request)
        account, lagging = request.account_id, self._lagging
        lagging.note(account)
        plan = lagging.plan.get(account, [-1])
        if request.is_write:
            if lagging.is_contested:
                lagging.write(account, enabled=lagging.states[account][-2].enabled is True)
            return response
        state = lagging.states[account][plan.pop(0) if len(plan) > 1 else plan[0]]
        return _showing(response, state)

    def writes(self) -> int:
        """Return how many writes were sent."""
        return sum(method != "GET" for method in self.seen)


def _showing(response: cfsso.Response, state: cfsso.SSOConnector) -> cfsso.Response:
    envelope: dict[str, Any] = json.loads(response.body)
    result = envelope["result"]
    for item in result if isinstance(result, list) else [result]:
        assert state.updated_on is not None
        item.update(enabled=state.enabled, updated_on=state.updated_on.isoformat())
    return attrs.evolve(response, body=json.dumps(envelope).encode())


async def disable(lagging: Lagging, reads: Reads) -> Outcome:
    """Apply one change, which disables the connector that is enabled."""
    change = Change(lagging.on, lagging.connector(lagging.on).id, enabled=False)
    outcomes = apply(cfsso.AsyncSSOConnectors(reads), [change])
    [outcome] = [outcome async for outcome in outcomes]
    return outcome


async def test_a_read_back_that_is_older_than_one_before_is_no_success() -> None:
    """Once a read showed that somebody took the write back, older ones do not make it succeed."""
    lagging = Lagging(is_contested=True)
    # A list, and after the write a newer state and then, for ever, the one that was written.
    lagging.plan[lagging.on] = [0, 2, 1]
    reads = Reads(lagging)

    outcome = await disable(lagging, reads)

    assert not outcome.status.is_green
    assert Status.UNKNOWN is outcome.status
    assert "shows an older state than a read before it" in str(outcome.error)
    assert 1 == reads.writes()
    # A list, the read of what it showed too old, and two more after 2 and 4 seconds.
    assert 6.0 == asyncio.get_running_loop().time()


async def test_a_read_back_that_is_newer_after_all_counts() -> None:
    """A stale read between two that agree changes nothing."""
    lagging = Lagging(is_contested=True)
    lagging.plan[lagging.on] = [0, 2, 1, 2]
    reads = Reads(lagging)

    assert Status.CONFLICT is (await disable(lagging, reads)).status


async def test_a_list_that_is_older_is_followed_by_a_read_of_the_connector() -> None:
    """A read-back that is older than the first list costs one more request, which decides."""
    lagging = Lagging()
    lagging.write(lagging.on, enabled=False)
    lagging.write(lagging.on, enabled=True)
    lagging.plan[lagging.on] = [2, 0, 3]
    reads = Reads(lagging)

    assert Status.CHANGED is (await disable(lagging, reads)).status
    assert ["GET", "PATCH", "GET", "GET"] == reads.seen


async def test_a_rescue_that_can_not_be_read_back() -> None:
    """A second list that is older than the first one confirms nothing."""
    lagging = Lagging()
    lagging.write(lagging.on, enabled=False)
    lagging.write(lagging.on, enabled=True)
    # The first list is right; the second one is of the time when somebody had disabled it.
    lagging.plan[lagging.on] = [2, 1]
    reads = Reads(lagging)

    outcomes = [
        outcome
        async for outcome in break_glass(cfsso.AsyncSSOConnectors(reads), [lagging.on])
        if outcome.change.sso_connector_id
    ]

    assert [Status.UNKNOWN] == [outcome.status for outcome in outcomes]
    assert "older state" in str(outcomes[0].error)


async def test_a_transfer_goes_by_the_newer_of_two_lists() -> None:
    """A list of the source that is older than the first one does not confirm that it is off."""
    lagging = Lagging()
    lagging.write(lagging.on, enabled=False)
    lagging.write(lagging.on, enabled=True)
    lagging.plan[lagging.on] = [2, 1]
    reads = Reads(lagging)

    source, target = await transfer(
        cfsso.AsyncSSOConnectors(reads), DOMAIN, source=lagging.on, target=lagging.off
    )

    assert (Status.UNKNOWN, Status.NOT_ATTEMPTED) == (source.status, target.status)
    assert lagging.connector(lagging.off).enabled is False


async def test_a_transfer_reads_again_what_a_list_shows_too_old() -> None:
    """The connector itself is read, and that counts."""
    lagging = Lagging()
    lagging.write(lagging.on, enabled=False)
    lagging.write(lagging.on, enabled=True)
    # The first list, the one after the write, and the read of the connector.
    lagging.plan[lagging.on] = [2, 1, 3]
    reads = Reads(lagging)

    source, target = await transfer(
        cfsso.AsyncSSOConnectors(reads), DOMAIN, source=lagging.on, target=lagging.off
    )

    assert (Status.CHANGED, Status.CHANGED) == (source.status, target.status)
