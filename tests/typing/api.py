"""
The public interface as type checkers see it.

Checked by mypy and pyright, never run.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, assert_type

import cfsso


def errors(error: cfsso.CfssoError) -> None:
    """Every error has the attributes of the root."""
    assert_type(error.write, cfsso.WriteState | None)
    assert_type(error.status, int | None)
    assert_type(error.errors, tuple[cfsso.ResponseInfo, ...])
    assert_type(error.retry_after, float | None)
    if error.request is not None:
        assert_type(error.request.path, str)
        assert_type(error.request.body, bytes | None)


def an_error_is_also_a_value_error(error: cfsso.InvalidRequestError) -> ValueError:
    """What is refused here can be caught as a ValueError."""
    return error


def unset(value: bool | Literal[cfsso.Unset.UNSET]) -> bool:  # noqa: FBT001 (the form users write)
    """`is` tells the omitted value from the others."""
    if value is cfsso.UNSET:
        return False
    assert_type(value, bool)
    return value


def connector(found: cfsso.SSOConnector) -> None:
    """Every field of a connector but its id and its verification may be missing."""
    assert_type(found.id, str)
    assert_type(found.enabled, bool | None)
    assert_type(found.verification, cfsso.Verification)
    assert_type(found.verification.status, cfsso.VerificationStatus | None)
    assert_type(found.verification.raw_status, str | None)
    assert_type(found.created_on, dt.datetime | None)
    assert_type(found.extra, Mapping[str, Any])
    assert_type(found.to_dict(), dict[str, Any])
    assert_type(found.to_json(indent=None), str)
    assert_type(cfsso.SSOConnector.from_json("{}"), cfsso.SSOConnector)
    assert_type(cfsso.fleet.Change.from_json("{}"), cfsso.fleet.Change)
    assert_type(cfsso.fleet.Outcome.from_json("{}"), cfsso.fleet.Outcome)


class Own:
    """A transport of one's own, without a base class."""

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Answer everything with nothing."""
        assert_type(request.account_id, str)
        return cfsso.Response(204, {}, b"")

    async def aclose(self) -> None:
        """Let go of nothing."""


def a_transport() -> cfsso.Transport:
    """A class with the two methods is a transport."""
    return Own()


async def operations(connectors: cfsso.AsyncSSOConnectors) -> None:
    """The six operations take the ids and the members of their bodies."""
    account, connector_id = "a" * 32, "b" * 32
    assert_type(await connectors.list(account_id=account), tuple[cfsso.SSOConnector, ...])
    assert_type(await connectors.get(connector_id, account_id=account), cfsso.SSOConnector)
    await connectors.delete(connector_id, account_id=account)
    await connectors.begin_verification(connector_id, account_id=account)
    await connectors.aclose()


async def what_an_update_confirms(
    connectors: cfsso.AsyncSSOConnectors, *, flag: bool | Literal[cfsso.Unset.UNSET]
) -> None:
    """What was given is shown, and so is not None; the rest may be missing."""
    account, connector_id = "a" * 32, "b" * 32

    switched = await connectors.update(connector_id, account_id=account, enabled=True)
    assert_type(switched.id, str)
    assert_type(switched.enabled, bool)
    assert_type(switched.use_fedramp_language, bool | None)
    assert_type(switched.email_domain, str | None)
    switched = await connectors.update(
        sso_connector_id=connector_id,
        account_id=account,
        enabled=False,
        use_fedramp_language=cfsso.UNSET,
        before=switched,
    )
    assert_type(switched.enabled, bool)

    worded = await connectors.update(connector_id, account_id=account, use_fedramp_language=True)
    assert_type(worded.use_fedramp_language, bool)
    assert_type(worded.enabled, bool | None)

    both = await connectors.update(
        connector_id, account_id=account, enabled=True, use_fedramp_language=not switched.enabled
    )
    assert_type((both.enabled, both.use_fedramp_language), tuple[bool, bool])

    perhaps = await connectors.update(
        connector_id, account_id=account, enabled=flag, use_fedramp_language=True
    )
    assert_type(perhaps, cfsso.SSOConnector)
    assert_type(perhaps.enabled, bool | None)
    if flag is not cfsso.UNSET:
        known = await connectors.update(connector_id, account_id=account, enabled=flag)
        assert_type(known.enabled, bool)


async def what_a_create_confirms(
    connectors: cfsso.AsyncSSOConnectors, *, flag: bool | Literal[cfsso.Unset.UNSET]
) -> None:
    """A new connector shows its id and its domain, and the wording that was asked for."""
    made = await connectors.create(
        account_id="a", email_domain="a.example", begin_verification=False
    )
    assert_type((made.id, made.email_domain), tuple[str, str])
    assert_type(made.use_fedramp_language, bool | None)
    assert_type(made.enabled, bool | None)
    assert_type(made.verification.status, cfsso.VerificationStatus | None)

    worded = await connectors.create(
        account_id="a", email_domain="a.example", use_fedramp_language=False
    )
    assert_type((worded.email_domain, worded.use_fedramp_language), tuple[str, bool])

    perhaps = await connectors.create(
        account_id="a",
        email_domain="a.example",
        begin_verification=flag,
        use_fedramp_language=flag,
    )
    assert_type((perhaps.email_domain, perhaps.use_fedramp_language), tuple[str, bool | None])


def store(_connector: cfsso.SSOConnector) -> None:
    """Take a connector."""


async def what_is_confirmed_is_a_connector(connectors: cfsso.AsyncSSOConnectors) -> None:
    """A result goes wherever a connector goes, and no field of it can be set."""
    found: cfsso.SSOConnector = await connectors.update("b", account_id="a", enabled=True)
    store(found)
    found = await connectors.get("b", account_id="a")
    seen: list[cfsso.SSOConnector] = [found]
    by_id: dict[str, cfsso.SSOConnector] = {}
    updates = [connectors.update(one, account_id="a", enabled=False) for one in ("b", "c")]
    for each in await asyncio.gather(*updates):
        assert_type(each.enabled, bool)
        seen.append(each)
        by_id[each.id] = each
    one, other = await asyncio.gather(
        connectors.update("b", account_id="a", enabled=False),
        connectors.create(account_id="a", email_domain="a.example"),
    )
    assert_type((one.enabled, other.email_domain), tuple[bool, str])
    task = asyncio.create_task(connectors.update("b", account_id="a", enabled=False))
    store(await task)
    if (await task) == found:
        one.enabled = True  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


class Updates(Protocol):
    """What a service of one's own needs of the connectors."""

    async def update(
        self, sso_connector_id: str, *, account_id: str, enabled: bool
    ) -> cfsso.SSOConnector:
        """Switch SSO."""
        ...


