"""Break-glass: everybody gets back in, and who does not is named."""

import asyncio
import contextlib
import datetime as dt
import random
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import pytest
from scripted import Scripted, failure, success
from worlds import Reply, Through

import cfsso
from cfsso.fleet import Outcome, break_glass
from cfsso.fleet import OutcomeStatus as Status
from cfsso.testing import FAULTS, FaultyTransport
from cfsso.testing.faults import answer_with
from cfsso.transports.credentials import Credentials

pytestmark = pytest.mark.virtual_time

LOST = cfsso.APIConnectionError("lost")
UNTIL = dt.datetime(2150, 1, 1, tzinfo=dt.UTC)


def clouds(*states: str, accounts: int = 1) -> cfsso.CloudflareEmulator:
    """Return an emulator whose accounts have a connector, on or off, for each state."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
    for number in range(accounts):
        account = cloud.add_account()
        for place, state in enumerate(states):
            domain = f"d{place}.a{number}.example"
            cloud.add_connector(
                account, email_domain=domain, enabled=state == "on", status="verified"
            )
    return cloud


def locked(cloud: cfsso.CloudflareEmulator) -> list[str]:
    """Return the accounts that really have an enabled connector."""
    return [a for a in cloud.accounts if any(c.enabled for c in cloud.connectors(a))]


async def rescue(
    transport: cfsso.Transport, account_ids: Iterable[str], **options: Any
) -> list[Outcome]:
    """Break the glass; return the outcomes in their order."""
    connectors = cfsso.AsyncSSOConnectors(transport, deadline=120.0, max_wait=60.0)
    return [outcome async for outcome in break_glass(connectors, account_ids, **options)]


def statuses(outcomes: Iterable[Outcome]) -> list[Status]:
    """Return the statuses alone."""
    return [outcome.status for outcome in outcomes]


def nth_list(number: int, then: Callable[[cfsso.Request], Reply | None]) -> Any:
    """Return a rule that lets *then* have its way with the list of that number."""
    seen = iter(range(1, 1000))

    def rule(request: cfsso.Request) -> Reply | None:
        listing = request.method == "GET" and request.path.endswith("sso_connectors")
        return then(request) if listing and next(seen) == number else None

    return rule


async def test_everybody_gets_back_in() -> None:
    """What is enabled is disabled, and so only after a list that follows the writes shows it."""
    cloud = clouds("on", "off", "on", accounts=3)
    transport = Through(cloud)

    found = await rescue(transport, cloud.accounts)

    outcomes = [outcome for outcome in found if outcome.status is Status.CHANGED]
    assert (9, 6) == (len(found), len(outcomes))
    assert [] == locked(cloud)
    assert {"GET": 6, "PATCH": 6} == {m: transport.seen.count(m) for m in set(transport.seen)}
    for outcome in outcomes:
        change, before = outcome.change, outcome.before
        assert before is not None
        assert (True, False, 1) == (before.enabled, change.enabled, outcome.attempts)
        assert cloud.connector(change.account_id, change.sso_connector_id) == outcome.after
    for account in cloud.accounts:
        mine = [entry.method for entry in cloud.requests if account in entry.path]
        assert ["GET", "PATCH", "PATCH", "GET"] == mine


@pytest.mark.parametrize("states", [("off", "off"), ("off", "on")])
async def test_what_was_off_already_is_told(states: tuple[str, ...]) -> None:
    """A connector that was off has an outcome of its own, unchanged, whatever else is written."""
    cloud = clouds(*states)
    first, *_ = cloud.connectors(cloud.accounts[0])

    outcomes = await rescue(Through(cloud), cloud.accounts)

    [off] = [o for o in outcomes if o.change.sso_connector_id == first.id]
    assert (Status.UNCHANGED, first, first, 0) == (off.status, off.before, off.after, off.attempts)
    assert off.before is not None
    assert off.before.enabled is False
    assert "it was off already" == off.note
    assert 2 == len(outcomes)


async def test_an_account_without_connectors_is_read_once() -> None:
    """It has one outcome, about the account as a whole; what repeats an id is left out."""
    cloud = clouds(accounts=2)
    transport = Through(cloud)
    first, second = cloud.accounts

    outcomes = await rescue(transport, [first, second, first])

    assert [first, second] == [outcome.change.account_id for outcome in outcomes]
    for outcome in outcomes:
        assert (Status.UNCHANGED, "", False) == (
            outcome.status,
            outcome.change.sso_connector_id,
            outcome.change.enabled,
        )
        assert "it has no connectors" == outcome.note
    assert ["GET"] * 2 == transport.seen
    assert [] == await rescue(transport, [])


async def test_three_of_a_hundred_fail_in_their_own_ways() -> None:
    """The other 97 are open afterwards, and the three are named with their reasons."""
    cloud = clouds("on", accounts=100)
    wrong, forbidden, cut = cloud.accounts[10], cloud.accounts[50], cloud.accounts[99]
    replies: dict[str, Reply] = {
        wrong: failure(401, {"code": 10000, "message": "Authentication error"}),
        forbidden: failure(403, {"code": 9109, "message": "Cannot use this location"}),
        cut: LOST,
    }
    through = Through(cloud, lambda request: replies.get(request.account_id))
    transport = cfsso.RetryingTransport(cfsso.PacingTransport(through))

    outcomes = await rescue(transport, cloud.accounts)

    assert [wrong, forbidden, cut] == locked(cloud)
    failed = {o.change.account_id: o for o in outcomes if not o.status.is_green}
    assert set(replies) == set(failed)
    assert 100 == len(outcomes)
    open_ones = {wrong: Status.NOT_ATTEMPTED, cut: Status.NOT_ATTEMPTED}
    assert {forbidden: Status.FAILED, **open_ones} == {a: o.status for a, o in failed.items()}
    assert {""} == {outcome.change.sso_connector_id for outcome in failed.values()}
    kinds = {wrong: cfsso.AuthenticationError, forbidden: cfsso.PermissionDeniedError}
    for account, outcome in failed.items():
        assert isinstance(outcome.error, kinds.get(account, cfsso.APIConnectionError))


class Slow(Through):
    """A transport whose answers take their time; it keeps what the slowest of a kind took."""

    def __init__(self, cloud: cfsso.CloudflareEmulator, most: float = 0.5) -> None:
        super().__init__(cloud)
        self._random = random.Random(7)  # noqa: S311 - chance in a test
        self._most = most
        self._listed: set[str] = set()
        self.slowest = {"list": 0.0, "patch": 0.0, "read back": 0.0}

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*, and wait."""
        again = request.account_id in self._listed
        kind = "patch" if request.method == "PATCH" else "read back" if again else "list"
        self._listed.add(request.account_id)
        seconds = self._random.uniform(0, self._most)
        self.slowest[kind] = max(self.slowest[kind], seconds)
        response = await super().send(request)
        await asyncio.sleep(seconds)
        return response


