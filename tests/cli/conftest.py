"""A cloud in a file, a way to run the command in this process, and transports that fail."""

import asyncio
import contextlib
import inspect
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import banners
import click.testing
import pytest
from screens import Screen

import cfsso
from cfsso.cli.app import app
from cfsso.emulator.http import serving
from cfsso.testing import FaultyTransport, run_in_virtual_time

# Development mode would add lines of its own to stderr.
_PLAIN = {"PYTHONDEVMODE": "", "PYTHONASYNCIODEBUG": ""}

# Before click 8.2 stderr was part of stdout unless told otherwise.
_APART: dict[str, Any] = (
    {"mix_stderr": False}
    if "mix_stderr" in inspect.signature(click.testing.CliRunner).parameters
    else {}
)

Hook = Callable[[cfsso.Request], cfsso.Response | BaseException | None]


@attrs.define
class Cloud:
    """An emulator with one account, and the file it was saved to."""

    emulator: cfsso.CloudflareEmulator
    path: Path
    account: str

    @property
    def state(self) -> str:
        """The path of the state file."""
        return str(self.path)

    def add(self, status: str = "verified", account: str | None = None, **fields: Any) -> str:
        """Add a connector, save the file, and return the connector's id."""
        count = sum(len(self.emulator.connectors(each)) for each in self.emulator.accounts)
        fields.setdefault("email_domain", f"company-{count}.example")
        made = self.emulator.add_connector(account or self.account, status=status, **fields)
        self.emulator.save(self.path)
        assert made.id is not None
        return made.id

    def rollout(self, *rows: str) -> str:
        """Write a CSV file of these rows and return its path."""
        file = self.path.with_name("rollout.csv")
        header = "account_id,sso_connector_id,enabled,use_fedramp_language"
        file.write_text("\n".join([header, *rows, ""]), "utf-8")
        return str(file)


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """Return a cloud with one empty account."""
    emulator = cfsso.CloudflareEmulator(seed=1, rate_limit=None)
    made = Cloud(emulator, tmp_path / "cloud.json", emulator.add_account())
    emulator.save(made.path)
    return made


@attrs.define
class Ran:
    """
    What a run of the command left.

    Attributes:
        code: Its exit code.
        out: What stood on stdout.
        err: What stood on stderr, without `banner`.
        banner: The lines that say that it was not Cloudflare.
    """

    code: int
    out: str
    err: str
    banner: list[str] = attrs.field(factory=list)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The objects on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


Runner = Callable[..., Ran]


@pytest.fixture
def run() -> Runner:
    """Return what runs the command in this process; a traceback fails the test."""

    def run(*args: str, answer: str | None = None) -> Ran:
        result = click.testing.CliRunner(**_APART).invoke(app, args, input=answer)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        err = result.stderr
        return Ran(result.exit_code, result.stdout, banners.without(err), banners.lines_of(err))

    return run


@pytest.fixture
def spawn() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Return what starts the command as a process, which does not outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def spawn(*args: str, start: Sequence[str] = ("-m", "cfsso"), **options: Any) -> Any:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen(  # noqa: S603 - it is ours
            [sys.executable, *start, *args],
            text=True,
            **{**options, "env": {**os.environ, **_PLAIN, **options.get("env", {})}},
        )
        started.append(process)
        return process

    yield spawn
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def on_terminal(spawn: Any) -> Iterator[Callable[..., Screen]]:
    """Return what starts the command on a terminal of its own."""
    with contextlib.ExitStack() as screens:
        yield lambda *args, **others: screens.enter_context(Screen.start(spawn, *args, **others))


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[cfsso.CloudflareEmulator], str]]:
    """Return what puts an emulator behind a port, in a thread of its own; it returns the URL."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "any")
    stops: list[Callable[[], object]] = []
    threads: list[threading.Thread] = []

    def serve(emulator: cfsso.CloudflareEmulator) -> str:
        urls: list[str] = []
        begun = threading.Event()

        async def stay() -> None:
            loop, ended = asyncio.get_running_loop(), asyncio.Event()
            stops.append(lambda: loop.call_soon_threadsafe(ended.set))
            async with serving(emulator) as url:
                urls.append(url)
                begun.set()
                await ended.wait()

        threads.append(threading.Thread(target=lambda: asyncio.run(stay())))
        threads[-1].start()
        assert begun.wait(30)
        return urls[0]

    yield serve
    for stop in stops:
        stop()
    for thread in threads:
        thread.join(30)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away what a developer's shell may hold, and keep out of the home folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in (
        *("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY", "CLOUDFLARE_EMAIL", "CF_API_TOKEN"),
        *("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "NO_COLOR", "FORCE_COLOR"),
        *("COLUMNS", "LINES", "TTY_COMPATIBLE"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command believe that somebody sits there."""
    monkeypatch.setattr("cfsso.cli.asking.need_terminal", lambda _command: None)


class Hooked:
    """A transport to *emulator* whose *hook* may answer, raise or do something first."""

    def __init__(self, emulator: cfsso.CloudflareEmulator, hook: Hook) -> None:
        self._inner = cfsso.InMemoryTransport(emulator)
        self._hook = hook

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Let the hook have its way, then send."""
        found = self._hook(request)
        # A signal that the hook raised is received before anything else is sent.
        for _ in range(5):
            await asyncio.sleep(0)
        if isinstance(found, BaseException):
            raise found
        return found or await self._inner.send(request)

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> Callable[[Hook], None]:
    """Return what makes the command's requests go through a hook to the cloud."""

    def hooked(hook: Hook) -> None:
        def connect(**_options: object) -> cfsso.AsyncSSOConnectors:
            return cfsso.AsyncSSOConnectors(Hooked(cloud.emulator, hook))

        monkeypatch.setattr("cfsso.connect", connect)

    return hooked


class _Reused:
    """A transport that outlives the commands that use it."""

    def __init__(self, inner: cfsso.Transport) -> None:
        self._inner = inner

    async def send(self, request: cfsso.Request) -> cfsso.Response:
        """Send."""
        return await self._inner.send(request)

    async def aclose(self) -> None:
        """Stay open."""


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> FaultyTransport:
    """Return what lies below the pacing and the retries of each command; it leads to the cloud."""
    transport = FaultyTransport(cfsso.InMemoryTransport(cloud.emulator))

    def connect(*, max_wait: float | None, **_options: object) -> cfsso.AsyncSSOConnectors:
        paced = cfsso.PacingTransport(_Reused(transport))
        stack = cfsso.RetryingTransport(paced)
        return cfsso.AsyncSSOConnectors(stack, deadline=120.0, max_wait=max_wait)

    monkeypatch.setattr("cfsso.connect", connect)
    return transport


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each command run on an event loop where waiting takes no time; it sees no signal."""
    monkeypatch.setattr("asyncio.run", run_in_virtual_time)


@pytest.fixture
def answer() -> Callable[..., cfsso.Response]:
    """Return what makes answers: a status, and the members of the envelope."""

    def answer(
        status: int, headers: dict[str, str] | None = None, **envelope: Any
    ) -> cfsso.Response:
        return cfsso.Response(status, headers or {}, json.dumps(envelope).encode())

    return answer
