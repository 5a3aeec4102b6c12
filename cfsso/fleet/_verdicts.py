"""What an error says of whom: of a token, or of the way to the API."""

from typing import Final

from cfsso.errors import AuthenticationError, CfssoError

_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = 500


def is_token_refused(error: CfssoError | None) -> bool:
    """Whether the API refused the token; a 401 of a proxy says nothing of it."""
    return isinstance(error, AuthenticationError) and not error.edge


def is_turned_away(error: CfssoError) -> bool:
    """Whether Cloudflare's edge or a proxy let nothing through: neither a limit nor an outage."""
    status = error.status or 0
    return error.edge and 0 < status < _SERVER_ERRORS and status != _TOO_MANY