async def test_a_hundred_accounts_take_little_longer_than_the_slowest() -> None:
    """With all well it takes at most 1.5 times the slowest list, PATCH and read back."""
    cloud = clouds("on", "on", accounts=100)
    transport = Slow(cloud)
    loop = asyncio.get_running_loop()
    begun = loop.time()

    outcomes = await rescue(transport, cloud.accounts)

    assert {Status.CHANGED} == set(statuses(outcomes))
    assert 0.0 < loop.time() - begun <= 1.5 * sum(transport.slowest.values())


@pytest.mark.parametrize("accounts", [3, 300])
async def test_the_first_write_waits_for_no_other_list(accounts: int) -> None:
    """The first PATCH leaves while other accounts have not answered, or not been asked."""
    cloud = clouds("on", accounts=accounts)
    seen: list[str] = []

    class Uneven(Through):
        """Answers the first account at once, the others much later."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            seen.append(request.method)
            response = await super().send(request)
            if request.account_id != cloud.accounts[0]:
                await asyncio.sleep(60)
            seen.append(f"{request.method} done")
            return response

    await rescue(Uneven(cloud), cloud.accounts)

    assert seen.index("PATCH") < seen.index("GET done") + 3
    assert 1 == seen[: seen.index("PATCH")].count("GET done")


def limited(cloud: cfsso.CloudflareEmulator, account: str) -> cfsso.Transport:
    """Return a whole stack, with a credential for each account, of which one gets a 429."""
    faulty = FaultyTransport(cfsso.InMemoryTransport(cloud))
    promise = answer_with(429, applied=False, headers={"retry-after": "300"})
    faulty.on(promise, account_id=account)
    faulty.on(promise, account_id=account, method="PATCH")
    paced = cfsso.PacingTransport(faulty, credential=lambda account_id: account_id)
    return cfsso.RetryingTransport(paced)


async def test_a_limit_is_waited_out() -> None:
    """A 429 of one account is waited out, twice if need be, and holds up no other."""
    cloud = clouds("on", accounts=3)
    late = cloud.accounts[0]
    loop = asyncio.get_running_loop()
    begun = loop.time()
    connectors = cfsso.AsyncSSOConnectors(limited(cloud, late), deadline=120.0, max_wait=60.0)
    ended: dict[str, float] = {}

    async for outcome in break_glass(connectors, cloud.accounts, concurrency=1):
        assert Status.CHANGED is outcome.status
        ended[outcome.change.account_id] = loop.time() - begun

    assert [] == locked(cloud)
    assert 600 <= ended.pop(late) < 610
    assert max(ended.values()) < 1


async def test_accounts_queue_for_their_places() -> None:
    """With all well no more accounts than told are under way at once; their writes are."""
    cloud = clouds("on", "on", accounts=6)
    transport = Through(cloud)

    await rescue(transport, cloud.accounts, concurrency=2)

    assert 4 == transport.most


async def test_events_go_on_to_whoever_watches() -> None:
    """The watcher of the connectors hears of every call, retries and waits included."""
    cloud = clouds("on")
    heard: list[cfsso.Event] = []
    connectors = cfsso.AsyncSSOConnectors(limited(cloud, cloud.accounts[0]), on_event=heard.append)

    async for _ in break_glass(connectors, cloud.accounts):
        pass

    assert {"list", "update", "break_glass"} == {event.operation for event in heard}
    assert cfsso.EventKind.WAIT in {event.kind for event in heard}


@pytest.mark.parametrize("fault", ["lose_answer", "lose_request", "status_502_applied"])
async def test_a_lost_answer_is_settled(fault: str) -> None:
    """A PATCH whose answer is lost ends green if the second list shows it done."""
    cloud = clouds("on")
    faulty = FaultyTransport(cfsso.InMemoryTransport(cloud))
    faulty.on(FAULTS[fault], method="PATCH")

    outcomes = await rescue(cfsso.RetryingTransport(faulty), cloud.accounts)

    assert [Status.CHANGED] == statuses(outcomes)
    assert [] == locked(cloud)


def set_enabled(cloud: cfsso.CloudflareEmulator, connector: cfsso.SSOConnector, text: str) -> None:
    """Be somebody else, who sets *connector* to what *text* says."""
    account = next(a for a in cloud.accounts if connector in cloud.connectors(a))
    path = f"/accounts/{account}/sso_connectors/{connector.id}"
    answer = cloud.handle(cfsso.Request("PATCH", path, f'{{"enabled": {text}}}'.encode()))
    assert 200 == answer.status


async def test_a_foreign_write_before_the_read_back_is_a_conflict() -> None:
    """What somebody else enables meanwhile is named: what was disabled, and what was not."""
    cloud = clouds("on", "off")

    def meanwhile(request: cfsso.Request) -> None:
        for connector in cloud.connectors(request.account_id):
            set_enabled(cloud, connector, "true")

    outcomes = await rescue(Through(cloud, nth_list(2, meanwhile)), cloud.accounts)

    assert [Status.CONFLICT] * 2 == statuses(outcomes)
    assert ["the last read shows other values", "it was enabled meanwhile"] == [
        outcome.note for outcome in outcomes
    ]
    assert [(True, True), (False, True)] == [
        (o.before and o.before.enabled, o.after and o.after.enabled) for o in outcomes
    ]
    assert [1, 0] == [outcome.attempts for outcome in outcomes]


async def test_what_appears_meanwhile_and_is_enabled_is_a_conflict() -> None:
    """A connector that only the second list has is reported, without a state before."""
    cloud = clouds("on")

    def meanwhile(request: cfsso.Request) -> None:
        cloud.add_connector(
            request.account_id, email_domain="new.example", enabled=True, status="verified"
        )

    outcomes = await rescue(Through(cloud, nth_list(2, meanwhile)), cloud.accounts)

    assert [Status.CHANGED, Status.CONFLICT] == statuses(outcomes)
    assert outcomes[1].before is None


async def test_what_can_t_be_read_back_is_unknown() -> None:
    """Without the second list nothing is green, and what failed stays failed."""
    cloud = clouds("on", "on")
    refused = iter([failure(403)])

    def rule(request: cfsso.Request) -> Reply | None:
        return next(refused, None) if request.method == "PATCH" else second(request)

    second = nth_list(2, lambda _request: failure(500))
    outcomes = await rescue(Through(cloud, rule), cloud.accounts)

    assert {Status.FAILED, Status.UNKNOWN} == set(statuses(outcomes))
    unknown = next(o for o in outcomes if o.status is Status.UNKNOWN)
    assert "it could not be read back" == unknown.note
    assert isinstance(unknown.error, cfsso.InternalServerError)


async def test_a_doubt_that_only_the_second_list_settles() -> None:
    """Where the connector can't be read by itself, the list that shows it done counts."""
    cloud = clouds("on")
    faulty = FaultyTransport(cfsso.InMemoryTransport(cloud))
    faulty.on(FAULTS["lose_answer"], method="PATCH")
    connector = cloud.connectors(cloud.accounts[0])[0].id
    refused = answer_with(403, applied=False)
    faulty.on(refused, method="GET", sso_connector_id=connector, times=None)

    [outcome] = await rescue(faulty, cloud.accounts)

    assert Status.CHANGED is outcome.status
    assert "the answer was lost, a read shows it" == outcome.note


