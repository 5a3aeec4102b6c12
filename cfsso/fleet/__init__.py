"""
Many connectors as one act.

Names are loaded on first use, as in `cfsso` itself.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cfsso.fleet.changes import Change, Changes, read_changes
    from cfsso.fleet.outcomes import Outcome, OutcomeStatus
    from cfsso.fleet.run import apply

__all__ = ["Change", "Changes", "Outcome", "OutcomeStatus", "apply", "read_changes"]

_HOMES = {
    "Change": "changes",
    "Changes": "changes",
    "Outcome": "outcomes",
    "OutcomeStatus": "outcomes",
    "apply": "run",
    "read_changes": "changes",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cfsso.fleet' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"cfsso.fleet.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
