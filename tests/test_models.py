"""The values that cross the public interface."""

import copy
import pickle

import attrs
import pytest

import cfsso

VALUES = [cfsso.ResponseInfo, cfsso.SSOConnector, cfsso.Source, cfsso.Verification]
every_value = pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)


@pytest.mark.parametrize("show", [repr, str, "{}".format], ids=["repr", "str", "format"])
def test_unset_shows_as_unset(show: object) -> None:
    """An omitted value shows what it is, in help texts and messages alike."""
    assert callable(show)
    assert "<UNSET>" == show(cfsso.UNSET)


def test_unset_is_false_but_is_not_false() -> None:
    """UNSET counts as false, and is neither False nor None."""
    unset: object = cfsso.UNSET

    assert not unset
    assert unset is not False
    assert unset not in (False, None, 0, "")


@pytest.mark.parametrize(
    "through",
    [copy.copy, copy.deepcopy, lambda u: pickle.loads(pickle.dumps(u))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_there_is_one_unset(through: object) -> None:
    """A copied or pickled UNSET is UNSET, so that `is` always works."""
    assert callable(through)
    assert cfsso.UNSET is through(cfsso.UNSET)
    assert [cfsso.UNSET] == list(cfsso.Unset)


def test_statuses_are_their_texts() -> None:
    """A status compares equal to the text the API uses, plus one for the future's."""
    expected = ["awaiting", "pending", "failed", "verified", "unknown"]

    assert expected == list(cfsso.VerificationStatus)


@every_value
def test_values_are_frozen(value: type) -> None:
    """A value never changes."""
    name = attrs.fields(value)[0].name

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value(), name, None)


@every_value
def test_values_take_keywords_only(value: type) -> None:
    """A field added later can't shift the meaning of a call."""
    with pytest.raises(TypeError, match="positional"):
        value("something")


@every_value
def test_values_compare_hash_and_pickle_by_content(value: type) -> None:
    """Equal values are equal wherever they came from."""
    again = pickle.loads(pickle.dumps(value()))

    assert value() == again
    assert hash(value()) == hash(again)


def test_a_connector_that_says_nothing() -> None:
    """What the answer did not have is None, never False; only an id is always a text."""
    connector = cfsso.SSOConnector()

    expected = dict.fromkeys(
        ["email_domain", "enabled", "use_fedramp_language", "created_on", "updated_on"]
    )
    nothing: dict[str, object] = {"code": None, "status": None, "raw_status": None, "extra": {}}
    told = {"id": "", "verification": nothing, "extra": {}}
    assert expected | told == attrs.asdict(connector)


def test_a_message_that_says_nothing() -> None:
    """A message without text has an empty one, so that it can be shown."""
    expected: dict[str, object] = {
        "code": None,
        "message": "",
        "documentation_url": None,
        "source": None,
        "error_chain": (),
        "extra": {},
    }

    assert expected == attrs.asdict(cfsso.ResponseInfo())
    assert cfsso.Source().pointer is None


@pytest.mark.parametrize(
    "value", [cfsso.SSOConnector, cfsso.Verification], ids=["SSOConnector", "Verification"]
)
def test_unknown_members_count_in_a_comparison(value: type) -> None:
    """Values that differ in what this version does not know differ, and both can be hashed."""
    old, new = value(extra={"a": 1}), value(extra={"a": [2]})

    assert old != new
    assert 2 == len({old, new})


def test_connectors_do_not_share_what_they_keep() -> None:
    """Each value has its own place for unknown members."""
    assert cfsso.SSOConnector().extra is not cfsso.SSOConnector().extra
