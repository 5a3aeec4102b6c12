import asyncio
import datetime as dt
import email.utils
import hashlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest

from cfsso import InvalidRequestError
from cfsso.emulator import CloudflareEmulator
from cfsso.transports.base import Request

Call = Callable[..., tuple[int, Any]]


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time the test sets."""

    at = 1000.0

    def time(self) -> float:
        """Return what was set."""
        return self.at


def on(loop: Loop, at: float, cloud: CloudflareEmulator) -> float:
    """Send a request at a time of *loop*; return when the emulator saw it."""

    async def send() -> None:
        loop.at = at
        cloud.handle(Request("GET", "/x"))

    loop.run_until_complete(send())
    return cloud.requests[-1].time


def test_time_goes_on_with_one_loop() -> None:
    """The loop's time counts from the first request on it, and never backwards."""
    cloud = CloudflareEmulator()
    loop = Loop()
    seen = [on(loop, at, cloud) for at in (1000.0, 1010.0, 1005.0, 1006.0)]
    loop.close()

    assert [0.0, 10.0, 10.0, 11.0] == seen


def test_another_loop_takes_over_without_a_jump() -> None:
    """A new loop, or none, does not move the clock."""
    cloud = CloudflareEmulator()
    first, second = Loop(), Loop()
    on(first, 1000.0, cloud)
    on(first, 1003.0, cloud)
    cloud.handle(Request("GET", "/x"))
    seen = [cloud.requests[-1].time, on(second, 5000.0, cloud), on(second, 5001.0, cloud)]
    first.close()
    second.close()

    assert [3.0, 3.0, 4.0] == seen


def test_the_clock_can_be_moved_by_hand() -> None:
    """Moving by hand adds to what the loop does, and shows in stamps."""
    cloud = CloudflareEmulator()
    account = cloud.add_account()
    loop = Loop()
    on(loop, 1000.0, cloud)
    before = cloud.add_connector(account, email_domain="a.example").created_on
    cloud.advance(100)
    after = cloud.add_connector(account, email_domain="b.example").created_on
    seen = on(loop, 1001.0, cloud)
    loop.close()

    assert 101.0 == seen
    assert before is not None
    assert after is not None
    assert dt.timedelta(seconds=100) == after - before


def test_the_clock_starts_at_the_present() -> None:
    """Stamps are the real wall clock's when the emulator is new."""
    cloud = CloudflareEmulator()
    stamp = cloud.add_connector(cloud.add_account(), email_domain="a.example").created_on

    assert stamp is not None
    assert dt.timedelta(seconds=60) > abs(dt.datetime.now(dt.UTC) - stamp)


@pytest.mark.parametrize("at", [1e15, 1e308])
def test_the_clock_ends_with_the_calendar(
    cloud: CloudflareEmulator, account: str, at: float
) -> None:
    """A loop's absurd time is cut, not raised."""
    loop = Loop()
    on(loop, 0.0, cloud)
    on(loop, at, cloud)
    loop.close()
    stamp = cloud.add_connector(account, email_domain="a.example").created_on

    assert dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC) == stamp


def test_answers_are_dated_by_its_own_clock(
    cloud: CloudflareEmulator, account: str, call: Call, connectors: str
) -> None:
    """Every answer has a Date, which is that of the times in it without their fractions."""
    for days in (0, 0.3, 40, 400):
        cloud.advance(days * 86400)
        made = call("POST", connectors, {"email_domain": f"d{days}.example"})[1]["result"]
        date = cloud.handle(Request("GET", f"/accounts/{account}/sso_connectors")).headers["date"]
        stamped = dt.datetime.fromisoformat(made["created_on"]).replace(microsecond=0)
        assert email.utils.format_datetime(stamped, usegmt=True) == date == cloud.date
    for path in (connectors, f"{connectors}/{'0' * 32}", "/nowhere"):
        for headers in (None, {}, {"authorization": "Bearer t"}):
            assert cloud.date == cloud.handle(Request("PUT", path), headers).headers["date"]


