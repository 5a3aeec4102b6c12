"""The six operations: what they report, and what they do when an answer is in doubt."""

import asyncio
import copy
import json
import logging
from typing import Any

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
    READS,
    Scripted,
    failure,
    respond,
    shown,
    success,
)

import cfsso

pytestmark = pytest.mark.virtual_time

LOST = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
PATCH, GET, DELETE, LIST = f"PATCH {ITEM}", f"GET {ITEM}", f"DELETE {ITEM}", f"GET {COLLECTION}"


def over(*replies: cfsso.Response | Exception) -> tuple[cfsso.AsyncSSOConnectors, Scripted]:
    """Return connectors over a transport that gives *replies*, and that transport."""
    transport = Scripted(*replies)
    return cfsso.AsyncSSOConnectors(transport), transport


async def enable(connectors: cfsso.AsyncSSOConnectors) -> cfsso.SSOConnector:
    """Enable the connector."""
    return await connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=True)


async def test_all_six_on_an_emulator() -> None:
    """A connector is created, verified, enabled, shown, disabled and deleted."""
    cloud = cfsso.CloudflareEmulator(poll=0.0)
    account = cloud.add_account()
    async with cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cloud)) as connectors:
        made = await connectors.create(
            account_id=account,
            email_domain=DOMAIN,
            begin_verification=False,
            use_fedramp_language=True,
        )
        assert made.id is not None
        assert made.verification.code is not None
        cloud.dns[DOMAIN] = [made.verification.code]
        await connectors.begin_verification(made.id, account_id=account)
        found = await connectors.get(made.id, account_id=account)
        assert cfsso.VerificationStatus.VERIFIED is found.verification.status
        assert (await connectors.update(made.id, account_id=account, enabled=True)).enabled is True
        assert (found.id,) == tuple(c.id for c in await connectors.list(account_id=account))
        changed = await connectors.update(
            made.id, account_id=account, enabled=False, use_fedramp_language=False
        )
        assert (False, False) == (changed.enabled, changed.use_fedramp_language)
        await connectors.delete(made.id, account_id=account)
        assert () == await connectors.list(account_id=account)


async def test_leaving_closes_the_transport() -> None:
    """Leaving the block closes the transport, also when an error leaves it."""
    connectors, transport = over(success([]))

    async def leave() -> None:
        async with connectors as entered:
            assert connectors is entered
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await leave()
    assert 1 == transport.closed
    await connectors.aclose()
    assert 2 == transport.closed


def test_repr_shows_the_transport() -> None:
    """The connectors show where they lead."""
    assert "AsyncSSOConnectors(Scripted())" == repr(over(success())[0])


async def test_a_confirmed_update_needs_no_read() -> None:
    """An answer that shows the values is enough."""
    connectors, transport = over(success([shown()]))

    assert (await enable(connectors)).enabled is True
    assert [PATCH] == transport.seen


DOUBTS: dict[str, Any] = {
    "lost": LOST,
    "lying echo": success(shown(enabled=False)),
    "another id": success(shown(id=OTHER)),
    "no result": success(None),
    "success false in a 200": respond({"success": False, "errors": [{"code": 1, "message": "no"}]}),
    "html": respond(b"<html>"),
    "cut": respond(success(shown()).body[:-1]),
    "500": failure(500, {"code": 20500, "message": "no"}),
    "524": failure(524),
    "408": failure(408),
    "302": failure(302, location="https://evil.example"),
    "204": respond(b"", 204),
}
every_doubt = pytest.mark.parametrize("doubt", DOUBTS.values(), ids=DOUBTS)


@every_doubt
async def test_an_update_in_doubt_is_read(doubt: Any) -> None:
    """What reads show to have happened is a success, and was sent once."""
    connectors, transport = over(doubt, success(shown()))

    assert (await enable(connectors)).enabled is True
    assert [PATCH, GET] == transport.seen