@attrs.frozen
class Shown:
    """Lists made by hand: the first one, and the one after the writes."""

    cloud: cfsso.CloudflareEmulator
    replies: list[cfsso.Response]

    def __call__(self, request: cfsso.Request) -> Reply | None:
        """Reply to lists in turn."""
        if request.method == "GET" and request.path.endswith("sso_connectors"):
            return self.replies.pop(0)
        return None


def raw(cloud: cfsso.CloudflareEmulator, **members: Any) -> list[dict[str, Any]]:
    """Return the connectors of the account as the API shows them, the first one changed."""
    [account] = cloud.to_state()["accounts"].values()
    items: list[dict[str, Any]] = [dict(item) for item in account["connectors"]]
    items[0].update(members)
    return items


@pytest.mark.parametrize(
    "odd",
    [
        {"created_on": "yesterday"},
        {"enabled": "true"},
        {"enabled": None},
        {"email_domain": 7},
        {"verification": []},
        {"use_fedramp_language": 1},
    ],
    ids=str,
)
async def test_an_odd_connector_hides_no_other(odd: dict[str, Any]) -> None:
    """What can't be read of one connector keeps neither it nor the others enabled."""
    cloud = clouds("on", "on", "off")
    account, *_ = cloud.accounts
    odd_id, other_id, _ = [connector.id for connector in cloud.connectors(account)]
    after = raw(cloud, enabled=False)
    after[1]["enabled"] = False
    shown = Shown(cloud, [success(raw(cloud, **odd)), success(after)])

    outcomes = await rescue(Through(cloud, shown), [account])

    changed = [outcome for outcome in outcomes if outcome.status is Status.CHANGED]
    assert [odd_id, other_id] == [outcome.change.sso_connector_id for outcome in changed]
    assert 3 == len(outcomes)
    assert [] == locked(cloud)