def test_a_date_follows_the_second() -> None:
    """A Date changes with the second, not before, and dates of two emulators do not mix."""
    early, late = CloudflareEmulator(), CloudflareEmulator()
    late.advance(3 * 86400)
    moments = [email.utils.parsedate_to_datetime(cloud.date) for cloud in (early, late, early)]
    assert dt.timedelta(days=3) - dt.timedelta(seconds=1) <= moments[1] - moments[0]
    assert moments[0] == moments[2]
    for _ in range(5):
        before = early.date
        early.advance(1.0)
        after = email.utils.parsedate_to_datetime(early.date)
        assert dt.timedelta(seconds=1) == after - email.utils.parsedate_to_datetime(before)


def test_a_hundred_years_pass_by_hand(cloud: CloudflareEmulator, account: str) -> None:
    """What would go beyond is refused in any number of steps, and changes nothing."""
    problem = r"^seconds must not take the clock beyond 100 years$"
    with pytest.raises(InvalidRequestError, match=problem):
        cloud.advance(1e308)
    cloud.advance(3e9)
    with pytest.raises(InvalidRequestError, match=problem):
        cloud.advance(3e9)

    assert 200 == cloud.handle(Request("GET", f"/accounts/{account}/sso_connectors")).status
    assert 3e9 == cloud.requests[-1].time


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), True, "1", None])
def test_times_are_finite(cloud: CloudflareEmulator, value: Any) -> None:
    """Neither time nor latency nor polling takes what is no duration."""
    with pytest.raises(InvalidRequestError, match=r"^seconds must be"):
        cloud.advance(value)
    with pytest.raises(InvalidRequestError, match=r"^latency must be"):
        CloudflareEmulator(latency=value)
    with pytest.raises(InvalidRequestError, match=r"^poll must be"):
        CloudflareEmulator(poll=value)


def test_a_seed_repeats_the_ids() -> None:
    """Two emulators of one seed give the same ids; of another seed, others."""
    first, second, third = (CloudflareEmulator(seed=seed).add_account() for seed in (1, 1, 2))

    assert first == second != third


def test_accounts_have_the_ids_that_they_are_given(cloud: CloudflareEmulator) -> None:
    """An id may be chosen once, if it has the form of one."""
    mine = "A" * 32

    assert mine == cloud.add_account(mine)
    assert (mine,) == cloud.accounts
    with pytest.raises(InvalidRequestError, match="exists already"):
        cloud.add_account(mine)
    with pytest.raises(InvalidRequestError, match="32 letters and digits"):
        cloud.add_account("short")


def test_connectors_have_the_ids_that_they_are_given(cloud: CloudflareEmulator) -> None:
    """It may be the account's own, and no connector's of whichever account, deleted or not."""
    mine = "A" * 32
    cloud.add_account(mine)
    seeded = cloud.add_connector(mine, email_domain="a.example", sso_connector_id=mine)
    cloud.handle(Request("DELETE", f"/accounts/{mine}/sso_connectors/{mine}"))
    other = cloud.add_account()

    assert mine == seeded.id
    with pytest.raises(InvalidRequestError, match="its id must be unique among connectors"):
        cloud.add_connector(other, email_domain="b.example", sso_connector_id=mine)
    with pytest.raises(InvalidRequestError, match="sso_connector_id must be an id of 32"):
        cloud.add_connector(other, email_domain="b.example", sso_connector_id="short")
    assert () == cloud.connectors(other)


