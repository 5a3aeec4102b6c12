"""What a command says while it waits, and how it ends then."""

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

import cfsso
from cfsso.cli.waits import Waits
from cfsso.testing import (
    Fault,
    FaultyTransport,
    answer_with,
    lose_request,
    refuse_connection,
    time_out,
)

LIMITED = answer_with(429, applied=False, headers={"retry-after": "287"})
BROKEN = answer_with(503, applied=False)


@pytest.mark.usefixtures("virtual_time")
def test_a_wait_for_the_limit_is_a_line(run: Any, cloud: Any, faulty: FaultyTransport) -> None:
    """A long wait is announced on stderr, once, and the command then does what it should."""
    connector = cloud.add()
    faulty.on(LIMITED)

    ran = run("get", cloud.account, connector, "--json")

    assert (0, "cfsso: waiting 287 s for the rate limit\n") == (ran.code, ran.err)
    assert [connector] == [record["id"] for record in ran.records]


def test_whoever_does_not_wait_is_told_how_long(
    run: Any, cloud: Any, faulty: FaultyTransport
) -> None:
    """With `--max-wait` a call that would wait longer fails with that time; exit 1."""
    connector = cloud.add()
    faulty.on(LIMITED)

    ran = run("--max-wait", "60", "get", cloud.account, connector)

    assert (1, "") == (ran.code, ran.out)
    assert ran.err.startswith("cfsso: 429 from GET /accounts/")
    assert ran.err.endswith(": wait 287 s and run it again\n")
    assert 1 == faulty.requests


@pytest.mark.usefixtures("virtual_time")
def test_callers_that_wait_together_give_one_line(
    run: Any, cloud: Any, faulty: FaultyTransport
) -> None:
    """Of many accounts that a limit holds up only the first one says so."""
    accounts = [cloud.emulator.add_account() for _ in range(20)]
    connector = cloud.add(account=accounts[0])
    faulty.on(LIMITED)

    ran = run("list", *accounts)

    assert 0 == ran.code
    assert connector in ran.out
    assert 1 == ran.err.count("for the rate limit")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refuse_connection, "connection refused"),
        (BROKEN, "the answer was 503"),
        (time_out(1, applied=False), "timed out waiting for the answer"),
    ],
)
@pytest.mark.usefixtures("virtual_time")
def test_a_retry_says_why(
    fault: Fault, reason: str, run: Any, cloud: Any, faulty: FaultyTransport
) -> None:
    """A long wait before another try says what went wrong; a short one says nothing."""
    connector = cloud.add()
    faulty.on(fault, times=4)

    ran = run("get", cloud.account, connector)

    assert (0, 5) == (ran.code, faulty.requests)
    # From 2 to 4 seconds, by chance.
    assert ran.err in {f"cfsso: {reason}: trying again in {seconds} s\n" for seconds in (3, 4)}


@pytest.mark.usefixtures("virtual_time")
def test_each_longer_look_is_a_line(run: Any, cloud: Any, faulty: FaultyTransport) -> None:
    """While a doubt is settled each long pause is said; the write is then sent again."""
    connector = cloud.add()
    faulty.on(lose_request, method="PATCH")

    ran = run("enable", cloud.account, connector, "--yes", "--json")

    assert 0 == ran.code
    assert ["changed"] == [record["status"] for record in ran.records]
    assert [
        f"cfsso: not confirmed yet: looking again in {seconds} s" for seconds in (4, 8, 16)
    ] == ran.err.splitlines()


@pytest.mark.usefixtures("virtual_time")
def test_a_run_waits_for_the_limit_in_lines(run: Any, cloud: Any, faulty: FaultyTransport) -> None:
    """Without a terminal a run says once that it waits, and ends green."""
    rows = []
    for _ in range(40):
        account = cloud.emulator.add_account()
        rows.append(f"{account},{cloud.add(account=account)},true,")
    # The plan is 40 requests.
    faulty.on(LIMITED, nth=90)

    ran = run("apply", cloud.rollout(*rows), "--yes")

    assert 0 == ran.code
    assert 1 == ran.err.count("cfsso: waiting 287 s for the rate limit\n")
    assert "cfsso: 40 of 40 done, 0 not green, 8.4/min\n" in ran.err