async def test_what_no_read_shows_is_not_green() -> None:
    """A connector whose state stays odd is unknown; one that is gone is a conflict."""
    cloud = clouds("on", "on")
    shown = Shown(cloud, [success(raw(cloud)), success(raw(cloud, enabled="no")[:1])])

    outcomes = await rescue(Through(cloud, shown), cloud.accounts)

    assert [Status.UNKNOWN, Status.CONFLICT] == statuses(outcomes)
    assert ["the last read does not show how it is", "the last read does not show it"] == [
        outcome.note for outcome in outcomes
    ]


async def test_what_the_list_hides_is_told() -> None:
    """A connector without an id can't be disabled, so the account is not open."""
    cloud = clouds("on", "on")
    hidden = raw(cloud, id=None)
    shown = Shown(cloud, [success(hidden), success([*raw(cloud)[:1], {"id": "?"}])])

    second, first, whole = await rescue(Through(cloud, shown), cloud.accounts)

    # The second one was disabled, but may be what the last list hides.
    assert (Status.UNKNOWN, Status.CONFLICT, Status.NOT_ATTEMPTED) == (
        second.status,
        first.status,
        whole.status,
    )
    assert "" == whole.change.sso_connector_id
    assert "the list hides 1 of the connectors" == str(whole.error) == str(second.error)


async def test_a_list_that_left_some_out_is_no_success() -> None:
    """What a list says that it left out may be enabled; nothing is sent for it."""
    cloud = clouds("off")
    short = success(raw(cloud), result_info={"total_count": 3})

    outcomes = await rescue(Through(cloud, Shown(cloud, [short])), cloud.accounts)

    assert [Status.UNCHANGED, Status.NOT_ATTEMPTED] == statuses(outcomes)
    assert "the list hides 2 of the connectors" == str(outcomes[1].error)


