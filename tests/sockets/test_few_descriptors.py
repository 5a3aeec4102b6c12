"""A process that may open few files sends what it has to, one after the other if need be."""

import asyncio
import contextlib
import os
import pathlib
import resource
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from typing import Any

import pytest
from lines import ONE, TOKEN, item, turns

import cfsso
from cfsso.cli.descriptors import raise_soft_limit
from cfsso.emulator.http import serving
from cfsso.transports import _descriptors
from cfsso.transports._call import Call

DELETE = cfsso.Request("DELETE", item(ONE))


class Files:
    """All files that this process may open, for as long as it lasts."""

    def __init__(self) -> None:
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(int(name) for name in os.listdir("/dev/fd"))  # noqa: PTH208
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, self._limits[1]))
        self._open: list[int] = []
        self.take_all()

    def take_all(self) -> None:
        """Open files until there is none left."""
        with contextlib.suppress(OSError):
            while True:
                self._open.append(os.open(os.devnull, os.O_RDONLY))

    def close(self, number: int) -> None:
        """Close some of them."""
        for _ in range(number):
            os.close(self._open.pop())

    def end(self) -> None:
        """Close all of them, and let others be opened again."""
        self.close(len(self._open))
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)


@contextlib.contextmanager
def no_file_left() -> Iterator[Files]:
    """Let no file be opened."""
    files = Files()
    try:
        yield files
    finally:
        files.end()


@pytest.fixture(params=["own connections", "session"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send by either way that the transport has."""
    if request.param == "session":
        monkeypatch.setattr("aiohttp.__version__", "0")


@pytest.fixture(scope="module")
def emulator() -> Iterator[tuple[str, str]]:
    """Yield the base URL of an emulator in a process that may open files, and its account."""
    command = [sys.executable, "-m", "cfsso", "emulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        url, account = (process.stdout.readline().split()[-1] for _ in range(2))
        yield url, account
        process.terminate()


@pytest.fixture
def port(emulator: tuple[str, str]) -> str:
    """Return the base URL alone."""
    return emulator[0]


@pytest.mark.usefixtures("way")
class TestNoFileLeft:
    """Not a single one can be opened."""

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    @pytest.mark.parametrize("first", [True, False], ids=["at first", "later"])
    async def test_it_waits_for_one(self, port: str, host: str, *, first: bool) -> None:
        """A write is sent as soon as there is a descriptor again, and not before."""
        transport = cfsso.AiohttpTransport(TOKEN, base_url=port.replace("127.0.0.1", host))
        if not first:
            await transport.send(DELETE)
            # What it had is closed in the turns that follow.
            await turns()
        call = Call(operation="delete", held=False, deadline=60.0)
        with no_file_left() as files:
            sending = asyncio.ensure_future(call.run(transport.send(DELETE)))
            await asyncio.sleep(0.3)
            found = sending.done(), call.held
            files.close(6)
            response = await sending
        assert ((False, True), 404) == (found, response.status)
        await transport.aclose()

    async def test_a_deadline_ends_it(self, port: str) -> None:
        """A call whose time is up meanwhile was not sent, and says so."""
        transport = cfsso.AiohttpTransport(TOKEN, base_url=port)
        call = Call(operation="delete", held=False, deadline=0.3, request=DELETE)
        with no_file_left():
            error = await failing(call.run(transport.send(DELETE)))
        assert (cfsso.APITimeoutError, "not_sent") == (type(error), error.write)
        await transport.aclose()

    async def test_its_own_time_ends_it(self, port: str) -> None:
        """Without a deadline it is given up after the time of one request, with the reason."""
        transport = cfsso.AiohttpTransport(TOKEN, base_url=port, timeout=0.2)
        with no_file_left():
            error = await failing(transport.send(DELETE))
        assert f"{DELETE}: no file can be opened: Too many open files" == str(error)
        assert (cfsso.APIConnectionError, "not_sent") == (type(error), error.write)
        await transport.aclose()


async def failing(work: Awaitable[cfsso.Response]) -> cfsso.CfssoError:
    """Return the error of *work*; pytest would open files to show it."""
    try:
        await work
    except cfsso.CfssoError as error:
        return error
    raise AssertionError


async def test_idle_connections_make_room(emulator: tuple[str, str]) -> None:
    """What waits for a descriptor takes that of a connection that nothing is under way on."""
    url, account = emulator
    transport = cfsso.AiohttpTransport(TOKEN, base_url=url)
    listed = await transport.send(cfsso.Request("GET", item("", account)[:-1]))
    with no_file_left():
        response = await transport.send(DELETE)
    assert (200, 404) == (listed.status, response.status)
    await transport.aclose()


@pytest.mark.parametrize(
    ("soft", "bound"), [(64, range(4, 40)), (128, range(40, 96)), (100_000, range(1000, 1001))]
)
async def test_places_are_as_many_as_descriptors(soft: int, bound: range) -> None:
    """At its first use a transport looks how many files may be open."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if soft > hard >= 0:
        pytest.skip("so many files may not be open here")
    program = """if True:
        import asyncio, sys, cfsso
        async def main():
            transport = cfsso.AiohttpTransport("a-token", base_url="http://127.0.0.1:9")
            try:
                await transport.send(cfsso.Request("GET", "/a"))
            except cfsso.APIConnectionError:
                print(transport._places.bound)
            await transport.aclose()
        asyncio.run(main())
    """
    code, out, _ = await run("-c", program, limit=(soft, hard))
    assert 0 == code
    assert int(out) in bound


def test_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a limit any number is left; where nobody lists open files they are guessed."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(_descriptors, "_LISTS", ("/nowhere",))
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (1000, 1000))
    assert 1000 - 32 - 32 == _descriptors.left()
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (resource.RLIM_INFINITY, -1))
    assert float("inf") == _descriptors.left()
    monkeypatch.setitem(sys.modules, "resource", None)
    assert float("inf") == _descriptors.left()
    raise_soft_limit()
    monkeypatch.undo()
    assert limits == resource.getrlimit(resource.RLIMIT_NOFILE)


