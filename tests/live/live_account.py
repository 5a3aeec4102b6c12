"""The account that is asked: everything that is sent passes here, and what came back is kept."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import attrs
from live_guard import Guard, is_own
from live_masking import Masks

import cfsso
from cfsso.transports._urls import BASE_URL
from cfsso.transports.base import checked_request

_SOME: Final = 5
_PAUSES: Final = (1.0, 5.0, 15.0)


@attrs.frozen
class Answer:
    """
    An answer and the JSON in it.

    Attributes:
        response: As it came.
        json: Its body. ``None``: it is no JSON, or empty.
    """

    response: cfsso.Response
    json: Any

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status

    @property
    def result(self) -> Any:
        """The envelope's result. An empty object: there is none."""
        result = self.json.get("result") if isinstance(self.json, dict) else None
        return {} if result is None else result

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The envelope's errors, those that are objects."""
        errors = self.json.get("errors") if isinstance(self.json, dict) else None
        return [e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []

    @property
    def codes(self) -> list[Any]:
        """Their codes."""
        return [error.get("code") for error in self.errors]

    def __str__(self) -> str:
        said = [f"{e.get('code')} {e.get('message')}" for e in self.errors[:_SOME]]
        return ", ".join([str(self.status), *said])


@attrs.define
class Log:
    """
    Everything that was asked, and that came back.

    Attributes:
        masks: What hides secrets and ids in what is kept.
        folder: Where a file for each exchange is written to.
        rule: What is being asked about.
        passed: By whom what was asked, and the answer, as they were.
    """

    masks: Masks
    folder: Path
    rule: str = ""
    passed: list[tuple[str, cfsso.Request, Answer]] = attrs.field(factory=list)

    def add(self, by: str, request: cfsso.Request, response: cfsso.Response) -> None:
        """Keep an exchange."""
        self.passed.append((by, request, read(response)))
        kept = self.masks.exchange(self.rule, request, response)
        text = json.dumps({"by": by, **kept}, indent=2, ensure_ascii=False)
        name = f"{len(self.passed):03}-{self.rule}-{request.method.lower()}.json"
        (self.folder / name).write_text(f"{text}\n", "utf-8")


class Recorder:
    """A `cfsso.Transport` whose exchanges are kept in a log."""

    def __init__(self, inner: cfsso.Transport, log: Log, by: str) -> None:
        self._inner = inner
        self._log = log
        self._by = by

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send *request*, and keep it with its answer."""
        response = await self._inner.send(request)
        self._log.add(self._by, request, response)
        return response

    async def aclose(self) -> None:
        """Close the inner one."""
        await self._inner.aclose()


def read(response: cfsso.Response) -> Answer:
    """Return *response* with the JSON in it."""
    try:
        return Answer(response, json.loads(response.body))
    except (ValueError, RecursionError):
        return Answer(response, None)


@attrs.define
class Account:
    """
    The account, and three ways to ask for it.

    Attributes:
        id: The account's.
        token: Its token.
        log: What passed, whoever asked.
        connectors: Our client, with the token.
        connector: What most questions are about, as the API shows it. Empty: there is none yet.
    """

    id: str
    token: str = attrs.field(repr=False)
    log: Log
    connectors: cfsso.AsyncSSOConnectors
    _guard: Guard
    _ways: Mapping[str, cfsso.Transport]
    connector: dict[str, Any] = attrs.field(factory=dict, init=False)

    @property
    def path(self) -> str:
        """Where `connector` is, for `ask`."""
        if not self.connector:
            raise LookupError("there is no connector to ask about")
        return f"/{self.connector['id']}"

    async def ask(
        self, method: str, path: str, body: object = None, *, by: str = "token"
    ) -> Answer:
        """
        Send one request, as it is and once, and return the answer, whatever it is.

        Args:
            method: An HTTP method.
            path: What comes after ``/accounts/{account_id}/sso_connectors``, or a whole
                path if it begins with ``//``; a query may be part of it.
            body: Bytes as they are, another value as JSON. ``None``: no body.
            by: ``token``, ``stranger`` (with a token that nobody has) or ``nobody``.
        """
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        whole = path[1:] if path.startswith("//") else f"/accounts/{self.id}/sso_connectors{path}"
        # Not Request(): the library itself never sends a query.
        return read(await self._ways[by].send(checked_request(method, whole, content)))

    def new_domain(self) -> str:
        """Return a domain that nobody has and that is known as the suite's own."""
        return f"cfsso-live-{secrets.token_hex(6)}.example.com"

    def new_id(self) -> str:
        """Return an id that nobody has."""
        new = secrets.token_hex(16)
        self._guard.add_nobody(new)
        return new

    async def leftovers(self) -> dict[str, bool]:
        """Return the ids of the suite's own connectors, and whether each can be deleted."""
        answer = await self.ask("GET", "")
        if answer.status != 200 or not isinstance(answer.json, dict) or answer.errors:
            raise LookupError(f"the account can't be listed: {self.log.masks.text(str(answer))}")
        shown = [one for one in answer.result or () if isinstance(one, dict)]
        own = [one for one in shown if is_own(one.get("email_domain")) and one.get("id")]
        return {str(one["id"]): one.get("enabled") is False for one in own}

    async def clean_up(self) -> int:
        """Delete all of the suite's connectors that are disabled; return how many are left."""
        found = await self.leftovers()
        for pause in _PAUSES:
            for key in [key for key, is_disabled in found.items() if is_disabled]:
                # What stays shows below, and why does in the answer that is kept.
                with contextlib.suppress(cfsso.CfssoError):
                    await self.connectors.delete(key, account_id=self.id)
            found = await self.leftovers()
            if not any(found.values()):
                break
            # A list may be older than what was done.
            await asyncio.sleep(pause)
        return len(found)


@contextlib.asynccontextmanager
async def reach(
    token: str, account_id: str, base_url: str | None, folder: Path
) -> AsyncIterator[Account]:
    """Yield the account, with transports as `cfsso.connect` stacks them and a guard below."""
    url = BASE_URL if base_url is None else base_url

    async def anonymous(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        request.headers.popall("Authorization", None)
        return await handler(request)

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True), middlewares=[anonymous]
    ) as session:
        stranger = cfsso.AiohttpTransport(secrets.token_hex(20), base_url=url)
        nobody = cfsso.AiohttpTransport("none", session=session, base_url=url)
        guard = Guard(cfsso.AiohttpTransport(token, base_url=url), account_id)
        log = Log(Masks(token, account_id), folder)
        ways: dict[str, cfsso.Transport] = {
            "token": cfsso.PacingTransport(Recorder(guard, log, "token")),
            "stranger": Recorder(Guard(stranger, account_id), log, "stranger"),
            "nobody": Recorder(Guard(nobody, account_id), log, "nobody"),
        }
        connectors = cfsso.AsyncSSOConnectors(
            cfsso.RetryingTransport(ways["token"]), deadline=120.0, max_wait=60.0
        )
        try:
            yield Account(account_id, token, log, connectors, guard, ways)
        finally:
            for transport in ways.values():
                await transport.aclose()