@pytest.mark.parametrize("reply", [success({}), success(), cfsso.Response(200, {}, b"<html>")])
async def test_what_is_no_list_is_an_account_not_rescued(reply: cfsso.Response) -> None:
    """An answer of which nothing can be saved leaves the account as it is, for another time."""
    cloud = clouds("on")

    outcomes = await rescue(Scripted(reply), cloud.accounts)

    assert [Status.NOT_ATTEMPTED] == statuses(outcomes)
    assert isinstance(outcomes[0].error, cfsso.APIResponseValidationError)


async def test_refused_but_disabled_by_somebody_else() -> None:
    """Whoever is let in by somebody else is not locked out; otherwise the refusal stands."""
    cloud = clouds("on", "on")
    first, _ = cloud.connectors(cloud.accounts[0])
    second = nth_list(2, lambda _request: set_enabled(cloud, first, "false"))

    def rule(request: cfsso.Request) -> Reply | None:
        second(request)
        return failure(403) if request.method == "PATCH" else None

    outcomes = await rescue(Through(cloud, rule), cloud.accounts)

    assert [Status.UNCHANGED, Status.FAILED] == statuses(outcomes)
    assert "refused, but somebody else disabled it" == outcomes[0].note
    assert isinstance(outcomes[1].error, cfsso.PermissionDeniedError)


@pytest.mark.parametrize("domain", ["D1.A0.example", "bücher.example", "xn--bcher-kva.EXAMPLE"])
async def test_one_domain_only(domain: str) -> None:
    """Only connectors of that domain are disabled, however it is written."""
    cloud = clouds("on", "on")
    account = cloud.accounts[0]
    cloud.add_connector(account, email_domain="bücher.example", enabled=True, status="verified")

    outcomes = await rescue(Through(cloud), [account], domain=domain)

    named = "d1.a0.example" if "1" in domain else "bücher.example"
    assert [named] == [o.after.email_domain for o in outcomes if o.after]
    assert [named] == [c.email_domain for c in cloud.connectors(account) if not c.enabled]


@pytest.mark.parametrize(
    ("domain", "shown"),
    [
        ("strasse.example", "straße.example"),
        ("strasse.example", "xn--strae-oqa.example"),
        ("xn--strae-oqa.example", "strasse.example"),
        ("kelvin.example", "\N{KELVIN SIGN}elvin.example"),
    ],
    ids=ascii,
)
async def test_a_domain_that_only_looks_alike_is_another_one(domain: str, shown: str) -> None:
    """No letter is taken for another one: the people of that domain were not asked about."""
    cloud = clouds("on")
    there = Shown(cloud, [success(raw(cloud, email_domain=shown))] * 2)

    outcomes = await rescue(Through(cloud, there), cloud.accounts, domain=domain)

    assert [0] == [outcome.attempts for outcome in outcomes]
    assert [*cloud.accounts] == locked(cloud)


async def test_a_domain_with_a_final_dot_is_the_same() -> None:
    """However the API shows the domain, its people get in."""
    cloud = clouds("on")
    shown = Shown(cloud, [success(raw(cloud, email_domain="D0.a0.example."))] * 2)

    outcomes = await rescue(Through(cloud, shown), cloud.accounts, domain="d0.a0.example")

    assert [1] == [outcome.attempts for outcome in outcomes]
    assert [] == locked(cloud)


@pytest.mark.parametrize("drill", [False, True])
async def test_a_connector_of_an_unreadable_domain_is_left_to_people(drill: bool) -> None:  # noqa: FBT001
    """What may be of the domain is blocked and named; what is disabled is not."""
    cloud = clouds("on", "on", "off")
    items = raw(cloud, email_domain=None)
    items[2]["email_domain"] = 7
    after = [dict(item) for item in items]
    after[1]["enabled"] = False
    shown = Shown(cloud, [success(items), success(after)])

    outcomes = await rescue(
        Through(cloud, shown), cloud.accounts, domain="d1.a0.example", drill=drill
    )

    assert 2 + drill == len(outcomes)
    blocked = next(o for o in outcomes if o.status is Status.BLOCKED)
    assert items[0]["id"] == blocked.change.sso_connector_id
    assert "disable it by its id if it is d1.a0.example" in blocked.note


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ("^account_ids must be a list of ids, not str", {"account_ids": "a" * 32}),
        ("^account_ids must be a list of ids, not int", {"account_ids": 7}),
        ("^account_id must be 32 letters", {"account_ids": ["a" * 32, "a" * 31]}),
        ("^account_id must be a str", {"account_ids": [None]}),
        ("^domain must be a domain name", {"domain": "localhost"}),
        ("^domain must be a str", {"domain": 7}),
        ("^drill must be True or False, not str", {"drill": "no"}),
        ("^concurrency must be a whole number from 1, not 0", {"concurrency": 0}),
        ("^concurrency must be a whole number from 1, not True", {"concurrency": True}),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_sent(
    said: str, options: dict[str, Any]
) -> None:
    """Nothing was sent when an argument is refused."""
    transport = Scripted(success([]))

    with pytest.raises(cfsso.InvalidRequestError, match=said):
        await rescue(transport, **{"account_ids": ["a" * 32], **options})

    assert [] == transport.requests


