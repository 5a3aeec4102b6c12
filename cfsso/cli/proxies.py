"""The proxy that the environment names; the library itself never looks."""

from typing import Final

_API_HOST: Final = "api.cloudflare.com"


def proxy_for(base_url: str | None) -> str | None:
    """
    Return what ``HTTPS_PROXY`` says for *base_url*, unless ``NO_PROXY`` excepts its host.

    ``None``: go straight. So does plain http, which never leaves the machine.
    """
    from urllib.parse import urlsplit
    from urllib.request import getproxies_environment, proxy_bypass

    try:
        parts = urlsplit(base_url or f"https://{_API_HOST}")
        host = parts.hostname or ""
    except ValueError:
        return None  # It will be refused where it is used.
    proxy = getproxies_environment().get("https")
    # With a proxy in the environment, NO_PROXY is all that is asked on any system.
    if not proxy or parts.scheme != "https" or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
