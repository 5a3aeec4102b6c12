"""JSON to values: what is kept, what is refused, and how its place is named."""

import copy
import datetime as dt
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import CONNECTOR, shown

import cfsso
from cfsso import _converter, _usual

NO_BOOLS: list[Any] = ["false", 0, 1, 1.0, []]
NO_TEXTS: list[Any] = [7, True, ["a"], {}]
NO_OBJECTS: list[Any] = ["a", [], 1]
PATH = "$.result"
TIME = "expected a time with its offset (RFC 3339)"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def problem(value: Any) -> str:
    """Return why *value* is no connector."""
    with pytest.raises(_converter.ConversionError) as caught:
        _converter.connector(value, PATH)
    return str(caught.value)


odd: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text() | st.just({}) | st.just([])
)
times = st.sampled_from(
    ["2026-03-02T08:15:42Z", "2026-03-02T08:15:42.1234+02:00", "2026-03-02T08:15:42", "now", ""]
)
verifications = st.fixed_dictionaries(
    {"code": st.text() | odd, "status": st.sampled_from([*cfsso.VerificationStatus, "new"]) | odd},
    optional={"raw_status": odd, "extra": odd},
)
connectors = st.fixed_dictionaries(
    {
        "id": st.text(),
        "enabled": st.booleans(),
        "verification": verifications | odd,
        "created_on": times | odd,
    },
    optional={
        "email_domain": st.text() | odd,
        "use_fedramp_language": st.booleans() | odd,
        "updated_on": times,
        "extra": odd,
        "new": odd,
    },
)


@given(connectors)
def test_by_hand_and_by_cattrs(value: Any) -> None:
    """What is read by hand is what cattrs makes of it, and it makes something of it."""
    found = _usual.connector(value)

    if found is not None:
        again = _converter._structured(value, PATH, cfsso.SSOConnector)
        assert (again, repr(again), hash(again)) == (found, repr(found), hash(found))


@pytest.mark.parametrize("status", ["verified", "pending", "new"])
@pytest.mark.parametrize("enabled", [True, False])
def test_the_usual_connector(status: str, enabled: bool) -> None:  # noqa: FBT001
    """A connector as the reference shows it is read by hand."""
    code = {"code": "cloudflare_dashboard_sso=0b7d3c1e", "status": status}
    usual = shown(enabled=enabled, verification=code)

    assert _usual.connector(usual) == _converter._structured(usual, PATH, cfsso.SSOConnector)


@pytest.mark.parametrize(
    "members",
    [
        *({name: None} for name in shown()),
        *({name: 7} for name in shown()),
        {"new": 1},
        {"updated_on": "2026-03-02T08:15:42"},
        {"created_on": "2026-03-02"},
        {"updated_on": "now"},
        {"verification": {"code": "a", "status": "verified", "new": 1}},
        {"verification": {"code": "a", "new": 1}},
        {"verification": {"code": None, "status": "verified"}},
        {"verification": {"code": "a", "status": 7}},
    ],
    ids=str,
)
def test_what_is_odd_is_left_to_cattrs(members: dict[str, Any]) -> None:
    """A connector that is not as the reference has it, in any member, is not read by hand."""
    assert _usual.connector(shown(**members)) is None
    assert _usual.connector({**dict(list(shown().items())[1:]), **members, "other": 1}) is None


def test_a_whole_connector() -> None:
    """Every documented member arrives as the value it stands for."""
    expected = cfsso.SSOConnector(
        id=CONNECTOR,
        email_domain="mail.nordwind.example",
        enabled=True,
        use_fedramp_language=False,
        verification=cfsso.Verification(
            code="cloudflare_dashboard_sso=0b7d3c1e",
            status=cfsso.VerificationStatus.VERIFIED,
            raw_status="verified",
        ),
        created_on=dt.datetime(2026, 3, 2, 8, 15, 42, tzinfo=dt.UTC),
        updated_on=dt.datetime(2026, 3, 4, 11, 0, 9, 123400, tzinfo=dt.UTC),
    )

    assert expected == _converter.connector(shown(), PATH)