@pytest.mark.parametrize(
    ("hand_in", "problem"),
    [
        (lambda _cloud: CloudflareEmulator(rate_limit=cast("Any", 5)), "rate_limit must be a Rate"),
        (lambda _cloud: CloudflareEmulator(seed=cast("Any", "x")), "seed must be a whole number"),
        (lambda cloud: cloud.add_account(5), "account_id must be an id of 32 letters and digits"),
        (lambda cloud: cloud.add_token(5, []), "a token must be printable ASCII without spaces"),
        (lambda cloud: cloud.add_token("t", "a" * 32), "account_ids must be an array of ids"),
        (lambda cloud: cloud.add_token("t", 5), "^account_ids must be an array of ids"),
        (lambda cloud: cloud.add_token("t", [5]), "account_ids must be an id of 32 letters"),
        (lambda cloud: cloud.connectors([]), "there is no account"),
        (lambda cloud: cloud.add_connector(5, email_domain="a.example"), "there is no account 5"),
        (lambda cloud: cloud.connector(cloud.accounts[0], []), "has no connector"),
    ],
)
def test_what_is_of_a_wrong_type_is_refused(
    cloud: CloudflareEmulator, account: str, hand_in: Callable[[Any], object], problem: str
) -> None:
    """The error is one line that names the argument, and nothing has changed."""
    with pytest.raises(InvalidRequestError, match=problem) as caught:
        hand_in(cloud)

    assert 1 == len(str(caught.value).splitlines())
    assert (account,) == cloud.accounts
    assert {} == cloud.tokens


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"status": "done"}, "status must be one of"),
        ({"status": "unknown"}, "status must be one of"),
        ({"enabled": True}, "enabled must be false until"),
        ({"status": 5}, "status must be one of"),
        ({"enabled": "no"}, "enabled must be true or false"),
        ({"enabled": 1}, "enabled must be true or false"),
        ({"use_fedramp_language": 0}, "use_fedramp_language must be true or false"),
        ({"email_domain": ""}, "email_domain must be a string that is not empty"),
        ({"email_domain": 5}, "email_domain must be a string that is not empty"),
        (
            {"email_domain": "HELD.example", "status": "verified", "enabled": True},
            "enabled by another connector already",
        ),
    ],
)
def test_only_possible_connectors_are_added(
    cloud: CloudflareEmulator, account: str, options: dict[str, Any], problem: str
) -> None:
    """What no sequence of requests could lead to is refused."""
    cloud.add_connector(account, email_domain="held.example", status="verified", enabled=True)

    with pytest.raises(InvalidRequestError, match=problem) as caught:
        cloud.add_connector(account, **{"email_domain": "a.example", **options})
    assert 1 == len(str(caught.value).splitlines())
    assert 1 == len(cloud.connectors(account))


def test_looking_at_what_is_not_there(cloud: CloudflareEmulator, account: str) -> None:
    """Accounts and connectors that do not exist are named."""
    nobody = "0" * 32

    with pytest.raises(InvalidRequestError, match=f"has no connector '{nobody}'"):
        cloud.connector(account, nobody)
    for look in (cloud.connectors, lambda one: cloud.connector(one, nobody)):
        with pytest.raises(InvalidRequestError, match=f"no account '{nobody}'"):
            look(nobody)
    with pytest.raises(InvalidRequestError, match=f"no account '{nobody}'"):
        cloud.add_connector(nobody, email_domain="a.example")


def test_what_was_looked_at_is_a_copy(cloud: CloudflareEmulator, account: str) -> None:
    """A later change does not reach what was returned."""
    seeded = cloud.add_connector(account, email_domain="a.example", status="verified")
    path = f"/accounts/{account}/sso_connectors/{seeded.id}"

    cloud.handle(Request("PATCH", path, b'{"enabled": true}'))

    assert (False, True) == (seeded.enabled, cloud.connector(account, str(seeded.id)).enabled)


def test_the_log_holds_a_fingerprint_for_a_token(cloud: CloudflareEmulator) -> None:
    """Method, path, body and status are kept; of the token, twelve hex digits."""
    token = "cfut_canary"
    cloud.add_token(token, [])
    cloud.handle(Request("POST", "/x", b"{}"), {"Authorization": f"Bearer {token}"})
    cloud.handle(Request("GET", "/y"))

    first, second = cloud.requests

    assert ("POST", "/x", b"{}", 404) == (first.method, first.path, first.body, first.status)
    assert hashlib.sha256(token.encode()).hexdigest()[:12] == first.credential
    assert ("GET", "/y", None, None) == (
        second.method,
        second.path,
        second.body,
        second.credential,
    )
    assert token not in repr((cloud, cloud.requests, cloud.tokens, cloud.__dict__))


def test_the_log_can_be_cleared(cloud: CloudflareEmulator) -> None:
    """The list is the emulator's own."""
    cloud.handle(Request("GET", "/x"))
    cloud.requests.clear()
    cloud.handle(Request("GET", "/y"))

    assert ["/y"] == [entry.path for entry in cloud.requests]


