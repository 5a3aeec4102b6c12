"""Somebody who goes on with a journal in a wrong way, by mistake: nothing may come of it."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fleet_links import SERVER
from fleet_truth import Program, said

import cfsso
from cfsso import fleet
from cfsso.fleet import Change, Outcome

if TYPE_CHECKING:
    from fleet_operator import Operator

Act: TypeAlias = Callable[[cfsso.AsyncSSOConnectors, Path], AsyncGenerator[Outcome]]

_STRANGE: Final = "emulated:5a1e0fa1170000005a1e0fa117000000"
_CHANGE: Final = Change("a" * 32, "b" * 32, enabled=False)

_WAYS: Final[dict[str, tuple[str, Act]]] = {
    "resumed at another server": (_STRANGE, fleet.resume),
    "taken back at another server": (_STRANGE, fleet.revert),
    "applied onto": (
        SERVER,
        lambda client, path: fleet.apply(client, [_CHANGE], journal=path),
    ),
}
_RESCUE: Final[tuple[str, Act]] = (SERVER, fleet.resume)


async def go_astray(operator: "Operator", *, rescue: bool) -> None:
    """
    Use the operator's journal wrongly, and see that this is refused.

    It must stay as it is, byte for byte, and nothing may be sent.

    Args:
        operator: Whose journal it is.
        rescue: Whether its latest run is a rescue, which nobody can resume.
    """
    oracle, path = operator.world.oracle, operator.journal
    assert path is not None
    ways = {**_WAYS, "resumed, a rescue": _RESCUE} if rescue else _WAYS
    name = operator.world.more.choice([*ways])
    server, act = ways[name]
    before = _bytes(path)

    async def work(program: Program, client: cfsso.AsyncSSOConnectors) -> None:
        """Try it."""
        try:
            async for outcome in act(client, path):
                oracle.breaks(program, f"F16 {name}, and it says {said(outcome)}")
        except cfsso.InvalidRequestError as error:
            oracle.note("is refused", program, str(error))
        else:
            oracle.breaks(program, f"F16 {name}, and it is not refused")
        if program.requests:
            oracle.breaks(program, f"F16 {name}, and it sends {program.requests[0].request}")

    oracle.counts["journals used wrongly"] += 1
    await operator.execute("stray", work, doomed=False, server=server, journal=path)
    if _bytes(path) != before:
        oracle.breaks(operator.programs[-1], f"F16 {name}, and it has changed")


def _bytes(path: Path) -> dict[str, Any]:
    there = (Path(f"{path}{end}") for end in ("", "-journal"))
    return {each.name: each.read_bytes() for each in there if each.exists()}
