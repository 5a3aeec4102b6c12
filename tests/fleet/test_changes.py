"""What is to change: from code, CSV and JSON Lines."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scripted import ACCOUNT, CONNECTOR, OTHER

import cfsso
from cfsso.fleet import Change, Changes, read_changes

HEADER = "account_id,sso_connector_id,enabled,use_fedramp_language"
KEYS = ["account_id", "sso_connector_id"]


@pytest.mark.parametrize(
    ("expected", "flags"),
    [
        ({"enabled": True}, {"enabled": True}),
        ({"enabled": False}, {"enabled": False, "use_fedramp_language": cfsso.UNSET}),
        ({"use_fedramp_language": False}, {"use_fedramp_language": False}),
        (
            {"enabled": True, "use_fedramp_language": False},
            {"enabled": True, "use_fedramp_language": False},
        ),
    ],
    ids=str,
)
def test_what_a_change_asks_for(expected: Mapping[str, Any], flags: Any) -> None:
    """A change asks for the values given, and knows a connector that has them all."""
    change = Change(ACCOUNT, CONNECTOR, **flags)
    connector = attrs.evolve(cfsso.SSOConnector(), **expected)

    assert expected == change.wished
    assert change.is_shown_by(connector)
    for name, value in expected.items():
        others: list[Any] = [{name: None}, {name: not value}]
        for other in others:
            assert not change.is_shown_by(attrs.evolve(connector, **other))


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ("account_id must be 32 letters", {"account_id": "x"}),
        ("sso_connector_id must be a str", {"sso_connector_id": None}),
        ("enabled must be True or False, not int", {"enabled": 1}),
        ("use_fedramp_language must be True or False", {"use_fedramp_language": None}),
        ("nothing to change: set enabled or", {"enabled": cfsso.UNSET}),
    ],
)
def test_changes_that_can_not_be(said: str, arguments: Any) -> None:
    """A change that could never be sent can't be made."""
    usual = {"account_id": ACCOUNT, "sso_connector_id": CONNECTOR, "enabled": True}

    with pytest.raises(cfsso.InvalidRequestError, match=said):
        Change(**{**usual, **arguments})


