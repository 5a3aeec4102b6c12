"""The token file: one token, or one for each account."""

import json
import os
import stat
from collections.abc import Callable, Mapping
from typing import Any, Final

from cfsso import InvalidRequestError, _checks
from cfsso.cli import named_files
from cfsso.transports.credentials import Credentials

# The longest file of one token, and of many.
_MOST: Final = 64 * 1024
_MOST_OF_MANY: Final = 64 * 1024 * 1024
_READABLE_BY_OTHERS: Final = 0o044
_BOM: Final = b"\xef\xbb\xbf"


def read_tokens(path: str, warn: Callable[[str], object]) -> str | Mapping[str, str]:
    """
    Return what stands in a token file.

    That is a token, which may end in one line break, or a JSON object whose keys are
    account ids and whose values are their tokens.

    Args:
        path: Where it is; ``-`` is stdin.
        warn: Is told if others can read the file.

    Raises:
        InvalidRequestError: The file can't be read, or its JSON can't be used; the
            message names the account, and never a token.
    """
    tokens, problem = _read(path, warn)
    if problem:
        raise InvalidRequestError(f"--token-file {path}: {problem}")
    return tokens


def _read(path: str, warn: Callable[[str], object]) -> tuple[str | Mapping[str, str], str]:
    """Return what is there, or why it can't be used: no frame of a refusal holds a token."""
    try:
        if path == named_files.STANDARD:
            content, mode = named_files.read(path, "--token-file"), 0
        else:
            content, mode = _of_file(path)
    except OSError as error:
        return "", error.strerror or "can't be read"
    except ValueError:
        return "", "no name of a file"
    if os.name == "posix" and stat.S_ISREG(mode) and mode & _READABLE_BY_OTHERS:
        warn(f"others can read {path}: chmod 600 it")
    if _is_json(content):
        return _by_account(content)
    # Latin-1 takes any byte; that a token has none of the odd ones is checked later.
    return content.decode("latin-1").removesuffix("\n").removesuffix("\r"), ""


def _of_file(path: str) -> tuple[bytes, int]:
    """Return what a file holds, which may be a pipe and is read once, and its mode."""
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib would cost import time
        mode = os.fstat(file.fileno()).st_mode
        content = file.read(_MOST).removeprefix(_BOM)
        content += file.read(_MOST_OF_MANY) if _is_json(content) else b""
    return content, mode


def _is_json(content: bytes) -> bool:
    return content.lstrip().startswith(b"{")


def _by_account(content: bytes) -> tuple[Mapping[str, str], str]:
    """Return the tokens, or why there are none: nothing of what stands there is repeated."""
    try:
        members: list[tuple[Any, Any]] = json.loads(content, object_pairs_hook=list)
    except UnicodeDecodeError:
        return {}, "not UTF-8: save it as UTF-8"
    except json.JSONDecodeError as error:
        return {}, f"no JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):
        return {}, "no JSON object of account ids and tokens"
    tokens: dict[str, str] = {}
    for number, (account_id, token) in enumerate(members, 1):
        problem = _problem(account_id, token, number)
        if problem is None and account_id in tokens:
            problem = f"account {account_id} stands twice"
        if problem:
            return {}, problem
        tokens[account_id] = token
    return tokens, "" if tokens else "no accounts: give a token for each account id"


def _problem(account_id: str, token: Any, number: int) -> str | None:
    try:
        _checks.identifier("account_id", account_id, None)
    except InvalidRequestError:
        # What is no id may be a token in the wrong place.
        return f"member {number}: the key must be an account id of 32 letters and digits"
    name = f"the token of account {account_id}"
    if not isinstance(token, str):
        # Not to be said by its type: a nested object is a list here.
        return f"{name} must be a text"
    try:
        Credentials(token, name).check()
    except InvalidRequestError as error:
        return str(error)
    return None