@every_doubt
@pytest.mark.parametrize(
    ("said", "reply", "reads"),
    [
        ("; a read shows enabled=False", success(shown(enabled=False)), 5),
        ("; a read shows enabled=None", success({"id": CONNECTOR}), 5),
        (f"; reading failed too: 403 from {GET}: no reason given", failure(403), 1),
        (f"; reading failed too: 200 from {GET}: an empty body", respond(b""), 5),
        ("; reading failed too: lost", cfsso.APITimeoutError("lost"), 5),
    ],
)
async def test_an_update_that_no_read_shows(doubt: Any, said: str, reply: Any, reads: int) -> None:
    """What no read shows is unconfirmed, and the error tells what the answer told."""
    connectors, transport = over(doubt, reply)

    with pytest.raises(cfsso.UnconfirmedWriteError) as caught:
        await enable(connectors)

    error, cause = caught.value, caught.value.__cause__
    assert isinstance(cause, cfsso.CfssoError)
    assert f"may or may not have happened: {cause}{said}" == str(error)
    assert vars(cause) == {name: vars(error)[name] for name in vars(cause)}
    assert cfsso.WriteState.UNKNOWN is error.write
    assert (doubt.status if isinstance(doubt, cfsso.Response) else None) == error.status
    assert (RAY if isinstance(doubt, cfsso.Response) else None) == error.ray_id
    assert cfsso.Settlement.UNKNOWN is error.settlement
    assert [PATCH, *[GET] * reads] == transport.seen


REFUSALS: dict[str, Any] = {
    "409": failure(409),
    "429": failure(429, retry_after="5"),
    "400": failure(400, {"code": 9106}),
    "not sent": cfsso.APIConnectionError("no", write=cfsso.WriteState.NOT_SENT),
    "closed": cfsso.InvalidRequestError("closed"),
}


@pytest.mark.parametrize("operation", ["update", "delete", "create", "begin_verification"])
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_is_no_doubt(operation: str, refusal: Any) -> None:
    """What surely did not happen is reported as it is, without a read."""
    connectors, transport = over(refusal)

    with pytest.raises(cfsso.CfssoError) as caught:
        await OPERATIONS[operation](connectors, CONNECTOR, ACCOUNT)

    assert not isinstance(caught.value, cfsso.UnconfirmedWriteError)
    assert cfsso.WriteState.UNKNOWN is not caught.value.write
    assert 1 == len(transport.requests)


@pytest.mark.parametrize("operation", ["create", "begin_verification"])
@pytest.mark.parametrize("name", ["lost", "success false in a 200", "html", "cut", "500", "302"])
async def test_some_writes_are_sent_once(operation: str, name: str) -> None:
    """A create or a begin_verification in doubt is not repeated."""
    connectors, transport = over(DOUBTS[name])

    with pytest.raises(cfsso.CfssoError) as caught:
        await OPERATIONS[operation](connectors, CONNECTOR, ACCOUNT)

    assert cfsso.WriteState.UNKNOWN is caught.value.write
    assert 1 == len([request for request in transport.requests if request.is_write])
    assert operation == "create" or len(transport.requests) == 1


@pytest.mark.parametrize(
    "shows",
    [{"use_fedramp_language": False}, {"email_domain": "other.example"}, {"id": None}],
    ids=str,
)
async def test_a_create_must_show_what_was_asked_for(shows: dict[str, Any]) -> None:
    """A create whose answer shows something else than was asked for is in doubt."""
    connectors, transport = over(success(shown(**{"use_fedramp_language": True, **shows})))

    with pytest.raises(cfsso.UnconfirmedWriteError) as caught:
        await connectors.create(account_id=ACCOUNT, email_domain=DOMAIN, use_fedramp_language=True)

    assert isinstance(caught.value.__cause__, cfsso.APIResponseValidationError)
    assert [f"POST {COLLECTION}", *[LIST] * 5] == transport.seen


async def test_a_list_may_be_null() -> None:
    """It is empty, unless the answer says that it is not."""
    connectors, _ = over(success(None, result_info={"total_count": 0}))
    others, _ = over(success(None, result_info={"total_count": 2}))

    assert () == await connectors.list(account_id=ACCOUNT)
    with pytest.raises(cfsso.APIResponseValidationError, match="expected list of 2 connectors at"):
        await others.list(account_id=ACCOUNT)


@pytest.mark.parametrize("reply", [success(None), success(), success({"id": CONNECTOR})])
async def test_a_confirmed_delete_needs_no_read(reply: cfsso.Response) -> None:
    """An answer that confirms a delete is enough."""
    connectors, transport = over(reply)

    await connectors.delete(CONNECTOR, account_id=ACCOUNT)
    assert [DELETE] == transport.seen


