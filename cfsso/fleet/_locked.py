"""Which connectors of an account keep people out, and which do not any more."""

from collections.abc import Collection, Mapping
from typing import Any

import attrs

from cfsso import _checks
from cfsso.connectors import AsyncSSOConnectors
from cfsso.errors import APIResponseValidationError, CfssoError
from cfsso.fleet._judged import Sight
from cfsso.fleet.changes import Change
from cfsso.fleet.outcomes import Outcome, OutcomeStatus
from cfsso.models import SSOConnector


@attrs.frozen(kw_only=True)
class Seen:
    """
    What a list shows of an account, as far as it matters.

    Attributes:
        account_id: The account.
        domain: The e-mail domain that counts. ``None``: all do.
        kept: By id, those of the domain, those whose domain can't be told, and those asked for.
        others: The domains of all the rest.
        lost: How many connectors can't be read at all.
    """

    account_id: str
    domain: str | None
    kept: Mapping[str, SSOConnector]
    others: frozenset[str]
    lost: int

    @property
    def meant(self) -> tuple[SSOConnector, ...]:
        """Those of the domain."""
        return tuple(c for c in self.kept.values() if _is_meant(c, self.domain))

    @property
    def locked(self) -> tuple[SSOConnector, ...]:
        """Those that are to be disabled: whatever is not certainly disabled."""
        return tuple(c for c in self.meant if c.enabled is not False)

    @property
    def off(self) -> tuple[SSOConnector, ...]:
        """Those that are disabled already."""
        return tuple(c for c in self.meant if c.enabled is False)

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
            for connector in self.kept.values()
            if self.domain is not None
            and not connector.email_domain
            and connector.enabled is not False
        ]
        if self.lost:
            status = OutcomeStatus.of_run_error(self._loss)
            outcomes.append(whole(self.account_id, status, error=self._loss))
        return tuple(outcomes)

    def sight(self, sso_connector_id: str) -> Sight:
        """Return what is shown of a connector that is kept; it may be among those lost."""
        found = self.kept.get(sso_connector_id)
        return self._loss if found is None and self.lost else found

    @property
    def _loss(self) -> CfssoError:
        return APIResponseValidationError(f"the list hides {self.lost} of the connectors")


async def look(
    connectors: AsyncSSOConnectors,
    account_id: str,
    domain: str | None,
    ids: Collection[str] = frozenset(),
) -> Seen:
    """
    List an account; what is odd in the answer hides nothing else.

    Args:
        connectors: Where the account is.
        account_id: The account.
        domain: The e-mail domain that counts. ``None``: all do.
        ids: Which connectors to keep, whatever their domain is.

    Raises:
        CfssoError: The account can't be listed.
    """
    others: set[str] = set()

    def keeps(connector: SSOConnector) -> bool:
        """Keep no more of an account of many thousands than matters."""
        named = connector.email_domain
        if not named or connector.id in ids or _is_meant(connector, domain):
            return True
        others.add(named)
        return False

    found = await connectors._list_for_rescue(account_id, keeps=keeps)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] # of this package only
    return Seen(
        account_id=account_id,
        domain=domain,
        kept={connector.id: connector for connector in found.connectors},
        others=frozenset(others),
        lost=found.lost,
    )


def whole(account_id: str, status: OutcomeStatus, **members: Any) -> Outcome:
    """Return the outcome of an account as a whole."""
    return Outcome(change=Change(account_id, "", enabled=False), status=status, **members)


def was_off(account_id: str, connector: SSOConnector) -> Outcome:
    """Return the outcome of a connector that was disabled already."""
    return Outcome(
        change=Change(account_id, connector.id, enabled=False),
        status=OutcomeStatus.UNCHANGED,
        before=connector,
        after=connector,
        note="it was off already",
    )


def _is_meant(connector: SSOConnector, domain: str | None) -> bool:
    return domain is None or _checks.same_domain(connector.email_domain, domain)
