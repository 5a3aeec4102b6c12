"""A real browser without a window, steered over its debugging port."""

import asyncio
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

_NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("chrome-headless-shell", "headless-shell"),
)
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/headless-shell/headless-shell",
)
_SECONDS = 40.0


def find_browser() -> str | None:
    """Return a browser of this machine, if there is one."""
    places = [shutil.which(name) for name in _NAMES]
    places += [place for place in _PLACES if os.access(place, os.X_OK)]
    cache = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright"
    for name in ("chrome", "headless_shell", "chrome-headless-shell"):
        places += map(str, sorted(Path(cache).glob(f"chromium*/*/{name}")))
    return next(filter(None, places), None)


class Browser:
    """A browser that resolves no name; to be used with ``with``."""

    def __init__(self, path: str) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(  # noqa: S603 - what the machine has
            [
                *(path, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-dev-shm-usage", "--disable-background-networking"),
                *("--remote-debugging-port=0", f"--user-data-dir={self._home.name}"),
                *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "about:blank"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._process as process:
            process.kill()
        self._home.cleanup()

    def _address(self) -> str:
        """Return where it listens, once it does."""
        file = Path(self._home.name, "DevToolsActivePort")
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            lines = file.read_text("utf-8").split("\n") if file.exists() else []
            if len(lines) > 1:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            time.sleep(0.05)
        raise AssertionError("the browser did not start")

    @asynccontextmanager
    async def tab(self, width: int, scheme: str, media: str = "") -> "AsyncGenerator[Tab]":
        """Give a tab of that many CSS pixels, with a colour scheme of the user's."""
        address = await asyncio.to_thread(self._address)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address, max_msg_size=0) as socket,
        ):
            tab = Tab(socket)
            made = await tab.call("Target.createTarget", url="about:blank")
            attached = await tab.call(
                "Target.attachToTarget", targetId=made["targetId"], flatten=True
            )
            tab.session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                await tab.call(f"{domain}.enable")
            await tab.call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=900,
                deviceScaleFactor=1,
                mobile=False,
            )
            feature = {"name": "prefers-color-scheme", "value": scheme}
            await tab.call("Emulation.setEmulatedMedia", media=media, features=[feature])
            yield tab
            tab.session = None
            await tab.call("Target.closeTarget", targetId=made["targetId"])


class Tab:
    """
    A page that is shown.

    Attributes:
        events: What the browser told of it, in order.
    """

    def __init__(self, socket: "aiohttp.ClientWebSocketResponse") -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.session: str | None = None
        self.events: list[dict[str, Any]] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Do *method*, and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json(
            message | ({"sessionId": self.session} if self.session else {})
        )
        while True:
            answer = await self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    async def _next(self) -> dict[str, Any]:
        async with asyncio.timeout(_SECONDS):
            answer: dict[str, Any] = await self._socket.receive_json()
        if "method" in answer:
            self.events.append(answer)
        return answer

    async def show(self, url: str) -> None:
        """Load *url* to its end."""
        await self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            await self._next()

    async def ask(self, expression: str) -> Any:
        """Return what a JavaScript expression comes to."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    @property
    def requests(self) -> list[str]:
        """The addresses that were asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]

    @property
    def complaints(self) -> list[Any]:
        """Errors and messages on the console."""
        kinds = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}
        return [event for event in self.events if event["method"] in kinds]
