"""What is public: the same names for people, type checkers, documentation and Python."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cfsso
from cfsso import errors

DOCS = Path(__file__).parents[1] / "docs"
FRONT_DOOR = ast.parse(Path(cfsso.__file__).read_text("utf-8"))
every_name = pytest.mark.parametrize("name", cfsso.__all__)


def names_for_type_checkers() -> dict[str, str]:
    """Return what type checkers see at the front door: every name with its module."""
    block = next(node for node in FRONT_DOOR.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def documented_names() -> list[str]:
    """Return what docs/reference.md documents, in its order, without the package's name."""
    text = (DOCS / "reference.md").read_text("utf-8")
    return re.findall(r"^\.\. (?:auto[a-z]+|py:data):: (?:cfsso\.)?(\w+)$", text, re.MULTILINE)


def test_no_name_is_listed_twice() -> None:
    """The public names are a set, in ruff's order."""
    assert len(set(cfsso.__all__)) == len(cfsso.__all__)


def test_dir_lists_the_public_names() -> None:
    """A shell completes what is public and nothing else."""
    assert sorted(cfsso.__all__) == dir(cfsso)


def test_type_checkers_see_the_public_names() -> None:
    """Type checkers see every public name."""
    assert set(cfsso.__all__) == {*names_for_type_checkers(), "__version__"}


def test_every_public_name_is_documented_once() -> None:
    """The reference documents every public name once, and no other."""
    assert sorted(set(cfsso.__all__) - {"__version__"}) == sorted(documented_names())


def test_every_error_is_public() -> None:
    """Whatever this package raises on purpose can be caught by a public name."""
    raised = {
        e.__name__ for e in vars(errors).values() if inspect.isclass(e) and issubclass(e, Exception)
    }

    assert raised <= set(cfsso.__all__)


@every_name
def test_every_public_name_is_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A public name gives what type checkers think it gives, on first use and after."""
    if name != "__version__":  # the only one that is not loaded on first use
        monkeypatch.delitem(vars(cfsso), name, raising=False)
    value = getattr(cfsso, name)

    home = names_for_type_checkers().get(name, "cfsso._version")
    if home == "cfsso":
        assert importlib.import_module(f"cfsso.{name}") is value
    else:
        assert getattr(importlib.import_module(home), name) is value
    assert value is getattr(cfsso, name)


@every_name
def test_every_public_name_is_explained(name: str) -> None:
    """A public class, function or module has a docstring of its own."""
    value = getattr(cfsso, name)

    assert not callable(value) or value.__doc__


@pytest.mark.parametrize("name", ["nothing", "Client", "__wrapped__", ""], ids=repr)
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    """An unknown name fails as in any other module."""
    with pytest.raises(AttributeError, match=f"module 'cfsso' has no attribute '{name}'"):
        getattr(cfsso, name)


@pytest.mark.parametrize(
    "statement",
    [
        "import cfsso",
        "from cfsso import CfssoError, SSOConnector, Request, UNSET",
        "import cfsso; dir(cfsso), cfsso.__version__",
    ],
)
def test_aiohttp_waits_until_it_is_needed(statement: str) -> None:
    """Importing the package, its values and its errors loads no HTTP library."""
    program = f"import sys\n{statement}\nprint('aiohttp' in sys.modules)"

    run = subprocess.run(  # noqa: S603 (a program of our own, run by our own interpreter)
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )

    assert "False\n" == run.stdout
