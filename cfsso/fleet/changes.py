"""Which connectors are to hold which values: from code, CSV or JSON Lines."""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Self

import attrs

from cfsso import _checks, _converter, _wire
from cfsso._json import Value
from cfsso._nodes import Node, read_value
from cfsso.errors import InvalidRequestError
from cfsso.fleet import _files
from cfsso.models import UNSET, MaybeBool, SSOConnector

_IDS = ("account_id", "sso_connector_id")
FLAGS = ("enabled", "use_fedramp_language")
_COLUMNS = _IDS + FLAGS


@attrs.frozen
class Change(Value):
    """
    The values one connector is to hold.

    Attributes:
        account_id: 32 letters and digits.
        sso_connector_id:
            32 letters and digits. Empty: whatever the account has; only `break_glass`
            reports such a change, and no run takes one.
        enabled: `UNSET` leaves it as it is.
        use_fedramp_language: `UNSET` leaves it as it is.

    Raises:
        InvalidRequestError: An id or a value can't be used, or nothing is to change.
    """

    account_id: str
    sso_connector_id: str
    enabled: MaybeBool = UNSET
    use_fedramp_language: MaybeBool = UNSET

    def __attrs_post_init__(self) -> None:
        _checks.identifier("account_id", self.account_id, None)
        if self.sso_connector_id != "":
            _checks.identifier("sso_connector_id", self.sso_connector_id, None)
        if not self.wished:
            raise InvalidRequestError("nothing to change: set enabled or use_fedramp_language")

    @property
    def wished(self) -> Mapping[str, bool]:
        """The values asked for, by the name of their field."""
        return _checks.booleans(
            enabled=self.enabled, use_fedramp_language=self.use_fedramp_language
        )

    def is_shown_by(self, connector: SSOConnector) -> bool:
        """Whether *connector* holds every value asked for."""
        return _wire.shows(connector, self.wished)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """
        Return the change that *text* is, as `to_json` gives it.

        Raises:
            InvalidRequestError: It is none; the message names the JSON path.
        """
        return read_value(
            text, "a change", lambda top: cls(**read_change(top.members(_IDS, FLAGS), top))
        )

    def _members(self) -> dict[str, Any]:
        # `UNSET` is left out.
        ids = {"account_id": self.account_id, "sso_connector_id": self.sso_connector_id or None}
        return {**ids, **self.wished}


def read_change(members: Mapping[str, Node], top: Node) -> dict[str, Any]:
    """
    Return the arguments of the `Change` that an object speaks of.

    Args:
        members: Those of the object.
        top: The object itself.

    Raises:
        ConversionError: There is none.
    """
    connector = members["sso_connector_id"]
    flags = {name: members[name].flag() for name in FLAGS if name in members}
    if not flags:
        raise top.wrong("neither enabled nor use_fedramp_language")
    return {
        "account_id": members["account_id"].identifier(),
        # One about a whole account names none.
        "sso_connector_id": "" if connector.value is None else connector.identifier(),
        **flags,
    }


class Changes(tuple[Change, ...]):  # noqa: SLOT001 - a tuple can have none that hold something
    """
    The changes of a file, in its order, each connector once.

    Attributes:
        merged: How many rows repeated an earlier one.
    """

    merged: int = 0


def read_changes(path: str | os.PathLike[str]) -> Changes:
    """
    Read a file of changes, which may be a pipe.

    A name that ends in ``.jsonl``, ``.ndjson`` or ``.json`` is JSON Lines, one that ends
    in ``.csv`` is CSV: comma-separated, with the header
    ``account_id,sso_connector_id,enabled,use_fedramp_language``. An empty cell
    leaves the field alone. Any other file is JSON Lines if it begins with a brace, and CSV
    otherwise. UTF-8, with or without a BOM. Identical rows are merged.

    Raises:
        InvalidRequestError:
            The file can't be read, or a row can't be used. All such rows are named,
            one note (PEP 678) each, by their line: a CSV header is row 1.
    """
    return to_changes(_files.read(path), os.fspath(path))


