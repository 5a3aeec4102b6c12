"""Plans as JSON and as files: what is kept, and what is refused."""

import datetime as dt
import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import attrs
import pytest
from any_values import connectors, ids
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ACCOUNT, CONNECTOR, OTHER

import cfsso
from cfsso.fleet import Change, Plan, PlanAction, PlannedChange
from cfsso.fleet.plans import is_plan

CREATED = dt.datetime(2026, 3, 4, 11, 0, 9, 123000, dt.UTC)


@st.composite
def rows(draw: st.DrawFn, account_id: str, sso_connector_id: str) -> PlannedChange:
    """Make a row of a plan."""
    wished = draw(
        st.dictionaries(
            st.sampled_from(["enabled", "use_fedramp_language"]), st.booleans(), min_size=1
        )
    )
    action = draw(st.sampled_from(PlanAction))
    blocked = action is PlanAction.BLOCKED
    seen = connectors(sso_connector_id)
    return PlannedChange(
        change=Change(account_id, sso_connector_id, **wished),
        action=action,
        before=draw(st.none() | seen if blocked else seen),
        reason=draw(st.text(min_size=1)) if blocked else "",
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Make a plan."""
    keys = draw(st.lists(st.tuples(ids, ids), max_size=4, unique=True))
    made = [draw(rows(*key)) for key in keys]
    disables = [
        n
        for n, row in enumerate(made)
        if row.action is PlanAction.CHANGE and row.change.enabled is False
    ]
    needs = st.none() | st.sampled_from(disables) if disables else st.none()
    return Plan(
        created=draw(st.datetimes(timezones=st.just(dt.UTC))),
        rows=tuple(attrs.evolve(row, needs=draw(needs)) for row in made),
        merged=draw(st.integers(0)),
        accounts=tuple(draw(st.lists(ids, max_size=2))),
        unread=draw(st.dictionaries(ids, st.text(), max_size=2)),
        seconds=draw(st.none() | st.floats(0, allow_infinity=False)),
    )


@given(plans())
@settings(max_examples=60)
def test_a_plan_is_the_same_after_its_json(made: Plan) -> None:
    """`from_json` gives back all that `to_json` was given, whatever servers wrote."""
    again = Plan.from_json(made.to_json())

    assert made == again
    assert made.digest == again.digest
    assert made.to_json() == again.to_json()


def sample(**members: Any) -> Plan:
    """Return a plan of two rows, changed by *members*."""
    seen = cfsso.SSOConnector(id=CONNECTOR, email_domain="company.example", enabled=True)
    off = PlannedChange(
        change=Change(ACCOUNT, CONNECTOR, enabled=False), action=PlanAction.CHANGE, before=seen
    )
    on = PlannedChange(
        change=Change(ACCOUNT, OTHER, enabled=True),
        action=PlanAction.CHANGE,
        before=attrs.evolve(seen, id=OTHER, enabled=False),
        needs=0,
    )
    return attrs.evolve(Plan(created=CREATED, rows=(off, on), seconds=300.0), **members)


def test_the_json_of_a_plan() -> None:
    """Format and version come first, and names are the API's and those of a file of changes."""
    assert {
        "format": "cfsso plan",
        "version": 1,
        "created": "2026-03-04T11:00:09.123000Z",
        "seconds": 300.0,
        "merged": 0,
        "accounts": [],
        "unread": {},
        "rows": [
            {
                "account_id": ACCOUNT,
                "sso_connector_id": CONNECTOR,
                "enabled": False,
                "action": "change",
                "before": {"id": CONNECTOR, "email_domain": "company.example", "enabled": True},
            },
            {
                "account_id": ACCOUNT,
                "sso_connector_id": OTHER,
                "enabled": True,
                "action": "change",
                "before": {"id": OTHER, "email_domain": "company.example", "enabled": False},
                "needs": 0,
            },
        ],
    } == json.loads(sample().to_json())


def test_the_digest_tells_plans_apart() -> None:
    """It is one of SHA-256, of what is planned and when, in whatever order servers wrote it."""
    other = sample(created=CREATED + dt.timedelta(seconds=1))

    assert 64 == len(sample().digest) == len(set("0123456789abcdef")) * 4
    assert sample().digest == sample().digest
    assert sample().digest != other.digest
    ways = [{"a": 1, "b": 2}, {"b": 2, "a": 1}]
    row = sample().rows[0]
    seen = cfsso.SSOConnector(id=CONNECTOR, enabled=True)
    both = [attrs.evolve(row, before=attrs.evolve(seen, extra=way)) for way in ways]
    assert 1 == len({sample(rows=(each,)).digest for each in both})


def test_times_of_other_zones_are_kept() -> None:
    """The same instant comes back, whatever zone it was given in."""
    made = sample(created=CREATED.astimezone(dt.timezone(dt.timedelta(hours=-7))))

    assert made == Plan.from_json(made.to_json())
    assert sample().digest == made.digest


GONE = object()
NO_PLAN = "no plan: make one with Plan.save"
NO_TIME = "expected a time with its offset (RFC 3339) at $.created"
NO_ACTION = "expected one of change, unchanged, blocked at $.rows[{}].action"
NO_DISABLE = "expected the index of a row that disables at $.rows[1].needs"
# What is said of a plan in which one place holds something else.
EDITS: list[tuple[str, list[str | int], Any]] = [
    (NO_ACTION.format(1), ["rows", 1, "action"], "delete"),
    (NO_ACTION.format(0), ["rows", 0, "action"], []),
    (NO_PLAN, ["format"], "something else"),
    (NO_PLAN, ["format"], GONE),
    ("a plan of version 2, but this cfsso reads version 1: plan again", ["version"], 2),
    ("expected a whole number from 0 at $.version", ["version"], True),
    ("expected a whole number from 0 at $.version", ["version"], GONE),
    (r"unknown key 'ro\x1bws' at $", ["ro\x1bws"], []),
    ("no merged at $", ["merged"], GONE),
    ("expected a whole number from 0 at $.merged", ["merged"], -1),
    (NO_TIME, ["created"], "2026-03-04T11:00:09"),
    (NO_TIME, ["created"], "yesterday"),
    ("expected str at $.created", ["created"], None),
    ("expected a number from 0 at $.seconds", ["seconds"], -0.5),
    ("expected a number from 0 at $.seconds", ["seconds"], True),
    ("expected a number that a float can hold at $.seconds", ["seconds"], 10**400),
    ("expected array at $.accounts", ["accounts"], "x"),
    ("an id must be 32 letters and digits, not 1 characters at $.accounts[0]", ["accounts"], ["x"]),
    ("an id must be a str of 32 letters and digits, not int at $.accounts[0]", ["accounts"], [1]),
    ("expected object at $.unread", ["unread"], []),
    ("an id must be 32 letters and digits, not 0 characters at $.unread[0]", ["unread", ""], ""),
    ("expected str at $.unread[0]", ["unread", "a" * 32], 1),
    ("expected object at $.rows[1]", ["rows", 1], 5),
    ("no action at $.rows[0]", ["rows", 0, "action"], GONE),
    ("unknown key 'enable' at $.rows[0]", ["rows", 0, "enable"], True),
    ("expected bool at $.rows[0].enabled", ["rows", 0, "enabled"], "false"),
    ("neither enabled nor use_fedramp_language at $.rows[0]", ["rows", 0, "enabled"], GONE),
    (
        "an id must be 32 letters and digits, not 0 characters at $.rows[0].sso_connector_id",
        ["rows", 0, "sso_connector_id"],
        "",
    ),
    ("expected str at $.rows[0].reason", ["rows", 0, "reason"], 1),
    ("no before, which action unchanged needs, at $.rows[2]", ["rows", 2, "before"], GONE),
    ("expected bool at $.rows[0].before.enabled", ["rows", 0, "before", "enabled"], "true"),
    ("expected object at $.rows[0].before", ["rows", 0, "before"], []),
    ("another connector at $.rows[0].before", ["rows", 0, "before", "id"], OTHER),
    ("a connector that stands twice at $.rows[2]", ["rows", 1, "account_id"], "b" * 32),
    (NO_DISABLE, ["rows", 1, "needs"], 3),
    (NO_DISABLE, ["rows", 1, "needs"], 1),
    (NO_DISABLE, ["rows", 1, "needs"], 2),
    ("expected a whole number from 0 at $.rows[1].needs", ["rows", 1, "needs"], -1),
]


@pytest.mark.parametrize("created", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_plan_made_when_utc_has_no_name_for_it(created: str) -> None:
    """Any time that can be read is kept, with its own offset."""
    members = json.loads(sample().to_json())

    made = Plan.from_json(json.dumps({**members, "created": created}))

    assert created == json.loads(made.to_json())["created"]


@pytest.mark.parametrize(("said", "place", "value"), EDITS, ids=map(str, range(len(EDITS))))
def test_what_is_no_plan_is_refused_by_its_path(
    said: str, place: list[str | int], value: Any
) -> None:
    """Whatever was edited wrongly is named with its place, in one line."""
    done = PlannedChange(
        change=Change("b" * 32, OTHER, enabled=False),
        action=PlanAction.UNCHANGED,
        before=cfsso.SSOConnector(id=OTHER, enabled=False),
    )
    members = json.loads(sample(rows=(*sample().rows, done)).to_json())
    inner = members
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    if value is GONE:
        del inner[place[-1]]

    with pytest.raises(cfsso.InvalidRequestError) as refused:
        Plan.from_json(json.dumps(members), "rollout.plan")

    assert f"rollout.plan: {said}" == str(refused.value)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("plan: an empty body", ""),
        ("plan: no JSON: Expecting value at character 0", "account_id,enabled"),
        ("plan: JSON that repeats a key", '{"format": 1, "format": 2}'),
        ("plan: a number that JSON does not have", '{"seconds": NaN}'),
        ("plan: text that is not UTF-8", '"\ud800"'),
        ("plan: no plan: make one with Plan.save", "[]"),
    ],
)
def test_what_is_no_json_is_refused(said: str, text: str) -> None:
    """Text that is something else altogether is refused in one line."""
    with pytest.raises(cfsso.InvalidRequestError) as refused:
        Plan.from_json(text)

    assert said == str(refused.value)


