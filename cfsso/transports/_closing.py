"""Connections are closed by the event loop that they belong to, also when another one asks."""

import asyncio
import gc
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from cfsso.errors import InvalidRequestError

_Work: TypeAlias = Coroutine[Any, Any, None]
# Seconds that a loop in another thread has for it.
_PATIENCE: Final = 5.0


async def close_on(
    loop: asyncio.AbstractEventLoop,
    close: Callable[[], _Work],
    drop: Callable[[], None],
) -> None:
    """
    Close connections of *loop*, which is not the running one.

    Args:
        loop: Whose connections they are.
        close: Closes them; runs on that loop.
        drop: Lets go of all that leads to them, which is what can be done for a closed loop.

    Raises:
        InvalidRequestError: They could not be closed yet; the message says how to.
    """
    if loop.is_running():
        await _on_its_thread(loop, close())
    elif not loop.is_closed():
        await _in_a_pause(loop, close())
    if loop.is_closed():
        drop()
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            # A closed loop closes nothing, but a socket that nobody knows is closed at once.
            gc.collect()


async def _on_its_thread(loop: asyncio.AbstractEventLoop, work: _Work) -> None:
    try:
        closing = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))
    except RuntimeError:
        # It was closed in this very moment.
        work.close()
        return
    done, _ = await asyncio.wait({closing}, timeout=_PATIENCE)
    if not done and not loop.is_closed():
        raise InvalidRequestError(
            "the transport's own event loop, in another thread, has not closed it within"
            f" {_PATIENCE:g} s: close it there"
        )


async def _in_a_pause(loop: asyncio.AbstractEventLoop, work: _Work) -> None:
    # Their steps would run in another thread than before.
    busy = bool(asyncio.all_tasks(loop))
    if not busy:
        try:
            await asyncio.to_thread(loop.run_until_complete, work)
        except RuntimeError:
            # It went on, or was closed, in this very moment.
            busy = not loop.is_closed()
    work.close()
    if busy:
        raise InvalidRequestError(
            "the transport belongs to an event loop that has other work and does not run now:"
            " close it there, with run_until_complete"
        )
