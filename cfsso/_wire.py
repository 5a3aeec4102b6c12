"""
Requests from values and values from answers; pure, and the only room with URL paths.

https://developers.cloudflare.com/api/resources/iam/subresources/sso/
"""

import json
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, ClassVar, Final

import attrs

from cfsso import _checks, _converter, _failures
from cfsso._pages import plain
from cfsso._seen import Seen
from cfsso._text import printable
from cfsso.errors import APIResponseValidationError, WriteState
from cfsso.models import UNSET, MaybeBool, ResponseInfo, SSOConnector, TokenInfo
from cfsso.transports.base import MAX_BODY, Request, Response, checked_request

# Looked up once: Enums are slow at it.
_NOT_SENT: Final = WriteState.NOT_SENT
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))


def build_list(account_id: str) -> Request:
    """Build the GET for all connectors of an account."""
    return checked_request("GET", _collection(account_id))


def build_get(sso_connector_id: str, account_id: str) -> Request:
    """Build the GET for one connector."""
    return checked_request("GET", _item(sso_connector_id, account_id))


def build_reading(update: Request) -> Request:
    """Build the GET for the connector that *update* changes; its ids were checked then."""
    return checked_request("GET", update.path)


def build_create(
    account_id: str,
    email_domain: str,
    begin_verification: MaybeBool,
    use_fedramp_language: MaybeBool,
) -> Request:
    """Build the POST that creates a connector."""
    path = _collection(account_id, _NOT_SENT)
    problem = _checks.domain_problem(email_domain)
    if problem:
        _checks.refuse(f"email_domain {problem}", _NOT_SENT)
    options = _checks.booleans(
        begin_verification=begin_verification, use_fedramp_language=use_fedramp_language
    )
    body = _ENCODER.encode({"email_domain": email_domain, **options}).encode()
    return checked_request("POST", path, body)


def build_update(
    sso_connector_id: str, account_id: str, enabled: MaybeBool, use_fedramp_language: MaybeBool
) -> Request:
    """Build the PATCH that changes what was given, and only that."""
    path = _item(sso_connector_id, account_id, _NOT_SENT)
    wish(enabled, use_fedramp_language)
    body = _UPDATES.get((enabled, use_fedramp_language))
    if body is None:
        _checks.refuse("nothing to change: give enabled, use_fedramp_language or both", _NOT_SENT)
    return checked_request("PATCH", path, body)


def build_delete(sso_connector_id: str, account_id: str) -> Request:
    """Build the DELETE for one connector."""
    return checked_request("DELETE", _item(sso_connector_id, account_id, _NOT_SENT))


def build_begin_verification(sso_connector_id: str, account_id: str) -> Request:
    """Build the POST that starts or restarts the search for the TXT record."""
    path = _item(sso_connector_id, account_id, _NOT_SENT)
    return checked_request("POST", f"{path}/begin_verification")


def build_verify_token(account_id: str) -> Request:
    """Build the GET for what an account says of the token that is presented."""
    account_id = _checks.identifier("account_id", account_id, None)
    return checked_request("GET", f"/accounts/{account_id}/tokens/verify")


def build_verify_user_token() -> Request:
    """Build the GET for what is known of a token that belongs to a user."""
    return checked_request("GET", "/user/tokens/verify")


def wish(enabled: MaybeBool, use_fedramp_language: MaybeBool) -> dict[str, bool]:
    """Return the fields that an update asks for, by name."""
    wished = {}
    if enabled is not UNSET:
        wished["enabled"] = _checks.boolean("enabled", enabled)
    if use_fedramp_language is not UNSET:
        wished["use_fedramp_language"] = _checks.boolean(
            "use_fedramp_language", use_fedramp_language
        )
    return wished


_VALUES: Final[tuple[MaybeBool, ...]] = (UNSET, True, False)
_UPDATES: Final = {
    values: _ENCODER.encode(wish(*values)).encode()
    for values in product(_VALUES, _VALUES)
    if wish(*values)
}


def shows(connector: SSOConnector, wished: Mapping[str, bool]) -> bool:
    """Whether *connector* has every value that was asked for."""
    for name, value in wished.items():  # noqa: SIM110 - a generator takes three times as long
        if getattr(connector, name) is not value:
            return False
    return True


