"""What may be sent again, for every status and every Retry-After; no write ever after a doubt."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import COLLECTION, ITEM, Scripted, failure, success

import cfsso
from cfsso import WriteState
from cfsso.testing import run_in_virtual_time
from cfsso.transports.retrying import Again, again

GET = cfsso.Request("GET", COLLECTION)
POST = cfsso.Request("POST", COLLECTION, b"{}")
PATCH = cfsso.Request("PATCH", ITEM, b"{}")
DELETE = cfsso.Request("DELETE", ITEM)
BEGIN = cfsso.Request("POST", f"{ITEM}/begin_verification")
WRITES = [POST, PATCH, DELETE, BEGIN]

NOON, LATER = "Mon, 02 Mar 2026 12:00:00 GMT", "Mon, 02 Mar 2026 12:01:30 GMT"
HALF = Again(0.5, promised=False)
BLOCK = Again(300.0, promised=True)


def test_every_status_of_a_read() -> None:
    """A read is sent again after 408, 425, 429 and from 500 on, but not after 525 and 526."""
    found = {
        status: again(GET, cfsso.Response(status, {}, b""), 0, 1.0) for status in range(100, 600)
    }

    again_after = {408, 425, 429, *range(500, 600)} - {525, 526}
    assert again_after == {status for status, plan in found.items() if plan}
    assert BLOCK == found.pop(429)
    assert {None, HALF} == set(found.values())


@pytest.mark.parametrize("retry_after", [None, "0", "7", LATER])
@pytest.mark.parametrize("write", WRITES, ids=str)
def test_every_status_of_a_write(write: cfsso.Request, retry_after: str | None) -> None:
    """A write, a create too, is sent again after 429 alone, whatever other answers promise."""
    headers = {} if retry_after is None else {"retry-after": retry_after, "date": NOON}
    found = [
        status
        for status in range(100, 600)
        if again(write, cfsso.Response(status, headers, b""), 0, 1.0)
    ]

    assert [429] == found


# What Retry-After says, and the seconds that it asks for; None: it can't be read.
PROMISES: dict[str, tuple[float | None, str]] = {
    "seconds": (7.0, "7"),
    "none at all": (0.5, "0"),
    "less than the pause": (0.5, "Mon, 02 Mar 2026 11:59:59 GMT"),
    "a date": (90.0, LATER),
    "an hour": (3600.0, "3600"),
    "days": (999_999.0, "999999"),
    "centuries": (999_999.0, "Fri, 31 Dec 9999 23:59:59 GMT"),
    "absurd": (None, "9" * 40),
    "negative": (None, "-5"),
    "a fraction": (None, "1.5"),
    "no number": (None, "NaN"),
    "inf": (None, "inf"),
    "garbage": (None, "soon"),
    "empty": (None, ""),
    "two": (None, "5, 10"),
}


@pytest.mark.parametrize("status", [408, 429, 500, 503])
@pytest.mark.parametrize(("expected", "text"), PROMISES.values(), ids=PROMISES)
def test_every_kind_of_retry_after(expected: float | None, text: str, status: int) -> None:
    """What can be read is kept, but never cut below the pause; else a 429 means the block."""
    plan = again(GET, cfsso.Response(status, {"retry-after": text, "date": NOON}, b""), 0, 1.0)

    if expected is None:
        assert (BLOCK if status == 429 else HALF) == plan
    else:
        assert Again(expected, promised=True) == plan


@pytest.mark.parametrize("retryable", [True, False])
@pytest.mark.parametrize("kind", [cfsso.APIConnectionError, cfsso.APITimeoutError])
@pytest.mark.parametrize("state", [None, *WriteState], ids=str)
def test_every_state_of_a_lost_request(
    state: WriteState | None, kind: type[cfsso.APIConnectionError], *, retryable: bool
) -> None:
    """Where no retry helps there is none; else a read has one, and a write that never left."""
    error = kind("x", write=state)
    error.retryable = retryable

    assert (HALF if retryable else None) == again(GET, error, 0, 1.0)
    unsent = retryable and state is WriteState.NOT_SENT
    assert [HALF if unsent else None] * 4 == [again(write, error, 0, 1.0) for write in WRITES]


@pytest.mark.parametrize(
    "kind",
    [
        cfsso.CfssoError,
        cfsso.InvalidRequestError,
        cfsso.APIResponseValidationError,
        cfsso.RateLimitError,
        cfsso.ConflictError,
        cfsso.InternalServerError,
        cfsso.UnconfirmedWriteError,
    ],
)
def test_errors_of_other_kinds_are_final(kind: type[cfsso.CfssoError]) -> None:
    """What is no failure of a connection is not sent again, even if nothing of it had left."""
    error = kind("x", write=WriteState.NOT_SENT)

    assert [None] * 5 == [again(request, error, 0, 1.0) for request in (GET, *WRITES)]


@given(st.integers(0, 10**9), st.floats(0.5, 1.0))
def test_a_pause_is_never_absurd(retries: int, jitter: float) -> None:
    """However many retries there were, the pause is from a quarter of a second to eight."""
    plan = again(GET, failure(500), retries, jitter)

    assert plan is not None
    assert 0.25 <= plan.seconds <= 8.0


# What may come of a write, by whether it may have been done or taken up.
UNTAKEN: list[Any] = [
    failure(429, retry_after="1"),
    cfsso.APIConnectionError("no way", write=WriteState.NOT_SENT),
    cfsso.APITimeoutError("no way in time", write=WriteState.NOT_SENT),
]
TAKEN: list[Any] = [
    *(failure(status) for status in (400, 403, 404, 408, 409, 422, 425, 500, 502, 503, 504)),
    failure(503, retry_after="1"),
    success({}),
    cfsso.Response(302, {}, b""),
    cfsso.APIConnectionError("lost", write=WriteState.UNKNOWN),
    cfsso.APIConnectionError("a transport that does not tell"),
    cfsso.APITimeoutError("slow", write=WriteState.UNKNOWN),
    cfsso.APIResponseValidationError("large", write=WriteState.UNKNOWN),
    ValueError("odd"),
]


@given(
    st.sampled_from(WRITES), st.lists(st.sampled_from(UNTAKEN), max_size=4), st.sampled_from(TAKEN)
)
def test_no_write_after_a_doubt(write: cfsso.Request, before: list[Any], last: Any) -> None:
    """Whatever came before, the first outcome that may mean a write was taken up is the last."""
    inner = Scripted(*before, last)

    async def send() -> object:
        try:
            return await cfsso.RetryingTransport(inner).send(write)
        except (cfsso.CfssoError, ValueError) as error:
            return error

    assert last is run_in_virtual_time(send())
    assert [write] * (len(before) + 1) == inner.requests
