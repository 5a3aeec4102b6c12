"""Calls that Cloudflare's edge or a proxy answers: what is sent again, waited for, believed."""

import asyncio
from typing import Any

import pytest
from edges import BLOCK_PAGE, BLOCKED, LIMITED, PORTAL_PAGE, Answers, answer, edge
from scripted import (
    ACCOUNT,
    COLLECTION,
    CONNECTOR,
    ITEM,
    OPERATIONS,
    READS,
    Scripted,
    failure,
    respond,
    shown,
    success,
)

import cfsso
from cfsso import WriteState
from cfsso.testing import run_in_virtual_time
from cfsso.transports.retrying import Again, again

GET = cfsso.Request("GET", COLLECTION)
PATCH = cfsso.Request("PATCH", ITEM, b"{}")
DONE: dict[str, Any] = {
    "list": success([shown()]),
    "get": success(shown()),
    "create": success(shown()),
    "update": success(shown()),
    "delete": success(None),
    "begin_verification": success(None),
}


def over(*replies: Any, **options: Any) -> tuple[cfsso.AsyncSSOConnectors, Scripted]:
    """Return connectors over answers given one after the other, and their transport."""
    transport = Scripted(*replies)
    return cfsso.AsyncSSOConnectors(cfsso.RetryingTransport(transport), **options), transport


def test_an_unconfirmed_write_has_what_its_doubt_had() -> None:
    """A write in doubt tells of the answer that left the doubt."""
    connectors, transport = over(edge(522), answer(403, BLOCKED))
    with pytest.raises(cfsso.UnconfirmedWriteError) as caught:
        run_in_virtual_time(connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True))

    error = caught.value
    assert (True, "Error 522: It failed") == (error.edge, error.title)
    assert "What it says of that." == error.detail
    assert error.response is not None
    assert 522 == error.response.status
    assert "reading failed too: 403" in str(error)
    assert 2 == len(transport.requests)


def test_what_is_no_use_is_not_repeated_after_a_doubt() -> None:
    """A write that may have happened, but is no use to repeat, is settled without a second one."""
    now = {"updated_on": "2026-03-04T11:00:09.1234Z", "enabled": False}
    reply = respond(
        {"success": True, "result": shown(**now)}, headers={"date": "Sun, 01 Nov 2026 00:00:00 GMT"}
    )
    for retryable, writes in ((False, 1), (None, 2)):
        connectors, transport = over(edge(520, retryable=retryable), reply)
        with pytest.raises(cfsso.UnconfirmedWriteError) as caught:
            run_in_virtual_time(connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True))

        assert retryable is caught.value.retryable
        assert writes == len([request for request in transport.requests if request.is_write])


@pytest.mark.parametrize("page", [answer(404, PORTAL_PAGE), edge(404, 1001)], ids=["page", "edge"])
def test_a_404_of_the_edge_does_not_settle(page: cfsso.Response) -> None:
    """That a proxy does not find a page says nothing of the connector."""
    connectors, _ = over(edge(520), page)
    with pytest.raises(cfsso.UnconfirmedWriteError) as caught:
        run_in_virtual_time(connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True))

    assert cfsso.Settlement.UNKNOWN is caught.value.settlement


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_token_is_not_judged_by_the_edge(status: int) -> None:
    """What the edge refuses of an account is told; its user is asked only if the API refuses."""
    for response, requests in ((answer(status, BLOCK_PAGE), 1), (failure(status), 2)):
        transport = Answers({"GET": response})
        connectors = cfsso.AsyncSSOConnectors(transport, fingerprint=_same)
        with pytest.raises(cfsso.APIStatusError):
            run_in_virtual_time(connectors.verify_token(account_id=ACCOUNT))

        assert requests == len(transport.requests)


async def _same(_account_id: str) -> str:
    """Tell of one token for all."""
    return "0" * 8