@pytest.mark.parametrize(
    "value",
    [{}, dict.fromkeys(["id", "email_domain", "verification", "created_on"])],
    ids=["missing", "null"],
)
def test_nothing_is_promised(value: Any) -> None:
    """A member that is missing or null is None."""
    assert cfsso.SSOConnector() == _converter.connector(value, PATH)


def test_unknown_members_are_kept() -> None:
    """What this version does not know stands in extra, whatever its name."""
    ours = {"extra": {"a": 1}, "raw_status": None, "tags": ["x"], "": 0}
    theirs = {"extra": 1, "raw_status": "verified", "checked": True}

    connector = _converter.connector({"id": "x", **ours, "verification": theirs}, PATH)

    assert ours == connector.extra
    assert theirs == connector.verification.extra
    assert connector.verification.raw_status is None


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (cfsso.VerificationStatus.AWAITING, "awaiting"),
        (cfsso.VerificationStatus.PENDING, "pending"),
        (cfsso.VerificationStatus.FAILED, "failed"),
        (cfsso.VerificationStatus.VERIFIED, "verified"),
        (cfsso.VerificationStatus.UNKNOWN, "unknown"),
        (cfsso.VerificationStatus.UNKNOWN, "VERIFIED"),
        (cfsso.VerificationStatus.UNKNOWN, "revoked"),
        (cfsso.VerificationStatus.UNKNOWN, ""),
        (None, None),
    ],
)
def test_statuses(status: cfsso.VerificationStatus | None, raw: str | None) -> None:
    """A status of the future is UNKNOWN, and its text is kept as it was."""
    found = _converter.connector({"verification": {"status": raw}}, PATH).verification

    assert (status, raw) == (found.status, found.raw_status)


@pytest.mark.parametrize("digits", range(10))
def test_fractions_of_a_second(digits: int) -> None:
    """A time has none to nine fractional digits, of which six are kept."""
    fraction = "123456789"[:digits]
    text = f"2025-01-01T12:21:02{'.' if digits else ''}{fraction}Z"

    found = _converter.connector({"created_on": text}, PATH).created_on

    microsecond = int(fraction[:6].ljust(6, "0"))
    assert dt.datetime(2025, 1, 1, 12, 21, 2, microsecond, tzinfo=dt.UTC) == found


def test_offsets() -> None:
    """A time of another zone is the same moment."""
    found = _converter.connector({"updated_on": "2025-01-01T14:21:02.5+02:00"}, PATH)

    assert dt.datetime(2025, 1, 1, 12, 21, 2, 500_000, tzinfo=dt.UTC) == found.updated_on


@pytest.mark.parametrize(
    "value",
    ["2025-01-01T12:21:02", "2025-01-01", "", "now", "2025-02-30T00:00:00Z", 1735734062, True, []],
    ids=repr,
)
def test_times_without_an_offset_are_refused(value: Any) -> None:
    """A time must be a moment: a text with its offset."""
    assert f"{TIME} at $.result.created_on" == problem({"created_on": value})


@pytest.mark.parametrize(
    ("said", "value"),
    [
        *((f"expected bool at {PATH}.enabled", {"enabled": v}) for v in NO_BOOLS),
        *((f"expected str at {PATH}.id", {"id": v}) for v in NO_TEXTS),
        *((f"expected object at {PATH}.verification", {"verification": v}) for v in NO_OBJECTS),
        *((f"expected object at {PATH}", v) for v in [None, True, *NO_OBJECTS]),
        ("expected str at $.result.verification.status", {"verification": {"status": 1}}),
        ("expected bool at $.result.use_fedramp_language", {"use_fedramp_language": "no"}),
        (
            "; ".join(
                [
                    "expected str at $.result.email_domain",
                    "expected bool at $.result.enabled",
                    "expected str at $.result.verification.code",
                    f"{TIME} at $.result.created_on",
                ]
            ),
            {
                "id": None,
                "email_domain": 1,
                "enabled": "",
                "verification": {"code": [], "status": "new"},
                "created_on": 0,
            },
        ),
    ],
    ids=repr,
)
def test_wrong_types_are_named_by_their_path(said: str, value: Any) -> None:
    """Nothing is guessed from a wrong type, and all wrong members are named at once."""
    assert said == problem(value)


