"""What can be saved of a list: one odd connector must not hide the others."""

import json
from collections.abc import Collection
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from scripted import ACCOUNT, CONNECTOR, OTHER, respond, shown, success

import cfsso
from cfsso import _salvaging, _wire
from cfsso._listing import Listing

LISTING = _wire.build_list(ACCOUNT)


def salvaged(response: cfsso.Response, only: Collection[str] | None = None) -> _salvaging.Salvage:
    """Return what can be read of the answer to a list."""
    listing = Listing(lambda: _salvaging.Salvaging(only))
    reading, left_out = listing.done(listing.read(LISTING, response))
    return reading.salvage(left_out)


def test_a_proper_list_is_read_as_ever() -> None:
    """Where nothing is odd, nothing differs from a strict reading."""
    answer = success([shown(), shown(id=OTHER, enabled=False, more=1)])
    strict = Listing(_wire.StrictReading)

    found = salvaged(answer)

    reading, _ = strict.done(strict.read(LISTING, answer))
    assert (tuple(reading.connectors), 0) == (found.connectors, found.lost)


@pytest.mark.parametrize(
    ("expected", "odd"),
    [
        (("mail.nordwind.example", None), {"enabled": "false"}),
        (("mail.nordwind.example", None), {"enabled": None}),
        (("mail.nordwind.example", None), {"enabled": 0}),
        ((None, True), {"email_domain": ["x"]}),
        (("mail.nordwind.example", False), {"enabled": False, "updated_on": 7}),
    ],
    ids=str,
)
def test_what_is_readable_of_an_odd_one_is_kept(
    expected: tuple[str | None, bool | None], odd: dict[str, Any]
) -> None:
    """The id, a domain that is a text, and a state that is a boolean."""
    found = salvaged(success([shown(**odd), shown(id=OTHER)]))

    first, second = found.connectors
    assert (CONNECTOR, *expected) == (first.id, first.email_domain, first.enabled)
    assert (OTHER, 0) == (second.id, found.lost)


@pytest.mark.parametrize("item", [None, 7, {}, {"id": 7}, {"id": "../x"}, shown(id=None)], ids=str)
def test_what_has_no_id_is_counted_as_lost(item: Any) -> None:
    """So is what the list says that it left out."""
    found = salvaged(success([item, shown()], result_info={"total_count": 5}))

    assert ([CONNECTOR], 4) == ([connector.id for connector in found.connectors], found.lost)


def test_only_those_asked_for_are_kept() -> None:
    """The others are not lost, and what can't be told is, whatever was asked for."""
    answer = success([7, shown(), shown(id=OTHER, enabled="x")])

    found = salvaged(answer, [OTHER])

    assert ([OTHER], [OTHER], 1) == ([c.id for c in found.connectors], [*found.odd], found.lost)


@pytest.mark.parametrize("states", [(True, False), (False, True), (None, False), (False, None)])
def test_one_that_stands_twice_is_disabled_only_if_it_is_both_times(states: Any) -> None:
    """Whoever may be locked out counts as locked out."""
    found = salvaged(success([shown(enabled=state) for state in states]))

    [connector] = found.connectors
    assert connector.enabled is not False


@pytest.mark.parametrize(("lost", "total"), [(0, 0), (0, None), (0, "3"), (3, 3)], ids=repr)
def test_a_null_is_an_empty_list_unless_it_says_otherwise(lost: int, total: Any) -> None:
    """An account without connectors may be shown as null; then it says of no others."""
    found = salvaged(success(None, result_info={"total_count": total}))

    assert ((), lost) == (found.connectors, found.lost)


def body(odd: str) -> bytes:
    """Return an answer of two connectors, the first one with *odd* text among its members."""
    first = json.dumps(shown())[:-1] + f",{odd}}}"
    return f'{{"success":true,"result":[{first},{json.dumps(shown(id=OTHER))}]}}'.encode()


@pytest.mark.parametrize(
    "odd", ['"a":NaN', '"a":1e999', '"a":' + "9" * 5000, '"a":"\\ud800"', '"b":1,"b":2', '"a":-7']
)
def test_odd_json_is_read_all_the_same(odd: str) -> None:
    """What no strict reader takes does not keep the connectors from being seen."""
    found = salvaged(respond(body(odd)))

    assert [CONNECTOR, OTHER] == [connector.id for connector in found.connectors]
    assert [True, True] == [connector.enabled for connector in found.connectors]


def test_bytes_that_are_no_text_are_replaced() -> None:
    """A domain that is not UTF-8 hides nothing."""
    found = salvaged(respond(body('"a":"?"').replace(b"?", b"\xff")))

    assert 2 == len(found.connectors)


@pytest.mark.parametrize("twice", ['"enabled":false', '"enabled":true'])
def test_a_state_that_is_said_twice_is_none(twice: str) -> None:
    """A repeated key may mean either, so it means nothing."""
    first, _ = salvaged(respond(body(twice))).connectors

    assert first.enabled is None


@pytest.mark.parametrize(
    ("said", "content"),
    [
        ("expected list at $.result", b'{"success":true,"result":{}}'),
        ("expected list at $.result", b'{"success":true}'),
        ("expected list at $.result", b'{"success":true,"result":null,"result":null}'),
        ("expected list at $.result", b'{"success":true,"result":NaN}'),
        ("expected list at $.result", b'{"success":true,"result":[],"result":[]}'),
        ("expected true at $.success", b'{"success":false,"result":[]}'),
        ("an empty body", b""),
        ("not the API: Cloudflare's edge answered", b"<html>"),
        ("no JSON: Expecting property name", b"{"),
        ("JSON nested too deep", b"[" * 100_000),
    ],
    ids=lambda value: repr(value[:60]),
)
def test_what_is_no_list_can_t_be_saved(said: str, content: bytes) -> None:
    """Of such an answer nothing is made up."""
    with pytest.raises(cfsso.APIResponseValidationError) as caught:
        salvaged(respond(content))

    assert said in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "email_domain", "enabled", "verification", "x"]), inner
        )
    ),
    max_leaves=8,
)


@hypothesis.given(st.lists(JSON, max_size=4))
def test_any_list_is_read(items: list[Any]) -> None:
    """Whatever stands in a list, a well-formed connector after it is found."""
    answer = respond(json.dumps({"success": True, "result": [*items, shown()]}).encode())

    found = salvaged(answer)

    assert CONNECTOR in {connector.id for connector in found.connectors}
    assert len(items) == found.lost + len(found.connectors) - 1