async def run(*args: str, limit: tuple[int, int], **environment: str) -> tuple[int, str, str]:
    """Run Python with *args* under a limit of open files; return its code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *args),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "CLOUDFLARE_API_TOKEN": TOKEN, **environment},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit),
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"), [(64, 100, 100), (64, 9000, 8192), (9000, 9000, 9000)]
)
async def test_the_soft_limit_is_raised(soft: int, hard: int, wanted: int) -> None:
    """The command may open as many files as it is allowed to, up to a reasonable number."""
    present = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard > present >= 0:
        pytest.skip("so many files may not be open here")
    program = """if True:
        import resource
        from cfsso.cli.descriptors import raise_soft_limit
        raise_soft_limit()
        print(*resource.getrlimit(resource.RLIMIT_NOFILE))
    """
    assert (0, f"{wanted} {hard}\n", "") == await run("-c", program, limit=(soft, hard))


def test_a_limit_that_cannot_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system refuses is left as it is, and what is enough is not touched."""

    def refuse(*_: Any) -> None:
        msg = "not allowed"
        raise ValueError(msg)

    monkeypatch.setattr(resource, "setrlimit", refuse)
    for soft in (64, 9000):
        monkeypatch.setattr(
            resource, "getrlimit", lambda _kind, s=soft: (s, resource.RLIM_INFINITY)
        )
        raise_soft_limit()


class TestCommands:
    """Whole commands under a limit of open files, against a port of this process."""

    @pytest.mark.parametrize(("most", "count"), [(128, 300), (64, 100)])
    async def test_break_glass(self, tmp_path: pathlib.Path, most: int, count: int) -> None:
        """The connectors of all accounts are disabled, however few files may be open."""
        cloud = cfsso.CloudflareEmulator(rate_limit=None, latency=0.3)
        accounts = [cloud.add_account() for _ in range(count)]
        for number, account in enumerate(accounts):
            domain = f"d{number}.example"
            cloud.add_connector(account, email_domain=domain, enabled=True, status="verified")
        (tmp_path / "accounts").write_text("\n".join(accounts))
        options = ["break-glass", "--accounts-file", str(tmp_path / "accounts"), "--yes"]
        async with serving(cloud) as url:
            code, _, err = await run(
                "-m", "cfsso", "--base-url", url, *options, limit=(most, most), HOME=str(tmp_path)
            )

        found = [connector.enabled for a in accounts for connector in cloud.connectors(a)]
        assert [False] * count == found, err
        assert 0 == code, err

    async def test_apply(self, tmp_path: pathlib.Path) -> None:
        """A run with its journal does all of it, too."""
        cloud = cfsso.CloudflareEmulator(rate_limit=None, latency=0.3)
        rows = ["account_id,sso_connector_id,enabled,use_fedramp_language"]
        for number in range(70):
            account = cloud.add_account()
            added = cloud.add_connector(
                account, email_domain=f"d{number}.example", status="verified"
            )
            rows.append(f"{account},{added.id},true,")
        (tmp_path / "rollout.csv").write_text("\n".join(rows))
        options = ["apply", str(tmp_path / "rollout.csv"), "--yes", "--canary", "0"]
        options += ["--journal", str(tmp_path / "run.cfsso"), "--concurrency", "200"]
        async with serving(cloud) as url:
            code, _, err = await run("-m", "cfsso", "--base-url", url, *options, limit=(128, 128))

        assert 0 == code, err


def test_a_command_takes_what_the_system_allows() -> None:
    """The soft limit of open files rises as far as the hard one allows before anything is sent."""
    program = (
        "import resource, sys\n"
        "from cfsso.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 300))\n"
        "try:\n"
        "    main(['--version'])\n"
        "except SystemExit:\n"
        "    print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run(  # noqa: S603 - it is ours
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "300 300" == done.stdout.splitlines()[-1]
