"""A write in doubt: what reads say of it, when they are made, and what is sent once more."""

import asyncio
import datetime as dt
import email.utils
from collections.abc import Awaitable
from typing import Any, NamedTuple

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import (
    ACCOUNT,
    COLLECTION,
    CONNECTOR,
    DOMAIN,
    ITEM,
    OPERATIONS,
    OTHER,
    RAY,
    Scripted,
    failure,
    shown,
    success,
)

import cfsso
from cfsso import Settlement as Is
from cfsso import _judging, _wire
from cfsso._judging import Finding, Span
from cfsso._seen import Seen, is_later

pytestmark = pytest.mark.virtual_time

Reply = cfsso.Response | Exception
LOST = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
NOT_SENT = cfsso.APIConnectionError("no way", write=cfsso.WriteState.NOT_SENT)

# The server's time when the loop's is 0, and when the write is sent.
START = dt.datetime(2026, 3, 4, 11, 0, 20, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def at(seconds: float) -> dt.datetime:
    """Return the time that many seconds after the sending."""
    return START + dt.timedelta(seconds=seconds)


SPAN = Span(at(-MINUTE), at(0), at(60))


def connector(updated: float | None, **members: Any) -> cfsso.SSOConnector:
    """Return a connector with these values, updated so long after the sending."""
    updated_on = None if updated is None else at(updated)
    return cfsso.SSOConnector(id=CONNECTOR, updated_on=updated_on, **members)


def on(updated: float | None) -> cfsso.SSOConnector:
    """Return one that is enabled."""
    return connector(updated, enabled=True)


def off(updated: float | None) -> cfsso.SSOConnector:
    """Return one that is not."""
    return connector(updated, enabled=False)


def blank(updated: float | None) -> cfsso.SSOConnector:
    """Return one that does not say."""
    return connector(updated)


OFF, ON = off(-100), on(-100)

# What is found, what was known before, and what it means.
UPDATES: dict[str, tuple[cfsso.SSOConnector, cfsso.SSOConnector | None, Is]] = {
    "applied": (on(5), OFF, Is.APPLIED),
    "applied, nothing known": (on(5), None, Is.APPLIED),
    "applied, though it was so": (on(5), ON, Is.APPLIED),
    "shown by a read that may be old": (on(-50), OFF, Is.APPLIED),
    "shown, nothing known, may be old": (on(-5), None, Is.APPLIED),
    "shown, from the future": (on(HOUR), None, Is.APPLIED),
    "shown in the same second": (on(-100), OFF, Is.APPLIED),
    "shown without times": (on(None), off(None), Is.APPLIED),
    "shown, was so, without times": (on(None), on(None), Is.APPLIED),
    "already": (on(-100), ON, Is.ALREADY),
    "already, but written just now": (on(1), on(1), Is.ALREADY),
    "older than known, as wished": (on(-200), OFF, Is.UNKNOWN),
    "older than known": (off(-200), OFF, Is.UNKNOWN),
    "older than known, without a value": (blank(-200), ON, Is.UNKNOWN),
    "as before": (off(-99.5), off(-99.5), Is.NOT_APPLIED),
    "as before, whole seconds": (off(-100), OFF, Is.NOT_APPLIED),
    "as before, just now": (off(0.5), off(0.5), Is.NOT_APPLIED),
    "the same second": (off(1), off(1), Is.UNKNOWN),
    "as for days": (off(-2 * DAY), None, Is.NOT_APPLIED),
    "as for days, no time before": (off(-2 * DAY), off(None), Is.NOT_APPLIED),
    "value not known before": (off(-100), blank(-100), Is.NOT_APPLIED),
    "nothing known, an hour old": (off(-HOUR), None, Is.NOT_APPLIED),
    "nothing known, just before": (off(-30), None, Is.UNKNOWN),
    "nothing known, of the future": (off(HOUR), None, Is.UNKNOWN),
    "nothing known, no time": (off(None), None, Is.UNKNOWN),
    "no times": (off(None), off(None), Is.UNKNOWN),
    "no time now": (off(None), OFF, Is.UNKNOWN),
    "no value": (blank(5), OFF, Is.UNKNOWN),
    "somebody wrote, nothing known": (off(5), None, Is.CONFLICT),
    "somebody wrote, no time before": (off(5), off(None), Is.CONFLICT),
    "somebody wrote the same": (off(-50), OFF, Is.CONFLICT),
    "somebody disabled it": (off(5), ON, Is.CONFLICT),
    "somebody disabled it, no times": (off(None), on(None), Is.CONFLICT),
}


@pytest.mark.parametrize(("found", "before", "settlement"), UPDATES.values(), ids=list(UPDATES))
async def test_what_a_read_says_of_an_update(
    found: cfsso.SSOConnector, before: cfsso.SSOConnector | None, settlement: Is
) -> None:
    """Values and times decide: success needs the wish, a second try that surely nobody wrote."""
    finding = _judging.judge_update(found, {"enabled": True}, before, SPAN, Seen(before))

    assert settlement is finding.settlement
    assert found is finding.found is finding.value


# The same without a Date to go by.
DATELESS: dict[str, tuple[cfsso.SSOConnector, cfsso.SSOConnector | None, Is]] = {
    "shown": (on(5), OFF, Is.APPLIED),
    "as before": (off(-99.5), off(-99.5), Is.NOT_APPLIED),
    "as before, whole seconds": (off(-100), OFF, Is.UNKNOWN),
    "nothing known": (off(-2 * DAY), None, Is.UNKNOWN),
    "somebody wrote": (off(-50), OFF, Is.CONFLICT),
}


@pytest.mark.parametrize(("found", "before", "settlement"), DATELESS.values(), ids=list(DATELESS))
async def test_what_a_read_without_a_date_says_of_an_update(
    found: cfsso.SSOConnector, before: cfsso.SSOConnector | None, settlement: Is
) -> None:
    """Without a Date only fractions of a second tell two writes apart."""
    finding = _judging.judge_update(found, {"enabled": True}, before, None, Seen(before))

    assert settlement is finding.settlement


async def test_half_a_wish_is_a_conflict() -> None:
    """A connector that shows one of two wished values was written by somebody else."""
    wished = {"enabled": True, "use_fedramp_language": True}
    found = connector(5, enabled=True, use_fedramp_language=False)
    before = connector(-100, enabled=False, use_fedramp_language=False)

    finding = _judging.judge_update(found, wished, before, SPAN, Seen(before))

    assert Is.CONFLICT is finding.settlement
    said = "somebody else wrote: a read shows enabled=True, use_fedramp_language=False"
    assert said == finding.said


flags = st.sampled_from([True, False, None])
times = st.sampled_from([None, -2 * DAY, -HOUR, -100, -99.5, 0, 1, 2.5, HOUR])


@given(flags, times, flags, times, st.booleans())
async def test_no_update_is_taken_for_done_or_undone_without_proof(
    enabled: Any, updated: Any, was: Any, known: Any, has_date: Any
) -> None:
    """Done is only what shows the wish and is not older than known; undone only what did not move.

    This holds whatever is found, known and dated.
    """
    found, before = connector(updated, enabled=enabled), connector(known, enabled=was)
    for known_before in (before, None):
        span = SPAN if has_date else None
        seen = Seen(known_before)
        finding = _judging.judge_update(found, {"enabled": True}, known_before, span, seen)
        if finding.settlement in {Is.APPLIED, Is.ALREADY}:
            assert enabled is True
            if known_before is not None and None not in (updated, known):
                assert not is_later(at(known), at(updated))
        if finding.settlement is Is.NOT_APPLIED:
            assert enabled is False
            assert was is not True or known_before is None
            assert updated == known or updated < -MINUTE


DELETES: dict[str, tuple[list[cfsso.SSOConnector], int, Is, str]] = {
    "gone": ([cfsso.SSOConnector(id=OTHER)], 0, Is.APPLIED, ""),
    "there": ([cfsso.SSOConnector(id=OTHER), OFF], 0, Is.NOT_APPLIED, "a list still shows it"),
    "there, others left out": ([OFF], 3, Is.NOT_APPLIED, "a list still shows it"),
    "left out, maybe": ([], 3, Is.UNKNOWN, "a list left out 3 connectors"),
    "one without an id": ([cfsso.SSOConnector()], 0, Is.UNKNOWN, "a list shows one without an id"),
}


@pytest.mark.parametrize(
    ("connectors", "left_out", "settlement", "said"), DELETES.values(), ids=list(DELETES)
)
async def test_what_a_list_says_of_a_delete(
    connectors: list[cfsso.SSOConnector], left_out: int, settlement: Is, said: str
) -> None:
    """Gone is what a complete list does not show, with an id for all that it shows."""
    finding = _judging.judge_delete(connectors, left_out, CONNECTOR, SPAN, Seen())

    assert (settlement, said) == (finding.settlement, finding.said)


def made(created: float | None, **members: Any) -> cfsso.SSOConnector:
    """Return a connector of the domain, made so long after the sending."""
    created_on = None if created is None else at(created)
    return attrs.evolve(
        cfsso.SSOConnector(
            id=CONNECTOR, email_domain=DOMAIN, use_fedramp_language=True, created_on=created_on
        ),
        **members,
    )


CREATES: dict[str, tuple[list[cfsso.SSOConnector], int, Is]] = {
    "made": ([made(5)], 0, Is.APPLIED),
    "made, in other letters": ([made(5, email_domain=DOMAIN.upper())], 0, Is.APPLIED),
    "one that only looks alike": (
        [made(5, email_domain=DOMAIN.replace("k", "\N{KELVIN SIGN}").replace("i", "ｉ"))],  # noqa: RUF001 (not the letter that it looks like)
        0,
        Is.NOT_APPLIED,
    ),
    "made, beside an old one": ([made(-2 * DAY), made(5)], 0, Is.APPLIED),
    "made, others left out": ([made(5)], 2, Is.APPLIED),
    "none": ([], 0, Is.NOT_APPLIED),
    "another domain": (
        [made(5, email_domain="x.example"), made(5, email_domain=None)],
        0,
        Is.NOT_APPLIED,
    ),
    "left out, maybe": ([], 2, Is.UNKNOWN),
    "there for days": ([made(-2 * DAY)], 0, Is.CONFLICT),
    "with another value": ([made(5, use_fedramp_language=False)], 0, Is.CONFLICT),
    "an hour old": ([made(-HOUR)], 0, Is.CONFLICT),
    "there just before": ([made(-30)], 0, Is.UNKNOWN),
    "of the future": ([made(HOUR)], 0, Is.UNKNOWN),
    "of unknown age": ([made(None)], 0, Is.UNKNOWN),
    "without an id": ([made(5, id="")], 0, Is.UNKNOWN),
}


@pytest.mark.parametrize(
    ("connectors", "left_out", "settlement"), CREATES.values(), ids=list(CREATES)
)
async def test_what_a_list_says_of_a_create(
    connectors: list[cfsso.SSOConnector], left_out: int, settlement: Is
) -> None:
    """Made is what has the domain, the values and an age that fits; an old one is a conflict."""
    finding = _judging.judge_create(
        connectors, left_out, DOMAIN, {"use_fedramp_language": True}, SPAN, Seen()
    )

    assert settlement is finding.settlement
    assert finding.value is finding.found
    dateless = _judging.judge_create(connectors, left_out, DOMAIN, {}, None, Seen())
    assert dateless.settlement in {Is.UNKNOWN, Is.NOT_APPLIED}


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "yesterday",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Wed, 04 Mar 2026 11:00:20 +9999",
    ],
)
async def test_a_date_of_no_use_is_none(date: str | None) -> None:
    """What is no date, or one that can't be reckoned with, counts as absent."""
    reply = success(shown())
    headers = {} if date is None else {"date": date}
    answer = _wire.read(_wire.build_get(CONNECTOR, ACCOUNT), attrs.evolve(reply, headers=headers))

    assert None is Span.until(answer, 30.0)


