"""What became of a single command."""

from collections.abc import Callable

import attrs

import cfsso
from cfsso.cli.options import Settings
from cfsso.fleet import OutcomeStatus


@attrs.frozen
class Target:
    """
    What a command is about.

    Attributes:
        account_id: As it was given.
        sso_connector_id: ``None``: the account, or a connector that has no id yet.
        command:
            Makes a command of its words that reaches the same server with the same token:
            `Settings.command` of the settings that it was reached with.
    """

    account_id: str
    sso_connector_id: str | None = None
    command: Callable[..., str] = attrs.field(factory=lambda: Settings().command, eq=False)

    @property
    def list(self) -> str:
        """The command that lists its account."""
        return self.command("list", self.account_id)

    @property
    def look(self) -> str:
        """The command that shows its present state."""
        if self.sso_connector_id is None:
            return self.list
        return self.command("get", self.account_id, self.sso_connector_id)


@attrs.frozen(kw_only=True)
class Result:
    """
    How a single command ended.

    Attributes:
        target: What it was about.
        status: One of the words that a run's outcomes have.
        connector: As it was read last. ``None``: it was not, or is gone.
        error: What went wrong. ``None``: nothing did.
        note: What there is to say besides; empty if nothing.
    """

    target: Target
    status: OutcomeStatus
    connector: cfsso.SSOConnector | None = None
    error: cfsso.CfssoError | None = None
    note: str = ""
