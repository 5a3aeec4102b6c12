"""Cloudflare in memory; `cfsso.emulator.http` puts it behind a port."""

from cfsso.emulator.cloud import CloudflareEmulator
from cfsso.emulator.log import LoggedRequest

__all__ = ["CloudflareEmulator", "LoggedRequest"]