@pytest.mark.parametrize(
    ("replies", "looks"),
    [
        ([answer(403, BLOCKED)], 1),
        ([answer(403, PORTAL_PAGE)], 1),
        ([failure(403)], 1),
        (["seen", answer(403, PORTAL_PAGE), "verified"], 3),
        (["seen", edge(403, 1010), "verified"], 3),
        (["seen", answer(403, BLOCKED), "verified"], 2),
        (["seen", failure(403), "verified"], 2),
        ([answer(429, LIMITED), "verified"], 2),
        ([edge(526), "verified"], 2),
        ([answer(200, PORTAL_PAGE), "verified"], 2),
    ],
)
def test_a_wait_outlives_what_stands_in_the_way(replies: list[Any], looks: int) -> None:
    """What the edge refuses after a look that was answered may pass, unless it says otherwise."""
    statuses = {"seen": "pending", "verified": "verified"}
    answers = [
        respond({"success": True, "result": shown(verification={"status": statuses[reply]})})
        if isinstance(reply, str)
        else reply
        for reply in replies
    ]
    transport = Scripted(*answers)
    connectors = cfsso.AsyncSSOConnectors(transport)
    try:
        run_in_virtual_time(connectors.wait_until_verified(CONNECTOR, account_id=ACCOUNT))
    except cfsso.APIStatusError:
        assert looks < 3
    assert looks == len(transport.requests)
    assert {"GET"} == {request.method for request in transport.requests}


def test_a_list_that_is_a_page() -> None:
    """A list of any size that is a page tells whose page it is."""
    page = PORTAL_PAGE + b" " * 2_000_000
    transport = Scripted(answer(200, page))
    connectors = cfsso.AsyncSSOConnectors(transport)
    with pytest.raises(cfsso.APIResponseValidationError) as caught:
        run_in_virtual_time(connectors.list(account_id=ACCOUNT))

    assert f"200 from GET {COLLECTION}: not the API: an HTML page answered: Hotel" in str(
        caught.value
    )
    assert caught.value.response is not None
    assert page[:65_536] == caught.value.response.body


def run(operation: str, *replies: Any, **options: Any) -> tuple[Any, list[float]]:
    """Return what becomes of an operation, and when each of its requests was sent."""
    connectors, transport = over(*replies, **options)
    times: list[float] = []
    send = transport.send

    async def timed(request: cfsso.Request) -> cfsso.Response:
        """Keep the time, and send *request*."""
        times.append(asyncio.get_running_loop().time())
        return await send(request)

    async def work() -> Any:
        """Do it."""
        return await OPERATIONS[operation](connectors, CONNECTOR, ACCOUNT)

    transport.send = timed  # type: ignore[method-assign]
    try:
        return run_in_virtual_time(work()), times
    except cfsso.CfssoError as error:
        return error, times


