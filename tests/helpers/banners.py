"""The lines by which the command says that it is not Cloudflare that it reaches."""

import re

_LINE = re.compile(r"^(?:EMULATED: |using http).*\r?\n", re.MULTILINE)


def lines_of(text: str) -> list[str]:
    """Return these lines of what stood on stderr, without their ends."""
    return [line.rstrip("\r\n") for line in _LINE.findall(text)]


def without(text: str) -> str:
    """Return all other lines."""
    return _LINE.sub("", text)