def to_changes(content: bytes, name: str) -> Changes:
    """
    Return the changes that a file holds; see `read_changes`.

    Args:
        content: What it holds, without a byte-order mark.
        name: How it is called, in errors too.

    Raises:
        InvalidRequestError: As in `read_changes`.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        problem = f"{_files.shown(name)}: not UTF-8 at byte {error.start}: save it as UTF-8"
        raise InvalidRequestError(problem) from None
    return _collect(_files.shown(name), (_json_rows if _is_json(name, text) else _csv_rows)(text))


def _is_json(name: str, text: str) -> bool:
    end = name.lower()
    if end.endswith((".jsonl", ".ndjson", ".json")):
        return True
    return not end.endswith(".csv") and text.lstrip()[:1] in {"{", "["}


_Row = tuple[int, Callable[[], Change]]


def _collect(name: str, rows: Iterable[_Row]) -> Changes:
    seen: dict[tuple[str, str], tuple[int, Change]] = {}
    problems, merged = [], 0
    for row, build in rows:
        try:
            change = build()
        except (InvalidRequestError, _converter.ConversionError) as error:
            problems.append(f"row {row}: {error}")
            continue
        key = (change.account_id, change.sso_connector_id)
        first, earlier = seen.setdefault(key, (row, change))
        if earlier != change:
            problems.append(
                f"row {row}: asks for other values of connector {key[1]} than row {first}"
            )
        elif first != row:
            merged += 1
    if problems:
        raise _refusal(name, problems)
    if not seen:
        raise InvalidRequestError(f"{name}: no rows")
    changes = Changes(change for _, change in seen.values())
    changes.merged = merged
    return changes


def _refusal(name: str, problems: list[str]) -> InvalidRequestError:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    error = InvalidRequestError(f"{name}: {problems[0]}{more}; nothing was sent")
    for problem in problems:
        error.add_note(problem)
    return error


def _csv_rows(text: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    row = 1
    try:
        header = next(reader, [])
        problems = _header_problems(header)
        if problems:
            yield row, lambda: _raise("; ".join(problems))
            return
        row = reader.line_num + 1
        for cells in reader:
            if cells:
                yield row, lambda cells=cells: _from_cells(header, cells)  # type: ignore[misc] # mypy can't type a default of a lambda
            row = reader.line_num + 1
    except csv.Error as error:
        # Such as a quote that is never closed: what comes after it can't be read.
        problem = f"no CSV: {error}"
        yield row, lambda: _raise(problem)


def _header_problems(header: list[str]) -> list[str]:
    expected = ",".join(_COLUMNS)
    problems = [f"no column {name}" for name in _IDS if name not in header]
    problems += [f"unknown column {name!r}" for name in header if name not in _COLUMNS]
    problems += [f"column {name} twice" for name in _COLUMNS if header.count(name) > 1]
    if not any(name in header for name in FLAGS):
        problems.append("no column enabled or use_fedramp_language")
    return [*problems, f"expected {expected}"] if problems else []


def _from_cells(header: list[str], cells: list[str]) -> Change:
    if len(cells) != len(header):
        raise InvalidRequestError(f"expected {len(header)} cells, not {len(cells)}")
    row = dict(zip(header, cells, strict=True))
    flags = {name: row.get(name, "") for name in FLAGS}
    _check_all(
        *(partial(_checks.identifier, name, row[name], None) for name in _IDS),
        *(partial(_flag, name, cell) for name, cell in flags.items()),
    )
    values = {name: _flag(name, cell) for name, cell in flags.items()}
    return Change(row["account_id"], row["sso_connector_id"], **values)


def _check_all(*checks: Callable[[], object]) -> None:
    """Refuse a row for all that is wrong with it, not for the first thing only."""
    problems: list[str] = []
    for check in checks:
        try:
            check()
        except InvalidRequestError as error:
            problems.append(str(error))
    if problems:
        raise InvalidRequestError("; ".join(problems))


def _flag(name: str, cell: str) -> MaybeBool:
    values: dict[str, MaybeBool] = {"": UNSET, "true": True, "false": False}
    if cell.lower() not in values:
        raise InvalidRequestError(f"{name} must be true, false or empty, not {cell!r:.40}")
    return values[cell.lower()]


def _json_rows(text: str) -> Iterator[_Row]:
    for row, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield row, lambda line=line: _from_json(line)  # type: ignore[misc] # mypy can't type a default of a lambda


def _from_json(line: str) -> Change:
    row = _converter.decode(line.encode())
    if not isinstance(row, dict):
        raise InvalidRequestError("expected a JSON object")
    fields: dict[str, Any] = dict.fromkeys(_IDS) | row
    flags = {name: value for name, value in row.items() if name in FLAGS}
    _check_all(
        *(partial(_raise, f"unknown key {name!r:.40}") for name in row if name not in _COLUMNS),
        *(partial(_checks.identifier, name, fields[name], None) for name in _IDS),
        *(partial(_checks.booleans, **{name: value}) for name, value in flags.items()),
    )
    return Change(**fields)


def _raise(problem: str) -> Change:
    raise InvalidRequestError(problem)