@given(json_values)
def test_any_json_is_a_connector_or_a_problem(value: Any) -> None:
    """No JSON value makes the converter fail in another way."""
    for found in (value, {"verification": value}, {"id": value, "updated_on": value}):
        try:
            assert isinstance(_converter.connector(found, PATH), cfsso.SSOConnector)
        except _converter.ConversionError as error:
            said = str(error)
        else:
            said = " at $.result"
        assert " at $.result" in said


@given(json_values)
def test_any_json_has_messages_or_none(value: Any) -> None:
    """No JSON value makes the reader of messages fail."""
    for found in (value, [value], [{"code": value, "message": value, "error_chain": value}]):
        for item in _converter.messages(found):
            assert type(item.code) in {int, type(None)}
            assert type(item.message) is str


Info = cfsso.ResponseInfo


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ([], None),
        ([], []),
        ([], [None, 7, True, []]),
        ([], 7),
        ([Info(message="text")], "text"),
        ([Info(message="a"), Info(message="b")], ["a", None, "b"]),
        ([Info(code=7, message="a")], {"code": 7, "message": "a"}),
        ([Info()], [{}]),
        (
            [Info(code=971, message="x", extra={"type": None, "meta": {}})],
            [{"code": 971, "message": "x", "type": None, "meta": {}}],
        ),
        ([Info(code=10000)], [{"code": "10000", "message": None}]),
        ([Info(code=0)], [{"code": 0, "message": 7}]),
        ([Info(code=-1)], [{"code": -1, "message": []}]),
        ([Info(code=None)] * 6, [{"code": c} for c in ["x", "", "٣", "1_000", "1" * 10, "-1"]]),
        ([Info(code=None)] * 4, [{"code": c} for c in [True, 1.0, [], {}]]),
        ([Info(documentation_url="u")], [{"documentation_url": "u"}]),
        ([Info(documentation_url=None)], [{"documentation_url": 1}]),
        ([Info(source=cfsso.Source(pointer="/enabled"))], [{"source": {"pointer": "/enabled"}}]),
        ([Info(source=cfsso.Source())] * 2, [{"source": {}}, {"source": {"pointer": 1}}]),
        ([Info(source=None)] * 2, [{"source": None}, {"source": "/enabled"}]),
        (
            [Info(code=6003, error_chain=(Info(code=6111, message="a"), Info(message="b")))],
            [{"code": 6003, "error_chain": [{"code": 6111, "message": "a"}, "b"]}],
        ),
        ([Info(code=1)], [{"code": 1, "error_chain": None}]),
    ],
    ids=repr,
)
def test_messages(expected: list[cfsso.ResponseInfo], value: Any) -> None:
    """Messages are read as far as they can be, and never refused."""
    assert tuple(expected) == _converter.messages(value)


def test_a_chain_has_an_end() -> None:
    """A chain of errors is followed sixteen items deep."""
    value: dict[str, Any] = {"code": 0}
    for code in range(1, 200):
        value = {"code": code, "error_chain": [value]}

    codes = []
    found = _converter.messages([value])
    while found:
        codes.append(found[0].code)
        found = found[0].error_chain
    assert [*range(199, 199 - 16, -1)] == codes


@pytest.mark.parametrize(("depth", "kept"), [(64, True), (65, False), (900, False)])
@pytest.mark.parametrize("form", ['{"a":', "["])
def test_unknown_members_can_be_copied(depth: int, form: str, *, kept: bool) -> None:
    """An unknown member that is nested too deep to be copied or pickled is left out."""
    close = "}" if form.startswith("{") else "]"
    deep = json.loads(form * (depth - 1) + "1" + close * (depth - 1))

    found = _converter.connector({"id": "c" * 32, "new": deep, "other": 1}, "$")
    (message,) = _converter.messages([{"code": 1, "new": deep, "other": 1}])

    for value in (found, message):
        assert ({"new", "other"} if kept else {"other"}) == set(value.extra)
        assert value == copy.deepcopy(value) == pickle.loads(pickle.dumps(value))
