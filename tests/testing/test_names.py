"""The names of cfsso.testing: listed, there, and loaded late."""

import subprocess
import sys

import pytest

from cfsso import testing


def test_dir_lists_the_names() -> None:
    """A shell completes what is public and nothing else."""
    assert sorted(testing.__all__) == dir(testing)


@pytest.mark.parametrize("name", testing.__all__)
def test_every_name_is_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name is loaded on first use and kept."""
    monkeypatch.delitem(vars(testing), name, raising=False)
    value = getattr(testing, name)
    assert value is vars(testing)[name]


def test_an_unknown_name_is_an_attribute_error() -> None:
    """An unknown name fails as in any other module."""
    with pytest.raises(AttributeError, match="has no attribute 'Faults'"):
        getattr(testing, "Faults")  # noqa: B009 - no type checker knows it


def test_faults_load_neither_asyncio_nor_aiohttp() -> None:
    """Only the virtual time loads an event loop."""
    program = (
        "import sys; from cfsso.testing import FAULTS, FaultyTransport, TRANSPORT_CONTRACT;"
        "print({'asyncio', 'aiohttp'} & set(sys.modules))"
    )
    run = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )
    assert "set()\n" == run.stdout
