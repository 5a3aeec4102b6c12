"""The documentation is true: its examples run, and it names commands that are run."""

import ast
import asyncio
import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import pytest
from sybil import Document, Example, Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser

import cfsso

ROOT = Path(__file__).parents[1]
PACKAGE = Path(cfsso.__file__).parent
EXAMPLES = ROOT / "docs" / "examples"

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted(PACKAGE.rglob("*.py"))


def run_cell(example: Example) -> None:
    """Run a block as a notebook runs a cell: it may await, and all are on one event loop."""
    runner = example.namespace.setdefault("_notebook", asyncio.Runner())
    cell = compile(example.parsed, example.path, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = FunctionType(cell, example.namespace)()
    if running is not None:
        runner.run(running)


# Blocks in python3 are cells of a notebook.
in_markdown = Sybil([PythonCodeBlockParser(), CodeBlockParser("python3", run_cell)])
in_docstrings = Sybil([DocTestParser()])


def run(document: Document) -> None:
    """Run the examples of *document* from top to bottom, as a reader would."""
    # What is defined there is of a module, as Django asks of a view.
    document.namespace.setdefault("__name__", "page")
    try:
        for example in document.examples():
            example.evaluate()
    finally:
        if "_notebook" in document.namespace:
            document.namespace["_notebook"].close()


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


def _answer(line: str) -> str:
    """Return what a reader types when the command of *line* asks."""
    domain = re.search(r"--domain (\S+)", line)
    return domain[1] if domain else "all" if " break-glass " in line else "y"


def _type(line: str) -> tuple[int, str]:
    """Type a line into a shell on a terminal, answer what it asks; return code and screen."""
    ours, theirs = pty.openpty()
    os.write(ours, f"{_answer(line)}\n".encode())
    screen = bytearray()
    with subprocess.Popen(  # noqa: S602 - a reader types it into a shell
        line, shell=True, stdin=theirs, stdout=theirs, stderr=theirs
    ) as shell:
        os.close(theirs)
        with contextlib.closing(os.fdopen(ours, "rb", buffering=0)) as terminal:
            # A terminal whose other end is closed gives an error.
            with contextlib.suppress(OSError):
                while shown := terminal.read(4096):
                    screen += shown
            return shell.wait(60), screen.decode()


@pytest.mark.parametrize(
    ("page", "state", "others"),
    [
        ("fleets.md", "cloud.json", {}),
        ("break-glass.md", "cloud.json", {}),
        ("when-a-run-stops.md", "cloud.json", {}),
        ("moving-a-domain.md", "move.json", {}),
        # What differs is what it asks for.
        ("drift.md", "cloud.json", {0: 3}),
    ],
)
def test_the_commands_of_a_guide_work(
    page: str, state: str, others: dict[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each `$` line of a guide does what it should on an emulated Cloudflare, in order."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    lines = re.findall(r"^ *\$ (.+)$", text, re.MULTILINE)
    assert lines
    shutil.copy(EXAMPLES / "rollout.csv", tmp_path)
    shutil.copy(EXAMPLES / "accounts.txt", tmp_path)
    accounts = json.loads((EXAMPLES / state).read_bytes())["accounts"]
    tokens = tmp_path / "tokens.json"
    tokens.write_text(json.dumps({account: f"token-{account}" for account in accounts}))
    tokens.chmod(0o600)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "any")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "120")
    serve = [sys.executable, "-m", "cfsso", "emulator", "--no-rate-limit"]
    with subprocess.Popen(  # noqa: S603 - it is ours
        [*serve, "--state", str(EXAMPLES / state), "--poll", "0.1"],
        stdout=subprocess.PIPE,
        text=True,
    ) as emulator:
        try:
            assert emulator.stdout is not None
            url = emulator.stdout.readline().split()[-1]
            shim = tmp_path / "cfsso"
            shim.write_text(
                '#!/bin/sh\ncase "$*" in *--emulate*) exec '
                f'{sys.executable} -m cfsso "$@";; esac\n'
                f'exec {sys.executable} -m cfsso --base-url {url} "$@"\n'
            )
            shim.chmod(0o700)
            if page == "when-a-run-stops.md":
                code, screen = _type("cfsso apply rollout.csv")
                assert code == 0, screen
            for number, line in enumerate(lines):
                code, screen = _type(line)
                assert others.get(number, 0) == code, (line, screen)
        finally:
            emulator.kill()


def test_the_readme_says_what_ci_runs() -> None:
    """A newcomer runs the tests with the very command that CI uses."""
    command = "python3 -m venv .venv && .venv/bin/pip install nox && .venv/bin/nox -s tests"

    assert command in (ROOT / "README.md").read_text("utf-8")
    assert command in (ROOT / ".ci" / "run").read_text("utf-8")