@pytest.mark.parametrize(("log", "kept"), [(None, "abcd"), (4, "abcd"), (2, "cd"), (0, "")])
def test_the_log_is_as_long_as_it_may_be(log: int | None, kept: str) -> None:
    """The last requests are kept, in one and the same list."""
    cloud = CloudflareEmulator(log=log)
    requests = cloud.requests
    for name in "abcd":
        cloud.handle(Request("GET", f"/{name}"))

    assert [f"/{name}" for name in kept] == [entry.path for entry in requests]
    assert requests is cloud.requests


def test_the_log_is_bounded_unless_it_was_said_how_long_it_is() -> None:
    """A bound of later holds from then on, and yields to what the constructor was given."""
    unsaid, all_of_them, one = (
        CloudflareEmulator(),
        CloudflareEmulator(log=None),
        CloudflareEmulator(log=1),
    )
    for cloud in (unsaid, all_of_them, one):
        for name in "abcd":
            cloud.handle(Request("GET", f"/{name}"))
        cloud.bound_log(2)
        cloud.handle(Request("GET", "/e"))

    assert ["/d", "/e"] == [entry.path for entry in unsaid.requests]
    assert 5 == len(all_of_them.requests)
    assert ["/e"] == [entry.path for entry in one.requests]


@pytest.mark.parametrize("log", [-1, 1.0, True, "1"])
def test_the_log_s_length_is_a_whole_number(log: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidRequestError, match=r"^log must be a whole number from 0, or None$"):
        CloudflareEmulator(log=log)


def test_whoever_looks_sees_the_present() -> None:
    """Without a request too, what is added and what is dated is of the loop's time."""
    cloud = CloudflareEmulator()
    account = cloud.add_account()
    loop = Loop()
    on(loop, 1000.0, cloud)
    seen = []

    async def look() -> None:
        for at in (1100.0, 1200.0):
            loop.at = at
            seen.append(email.utils.parsedate_to_datetime(cloud.date))
        loop.at = 1300.0
        made = cloud.add_connector(account, email_domain="a.example").created_on
        assert made is not None
        seen.append(made.replace(microsecond=0))

    loop.run_until_complete(look())
    loop.close()

    assert [dt.timedelta(seconds=100)] * 2 == [seen[1] - seen[0], seen[2] - seen[1]]


class Hurried(Loop):
    """An event loop on which every look at the time takes a second."""

    def time(self) -> float:
        """Return a later time each time."""
        self.at += 1.0
        return self.at


def test_a_request_is_of_one_time() -> None:
    """However long an answer takes, all times in it and in the log are the same."""
    cloud = CloudflareEmulator()
    collection = f"/accounts/{cloud.add_account()}/sso_connectors"
    answers = []

    async def send() -> None:
        answers.append(cloud.handle(Request("GET", collection)))
        answers.append(cloud.handle(Request("POST", collection, b'{"email_domain":"a.example"}')))

    loop = Hurried()
    loop.run_until_complete(send())
    loop.close()
    (made,) = cloud.connectors(cloud.accounts[0])

    first, second = (email.utils.parsedate_to_datetime(one.headers["date"]) for one in answers)
    apart = cloud.requests[1].time - cloud.requests[0].time
    assert made.created_on is not None
    assert second == made.created_on.replace(microsecond=0)
    assert dt.timedelta(seconds=apart) == second - first


def test_without_asyncio_time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody loaded asyncio, no loop can run, and none is asked for."""
    monkeypatch.delitem(sys.modules, "asyncio")
    cloud = CloudflareEmulator()
    cloud.handle(Request("GET", "/x"))

    assert 0.0 == cloud.requests[0].time
    assert "asyncio" not in sys.modules


def test_importing_loads_nothing_heavy() -> None:
    """Importing and using the emulator loads no asyncio, aiohttp, logging, ssl; random late."""
    code = """
import sys
import cfsso.emulator, cfsso.transports.memory
from cfsso.transports.base import Request
print("random" in sys.modules)
cfsso.emulator.CloudflareEmulator().handle(Request("GET", "/x"))
print(sorted({"asyncio", "aiohttp", "logging", "ssl"} & set(sys.modules)))
"""
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  (ours)

    assert "False\n[]\n" == done.stdout
