"""Which URLs a token may be sent to."""

import ipaddress
import re
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from cfsso.errors import InvalidRequestError
from cfsso.transports.credentials import Secret

BASE_URL = "https://api.cloudflare.com/client/v4"
"""The API's own address."""

_PLAIN = re.compile(r"[A-Za-z0-9:/._~\[\]-]{1,2048}")
# urlsplit() drops what stands around brackets, others don't.
_NETLOC = re.compile(r"(?:[^\[\]]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*/?")
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


def checked_base_url(url: Any) -> str:
    """
    Return *url* in the one spelling of its server, if a token may be sent there.

    That is https to any host, and plain http to this machine only.

    Raises:
        InvalidRequestError: It is another scheme, has userinfo, a query, a fragment,
            odd characters, or a host that software reads in more than one way.
    """
    if not isinstance(url, str):
        raise _refusal(f"must be a str, not {type(url).__name__}")
    if not _PLAIN.fullmatch(url):
        # Not repeated: what is refused here may be a password.
        raise _refusal("must be plain ASCII without userinfo, query, fragment, spaces or escapes")
    parts, problem = _read(url)
    if problem:
        raise _refusal(problem, url)
    address = _address(parts.hostname or "")
    if parts.scheme != "https":
        loopback = address.is_loopback if address else parts.hostname == "localhost"
        if parts.scheme != "http" or not loopback:
            raise _refusal("must start with https:// (http:// is for this machine only)", url)
    if not _PATH.fullmatch(parts.path):
        raise _refusal("has a path with empty or dot segments", url)
    return _canonical(parts, address)


def proxy_secrets(proxy: Secret) -> tuple[str, ...]:
    """Return what nobody may be shown of the URL of a proxy, in each form that it is sent in."""
    parts = urlsplit(proxy.reveal())
    user, password = unquote(parts.username or ""), parts.password or ""
    return password, unquote(password), f"{user}:{unquote(password)}" if password else ""


def _canonical(
    parts: SplitResult, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None
) -> str:
    """Return a base URL in lower case, without a port that goes without saying."""
    host = parts.hostname or ""
    if address is not None:
        host = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - as IP has it
    usual = 443 if parts.scheme == "https" else 80
    port = "" if parts.port in {None, usual} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path}".rstrip("/")


def check_proxy(proxy: Secret, base_url: str) -> None:
    """
    Refuse what is no URL of a proxy, and a proxy that would see the token.

    Raises:
        InvalidRequestError: Says why, and repeats nothing: there may be a password in it.
    """
    problem = _proxy_problem(proxy.reveal())
    if problem:
        raise InvalidRequestError(f"proxy {problem}")
    if not base_url.startswith("https:"):
        raise InvalidRequestError("proxy would see the token: it is for https:// only")


def _proxy_problem(url: Any) -> str:
    if not isinstance(url, str):
        return f"must be a str, not {type(url).__name__}"
    if not re.fullmatch(r"https?://[\x21-\x7e]{1,2048}", url):
        return "must be a URL that starts with http:// or https://"
    # Userinfo may be anything that the parser takes; host and port are as in a base URL.
    return _read(re.sub(r"//[^/?#]*@", "//", url))[1]


def _read(url: str) -> tuple[SplitResult, str]:
    """Return the parts of *url*, and what is wrong with its host or port."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return urlsplit(""), "has a host or port that can't be read"
    if port == 0 or parts.netloc.endswith(":"):
        return parts, "has a port that can't be used"
    named = _HOST.fullmatch(host) and not _NUMERIC.fullmatch(host)
    if not _NETLOC.fullmatch(parts.netloc) or not (_address(host) or named):
        return parts, "must name a host such as api.cloudflare.com"
    return parts, ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _refusal(reason: str, url: str | None = None) -> InvalidRequestError:
    return InvalidRequestError(f"base_url {reason}{'' if url is None else f': {url[:80]!a}'}")