def test_a_run_that_does_not_wait_does_not_do_what_it_can_t_send(
    run: Any, cloud: Any, faulty: FaultyTransport
) -> None:
    """With `--max-wait` what would wait longer is not done, and why; exit 1."""
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")
    faulty.on(LIMITED, times=None)

    ran = run("--max-wait", "60", "apply", file, "--yes", "--json")

    assert 1 == ran.code
    assert "changed" not in {record["status"] for record in ran.records}
    assert "429 from GET" in ran.out


def test_what_could_not_be_planned_is_done_by_the_run(
    run: Any, cloud: Any, faulty: FaultyTransport
) -> None:
    """A limit that stood in the way of the plan stands in nobody's way later."""
    file = cloud.rollout(f"{cloud.account},{cloud.add()},true,")
    faulty.on(LIMITED)

    ran = run("--max-wait", "60", "apply", file, "--yes", "--json")

    assert 0 == ran.code
    assert ["changed"] == [record["status"] for record in ran.records]


def wait(
    seconds: float, reason: str = "rate limit", *, account: str = "a", operation: str = "list"
) -> cfsso.Event:
    """Return the event of a wait."""
    kind = cfsso.EventKind.WAIT
    return cfsso.Event(
        kind=kind, operation=operation, account_id=account, seconds=seconds, reason=reason
    )