async def test_the_time_from_the_sending_to_the_read() -> None:
    """It ends with the answer and is a bit longer on both sides, for clocks that differ."""
    reply = attrs.evolve(success(shown()), headers={"date": "Wed, 04 Mar 2026 12:00:50 +0100"})
    span = Span.until(_wire.read(_wire.build_get(CONNECTOR, ACCOUNT), reply), 30.0)

    assert Span(at(-2 - MINUTE), at(-2), at(32)) == span
    assert [False, True, True, False, False] == [
        span.has(t) for t in (at(-2.1), at(-2), at(32), at(32.1), None)
    ]


class Server(Scripted):
    """Gives replies with a Date that goes on with the loop's time, and says when it did."""

    def __init__(self, *replies: Reply, clock: float | None = 0.0) -> None:
        super().__init__(*replies)
        self._clock = clock
        self.times: list[float] = []

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Give the next reply, dated by a clock that may be wrong or missing."""
        now = asyncio.get_running_loop().time()
        self.times.append(now)
        reply = await super().send(request)
        if self._clock is None:
            return reply
        date = email.utils.format_datetime(at(now + self._clock), usegmt=True)
        return attrs.evolve(reply, headers={"date": date, **reply.headers})

    @property
    def log(self) -> list[tuple[float, str]]:
        """What was sent, and when."""
        return [*zip(self.times, (request.method for request in self.requests), strict=True)]


def stamp(seconds: float) -> str:
    """Return a time as the API writes it."""
    return at(seconds).isoformat()


# The connector as it was, and as it is once an update arrived at 0.5 or 8.5 seconds.
WAS = shown(enabled=False)
BEFORE = off(None)
BEFORE = attrs.evolve(BEFORE, updated_on=dt.datetime.fromisoformat(WAS["updated_on"]))
OLD = success(WAS)
DONE, DONE_LATER = (success(shown(updated_on=stamp(seconds))) for seconds in (0.5, 8.5))
# Enabled, but nobody can say since when.
SHOWN = success(shown())
FOREIGN, FOREIGN_LATER = (
    success(shown(enabled=False, updated_on=stamp(seconds))) for seconds in (0.5, 8.5)
)
BLANK = success({"id": CONNECTOR, "updated_on": stamp(0.5)})
ON_TIMELESS, OFF_TIMELESS = (
    success({"id": CONNECTOR, "enabled": value}) for value in (True, False)
)
NO_API = cfsso.NotFoundError("no such page", status=404, edge=True)
STALE = success(shown(updated_on=stamp(-500)))
LOOKS = [(0.0, "GET"), (2.0, "GET"), (6.0, "GET"), (14.0, "GET"), (30.0, "GET")]
LAST = [(32.0, "GET")]
LATER = [(at + 30.0, method) for at, method in LOOKS]
SENT = [(0.0, "PATCH")]
AGAIN = [(30.0, "PATCH")]


class Story(NamedTuple):
    """What the server replies, what it must see and when, and how it ends; None: well."""

    replies: list[Reply]
    log: list[tuple[float, str]]
    end: Is | None


STORIES: dict[str, Story] = {
    "applied": Story([LOST, DONE], SENT + LOOKS[:2], None),
    "applied, late": Story([LOST, OLD, OLD, OLD, DONE_LATER], SENT + LOOKS, None),
    "another id, then applied": Story(
        [LOST, success(shown(id=OTHER)), DONE], SENT + LOOKS[:3], None
    ),
    "a value that is no bool, then applied": Story(
        [LOST, success(shown(enabled="yes")), DONE], SENT + LOOKS[:3], None
    ),
    "not there, then applied": Story([LOST, failure(404), DONE], SENT + LOOKS + LAST, Is.UNKNOWN),
    "not there, says a proxy": Story([LOST, NO_API, DONE], SENT + LOOKS[:3], None),
    "not there, then shown, then not": Story(
        [LOST, failure(404), DONE, failure(404)], SENT + LOOKS[:3], Is.GONE
    ),
    "shown, then not there": Story([LOST, DONE, failure(404)], SENT + LOOKS[:3], Is.GONE),
    "shown, nobody knows since when": Story([LOST, SHOWN], SENT + LOOKS[:2], None),
    "shown once only": Story([LOST, SHOWN, OLD, FOREIGN], SENT + LOOKS[:4], Is.CONFLICT),
    "shown by the last look": Story([LOST, *[OLD] * 4, DONE_LATER], SENT + LOOKS + LAST, None),
    "shown by the last look but one": Story(
        [LOST, *[OLD] * 4, DONE_LATER, OLD], SENT + LOOKS + LAST, Is.UNKNOWN
    ),
    "shown with the time of what was shown before": Story(
        [LOST, OLD, SHOWN], SENT + LOOKS[:3], None
    ),
    "to and fro with one time": Story([LOST, SHOWN, OLD, SHOWN], SENT + LOOKS, Is.UNKNOWN),
    "to and fro without times": Story(
        [LOST, ON_TIMELESS, OFF_TIMELESS, ON_TIMELESS], SENT + LOOKS, Is.UNKNOWN
    ),
    "shown without times, late": Story([LOST, OFF_TIMELESS, ON_TIMELESS], SENT + LOOKS[:3], None),
    "newer with a time, or without one": Story(
        [LOST, FOREIGN, ON_TIMELESS, ON_TIMELESS], SENT + LOOKS, Is.UNKNOWN
    ),
    "sent again": Story([LOST, *[OLD] * 5, DONE], SENT + LOOKS + AGAIN, None),
    "sent again, lost, applied": Story(
        [LOST, *[OLD] * 5, LOST, DONE], SENT + LOOKS + AGAIN + LATER[:2], None
    ),
    "sent again, a lie, a conflict": Story(
        [LOST, *[OLD] * 5, OLD, FOREIGN], SENT + LOOKS + AGAIN + LATER[:2], Is.CONFLICT
    ),
    "sent again, lost, never applied": Story(
        [LOST, *[OLD] * 5, LOST, OLD], SENT + LOOKS + AGAIN + LATER, Is.NOT_APPLIED
    ),
    "sent again, refused": Story(
        [LOST, *[OLD] * 5, failure(409)], SENT + LOOKS + AGAIN, Is.NOT_APPLIED
    ),
    "sent again, not sent": Story(
        [LOST, *[OLD] * 5, NOT_SENT], SENT + LOOKS + AGAIN, Is.NOT_APPLIED
    ),
    "sent again, not there": Story(
        [LOST, *[OLD] * 5, failure(404)], SENT + LOOKS + AGAIN + LATER[:2], Is.GONE
    ),
    "sent again, not there, but applied": Story(
        [LOST, *[OLD] * 5, failure(404), DONE], SENT + LOOKS + AGAIN + LATER, Is.UNKNOWN
    ),
    "the last two must agree": Story(
        [LOST, OLD, OLD, OLD, failure(500), OLD], SENT + LOOKS, Is.NOT_APPLIED
    ),
    "conflict": Story([LOST, FOREIGN], SENT + LOOKS[:2], Is.CONFLICT),
    "no conflict after all": Story([LOST, FOREIGN, DONE_LATER], SENT + LOOKS[:3], None),
    "a conflict for the last look": Story(
        [LOST, *[OLD] * 4, FOREIGN], SENT + LOOKS + LAST, Is.CONFLICT
    ),
    "a conflict, then old reads": Story([LOST, OLD, FOREIGN, OLD], SENT + LOOKS + LAST, Is.UNKNOWN),
    "a conflict, which two old reads deny": Story(
        [LOST, FOREIGN, SHOWN, SHOWN, OLD], SENT + LOOKS + LAST, Is.UNKNOWN
    ),
    "done, which two old reads deny": Story([LOST, DONE, OLD, OLD, DONE], SENT + LOOKS[:4], None),
    "done, which its own answer denies": Story([FOREIGN, SHOWN], SENT + LOOKS, Is.UNKNOWN),
    "done, though its own answer is older": Story([OLD, SHOWN], SENT + LOOKS[:2], None),
    "done, or a conflict": Story(
        [LOST, *[OLD] * 4, DONE, FOREIGN_LATER], SENT + LOOKS + LAST, Is.UNKNOWN
    ),
    "newer without a value, then old reads": Story([LOST, BLANK, OLD], SENT + LOOKS, Is.UNKNOWN),
    "sent again, an old answer, done": Story(
        [LOST, *[OLD] * 5, STALE, DONE], SENT + LOOKS + AGAIN + LATER[:2], None
    ),
    "conflict, late": Story([LOST, OLD, FOREIGN], SENT + LOOKS[:3], Is.CONFLICT),
    "gone": Story([LOST, failure(404)], SENT + LOOKS[:2], Is.GONE),
    "old reads": Story([LOST, STALE], SENT + LOOKS, Is.UNKNOWN),
    "no sight": Story([LOST, failure(403)], SENT + LOOKS[:1], Is.UNKNOWN),
    "no token": Story([LOST, cfsso.InvalidRequestError("closed")], SENT + LOOKS[:1], Is.UNKNOWN),
    "408": Story([LOST, failure(408)], SENT + LOOKS, Is.UNKNOWN),
    "425": Story([LOST, failure(425)], SENT + LOOKS, Is.UNKNOWN),
    "500": Story([LOST, failure(500)], SENT + LOOKS, Is.UNKNOWN),
    "reads lost": Story([LOST, cfsso.APIConnectionError("lost")], SENT + LOOKS, Is.UNKNOWN),
    "reads too late": Story([LOST, cfsso.APITimeoutError("late")], SENT + LOOKS, Is.UNKNOWN),
    "no value": Story([LOST, success({"id": CONNECTOR})], SENT + LOOKS, Is.UNKNOWN),
}


async def outcome(call: Awaitable[Any]) -> cfsso.SSOConnector | cfsso.UnconfirmedWriteError:
    """Return what *call* does, or the error that it raises."""
    try:
        result = await call
    except cfsso.UnconfirmedWriteError as error:
        result = error
    if isinstance(result, cfsso.UnconfirmedWriteError):
        assert cfsso.WriteState.UNKNOWN is result.write
        assert result.settlement not in {Is.APPLIED, Is.ALREADY}
        return result
    assert isinstance(result, cfsso.SSOConnector)
    return result


@pytest.mark.parametrize("story", STORIES.values(), ids=list(STORIES))
async def test_an_update_in_doubt(story: Story) -> None:
    """It is read until that shows what became of it, and sent again once if surely nothing did."""
    server = Server(*story.replies)
    connectors = cfsso.AsyncSSOConnectors(server)

    found = await outcome(
        connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True, before=BEFORE)
    )

    assert story.log == server.log
    if isinstance(found, cfsso.SSOConnector):
        assert (None, True) == (story.end, found.enabled)
    else:
        assert story.end is found.settlement
        assert str(found).startswith(f"may or may not have happened: {found.__cause__}; ")
    assert len({r.body for r in server.requests if r.is_write}) == 1


async def test_an_update_that_was_so_before() -> None:
    """What was as wished, and was written by nobody, is a success after two looks."""
    server = Server(LOST, SHOWN)
    before = attrs.evolve(BEFORE, enabled=True)

    connectors = cfsso.AsyncSSOConnectors(server)
    found = await connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True, before=before)

    assert found.enabled
    assert SENT + LOOKS[:2] == server.log


async def test_what_the_error_tells() -> None:
    """It has what the doubtful answer had, what was found, and the wait that a read asked for."""
    server = Server(
        failure(500, {"code": 7}, retry_after="3"), *[OLD] * 5, failure(429, retry_after="9")
    )
    connectors = cfsso.AsyncSSOConnectors(server)

    with pytest.raises(cfsso.UnconfirmedWriteError) as caught:
        await connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True, before=BEFORE)

    error = caught.value
    assert (500, RAY, 9.0) == (error.status, error.ray_id, error.retry_after)
    assert (cfsso.ResponseInfo(code=7),) == error.errors
    assert server.requests[0] is error.request
    assert error.found is not None
    assert (CONNECTOR, False) == (error.found.id, error.found.enabled)
    said = "; a read shows enabled=False, as before; then: 429 from PATCH"
    assert said in str(error)


@pytest.mark.parametrize(
    "reply",
    [
        failure(429, retry_after="9"),
        cfsso.RateLimitError("waits for longer than max_wait", retry_after=9.0),
    ],
    ids=["refused", "not sent"],
)
async def test_a_limit_ends_the_watching(reply: Reply) -> None:
    """Where reading must wait for longer than allowed, the error says when to go on."""
    server = Server(LOST, OLD, reply)
    connectors = cfsso.AsyncSSOConnectors(server)

    found = await outcome(
        connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True, before=BEFORE)
    )

    assert isinstance(found, cfsso.UnconfirmedWriteError)
    assert (Is.UNKNOWN, 9.0) == (found.settlement, found.retry_after)
    assert SENT + LOOKS[:2] == server.log


@pytest.mark.parametrize("clock", [None, 0.0, 40.0, -40.0])
@pytest.mark.parametrize("known", [True, False])
async def test_a_foreign_write_is_not_undone(clock: float | None, known: bool) -> None:  # noqa: FBT001
    """An update is not sent again onto a foreign write, though clocks are far apart."""
    server = Server(LOST, FOREIGN, clock=clock)
    connectors = cfsso.AsyncSSOConnectors(server)
    before = BEFORE if known else None

    found = await outcome(
        connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True, before=before)
    )

    assert isinstance(found, cfsso.UnconfirmedWriteError)
    expected = Is.CONFLICT if known or clock == 0.0 else Is.UNKNOWN
    assert expected is found.settlement
    assert 1 == [method for _, method in server.log].count("PATCH")


@pytest.mark.parametrize("clock", [None, 0.0, 5 * HOUR, -5 * HOUR])
async def test_a_wrong_date_does_not_matter_to_who_knows(clock: float | None) -> None:
    """What is exactly as it was known before is sent again, whatever the server's Date says."""
    server = Server(LOST, *[OLD] * 5, DONE, clock=clock)
    connectors = cfsso.AsyncSSOConnectors(server)

    await connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True, before=BEFORE)
    assert SENT + LOOKS + AGAIN == server.log


