"""Changes and outcomes as JSON, and back."""

import json
from typing import Any

import any_values
import pytest
from hypothesis import given, settings
from scripted import ACCOUNT, CONNECTOR

import cfsso
from cfsso.fleet import Change, Outcome, OutcomeStatus

CHANGED = Outcome(change=Change(ACCOUNT, CONNECTOR, enabled=True), status=OutcomeStatus.CHANGED)
FAILED = Outcome(
    change=Change(ACCOUNT, "", enabled=False),
    status=OutcomeStatus.FAILED,
    error=cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN),
    note="why",
)


def without_error(outcome: Outcome) -> tuple[Any, ...]:
    """Return all but the error, which compares by identity."""
    return tuple(
        getattr(outcome, name)
        for name in ("change", "status", "before", "after", "attempts", "note")
    )


def test_a_change_leaves_out_what_it_leaves_alone() -> None:
    """UNSET is no member, as in a request; whoever reads finds the two ids first."""
    change = Change(ACCOUNT, CONNECTOR, use_fedramp_language=False)
    expected = {
        "account_id": ACCOUNT,
        "sso_connector_id": CONNECTOR,
        "use_fedramp_language": False,
    }

    assert expected == change.to_dict()
    assert [*expected] == [*change.to_dict()]


def test_an_outcome_names_every_member() -> None:
    """An outcome has the same members however it ended, null where there is nothing."""
    expected: dict[str, Any] = {
        "account_id": ACCOUNT,
        "sso_connector_id": CONNECTOR,
        "status": "changed",
        "enabled": True,
        "use_fedramp_language": None,
        "before": None,
        "after": None,
        "error": None,
        "attempts": 0,
        "note": None,
    }

    assert expected == CHANGED.to_dict()
    assert [*expected] == [*FAILED.to_dict()]
    assert FAILED.to_dict()["sso_connector_id"] is None


def test_an_error_says_what_its_attributes_say() -> None:
    """An error in JSON has its class's name, its message and its attributes by their names."""
    expected: dict[str, Any] = {
        "type": "APIConnectionError",
        "message": "lost",
        "write": "unknown",
        "status": None,
        "errors": [],
        "messages": [],
        "ray_id": None,
        "retry_after": None,
        "edge": False,
        "title": "",
        "detail": "",
        "retryable": True,
        "request": None,
        "reason": "other",
    }

    assert expected == FAILED.to_dict()["error"]


def test_an_outcome_is_written_like_a_line_of_the_command() -> None:
    """Where an outcome and `--json` of the commands have a member in common, it is the same."""
    from cfsso.cli.records import of_outcome

    ours, theirs = CHANGED.to_dict(), of_outcome(CHANGED)

    assert set(ours) == set(theirs) - {"email_domain"}
    assert ours == {name: theirs[name] for name in ours}


@given(any_values.changes())
def test_a_change_is_the_same_after_its_json(change: Change) -> None:
    """`from_json` gives back what `to_json` was given, about a whole account too."""
    assert change == Change.from_json(change.to_json())


@given(any_values.outcomes)
@settings(max_examples=60)
def test_an_outcome_is_the_same_after_its_json(outcome: Outcome) -> None:
    """`from_json` gives back an equal outcome, with an error that says the same."""
    again = Outcome.from_json(outcome.to_json())

    assert without_error(outcome) == without_error(again)
    assert type(outcome.error) is type(again.error)
    assert str(outcome.error) == str(again.error)
    if outcome.error:
        assert vars(outcome.error) == vars(again.error)
    assert outcome.to_dict() == again.to_dict()


def test_an_error_of_another_version() -> None:
    """An error whose class this version does not know is a CfssoError that says the same."""
    for name in ("NewError", "WriteState", "Any", "__name__"):
        told = {"type": name, "message": "new"}
        again = Outcome.from_json(json.dumps({**CHANGED.to_dict(), "error": told}))

        assert cfsso.CfssoError is type(again.error)
        assert "new" == str(again.error)


CHANGE = {"account_id": ACCOUNT, "sso_connector_id": CONNECTOR, "enabled": True}