HOPELESS: dict[str, cfsso.Response] = {
    "1020": answer(403, BLOCKED),
    "525": edge(525),
    "526": edge(526),
    "a 526 that says otherwise": edge(526, retryable=True, retry_after=1),
    "a page of 526": answer(526, b"<title>x | 526: Invalid SSL certificate</title>"),
    "a limit": edge(429, 1015, retryable=False, retry_after=1),
    "a limit of a proxy": answer(429, {"title": "No more", "retryable": False}),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("reply", HOPELESS.values(), ids=HOPELESS)
def test_what_is_no_use_is_sent_once(operation: str, reply: cfsso.Response) -> None:
    """What the edge says to be no use is sent once a call, reads and writes, and told at once."""
    error, times = run(operation, reply)

    assert [0.0] == times
    assert isinstance(error, cfsso.APIStatusError)
    assert (reply.status, True, False) == (error.status, error.edge, error.retryable)
    assert (None if operation in READS else WriteState.REFUSED) is error.write


@pytest.mark.parametrize("operation", sorted(READS))
def test_a_failure_that_is_no_use_is_read_once(operation: str) -> None:
    """A 5xx that says so is not tried again, be it the edge's or the API's."""
    for reply in (edge(503, retryable=False), respond({"success": False, "retryable": False}, 503)):
        error, times = run(operation, reply)

        assert [0.0] == times
        assert error.retryable is False


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_limit_of_the_edge_is_waited_for(operation: str) -> None:
    """A limit is waited for as long as its body says, and then the same is sent again."""
    _, times = run(operation, answer(429, LIMITED), DONE[operation])

    assert [0.0, 30.0] == times


@pytest.mark.parametrize("operation", OPERATIONS)
def test_who_is_turned_away_for_now_comes_again(operation: str) -> None:
    """What the edge refuses for now is sent again then, but for what is never sent twice."""
    for members in ({"retryable": True, "retry_after": 7}, {"retry_after": 7}):
        error, times = run(operation, edge(403, 1010, **members), DONE[operation])

        if operation in {"create", "begin_verification"}:
            assert [0.0] == times
            assert (WriteState.REFUSED, 7.0) == (error.write, error.retry_after)
        else:
            assert [0.0, 7.0] == times


@pytest.mark.parametrize("operation", OPERATIONS)
def test_refusals_of_others_are_final(operation: str) -> None:
    """What a proxy or the API refuses is not sent again, whatever it promises."""
    word = {"retryable": True, "retry_after": 7}
    for reply in (
        answer(403, {"title": "No", **word}),
        respond({"success": False, "cloudflare_error": True, **word}, 403),
        edge(403, 1010),
    ):
        error, times = run(operation, reply)

        assert [0.0] == times
        assert isinstance(error, cfsso.PermissionDeniedError)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 522, 524, 408, 425])
def test_a_promise_of_the_edge(status: int) -> None:
    """A read waits as the edge's body or header says; no write is sent again for it."""
    in_body = edge(status, retryable=True, retry_after=120)
    in_header = cfsso.Response(status, {"retry-after": "120"}, edge(status).body)

    for response in (in_body, in_header):
        assert Again(120.0, promised=True) == again(GET, response, 0, 1.0)
        assert again(PATCH, response, 0, 1.0) is None


LONG: list[tuple[type[cfsso.CfssoError], int, int, dict[str, float]]] = [
    (cfsso.RateLimitError, 429, 1015, {"max_wait": 60.0}),
    (cfsso.RateLimitError, 429, 1015, {"deadline": 60.0, "max_wait": 300.0}),
    (cfsso.PermissionDeniedError, 403, 1010, {"max_wait": 60.0}),
    (cfsso.RateLimitError, 504, 504, {"max_wait": 60.0}),
]


@pytest.mark.parametrize(
    ("operation", "case"),
    # A write that was answered with 504 may have been done.
    [(name, case) for name in OPERATIONS for case in LONG if name in READS or case[1] < 500],
)
def test_a_long_wait_is_told(
    operation: str, case: tuple[type[cfsso.CfssoError], int, int, dict[str, float]]
) -> None:
    """A wait longer than allowed is told with everything that the answer says."""
    kind, status, code, options = case
    reply = edge(status, code, retryable=True, retry_after=61)
    error, times = run(operation, reply, **options)

    assert [0.0] == times
    assert kind is type(error)
    assert (61.0, True, True, status) == (
        error.retry_after,
        error.retryable,
        error.edge,
        error.status,
    )
    assert (f"Error {code}: It failed", "9f03c1d2ab47e6f5") == (error.title, error.ray_id)
    assert [code] == [item.code for item in error.errors]
    assert error.response is not None
    assert reply.body == error.response.body
    assert f"Cloudflare's edge answered: Error {code}: It failed: What it says" in str(error)
    assert (None if operation in READS else WriteState.REFUSED) is error.write


def test_a_long_wait_of_the_api_is_told() -> None:
    """A wait that the API asks for is told with its errors."""
    reply = failure(503, {"code": 10013, "message": "busy"}, retry_after="61")
    error, _ = run("list", reply, max_wait=60.0)

    assert str(error) == f"503 from GET {COLLECTION}: asks to wait 61 s: 10013 busy"
    assert (61.0, False) == (error.retry_after, error.edge)
