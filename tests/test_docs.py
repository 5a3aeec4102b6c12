"""The documentation is true: its examples run, and it names commands that are run."""

import shutil
from pathlib import Path

import pytest
from sybil import Document, Sybil
from sybil.parsers.myst import PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser

import cfsso

ROOT = Path(__file__).parents[1]
PACKAGE = Path(cfsso.__file__).parent

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted(PACKAGE.rglob("*.py"))

in_markdown = Sybil([PythonCodeBlockParser()])
in_docstrings = Sybil([DocTestParser()])


def run(document: Document) -> None:
    """Run the examples of *document* from top to bottom, as a reader would."""
    for example in document.examples():
        example.evaluate()


@pytest.fixture(autouse=True)
def _reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a reader in an empty folder with docs/examples at hand, and without a token."""
    examples = Path("docs", "examples")
    if (ROOT / examples).exists():
        shutil.copytree(ROOT / examples, tmp_path / examples)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN", raising=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_blocks_of_a_page_run(page: Path) -> None:
    """Every Python block of a page runs, in order and in one namespace."""
    run(in_markdown.parse(page))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_doctests_of_a_module_hold(module: Path) -> None:
    """Every `>>>` of a docstring gives what stands below it."""
    run(in_docstrings.parse(module))


def test_the_readme_says_what_ci_runs() -> None:
    """A newcomer runs the tests with the very command that CI uses."""
    command = "python3 -m venv .venv && .venv/bin/pip install nox && .venv/bin/nox -s tests"

    assert command in (ROOT / "README.md").read_text("utf-8")
    assert command in (ROOT / ".ci" / "run").read_text("utf-8")
