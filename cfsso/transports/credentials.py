"""Tokens: where they come from, and how they stay unseen."""

import inspect
import os
import re
import warnings
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

from cfsso.errors import InvalidRequestError

TokenSource: TypeAlias = str | Mapping[str, str] | Callable[[str], str | Awaitable[str]]
"""A token for all accounts, or where to find the one of an account id."""

VARIABLE: Final = "CLOUDFLARE_API_TOKEN"
OTHER_VARIABLES: Final = ("CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY")
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")
# What people put in a token's place, and none that RFC 6750 allows.
_ASSIGNMENT: Final = re.compile(r"\s*(?:export\s+|set\s+)?[$\w:]+\s*=\s*[^=\s]", re.ASCII)
_REFERENCE: Final = re.compile(r"[A-Za-z][\w.+-]*:|[$%<{(@]", re.ASCII)
_QUOTES: Final = ("'", '"', "`")
# Of this process: what is made with it tells nothing elsewhere.
_KEY: Final = os.urandom(32)


class Secret:
    """A text that is shown nowhere: not by printing, pickling or iterating."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself; call it where it is used and keep no copy."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        import hmac

        return isinstance(other, Secret) and hmac.compare_digest(
            self._value.encode("utf-8", "surrogatepass"),
            other._value.encode("utf-8", "surrogatepass"),
        )

    __hash__ = None  # type: ignore[assignment] # a hash would tell the text

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret can't be pickled or copied")


class Credentials:
    """
    The tokens of a client, one for all accounts or one for each.

    Constructing never raises, so that no traceback shows a frame that holds a
    token: call `check` where the token is out of sight.
    """

    __slots__ = ("_digest", "_problem", "_secret", "_source")

    def __init__(self, source: Any, name: str = "api_token") -> None:
        self._secret: Secret | None = None
        self._source: Mapping[str, str] | Callable[[str], Any] | None = None
        self._problem: str | None = None
        self._digest: bytes | None = None
        if isinstance(source, str):
            self._secret, problem = _screen(source)
            self._problem = f"{name} {problem}" if problem else None
        elif isinstance(source, Mapping) or callable(source):
            self._source = source
        else:
            self._problem = (
                f"{name} must be a token, or a mapping or callable from account id to token,"
                f" not {type(source).__name__}"
            )

    def __repr__(self) -> str:
        # Also of one that is half made, as debuggers show it.
        return f"Credentials({'***' if getattr(self, '_secret', None) else 'by account'})"

    @classmethod
    def of(cls, source: Any) -> "Credentials":
        """Return *source* itself if it is one already."""
        return source if isinstance(source, cls) else cls(source)

    @classmethod
    def from_environment(cls) -> "Credentials":
        """
        Return what ``CLOUDFLARE_API_TOKEN`` holds.

        A variable of another credential beside it is a problem for `check`: other
        tools prefer those, so which one is meant can't be known.
        """
        found = cls(os.environ.get(VARIABLE, ""), VARIABLE)
        others = [name for name in OTHER_VARIABLES if os.environ.get(name)]
        if not os.environ.get(VARIABLE):
            hint = " (CF_API_TOKEN is set, but not read)" if os.environ.get("CF_API_TOKEN") else ""
            found._problem = f"no token: set {VARIABLE} or pass api_token{hint}"
        elif others:
            found._problem = (
                f"ambiguous credentials: {VARIABLE} and {' and '.join(others)} are set;"
                f" unset {' and '.join(others)}, only a token is used"
            )
        return found

    def check(self) -> None:
        """
        Refuse what can't be a token; warn of one that may do everything.

        Raises:
            InvalidRequestError: Names the reason, never the text.
        """
        if self._problem:
            raise InvalidRequestError(self._problem)
        if self._secret and self._secret.reveal().startswith("cfk_"):
            warnings.warn(
                "the token is a Global API Key, which may do everything;"
                " use an account token with the SSO connector permission",
                stacklevel=3,
            )

    async def secret(self, account_id: str) -> Secret:
        """
        Return the token of an account.

        Raises:
            InvalidRequestError: There is none, or it can't be a token.
        """
        if self._secret is not None:
            return self._secret
        secret, problem, cause = await self._look_up(account_id)
        if secret is None:
            raise InvalidRequestError(
                f"api_token for account {account_id or '(none)'} {problem}"
            ) from cause
        return secret

    @property
    def only_secret(self) -> Secret | None:
        """The token, if there is one for all accounts."""
        return self._secret

    @property
    def only_key(self) -> bytes | None:
        """What `key` returns, if there is one token for all accounts."""
        if self._digest is None and self._secret is not None:
            self._digest = _digest(self._secret)
        return self._digest

    async def key(self, account_id: str) -> bytes:
        """
        Return what tells the token of an account from others, and nothing else.

        It holds in this process only. Two accounts with one token have one key.

        Raises:
            InvalidRequestError: There is no token, or it can't be one.
        """
        return self.only_key or _digest(await self.secret(account_id))

    async def fingerprint(self, account_id: str) -> str:
        """
        Return 8 hex digits by which people tell the token of an account from others.

        They are the same everywhere and always, and tell nothing of the token.

        Raises:
            InvalidRequestError: There is no token, or it can't be one.
        """
        import hashlib

        secret = await self.secret(account_id)
        return hashlib.sha256(b"cfsso token " + secret.reveal().encode()).hexdigest()[:8]

    async def _look_up(self, account_id: str) -> tuple[Secret | None, str | None, Exception | None]:
        try:
            if isinstance(self._source, Mapping):
                if account_id not in self._source:
                    return None, "is missing: add it to the mapping", None
                return *_screen(self._source[account_id]), None
            found: Any = self._source(account_id)  # type: ignore[misc] # __init__ saw to it
            return *_screen(await found if inspect.isawaitable(found) else found), None
        except Exception as error:  # noqa: BLE001 - the caller's code may raise anything
            return None, f"could not be had: {type(error).__name__}", error


def _digest(secret: Secret) -> bytes:
    import hashlib

    return hashlib.blake2b(secret.reveal().encode(), key=_KEY).digest()


def _screen(text: Any) -> tuple[Secret | None, str | None]:
    """Return the token, or why *text* is none, without repeating it."""
    if not isinstance(text, str):
        return None, f"must be a str, not {type(text).__name__}"
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        return None, "is empty"
    if text.lower().startswith("bearer "):
        return None, "starts with 'Bearer ': give the token alone"
    problem = _problem(text)
    return (None, problem) if problem else (Secret(text), None)


def _problem(text: str) -> str:
    """Say why *text* is no token; nothing of it is repeated, and it may be one in disguise."""
    if "\n" in text or "\r" in text:
        return "has several lines: give the token alone, on one line"
    if _ASSIGNMENT.match(text):
        return "is a line of a .env file: give the value alone, without name, = and quotes"
    if text.startswith(_QUOTES) or text.endswith(_QUOTES):
        return "stands in quotes: give the token without them"
    if not _TOKEN.fullmatch(text):
        return "has a character that no token has (or more than 4096)"
    if _REFERENCE.match(text):
        return "is a reference or a placeholder: give the token itself, as its tool prints it"
    return ""
