"""What is installed: the wheel's contents and metadata."""

import importlib.metadata
import os
import re
import sysconfig
from importlib.resources import files
from pathlib import Path

import pytest

import cfsso

DOCS = Path(__file__).parents[1] / "docs"
METADATA = importlib.metadata.metadata("cfsso")


@pytest.mark.skipif(
    "CFSSO_TESTS_THE_WHEEL" not in os.environ, reason="only nox promises an installed wheel"
)
def test_the_wheel_is_tested() -> None:
    """With nox, what is tested is the installed wheel and not the checkout."""
    expected = Path(sysconfig.get_path("purelib"), "cfsso", "__init__.py")

    assert expected.resolve() == Path(cfsso.__file__).resolve()


def test_type_checkers_are_told_of_the_types() -> None:
    """The package is marked as typed, both for type checkers and for people."""
    assert files(cfsso).joinpath("py.typed").is_file()
    assert "Typing :: Typed" in METADATA.get_all("Classifier", [])


def test_the_version_is_one() -> None:
    """The package, its metadata and the changelog's newest release name the same version."""
    changelog = (DOCS / "changelog.md").read_text("utf-8")
    released = re.findall(r"^## (\d+\.\d+\.\d+)\b", changelog, re.MULTILINE)

    assert cfsso.__version__ == METADATA["Version"]
    assert cfsso.__version__ == released[0]


def test_the_metadata_says_what_people_look_for() -> None:
    """The metadata names the licence, the oldest Python and the description."""
    assert "MIT" == METADATA["License-Expression"]
    assert ">=3.11" == METADATA["Requires-Python"]
    assert "Cloudflare" in METADATA["Summary"]


def test_there_are_few_runtime_dependencies() -> None:
    """Without an extra, only aiohttp's family, attrs and cattrs are installed."""
    required = [r for r in importlib.metadata.requires("cfsso") or () if "extra ==" not in r]
    names = {re.split(r"[^a-z]", requirement)[0] for requirement in required}

    assert {"aiohttp", "attrs", "cattrs", "multidict", "yarl"} == names


def test_there_is_a_command() -> None:
    """Installing the package gives a command of the same name."""
    (command,) = importlib.metadata.distribution("cfsso").entry_points

    assert ("console_scripts", "cfsso", "cfsso.cli:main") == (
        command.group,
        command.name,
        command.value,
    )
