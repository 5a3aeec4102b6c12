"""Tokens that are revoked, come back, or are replaced by new ones."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cfsso import CloudflareEmulator


class Keys:
    """
    Which token serves which accounts, and with which text it is presented now.

    A process has the texts of its beginning: one that is renewed afterwards is for the next.

    Attributes:
        served: The accounts of each token, by its name.
    """

    def __init__(self, cloud: "CloudflareEmulator", served: Mapping[str, list[str]]) -> None:
        self.served = served
        self._cloud = cloud
        self._texts = {name: name for name in served}
        self._revoked: set[str] = set()
        for name in served:
            self._issue(name)

    def held(self) -> Mapping[str, str]:
        """Return the texts of now, by the name of the token."""
        return dict(self._texts)

    def is_revoked(self, name: str) -> bool:
        """Whether whoever begins now is refused."""
        return name in self._revoked

    def revoke(self, name: str) -> None:
        """From now on a token is refused."""
        self._revoked.add(name)
        self._cloud.add_token(self._texts[name], self.served[name], status="disabled")

    def restore(self) -> None:
        """Let those that were revoked be good again."""
        for name in self._revoked:
            self._issue(name)
        self._revoked.clear()

    def renew(self) -> bool:
        """Have new ones in place of those that were revoked; return whether there were any."""
        names = sorted(self._revoked)
        for name in names:
            self._texts[name] += "-new"
            self._issue(name)
        self._revoked.clear()
        return bool(names)

    def _issue(self, name: str) -> None:
        self._cloud.add_token(self._texts[name], self.served[name])
