"""
Looks names up in threads that nobody waits for.

The default executor of an event loop is waited for at the end of `asyncio.run`, and of the
process: if a name server does not answer, for half a minute.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias

Address: TypeAlias = tuple[str, int, int, int]
"""An address, its port, its family and its protocol."""

_Key: TypeAlias = tuple[str, int, int]
_Waiter: TypeAlias = "tuple[asyncio.AbstractEventLoop, asyncio.Future[list[Address]]]"
# More look-ups than this at once wait for each other. Most programs need one name.
_MOST: Final = 16
_CONFIGURED: Final = socket.AI_ADDRCONFIG & getattr(socket, "AI_MASK", -1)
_NUMERIC: Final = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
# Where the address of a socket of IPv6 has it.
_SCOPE: Final = 3


class Lookups:
    """
    All look-ups of a process that are under way. Threads may share it.

    Whoever looks up what is being looked up already waits for that. A look-up goes on when
    nobody waits for it any more, since nothing can end it; it holds nobody up.

    Args:
        most: How many may be under way at once; others wait for one of them to end.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._lock = threading.Lock()
        self._most = most
        self.forget()

    def forget(self) -> None:
        """Begin anew, as in a process that was forked and has none of the threads."""
        self._lock = threading.Lock()
        self._threads = 0
        self._waiters: dict[_Key, list[_Waiter]] = {}
        self._queue: deque[_Key] = deque()

    async def find(self, host: str, port: int, family: int) -> list[Address]:
        """
        Return the addresses of *host*, in the order of `socket.getaddrinfo`.

        Raises:
            OSError: It has none, or they could not be had.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Address]] = loop.create_future()
        with self._lock:
            key = (host, port, family)
            if key in self._waiters:
                self._waiters[key].append((loop, future))
            else:
                self._begin(key)
                self._waiters[key] = [(loop, future)]
        return await future

    def _begin(self, key: _Key) -> None:
        if self._threads < self._most:
            try:
                threading.Thread(target=self._work, name="cfsso-dns", daemon=True).start()
                self._threads += 1
            except RuntimeError as error:
                # There is no further one to be had; those that there are go on.
                if not self._threads:
                    raise OSError(str(error)) from None
        self._queue.append(key)

    def _work(self) -> None:
        """Do what is in the queue, and end when it is empty."""
        while True:
            with self._lock:
                if not self._queue:
                    self._threads -= 1
                    return
                key = self._queue.popleft()
            tell = _looked_up(*key)
            with self._lock:
                waiters = self._waiters.pop(key)
            for loop, future in waiters:
                # Nobody waits where the loop is closed.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(tell, future)


LOOKUPS: Final = Lookups()
"""Those of this process."""
if hasattr(os, "register_at_fork"):  # pragma: no branch - where there is no fork
    os.register_at_fork(after_in_child=LOOKUPS.forget)


def _looked_up(host: str, port: int, family: int) -> "Callable[[asyncio.Future[Any]], None]":
    """Look up, and return what tells a future what came of it, unless that was given up."""
    try:
        found = _addresses(host, port, family)
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        problem = error
        return lambda future: None if future.done() else future.set_exception(problem)
    return lambda future: None if future.done() else future.set_result(list(found))


def _addresses(host: str, port: int, family: int) -> list[Address]:
    try:
        infos = _infos(host, port, family, _CONFIGURED)
    except socket.gaierror:
        if host.lower().rstrip(".") != "localhost":
            raise
        # Without a network no address is configured but those of loopback.
        infos = _infos(host, port, family, 0)
    return [
        _address(sockaddr, kind, protocol)
        for kind, _, protocol, _, sockaddr in infos
        # Python without IPv6 shows such an address otherwise.
        if kind != socket.AF_INET6 or len(sockaddr) > _SCOPE
    ]


def _infos(host: str, port: int, family: int, flags: int) -> list[Any]:
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=flags)


def _address(sockaddr: tuple[Any, ...], family: int, protocol: int) -> Address:
    address, port = sockaddr[:2]
    if family == socket.AF_INET6 and sockaddr[_SCOPE]:
        # What is local to a link is no address without the name of the link.
        address, name = socket.getnameinfo(sockaddr, _NUMERIC)
        port = int(name)
    return address, port, family, protocol
