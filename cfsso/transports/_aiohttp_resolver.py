"""A resolver of aiohttp whose look-ups nobody has to wait for."""

import socket
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

from cfsso.transports._lookups import LOOKUPS

_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Resolver(AbstractResolver):
    """Gives what aiohttp's `ThreadedResolver` does, and keeps no process from ending."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """
        Return the addresses of *host*.

        Raises:
            OSError: It has none, or they could not be had.
        """
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=kind, proto=protocol, flags=_NUMERIC
            )
            for address, port, kind, protocol in await LOOKUPS.find(host, port, family)
        ]

    async def close(self) -> None:
        """Do nothing: look-ups end by themselves."""
