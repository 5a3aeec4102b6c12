"""Cloudflare in memory: one object that answers requests by the documented rules."""

import datetime as dt
import os
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from cfsso.emulator import answers, checks, credentials, state
from cfsso.emulator.accounts import Accounts
from cfsso.emulator.clock import Clock
from cfsso.emulator.factory import Factory
from cfsso.emulator.limits import Limiter
from cfsso.emulator.log import Log, LoggedRequest
from cfsso.emulator.operations import Operations
from cfsso.emulator.service import Service
from cfsso.errors import InvalidRequestError
from cfsso.models import UNSET, SSOConnector, Unset
from cfsso.transports.base import RateLimit, Request, Response

_DEFAULT_LIMIT: Final = RateLimit()


class CloudflareEmulator:
    """
    The SSO connectors of any number of accounts, with the rules of the real ones.

    `cfsso.InMemoryTransport` and `cfsso.emulator.http.serving` both put their
    requests to `handle`. Time goes on with the running event loop, or by `advance`.

    Args:
        rate_limit: What one credential may send; ``None`` turns the limit off.
        latency: Seconds by which transports delay an answer; the work is done then.
        poll: Seconds between two looks into DNS for a pending connector.
        seed: Makes ids and codes the same each time.
        log: How many requests `requests` holds, the last ones; ``None``: all. Unless
            given, all of them, and behind a port the last 10,000.

    Attributes:
        latency: See above.

    Raises:
        InvalidRequestError:
            A value is of a wrong type; a time is negative or not finite; *log* is negative.
    """

    def __init__(
        self,
        *,
        rate_limit: RateLimit | None = _DEFAULT_LIMIT,
        latency: float = 0.0,
        poll: float = 1.0,
        seed: int | None = None,
        log: int | Unset | None = UNSET,
    ) -> None:
        # Not above, since it is slow to load.
        from random import Random

        if seed is not None and not _is(seed, int):
            raise checks.wrong("seed", "a whole number or None")
        self._log = Log(log)
        self.latency = checks.seconds(latency, "latency")
        draw = Random(seed).getrandbits  # noqa: S311  (ids of an emulator)
        self._clock = Clock()
        self._accounts = Accounts(self._clock, checks.seconds(poll, "poll"))
        self._new = Factory(self._clock, self._accounts.is_used, draw)
        self._identity = ""
        self._tokens = credentials.Tokens(self._clock)
        self._service = Service(
            self._accounts,
            Operations(self._accounts, self._new.connector),
            clock=self._clock,
            limiter=Limiter(rate_limit),
            tokens=self._tokens,
            draw=draw,
            log=self._log,
        )

    def __repr__(self) -> str:
        return f"<CloudflareEmulator: {len(self._accounts.by_id)} accounts>"

    @classmethod
    def from_state(cls, data: Any, **options: Any) -> "CloudflareEmulator":
        """
        Return an emulator in the state that `to_state` gave.

        Args:
            data: What stands in a state file.
            options: What the constructor takes.

        Raises:
            InvalidRequestError: It is no such state; the message names the JSON path.
        """
        cloud = cls(**options)
        state.Reader(cloud._accounts, cloud._tokens, cloud._new.connector).read(data)
        cloud._identity = state.digest(data.get("accounts", {}))
        return cloud

    @classmethod
    def load(cls, path: str | os.PathLike[str], **options: Any) -> "CloudflareEmulator":
        """
        Return an emulator in the state that `save` wrote.

        Raises:
            InvalidRequestError: The file can't be read, or holds no such state.
        """
        data = state.read(path)
        with state.naming(state.shown(path)):
            return cls.from_state(data, **options)

    def to_state(self) -> dict[str, Any]:
        """Return all accounts, DNS texts and tokens; the tokens in clear."""
        return state.show(self._accounts, self._tokens)

    def save(self, path: str | os.PathLike[str]) -> None:
        """
        Write the state to a file of mode 0600, in one step.

        Raises:
            OSError: It can't be written; what was there is untouched.
        """
        state.write(path, self.to_state())

    @property
    def identity(self) -> str:
        """
        The identity of this cloud, 8 hex digits of its accounts as it began.

        Of a state that was loaded they are the same in each process, whatever was written
        since. What is made in code begins when this is first asked for.
        """
        self._identity = self._identity or state.digest(self.to_state()["accounts"])
        return self._identity

    @property
    def date(self) -> str:
        """The present by its own clock, as the ``Date`` of an answer shows it."""
        self._clock.now()
        return self._clock.date()

    @property
    def requests(self) -> list[LoggedRequest]:
        """What was answered, in order, as much as *log* says; clear it when you like."""
        return self._log.requests

    def bound_log(self, limit: int) -> None:
        """Keep the last *limit* requests from now on, unless *log* was given."""
        self._log.bound(limit)

    @property
    def dns(self) -> MutableMapping[str, list[str]]:
        """
        TXT texts by domain, yours to change.

        All spellings of a domain are one key, shown by its A-labels in lower case.
        Where a list of texts belongs, a string is taken for one text.
        """
        self._accounts.end_overdue_polling()
        return self._accounts.dns

    @property
    def accounts(self) -> tuple[str, ...]:
        """The ids of the accounts, in the order in which they were added."""
        return tuple(self._accounts.by_id)

    @property
    def tokens(self) -> dict[str, tuple[str, ...]]:
        """The account ids that each token serves, by the fingerprint of the token."""
        return self._tokens.accounts()

    def add_token(
        self,
        token: str,
        account_ids: Iterable[str],
        *,
        permission: str = "write",
        expires_on: dt.datetime | None = None,
        status: str = "active",
    ) -> None:
        """
        Issue a token; until the first one, any well-formed token serves all accounts.

        Args:
            token: What clients will present.
            account_ids: What it serves, in place of what it served before.
            permission: ``write``, or ``read``: every write is then refused.
            expires_on:
                An aware time from which on it serves nothing. ``None``: it has no end.
                No state file keeps it.
            status: ``active``, or ``disabled`` or ``expired``: it serves nothing.

        Raises:
            InvalidRequestError: A value can't be used; the message names it.
        """
        checks.one_of(checks.PERMISSIONS, permission, "permission")
        self._tokens.add(
            token,
            account_ids,
            permission=None if permission == "write" else permission,
            expires_on=expires_on,
            status=status,
        )

    def add_account(self, account_id: str | None = None) -> str:
        """
        Add an account and return its id, a new one unless given.

        Raises:
            InvalidRequestError:
                The id is not 32 letters and digits, or another account has it.
        """
        if account_id is None:
            account_id = self._new.identifier()
        checks.identifier(account_id, "account_id")
        if account_id in self._accounts.by_id:
            msg = f"account {account_id} exists already"
            raise InvalidRequestError(msg)
        self._accounts.open(account_id)
        return account_id

    def add_connector(
        self,
        account_id: str,
        *,
        email_domain: str,
        enabled: bool = False,
        status: str = "awaiting",
        use_fedramp_language: bool = False,
        sso_connector_id: str | None = None,
    ) -> SSOConnector:
        """
        Add a connector, without the checks that a create makes, and return it.

        Args:
            account_id: Where to add it.
            email_domain: Not empty; it may be one that a create would refuse.
            enabled: Whether SSO is enforced, which takes a verified connector.
            status: The state of its verification; ``pending`` begins polling.
            use_fedramp_language: As the API shows it.
            sso_connector_id:
                Its id, which may be that of an account, and that of no connector there
                ever was. ``None``: a new one.

        Raises:
            InvalidRequestError:
                There is no such account, a value can't be used, the connector is
                enabled but not verified, or another one is enabled for the domain.
        """
        self._account(account_id)
        self._clock.now()
        connector = self._new.connector(checks.text(email_domain, "email_domain"))
        if sso_connector_id is not None:
            connector.id = checks.identifier(sso_connector_id, "sso_connector_id")
        connector.status = checks.one_of(checks.STATUSES, status, "status")
        connector.enabled = checks.flag(enabled, "enabled")
        connector.use_fedramp_language = checks.flag(use_fedramp_language, "use_fedramp_language")
        self._accounts.adopt(account_id, connector)
        return connector.model()

    def connector(self, account_id: str, sso_connector_id: str) -> SSOConnector:
        """
        Return how a connector really is, without a request.

        Raises:
            InvalidRequestError: There is none.
        """
        self._account(account_id)
        self._accounts.end_overdue_polling()
        try:
            if not _is(sso_connector_id, str):
                raise answers.no_connector()
            return self._accounts.find(account_id, sso_connector_id).model()
        except answers.RefusedError:
            msg = f"account {account_id} has no connector {sso_connector_id!r:.60}"
        raise InvalidRequestError(msg)

    def connectors(self, account_id: str) -> tuple[SSOConnector, ...]:
        """
        Return how an account's connectors really are, in the order of creation.

        Raises:
            InvalidRequestError: There is no such account.
        """
        self._account(account_id)
        self._accounts.end_overdue_polling()
        return tuple(connector.model() for connector in self._accounts.all(account_id))

    def advance(self, seconds: float) -> None:
        """
        Let *seconds* pass.

        Raises:
            InvalidRequestError:
                They are negative or not finite, or more than 100 years in all.
        """
        self._clock.advance(checks.seconds(seconds, "seconds"))
        self._accounts.end_overdue_polling()

    def handle(self, request: Request, headers: Mapping[str, str] | None = None) -> Response:
        """
        Answer *request*; nothing is ever raised for what a client sends.

        Args:
            request: The request.
            headers:
                A client's HTTP headers, whose credential is checked. ``None``: a
                call from this process, which is trusted; all of them count as one
                credential.
        """
        return self._service.handle(request, headers)

    def _account(self, account_id: str) -> None:
        if not _is(account_id, str) or account_id not in self._accounts.by_id:
            msg = f"there is no account {account_id!r:.60}"
            raise InvalidRequestError(msg)


def _is(value: Any, kind: type) -> bool:
    # Whether callers hand in what they should; to a type checker they always do.
    return isinstance(value, kind)