def test_a_row_that_is_blocked_may_not_have_been_seen() -> None:
    """Only what is blocked needs no connector."""
    blocked = PlannedChange(
        change=Change(ACCOUNT, OTHER, enabled=True), action=PlanAction.BLOCKED, reason="none"
    )

    assert sample(rows=(blocked,)) == Plan.from_json(sample(rows=(blocked,)).to_json())


def test_a_saved_plan_is_its_owner_s_and_can_be_loaded(tmp_path: Path) -> None:
    """A former plan is replaced as a whole, has mode 0600, and nothing stays beside it."""
    file = tmp_path / "rollout.plan"
    file.write_text(sample().to_json() + "something longer" * 1000)
    file.chmod(0o644)

    sample().save(file)

    assert sample() == Plan.load(str(file))
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert [file] == [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("said", "make"),
    [
        ("there is something else than a plan", lambda file: file.write_text("rows")),
        ("a symbolic link", lambda file: file.symlink_to("rollout.csv")),
        ("not a file", os.mkfifo),
        ("not a file", lambda file: file.mkdir()),
    ],
    ids=["other", "link", "pipe", "folder"],
)
def test_a_plan_replaces_only_a_plan(said: str, make: Any, tmp_path: Path) -> None:
    """What holds something else, a link, a pipe and a folder stay as they are."""
    (tmp_path / "rollout.csv").write_text("rows")
    file = tmp_path / "rollout.plan"
    make(file)
    before = file.lstat()

    with pytest.raises(cfsso.InvalidRequestError, match=rf"rollout\.plan: {said}"):
        sample().save(file)

    assert before == file.lstat()
    assert "rows" == (tmp_path / "rollout.csv").read_text()
    assert {"rollout.csv", "rollout.plan"} == {each.name for each in tmp_path.iterdir()}