def written(folder: Path, content: str | bytes, name: str = "rollout.csv") -> Path:
    """Write *content* to a file and return its path."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def table(*rows: str, header: str = HEADER) -> str:
    """Return CSV of *rows*, in which A, C and O stand for ids."""
    ids = {"A": ACCOUNT, "C": CONNECTOR, "O": OTHER}
    cells = [",".join(ids.get(cell, cell) for cell in row.split(",")) for row in rows]
    return "\n".join([header, *cells, ""])


def lines(*rows: Any) -> str:
    """Return JSON Lines; a text stands as it is, a mapping is completed by ids."""
    usual = {"account_id": ACCOUNT, "sso_connector_id": CONNECTOR}
    return "\n".join(r if isinstance(r, str) else json.dumps({**usual, **r}) for r in rows)


ON = Change(ACCOUNT, CONNECTOR, enabled=True)
OFF = Change(ACCOUNT, OTHER, enabled=False, use_fedramp_language=True)
OTHER_OFF = {"sso_connector_id": OTHER, "enabled": False, "use_fedramp_language": True}
TWO = table("A,C,true,", "A,O,False,TRUE")


@pytest.mark.parametrize(
    ("expected", "name", "content"),
    [
        ([ON, OFF], "a.csv", TWO),
        ([ON, OFF], "a.CSV", "\ufeff" + TWO),
        ([ON, OFF], "a.txt", TWO.replace("\n", "\r\n")),
        ([ON, OFF], "a", TWO.replace("\n", "\r")),
        ([ON, OFF], "a.csv", "\n".join([*TWO.splitlines(), "", "", ""])),
        ([ON, OFF], "a.csv", TWO.rstrip("\n")),
        ([ON], "a.csv", f'"enabled",account_id,sso_connector_id\nTrUe,"{ACCOUNT}",{CONNECTOR}\n'),
        ([ON], "a.jsonl", lines({"enabled": True})),
        ([ON], "a.NDJSON", "\ufeff\n" + lines({"enabled": True}) + "\r\n \n"),
        ([ON, OFF], "a.json", lines({"enabled": True}, OTHER_OFF)),
    ],
)  # fmt: skip
def test_files(expected: list[Change], name: str, content: str, tmp_path: Path) -> None:
    """A file is read by its name: CSV, or JSON Lines, with or without a BOM."""
    changes = read_changes(str(written(tmp_path, content, name)))

    assert tuple(expected) == changes
    assert isinstance(changes, Changes)
    assert 0 == changes.merged


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", table("A,C,true,", "A,O,false,true", "A,C,TRUE,", "A,C,true,")),
        ("a.jsonl", lines({"enabled": True}, *[OTHER_OFF] * 3)),
    ],
)  # fmt: skip
def test_identical_rows_are_merged(name: str, content: str, tmp_path: Path) -> None:
    """A row that repeats an earlier one is counted, and not another target."""
    changes = read_changes(written(tmp_path, content, name))

    assert ((ON, OFF), 2) == (tuple(changes), changes.merged)


def notes_of(path: Path) -> tuple[str, list[str]]:
    """Return the message and the notes of the refusal of a file."""
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        read_changes(path)
    assert caught.value.write is None
    return str(caught.value), getattr(caught.value, "__notes__", [])


contradiction = f"asks for other values of connector {CONNECTOR} than row"
TWICE = f"account_id, x,{HEADER}"
LAST_ROWS = ["A,O,true,,", "A,O,,", "", "A,O,,1"]
no_ids = "no column account_id; no column sso_connector_id"
no_flag = f"no column enabled or use_fedramp_language; expected {HEADER}"


@pytest.mark.parametrize(
    ("notes", "content"),
    [
        (
            [
                "row 2: account_id must be 32 letters and digits, not 1 characters",
                "row 4: enabled must be true, false or empty, not 'yes'",
                f"row 5: {contradiction} 3",
                "row 6: expected 4 cells, not 5",
                "row 7: nothing to change: set enabled or use_fedramp_language",
                "row 9: use_fedramp_language must be true, false or empty, not '1'",
            ],
            table("x,C,true,", "A,C,true,", "A,O,yes,", "A,C,false,", *LAST_ROWS),
        ),
        ([f"row 3: {contradiction} 2"], table("A,C,true,", "A,C,true,true")),
        (["row 2: enabled must be true, false or empty, not ' true'"], table("A,C, true,")),
        (["row 2: expected 4 cells, not 1"], table("  ")),
        ([f"row 1: no column account_id; {no_flag}"], "sso_connector_id\n"),
        ([f"row 1: {no_ids}; unknown column 'Account_ID;x'; {no_flag}"], "Account_ID;x\n"),
        ([f"row 1: unknown column ' x'; column account_id twice; expected {HEADER}"], TWICE),
        ([f"row 1: {no_ids}; {no_flag}"], "\n"),
        (["row 3: no CSV: unexpected end of data"], table("A,C,true,", '"A,O', "A,C,false,")),
        (["row 2: no CSV: ',' expected after '\"'"], table('"A"x,C,true,', "A,O,true,")),
        (["row 1: no CSV: unexpected end of data"], '"account_id'),
        (["row 2: no CSV: field larger than field limit (131072)"], table("A" * 140_000)),
    ],
    ids=lambda value: None if isinstance(value, list) else "",
)  # fmt: skip
def test_csv_that_is_refused(notes: list[str], content: str, tmp_path: Path) -> None:
    """All rows that can't be used are named at once, by their line."""
    path = written(tmp_path, content)

    more = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
    assert (f"{path}: {notes[0]}{more}; nothing was sent", notes) == notes_of(path)


def test_a_row_with_a_nul(tmp_path: Path) -> None:
    """A character that no id has is named, and does not get out."""
    _, notes = notes_of(written(tmp_path, table(f"{'a' * 31}\0,C,true,")))

    problem = "character 32 is '\\x00'"
    assert [f"row 2: account_id must be 32 ASCII letters and digits; {problem}"] == notes


def test_a_row_of_many_lines(tmp_path: Path) -> None:
    """A row is named by the line on which it begins."""
    content = table("A,C,true,", '"a\nb\n\nc",C,true,', "A,O,maybe,")

    _, notes = notes_of(written(tmp_path, content))
    assert ["row 3", "row 7"] == [note.partition(":")[0] for note in notes]


