"""One request of a call, and what its answer says."""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from cfsso import _wire
from cfsso._failures import said_by
from cfsso._listing import Listing, Reading
from cfsso._log import log
from cfsso._text import printable
from cfsso.errors import APIConnectionError, CfssoError, InvalidRequestError, WriteState
from cfsso.events import EventKind
from cfsso.models import SSOConnector
from cfsso.transports._call import Call
from cfsso.transports.base import Request, Response, Transport

_Reading = TypeVar("_Reading", bound=Reading)
Read: TypeAlias = Callable[[Request, Response], _wire.Answer]


async def exchange(
    transport: Transport, call: Call, request: Request, read: Read = _wire.read
) -> _wire.Answer:
    """
    Send *request* and return the answer that reports success, as *read* reads it.

    Raises:
        CfssoError: There is no such answer.
    """
    call.request, call.held, call.sent = request, False, None
    attempts, watched = call.attempts, call.on_event is not None
    begun = call.time() if watched else 0.0
    outcome: Response | CfssoError
    try:
        outcome = await transport.send(request)
    # A transport of somebody else's may forget to tell whether a write may have happened, or
    # raise anything at any point.
    except CfssoError as error:
        outcome = _told(request, error)
    except Exception as error:  # noqa: BLE001 - see above
        outcome = _failed(request, error)
    if call.attempts == attempts and not call.held:
        # No transport on the way has counted.
        call.attempted(request, outcome, call.time() - begun if watched else 0.0)
    if isinstance(outcome, CfssoError):
        raise outcome
    answer = read(request, outcome)
    if warnings := answer.warnings:
        call.warnings += warnings
        call.tell(EventKind.WARNING, warnings=warnings)
        log().warning("%s: %s", request, printable(said_by(warnings), 1000))
    return answer


def _told(request: Request, error: CfssoError) -> CfssoError:
    """Return *error*, which tells of a write whether it may have happened."""
    if error.write is None:
        unsent = isinstance(error, InvalidRequestError)
        error.write = request.write_state(WriteState.NOT_SENT if unsent else WriteState.UNKNOWN)
    return error


def _failed(request: Request, error: Exception) -> CfssoError:
    """Return our error for what a transport should not raise."""
    failed = APIConnectionError(
        f"{request}: the transport failed: {type(error).__name__}",
        write=request.write_state(WriteState.UNKNOWN),
        request=request,
    )
    failed.__cause__ = error
    return failed


async def read_one(
    transport: Transport, call: Call, request: Request, sso_connector_id: str
) -> tuple[_wire.Answer, SSOConnector]:
    """Return the connector that *request* asks for, and the answer it was in."""
    answer = await exchange(transport, call, request)
    return answer, _wire.read_connector(answer, sso_connector_id)


async def read_listing(
    transport: Transport, call: Call, request: Request, make: Callable[[], _Reading]
) -> tuple[_wire.Answer, _Reading, int]:
    """
    Return what took the items of a list of any size, and how many more the list says there are.

    Args:
        transport: What sends.
        call: What it is sent for.
        request: The list.
        make: Makes what takes the items.
    """
    listing = Listing(make)
    call.sink = listing.sink
    try:
        answer = await exchange(transport, call, request, listing.read)
    finally:
        call.sink = None
    return answer, *listing.done(answer)


async def read_all(
    transport: Transport, call: Call, request: Request
) -> tuple[_wire.Answer, tuple[SSOConnector, ...], int]:
    """Return the connectors, their answer, and how many more there are by its own count."""
    answer, reading, left_out = await read_listing(transport, call, request, _wire.StrictReading)
    if left_out:
        if answer.envelope.get("result", ()) is None:
            raise answer.unreadable(f"expected list of {left_out} connectors at $.result")
        log().warning("%s left out %d connectors", request, left_out)
    return answer, tuple(reading.connectors), left_out
