"""What the command says of itself, and what that costs."""

import importlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import cfsso
from cfsso.cli import main
from cfsso.cli.app import app

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
COMMANDS = sorted(app.commands)


def test_the_version_is_the_package_s(run: Any) -> None:
    """`--version` prints the name and the version, and nothing else."""
    ran = run("--version")

    assert (0, f"cfsso {cfsso.__version__}\n", "") == (ran.code, ran.out, ran.err)


def test_the_commands_are_those_of_the_contract() -> None:
    """There is each command of this step, and no other."""
    expected = (
        "apply break-glass create delete disable emulator enable get list plan report resume"
        " revert runs transfer update verify"
    )

    assert expected.split() == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_examples(name: str, run: Any) -> None:
    """The help of a command explains it and shows how it is called."""
    ran = run(name, "--help")

    assert 0 == ran.code
    assert f"cfsso {name}" in ran.out.split("Examples:")[1]
    assert app.commands[name].get_short_help_str(80) in run("--help").out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_and_option_is_documented(name: str) -> None:
    """docs/cli.md has a section for the command that names each of its options."""
    page = PAGE.read_text("utf-8")
    section = page.split(f"\n## `cfsso {name} ")[1].split("\n## ")[0]
    everywhere = page.split("\n## Global options")[1].split("\n## ")[0]

    missing = [
        option
        for parameter in app.commands[name].params
        if isinstance(parameter, click.Option)
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--") and option not in section and option not in everywhere
    ]

    assert [] == missing


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["apply", "--help"]])
def test_help_loads_no_more_than_click(args: list[str], spawn: Any) -> None:
    """Asking for help or the version loads no HTTP client, event loop or table drawer."""
    code = (
        "import json, sys\n"
        "from cfsso.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit:\n    print('\\n' + json.dumps(list(sys.modules)))"
    )

    out, err = spawn(*args, start=["-c", code]).communicate()

    loaded = set(json.loads(out.splitlines()[-1]))
    assert "" == err
    # Of rich itself only that it is there was seen.
    heavy = {"aiohttp", "asyncio", "attrs", "cattrs", "yarl", "rich.console"}
    assert set() == heavy & loaded


@pytest.mark.parametrize("name", ["click", "rich"])
def test_without_the_extra_one_line_says_how_to_get_it(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without click or rich the command names the extra and exits 2."""
    monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    assert 2 == ended.value.code
    assert (
        "cfsso: the command line is an extra: pip install 'cfsso[cli]'\n" == capsys.readouterr().err
    )


def test_main_takes_the_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m cfsso` is the command; importing the module runs nothing."""
    importlib.import_module("cfsso.__main__")
    monkeypatch.setattr(sys, "argv", ["whatever", "--version"])
    monkeypatch.delitem(sys.modules, "cfsso.__main__")

    with pytest.raises(SystemExit) as ended:
        runpy.run_module("cfsso", run_name="__main__")

    assert 0 == ended.value.code
    assert f"cfsso {cfsso.__version__}\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ([], "cfsso: Missing command: see cfsso --help"),
        (["nonsense"], "cfsso: No such command 'nonsense': see cfsso --help"),
        (["get"], "cfsso: Missing argument 'ACCOUNT': see cfsso get --help"),
        (
            ["list", "a" * 32, "\x1b[31m"],
            (
                r"cfsso: Invalid value for 'ACCOUNT...': must be 32 ASCII letters and digits,"
                r" not '\x1b[31m': see cfsso list --help"
            ),
        ),
        (
            ["get", "a" * 32, "é" * 32],
            (
                "cfsso: Invalid value for 'CONNECTOR': must be 32 ASCII letters and digits,"
                f" not '{'é' * 32}': see cfsso get --help"
            ),
        ),
        (
            ["update", "a" * 32, "b" * 32],
            (
                "cfsso: nothing to change: give --enabled, --disabled, --fedramp-language"
                " or --no-fedramp-language: see cfsso update --help"
            ),
        ),
        (
            ["list", "a" * 32, "--max-wait", "-1"],
            (
                "cfsso: Invalid value for '--max-wait': -1.0 is not in the range x>=0:"
                " see cfsso list --help"
            ),
        ),
        (
            ["list", "a" * 32, "--max-wait", "nan"],
            (
                "cfsso: Invalid value for '--max-wait': 'nan' is not a finite number of seconds:"
                " see cfsso list --help"
            ),
        ),
        (
            ["apply", "rollout.csv", "--concurrency", "0"],
            (
                "cfsso: Invalid value for '--concurrency': 0 is not in the range x>=1:"
                " see cfsso apply --help"
            ),
        ),
    ],
)
def test_bad_usage_is_one_line_and_2(args: list[str], line: str, run: Any) -> None:
    """What can't be understood is refused with one line that names the help."""
    ran = run(*args)

    assert (2, "", f"{line}\n") == (ran.code, ran.out, ran.err)
