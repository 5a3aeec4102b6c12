"""What to do next, by the class of an error."""

import math

import cfsso
from cfsso.cli.results import Target

_WINDOW = 300
_PERMISSION = (
    "give the token the permission SSO Connector Write (Read, to look) on this account,"
    " and see that its IP filter allows this address"
)


def line(error: cfsso.CfssoError, target: Target) -> str:
    """Return what happened and what to do next, as one line."""
    return f"{error}: {advice(error, target)}"


def advice(error: cfsso.CfssoError, target: Target) -> str:
    """Say what whoever ran the command should do about *error*."""
    if isinstance(error, cfsso.UnconfirmedWriteError):
        return f"run `{target.look}` before you repeat it"
    if error.write is cfsso.WriteState.UNKNOWN:
        return f"it may have happened: run `{target.look}` before you repeat it"
    for kind, text in _TEXTS:
        if isinstance(error, kind):
            return text.format(
                look=target.look,
                list=target.list,
                seconds=math.ceil(error.retry_after or _WINDOW),
            )
    return "try again later"


# The first match counts.
_TEXTS: tuple[tuple[type[cfsso.CfssoError], str], ...] = (
    (cfsso.AuthenticationError, "check CLOUDFLARE_API_TOKEN or --token-file"),
    (cfsso.PermissionDeniedError, _PERMISSION),
    (cfsso.NotFoundError, "check the ids; `{list}` shows what the token can see"),
    (cfsso.RateLimitError, "wait {seconds} s and run it again"),
    (cfsso.InternalServerError, "try again later; see https://www.cloudflarestatus.com"),
    (cfsso.APIStatusError, "nothing was changed; `{look}` shows the present state"),
    (cfsso.APIResponseValidationError, "check --base-url and HTTPS_PROXY"),
    (cfsso.APIConnectionError, "check the network, --base-url and HTTPS_PROXY"),
)
