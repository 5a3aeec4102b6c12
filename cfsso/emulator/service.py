"""The way of a request: credential, limit, route, operation, log."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from cfsso.emulator import answers, credentials
from cfsso.emulator.accounts import Accounts
from cfsso.emulator.clock import Clock
from cfsso.emulator.limits import RETRY_AFTER, Limiter
from cfsso.emulator.log import Log, LoggedRequest
from cfsso.emulator.operations import Operations
from cfsso.transports.base import MAX_BODY, Request, Response

_VERIFY: Final = re.compile(r"/(?:user|accounts/([0-9A-Za-z]{32}))/tokens/verify")


class Service:
    """
    What clients meet.

    Args:
        accounts: What there is.
        operations: What can be done with it.
        clock: When.
        limiter: How often.
        tokens: By whom.
        draw: Gives random bits, as many as asked.
        log: What for.
    """

    __slots__ = (
        "_accounts",
        "_clock",
        "_draw",
        "_limiter",
        "_log",
        "_operations",
        "_tokens",
    )

    def __init__(
        self,
        accounts: Accounts,
        operations: Operations,
        *,
        clock: Clock,
        limiter: Limiter,
        tokens: credentials.Tokens,
        draw: Callable[[int], int],
        log: Log,
    ) -> None:
        self._accounts = accounts
        self._operations = operations
        self._clock = clock
        self._limiter = limiter
        self._tokens = tokens
        self._draw = draw
        self._log = log

    def handle(self, request: Request, headers: Mapping[str, str] | None) -> Response:
        """Answer *request*; without *headers* it is trusted."""
        now = self._accounts.end_overdue_polling()
        credential: str | None = None
        own: dict[str, str] = {}
        try:
            token = None
            if headers is not None:
                token = credentials.presented(headers)
                credential = credentials.fingerprint(token)
            own = self._limiter.count(credential, now)
            if RETRY_AFTER in own:
                raise answers.too_many()
            status, body = 200, self._perform(request, token)
        except answers.RefusedError as refusal:
            status, body = refusal.status, refusal.body
            own.update(refusal.headers)
        self._log.append(
            LoggedRequest(
                time=now,
                method=request.method,
                path=request.path,
                body=request.body,
                status=status,
                credential=credential,
            )
        )
        return respond(status, body, own, date=self._clock.date(), draw=self._draw)

    def _perform(self, request: Request, token: str | None) -> bytes:
        if request.path.endswith("/verify") and (verify := _VERIFY.fullmatch(request.path)):
            return self._verify(request, token, verify[1] or "")
        grant = None if token is None else self._tokens.grant(token)
        operation, account_id, connector_id = self._operations.route(request.path, request.method)
        if grant is not None and not grant.allows(account_id, write=request.is_write):
            raise answers.forbidden(f"iam/subresources/sso/methods/{operation.__name__}")
        if account_id not in self._accounts.by_id:
            raise answers.unroutable(request.path)
        if request.body is not None and len(request.body) > MAX_BODY:
            raise answers.too_large()
        return operation(account_id, connector_id, request.body)

    def _verify(self, request: Request, token: str | None, account_id: str) -> bytes:
        if request.method != "GET":
            raise answers.wrong_method(["GET"])
        found = self._tokens.verify(token, account_id)
        if account_id and account_id not in self._accounts.by_id:
            raise answers.unroutable(request.path)
        return answers.success(result=found)


def respond(
    status: int, body: bytes, own: Mapping[str, str], *, date: str, draw: Callable[[int], int]
) -> Response:
    """Return an answer with the headers that all have, and with its *own*."""
    ray = f"{draw(64):016x}-AMS"
    headers = {"date": date, "content-type": "application/json", "cf-ray": ray, **own}
    return Response(status, headers, body)