async def test_a_missing_token_is_one_account_s_failure() -> None:
    """Where there is no token for an account, the others are rescued all the same."""
    cloud = clouds("on", accounts=3)
    without, *others = cloud.accounts
    tokens = Credentials(dict.fromkeys(others, "a-token"))
    transport = cfsso.PacingTransport(cfsso.InMemoryTransport(cloud), credential=tokens.key)

    outcomes = await rescue(transport, cloud.accounts)

    [failed] = [outcome for outcome in outcomes if not outcome.status.is_green]
    assert (without, Status.NOT_ATTEMPTED) == (failed.change.account_id, failed.status)
    assert "is missing: add it to the mapping" in str(failed.error)
    assert [without] == locked(cloud)


async def test_what_nobody_foresaw_stops_no_other_account() -> None:
    """An exception that is none of ours makes its account unknown, and no more."""
    cloud = clouds("on", accounts=2)
    odd, other = cloud.accounts

    class Broken(cfsso.AsyncSSOConnectors):
        """Connectors that fail for one account."""

        async def _list_for_rescue(self, account_id: str, **options: Any) -> Any:
            if account_id == odd:
                raise ZeroDivisionError
            return await super()._list_for_rescue(account_id, **options)

    connectors = Broken(Through(cloud))
    outcomes = {o.change.account_id: o async for o in break_glass(connectors, cloud.accounts)}

    assert (Status.UNKNOWN, Status.CHANGED) == (outcomes[odd].status, outcomes[other].status)
    assert "unexpected: ZeroDivisionError" == str(outcomes[odd].error)


@pytest.mark.parametrize("drill", [False, True])
async def test_a_run_that_is_stopped_before_it_begins_sends_nothing(drill: bool) -> None:  # noqa: FBT001
    """Each account ends as not attempted."""
    cloud = clouds("on", accounts=3)
    stop = asyncio.Event()
    stop.set()

    outcomes = await rescue(Through(cloud), cloud.accounts, stop=stop, drill=drill)

    assert [Status.NOT_ATTEMPTED] * 3 == statuses(outcomes)
    assert [] == cloud.requests