@pytest.mark.parametrize(
    ("altered", "problem"),
    [
        ({"enabled": None}, "expected bool at $.enabled"),
        ({"enabled": "true"}, "expected bool at $.enabled"),
        ({"account_id": "a"}, "must be 32 letters and digits, not 1 characters at $.account_id"),
        ({"sso_connector_id": 7}, "not int at $.sso_connector_id"),
        ({"new": 1}, "unknown key 'new' at $"),
    ],
)
def test_what_is_no_change(altered: dict[str, Any], problem: str) -> None:
    """A change that can't be read is refused, and the place in the JSON is named."""
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        Change.from_json(json.dumps({**CHANGE, **altered}))

    assert str(caught.value).startswith("no JSON of a change: ")
    assert str(caught.value).endswith(problem)


def test_a_change_of_nothing() -> None:
    """A change needs its ids and something to change."""
    ids = {"account_id": ACCOUNT, "sso_connector_id": CONNECTOR}

    with pytest.raises(cfsso.InvalidRequestError, match=r"neither enabled .* at \$"):
        Change.from_json(json.dumps(ids))
    with pytest.raises(cfsso.InvalidRequestError, match=r"no sso_connector_id at \$"):
        Change.from_json(json.dumps({"account_id": ACCOUNT, "enabled": True}))


@pytest.mark.parametrize(
    ("altered", "problem"),
    [
        ({"status": "done"}, "at $.status"),
        ({"status": None}, "at $.status"),
        ({"enabled": None}, "neither enabled nor use_fedramp_language at $"),
        ({"before": {"enabled": 1}}, "expected bool at $.before.enabled"),
        ({"after": []}, "expected object at $.after"),
        ({"attempts": -1}, "expected a whole number from 0 at $.attempts"),
        ({"note": 1}, "expected str at $.note"),
        ({"change": {}}, "unknown key 'change' at $"),
        ({"error": "lost"}, "expected object at $.error"),
        ({"error": {"message": "lost"}}, "no type at $.error"),
    ],
)
def test_what_is_no_outcome(altered: dict[str, Any], problem: str) -> None:
    """An outcome that can't be read is refused, and the place in the JSON is named."""
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        Outcome.from_json(json.dumps({**CHANGED.to_dict(), **altered}))

    assert str(caught.value).startswith("no JSON of an outcome: ")
    assert str(caught.value).endswith(problem)


@pytest.mark.parametrize(
    ("altered", "problem"),
    [
        ({"write": "perhaps"}, "at $.error.write"),
        ({"status": "500"}, "at $.error.status"),
        ({"errors": {}}, "expected array at $.error.errors"),
        ({"messages": ["a"]}, "expected object at $.error.messages[0]"),
        ({"retry_after": -1}, "at $.error.retry_after"),
        ({"edge": 0}, "expected bool at $.error.edge"),
        ({"retryable": "no"}, "expected bool at $.error.retryable"),
        ({"title": 7}, "expected str at $.error.title"),
        ({"request": []}, "expected object at $.error.request"),
        ({"request": {"method": "get", "path": "/a"}}, "at $.error.request"),
        ({"reason": "moon"}, "at $.error.reason"),
        ({"body": ""}, "unknown key 'body' at $.error"),
        (
            {"type": "UnconfirmedWriteError", "settlement": "new"},
            "unknown at $.error.settlement",
        ),
    ],
)
def test_what_is_no_error(altered: dict[str, Any], problem: str) -> None:
    """An error that can't be read is refused, and the place in the JSON is named."""
    told = {**FAILED.to_dict()["error"], **altered}
    with pytest.raises(cfsso.InvalidRequestError) as caught:
        Outcome.from_json(json.dumps({**CHANGED.to_dict(), "error": told}))

    assert str(caught.value).endswith(problem)


def test_an_error_without_details() -> None:
    """What an earlier version did not write has the value that a new error has."""
    told = {"type": "UnconfirmedWriteError", "message": "perhaps"}
    again = Outcome.from_json(json.dumps({**CHANGED.to_dict(), "error": told}))

    assert vars(cfsso.UnconfirmedWriteError("perhaps")) == vars(again.error)


def test_an_outcome_without_details() -> None:
    """What is left out is what an outcome has that nothing more is known of."""
    known = {**CHANGE, "status": "changed"}

    assert CHANGED == Outcome.from_json(json.dumps(known))


def test_the_request_of_an_older_journal() -> None:
    """A request that was written as a list, as journals had it, is read too."""
    told = {"type": "CfssoError", "message": "a", "request": ["GET", "/accounts", None]}
    again = Outcome.from_json(json.dumps({**CHANGED.to_dict(), "error": told}))

    assert again.error is not None
    assert cfsso.Request("GET", "/accounts") == again.error.request
