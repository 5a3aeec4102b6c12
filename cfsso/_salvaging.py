"""What can be read of a list in which some connectors are odd: one must not hide the others."""

from collections.abc import Collection, Mapping
from typing import Any

import attrs

from cfsso import _checks, _converter, _wire
from cfsso.errors import InvalidRequestError
from cfsso.models import SSOConnector
from cfsso.transports.base import Request, Response


@attrs.frozen
class Salvage:
    """
    What can be read of a list.

    Attributes:
        connectors: Those kept, each once, in the order of the answer, as far as can be read.
        lost: How many connectors the account has that can't be told.
        odd: Of those that can be read in part only, the problem, by id.
    """

    connectors: tuple[SSOConnector, ...]
    lost: int
    odd: Mapping[str, str] = attrs.field(factory=dict)


def read(request: Request, response: Response) -> _wire.Answer:
    """Read an envelope as `_wire.read` does, but let its JSON be odd."""
    return _wire.read(request, response, _converter.decode_leniently)


def salvage(answer: _wire.Answer, only: Collection[str] | None = None) -> Salvage:
    """
    Return what can be read of a list.

    Args:
        answer: The list.
        only: The ids of the connectors that are kept. ``None``: all are.

    Raises:
        APIResponseValidationError: It is no list.
    """
    result = answer.envelope.get("result")
    if not isinstance(result, list):
        raise answer.unreadable("expected list at $.result")
    found: dict[str, SSOConnector] = {}
    odd: dict[str, str] = {}
    lost = _wire.missing(answer)
    for item in result:
        connector, problem = _salvaged(item)
        if connector is None:
            lost += 1
            continue
        if only is not None and connector.id not in only:
            continue
        if problem:
            odd[connector.id] = problem
        # One that stands twice is disabled only if it is both times.
        if connector.id not in found or found[connector.id].enabled is False:
            found[connector.id] = connector
    return Salvage(tuple(found.values()), lost, odd)


def _salvaged(item: Any) -> tuple[SSOConnector | None, str]:
    """Return what can be read of a connector, and a problem; none without its id, the least."""
    if not isinstance(item, dict):
        return None, ""
    problem = ""
    try:
        connector = _converter.connector(item, "$")
    except _converter.ConversionError as error:
        problem = str(error)
        domain, enabled = item.get("email_domain"), item.get("enabled")
        connector = SSOConnector(
            id=item.get("id", ""),
            email_domain=domain if isinstance(domain, str) else None,
            enabled=enabled if isinstance(enabled, bool) else None,
        )
    try:
        _checks.identifier("id", connector.id, None)
    except InvalidRequestError:
        return None, ""
    return connector, problem