async def test_stopping_begins_no_further_write() -> None:
    """What is under way is read back; what is not is not attempted, listed or not."""
    cloud = clouds("on", accounts=3)
    written, listed, unlisted = cloud.accounts
    stop = asyncio.Event()

    class Stopping(Through):
        """Stops the run by the first PATCH; one list takes for ever."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            if request.method == "PATCH":
                stop.set()
            elif request.account_id == unlisted:
                await asyncio.sleep(10**6)
            return await super().send(request)

    outcomes = await rescue(Stopping(cloud), [written, listed, unlisted], stop=stop)
    loop = asyncio.get_running_loop()

    by_account = {outcome.change.account_id: outcome for outcome in outcomes}
    assert Status.CHANGED is by_account[written].status
    assert Status.NOT_ATTEMPTED is by_account[listed].status is by_account[unlisted].status
    assert "" == by_account[unlisted].change.sso_connector_id
    assert loop.time() < 10


async def test_what_somebody_else_disables_after_the_stop_is_off() -> None:
    """A connector that was not written any more, but that the second list shows off, is off."""
    cloud = clouds("on", "on")
    first, second = cloud.connectors(cloud.accounts[0])
    stop = asyncio.Event()

    def rule(request: cfsso.Request) -> Reply | None:
        if request.method == "PATCH":
            stop.set()
            set_enabled(cloud, second, "false")
        return None

    outcomes = await rescue(Through(cloud, rule), cloud.accounts, stop=stop)

    assert [(first.id, Status.CHANGED, ""), (second.id, Status.UNCHANGED, "somebody else")] == [
        (o.change.sso_connector_id, o.status, o.note.partition(" disabled")[0]) for o in outcomes
    ]


@pytest.mark.parametrize(
    ("second", "status", "note"),
    [
        ([{"enabled": None}], Status.NOT_ATTEMPTED, "the last read does not show how it is"),
        ([{"enabled": True}], Status.CONFLICT, "it was enabled meanwhile"),
        ([], Status.UNCHANGED, "it was off already"),
    ],
)
async def test_what_was_off_and_is_not_seen_off_again(
    second: list[dict[str, Any]], status: Status, note: str
) -> None:
    """Only a later list that shows it on, or not how it is, takes back that it is off."""
    cloud = clouds("off", "on")
    before = raw(cloud)
    after = [{**before[0], **members} for members in second]
    shown = Shown(cloud, [success(before), success([*after, {**before[1], "enabled": False}])])

    outcomes = await rescue(Through(cloud, shown), cloud.accounts)

    [off] = [o for o in outcomes if o.change.sso_connector_id == before[0]["id"]]
    assert (status, note) == (off.status, off.note)
    assert off.before is not None


async def test_a_listed_account_of_a_stopped_run_names_its_connectors() -> None:
    """What was seen enabled, but not written any more, is named by its id."""
    cloud = clouds("on")
    stop = asyncio.Event()
    connectors = cfsso.AsyncSSOConnectors(
        Through(cloud),
        on_event=lambda event: stop.set() if event.kind is cfsso.EventKind.ATTEMPT else None,
    )

    outcomes = [outcome async for outcome in break_glass(connectors, cloud.accounts, stop=stop)]

    assert [Status.NOT_ATTEMPTED] == statuses(outcomes)
    assert cloud.connectors(cloud.accounts[0])[0] == outcomes[0].before
    assert cloud.accounts == tuple(locked(cloud))


async def test_closing_the_iterator_cancels_what_is_under_way() -> None:
    """Nothing goes on once whoever asked has left."""
    cloud = clouds("on", accounts=2)
    slow = cloud.accounts[1]

    class Waiting(Through):
        """One account never answers."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            if request.account_id == slow:
                await asyncio.sleep(10**6)
            return await super().send(request)

    connectors = cfsso.AsyncSSOConnectors(Waiting(cloud))
    async with contextlib.aclosing(break_glass(connectors, cloud.accounts)) as outcomes:
        async for outcome in outcomes:
            assert Status.CHANGED is outcome.status
            break

    assert {asyncio.current_task()} == asyncio.all_tasks()
    assert [slow] == locked(cloud)


def drilled(cloud: cfsso.CloudflareEmulator, token: str) -> cfsso.AsyncSSOConnectors:
    """Return connectors that present *token*."""
    return cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cloud, api_token=token))


async def drill(cloud: cfsso.CloudflareEmulator, **token: Any) -> list[Outcome]:
    """Rehearse with a token that was issued so."""
    cloud.add_token("a-token", cloud.accounts, **token)
    connectors = drilled(cloud, "a-token")
    return [o async for o in break_glass(connectors, cloud.accounts, drill=True)]


@pytest.mark.parametrize(
    ("status", "total"),
    [(Status.UNCHANGED, 0), (Status.UNCHANGED, None), (Status.NOT_ATTEMPTED, 2)],
)
async def test_a_null_is_an_account_without_connectors(status: Status, total: int | None) -> None:
    """Unless it says that there are some: then nobody was let in."""
    null = success(None, result_info={"total_count": total})

    [outcome] = await rescue(Scripted(null), clouds().accounts or ["a" * 32])

    assert status is outcome.status
    assert (status is Status.NOT_ATTEMPTED) is ("hides 2" in str(outcome.error))


async def test_a_drill_of_a_token_that_ends_when_utc_does_not() -> None:
    """Any time can be told, with its own offset if need be."""
    end = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.timezone(dt.timedelta(hours=-1)))

    *_, whole = await drill(clouds("on"), expires_on=end)

    assert "the token works until 9999-12-31 23:59:59 -01:00" == whole.note


async def test_a_drill_writes_nothing() -> None:
    """It names what would be disabled, and says that the token works and until when."""
    cloud = clouds("on", "off")
    before = cloud.to_state()["accounts"]

    would, off, whole = await drill(cloud, expires_on=UNTIL)

    first, _ = cloud.connectors(cloud.accounts[0])
    assert before == cloud.to_state()["accounts"]
    assert {"GET"} == {entry.method for entry in cloud.requests}
    assert (Status.UNCHANGED, "would be disabled", first.id, first) == (
        would.status,
        would.note,
        would.change.sso_connector_id,
        would.after,
    )
    assert (Status.UNCHANGED, "it was off already") == (off.status, off.note)
    assert (Status.UNCHANGED, "", "the token works until 2150-01-01 00:00:00 UTC") == (
        whole.status,
        whole.change.sso_connector_id,
        whole.note,
    )


