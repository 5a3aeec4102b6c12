"""The transport whose other end is an emulator in this process."""

from collections.abc import Generator
from types import coroutine

from cfsso.emulator.cloud import CloudflareEmulator
from cfsso.errors import InvalidRequestError, WriteState
from cfsso.transports.base import Request, Response


class InMemoryTransport:
    """
    A `cfsso.Transport` to an emulator.

    Args:
        cloud: The emulator, which may have any number of transports.
        api_token:
            What to present in ``Authorization``. ``None``: nothing, and the emulator
            trusts this process.
    """

    __slots__ = ("_closed", "_cloud", "_headers")

    def __init__(self, cloud: CloudflareEmulator, *, api_token: str | None = None) -> None:
        self._cloud = cloud
        self._closed = False
        self._headers = None if api_token is None else {"authorization": f"Bearer {api_token}"}

    def __repr__(self) -> str:
        return f"InMemoryTransport({self._cloud!r})"

    @property
    def server(self) -> str:
        """The emulator that it reaches, as ``emulated:`` and its identity."""
        return f"emulated:{self._cloud.identity}"

    async def send(self, request: Request) -> Response:
        """
        Put *request* to the emulator; the answer comes after the emulator's latency.

        The work is done at once, so cancelling the wait leaves a write done.

        Raises:
            InvalidRequestError: The transport is closed.
        """
        if self._closed:
            msg = "the transport is closed"
            write = request.write_state(WriteState.NOT_SENT)
            raise InvalidRequestError(msg, write=write, request=request)
        response = self._cloud.handle(request, self._headers)
        if self._cloud.latency > 0:
            # Not above, since it is slow to load and the emulator does without.
            import asyncio

            await asyncio.sleep(self._cloud.latency)
        else:
            await _a_turn()
        return response

    async def aclose(self) -> None:
        """Send nothing more. The emulator stays as it is."""
        self._closed = True


@coroutine
def _a_turn() -> Generator[None]:
    # What asyncio.sleep(0) does, in half the time.
    yield
