"""
Tools for tests: of your service, and of a transport of your own.

Names are loaded on first use, as in `cfsso` itself.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cfsso.testing.catalogue import FAULTS, false_success
    from cfsso.testing.contract import TRANSPORT_CONTRACT, OpenTransport
    from cfsso.testing.edge import edge_error, refuse_by_proxy
    from cfsso.testing.faults import (
        Fault,
        Line,
        alter_answer,
        answer_with,
        delay_answer,
        delay_request,
        fail_dns,
        fail_tls,
        lose_answer,
        lose_request,
        refuse_connection,
        stale_read,
        time_out,
        time_out_connecting,
    )
    from cfsso.testing.faulty import FaultyTransport
    from cfsso.testing.virtual_time import VirtualTimeLoop, run_in_virtual_time

__all__ = [
    "FAULTS",
    "TRANSPORT_CONTRACT",
    "Fault",
    "FaultyTransport",
    "Line",
    "OpenTransport",
    "VirtualTimeLoop",
    "alter_answer",
    "answer_with",
    "delay_answer",
    "delay_request",
    "edge_error",
    "fail_dns",
    "fail_tls",
    "false_success",
    "lose_answer",
    "lose_request",
    "refuse_by_proxy",
    "refuse_connection",
    "run_in_virtual_time",
    "stale_read",
    "time_out",
    "time_out_connecting",
]

_ROOMS = {
    "catalogue": ("FAULTS", "false_success"),
    "contract": ("TRANSPORT_CONTRACT", "OpenTransport"),
    "edge": ("edge_error", "refuse_by_proxy"),
    "faulty": ("FaultyTransport",),
    "virtual_time": ("VirtualTimeLoop", "run_in_virtual_time"),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'cfsso.testing' has no attribute {name!r}")
    # What is not listed above is a fault, or makes one.
    value = getattr(importlib.import_module(f"cfsso.testing.{_HOMES.get(name, 'faults')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
