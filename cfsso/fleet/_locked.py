"""Which connectors of an account keep people out."""

from typing import Any

import attrs

from cfsso import _checks
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import APIResponseValidationError, CfssoError
from cfsso.fleet._judged import Sight
from cfsso.fleet.changes import Change
from cfsso.fleet.outcomes import Outcome, OutcomeStatus
from cfsso.models import SSOConnector


@attrs.frozen
class Seen:
    """
    What a list shows of an account.

    Attributes:
        account_id: The account.
        domain: The e-mail domain that counts. ``None``: all do.
        connectors: All that can be read, as far as they can.
        lost: How many others there are.
    """

    account_id: str
    domain: str | None
    connectors: tuple[SSOConnector, ...]
    lost: int

    @property
    def locked(self) -> tuple[SSOConnector, ...]:
        """Those that are to be disabled: whatever is not surely disabled."""
        return tuple(c for c in self._enabled if self.domain is None or self._is_meant(c))

    @property
    def doubtful(self) -> tuple[Outcome, ...]:
        """What is not touched although it may keep people out, with the reason."""
        outcomes = [
            Outcome(
                change=Change(self.account_id, connector.id, enabled=False),
                status=OutcomeStatus.BLOCKED,
                before=connector,
                after=connector,
                note=f"can't tell its e-mail domain; disable it by its id if it is {self.domain}",
            )
            for connector in self._enabled
            if self.domain is not None and not connector.email_domain
        ]
        if self.lost:
            outcomes.append(whole(self.account_id, OutcomeStatus.FAILED, error=self._loss))
        return tuple(outcomes)

    @property
    def nothing(self) -> str:
        """What to say if there is nothing to disable."""
        return "no connector is enabled" + (f" for {self.domain}" if self.domain else "")

    def sight(self, sso_connector_id: str) -> Sight:
        """Return what is shown of a connector; it may be among those that are lost."""
        for connector in self.connectors:
            if connector.id == sso_connector_id:
                return connector
        return self._loss if self.lost else None

    @property
    def _loss(self) -> CfssoError:
        return APIResponseValidationError(f"the list hides {self.lost} of the connectors")

    @property
    def _enabled(self) -> tuple[SSOConnector, ...]:
        return tuple(c for c in self.connectors if c.enabled is not False)

    def _is_meant(self, connector: SSOConnector) -> bool:
        return _checks.same_domain(connector.email_domain, self.domain)


async def look(connectors: AsyncSSOConnectors, account_id: str, domain: str | None) -> Seen:
    """
    List an account; what is odd in the answer hides nothing else.

    Raises:
        CfssoError: The account can't be listed.
    """
    found = await connectors._list_for_rescue(account_id)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] # of this package only
    return Seen(account_id, domain, found.connectors, found.lost)


def whole(account_id: str, status: OutcomeStatus, **members: Any) -> Outcome:
    """Return the outcome of an account as a whole."""
    return Outcome(change=Change(account_id, "", enabled=False), status=status, **members)
