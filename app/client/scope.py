"""Who calls, and what a call is about within its service: an operation, an instance, neither."""

from __future__ import annotations

import os
import secrets
import socket
from typing import NamedTuple


class Who(NamedTuple):
    """A service that calls others, and the process of it that does. No two processes share a `client`."""

    caller: str
    client: str

    @classmethod
    def of(cls, caller: str) -> Who:
        """With an id that no other process has had."""
        return cls(caller, f"{caller}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}")

    def forked(self) -> Who:
        """Of a child of that process."""
        return Who(self.caller, f"{self.client}-{os.getpid()}-{secrets.token_hex(4)}")


class Scope(NamedTuple):
    service: str
    operation: str | None = None
    instance: str | None = None

    def breakers(self, caller: str) -> list[str]:
        """Names of the breakers that may be narrower than the service's (contract 4.2)."""
        narrower = (("op", self.operation), ("instance", self.instance), ("from", caller))
        return [f"{self.service}:{word}:{value}" for word, value in narrower if value]