async def test_a_drill_of_an_account_without_connectors() -> None:
    """The one outcome says both: that the token works, and that there is nothing to do."""
    [whole] = await drill(clouds())

    assert "the token works, with no end; it has no connectors" == whole.note


@pytest.mark.parametrize(
    ("days", "said"),
    [(3, "in 3 days"), (1, "in 1 day"), (0, "in 0 days"), (29, "in 29 days"), (31, None)],
)
async def test_a_token_that_ends_soon_is_green_but_told(days: int, said: str | None) -> None:
    """Within 30 days of its end the note says to renew it."""
    margin = dt.timedelta(days=days, hours=1)

    [whole] = await drill(clouds(), expires_on=dt.datetime.now(dt.UTC) + margin)

    assert Status.UNCHANGED is whole.status
    assert (said is not None) == ("renew it" in whole.note)
    assert said is None or f"which is {said}: renew it" in whole.note


@pytest.mark.parametrize(
    ("reply", "status", "note"),
    [
        (success({"id": "x", "status": "disabled"}), Status.FAILED, "the token is disabled"),
        (success({"id": "x", "status": "expired"}), Status.FAILED, "the token is expired"),
        (success({"status": "new\x1b"}), Status.UNCHANGED, r"the token is new\x1b"),
        (success({}), Status.UNCHANGED, "the token is of unknown status"),
        (failure(403), Status.UNCHANGED, "the token works, but until when is not known: 403"),
        (success([]), Status.UNCHANGED, "the token works, but until when is not known: 200"),
    ],
    ids=str,
)
async def test_what_a_drill_says_of_a_token(
    reply: cfsso.Response, status: Status, note: str
) -> None:
    """A token that will not do fails; what can't be known is said, and is no failure."""
    cloud = clouds()
    through = Through(cloud, lambda r: reply if r.path.endswith("verify") else None)

    [whole] = await rescue(through, cloud.accounts, drill=True)

    assert status is whole.status
    assert whole.note.startswith(note)


async def test_a_drill_fails_where_a_rescue_would() -> None:
    """An account that can't be listed has failed, whatever its token; the others go on."""
    cloud = clouds("on", accounts=2)
    refused, fine = cloud.accounts

    def rule(request: cfsso.Request) -> Reply | None:
        listing = request.path.endswith("sso_connectors")
        return failure(403) if request.account_id == refused and listing else None

    outcomes = await rescue(Through(cloud, rule), cloud.accounts, drill=True)

    [failed] = [outcome for outcome in outcomes if not outcome.status.is_green]
    assert (refused, Status.FAILED) == (failed.change.account_id, failed.status)
    assert "the token works, with no end, but the list failed" == failed.note
    assert isinstance(failed.error, cfsso.PermissionDeniedError)
    assert {fine} == {o.change.account_id for o in outcomes if o is not failed}


async def test_a_drill_without_a_valid_token() -> None:
    """Where neither is answered, the list's refusal is the reason."""
    cloud = clouds("on")
    cloud.add_token("another", cloud.accounts)
    connectors = drilled(cloud, "a-token")

    [whole] = [o async for o in break_glass(connectors, cloud.accounts, drill=True)]

    assert (Status.NOT_ATTEMPTED, "") == (whole.status, whole.note)
    assert isinstance(whole.error, cfsso.AuthenticationError)


@pytest.mark.parametrize("broken", ["verify_token", "_list_for_rescue"])
async def test_what_nobody_foresaw_in_a_drill(broken: str, monkeypatch: Any) -> None:
    """It is unknown, as in a rescue."""
    cloud = clouds("on")

    async def fail(*_args: object, **_options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cfsso.AsyncSSOConnectors, broken, fail)

    outcomes = await rescue(Through(cloud), cloud.accounts, drill=True)

    assert [Status.UNKNOWN] == statuses(outcomes)


async def test_a_run_that_is_stopped_in_a_drill_reads_no_more() -> None:
    """What is not known by then is not attempted."""
    cloud = clouds("on")
    stop = asyncio.Event()

    class Waiting(Through):
        """Stops the run, and never answers."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            del request
            stop.set()
            return await asyncio.Future()

    outcomes = await rescue(Waiting(cloud), cloud.accounts, drill=True, stop=stop)

    assert [Status.NOT_ATTEMPTED] == statuses(outcomes)