@pytest.mark.parametrize("name", ["lost", "another id", "html", "500", "204"])
async def test_a_delete_in_doubt_is_looked_up(name: str) -> None:
    """A connector that two complete lists no longer have was deleted."""
    connectors, transport = over(DOUBTS[name], success([shown(id=OTHER)]))

    await connectors.delete(CONNECTOR, account_id=ACCOUNT)
    assert [DELETE, LIST, LIST] == transport.seen


@pytest.mark.parametrize(
    ("said", "reply", "lists"),
    [
        ("; a list left out 4 connectors", success([], result_info={"total_count": 4}), 5),
        ("; a list shows one without an id", success([shown(id=None)]), 5),
        (f"; reading failed too: 404 from {LIST}: no reason given", failure(404), 1),
        (f"; reading failed too: 200 from {LIST}: expected list at $.result", success({}), 5),
    ],
)
async def test_a_delete_that_no_list_shows(said: str, reply: cfsso.Response, lists: int) -> None:
    """A delete that no list can confirm is unconfirmed."""
    connectors, transport = over(DOUBTS["500"], reply)

    with pytest.raises(cfsso.UnconfirmedWriteError) as caught:
        await connectors.delete(CONNECTOR, account_id=ACCOUNT)

    assert str(caught.value).endswith(said)
    assert (500, RAY) == (caught.value.status, caught.value.ray_id)
    assert (cfsso.ResponseInfo(code=20500, message="no"),) == caught.value.errors
    assert [DELETE, *[LIST] * lists] == transport.seen


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("raised", "write"),
    [
        (cfsso.APIConnectionError("lost"), cfsso.WriteState.UNKNOWN),
        (cfsso.InvalidRequestError("closed"), cfsso.WriteState.NOT_SENT),
        (ZeroDivisionError("a bug"), cfsso.WriteState.UNKNOWN),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_transport_that_does_not_tell(
    operation: str, raised: Exception, write: cfsso.WriteState
) -> None:
    """What a transport forgets to say of a write counts as in doubt, but not a refusal of ours."""
    connectors, transport = over(copy.copy(raised))

    with pytest.raises(cfsso.CfssoError) as caught:
        await OPERATIONS[operation](connectors, CONNECTOR, ACCOUNT)

    assert (None if operation in READS else write) is caught.value.write
    assert isinstance(raised, cfsso.CfssoError) or "ZeroDivisionError" in str(caught.value)
    writes = [request for request in transport.requests if request.is_write]
    assert (0 if operation in READS else 1) == len(writes)


async def test_options_of_a_copy() -> None:
    """A copy has the options that were given and all others, and shares the transport."""
    connectors, transport = over(success([]))
    events: list[cfsso.Event] = []

    copied = connectors.with_options(deadline=1, max_wait=2.5, on_event=events.append)
    again = copied.with_options()

    await connectors.list(account_id=ACCOUNT)
    assert [] == events
    await again.list(account_id=ACCOUNT)
    assert cfsso.EventKind.END is events[-1].kind
    await again.with_options(deadline=None, max_wait=None, on_event=None).list(account_id=ACCOUNT)
    assert 2 == len(events)
    assert type(connectors) is type(again)
    await copied.aclose()
    assert (3, 1) == (len(transport.requests), transport.closed)


@pytest.mark.parametrize("option", ["deadline", "max_wait"])
@pytest.mark.parametrize("value", [-1, True, "1", float("nan")], ids=repr)
async def test_impossible_options_are_refused(option: str, value: Any) -> None:
    """What is no number of seconds is refused by name, at once and in a copy."""
    connectors: Any = over(success([]))[0]

    with pytest.raises(cfsso.InvalidRequestError, match=f"^{option} must be seconds from 0"):
        cfsso.AsyncSSOConnectors(Scripted(success([])), **{option: value})
    with pytest.raises(cfsso.InvalidRequestError, match=f"^{option} must be seconds from 0"):
        connectors.with_options(**{option: value})


async def test_a_deadline_of_a_read() -> None:
    """A read that takes too long ends at the deadline."""

    class Slow(Scripted):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            await asyncio.sleep(5.0)
            return await super().send(request)

    connectors = cfsso.AsyncSSOConnectors(Slow(success([])), deadline=4.0)
    with pytest.raises(cfsso.APITimeoutError, match="no result within the deadline of 4 s") as e:
        await connectors.list(account_id=ACCOUNT)
    assert None is e.value.write
    assert () == await connectors.with_options(deadline=6.0).list(account_id=ACCOUNT)


async def test_a_list_that_is_not_all(caplog: pytest.LogCaptureFixture) -> None:
    """A list that knows of more connectors than it has is returned with a warning."""
    connectors, _ = over(success([shown()], result_info={"total_count": 3}))

    assert 1 == len(await connectors.list(account_id=ACCOUNT))
    expected = ("cfsso", logging.WARNING, f"{LIST} left out 2 connectors")
    assert [expected] == caplog.record_tuples


async def test_warnings_of_a_success_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What a success warns of is logged, escaped, and changes nothing."""
    odd = {"code": 10000, "message": "active\x1b[2J\nnext"}
    connectors, _ = over(success(shown(), errors=[odd], messages=["hint"]))

    assert (await enable(connectors)).enabled is True
    assert [f"{PATCH}: 10000 active\\x1b[2J\\nnext; hint"] == caplog.messages


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
MEMBERS = ["success", "errors", "messages", "result", "result_info"]
FIELDS = ["id", "email_domain", "enabled", "use_fedramp_language", "verification", "updated_on"]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Give bytes: random, random JSON, or a valid envelope that was changed a little."""
    kind = draw(st.sampled_from(["bytes", "json", "members", "cut", "valid"]))
    if kind == "bytes":
        return draw(st.binary())
    if kind == "json":
        return json.dumps(draw(json_values)).encode()
    connector: dict[str, Any] = draw(st.sampled_from([shown(), shown(enabled=False), {}]))
    if kind == "members":
        connector |= draw(st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=2))
    result = draw(st.sampled_from([connector, [connector], [connector, shown(id=OTHER)], [], None]))
    envelope: dict[str, Any] = {"success": True, "errors": [], "messages": [], "result": result}
    if kind == "members":
        envelope |= draw(st.dictionaries(st.sampled_from(MEMBERS), json_values, max_size=2))
    body = json.dumps(envelope).encode()
    if kind == "cut":
        start = draw(st.integers(0, len(body)))
        body = body[:start] + draw(st.binary(max_size=3)) + body[start + draw(st.integers(0, 3)) :]
    return body


