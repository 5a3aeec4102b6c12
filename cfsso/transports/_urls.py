"""Which URLs a token may be sent to."""

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from cfsso.errors import InvalidRequestError

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
    Return *url* without a trailing slash, if a token may be sent there.

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
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refusal("has a host or port that can't be read", url) from None
    if port == 0 or parts.netloc.endswith(":"):
        raise _refusal("has a port that can't be used", url)
    address = _address(host)
    named = _HOST.fullmatch(host) and not _NUMERIC.fullmatch(host)
    if not _NETLOC.fullmatch(parts.netloc) or not (address or named):
        raise _refusal("must name a host such as api.cloudflare.com", url)
    if parts.scheme != "https":
        loopback = address.is_loopback if address else host == "localhost"
        if parts.scheme != "http" or not loopback:
            raise _refusal("must start with https:// (http:// is for this machine only)", url)
    if not _PATH.fullmatch(parts.path):
        raise _refusal("has a path with empty or dot segments", url)
    return url.rstrip("/")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _refusal(reason: str, url: str | None = None) -> InvalidRequestError:
    return InvalidRequestError(f"base_url {reason}{'' if url is None else f': {url[:80]!a}'}")
