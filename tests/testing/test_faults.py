"""Each fault by what the caller sees, and by what is true on the other side."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

import cfsso
from cfsso import _wire
from cfsso._listing import Listing
from cfsso.testing import (
    FAULTS,
    Fault,
    FaultyTransport,
    Line,
    alter_answer,
    answer_with,
    delay_answer,
    delay_request,
    false_success,
    run_in_virtual_time,
    stale_read,
    time_out,
)
from cfsso.transports.base import MAX_BODY

DOMAIN = "mail.nordwind.example"
OTHER = "other.nordwind.example"


@attrs.define
class World:
    """An account with one connector behind faults, and the way around them."""

    transport: FaultyTransport
    cloud: cfsso.CloudflareEmulator
    account: str
    connector: str

    @classmethod
    def new(cls) -> "World":
        """Make a world in which nothing goes wrong."""
        cloud = cfsso.CloudflareEmulator(seed=1)
        account = cloud.add_account()
        seeded = cloud.add_connector(account, email_domain=DOMAIN, status="verified")
        return cls(FaultyTransport(cfsso.InMemoryTransport(cloud)), cloud, account, seeded.id)

    @property
    def enabled(self) -> bool | None:
        """Whether the connector really is enabled."""
        return self.cloud.connector(self.account, self.connector).enabled

    async def list(self) -> tuple[cfsso.SSOConnector, ...]:
        """List once."""
        request, listing = _wire.build_list(self.account), Listing(_wire.StrictReading)
        answer = listing.read(request, await self.transport.send(request))
        return tuple(listing.done(answer)[0].connectors)

    async def get(self) -> cfsso.SSOConnector:
        """Read once."""
        request = _wire.build_get(self.connector, self.account)
        answer = _wire.read(request, await self.transport.send(request))
        return _wire.read_connector(answer, self.connector)

    async def update(self) -> None:
        """Send the update once."""
        request = _wire.build_update(self.connector, self.account, True, cfsso.UNSET)  # noqa: FBT003
        answer = _wire.read(request, await self.transport.send(request))
        _wire.read_updated(answer, self.connector, {"enabled": True})

    async def create(self) -> None:
        """Send the create once."""
        request = _wire.build_create(self.account, OTHER, cfsso.UNSET, cfsso.UNSET)
        answer = _wire.read(request, await self.transport.send(request))
        _wire.read_created(answer, OTHER, {})

    async def delete(self) -> None:
        """Send the delete once."""
        request = _wire.build_delete(self.connector, self.account)
        answer = _wire.read(request, await self.transport.send(request))
        _wire.check_deleted(answer, self.connector)

    async def begin_verification(self) -> None:
        """Send the beginning of a verification once."""
        request = _wire.build_begin_verification(self.connector, self.account)
        _wire.read(request, await self.transport.send(request))

    @property
    def writes(self) -> int:
        """How many writes the server has done."""
        return sum(1 for entry in self.cloud.requests if entry.method != "GET")


def in_world(main: Callable[[World], Awaitable[Any]]) -> World:
    """Run *main* in a new world and in virtual time; return the world."""
    world = World.new()

    async def run() -> None:
        await main(world)
        await world.transport.aclose()

    run_in_virtual_time(run())
    return world


async def failure_of(sending: Awaitable[Any]) -> cfsso.CfssoError | None:
    """Return how *sending* fails. ``None``: it does not."""
    try:
        await sending
    except cfsso.CfssoError as error:
        return error
    return None


every_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
WRITES: dict[str, Callable[[World], Awaitable[None]]] = {
    "update": World.update,
    "create": World.create,
    "delete": World.delete,
    "begin_verification": World.begin_verification,
}
every_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


def test_every_fault_has_the_name_that_it_is_found_by() -> None:
    """A name counts one fault, and says whether the write was done if both can be."""
    assert list(FAULTS) == [fault.name for fault in FAULTS.values()]
    done = {name.removesuffix("_not_applied") for name in FAULTS if "_not_applied" in name}
    assert done == {
        name.removesuffix("_applied")
        for name in FAULTS
        if name.endswith("_applied") and not name.endswith("_not_applied")
    }


@every_fault
def test_an_update_is_in_doubt_if_the_fault_is_ambiguous(fault: Fault) -> None:
    """After an ambiguous fault an update is unknown; after others, what is known is true."""
    failure: cfsso.CfssoError | None = None

    async def main(world: World) -> None:
        nonlocal failure
        world.transport.on(fault, times=None)
        failure = await failure_of(world.update())
        assert [fault.name] * (fault.name != "stale_read") == list(world.transport.injected)

    world = in_world(main)

    if fault.name in {"edge_525", "edge_526"}:
        # Nothing was sent on for want of TLS, which a client may know, or doubt.
        assert not fault.ambiguous
        assert not world.enabled
        return
    assert fault.ambiguous == (failure is not None and failure.write == "unknown")
    if not fault.ambiguous:
        assert world.enabled == (failure is None)


@every_fault
@every_write
def test_what_is_known_of_a_write_is_true(
    fault: Fault, write: Callable[[World], Awaitable[None]]
) -> None:
    """No fault makes a write that was not done look done, or one that was done look refused."""
    failure: cfsso.CfssoError | None = None

    async def main(world: World) -> None:
        nonlocal failure
        world.transport.on(fault)
        failure = await failure_of(write(world))

    world = in_world(main)

    if failure is None:
        assert 1 == world.writes
    elif failure.write != "unknown":
        assert 0 == world.writes


@every_fault
@pytest.mark.parametrize("read", [World.get, World.list], ids=["get", "list"])
def test_a_read_is_right_or_fails(fault: Fault, read: Callable[[World], Awaitable[Any]]) -> None:
    """A read shows the connector as it is, or fails as a read."""
    failure: cfsso.CfssoError | None = None

    async def main(world: World) -> None:
        nonlocal failure
        truth = await read(world)
        world.transport.on(fault)
        try:
            found = await read(world)
        except cfsso.CfssoError as error:
            failure = error
        else:
            assert of_interest(truth) == of_interest(found)

    in_world(main)

    assert failure is None or failure.write is None


def of_interest(found: Any) -> list[Any]:
    """Return which connectors there are, and whether they are enabled."""
    connectors = found if isinstance(found, tuple) else (found,)
    return [(connector.id, connector.enabled) for connector in connectors]


@pytest.mark.parametrize("name", [name for name in FAULTS if "applied" in name])
def test_a_name_says_whether_the_write_was_done(name: str) -> None:
    """What is applied is done, and what is not applied is not."""

    async def main(world: World) -> None:
        world.transport.on(FAULTS[name])
        await failure_of(world.update())

    assert (not name.endswith("_not_applied")) == in_world(main).enabled


@pytest.mark.parametrize(
    ("name", "kind", "write"),
    [
        ("fail_dns", cfsso.APIConnectionError, "not_sent"),
        ("refuse_connection", cfsso.APIConnectionError, "not_sent"),
        ("time_out_connecting", cfsso.APITimeoutError, "not_sent"),
        ("fail_tls", cfsso.APIConnectionError, "not_sent"),
        ("lose_request", cfsso.APIConnectionError, "unknown"),
        ("lose_answer", cfsso.APIConnectionError, "unknown"),
        ("time_out_applied", cfsso.APITimeoutError, "unknown"),
        ("time_out_not_applied", cfsso.APITimeoutError, "unknown"),
        ("delay_request", cfsso.APIConnectionError, "unknown"),
        ("status_500_applied", cfsso.InternalServerError, "unknown"),
        ("status_408_not_applied", cfsso.APIStatusError, "unknown"),
        ("status_302_applied", cfsso.APIStatusError, "unknown"),
        ("status_400", cfsso.BadRequestError, "refused"),
        ("status_401", cfsso.AuthenticationError, "refused"),
        ("status_403", cfsso.PermissionDeniedError, "refused"),
        ("challenge", cfsso.PermissionDeniedError, "refused"),
        ("status_404", cfsso.NotFoundError, "refused"),
        ("status_409", cfsso.ConflictError, "refused"),
        ("status_422", cfsso.UnprocessableEntityError, "refused"),
        ("status_429", cfsso.RateLimitError, "refused"),
        ("cut_json", cfsso.APIResponseValidationError, "unknown"),
        ("oversize_body", cfsso.APIResponseValidationError, "unknown"),
        ("another_connector", cfsso.APIResponseValidationError, "unknown"),
        ("success_false_applied", cfsso.APIResponseValidationError, "unknown"),
    ],
)
def test_what_the_caller_sees(name: str, kind: type[cfsso.CfssoError], write: str) -> None:
    """A fault ends in the very error that the real thing ends in, with what was sent."""

    async def main(world: World) -> None:
        world.transport.on(FAULTS[name])
        failure = await failure_of(world.update())
        assert failure is not None
        assert kind is type(failure)
        assert write == failure.write
        assert failure.request is not None
        assert failure.request.body == b'{"enabled":true}'

    in_world(main)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("status_429", 300.0),
        ("status_429_retry_after_seconds", 30.0),
        ("status_429_retry_after_date", 30.0),
        ("status_429_retry_after_garbage", 300.0),
        ("status_429_retry_after_negative", 300.0),
        ("status_503_retry_after_applied", 5.0),
        ("status_503_applied", None),
    ],
)
def test_how_long_to_wait(name: str, seconds: float | None) -> None:
    """`Retry-After` comes in every form, the same each time."""

    async def main(world: World) -> None:
        world.transport.on(FAULTS[name])
        failure = await failure_of(world.update())
        assert failure is not None
        assert seconds == failure.retry_after

    in_world(main)


def the_answer(name: str) -> cfsso.Response:
    """Return what arrives in place of the answer to an update."""
    found: list[cfsso.Response] = []

    async def main(world: World) -> None:
        request = _wire.build_update(world.connector, world.account, True, cfsso.UNSET)  # noqa: FBT003
        world.transport.on(FAULTS[name])
        found.append(await world.transport.send(request))

    in_world(main)
    return found[0]


def result_of(name: str) -> Any:
    """Return the result that arrives in answer to an update."""
    return json.loads(the_answer(name).body)["result"]


@pytest.mark.parametrize(
    ("name", "status"),
    [("no_content_applied", 204), ("partial_content", 206), ("html_page_applied", 200)]
    + [(f"status_{status}_applied", status) for status in (408, 425, 500, 520, 527, 530, 308)],
)
def test_statuses(name: str, status: int) -> None:
    """The status is the one that the name tells of."""
    assert status == the_answer(name).status


def test_bodies() -> None:
    """What is said of a body holds byte for byte."""
    assert MAX_BODY + 1 == len(the_answer("oversize_body").body)
    assert b"" == the_answer("empty_body_applied").body
    assert the_answer("byte_order_mark").body.startswith(b"\xef\xbb\xbf{")
    assert the_answer("utf16").body.decode("utf-16").startswith("{")
    assert the_answer("duplicate_keys").body.startswith(b'{"success":false,"result":')
    assert b'"success":true' in the_answer("duplicate_keys").body
    assert b"NaN" in the_answer("not_a_number").body
    assert b"\xff" in the_answer("bad_utf8").body
    assert b"[" * 100_000 in the_answer("deep_nesting").body
    assert b"9" * 5000 in the_answer("huge_int").body
    assert rb"\ud800" in the_answer("lone_surrogate").body
    assert MAX_BODY > len(the_answer("deep_nesting").body)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(the_answer("cut_json").body)


def test_headers() -> None:
    """What is said of a header holds."""
    assert '"default";r=0;t=30' == the_answer("ratelimit_exhausted").headers["ratelimit"]
    assert "text/plain" == the_answer("wrong_content_type").headers["content-type"]
    assert the_answer("status_301_applied").headers["location"].startswith("https://elsewhere")
    assert "challenge" == the_answer("challenge").headers["cf-mitigated"]


def test_results() -> None:
    """What is said of the connector shown holds, for an update and for a list."""
    assert [True] == [item["enabled"] for item in result_of("list_of_one")]
    assert ["false", 0, 1, None] == [
        result_of(f"enabled_as_{form}")["enabled"] for form in ("text", "zero", "one", "null")
    ]
    assert "0" * 31 + "1" == result_of("wrong_id")["id"]
    assert "another.example" == result_of("another_connector")["email_domain"]
    assert "quantum" == result_of("unknown_verification_status")["verification"]["status"]
    assert {"enabled": 7} == result_of("extra_fields")["brand_new"]
    assert "updated_on" not in result_of("missing_optional_fields")
    assert False is result_of("lying_echo_applied")["enabled"]
    assert False is result_of("lying_echo_not_applied")["enabled"]


def test_an_answer_without_a_connector_stays_as_it_is() -> None:
    """What changes connectors leaves an answer alone that shows none."""

    async def main(world: World) -> None:
        world.connector = "f" * 32
        for name in ("list_of_one", "extra_fields", "wrong_id", "lying_echo_applied"):
            world.transport.on(FAULTS[name])
            failure = await failure_of(world.update())
            assert isinstance(failure, cfsso.NotFoundError), name
        html = answer_with(200, applied=False, body=b"<html>")
        deep = answer_with(200, applied=False, body=b"[" * 100_000)
        for made in (html, deep):
            outer = FaultyTransport(world.transport)
            world.transport.on(made)
            outer.on(FAULTS["extra_fields"])
            request = _wire.build_get(world.connector, world.account)
            assert made.name == "status_200_not_applied"
            assert (await outer.send(request)).body[:1] in {b"<", b"["}

    in_world(main)


def test_a_lying_echo_lies_of_the_wish_only() -> None:
    """An update whose body is no JSON gets an honest echo."""

    async def main(world: World) -> None:
        path = f"/accounts/{world.account}/sso_connectors/{world.connector}"
        for body in (None, b"[]", b"not JSON"):
            world.transport.on(FAULTS["lying_echo_not_applied"])
            answer = await world.transport.send(cfsso.Request("PATCH", path, body))
            assert False is json.loads(answer.body)["result"]["enabled"]

    in_world(main)


def test_a_false_success_is_what_its_name_says() -> None:
    """The one fault that nobody sees through is none of the catalogue."""

    async def main(world: World) -> None:
        world.transport.on(false_success)
        await world.update()

    assert False is in_world(main).enabled
    assert "false_success" not in FAULTS


def test_how_long_faults_take() -> None:
    """A fault takes its time, and the server does its part at once."""

    async def main(world: World) -> None:
        loop = asyncio.get_running_loop()
        world.transport.on(time_out(7, applied=True))
        assert isinstance(await failure_of(world.update()), cfsso.APITimeoutError)
        assert 7.0 == loop.time()
        world.transport.on(delay_answer(11.5))
        await world.get()
        assert 18.5 == loop.time()
        assert [0.0, 7.0] == [round(entry.time, 6) for entry in world.cloud.requests]

    in_world(main)


def test_a_delayed_request_is_done_later() -> None:
    """A zombie write is unknown now and done after its delay, unless the transport is closed."""

    async def main(world: World) -> None:
        world.transport.on(delay_request(30))
        assert isinstance(await failure_of(world.update()), cfsso.APIConnectionError)
        assert 1 == world.transport.delayed
        world.transport.heal()
        await asyncio.sleep(29.9)
        assert not world.enabled
        await asyncio.sleep(0.2)
        assert world.enabled
        assert 0 == world.transport.delayed

    in_world(main)


def test_closing_drops_what_is_delayed() -> None:
    """After `aclose` nothing arrives any more, and no task is left."""

    async def main(world: World) -> None:
        world.transport.on(delay_request(30))
        await failure_of(world.update())
        await world.transport.aclose()
        assert 0 == world.transport.delayed
        assert 1 == len(asyncio.all_tasks())
        await asyncio.sleep(60)

    assert not in_world(main).enabled


def test_nothing_is_delayed_beyond_the_end() -> None:
    """What a fault wants to send later, after the transport was closed, is dropped too."""

    async def late(request: cfsso.Request, send: Line) -> cfsso.Response:
        await asyncio.sleep(1)
        send.later(request, 1)
        raise cfsso.APITimeoutError("late", request=request)

    async def main(world: World) -> None:
        world.transport.on(Fault("late", late))
        sending = asyncio.create_task(failure_of(world.update()))
        await asyncio.sleep(0.5)
        await world.transport.aclose()
        assert isinstance(await sending, cfsso.APITimeoutError)
        assert 0 == world.transport.delayed

    assert not in_world(main).enabled


def test_a_delayed_request_may_fail() -> None:
    """Nobody hears of it if a delayed request fails."""

    class Broken(cfsso.InMemoryTransport):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            raise RuntimeError(str(request))

    async def main(world: World) -> None:
        world.transport = FaultyTransport(Broken(world.cloud))
        world.transport.on(delay_request(1))
        await failure_of(world.update())
        await asyncio.sleep(2)
        assert 0 == world.transport.delayed

    in_world(main)


def test_a_fault_of_your_own() -> None:
    """A fault is a name and a function, and so is a change of the real answer."""

    def teapot(response: cfsso.Response) -> cfsso.Response:
        return attrs.evolve(response, status=418)

    async def main(world: World) -> None:
        fault = alter_answer("teapot", teapot)
        world.transport.on(fault)
        failure = await failure_of(world.update())
        assert failure is not None
        assert 418 == failure.status
        assert "Fault(name='teapot', ambiguous=True)" == repr(fault)

    assert in_world(main).enabled


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: time_out(-1, applied=True), "seconds must be a finite number"),
        (lambda: time_out(1, applied="yes"), "applied must be true or false"),  # type: ignore[arg-type]
        (lambda: delay_request(float("inf")), "seconds must be a finite number"),
        (lambda: delay_answer(float("nan")), "seconds must be a finite number"),
        (lambda: stale_read("1"), "within must be a finite number"),  # type: ignore[arg-type]
        (lambda: answer_with(99, applied=True), "status must be a whole number from 100 to 599"),
        (lambda: answer_with(200.0, applied=True), "status must be"),  # type: ignore[arg-type]
        (lambda: answer_with(200, applied=None), "applied must be true or false"),  # type: ignore[arg-type]
    ],
    ids=map(str, range(8)),
)
def test_wrong_arguments_of_faults(make: Callable[[], Fault], problem: str) -> None:
    """What can't be meant is refused by its name."""
    with pytest.raises(cfsso.InvalidRequestError, match=problem):
        make()


def test_a_refusal_that_lies_is_ambiguous() -> None:
    """An applied 4xx says that nothing was done, so it is no refusal to rely on."""
    assert not answer_with(403, applied=False).ambiguous
    assert answer_with(403, applied=True).ambiguous
    assert answer_with(408, applied=False).ambiguous


def test_tls_that_fails_is_not_tried_again() -> None:
    """Of what is not sent only a TLS failure says that another try is of no use."""
    found = []

    async def main(world: World) -> None:
        for name in ("fail_dns", "refuse_connection", "time_out_connecting", "fail_tls"):
            world.transport.on(FAULTS[name])
            error = await failure_of(world.update())
            assert isinstance(error, cfsso.APIConnectionError)
            found.append(error.retryable)

    in_world(main)
    assert [True, True, True, False] == found