def a_protocol(connectors: cfsso.AsyncSSOConnectors) -> Updates:
    """The connectors serve where somebody asks for less than they can."""
    return connectors


async def misuse(connectors: cfsso.AsyncSSOConnectors) -> None:
    """Only a bool or UNSET is a flag; account ids go by their name; ids are text."""
    await connectors.update("b", account_id="a", enabled=None)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await connectors.update("b", account_id="a", enabled="true")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await connectors.get("b", "a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await connectors.get(7, account_id="a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await connectors.create(account_id="a")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def entering(connectors: cfsso.AsyncSSOConnectors) -> None:
    """Entering gives the connectors themselves."""
    async with connectors as entered:
        assert_type(entered, cfsso.AsyncSSOConnectors)


async def tokens(look_up: Callable[[str], str]) -> None:
    """A token is a text, a mapping, or a callable of either kind."""

    async def fetch(_account_id: str) -> str:
        return "token"

    mapping: Mapping[str, str] = {}
    async with cfsso.connect() as connectors:
        assert_type(connectors, cfsso.AsyncSSOConnectors)
    cfsso.connect(api_token="token", base_url="http://localhost", timeout=1)
    cfsso.connect(api_token=mapping, proxy=None, session=None)
    cfsso.connect(api_token=look_up)
    cfsso.connect(api_token=fetch)


def in_memory() -> cfsso.AsyncSSOConnectors:
    """An emulator and the transport to it."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None, latency=0.1, seed=1)
    account = cloud.add_account()
    assert_type(account, str)
    assert_type(cloud.add_connector(account, email_domain="a.example"), cfsso.SSOConnector)
    transport: cfsso.Transport = cfsso.InMemoryTransport(cloud)
    return cfsso.AsyncSSOConnectors(transport)


def over_http() -> cfsso.Transport:
    """The transport over aiohttp is a transport."""
    return cfsso.AiohttpTransport("token", base_url="https://a.example", timeout=1.5)


async def a_fleet(connectors: cfsso.AsyncSSOConnectors) -> None:
    """A file of changes is applied, and its outcomes are told one by one."""
    changes = cfsso.fleet.read_changes(Path("rollout.csv"))
    assert_type(changes, cfsso.fleet.Changes)
    assert_type(changes[0], cfsso.fleet.Change)
    assert_type(changes.merged, int)
    assert_type(changes[0].enabled, bool | Literal[cfsso.Unset.UNSET])
    assert_type(changes[0].wished, Mapping[str, bool])
    outcomes = cfsso.fleet.apply(connectors, changes, concurrency=4, stop=asyncio.Event())
    assert_type(outcomes, AsyncGenerator[cfsso.fleet.Outcome, None])
    async for outcome in outcomes:
        assert_type(outcome.change, cfsso.fleet.Change)
        assert_type(outcome.status, cfsso.fleet.OutcomeStatus)
        assert_type(outcome.status.is_green, bool)
        assert_type(outcome.before, cfsso.SSOConnector | None)
        assert_type(outcome.after, cfsso.SSOConnector | None)
        assert_type(outcome.error, cfsso.CfssoError | None)
        assert_type(outcome.attempts, int)


async def a_run_with_a_journal(connectors: cfsso.AsyncSSOConnectors) -> None:
    """A plan is applied, resumed and taken back."""
    changes = cfsso.fleet.read_changes("rollout.csv")
    plan = await cfsso.fleet.plan(connectors, changes, accounts=["a" * 32], max_wait=1.0)
    assert_type(plan, cfsso.fleet.Plan)
    assert_type(plan.rows, tuple[cfsso.fleet.PlannedChange, ...])
    assert_type(plan.rows[0].action, cfsso.fleet.PlanAction)
    assert_type(plan.rows[0].differences, tuple[tuple[str, bool | None, bool], ...])
    assert_type(plan.to_json(), str)
    assert_type(cfsso.fleet.Plan.load(Path("rollout.plan")), cfsso.fleet.Plan)
    assert_type(
        cfsso.fleet.apply(connectors, plan, journal="j", canary=1, max_failures=0),
        AsyncGenerator[cfsso.fleet.Outcome, None],
    )
    again = cfsso.fleet.resume(connectors, Path("j"), max_failures=None)
    assert_type(again, AsyncGenerator[cfsso.fleet.Outcome, None])
    back = cfsso.fleet.revert(connectors, "j", concurrency=8)
    assert_type(back, AsyncGenerator[cfsso.fleet.Outcome, None])
    async with await cfsso.fleet.read_journal("j") as journal:
        assert_type(journal.runs, tuple[cfsso.fleet.Run, ...])
        async for recorded in journal.targets():
            assert_type(recorded, cfsso.fleet.Recorded)
            assert_type(recorded.outcome, cfsso.fleet.Outcome)


async def a_rescue(connectors: cfsso.AsyncSSOConnectors) -> None:
    """Accounts are opened, a domain is moved, and a verification waited for."""
    outcomes = cfsso.fleet.break_glass(connectors, ["a" * 32], domain="example.com", drill=True)
    assert_type(outcomes, AsyncGenerator[cfsso.fleet.Outcome, None])
    moved = await cfsso.fleet.transfer(connectors, "example.com", source="a" * 32, target="b" * 32)
    assert_type(moved, tuple[cfsso.fleet.Outcome, cfsso.fleet.Outcome])
    found = await connectors.wait_until_verified("c" * 32, account_id="a" * 32, deadline=60.0)
    assert_type(found, cfsso.SSOConnector)
    assert_type(await connectors.credential("a" * 32), str | None)
    assert_type(await connectors.verify_token(account_id="a" * 32), cfsso.TokenInfo)