def is_shown(operation: str, body: bytes) -> bool:
    """Say whether *body*, read without any of our code, is a success of *operation*."""
    envelope = json.loads(body)
    result = envelope.get("result")
    found = result if isinstance(result, list) else [result]
    ours = [c for c in found if isinstance(c, dict) and c.get("id") == CONNECTOR]
    holds = {
        "list": isinstance(result, list) or ("result" in envelope and result is None),
        "get": len(ours) == 1,
        "create": [c.get("email_domain") for c in found if isinstance(c, dict)] == [DOMAIN],
        "update": len(ours) == 1 and ours[0].get("enabled") is True,
        # By its own answer, or by the same answer taken as a list.
        "delete": result is None or bool(ours) != isinstance(result, list),
        "begin_verification": True,
    }
    return envelope["success"] is True and holds[operation]


@pytest.mark.parametrize("operation", OPERATIONS)
@given(
    bodies(),
    st.sampled_from([200, 200, 200, 201, 204]) | st.integers(100, 599),
    st.dictionaries(
        st.sampled_from(["cf-ray", "retry-after", "date", "ratelimit", "cf-mitigated", "location"]),
        st.text() | st.just("challenge"),
    ),
)
async def test_no_answer_does_harm(
    operation: str, body: bytes, status: int, headers: dict[str, str]
) -> None:
    """Whatever the answer, it is an error of ours or a success that the answer itself shows."""
    connectors, _ = over(cfsso.Response(status, headers, body))
    try:
        await OPERATIONS[operation](connectors, CONNECTOR, ACCOUNT)
    except cfsso.CfssoError:
        return

    assert 200 <= status < 300
    assert is_shown(operation, body)
