"""
Many connectors as one act.

Names are loaded on first use, as in `cfsso` itself.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cfsso.fleet._targets import Run, RunKind
    from cfsso.fleet.changes import Change, Changes, read_changes
    from cfsso.fleet.outcomes import Outcome, OutcomeStatus
    from cfsso.fleet.planning import plan
    from cfsso.fleet.plans import Plan, PlanAction, PlannedChange
    from cfsso.fleet.reading import JournalReader, Recorded, read_journal
    from cfsso.fleet.rescue import break_glass
    from cfsso.fleet.reverting import revert
    from cfsso.fleet.run import apply, resume
    from cfsso.fleet.transfers import transfer

__all__ = [
    "Change",
    "Changes",
    "JournalReader",
    "Outcome",
    "OutcomeStatus",
    "Plan",
    "PlanAction",
    "PlannedChange",
    "Recorded",
    "Run",
    "RunKind",
    "apply",
    "break_glass",
    "plan",
    "read_changes",
    "read_journal",
    "resume",
    "revert",
    "transfer",
]

_HOMES = {
    "Change": "changes",
    "Changes": "changes",
    "JournalReader": "reading",
    "Outcome": "outcomes",
    "OutcomeStatus": "outcomes",
    "Plan": "plans",
    "PlanAction": "plans",
    "PlannedChange": "plans",
    "Recorded": "reading",
    "Run": "_targets",
    "RunKind": "_targets",
    "apply": "run",
    "break_glass": "rescue",
    "plan": "planning",
    "read_changes": "changes",
    "read_journal": "reading",
    "resume": "run",
    "revert": "reverting",
    "transfer": "transfers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cfsso.fleet' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"cfsso.fleet.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
