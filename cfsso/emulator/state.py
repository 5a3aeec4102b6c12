"""The state file: accounts, DNS and tokens as JSON."""

import datetime as dt
import json
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeGuard, cast

from cfsso._checks import domain_form
from cfsso._text import printable
from cfsso.emulator import checks
from cfsso.emulator.accounts import Accounts
from cfsso.emulator.credentials import Tokens
from cfsso.emulator.operations import Maker
from cfsso.emulator.records import IDENTIFIER
from cfsso.errors import InvalidRequestError


def shown(path: str | os.PathLike[str]) -> str:
    """Return the name of a file as one line."""
    return printable(os.fspath(path), 4096)


def read(path: str | os.PathLike[str]) -> Any:
    """
    Return the JSON of a file, for a `Reader`.

    Raises:
        InvalidRequestError: It can't be read, or is not JSON.
    """
    name = shown(path)
    if "\0" in os.fspath(path):
        raise InvalidRequestError(f"{name}: a file's name has no NUL")
    try:
        with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123  (pathlib is slow to load)
            return json.load(file, object_pairs_hook=_object)
    except OSError as error:
        msg = f"{name}: {error.strerror}"
    except (ValueError, RecursionError) as error:
        msg = f"{name}: not JSON: {error}"
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
    accounts.end_overdue_polling()
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


@contextmanager
def naming(path: str) -> Generator[None, None, None]:
    """Put *path* before the text of an `InvalidRequestError`."""
    try:
        yield
    except InvalidRequestError as error:
        msg = f"{path}: {error}"
        raise InvalidRequestError(msg) from None


def digest(accounts: Mapping[str, Any]) -> str:
    """Return what tells these accounts and their connectors from others, 8 hex digits."""
    # Not above, since it is slow to load.
    import hashlib

    text = json.dumps(accounts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


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
            InvalidRequestError: It is not one; the message names the JSON path. What
                is not known is counted, since a misplaced token may not be shown.
        """
        top = _members(state, "$", "accounts", "dns", "tokens")
        self._read_accounts(_mapping(top.get("accounts", {}), "$.accounts", IDENTIFIER.fullmatch))
        for index, (domain, texts) in enumerate(_mapping(top.get("dns", {}), "$.dns").items()):
            path = f"$.dns[{index}]"
            if domain_form(checks.text(domain, path)) in self._accounts.dns:
                raise _again(path)
            self._accounts.dns[domain] = list(checks.texts(texts, path))
        for index, (token, grant) in enumerate(_mapping(top.get("tokens", {}), "$.tokens").items()):
            self._token(token, grant, f"$.tokens[{index}]")

    def _token(self, token: str, grant: Any, path: str) -> None:
        ids, inner, permission = grant, path, None
        if isinstance(grant, dict | _Repetitive):
            fields = _members(grant, path, "accounts", "permission")
            ids, inner, name = fields.get("accounts"), f"{path}.accounts", f"{path}.permission"
            permission = checks.one_of(checks.PERMISSIONS, fields.get("permission"), name)
        served = checks.identifiers(checks.array(ids, inner), inner)
        with naming(path):
            self._tokens.add(token, served, permission=permission)

    def _read_accounts(self, accounts: Mapping[str, Any]) -> None:
        for number, (account_id, account) in enumerate(accounts.items()):
            checks.identifier(account_id, f"$.accounts[{number}]")
            path = f"$.accounts.{account_id}"
            self._accounts.open(account_id)
            connectors = _members(account, path, "connectors").get("connectors", [])
            for index, connector in enumerate(checks.array(connectors, f"{path}.connectors")):
                self._connector(account_id, connector, f"{path}.connectors[{index}]")

    def _connector(self, account_id: str, value: Any, path: str) -> None:
        fields = _members(value, path, *_CONNECTOR)
        inner = f"{path}.verification"
        verification = _members(fields.get("verification", {}), inner, "code", "status")
        connector = self._make(checks.text(fields.get("email_domain"), f"{path}.email_domain"))
        connector.id = checks.identifier(fields.get("id"), f"{path}.id")
        connector.enabled = checks.flag(fields.get("enabled", False), f"{path}.enabled")
        name = "use_fedramp_language"
        connector.use_fedramp_language = checks.flag(fields.get(name, False), f"{path}.{name}")
        connector.code = checks.text(verification.get("code", connector.code), f"{inner}.code")
        status = verification.get("status", connector.status)
        connector.status = checks.one_of(checks.STATUSES, status, f"{inner}.status")
        connector.created_on = _time(fields, "created_on", path, connector.created_on)
        connector.updated_on = _time(fields, "updated_on", path, connector.created_on)
        with naming(path):
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


class _Repetitive:
    # An object that has a name twice; where it stands, only the `Reader` knows.

    __slots__ = ("name", "place")

    def __init__(self, name: str, place: int) -> None:
        self.name = name
        self.place = place


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Repetitive:
    members: dict[str, Any] = {}
    for place, (name, value) in enumerate(pairs):
        if name in members:
            return _Repetitive(name, place)
        members[name] = value
    return members


def _again(path: str) -> InvalidRequestError:
    return InvalidRequestError(f"{path} is there already: names must be unique")


def _mapping(
    value: Any, path: str, may_be_shown: Callable[[str], object] = lambda _name: False
) -> dict[str, Any]:
    if isinstance(value, _Repetitive):
        shown = may_be_shown(value.name)
        raise _again(f"{path}.{value.name}" if shown else f"{path}[{value.place}]")
    if not _is_object(value):
        raise checks.wrong(path, "an object")
    return value


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and all(
        isinstance(name, str) for name in cast("dict[object, Any]", value)
    )


def _members(value: Any, path: str, *known: str) -> dict[str, Any]:
    members = _mapping(value, path, known.__contains__)
    if unknown := len(members.keys() - set(known)):
        msg = f"{path} must have no other members than {', '.join(known)}, but has {unknown}"
        raise InvalidRequestError(msg)
    return members


def _time(fields: Mapping[str, Any], name: str, path: str, default: str) -> str:
    text = checks.text(fields.get(name, default), f"{path}.{name}")
    try:
        aware = dt.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        form = "a time with a zone, such as 2026-03-02T08:15:42.000000Z"
        raise checks.wrong(f"{path}.{name}", form)
    return text
