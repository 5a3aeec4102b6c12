"""Values as JSON: `to_dict`, `to_json` and `from_json`."""

import datetime as dt
import json
from types import MappingProxyType
from typing import Any, NoReturn, Protocol

import any_values
import fastapi.encoders
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ACCOUNT, CONNECTOR, shown

import cfsso

MOMENT = dt.datetime(2026, 3, 2, 8, 15, 42, 123400, dt.UTC)
AFTER_UTC = dt.datetime(9999, 12, 31, 23, tzinfo=dt.timezone(dt.timedelta(hours=-1)))
INFO = cfsso.ResponseInfo(
    code=1001,
    message="no",
    source=cfsso.Source(pointer="/enabled"),
    error_chain=(cfsso.ResponseInfo(message="since"),),
    extra={"meta": {"a": [1]}},
)
REQUEST = cfsso.Request("PATCH", "/accounts", b'{"enabled":true}')
RESPONSE = cfsso.Response(200, {"cf-ray": "8"}, b"\xff")
CHANGE = cfsso.fleet.Change(ACCOUNT, CONNECTOR, enabled=False)
FOUND = cfsso.SSOConnector(id=CONNECTOR, created_on=AFTER_UTC)
OUTCOME = cfsso.fleet.Outcome(
    change=CHANGE,
    status=cfsso.fleet.OutcomeStatus.FAILED,
    before=FOUND,
    error=cfsso.ConflictError("no", status=409, errors=[INFO], request=REQUEST, response=RESPONSE),
)
PLANNED = cfsso.fleet.PlannedChange(change=CHANGE, action=cfsso.fleet.PlanAction.CHANGE)
PLAN = cfsso.fleet.Plan(created=MOMENT, rows=(PLANNED,), seconds=1.5)
RUN = cfsso.fleet.Run(number=1, kind=cfsso.fleet.RunKind.APPLY, begun=MOMENT, ended=AFTER_UTC)