def test_an_empty_file_becomes_a_plan(tmp_path: Path) -> None:
    """Nothing is lost where nothing is."""
    (tmp_path / "rollout.plan").touch()

    sample().save(tmp_path / "rollout.plan")

    assert sample() == Plan.load(tmp_path / "rollout.plan")


@pytest.mark.parametrize(
    ("said", "name"),
    [("No such file or directory", "no\nfolder/x"), ("no name of a file", "a\0b")],
)
def test_a_file_that_can_not_be_used_is_one_line(said: str, name: str, tmp_path: Path) -> None:
    """What can't be written or read is refused with the file's name, made printable."""
    shown = str(tmp_path / name).replace("\n", r"\n").replace("\0", r"\x00")
    for use in (sample().save, Plan.load):
        with pytest.raises(cfsso.InvalidRequestError) as refused:
            use(str(tmp_path / name))
        assert f"{shown}: {said}" == str(refused.value)


def test_what_can_not_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that can't be written on is still the former one, and nothing is left beside it."""
    file = tmp_path / "rollout.plan"
    file.write_text(sample().to_json())

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(cfsso.InvalidRequestError, match=r"rollout\.plan: No space left"):
        sample(merged=7).save(file)

    assert sample() == Plan.load(file)
    assert [file] == [*tmp_path.iterdir()]


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    """An editor that puts one in front does not spoil a plan."""
    file = tmp_path / "rollout.plan"
    file.write_text(sample().to_json(), "utf-8-sig")

    assert is_plan(file.read_bytes())
    assert sample() == Plan.load(file)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (True, sample().to_json()),
        (True, json.dumps(json.loads(sample().to_json()), sort_keys=True)),
        (True, '{"format":"cfsso plan","version":99}'),
        (False, ""),
        (False, "account_id,sso_connector_id,enabled\n"),
        (False, '{"account_id": "x", "sso_connector_id": "y", "enabled": true}\n'),
        (False, '{"accounts": {}}'),
    ],
)
def test_a_plan_is_told_by_its_content(expected: bool, text: str) -> None:  # noqa: FBT001 - a case
    """A plan is known and changes are not taken for one."""
    assert expected is is_plan(text.encode())
