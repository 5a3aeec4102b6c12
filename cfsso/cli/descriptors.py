"""As many file descriptors for this process as the system allows."""

from typing import Final

# More than any command needs, and little enough for what closes all of them.
_ENOUGH: Final = 8192


def raise_soft_limit() -> None:
    """Raise the limit of open files as far as this user may; never fails."""
    try:
        import resource
    except ImportError:
        return
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # macOS refuses what its kernel does not allow, whatever the hard limit says.
        pass
