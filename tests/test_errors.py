"""The error tree, and what every error of it promises."""

import copy
import inspect
import pickle
import re
import textwrap
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cfsso
from cfsso import errors

ERRORS = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, errors.CfssoError)
]
every_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)


def all_attributes() -> dict[str, Any]:
    """Return a value for every attribute of an error."""
    chain = (cfsso.ResponseInfo(code=6003, message="inner"),)
    source = cfsso.Source(pointer="/enabled")
    return {
        "write": cfsso.WriteState.UNKNOWN,
        "status": 503,
        "errors": (cfsso.ResponseInfo(code=1, message="no", source=source, error_chain=chain),),
        "messages": (cfsso.ResponseInfo(message="hm", documentation_url="https://example.com"),),
        "ray_id": "8a1b2c3d4e5f6789-FRA",
        "retry_after": 1.5,
        "request": cfsso.Request("PATCH", "/accounts/a/sso_connectors/b", b"{}"),
        "edge": True,
        "title": "Error 1020: Access denied",
        "detail": "The owner of this website has configured a rule that denies access.",
        "response": cfsso.Response(503, {"cf-ray": "8a1b2c3d4e5f6789-FRA"}, b"no"),
    }


def drawn_tree(docstring: str) -> set[tuple[str, str | None]]:
    """Read the drawing in *docstring* into pairs of a name and its parent's name."""
    drawing = textwrap.dedent(docstring.partition("::\n\n")[2])
    pairs: set[tuple[str, str | None]] = set()
    path: list[str] = []
    for branch, name in re.findall(r"^([│├└─ ]*)(\w+)", drawing, re.MULTILINE):
        depth = len(branch) // 4
        pairs.add((name, path[depth - 1] if depth else None))
        path[depth:] = [name]
    return pairs


def real_tree() -> set[tuple[str, str | None]]:
    """Return every error's name with the name of the error it derives from."""
    parents: dict[type, str | None] = {error: error.__bases__[0].__name__ for error in ERRORS}
    parents[errors.CfssoError] = None
    return {(error.__name__, parent) for error, parent in parents.items()}


def test_the_drawing_is_the_tree() -> None:
    """The tree in the module's docstring is the tree of the classes."""
    assert real_tree() == drawn_tree(errors.__doc__ or "")


def test_one_error_is_also_a_value_error() -> None:
    """Only InvalidRequestError is a built-in error too, and the docstring says so."""
    others = [e for e in ERRORS if len(e.__bases__) > 1]

    assert [cfsso.InvalidRequestError] == others
    assert issubclass(cfsso.InvalidRequestError, ValueError)
    assert "InvalidRequestError (also a ValueError)" in (errors.__doc__ or "")


@every_error
def test_defaults(error: type[cfsso.CfssoError]) -> None:
    """An error that was told nothing but its message knows nothing else."""
    expected = dict.fromkeys(all_attributes()) | {"errors": (), "messages": ()}
    expected |= {"edge": False, "title": "", "detail": ""}
    if error is cfsso.UnconfirmedWriteError:
        expected |= {"settlement": cfsso.Settlement.UNKNOWN, "found": None}

    assert expected == vars(error("why"))
    assert "why" == str(error("why"))


@every_error
@pytest.mark.parametrize(
    "through",
    [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_survives(error: type[cfsso.CfssoError], through: Any) -> None:
    """A copied or pickled error has its class, its text, its notes and every attribute."""
    original = error("why", **all_attributes())
    original.add_note("account 7")

    again = through(original)

    assert error is type(again)
    assert "why" == str(again)
    assert ["account 7"] == again.__notes__
    assert vars(original) == vars(again)
    assert all_attributes().items() <= vars(again).items()


@every_error
def test_sequences_become_tuples(error: type[cfsso.CfssoError]) -> None:
    """Nobody can change an error through the list it was made from."""
    given_errors = [cfsso.ResponseInfo(code=1)]

    raised = error("why", errors=given_errors, messages=given_errors)
    given_errors.clear()

    assert (cfsso.ResponseInfo(code=1),) == raised.errors
    assert (cfsso.ResponseInfo(code=1),) == raised.messages


@given(st.sampled_from(ERRORS), st.text(max_size=2000))
def test_str_is_one_printable_line(error: type[cfsso.CfssoError], text: str) -> None:
    """Whatever a server writes, an error shows as one line that can do no harm."""
    line = str(error(text))

    assert len(line.splitlines()) <= 1
    assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(char) for char in line}


def test_a_long_message_is_cut() -> None:
    """A message keeps its first 999 characters."""
    assert "x" * 999 + "…" == str(cfsso.CfssoError("x" * 5000))


def test_write_states_are_their_texts() -> None:
    """A write state compares equal to the text that stands in journals and JSON."""
    assert ["not_sent", "refused", "unknown"] == list(cfsso.WriteState)


def test_settlements_are_their_texts() -> None:
    """A settlement compares equal to the text that stands in journals and JSON."""
    expected = ["applied", "already", "not_applied", "conflict", "gone", "unknown"]

    assert expected == list(cfsso.Settlement)


@pytest.mark.parametrize("through", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_what_was_found_survives(through: Any) -> None:
    """A copied or pickled error still shows how the write was settled and what was found."""
    found = cfsso.SSOConnector(id="a" * 32, enabled=False)
    settlement = cfsso.Settlement.CONFLICT

    again = through(cfsso.UnconfirmedWriteError("why", settlement=settlement, found=found))

    assert (settlement, found) == (again.settlement, again.found)


@pytest.mark.parametrize("error", [cfsso.APIConnectionError, cfsso.APITimeoutError])
def test_a_failed_connection_may_be_tried_again(error: type[cfsso.APIConnectionError]) -> None:
    """Unless a transport says otherwise, the same may fare better in a moment."""
    assert error("why").retryable


def test_title_and_detail_are_printable() -> None:
    """What an edge's answer says is one line without controls, as the message is."""
    error = cfsso.CfssoError("no", title="\x1b[31mred\u202e", detail="a\nb\ud800" + "x" * 2000)

    assert error.title.isprintable()
    assert error.detail.isprintable()
    assert 1000 <= len(error.detail) < 1100
