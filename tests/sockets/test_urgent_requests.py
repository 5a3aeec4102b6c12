"""What lets people in is answered at once, however many requests hang."""

import asyncio
import resource
from collections.abc import Iterator

import pytest
from raw_sockets import http, raw_server, read_request

import cfsso
from cfsso.transports._call import Call

ACCOUNT, CONNECTOR = "a" * 32, "c" * 32
ENABLED = f'{{"success": true, "result": {{"id": "{CONNECTOR}", "enabled": false}}}}'.encode()
# A connection has two ends here.
FILES = 2500


class Hanging:
    """A server that answers writes, and no reads."""

    def __init__(self) -> None:
        self.hung = 0
        self.asked = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        method, _ = await read_request(reader)
        if method == "GET":
            self.hung += 1
            self.asked.set()
            await asyncio.Event().wait()
        writer.write(http(ENABLED))

    async def until(self, number: int) -> None:
        """Wait until so many reads hang, and see that no more come."""
        while self.hung < number:
            self.asked.clear()
            await self.asked.wait()
        for _ in range(200):
            await asyncio.sleep(0)
        assert number == self.hung


@pytest.fixture
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < FILES:
        pytest.skip(f"no {FILES} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_many_files")
@pytest.mark.parametrize("urgent", [False, True], ids=["reads of others", "its own reads, too"])
async def test_a_disable_beside_reads_that_hang(*, urgent: bool) -> None:
    """Hundreds of reads hang for as long as they may, and a disable is done meanwhile."""
    server = Hanging()
    async with raw_server(server) as url:
        transport = cfsso.AiohttpTransport("a-token", base_url=url)
        connectors = cfsso.AsyncSSOConnectors(transport)
        read = cfsso.Request("GET", f"/accounts/{ACCOUNT}/sso_connectors")
        # As they come from where it was decided that they may be sent.
        calls = [Call(operation="list", held=False) for _ in range(300)]
        calls += [Call(operation="list", held=False, urgent=True) for _ in range(700 * urgent)]
        hung = [asyncio.ensure_future(call.run(transport.send(read))) for call in calls]
        await server.until(750 if urgent else 200)
        # Of those that wait it is known that they were not sent.
        assert len(calls) - server.hung == sum(call.held for call in calls)

        found = await connectors.update(CONNECTOR, account_id=ACCOUNT, enabled=False)

        assert not found.enabled
        assert not any(task.done() for task in hung)
        for task in hung:
            task.cancel()
        await asyncio.wait(hung)
        await transport.aclose()