class Writes(Protocol):
    """What every value has."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        ...

    def to_json(self, *, indent: int | None = 2) -> str:
        """Return that as text."""
        ...


def every_value() -> list[Writes]:
    """Return one of every public class of values."""
    return [
        FOUND,
        cfsso.Verification(code="c", status=cfsso.VerificationStatus.PENDING),
        cfsso.TokenInfo(id="t", raw_status="active", expires_on=MOMENT, extra={"new": None}),
        INFO,
        cfsso.Source(pointer="/a"),
        REQUEST,
        RESPONSE,
        cfsso.RateLimit(),
        cfsso.Event(
            kind=cfsso.EventKind.END,
            operation="update",
            account_id=ACCOUNT,
            request=REQUEST,
            seconds=float("inf"),
            warnings=(INFO,),
            error=cfsso.APITimeoutError("late"),
        ),
        CHANGE,
        OUTCOME,
        PLAN,
        PLANNED,
        RUN,
        cfsso.fleet.Recorded(outcome=OUTCOME, intended=MOMENT, ended=None),
    ]


def strict(text: str) -> Any:
    """Parse JSON as RFC 8259 has it, in which text can be UTF-8."""

    def refuse(name: str) -> NoReturn:
        raise AssertionError(name)

    value = json.loads(text, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode()
    return value


@pytest.mark.parametrize("value", every_value(), ids=lambda value: type(value).__name__)
def test_every_public_value_is_json(value: Writes) -> None:
    """`to_json` is strict JSON of exactly what `to_dict` gives, indented or on one line."""
    plain = value.to_dict()

    assert strict(value.to_json()) == plain
    assert strict(value.to_json(indent=None)) == plain
    assert "\n" not in value.to_json(indent=None).rstrip("\n")
    assert value.to_json().isascii()


@pytest.mark.parametrize("value", every_value(), ids=lambda value: type(value).__name__)
def test_dict_of_a_value(value: Any) -> None:
    """``dict()`` of a value is its `to_dict`, so that frameworks that ask for that can answer."""
    assert value.to_dict() == dict(value)


def test_every_public_class_of_values_is_tested() -> None:
    """Each public class with fields is one of those above, but for what holds functions."""
    public = [getattr(room, name) for room in (cfsso, cfsso.fleet) for name in room.__all__]
    values = {
        kind for kind in public if isinstance(kind, type) and hasattr(kind, "__attrs_attrs__")
    }

    assert values == {type(value) for value in every_value()}


def test_a_connector_is_as_the_api_shows_it() -> None:
    """Names, raw status, times and unknown members stand where the API has them."""
    answer = shown(
        verification={"code": "c", "status": "withdrawn", "hint": [1]},
        created_on="2026-03-02T08:15:42.123400Z",
        updated_on="2026-03-04T11:00:09Z",
        labels={"a": None},
    )
    connector = cfsso.SSOConnector.from_json(json.dumps(answer))

    assert cfsso.VerificationStatus.UNKNOWN is connector.verification.status
    assert answer == connector.to_dict()
    assert [*answer] == [*connector.to_dict()]


def test_what_the_answer_did_not_have_is_left_out() -> None:
    """A member that is missing is not null; one that was null and is unknown stays null."""
    assert {} == cfsso.SSOConnector().to_dict()
    assert {"enabled": False, "new": None} == cfsso.SSOConnector(
        enabled=False, extra={"new": None}
    ).to_dict()
    assert {"message": "no"} == cfsso.ResponseInfo(message="no").to_dict()


def test_a_status_given_by_hand_is_kept() -> None:
    """A connector that was made in a test says its status too."""
    made = cfsso.Verification(status=cfsso.VerificationStatus.VERIFIED)

    assert {"status": "verified"} == made.to_dict()
    assert type(made.to_dict()["status"]) is str


def test_a_copy_is_given() -> None:
    """Whoever changes what `to_dict` gave changes no value."""
    connector = cfsso.SSOConnector(extra={"a": [1]})
    connector.to_dict()["a"].append(2)

    assert {"a": [1]} == connector.extra


@pytest.mark.parametrize(
    ("odd", "plain"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\N{SNOWMAN}", "\N{SNOWMAN}"),
        ((1, 2), [1, 2]),
        (b"a\xff", "a\\xff"),
        (MOMENT, "2026-03-02T08:15:42.123400Z"),
        ({1: 2, (3,): 4}, {"1": 2}),
        (cfsso.UNSET, "<UNSET>"),
        (MappingProxyType({"a": 1}), {"a": 1}),
    ],
    ids=repr,
)
def test_what_json_lacks(odd: Any, plain: Any) -> None:
    """What no API gives, but a caller may have put there, becomes what JSON has."""
    made = cfsso.SSOConnector(extra={"odd": odd})

    assert {"odd": plain} == made.to_dict() == strict(made.to_json())


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_times_that_utc_lacks(text: str) -> None:
    """A time beyond the ends of the calendar of UTC is kept as it was written."""
    connector = cfsso.SSOConnector.from_json(json.dumps({"created_on": text}))

    assert text == connector.to_dict()["created_on"]
    assert connector == cfsso.SSOConnector.from_json(connector.to_json())


@given(any_values.connectors())
def test_a_connector_is_the_same_after_its_json(connector: cfsso.SSOConnector) -> None:
    """`from_json` gives back what `to_json` was given."""
    text = connector.to_json()

    assert connector == cfsso.SSOConnector.from_json(text)
    assert strict(text) == connector.to_dict()


@given(st.text(st.characters(), max_size=5), any_values.json_values)
def test_any_text_is_strict_json(text: str, value: Any) -> None:
    """No text that a server may send makes JSON that another parser refuses."""
    connector = cfsso.SSOConnector(email_domain=text, extra={f"x{text}": value})

    assert strict(connector.to_json()) == connector.to_dict()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON of a connector: an empty body"),
        ("[]", "no JSON of a connector: expected object at $"),
        ('{"enabled": null}', "no JSON of a connector: expected bool at $.enabled"),
        ('{"verification": {"code": 7}}', "no JSON of a connector: expected str at $.verificat"),
        ('{"a": NaN}', "no JSON of a connector: a number that JSON does not have"),
        ('{"a": "\ud800"}', "no JSON of a connector: text that is not UTF-8"),
        (b"{}", "a connector is read from a str, not from bytes"),
        (None, "a connector is read from a str, not from NoneType"),
    ],
)
def test_what_is_no_connector(text: Any, problem: str) -> None:
    """The refusal names the place in the JSON."""
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        cfsso.SSOConnector.from_json(text)

    assert str(caught.value).startswith(problem)


class Report(pydantic.BaseModel):
    """A model of somebody else's, with values of this package in it."""

    connector: cfsso.SSOConnector
    outcomes: list[cfsso.fleet.Outcome]


def test_a_field_of_a_model_of_pydantic() -> None:
    """Such a model takes values as they are, and writes what `to_dict` gives."""
    report = Report(connector=FOUND, outcomes=[OUTCOME])
    expected = {"connector": FOUND.to_dict(), "outcomes": [OUTCOME.to_dict()]}

    assert FOUND is report.connector
    assert expected == report.model_dump()
    assert expected == json.loads(report.model_dump_json())
    with pytest.raises(pydantic.ValidationError):
        Report.model_validate(expected)


def test_an_answer_of_fastapi() -> None:
    """A route may be annotated with a value, and its schema says that the answer is an object."""
    app = fastapi.FastAPI()

    @app.get("/")
    async def show() -> cfsso.SSOConnector:
        return FOUND

    found = app.openapi()["paths"]["/"]["get"]["responses"]["200"]["content"]
    assert "object" == found["application/json"]["schema"]["type"]
    assert FOUND.to_dict() == fastapi.encoders.jsonable_encoder(FOUND)
    assert [OUTCOME.to_dict()] == fastapi.encoders.jsonable_encoder([OUTCOME])
