"""Why there is no answer through aiohttp: from its exceptions to ours."""

import errno
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, TypeAlias

import aiohttp
from aiohttp.http import HttpProcessingError

from cfsso.errors import APIConnectionError, APITimeoutError, ConnectionFailure, WriteState
from cfsso.transports._aiohttp_answers import by_name
from cfsso.transports._descriptors import are_exhausted, is_full
from cfsso.transports.base import Request, Response

Mask: TypeAlias = Callable[[str], str]
"""Returns a text without secrets."""

_N: Final = WriteState.NOT_SENT
_U: Final = WriteState.UNKNOWN
_R: TypeAlias = ConnectionFailure

# What went wrong, what it says by itself of a write that may have left, how to say it, and
# what kept the answer away: the first match counts, so what is narrow stands first.
_FAILURES: tuple[tuple[type[BaseException], WriteState, str, ConnectionFailure], ...] = (
    (aiohttp.ConnectionTimeoutError, _N, "no connection in time", _R.CONNECT),
    (aiohttp.ClientConnectorCertificateError, _N, "TLS failed", _R.CERTIFICATE),
    (aiohttp.ClientSSLError, _N, "TLS failed", _R.TLS),
    (aiohttp.ServerFingerprintMismatch, _N, "TLS failed: a pinned certificate", _R.CERTIFICATE),
    (aiohttp.ClientConnectorDNSError, _N, "can't look up the address", _R.NAME),
    (aiohttp.ClientProxyConnectionError, _N, "can't connect to the proxy", _R.CONNECT),
    (aiohttp.ClientConnectorError, _N, "can't connect", _R.CONNECT),
    (aiohttp.InvalidURL, _N, "aiohttp refuses the URL", _R.OTHER),
    (aiohttp.NonHttpUrlClientError, _N, "aiohttp refuses the URL", _R.OTHER),
    (TimeoutError, _U, "no complete answer in time", _R.TIMEOUT),
    (aiohttp.ClientPayloadError, _U, "the answer was cut off", _R.LOST),
    (aiohttp.ClientResponseError, _U, "the answer is no HTTP", _R.PROTOCOL),
    (HttpProcessingError, _U, "the answer is no HTTP", _R.PROTOCOL),
    (socket.gaierror, _U, "can't look up the address", _R.NAME),
    (ssl.SSLCertVerificationError, _U, "TLS failed", _R.CERTIFICATE),
    (ssl.SSLError, _U, "TLS failed", _R.TLS),
    (aiohttp.ClientError, _U, "the connection was lost", _R.LOST),
    (OSError, _U, "the connection was lost", _R.LOST),
    (Exception, _U, "the request failed", _R.OTHER),
)
# What a second try can't mend.
_HOPELESS: Final = {_R.TLS, _R.CERTIFICATE, _R.PROTOCOL, _R.OTHER}
# What can't be so when a byte has left already.
_BEFORE: Final = {_R.NAME, _R.TLS, _R.CERTIFICATE}

# Of the 4xx of a proxy, those that say no more than "not now".
_PASSING: Final = {408, 425, 429}
# Words alone: no URL, no header, no quoted value, no markup.
_WORDS: Final = re.compile(r"(?!.*//)(?:[A-Za-z,.()_/-]{1,24}(?: |\Z)){1,24}")
# The same of aiohttp's parser, which has seen nothing but the answer.
_PROBLEM: Final = re.compile(r"(?!.*//)[A-Za-z0-9 ,.()`_/:-]{1,120}")
_DATA: Final = re.compile(r":?\s*(?:\n\n|b['\"]).*", re.DOTALL)
# How aiohttp says that netrc has credentials for this host.
_CLASH: Final = "Cannot combine AUTHORIZATION header"
_SCHEME: Final = re.compile(r"(?:^|,)\s*([A-Za-z][A-Za-z0-9-]{0,19})(?=\s|,|$)")
_MOST_SCHEMES: Final = 4


def lacks_descriptor(error: Exception) -> bool:
    """Whether there is no connection for want of a file descriptor."""
    cause = _cause(error)
    if isinstance(cause, OSError) and is_full(cause):
        return True
    # Looking up a name or a certificate opens files as well, and does not say what failed.
    return isinstance(error, aiohttp.ClientConnectorError) and are_exhausted()


