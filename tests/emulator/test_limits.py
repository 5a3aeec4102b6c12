import pytest

from cfsso.emulator import CloudflareEmulator
from cfsso.transports.base import RateLimit, Request, Response

ASK = Request("GET", "/x")


def send(cloud: CloudflareEmulator, token: str | None = None) -> Response:
    return cloud.handle(ASK, None if token is None else {"authorization": f"Bearer {token}"})


def test_every_answer_tells_the_quota(cloud: CloudflareEmulator) -> None:
    """Refusals too say what is left and when the window moves."""
    first = send(cloud)
    cloud.advance(10.5)
    second = send(cloud)

    assert '"default";q=1200;w=300' == first.headers["ratelimit-policy"]
    assert '"default";r=1199;t=300' == first.headers["ratelimit"]
    assert '"default";r=1198;t=290' == second.headers["ratelimit"]
    assert "retry-after" not in second.headers


def test_one_request_too_many_blocks_for_the_window(cloud: CloudflareEmulator) -> None:
    """After 1,200 requests all are refused for five minutes, refused ones uncounted."""
    statuses = {send(cloud).status for _ in range(1200)}
    cloud.advance(100)
    blocked = send(cloud)
    cloud.advance(299.5)
    still = send(cloud)
    cloud.advance(0.5)
    free = send(cloud)

    assert {404} == statuses
    assert (429, "300") == (blocked.status, blocked.headers["retry-after"])
    assert '"default";r=0;t=300' == blocked.headers["ratelimit"]
    assert b'"code":971' in blocked.body
    assert b'"result":null' in blocked.body
    assert (429, "1") == (still.status, still.headers["retry-after"])
    assert (404, '"default";r=1199;t=300') == (free.status, free.headers["ratelimit"])


def test_the_window_slides() -> None:
    """A request frees its place exactly when it is as old as the window is long."""
    cloud = CloudflareEmulator(rate_limit=RateLimit(2, 10.0))
    send(cloud)
    cloud.advance(4)
    send(cloud)
    cloud.advance(6)

    assert 404 == send(cloud).status
    assert 429 == send(cloud).status


def test_each_credential_has_its_own_quota() -> None:
    """One blocked token does not block another, nor the trusted caller."""
    cloud = CloudflareEmulator(rate_limit=RateLimit(1, 10.0))

    statuses = [send(cloud, token).status for token in ("a", "a", "b", None, None)]

    assert [404, 429, 404, 404, 429] == statuses


def test_a_blocked_write_does_nothing() -> None:
    """429 means refused."""
    cloud = CloudflareEmulator(rate_limit=RateLimit(1, 10.0))
    account = cloud.add_account()
    send(cloud)
    request = Request(
        "POST", f"/accounts/{account}/sso_connectors", b'{"email_domain": "a.example"}'
    )

    assert 429 == cloud.handle(request).status
    assert () == cloud.connectors(account)


def test_the_limit_can_be_turned_off() -> None:
    """Without a limit there are no headers about one."""
    cloud = CloudflareEmulator(rate_limit=None)
    answers = [send(cloud) for _ in range(1300)]

    assert {404} == {answer.status for answer in answers}
    assert {"date", "content-type", "cf-ray"} == set(answers[-1].headers)


@pytest.mark.parametrize(("seconds", "window"), [(0.5, 1), (10.0, 10), (10.1, 11)])
def test_odd_windows_are_told_in_whole_seconds(seconds: float, window: int) -> None:
    """Headers have integers, rounded up and never 0."""
    cloud = CloudflareEmulator(rate_limit=RateLimit(5, seconds))
    headers = send(cloud).headers

    assert f'"default";q=5;w={window}' == headers["ratelimit-policy"]
    assert f'"default";r=4;t={window}' == headers["ratelimit"]