@pytest.mark.virtual_time
async def test_only_what_is_not_covered_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A wait is said if it is long, and much longer than what is left of one said before."""
    waits = Waits()

    waits(wait(2.0))
    waits(wait(3.0))
    waits(wait(8.9, account="b"))
    waits(wait(287.0, account="c"))
    waits(wait(600.0, account="d"))
    await asyncio.sleep(200)
    waits(wait(262.0, account="e"))
    waits(wait(9.5, "retry"))

    assert [
        "cfsso: waiting 3 s for the rate limit",
        "cfsso: waiting 287 s for the rate limit",
        "cfsso: waiting 262 s for the rate limit",
        "cfsso: no answer: trying again in 10 s",
    ] == capsys.readouterr().err.splitlines()


@pytest.mark.virtual_time
async def test_what_is_left_of_the_waits_for_a_limit(capsys: pytest.CaptureFixture[str]) -> None:
    """The longest wait counts, until it is over or its call goes on; others do not."""
    waits = Waits(limits=False)

    waits(wait(100.0))
    waits(wait(60.0, account="b"))
    waits(wait(999.0, "settle", operation="update"))
    found = [waits.left()]
    await asyncio.sleep(10)
    found.append(waits.left())
    waits(cfsso.Event(kind=cfsso.EventKind.END, operation="list", account_id="a"))
    found.append(waits.left())
    await asyncio.sleep(51)
    found.append(waits.left())

    assert [100.0, 90.0, 50.0, 0.0] == found
    assert "cfsso: not confirmed yet: looking again in 999 s\n" == capsys.readouterr().err


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch, faulty: FaultyTransport) -> Callable[..., None]:
    """Return what lets a signal come shortly after the request of that number."""

    def signalled(number: signal.Signals, request: int) -> None:
        send = faulty.send

        async def watched(sent: cfsso.Request) -> cfsso.Response:
            if faulty.requests + 1 == request:
                # By then what is sent now has failed, and the wait has begun.
                asyncio.get_running_loop().call_later(0.02, signal.raise_signal, number)
            return await send(sent)

        monkeypatch.setattr(faulty, "send", watched)

    return signalled


@pytest.mark.parametrize(
    ("fault", "command", "request_", "number", "code"),
    [
        (LIMITED, "get", 1, signal.SIGINT, 130),
        (LIMITED, "disable", 1, signal.SIGTERM, 143),
        (BROKEN, "get", 1, signal.SIGTERM, 143),
        (lose_request, "disable", 2, signal.SIGINT, 130),
    ],
)
def test_a_signal_ends_any_wait(
    fault: Fault,
    command: str,
    request_: int,
    number: signal.Signals,
    code: int,
    run: Any,
    cloud: Any,
    faulty: FaultyTransport,
    signalled: Any,
) -> None:
    """Waits for a limit, for another try and for another look end at once; nothing more is sent."""
    connector = cloud.add(enabled=True)
    # Otherwise a doubtful write might be what a read shows.
    cloud.emulator.advance(7 * 86_400)
    faulty.on(fault)
    signalled(number, request_)
    begun = time.monotonic()

    ran = run(command, cloud.account, connector)

    assert (code, "") == (ran.code, ran.out)
    assert "cfsso: interrupted" in ran.err
    assert request_ == faulty.requests
    assert 5 > time.monotonic() - begun


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_that_waits_for_the_limit(
    number: signal.Signals,
    code: int,
    run: Any,
    cloud: Any,
    faulty: FaultyTransport,
    signalled: Any,
) -> None:
    """It leaves at once; what the limit has held up was not written."""
    rows = []
    for _ in range(4):
        account = cloud.emulator.add_account()
        rows.append(f"{account},{cloud.add(account=account)},true,")
    # All are planned, the first account is done, the second one is listed and to be written.
    faulty.on(LIMITED, nth=9)
    signalled(number, 9)
    begun = time.monotonic()

    ran = run("apply", cloud.rollout(*rows), "--yes", "--json", "--concurrency", "1")

    assert code == ran.code
    assert ["changed", "not_attempted", "not_attempted", "not_attempted"] == [
        record["status"] for record in ran.records
    ]
    assert 1 == ran.err.count("cfsso: stopping at once: the rate limit asks to wait 287 s more\n")
    assert f"cfsso: interrupted by {number.name}\ncfsso: journal: /" in ran.err
    assert "cfsso: hint: `cfsso resume /" in ran.err
    assert 9 == faulty.requests
    assert 5 > time.monotonic() - begun


def test_a_second_signal_leaves_alone_what_could_not_be_listed(
    run: Any, cloud: Any, hooked: Any
) -> None:
    """A list that failed is a look too: a disable is written in spite of it, so it is unknown."""
    connector = cloud.add(enabled=True)

    def fail(request: cfsso.Request) -> BaseException | None:
        if not request.is_write:
            return cfsso.APIConnectionError("cut")
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return None

    hooked(fail)

    ran = run("apply", cloud.rollout(f"{cloud.account},{connector},false,"), "--yes", "--json")

    assert 130 == ran.code
    assert ["unknown"] == [record["status"] for record in ran.records]


async def test_what_a_run_waits_for_without_a_request_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage says since when there was no answer, and a revert why it waits."""
    now = 100.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    waits = Waits()

    def event(kind: cfsso.EventKind, **others: Any) -> None:
        waits(cfsso.Event(kind=kind, operation="apply", account_id="", **others))

    event(cfsso.EventKind.ATTEMPT, status=200)
    now = 112.0
    event(cfsso.EventKind.ATTEMPT, status=503)
    event(cfsso.EventKind.WAIT, reason="outage", seconds=1.0)
    now = 113.5
    event(cfsso.EventKind.WAIT, reason="outage", seconds=3.2)
    event(cfsso.EventKind.WAIT, reason="in flight", seconds=27.0)

    assert [
        "cfsso: no answer from the API for 12 s: holding, next try in 1 s",
        "cfsso: no answer from the API for 13 s: holding, next try in 4 s",
        "cfsso: waiting 27 s: a write of the earlier run may still arrive",
    ] == capsys.readouterr().err.splitlines()
