"""What a command tells its user to do, by the cause of an error."""

import contextlib
import signal
import socket
import subprocess
from typing import Any

import pytest

import cfsso
from cfsso.transports._call import current

BLOCK = cfsso.PermissionDeniedError(
    "403 from GET /x: Error 1020: Access denied", status=403, ray_id="9f03c1d2ab47e6f5", edge=True
)
CHALLENGE = cfsso.PermissionDeniedError(
    "403 from GET /x: a challenge",
    status=403,
    ray_id="9f03c1d2ab47e6f5",
    edge=True,
    response=cfsso.Response(403, {"cf-mitigated": "challenge"}, b""),
)


def connection(
    reason: cfsso.ConnectionFailure, status: int | None = None
) -> cfsso.APIConnectionError:
    """Return the error of a connection that failed for *reason*."""
    error = cfsso.APIConnectionError(
        f"GET /x: {reason.value}", status=status, edge=reason is cfsso.ConnectionFailure.PROXY
    )
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            BLOCK,
            "another network address; if that does not help, give Cloudflare's support the Ray",
        ),
        (BLOCK, "Ray ID 9f03c1d2ab47e6f5"),
        (CHALLENGE, "no program can pass a challenge"),
        (
            cfsso.InternalServerError("526 from GET /x", status=526, edge=True, ray_id="1"),
            "try again later; see https://www.cloudflarestatus.com",
        ),
        (
            cfsso.RateLimitError("429 from GET /x", status=429, edge=True, retry_after=29.2),
            "wait 30 s and run it again",
        ),
        (
            cfsso.AuthenticationError("401 from GET /x: a sign-in page", status=401, edge=True),
            "whether this network asks for a sign-in in the browser",
        ),
        (
            cfsso.APIResponseValidationError("200 from GET /x: a page", status=200, edge=True),
            "whether this network asks for a sign-in in the browser",
        ),
        (
            cfsso.APIResponseValidationError("200 from GET /x: cut", status=200),
            "check --base-url and HTTPS_PROXY\n",
        ),
        (
            connection(cfsso.ConnectionFailure.PROXY, 407),
            "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
        ),
        (connection(cfsso.ConnectionFailure.PROXY, 403), "name that host in NO_PROXY"),
        (connection(cfsso.ConnectionFailure.PROXY, 502), "check HTTPS_PROXY and that proxy"),
        (connection(cfsso.ConnectionFailure.NAME), "check DNS, --base-url and HTTPS_PROXY"),
        (connection(cfsso.ConnectionFailure.CERTIFICATE), "set SSL_CERT_FILE to a PEM file"),
        (connection(cfsso.ConnectionFailure.TLS), "check --base-url and HTTPS_PROXY\n"),
        (connection(cfsso.ConnectionFailure.PROTOCOL), "check --base-url and HTTPS_PROXY\n"),
        (connection(cfsso.ConnectionFailure.FILES), "raise `ulimit -n`"),
        (connection(cfsso.ConnectionFailure.CONNECT), "check the network, --base-url"),
        (connection(cfsso.ConnectionFailure.LOST), "check the network, --base-url"),
        (connection(cfsso.ConnectionFailure.OTHER), "check the network, --base-url"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else str(value)[:40],
)
def test_the_advice_goes_by_the_cause(
    error: cfsso.CfssoError, said: str, run: Any, cloud: Any, hooked: Any
) -> None:
    """What helps against a cause is said for it, and nothing that helps against another."""
    hooked(lambda _: error)

    ran = run("get", cloud.account, "b" * 32)

    assert said in ran.err
    assert 1 == ran.code
    assert "permission" not in ran.err


def test_a_cause_without_a_ray_id_names_none(run: Any, cloud: Any, hooked: Any) -> None:
    """A block that has no Ray ID is not called one of Cloudflare's."""
    hooked(lambda _: cfsso.PermissionDeniedError("403 from GET /x", status=403, edge=True))

    ran = run("get", cloud.account, "b" * 32)

    assert "Ray" not in ran.err
    assert "check --base-url and HTTPS_PROXY" in ran.err


def test_a_block_is_known_by_its_code_too(run: Any, cloud: Any, hooked: Any) -> None:
    """Cloudflare blocks with other statuses than 403 as well; a 530 is a failure of its own."""
    banned = (cfsso.ResponseInfo(code=1006, message="banned"),)
    for status, said in ((401, "another network address"), (530, "try again later")):
        kind = cfsso.APIStatusError if status < 500 else cfsso.InternalServerError
        error = kind(f"{status} from it", status=status, ray_id="1", edge=True, errors=banned)
        hooked(lambda _, error=error: error)

        assert said in run("get", cloud.account, "b" * 32).err


@pytest.mark.parametrize("status", [401, 404, 405])
def test_a_page_of_another_site_is_no_block(status: int, run: Any, cloud: Any, hooked: Any) -> None:
    """A site behind Cloudflare that is not the API is a wrong address, and blocks nobody."""
    page = cfsso.APIStatusError(f"{status} from GET /x", status=status, ray_id="1-FRA", edge=True)
    hooked(lambda _: page)

    ran = run("get", cloud.account, "b" * 32)

    assert "another network address" not in ran.err
    assert "check --base-url and HTTPS_PROXY" in ran.err


def test_ctrl_c_before_anything_left_says_that_nothing_was_changed(
    run: Any, cloud: Any, hooked: Any
) -> None:
    """Interrupted before a byte of the write left, a command says that nothing was changed."""
    connector = cloud.add()

    def hook(_request: cfsso.Request) -> None:
        # As a transport does that waits for a connection.
        current().held = True
        signal.raise_signal(signal.SIGINT)

    hooked(hook)

    ran = run("disable", cloud.account, connector)

    assert (130, "cfsso: interrupted: nothing was changed\n") == (ran.code, ran.err)


def test_ctrl_c_while_no_connection_is_there(spawn: Any) -> None:
    """With a server that takes no connection nothing was changed, and the command ends at once."""
    with contextlib.ExitStack() as sockets:
        full = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.settimeout(0.0)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/client/v4"
        process = spawn(
            *("disable", "a" * 32, "b" * 32, "--base-url", url),
            env={"CLOUDFLARE_API_TOKEN": "x" * 40},
        )
        # It says where it is going when it begins.
        assert "a server on this machine" in process.stderr.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)

    assert (130, "cfsso: interrupted: nothing was changed\n") == (process.returncode, err)
