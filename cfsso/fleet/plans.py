"""What a run would do, before anything is written; as a file too."""

import datetime as dt
import enum
import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from cfsso import _checks
from cfsso._converter import ConversionError
from cfsso._json import Value, fields_of
from cfsso._nodes import Node
from cfsso.errors import InvalidRequestError
from cfsso.fleet import _files
from cfsso.fleet.changes import FLAGS, Change
from cfsso.models import UNSET, SSOConnector

_FORMAT: Final = "cfsso plan"
_VERSION: Final = 1
_MARK: Final = re.compile(rb'"format"\s*:\s*"cfsso plan"')
_HEAD: Final = 65536
Difference = tuple[str, bool | None, bool]
"""A field, the value it has (``None``: the answer did not have it) and the one it is to have."""


class PlanAction(enum.StrEnum):
    """
    What a run is to do with a target.

    Attributes:
        CHANGE: Write it.
        UNCHANGED: Nothing; it is as wished.
        BLOCKED: Nothing; the present state forbids it, or could not be read.
    """

    CHANGE = "change"
    UNCHANGED = "unchanged"
    BLOCKED = "blocked"


@attrs.frozen(kw_only=True)
class PlannedChange(Value):
    """
    One target of a plan.

    Attributes:
        change: What was asked for.
        action: What is to be done.
        before: The connector as it was read. ``None``: it was not seen.
        reason:
            Why it is blocked; or, of what is to be disabled although it could not be read,
            why not. Empty otherwise.
        needs:
            The index in `Plan.rows` of the row that has to be done before: the
            disable of the same domain in another account. ``None``: there is none.
        unread:
            Whether it is blocked only because it could not be read for a reason that may
            pass. A run reads it, and decides then.
    """

    change: Change
    action: PlanAction
    before: SSOConnector | None = None
    reason: str = ""
    needs: int | None = None
    unread: bool = False

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The fields that are to get another value; empty if nothing is to change."""
        if self.action is not PlanAction.CHANGE:
            return ()
        found = {name: getattr(self.before, name, None) for name in FLAGS}
        return tuple(
            (name, found[name], value)
            for name, value in self.change.wished.items()
            if found[name] is not value
        )

    def _members(self) -> dict[str, Any]:
        known = {
            "account_id": self.change.account_id,
            "sso_connector_id": self.change.sso_connector_id,
            **self.change.wished,
            "action": self.action,
            "before": self.before,
            "reason": self.reason or None,
            "needs": self.needs,
            "unread": self.unread or None,
        }
        return {name: value for name, value in known.items() if value is not None}


@attrs.frozen(kw_only=True)
class Plan(Value):
    """
    What a run would do, as the accounts were when they were read.

    Attributes:
        created: When it was made, an aware time.
        rows: In the order of the changes, each connector once.
        merged: How many changes repeated an earlier one.
        accounts: Further accounts that were looked at, in the order given.
        unread: Why those of them that could not be read could not, by account id.
        seconds:
            How long the requests of the plan take, at least, by the rate limit of the
            credentials that send them. ``None``: there is no limit.
    """

    created: dt.datetime
    rows: tuple[PlannedChange, ...]
    merged: int = 0
    accounts: tuple[str, ...] = ()
    unread: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    seconds: float | None = None

    @property
    def writes(self) -> tuple[PlannedChange, ...]:
        """The rows that are to be written."""
        return tuple(row for row in self.rows if row.action is PlanAction.CHANGE)

    @property
    def undecided(self) -> tuple[PlannedChange, ...]:
        """The rows that a run reads first, and may write."""
        return tuple(row for row in self.rows if row.unread)

    @property
    def changed_accounts(self) -> tuple[str, ...]:
        """The accounts with something to write, in the order of the rows."""
        return tuple(dict.fromkeys(row.change.account_id for row in self.writes))

    @property
    def domains(self) -> tuple[str, ...]:
        """The e-mail domains for which SSO is switched on or off, sorted, each once."""
        found = {
            domain_key(row.before.email_domain)
            for row in self.writes
            if row.before is not None and any(name == "enabled" for name, _, _ in row.differences)
        }
        return tuple(sorted(domain for domain in found if domain))

    @property
    def requests(self) -> int:
        """How many requests a run sends; its lists before and after the writes count."""
        listed = {row.change.account_id for row in self.rows}
        return len(listed) + len(self.writes) + len(self.changed_accounts)

    @property
    def has_changes(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.writes)

    @property
    def digest(self) -> str:
        """64 hex digits that tell this plan from any other."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self, *, indent: int | None = 2) -> str:
        """
        Return the plan as JSON in ASCII, for `from_json`. It holds no credential.

        Args:
            indent: By how much each level is indented. ``None``: all stands on one line.
        """
        return super().to_json(indent=indent) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str = "plan") -> "Plan":
        """
        Return the plan that *text* is.

        Args:
            text: What `to_json` returned.
            name: What errors call it.

        Raises:
            InvalidRequestError: It is no plan, or one of a newer version; the message
                names the JSON path.
        """
        return read_plan(text.encode("utf-8", "surrogatepass"), name)

    def save(self, path: str | os.PathLike[str]) -> None:
        """
        Write the plan to a file that only its owner may read.

        What is there is replaced if it is a former plan, or empty. A symbolic link is not
        followed.

        Raises:
            InvalidRequestError: It can't be written, or something else is there, which is
                untouched.
        """
        _files.replace(path, self.to_json(), KIND)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Plan":
        """
        Read the plan of a file.

        Raises:
            InvalidRequestError: The file can't be read, or as in `from_json`.
        """
        return read_plan(_files.read(path), _files.shown(path))

    def _members(self) -> dict[str, Any]:
        members = fields_of(self)
        # Last, so that a reader sees the rest first.
        rows = members.pop("rows")
        return {"format": _FORMAT, "version": _VERSION, **members, "rows": rows}


