"""``cfsso emulator`` as a process of its own, for programs that are not ours."""

import contextlib
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ID: Final = "023e105f4ecef8ad9ca31a8372d0c353"
"""The account and the connector of every official suite and example."""

TOKEN: Final = "foreign-suite-0123456789abcdef0123456789"
"""The only token that serves `ID`."""

COMMAND: Final = Path(sysconfig.get_path("scripts"), "cfsso")
"""The installed command."""


def state(*connectors: dict[str, Any]) -> dict[str, Any]:
    """Return a state file's content: the account `ID` with *connectors*, and `TOKEN`."""
    return {"accounts": {ID: {"connectors": list(connectors)}}, "dns": {}, "tokens": {TOKEN: [ID]}}


def verified(sso_connector_id: str, email_domain: str) -> dict[str, Any]:
    """Return a connector that can be enabled and deleted."""
    code = f"cloudflare_dashboard_sso={'0' * 32}"
    verification = {"code": code, "status": "verified"}
    return {"id": sso_connector_id, "email_domain": email_domain, "verification": verification}


@contextlib.contextmanager
def emulator(content: dict[str, Any], *options: str) -> Iterator[str]:
    """Serve the state *content* until the block ends; yield the base URL."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "state.json")
        file.write_text(json.dumps(content))
        command = [str(COMMAND), "emulator", "--state", str(file), *options]
        # Nothing of the caller's: a coverage tool's hook or a token is not the command's matter.
        plain = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        with subprocess.Popen(  # noqa: S603 - it is ours
            [sys.executable, *command], env=plain, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout
                line = process.stdout.readline()
                assert line.startswith("listening on "), f"cfsso emulator said {line!r}"
                yield line.removeprefix("listening on ").strip()
            finally:
                process.terminate()
        # A clean stop is a part of what is tested.
        assert process.returncode == 0, f"cfsso emulator ended with {process.returncode}"