def test_json_lines_that_are_refused(tmp_path: Path) -> None:
    """All lines that can't be used are named at once."""
    content = lines(
        "[]",
        "{",
        {"enabled": None},
        {"enabled": "true"},
        "",
        {"Enabled": True},
        {"enabled": True},
        {"enabled": False},
        {},
        '{"account_id": "a", "account_id": "b"}',
        '{"enabled": true}',
        '{"a": "\\ud800"}',
        '{"a": NaN}',
        "[" * 100_000,
    )

    no_id = "must be a str of 32 letters and digits, not NoneType"
    _, notes = notes_of(written(tmp_path, content, "a.jsonl"))
    expected = [
        "row 1: expected a JSON object",
        "row 2: no JSON: Expecting property name enclosed in double quotes at character 1",
        "row 3: enabled must be True or False, not NoneType",
        "row 4: enabled must be True or False, not str",
        "row 6: unknown key 'Enabled'",
        f"row 8: {contradiction} 7",
        "row 9: nothing to change: set enabled or use_fedramp_language",
        "row 10: JSON that repeats a key",
        f"row 11: account_id {no_id}; sso_connector_id {no_id}",
        "row 12: text that is not UTF-8",
        "row 13: a number that JSON does not have",
        "row 14: JSON nested too deep",
    ]
    assert expected == notes


@pytest.mark.parametrize(
    ("said", "content"),
    [
        ("no rows", ""),
        ("no rows", "\ufeff"),
        ("no rows", " \n\n"),
        ("not UTF-8 at byte 3: save it as UTF-8", b"abc\xff"),
        ("not UTF-8 at byte 0: save it as UTF-8", TWO.encode("utf-16")),
        ("not UTF-8 at byte 0: save it as UTF-8", b"\xed\xa0\x80"),
    ],
)
def test_files_without_rows(said: str, content: str | bytes, tmp_path: Path) -> None:
    """A file without a row, or that is no UTF-8, says so."""
    path = written(tmp_path, content, "a.jsonl")

    assert (f"{path}: {said}", []) == notes_of(path)


def test_only_a_header(tmp_path: Path) -> None:
    """A header alone asks for nothing."""
    path = written(tmp_path, HEADER)

    assert (f"{path}: no rows", []) == notes_of(path)


def test_all_that_is_wrong_with_a_row(tmp_path: Path) -> None:
    """A row is refused for everything that is wrong with it, in either form."""
    cells = tmp_path / "a.csv"
    cells.write_text(f"{HEADER}\nabc,{'b' * 31}-,yes,no\n")
    objects = tmp_path / "a.jsonl"
    objects.write_text(
        '{"account_id": 1, "enabled": "yes", "use_fedramp_language": null, "x": 1}\n'
    )

    ids = "account_id must be 32 letters and digits, not 3 characters"
    character = "sso_connector_id must be 32 ASCII letters and digits; character 32 is '-'"
    flags = "enabled must be true, false or empty, not 'yes'"
    others = "use_fedramp_language must be true, false or empty, not 'no'"
    assert [f"row 2: {ids}; {character}; {flags}; {others}"] == notes_of(cells)[1]
    (note,) = notes_of(objects)[1]
    assert 5 == len(note.split("; "))


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    """A file that can't be read is named, with what the system says."""
    missing = tmp_path / "missing.csv"

    assert (f"{missing}: No such file or directory", []) == notes_of(missing)
    assert (f"{tmp_path}: Is a directory", []) == notes_of(tmp_path)
    with pytest.raises(cfsso.InvalidRequestError, match="no name of a file"):
        cfsso.fleet.read_changes("a\0b")


cells = st.sampled_from(
    [ACCOUNT, CONNECTOR, "true", "", '"', "\n", "\r", "\0", ",", "é", "{", "}", ":"]
)
crooked = st.lists(cells, max_size=20).map(lambda found: f"{HEADER}\n{','.join(found)}".encode())


@given(
    st.one_of(st.binary(), crooked, st.text().map(str.encode)),
    st.sampled_from(["a.csv", "a.jsonl"]),
)
@example(b'{"account_id":' + b"1" * 5000 + b"}", "a.jsonl")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_file_does_harm(tmp_path: Path, content: bytes, name: str) -> None:
    """Whatever a file holds, it is changes or a refusal."""
    try:
        changes = read_changes(written(tmp_path, content, name))
    except cfsso.InvalidRequestError:
        return

    assert changes
    assert len(changes) == len({(c.account_id, c.sso_connector_id) for c in changes})