@pytest.mark.parametrize(
    ("clock", "age", "again"),
    [(0.0, HOUR, True), (0.0, 30.0, False), (None, 2 * DAY, False), (-3 * DAY, 2 * DAY, False)],
)
async def test_what_was_not_written_for_a_minute_is_sent_again(
    clock: float | None,
    age: float,
    again: bool,  # noqa: FBT001
) -> None:
    """Without what was known before, the server's clock decides, where there is no doubt."""
    old = success(shown(enabled=False, updated_on=stamp(-age)))
    server = Server(LOST, *[old] * 5, DONE, clock=clock)
    connectors = cfsso.AsyncSSOConnectors(server)

    found = await outcome(connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True))

    assert SENT + LOOKS + (AGAIN if again else []) == server.log
    assert again is isinstance(found, cfsso.SSOConnector)


@pytest.mark.parametrize(
    "before", [attrs.evolve(BEFORE, id=OTHER), attrs.evolve(BEFORE, id=""), {"id": CONNECTOR}, True]
)
async def test_what_was_known_of_another_one_is_refused(before: Any) -> None:
    """What can't be the connector as it was before is refused, and nothing is sent."""
    server = Server(DONE)
    connectors = cfsso.AsyncSSOConnectors(server)

    with pytest.raises(cfsso.InvalidRequestError, match=r"^before must be ") as caught:
        await connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True, before=before)

    assert cfsso.WriteState.NOT_SENT is caught.value.write
    assert [] == server.log


