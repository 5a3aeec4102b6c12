"""What to do next, by the cause of an error."""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import cfsso
from cfsso.cli.results import Target

_Rule: TypeAlias = tuple[Callable[[cfsso.CfssoError], bool], str]

_WINDOW = 300
_REFUSALS = range(400, 500)
_FORBIDDEN = 403
_PROXY_AUTHENTICATION = 407
# Codes of Cloudflare's edge, of which the 4xx are blocks.
_BLOCKS = range(1000, 2000)
_PERMISSION = (
    "give the token the permission SSO Connector Write (Read, to look) on this account,"
    " and see that its IP filter allows this address"
)
_LATER = "try again later; see https://www.cloudflarestatus.com"
_WAY = "check --base-url and HTTPS_PROXY"
_NETWORK = "check the network, --base-url and HTTPS_PROXY"
_CERTIFICATE = (
    "if a proxy of your company inspects TLS, set SSL_CERT_FILE to a PEM file with the company's"
    " CA certificate; otherwise check --base-url and this machine's clock"
)
_PROXY_LOGIN = (
    "put user name and password into the proxy's URL: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
)
_PROXY_RULE = (
    "ask those who run the proxy to allow the API's host, or name that host in NO_PROXY if it can"
    " be reached without the proxy"
)
_BLOCKED = (
    "send it from another network address; if that does not help, give Cloudflare's support the"
    " Ray ID {ray}"
)
_CHALLENGED = "send it from another network address: no program can pass a challenge"
_STRANGER = (
    "check --base-url and HTTPS_PROXY, and whether this network asks for a sign-in in the browser"
)


def line(error: cfsso.CfssoError, target: Target) -> str:
    """Return what happened and what to do next, as one line."""
    # What a server wrote may end with a full stop.
    return f"{str(error).removesuffix('.')}: {advice(error, target)}"


def advice(error: cfsso.CfssoError, target: Target) -> str:
    """Say what the person who ran the command can do about *error*."""
    if isinstance(error, cfsso.UnconfirmedWriteError):
        return f"run `{target.look}` before you repeat it"
    if error.write is cfsso.WriteState.UNKNOWN:
        return f"it may have happened: run `{target.look}` before you repeat it"
    text = next((text for applies, text in _RULES if applies(error)), "try again later")
    return text.format(
        look=target.look,
        list=target.list,
        seconds=math.ceil(error.retry_after or _WINDOW),
        ray=error.ray_id or "of the answer",
    )


def _is(kind: type[cfsso.CfssoError]) -> Callable[[cfsso.CfssoError], bool]:
    return lambda error: isinstance(error, kind)


def _failed_by(reason: cfsso.ConnectionFailure) -> Callable[[cfsso.CfssoError], bool]:
    return lambda error: isinstance(error, cfsso.APIConnectionError) and error.reason is reason


def _is_refused_by_proxy(error: cfsso.CfssoError) -> bool:
    return _failed_by(cfsso.ConnectionFailure.PROXY)(error) and (error.status or 0) in _REFUSALS


def _wants_login(error: cfsso.CfssoError) -> bool:
    return _is_refused_by_proxy(error) and error.status == _PROXY_AUTHENTICATION


def _is_challenge(error: cfsso.CfssoError) -> bool:
    headers = {} if error.response is None else error.response.headers
    return headers.get("cf-mitigated") == "challenge"


def _is_of_edge(error: cfsso.CfssoError) -> bool:
    return error.edge and isinstance(error, cfsso.APIStatusError)


def _is_block(error: cfsso.CfssoError) -> bool:
    """Whether Cloudflare blocks the sender: a 404 of its edge may be a wrong --base-url."""
    if not _is_of_edge(error) or error.ray_id is None or error.status not in _REFUSALS:
        return False
    return error.status == _FORBIDDEN or any(item.code in _BLOCKS for item in error.errors)


def _is_failure_of_edge(error: cfsso.CfssoError) -> bool:
    return _is_of_edge(error) and (error.status or 0) >= _REFUSALS.stop


# The first match counts.
_RULES: Sequence[_Rule] = (
    (_is(cfsso.RateLimitError), "wait {seconds} s and run it again"),
    (_is_challenge, _CHALLENGED),
    (_is_block, _BLOCKED),
    (_is_failure_of_edge, _LATER),
    (_is_of_edge, _STRANGER),
    (_is(cfsso.AuthenticationError), "check CLOUDFLARE_API_TOKEN or --token-file"),
    (_is(cfsso.PermissionDeniedError), _PERMISSION),
    (_is(cfsso.NotFoundError), "check the ids; `{list}` shows what the token can see"),
    (_is(cfsso.InternalServerError), _LATER),
    (_is(cfsso.APIStatusError), "nothing was changed; `{look}` shows the present state"),
    (lambda error: error.edge and _is(cfsso.APIResponseValidationError)(error), _STRANGER),
    (_is(cfsso.APIResponseValidationError), _WAY),
    (_wants_login, _PROXY_LOGIN),
    (_is_refused_by_proxy, _PROXY_RULE),
    (_failed_by(cfsso.ConnectionFailure.PROXY), "check HTTPS_PROXY and that proxy"),
    (_failed_by(cfsso.ConnectionFailure.NAME), "check DNS, --base-url and HTTPS_PROXY"),
    (_failed_by(cfsso.ConnectionFailure.CERTIFICATE), _CERTIFICATE),
    (_failed_by(cfsso.ConnectionFailure.TLS), _WAY),
    (_failed_by(cfsso.ConnectionFailure.PROTOCOL), _WAY),
    (_failed_by(cfsso.ConnectionFailure.FILES), "raise `ulimit -n` and run it again"),
    (_is(cfsso.APIConnectionError), _NETWORK),
)