def domain_key(domain: str | None) -> str:
    """Return what a domain is compared by; empty if there is none."""
    return "" if domain is None else _checks.domain_form(domain)


def is_plan(content: bytes) -> bool:
    """Return whether what a file holds is a plan, by how it begins."""
    return _MARK.search(content[:_HEAD]) is not None


KIND: Final = _files.Kind("a plan", is_plan)
"""What `Plan.save` replaces."""


def read_plan(content: bytes, name: str) -> Plan:
    """
    Return the plan that a file holds.

    Args:
        content: What it holds, without a byte-order mark.
        name: What errors call it.

    Raises:
        InvalidRequestError: As in `Plan.from_json`.
    """
    try:
        return _to_plan(Node.of_json(content))
    except (ConversionError, InvalidRequestError) as error:
        problem = f"{name}: {error}"
    raise InvalidRequestError(problem)


def _to_plan(top: Node) -> Plan:
    _check_version(top)
    needed = ("format", "version", "created", "seconds", "merged", "accounts", "unread", "rows")
    members = top.members(needed)
    seconds = members["seconds"]
    rows = [_to_row(row) for row in members["rows"].items()]
    seen: set[tuple[str, str]] = set()
    for node, row in zip(members["rows"].items(), rows, strict=True):
        key = row.change.account_id, row.change.sso_connector_id
        if key in seen:
            raise node.wrong("a connector that stands twice")
        seen.add(key)
        _check_needs(node, row, rows)
    return Plan(
        created=members["created"].moment(),
        rows=tuple(rows),
        merged=members["merged"].whole(),
        accounts=tuple(item.identifier() for item in members["accounts"].items()),
        unread={name: why.text() for name, why in members["unread"].named().items()},
        seconds=None if seconds.value is None else seconds.seconds(),
    )


def _check_version(top: Node) -> None:
    found: dict[str, Any] = top.value if type(top.value) is dict else {}
    if found.get("format") != _FORMAT:
        raise InvalidRequestError("no plan: make one with Plan.save")
    version = Node(found.get("version"), "$.version").whole()
    if version != _VERSION:
        raise InvalidRequestError(
            f"a plan of version {version}, but this cfsso reads version {_VERSION}: plan again"
        )


def _to_row(node: Node) -> PlannedChange:
    ids = ("account_id", "sso_connector_id")
    optional = (*FLAGS, "before", "reason", "needs", "unread")
    members = node.members((*ids, "action"), optional)
    flags = {name: members[name].flag() if name in members else UNSET for name in FLAGS}
    if set(flags.values()) == {UNSET}:
        raise node.wrong("neither enabled nor use_fedramp_language")
    account_id, sso_connector_id = (members[name].identifier() for name in ids)
    action = members["action"].word(PlanAction)
    before = members.get("before")
    row = PlannedChange(
        change=Change(account_id, sso_connector_id, **flags),
        action=action,
        before=None if before is None else before.connector(),
        reason=members["reason"].text() if "reason" in members else "",
        needs=members["needs"].whole() if "needs" in members else None,
        unread=members["unread"].flag() if "unread" in members else False,
    )
    if row.unread and action is not PlanAction.BLOCKED:
        raise members["unread"].wrong(f"true beside action {action}")
    rescues = action is PlanAction.CHANGE and row.change.enabled is False
    if row.before is None and action is not PlanAction.BLOCKED and not rescues:
        raise node.wrong(f"no before, which action {action} needs,")
    if row.before is not None and row.before.id != sso_connector_id:
        raise Node(None, f"{node.path}.before").wrong("another connector")
    return row


def _check_needs(node: Node, row: PlannedChange, rows: list[PlannedChange]) -> None:
    if row.needs is None:
        return
    needed = rows[row.needs] if row.needs < len(rows) else None
    if (
        needed is None
        or needed.action is not PlanAction.CHANGE
        or needed.change.enabled is not False
    ):
        raise Node(None, f"{node.path}.needs").wrong("expected the index of a row that disables")