async def test_a_deadline_that_the_next_look_would_miss() -> None:
    """What can't be looked at in time is not waited for."""
    server = Server(LOST, OLD)
    connectors = cfsso.AsyncSSOConnectors(server, deadline=5.0)

    found = await outcome(
        connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True, before=BEFORE)
    )

    assert isinstance(found, cfsso.UnconfirmedWriteError)
    assert Is.NOT_APPLIED is found.settlement
    assert SENT + LOOKS[:2] == server.log
    assert 2.0 == asyncio.get_running_loop().time()


class Slow(Server):
    """Takes four seconds for each answer."""

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Give the next reply, late."""
        try:
            return await super().send(request)
        finally:
            await asyncio.sleep(4.0)


@pytest.mark.parametrize(("deadline", "log"), [(6.0, 2), (11.0, 3), (55.0, 7)])
async def test_a_deadline_in_the_middle(deadline: float, log: int) -> None:
    """A deadline that passes in a read or in the second try leaves an unconfirmed write."""
    server = Slow(LOST, OLD)
    connectors = cfsso.AsyncSSOConnectors(server, deadline=deadline)

    found = await outcome(
        connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True, before=BEFORE)
    )

    assert isinstance(found, cfsso.UnconfirmedWriteError)
    assert Is.UNKNOWN is found.settlement
    assert f"no result within the deadline of {deadline:g} s" in str(found)
    assert log == len(server.log)
    assert deadline == asyncio.get_running_loop().time()


async def test_a_deadline_before_the_first_answer() -> None:
    """A write that is under way at the deadline may have happened."""
    connectors = cfsso.AsyncSSOConnectors(Slow(DONE), deadline=1.0)

    with pytest.raises(cfsso.APITimeoutError) as caught:
        await connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True)

    assert cfsso.WriteState.UNKNOWN is caught.value.write


@pytest.mark.parametrize("seconds", [1.0, 5.0, 7.0, 13.0, 52.0])
async def test_cancelling_ends_it_at_once(seconds: float) -> None:
    """A cancellation passes at once: in the write, a wait, a read and the second try."""
    connectors = cfsso.AsyncSSOConnectors(Slow(LOST, OLD))
    update = connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True, before=BEFORE)
    task = asyncio.create_task(update)

    await asyncio.sleep(seconds)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert seconds == asyncio.get_running_loop().time()


def several(*connectors: dict[str, Any], **members: Any) -> cfsso.Response:
    """Return a list as an answer."""
    return success(list(connectors), **members)


HERE, NOWHERE = several(shown(id=OTHER), WAS), several(shown(id=OTHER))
DELETE = [(0.0, "DELETE")]
DELETES_IN_DOUBT: dict[str, Story] = {
    "gone": Story([LOST, NOWHERE], DELETE + LOOKS[:2], None),
    "gone, later": Story([LOST, HERE, HERE, NOWHERE], DELETE + LOOKS[:4], None),
    "gone and back": Story([LOST, NOWHERE, HERE], DELETE + LOOKS, Is.UNKNOWN),
    "sent again": Story(
        [LOST, *[HERE] * 5, success(None)], DELETE + LOOKS + [(30.0, "DELETE")], None
    ),
    "sent again, not there": Story(
        [LOST, *[HERE] * 5, failure(404), NOWHERE],
        DELETE + LOOKS + [(30.0, "DELETE")] + LATER[:2],
        None,
    ),
    "sent again, not there, but still listed": Story(
        [LOST, *[HERE] * 5, failure(404), HERE],
        DELETE + LOOKS + [(30.0, "DELETE")] + LATER,
        Is.NOT_APPLIED,
    ),
    "sent again, refused": Story(
        [LOST, *[HERE] * 5, failure(409)],
        DELETE + LOOKS + [(30.0, "DELETE")],
        Is.NOT_APPLIED,
    ),
    "left out": Story([LOST, several(result_info={"total_count": 1})], DELETE + LOOKS, Is.UNKNOWN),
    "no such account": Story([LOST, failure(404)], DELETE + LOOKS[:1], Is.UNKNOWN),
    "no list": Story([LOST, success({})], DELETE + LOOKS, Is.UNKNOWN),
    "null, which left some out": Story(
        [LOST, success(None, result_info={"total_count": 1})], DELETE + LOOKS, Is.UNKNOWN
    ),
}


@pytest.mark.parametrize("story", DELETES_IN_DOUBT.values(), ids=list(DELETES_IN_DOUBT))
async def test_a_delete_in_doubt(story: Story) -> None:
    """Gone is what two complete lists in a row do not show; what stays is deleted once more."""
    server = Server(*story.replies)
    error: cfsso.UnconfirmedWriteError | None = None
    try:
        await cfsso.AsyncSSOConnectors(server).delete(CONNECTOR, account_id=ACCOUNT)
    except cfsso.UnconfirmedWriteError as raised:
        error = raised

    assert story.log == server.log
    assert story.end is (error and error.settlement)
    assert {ITEM, COLLECTION} == {request.path for request in server.requests}


MADE = several(shown(id=OTHER, email_domain="x.example"), shown(created_on=stamp(0.5)))
NONE = several()
POST = [(0.0, "POST")]
CREATES_IN_DOUBT: dict[str, Story] = {
    "made": Story([LOST, MADE], POST + LOOKS[:1], None),
    "made, late": Story([LOST, NONE, NONE, MADE], POST + LOOKS[:3], None),
    "a lie, but made": Story(
        [success(shown(email_domain="x.example")), MADE], POST + LOOKS[:1], None
    ),
    "not made": Story([LOST, NONE], POST + LOOKS, Is.NOT_APPLIED),
    "there before": Story(
        [LOST, several(shown(created_on=stamp(-2 * DAY)))], POST + LOOKS[:2], Is.CONFLICT
    ),
    "there for an hour": Story(
        [LOST, several(shown(created_on=stamp(-HOUR)))], POST + LOOKS[:2], Is.CONFLICT
    ),
    "left out": Story([LOST, several(result_info={"total_count": 1})], POST + LOOKS, Is.UNKNOWN),
    "no sight": Story([LOST, failure(403)], POST + LOOKS[:1], Is.UNKNOWN),
}


@pytest.mark.parametrize("story", CREATES_IN_DOUBT.values(), ids=list(CREATES_IN_DOUBT))
async def test_a_create_in_doubt(story: Story) -> None:
    """It is sent once, and what a list shows of its domain and its age is it."""
    server = Server(*story.replies)
    found = await outcome(
        cfsso.AsyncSSOConnectors(server).create(account_id=ACCOUNT, email_domain=DOMAIN)
    )

    assert story.log == server.log
    if isinstance(found, cfsso.SSOConnector):
        assert (None, CONNECTOR) == (story.end, found.id)
    else:
        assert story.end is found.settlement


@pytest.mark.parametrize("clock", [None, 40.0, -40.0])
async def test_a_create_with_a_wrong_date(clock: float | None) -> None:
    """Where the server's Date does not fit, nobody can say whose connector it is."""
    server = Server(LOST, MADE, clock=clock)
    found = await outcome(
        cfsso.AsyncSSOConnectors(server).create(account_id=ACCOUNT, email_domain=DOMAIN)
    )

    assert isinstance(found, cfsso.UnconfirmedWriteError)
    assert Is.UNKNOWN is found.settlement
    assert CONNECTOR == (found.found and found.found.id)
    assert 1 == [method for _, method in server.log].count("POST")