def failure(error: Exception, request: Request, *, sent: bool, mask: Mask) -> APIConnectionError:
    """
    Return what *error*, raised by aiohttp, the system or the caller's code, says of *request*.

    Args:
        error: The exception.
        request: What was to be sent.
        sent: Whether a byte of it may have left.
        mask: Takes secrets out of a text.
    """
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _refused_by_proxy(error, request, mask)
    write, phrase, reason = next(row[1:] for row in _FAILURES if isinstance(error, row[0]))
    if sent and write is _U and reason in _BEFORE:
        phrase, reason = "the connection was lost", _R.LOST
    elif not sent and reason is _R.TIMEOUT:
        phrase, reason = "no connection in time", _R.CONNECT
    elif not sent and reason is _R.LOST:
        phrase += " before anything was sent"
    elif problem := _parser_problem(error):
        reason = _R.PROTOCOL
        what = "can't be decoded" if "content-encoding" in problem else "is no HTTP"
        phrase = f"the answer {what}: {problem}"
    kind = APITimeoutError if isinstance(error, TimeoutError) else APIConnectionError
    found = kind(
        mask(f"{request}: {phrase}{_said(error)}"),
        write=request.write_state(write if sent else _N),
        request=request,
    )
    found.reason = reason
    found.retryable = reason not in _HOPELESS
    return found


def no_descriptor(request: Request, *, sent: bool) -> APIConnectionError:
    """Return the error for a request that found no file descriptor in all its time."""
    found = APIConnectionError(
        f"{request}: no file can be opened: {os.strerror(errno.EMFILE)}",
        write=request.write_state(_U if sent else _N),
        request=request,
    )
    found.reason = _R.FILES
    return found


def _cause(error: BaseException) -> BaseException:
    return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error


def _said(error: Exception) -> str:
    """Return what can be told of *error*: aiohttp's own texts may hold URLs and headers."""
    cause = _cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        said = getattr(cause, "verify_message", "")
    elif isinstance(cause, ssl.SSLError):
        said = (getattr(cause, "reason", None) or "").replace("_", " ").lower()
    elif isinstance(cause, aiohttp.ClientOSError):
        said = os.strerror(cause.errno) if cause.errno else ""
    elif isinstance(cause, OSError) and cause.strerror:
        said = cause.strerror
    else:
        said = _named(cause)
    return f": {said}" if said else ""


def _named(cause: BaseException) -> str:
    """Return the class of an exception that is not aiohttp's, and its text if that is words."""
    if type(cause).__module__.startswith("aiohttp") and cause.__cause__ is not None:
        cause = cause.__cause__
    if type(cause).__module__.startswith("aiohttp") or type(cause) is TimeoutError:
        return ""
    try:
        text = str(cause)
    except Exception:  # noqa: BLE001 - it may be of anybody's making
        text = ""
    if text.startswith(_CLASH):
        text = "netrc has credentials for this host: make the session without trust_env"
    elif not _WORDS.fullmatch(text):
        text = ""
    return f"{type(cause).__name__}{': ' if text else ''}{text}"


def _parser_problem(error: BaseException) -> str:
    """Return what aiohttp's parser found wrong with the answer, without the answer's own text."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, HttpProcessingError):
        found = found.__cause__
    if found is None:
        return ""
    text = " ".join(_DATA.sub("", str(found.message)).split())
    if isinstance(error, aiohttp.ClientPayloadError) and "content-encoding" not in text:
        return ""
    return text if _PROBLEM.fullmatch(text) else ""


def _refused_by_proxy(
    error: aiohttp.ClientHttpProxyError, request: Request, mask: Mask
) -> APIConnectionError:
    status: int = getattr(error, "status", 0)
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    kept = {name: mask(value) for name, value in by_name(headers).items()}
    phrase = next((s.phrase for s in HTTPStatus if s == status), "")
    advice = ""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        advice = f", it wants {_wanted(kept.get('proxy-authenticate', ''))}"
    elif status == HTTPStatus.FORBIDDEN:
        advice = ", it does not allow connections to this server"
    found = APIConnectionError(
        f"{request}: the proxy refused: {status} {phrase}".rstrip() + advice,
        write=request.write_state(_N),
        status=status,
        request=request,
        edge=True,
        response=Response(status, kept, b""),
    )
    found.reason = _R.PROXY
    found.retryable = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING
    return found


def _wanted(challenges: str) -> str:
    """Return what a proxy that answers 407 wants, and how to give it."""
    schemes = list(dict.fromkeys(_SCHEME.findall(challenges)))[:_MOST_SCHEMES]
    if not schemes or "basic" in map(str.lower, schemes):
        return "Basic: put the user and password that it takes into its URL"
    return (
        f"{' or '.join(schemes)}, which is not supported: use one that takes Basic,"
        " or a local one that logs on to it"
    )