def values_shown(connector: SSOConnector, wished: Mapping[str, bool]) -> str:
    """Say what *connector* has in place of the values that were asked for."""
    return ", ".join(f"{name}={getattr(connector, name)}" for name in wished)


@attrs.define
class Answer:
    """An answer that reports success, with what its reader needs to say of it."""

    request: Request
    response: Response
    envelope: Mapping[str, Any]

    @property
    def warnings(self) -> tuple[ResponseInfo, ...]:
        """What a success has in its ``errors`` and ``messages``."""
        errors, messages = self.envelope.get("errors"), self.envelope.get("messages")
        if errors == messages == []:
            return ()
        return _converter.messages(errors) + _converter.messages(messages)

    def unreadable(self, problem: str) -> APIResponseValidationError:
        """Return the error for an answer that does not show what it reports."""
        return _failures.unreadable(self.request, self.response, problem, self.envelope)


def read(
    request: Request, response: Response, decode: Callable[[bytes], Any] = _converter.decode
) -> Answer:
    """
    Read an envelope: a 2xx with a JSON object whose ``success`` is exactly true.

    Args:
        request: What was sent.
        response: What came back.
        decode: Parses the body, or raises `ConversionError`.

    Raises:
        APIStatusError: The status says failure; 3xx is one.
        APIResponseValidationError: Anything else that is not a success.
    """
    return accept(request, response, *_decode(response.body, decode))


def accept(
    request: Request, response: Response, envelope: dict[str, Any] | None, problem: str = ""
) -> Answer:
    """
    Return what `read` does of an envelope that was parsed already, or could not be.

    Raises:
        CfssoError: As in `read`.
    """
    if not 200 <= response.status < 300:
        raise _failures.status_error(request, response, envelope, problem)
    if envelope is None:
        raise _failures.unreadable(request, response, problem)
    if envelope.get("success") is not True:
        said = _failures.said_by(_converter.messages(envelope.get("errors")))
        problem = "expected true at $.success" + (f": {said}" if said else "")
        raise _failures.unreadable(request, response, problem, envelope)
    return Answer(request, response, envelope)


def items(answer: Answer) -> list[Any]:
    """
    Return the items of a list; its ``result`` is null if there are none.

    Raises:
        APIResponseValidationError: It is no list.
    """
    result = answer.envelope.get("result")
    if isinstance(result, list):
        return result
    if result is None and "result" in answer.envelope and _is_proper(answer.response.body):
        return []
    raise answer.unreadable("expected list at $.result")


def missing(answer: Answer, count: int) -> int:
    """Return how many connectors a list of *count* says that it left out."""
    info = answer.envelope.get("result_info")
    total = info.get("total_count") if isinstance(info, dict) else None
    return max(0, total - count) if type(total) is int else 0


class StrictReading:
    """
    Reads the items of a list, of which each must be a connector, and another one.

    Attributes:
        dialect: How the answer is read.
        connectors: In the order of the answer.
    """

    dialect: ClassVar[_converter.Dialect] = _converter.STRICT

    def __init__(self) -> None:
        self.connectors: list[SSOConnector] = []
        self._ids: set[str] = set()

    def take(self, item: Any) -> None:
        """
        Read the next item.

        Raises:
            ConversionError: It is no connector, or stands twice.
        """
        connector = _converter.connector(item, f"$.result[{len(self.connectors)}]")
        if connector.id in self._ids:
            raise _converter.ConversionError("a connector stands twice at $.result")
        if connector.id:
            self._ids.add(connector.id)
        self.connectors.append(connector)


def read_token(answer: Answer) -> TokenInfo:
    """Return what an answer says of a token."""
    try:
        return _converter.token(answer.envelope.get("result"), "$.result")
    except _converter.ConversionError as error:
        problem = str(error)
    raise answer.unreadable(problem)