class Losing:
    """A transport to an emulator that loses the first write: its request or its answer."""

    def __init__(self, cloud: cfsso.CloudflareEmulator, what: str) -> None:
        self._inner = cfsso.InMemoryTransport(cloud)
        self._losses = iter([what])

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*, or say that something is lost."""
        lost = next(self._losses, "") if request.is_write else ""
        if lost == "request":
            raise LOST
        response = await self._inner.send(request)
        if lost:
            raise LOST
        return response

    async def aclose(self) -> None:
        """Hold nothing."""


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("operation", ["update", "delete", "create"])
async def test_on_the_emulator(operation: str, lost: str) -> None:
    """On what keeps the API's rules all ends well and is done once, but a create that got lost."""
    cloud = cfsso.CloudflareEmulator(seed=1)
    account = cloud.add_account()
    key = ""
    if operation != "create":
        key = cloud.add_connector(account, email_domain=DOMAIN, status="verified").id
        cloud.advance(2 * DAY)
    connectors = cfsso.AsyncSSOConnectors(Losing(cloud, lost))

    error: cfsso.UnconfirmedWriteError | None = None
    try:
        await OPERATIONS[operation](connectors, key, account)
    except cfsso.UnconfirmedWriteError as raised:
        error = raised

    failed = (operation, lost) == ("create", "request")
    assert (Is.NOT_APPLIED if failed else None) is (error and error.settlement)
    writes = [request.status for request in cloud.requests if request.method != "GET"]
    assert ([] if failed else [200]) == writes


