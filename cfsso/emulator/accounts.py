"""The accounts, their connectors, and the rules that bind connectors together."""

from collections import deque
from typing import Final

from cfsso.emulator import answers
from cfsso.emulator.clock import SLACK, Clock
from cfsso.emulator.dns import TXTRecords
from cfsso.emulator.records import Connector
from cfsso.errors import InvalidRequestError

TIMEOUT: Final = 2 * 24 * 60 * 60.0
"""Seconds for which Cloudflare looks for the TXT record."""


class Accounts:
    """
    Everything that is stored.

    A connector's verification is brought up to date when the connector is looked
    at, so no request costs more for the connectors that it does not touch.

    Attributes:
        by_id: For each account its connectors by id, in the order of creation.
        dns: TXT texts by domain.
        connector_ids:
            The id of every connector that there ever was, in whichever account. Ids of
            accounts are another set: an account and a connector may share one.
    """

    __slots__ = ("_clock", "_holders", "_poll", "_polled", "by_id", "connector_ids", "dns")

    def __init__(self, clock: Clock, poll: float) -> None:
        self.by_id: dict[str, dict[str, Connector]] = {}
        self.dns = TXTRecords()
        self.connector_ids: set[str] = set()
        self._clock = clock
        self._poll = poll
        # The enabled connector of each domain.
        self._holders: dict[str, Connector] = {}
        # When polling began, in order of time; it ends in the same order.
        self._polled: deque[tuple[float, Connector]] = deque()

    def open(self, account_id: str) -> None:
        """Add an account without connectors."""
        self.by_id[account_id] = {}

    def is_used(self, identifier: str) -> bool:
        """Whether an account or a connector has, or had, this id."""
        return identifier in self.by_id or identifier in self.connector_ids

    def adopt(self, account_id: str, connector: Connector) -> None:
        """
        Add a connector in whatever state it is.

        Raises:
            InvalidRequestError: No sequence of requests could lead to it.
        """
        if connector.id in self.connector_ids:
            msg = "its id must be unique among connectors"
            raise InvalidRequestError(msg)
        if connector.enabled:
            if connector.status != "verified":
                msg = "enabled must be false until verification.status is verified"
                raise InvalidRequestError(msg)
            if connector.key in self._holders:
                msg = "its email_domain is enabled by another connector already"
                raise InvalidRequestError(msg)
            self._holders[connector.key] = connector
        self.by_id[account_id][connector.id] = connector
        self.connector_ids.add(connector.id)
        if connector.status == "pending":
            self._start(connector)

    def find(self, account_id: str, connector_id: str) -> Connector:
        """
        Return a connector, its verification up to date.

        Raises:
            RefusedError: The account has none of this id.
        """
        connector = self.by_id[account_id].get(connector_id)
        if connector is None:
            raise answers.no_connector()
        self._look_up(connector)
        return connector

    def all(self, account_id: str) -> list[Connector]:
        """Return an account's connectors in the order of creation, up to date."""
        connectors = list(self.by_id[account_id].values())
        for connector in connectors:
            self._look_up(connector)
        return connectors

    def remove(self, account_id: str, connector: Connector) -> None:
        """
        Delete a connector.

        Raises:
            RefusedError: It is enabled.
        """
        if connector.enabled:
            raise answers.still_enabled()
        del self.by_id[account_id][connector.id]

    def set_state(self, connector: Connector, *, enabled: bool, fedramp: bool) -> None:
        """
        Change a connector, or nothing at all.

        Raises:
            RefusedError: It may not be enabled.
        """
        if (enabled, fedramp) == (connector.enabled, connector.use_fedramp_language):
            return
        if enabled and not connector.enabled:
            if connector.status != "verified":
                raise answers.not_verified()
            if connector.key in self._holders:
                raise answers.held_elsewhere()
            self._holders[connector.key] = connector
        elif connector.enabled and not enabled:
            del self._holders[connector.key]
        connector.enabled = enabled
        connector.use_fedramp_language = fedramp
        connector.updated_on = self._clock.stamp(connector.updated_on)

    def begin(self, connector: Connector) -> None:
        """Start polling, or start it again; a verified connector stays verified."""
        if connector.status == "verified":
            return
        connector.status = "pending"
        connector.updated_on = self._clock.stamp(connector.updated_on)
        self._start(connector)

    def end_overdue_polling(self) -> float:
        """
        Conclude all polling whose time has run out; return the present time.

        To be called before DNS changes: the last poll finds what DNS held until now.
        """
        now = self._clock.now()
        polled = self._polled
        while polled and polled[0][0] + TIMEOUT <= now + SLACK:
            began, connector = polled.popleft()
            # It may have been started again, or found, since.
            if connector.status == "pending" and connector.began == began:
                status = "verified" if self._found(connector) else "failed"
                self._conclude(connector, status, began + TIMEOUT)
        return now

    def _start(self, connector: Connector) -> None:
        connector.began = self._clock.elapsed
        connector.next_poll = connector.began + self._poll
        self._polled.append((connector.began, connector))

    def _look_up(self, connector: Connector) -> None:
        if connector.status != "pending":
            return
        now = self._clock.elapsed
        if now + SLACK < connector.next_poll:
            return
        if self._found(connector):
            self._conclude(connector, "verified", now)
        elif self._poll:
            polls = (now - connector.began) // self._poll
            connector.next_poll = connector.began + (polls + 1) * self._poll

    def _found(self, connector: Connector) -> bool:
        return connector.code in self.dns.get(connector.key, ())

    def _conclude(self, connector: Connector, status: str, at: float) -> None:
        connector.status = status
        connector.updated_on = self._clock.stamp(connector.updated_on, at)
