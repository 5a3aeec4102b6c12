"""What can be read of a list in which some connectors are odd: one must not hide the others."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, TypeGuard

import attrs

from cfsso import _checks, _converter
from cfsso.errors import InvalidRequestError
from cfsso.models import SSOConnector


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


class Salvaging:
    """
    Reads the items of a list, of which none hides the others.

    Args:
        only: The ids of the connectors that are kept. ``None``: all are.
        keeps: Whether one of them is kept, by what can be read of it. ``None``: all are.

    Attributes:
        dialect: How the answer is read.
    """

    dialect: ClassVar[_converter.Dialect] = _converter.LENIENT

    def __init__(
        self,
        only: Collection[str] | None = None,
        keeps: Callable[[SSOConnector], bool] | None = None,
    ) -> None:
        self._only = only
        self._keeps = keeps
        self._found: dict[str, SSOConnector] = {}
        self._odd: dict[str, str] = {}
        self._lost = 0

    def take(self, item: Any) -> None:
        """Read the next item; one that can't be told from others is counted."""
        name = item.get("id") if isinstance(item, dict) else None
        if not _is_id(name):
            self._lost += 1
        elif self._only is None or name in self._only:
            self._keep(*_salvaged(item, name))

    def salvage(self, left_out: int) -> Salvage:
        """Return what could be read of a list that has *left_out* some by its own count."""
        return Salvage(tuple(self._found.values()), self._lost + left_out, self._odd)

    def _keep(self, connector: SSOConnector, problem: str) -> None:
        if self._keeps is not None and not self._keeps(connector):
            return
        if problem:
            self._odd[connector.id] = problem
        # One that stands twice is disabled only if it is both times.
        if connector.id not in self._found or self._found[connector.id].enabled is False:
            self._found[connector.id] = connector


def _is_id(value: Any) -> TypeGuard[str]:
    try:
        _checks.identifier("id", value, None)
    except InvalidRequestError:
        return False
    return True


def _salvaged(item: Mapping[str, Any], name: str) -> tuple[SSOConnector, str]:
    """Return what can be read of a connector, and what the problem is if that is not all."""
    try:
        return _converter.connector(item, "$"), ""
    except _converter.ConversionError as error:
        domain, enabled = item.get("email_domain"), item.get("enabled")
        return SSOConnector(
            id=name,
            email_domain=domain if isinstance(domain, str) else None,
            enabled=enabled if isinstance(enabled, bool) else None,
        ), str(error)
