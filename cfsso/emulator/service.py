"""The way of a request: credential, limit, route, operation, log."""

import random
from collections.abc import Mapping

import attrs

from cfsso.emulator import answers, credentials
from cfsso.emulator.accounts import Accounts
from cfsso.emulator.limits import RETRY_AFTER, Limiter
from cfsso.emulator.operations import Operations
from cfsso.transports.base import MAX_BODY, Request, Response


@attrs.frozen(kw_only=True)
class LoggedRequest:
    """
    One request that was answered.

    Attributes:
        time: Seconds since the emulator was made.
        method: As it came.
        path: As it came, after the base URL.
        body: ``None``: the request had none.
        status: The status of the answer.
        credential:
            Twelve hex digits of the token's SHA-256. ``None``: a trusted call, or
            one without a readable token.
    """

    time: float
    method: str
    path: str
    body: bytes | None
    status: int
    credential: str | None


class Service:
    """
    What clients meet.

    Attributes:
        requests: All that was answered, in order.
    """

    __slots__ = ("_accounts", "_limiter", "_operations", "_random", "_tokens", "requests")

    def __init__(
        self,
        accounts: Accounts,
        operations: Operations,
        *,
        limiter: Limiter,
        tokens: credentials.Tokens,
        rays: random.Random,
    ) -> None:
        self._accounts = accounts
        self._operations = operations
        self._limiter = limiter
        self._tokens = tokens
        self._random = rays
        self.requests: list[LoggedRequest] = []

    def handle(self, request: Request, headers: Mapping[str, str] | None) -> Response:
        """Answer *request*; without *headers* it is trusted."""
        now = self._accounts.settle()
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
        self.requests.append(
            LoggedRequest(
                time=now,
                method=request.method,
                path=request.path,
                body=request.body,
                status=status,
                credential=credential,
            )
        )
        return self._respond(status, body, own)

    def refuse(self, refusal: answers.RefusedError) -> Response:
        """Return the answer that *refusal* stands for; nothing is logged."""
        return self._respond(refusal.status, refusal.body, refusal.headers)

    def _perform(self, request: Request, token: str | None) -> bytes:
        served = None if token is None else self._tokens.accounts(token)
        bound = self._operations.route(request.path, request.method)
        if served is not None and bound.account_id not in served:
            raise answers.forbidden()
        if bound.account_id not in self._accounts.by_id:
            raise answers.unroutable(request.path)
        if request.body is not None and len(request.body) > MAX_BODY:
            raise answers.too_large()
        return bound.run(request.body)

    def _respond(self, status: int, body: bytes, own: Mapping[str, str]) -> Response:
        ray = f"{self._random.getrandbits(64):016x}-AMS"
        return Response(status, {"content-type": "application/json", "cf-ray": ray, **own}, body)