def read_connector(answer: Answer, sso_connector_id: str) -> SSOConnector:
    """Return the connector of that id from an object, or from a list with one match."""
    result = answer.envelope.get("result")
    path = "$.result"
    if isinstance(result, list):
        found = [
            (n, item)
            for n, item in enumerate(result)
            if isinstance(item, dict) and item.get("id") == sso_connector_id
        ]
        if len(found) != 1:
            problem = f"expected one connector {sso_connector_id} at $.result, not {len(found)}"
            raise answer.unreadable(problem)
        path, result = f"$.result[{found[0][0]}]", found[0][1]
    connector = _connector(answer, result, path)
    if connector.id != sso_connector_id:
        problem = f"expected id {sso_connector_id} at {path}.id, not {connector.id}"
        raise answer.unreadable(problem)
    return connector


def read_updated(
    answer: Answer, sso_connector_id: str, wished: Mapping[str, bool], seen: Seen | None = None
) -> SSOConnector:
    """
    Return the connector if it shows every value that was asked for.

    Args:
        answer: What came of the update.
        sso_connector_id: The connector.
        wished: What was asked for.
        seen: Is told of what the answer shows if that is something else.
    """
    connector = read_connector(answer, sso_connector_id)
    _check_shown(answer, connector, wished, seen)
    return connector


def read_created(
    answer: Answer, email_domain: str, wished: Mapping[str, bool], seen: Seen | None = None
) -> SSOConnector:
    """
    Return the connector just created if it shows the domain and every value asked for.

    Args:
        answer: What came of the create.
        email_domain: The domain.
        wished: What was asked for.
        seen: Is told of what the answer shows if that is something else.
    """
    result, path = answer.envelope.get("result"), "$.result"
    if isinstance(result, list) and len(result) == 1:
        result, path = result[0], "$.result[0]"
    connector = _connector(answer, result, path)
    if not connector.id:
        raise answer.unreadable(f"expected str at {path}.id")
    if not _checks.same_domain(connector.email_domain, email_domain):
        raise answer.unreadable(f"expected {email_domain} at {path}.email_domain")
    _check_shown(answer, connector, wished, seen)
    return connector


def check_deleted(answer: Answer, sso_connector_id: str) -> None:
    """Accept the answer to a DELETE: ``result`` is null or names that connector."""
    result = answer.envelope.get("result")
    if result is not None and not (
        isinstance(result, dict) and result.get("id") == sso_connector_id
    ):
        problem = f"expected id {sso_connector_id} at $.result.id"
        raise answer.unreadable(problem)


def _check_shown(
    answer: Answer, connector: SSOConnector, wished: Mapping[str, bool], seen: Seen | None
) -> None:
    if shows(connector, wished):
        return
    if seen is not None:
        seen.note(connector)
    raise answer.unreadable(f"the answer shows {values_shown(connector, wished)}")


def _collection(account_id: str, write: WriteState | None = None) -> str:
    return f"/accounts/{_checks.identifier('account_id', account_id, write)}/sso_connectors"


def _item(sso_connector_id: str, account_id: str, write: WriteState | None = None) -> str:
    account_id = _checks.identifier("account_id", account_id, write)
    sso_connector_id = _checks.identifier("sso_connector_id", sso_connector_id, write)
    return f"/accounts/{account_id}/sso_connectors/{sso_connector_id}"


def _decode(body: bytes, decode: Callable[[bytes], Any]) -> tuple[dict[str, Any] | None, str]:
    if len(body) > MAX_BODY:
        return None, f"more than {MAX_BODY} bytes"
    try:
        value = decode(body)
    except _converter.ConversionError as error:
        return None, f"{error}{_excerpt(body)}"
    if not isinstance(value, dict):
        return None, "expected object at $"
    return value, ""


def _is_proper(body: bytes) -> bool:
    """Whether a null in *body* is one, and not what a lenient reader takes odd values for."""
    return _decode(body, _converter.decode)[0] is not None


def _excerpt(body: bytes) -> str:
    text = plain(body[:80].decode("utf-8", "backslashreplace"))
    return f': "{printable(text)}"' if text else ""


def _connector(answer: Answer, value: Any, path: str) -> SSOConnector:
    try:
        return _converter.connector(value, path)
    except _converter.ConversionError as error:
        problem = str(error)
    raise answer.unreadable(problem)
