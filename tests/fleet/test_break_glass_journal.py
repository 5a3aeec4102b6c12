"""Break-glass and its journal: what was done can be taken back, and no record delays a write."""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from scripted import Scripted, failure, success
from worlds import Through

import cfsso
from cfsso.fleet import Outcome, RunKind, break_glass, read_journal, revert
from cfsso.fleet import OutcomeStatus as Status
from cfsso.fleet._rescue_journal import RescueJournal

pytestmark = pytest.mark.virtual_time


def clouds(accounts: int, *states: str) -> cfsso.CloudflareEmulator:
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


def enabled(cloud: cfsso.CloudflareEmulator) -> list[str]:
    """Return the domains that really are enabled."""
    return [str(c.email_domain) for a in cloud.accounts for c in cloud.connectors(a) if c.enabled]


async def rescue(
    transport: cfsso.Transport, cloud: cfsso.CloudflareEmulator, **options: Any
) -> list[Outcome]:
    """Break the glass."""
    connectors = cfsso.AsyncSSOConnectors(transport, deadline=120.0)
    return [outcome async for outcome in break_glass(connectors, cloud.accounts, **options)]


async def recorded(path: Path) -> list[Outcome]:
    """Return what the journal of a rescue holds."""
    async with await read_journal(path) as reader:
        assert [RunKind.BREAK_GLASS] == [run.kind for run in reader.runs]
        assert reader.runs[0].ended is not None
        return [one.outcome async for one in reader.targets() if one.intended is not None]


async def test_the_journal_holds_each_write(tmp_path: Path) -> None:
    """What was disabled now is recorded, with what was found and what was read back."""
    cloud = clouds(3, "on", "off", "on")

    outcomes = await rescue(Through(cloud), cloud, journal=tmp_path / "j")

    changed = [outcome for outcome in outcomes if outcome.status is Status.CHANGED]
    assert 6 == len(changed)
    assert {o.change: o for o in changed} == {o.change: o for o in await recorded(tmp_path / "j")}


async def test_revert_enables_exactly_what_was_disabled(tmp_path: Path) -> None:
    """What was off before stays off, and what somebody has enabled since is not written."""
    cloud = clouds(3, "on", "off", "on")
    before = enabled(cloud)
    await rescue(Through(cloud), cloud, journal=tmp_path / "j")
    assert [] == enabled(cloud)
    theirs = cloud.connectors(cloud.accounts[1])[0]
    path = f"/accounts/{cloud.accounts[1]}/sso_connectors/{theirs.id}"
    cloud.handle(cfsso.Request("PATCH", path, b'{"enabled": true}'))
    through = Through(cloud)

    outcomes = [o async for o in revert(cfsso.AsyncSSOConnectors(through), tmp_path / "j")]

    assert before == enabled(cloud)
    assert 5 == through.seen.count("PATCH")
    assert 5 == sum(outcome.status is Status.CHANGED for outcome in outcomes)


async def test_a_write_is_recorded_before_it_is_sent(tmp_path: Path) -> None:
    """Whatever becomes of the process then, the journal names what it may have written."""
    cloud = clouds(2, "on", "on")
    order: list[str] = []

    class Watched(RescueJournal):
        """Tells when a record is handed in."""

        def intend(self, account_id: str, found: cfsso.SSOConnector) -> None:
            order.append(f"intend {found.id}")
            super().intend(account_id, found)

        def end(self, outcome: Outcome) -> None:
            order.append(f"end {outcome.change.sso_connector_id}")
            super().end(outcome)

    class Sending(Through):
        """Tells when a write is sent."""

        async def send(self, request: cfsso.Request) -> cfsso.Response:
            if request.is_write:
                order.append(f"send {request.path.rpartition('/')[2]}")
            return await super().send(request)

    journal = Watched.start(tmp_path / "j", server="", options={})
    await rescue(Sending(cloud), cloud, journal=journal)

    assert "" == journal.problem
    ids = [c.id for a in cloud.accounts for c in cloud.connectors(a)]
    for each in ids:
        mine = [line.split()[0] for line in order if line.endswith(each)]
        assert ["intend", "send", "end"] == mine


async def test_what_was_never_sent_is_not_left_in_doubt(tmp_path: Path) -> None:
    """A write that is refused for want of a token is recorded as what it is."""
    cloud = clouds(1, "on")
    through = Through(cloud, lambda r: failure(401) if r.is_write else None)

    [outcome] = await rescue(through, cloud, journal=tmp_path / "j")

    async with await read_journal(tmp_path / "j") as reader:
        [record] = [one async for one in reader.targets()]
    assert Status.NOT_ATTEMPTED is outcome.status is record.outcome.status
    assert isinstance(record.outcome.error, cfsso.AuthenticationError)
    assert record.intended is None


@pytest.mark.parametrize("name", ["there", "no-folder/j"])
async def test_a_journal_that_can_t_be_kept_stops_nothing(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything is disabled, and one warning says that it is not recorded."""
    cloud = clouds(3, "on")
    (tmp_path / "there").write_text("mine")

    with caplog.at_level(logging.WARNING, "cfsso"):
        outcomes = await rescue(Through(cloud), cloud, journal=tmp_path / name)

    assert [Status.CHANGED] * 3 == [outcome.status for outcome in outcomes]
    assert [] == enabled(cloud)
    assert 1 == len(caplog.records)
    assert "mine" == (tmp_path / "there").read_text()


async def test_a_disk_that_hangs_delays_no_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All accounts are done while not even the file is there; then it holds all of it."""
    from cfsso.fleet import _opening

    cloud = clouds(20, "on")
    hangs = threading.Event()
    create = _opening.create
    done: list[str] = []

    def slow(*args: Any, **options: Any) -> Any:
        assert hangs.wait(30)
        return create(*args, **options)

    def watch(event: cfsso.Event) -> None:
        if event.operation == "break_glass":
            done.append(event.account_id)
            assert not (tmp_path / "j").exists()
            if len(done) == 20:
                hangs.set()

    monkeypatch.setattr(_opening, "create", slow)
    connectors = cfsso.AsyncSSOConnectors(Through(cloud), on_event=watch)
    async for _ in break_glass(connectors, cloud.accounts, journal=tmp_path / "j"):
        pass

    assert asyncio.get_running_loop().time() < 1
    assert 20 == len(await recorded(tmp_path / "j"))


async def test_a_bug_in_the_journal_stops_no_write() -> None:
    """Whatever it raises, the rescue goes on."""
    cloud = clouds(2, "on")

    class Broken(RescueJournal):
        """A journal that does nothing right."""

        def __init__(self) -> None:
            pass

        def intend(self, *_args: object) -> None:
            raise ZeroDivisionError

        def end(self, *_args: object) -> None:
            raise ZeroDivisionError

        async def aclose(self, **_options: object) -> None:
            pass

    outcomes = await rescue(Through(cloud), cloud, journal=Broken())

    assert [Status.CHANGED] * 2 == [outcome.status for outcome in outcomes]


async def test_a_drill_keeps_no_journal(tmp_path: Path) -> None:
    """It writes nothing, so there is nothing to record."""
    cloud = clouds(1, "on")

    await rescue(Through(cloud), cloud, journal=tmp_path / "j", drill=True)

    assert not (tmp_path / "j").exists()


async def test_a_journal_without_a_name_is_refused_before_anything_is_sent() -> None:
    """It can't have been meant."""
    transport = Scripted(success([]))

    with pytest.raises(cfsso.InvalidRequestError, match="is no name of a file"):
        await rescue(transport, clouds(1, "on"), journal="")

    assert [] == transport.requests
