"""The state file: accounts, DNS and tokens as JSON."""

import datetime as dt
import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeGuard, cast

from cfsso.emulator.accounts import Accounts
from cfsso.emulator.credentials import Tokens
from cfsso.emulator.operations import Maker
from cfsso.emulator.records import IDENTIFIER
from cfsso.errors import InvalidRequestError
from cfsso.models import VerificationStatus

STATUSES: Final = tuple(status for status in VerificationStatus if status != "unknown")


def read(path: str | os.PathLike[str]) -> Any:
    """
    Return the JSON of a file.

    Raises:
        InvalidRequestError: It can't be read, or is not JSON.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123  (pathlib is slow to load)
            return json.load(file)
    except OSError as error:
        msg = f"{os.fspath(path)}: {error.strerror}"
    except (ValueError, RecursionError) as error:
        msg = f"{os.fspath(path)}: not JSON: {error}"
    raise InvalidRequestError(msg)


def write(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """
    Replace a file in one step by the JSON of *state*, readable by its owner only.

    Raises:
        OSError: It can't be written; what was there is untouched.
    """
    # Not above, since it is slow to load.
    import tempfile

    path = os.path.realpath(path)
    # Of mode 0600, since there may be tokens in it.
    handle, name = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".cfsso-")  # noqa: PTH120
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump(state, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105
    except BaseException:
        os.unlink(name)  # noqa: PTH108
        raise


def show(accounts: Accounts, tokens: Tokens) -> dict[str, Any]:
    """Return the whole state; ``tokens`` is left out while none was issued."""
    accounts.settle()
    state: dict[str, Any] = {
        "accounts": {
            account_id: {
                "connectors": [connector.shown() for connector in accounts.all(account_id)]
            }
            for account_id in accounts.by_id
        },
        "dns": {domain: list(texts) for domain, texts in accounts.dns.items()},
    }
    if issued := tokens.state():
        state["tokens"] = issued
    return state


class Reader:
    """
    Reads a state into an empty emulator.

    Members that a connector does not have get what a new one has. Polling of what
    is pending starts again, since the format does not say when it began.
    """

    def __init__(self, accounts: Accounts, tokens: Tokens, make: Maker) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._make = make

    def read(self, state: Any) -> None:
        """
        Read *state*.

        Raises:
            InvalidRequestError: It is not one; the message names the JSON path.
        """
        top = _members(state, "$", "accounts", "dns", "tokens")
        for account_id, account in _mapping(top.get("accounts", {}), "$.accounts").items():
            path = f"$.accounts.{account_id:.40}"
            _identifier(account_id, path)
            self._accounts.open(account_id)
            shown = _members(account, path, "connectors").get("connectors", [])
            for index, connector in enumerate(_list(shown, f"{path}.connectors")):
                self._connector(account_id, connector, f"{path}.connectors[{index}]")
        for domain, texts in _mapping(top.get("dns", {}), "$.dns").items():
            self._accounts.dns[domain] = _texts(texts, f"$.dns.{domain:.40}")
        # Paths count the tokens, since a token may not stand in a message.
        for index, (token, ids) in enumerate(_mapping(top.get("tokens", {}), "$.tokens").items()):
            path = f"$.tokens[{index}]"
            served = [_identifier(item, path) for item in _texts(ids, path)]
            with _naming(path):
                self._tokens.add(token, served)

    def _connector(self, account_id: str, value: Any, path: str) -> None:
        fields = _members(value, path, *_CONNECTOR)
        inner = f"{path}.verification"
        verification = _members(fields.get("verification", {}), inner, "code", "status")
        connector = self._make(_text(fields, "email_domain", path, None))
        connector.id = _identifier(fields.get("id"), f"{path}.id")
        if connector.id in self._accounts.ids:
            raise _wrong(f"{path}.id", "unique")
        connector.enabled = _flag(fields, "enabled", path)
        connector.use_fedramp_language = _flag(fields, "use_fedramp_language", path)
        connector.code = _text(verification, "code", inner, connector.code)
        connector.status = _text(verification, "status", inner, connector.status)
        if connector.status not in STATUSES:
            raise _wrong(f"{inner}.status", f"one of {', '.join(STATUSES)}")
        connector.created_on = _time(fields, "created_on", path, connector.created_on)
        connector.updated_on = _time(fields, "updated_on", path, connector.created_on)
        with _naming(path):
            self._accounts.adopt(account_id, connector)


_CONNECTOR: Final = (
    "id",
    "email_domain",
    "enabled",
    "use_fedramp_language",
    "verification",
    "created_on",
    "updated_on",
)


@contextmanager
def _naming(path: str) -> Generator[None, None, None]:
    try:
        yield
    except InvalidRequestError as error:
        msg = f"{path}: {error}"
        raise InvalidRequestError(msg) from None


def _wrong(path: str, form: str) -> InvalidRequestError:
    # Without the value: it may be a token in the wrong place.
    return InvalidRequestError(f"{path} must be {form}")


def _mapping(value: Any, path: str) -> dict[str, Any]:
    if not _is_object(value):
        raise _wrong(path, "an object")
    return value


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and all(
        isinstance(name, str) for name in cast("dict[object, Any]", value)
    )


def _is_array(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _members(value: Any, path: str, *known: str) -> dict[str, Any]:
    members = _mapping(value, path)
    for name in members:
        if name not in known:
            msg = f"{path}.{name:.40} is unknown; {path} has {', '.join(known)}"
            raise InvalidRequestError(msg)
    return members


def _list(value: Any, path: str) -> list[Any]:
    if not _is_array(value):
        raise _wrong(path, "an array")
    return value


def _texts(value: Any, path: str) -> list[str]:
    texts = _list(value, path)
    if not all(isinstance(text, str) for text in texts):
        raise _wrong(path, "an array of strings")
    return list(texts)


def _identifier(value: Any, path: str) -> str:
    if not isinstance(value, str) or not IDENTIFIER.fullmatch(value):
        raise _wrong(path, "an id of 32 letters and digits")
    return value


def _text(fields: Mapping[str, Any], name: str, path: str, default: str | None) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str) or not value:
        raise _wrong(f"{path}.{name}", "a string that is not empty")
    return value


def _flag(fields: Mapping[str, Any], name: str, path: str) -> bool:
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise _wrong(f"{path}.{name}", "true or false")
    return value


def _time(fields: Mapping[str, Any], name: str, path: str, default: str) -> str:
    text = _text(fields, name, path, default)
    try:
        aware = dt.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise _wrong(f"{path}.{name}", "a time with a zone, such as 2026-03-02T08:15:42.0000Z")
    return text
