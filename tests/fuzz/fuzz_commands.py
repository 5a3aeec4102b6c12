"""The commands of the command line, over sockets, on odd answers."""

import asyncio
import contextlib
import inspect
import os
import socket
import tempfile
from collections.abc import Coroutine, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar
from unittest import mock

import click.testing
from fuzz_acts import Odds, watched_log
from fuzz_checks import Checks, is_json
from fuzz_odd import TOKEN
from hasty_loop import run_hastily

from cfsso.cli.app import app
from cfsso.emulator.http import PREFIX

T = TypeVar("T")

# Before click 8.2 stderr was part of stdout unless told otherwise.
_APART: Final[dict[str, Any]] = (
    {"mix_stderr": False}
    if "mix_stderr" in inspect.signature(click.testing.CliRunner).parameters
    else {}
)


class Line:
    """
    Runs commands against an odd server on a socket.

    Args:
        odds: The server.
        checks: Look at all that comes of it.
    """

    def __init__(self, odds: Odds, checks: Checks) -> None:
        self._odds = odds
        self._checks = checks
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._url = f"http://127.0.0.1:{self._socket.getsockname()[1]}{PREFIX}"

    def close(self) -> None:
        """Serve no more."""
        self._socket.close()

    def run_loop(self, main: Coroutine[Any, Any, T], **_options: object) -> T:
        """Run *main* as `asyncio.run` does, beside the server and without waiting."""

        async def beside() -> T:
            tasks: set[asyncio.Task[None]] = set()

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = asyncio.current_task()
                assert task is not None
                tasks.add(task)
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                    try:
                        await self._odds.serve(reader, writer)
                    except asyncio.CancelledError:
                        writer.transport.abort()
                    finally:
                        writer.close()

            server = await asyncio.start_server(serve, sock=self._socket.dup())
            try:
                return await main
            finally:
                server.close()
                for task in tasks:
                    task.cancel()
                if tasks:
                    await asyncio.wait(tasks)

        return run_hastily(beside())

    def __call__(self, *words: str, as_json: bool = False) -> None:
        """Run a command, and look at what it says."""
        checks = self._checks
        words = (*(["--json"] if as_json else []), "--base-url", self._url, *words)
        runner = click.testing.CliRunner(**_APART)
        result = runner.invoke(app, words)
        checks.counts[f"command: {words[3 if as_json else 2]}"] += 1
        checks.counts[f"exit: {result.exit_code}"] += 1
        failed = result.exception
        if failed is not None and not isinstance(failed, SystemExit):
            checks.foreign(failed)
        for text, where in ((result.stdout, "stdout"), (result.stderr, "stderr")):
            checks.said(text, where, is_data=as_json and where == "stdout")
        if as_json:
            for line in result.stdout.splitlines():
                if not is_json(line):
                    checks.breaks("a line that is no object", line)


def _rollout(odds: Odds, folder: Path) -> str:
    found = [(account, key) for account, keys in odds.connectors.items() for key in keys]
    rows = odds.random.sample(found, odds.random.randint(1, 6))
    lines = ["account_id,sso_connector_id,enabled"]
    lines += [f"{a},{k},{odds.random.choice(['true', 'false'])}" for a, k in rows]
    path = folder / "rollout.csv"
    path.write_text("\n".join([*lines, ""]), "utf-8")
    return str(path)


def _single(odds: Odds, folder: Path) -> Iterator[list[str]]:
    """Yield one command for one account or connector."""
    del folder
    account = odds.random.choice(odds.accounts)
    key = odds.random.choice(odds.connectors[account])
    yield odds.random.choice(
        [
            ["list", *odds.accounts],
            ["get", account, key],
            ["create", account, "new.example"],
            ["update", account, key, "--fedramp-language"],
            ["enable", account, key, "--yes"],
            ["disable", account, key],
            ["delete", account, key, "--yes"],
            ["verify", account, key],
            ["verify", account, key, "--wait", "--deadline", "600"],
        ]
    )


def _run(odds: Odds, folder: Path) -> Iterator[list[str]]:
    """Yield the commands of a run: planned, applied, gone on with, told of and taken back."""
    rollout, journal = _rollout(odds, folder), str(folder / "run.cfsso")
    yield ["plan", rollout, "--out", str(folder / "plan.json")]
    yield ["apply", rollout, "--yes", "--journal", journal]
    if Path(journal).exists():
        yield ["resume", journal, "--failed"]
        yield ["report", journal, "--html", str(folder / "run.html")]
        yield ["revert", journal, "--yes"]
        yield ["report", journal]
    yield ["runs"]


def _rescue(odds: Odds, folder: Path) -> Iterator[list[str]]:
    """Yield the commands of a rescue."""
    journal = str(folder / "rescue.cfsso")
    words = odds.random.choice([[], ["--domain", "one.example"], ["--domain", "none.example"]])
    yield ["break-glass", *odds.accounts, *words, "--drill"]
    yield ["break-glass", *odds.accounts, *words, "--yes", "--journal", journal]
    if Path(journal).exists():
        yield ["report", journal, "--html", str(folder / "rescue.html")]
        yield ["revert", journal, "--yes"]


def _move(odds: Odds, folder: Path) -> Iterator[list[str]]:
    del folder
    source, target = odds.random.sample(odds.accounts, 2)
    yield ["transfer", "one.example", "--from", source, "--to", target, "--yes"]


_STORIES: Final = {"single": _single, "run": _run, "rescue": _rescue, "transfer": _move}


def command_once(seed: int, checks: Checks) -> None:
    """Run the commands that the seed decides."""
    random = Random(seed)  # noqa: S311 - what happens, not a secret
    name = random.choices([*_STORIES], [6, 2, 2, 1])[0]
    as_json = random.random() < 0.5
    with tempfile.TemporaryDirectory() as folder:
        odds = Odds(random, tells=True)
        line = Line(odds, checks)
        environment = {
            "CLOUDFLARE_API_TOKEN": TOKEN,
            "XDG_STATE_HOME": folder,
            "PATH": os.environ.get("PATH", ""),
            "TERM": "xterm",
        }
        with (
            contextlib.closing(line),
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch("asyncio.run", line.run_loop),
            watched_log(checks),
        ):
            for words in _STORIES[name](odds, Path(folder)):
                checks.where = f"command seed {seed}, {' '.join(words)}{' --json' * as_json}"
                checks.tells = True
                line(*words, as_json=as_json)
        checks.files(Path(folder))
    checks.counts["odd answers"] += odds.odd.count
    checks.counts["odd answers to commands"] += odds.odd.count
