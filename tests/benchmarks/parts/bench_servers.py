"""The server that answers: nginx if there is one, else a small one of our own."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent))

import attrs
import trustme
from bench_world import ANSWER, HEADERS, BenchError, cpus, environment, pinned

_PATIENCE: Final = 10.0
_NGINX: Final = """
worker_processes 1;
daemon off;
pid %(folder)s/pid;
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600;
  default_type application/json;
  client_body_temp_path %(folder)s/a;
  proxy_temp_path %(folder)s/b;
  fastcgi_temp_path %(folder)s/c;
  uwsgi_temp_path %(folder)s/d;
  scgi_temp_path %(folder)s/e;
  ssl_certificate %(folder)s/cert.pem;
  ssl_certificate_key %(folder)s/key.pem;
  server {
    listen 127.0.0.1:%(plain)d backlog=4096;
    listen 127.0.0.1:%(tls)d ssl backlog=4096;
    location = /status { stub_status; }
    location ~ ^/client/v4/accounts/([0-9a-z]+)/sso_connectors/([0-9a-z]+)$ {
%(headers)s
      return 200 '%(answer)s';
    }
  }
}
"""


@attrs.frozen(kw_only=True)
class Server:
    """
    One that answers on loopback.

    Attributes:
        kind: ``nginx`` or ``bundled``.
        plain: The base URL.
        tls: The same over TLS.
        authority: The file with the certificate to trust.
    """

    kind: str
    plain: str
    tls: str
    authority: str

    def accepted(self) -> int | None:
        """Return how many connections it took so far, this one too; ``None``: it does not say."""
        where = self.plain.removesuffix("/client/v4") + "/status"
        try:
            with urllib.request.urlopen(where, timeout=_PATIENCE) as answer:  # noqa: S310 - ours
                numbers = answer.read().decode().splitlines()[2].split()
            return int(numbers[0])
        except (OSError, IndexError, ValueError):
            return None


def find_nginx() -> str | None:
    """Return where nginx is."""
    return shutil.which("nginx") or shutil.which("/usr/sbin/nginx")


def _ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _command(kind: str, folder: Path, plain: int, tls: int) -> list[str]:
    if kind == "bundled":
        return [sys.executable, "-P", __file__, str(folder), str(plain), str(tls)]
    headers = "\n".join(f"      add_header {name} '{value}';" for name, value in HEADERS.items())
    values = {"folder": folder, "plain": plain, "tls": tls, "headers": headers}
    (folder / "nginx.conf").write_text(_NGINX % {**values, "answer": ANSWER % "$2"}, "ascii")
    nginx = find_nginx()
    if nginx is None:
        raise BenchError("there is no nginx here: --server bundled")
    return [nginx, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]


@contextlib.contextmanager
def serving(kind: str | None = None) -> Iterator[Server]:
    """
    Serve in a process of its own, on the server's CPU.

    Args:
        kind: ``nginx`` or ``bundled``. ``None``: nginx if there is one.

    Raises:
        BenchError: It does not begin to serve.
    """
    kind = kind or ("nginx" if find_nginx() else "bundled")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(folder / "key.pem")
        # nginx wants the chain in one file.
        for blob in issued.cert_chain_pems:
            blob.write_to_path(folder / "cert.pem", append=True)
        plain, tls = _ports()
        with pinned(cpus()[1]):
            process = subprocess.Popen(  # noqa: S603 - ours, or nginx
                _command(kind, folder, plain, tls), stderr=subprocess.PIPE, env=environment()
            )
        try:
            _wait(process, tls)
            yield Server(
                kind=kind,
                plain=f"http://127.0.0.1:{plain}/client/v4",
                tls=f"https://127.0.0.1:{tls}/client/v4",
                authority=str(folder / "ca.pem"),
            )
        finally:
            process.terminate()
            process.communicate()


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise BenchError("the server does not begin to serve")


class _Face(asyncio.Protocol):
    """Answers each request of a connection; the body of a request counts for nothing."""

    connections = 0
    _HEAD: Final = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())

    def __init__(self) -> None:
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        _Face.connections += 1

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while (end := self._pending.find(b"\r\n\r\n")) >= 0:
            head = self._pending[:end].lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            whole = end + 4 + int(length or 0)
            if len(self._pending) < whole:
                return
            self._pending = self._pending[whole:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        where = head.split(b" ", 2)[1].decode()
        body = ANSWER % where.rpartition("/")[2]
        if where == "/status":
            body = f"Active\nserver accepts\n {_Face.connections} {_Face.connections} 0\n"
        closing = b"connection: close" in head
        lines = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{self._HEAD}"
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        last = f"Date: {date}\r\nConnection: {'close' if closing else 'keep-alive'}\r\n\r\n"
        self._transport.write(f"HTTP/1.1 200 OK\r\n{lines}{last}{body}".encode())
        if closing:
            self._transport.close()


async def _serve(folder: str, plain: int, tls: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    loop = asyncio.get_running_loop()
    first = await loop.create_server(_Face, "127.0.0.1", plain, backlog=4096)
    second = await loop.create_server(_Face, "127.0.0.1", tls, ssl=context, backlog=4096)
    await asyncio.gather(first.serve_forever(), second.serve_forever())


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