def test_what_a_finding_is_by_itself() -> None:
    """What is not said of a finding is not claimed."""
    finding = Finding(settlement=Is.UNKNOWN)

    assert (None, None, None) == (finding.value, finding.found, finding.error)


@attrs.define
class Model:
    """
    A connector that others write too, behind a network that loses and delays.

    Attributes:
        fates: What becomes of each PATCH, in turn; all others arrive and are answered.
        foreign: When somebody else writes what.
        lag: How old reads are.
        clock: How wrong Date is; None: there is none.
        whole: Whether times are shown in whole seconds.
    """

    fates: list[str]
    foreign: list[tuple[float, bool]]
    lag: float
    clock: float | None
    whole: bool
    states: list[tuple[float, bool]]
    ours: list[float] = attrs.field(factory=list)

    def pass_time(self, now: float) -> None:
        """Let the others write what is due."""
        while self.foreign and self.foreign[0][0] <= now:
            self.states.append(self.foreign.pop(0))

    def shown(self, now: float) -> cfsso.Response:
        """Return how it was shown at that time."""
        since, enabled = next(
            s for s in reversed(self.states) if s[0] <= now or s is self.states[0]
        )
        updated = at(since + 0.25).replace(microsecond=0) if self.whole else at(since + 0.25)
        return success(shown(enabled=enabled, updated_on=updated.isoformat()))

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Answer, late, or not at all."""
        now = asyncio.get_running_loop().time()
        self.pass_time(now)
        reply = self.shown(now - self.lag)
        if request.is_write:
            self.ours.append(now)
            fate = self.fates.pop(0) if self.fates else ""
            if fate != "lose the request":
                self.states.append((now, True))
                reply = self.shown(now)
            await asyncio.sleep(0.75)
            if fate:
                raise LOST
        date = at(asyncio.get_running_loop().time() + 0.25 + (self.clock or 0.0))
        headers = {"date": email.utils.format_datetime(date, usegmt=True)}
        return attrs.evolve(reply, headers={} if self.clock is None else headers)

    async def aclose(self) -> None:
        """Hold nothing."""


@given(
    st.lists(st.sampled_from(["lose the request", "lose the answer"]), max_size=2),
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.5, 1.0, 3.0, 20.0, 29.0]), st.booleans()), max_size=3
    ),
    st.sampled_from([0.0, 0.4, 1.5]),
    st.sampled_from([None, 0.0, 40.0, -40.0]),
    st.booleans(),
    st.sampled_from([-0.2, -5.0, -HOUR, -2 * DAY]),
    st.booleans(),
    st.booleans(),
)
async def test_no_foreign_write_is_undone_and_no_success_is_false(
    fates: list[str],
    foreign: list[tuple[float, bool]],
    lag: float,
    clock: float | None,
    whole: bool,  # noqa: FBT001
    since: float,
    was: bool,  # noqa: FBT001
    known: bool,  # noqa: FBT001
) -> None:
    """Whatever others do and the network loses, a second try follows on no foreign write.

    And what is returned was so, at some moment after the first try was sent.
    """
    begun = asyncio.get_running_loop().time()
    # In each example the loop goes on, so all is reckoned from its present.
    states = [(begun + since, was)]
    model = Model(
        fates, sorted((begun + t, value) for t, value in foreign), lag, clock, whole, states
    )
    before = None
    if known:
        answer = _wire.read(_wire.build_get(CONNECTOR, ACCOUNT), model.shown(begun))
        before = _wire.read_connector(answer, CONNECTOR)

    found = await outcome(
        cfsso.AsyncSSOConnectors(model).update(
            CONNECTOR, account_id=ACCOUNT, enabled=True, before=before
        )
    )

    ended = asyncio.get_running_loop().time()
    others = [time for time, _ in sorted((begun + t, v) for t, v in foreign) if time <= ended]
    assert len(model.ours) <= 2
    if len(model.ours) == 2 and not (whole and clock and clock > 0 and since > -2):
        assert [] == [t for t in others if begun < t <= model.ours[1]]
    if isinstance(found, cfsso.SSOConnector):
        times = [*(time for time, _ in model.states[1:]), ended]
        spans = zip(model.states, times, strict=True)
        assert any(value and until > begun for (_, value), until in spans)
