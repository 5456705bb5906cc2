"""A saga definition, as data (contract 8), in its long form. Its canonical JSON is itself a definition.

Durations are whole milliseconds under the names that people write (`timeout`, `deadline`).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct, field

from ..retry import DAY_MS, RetryPolicy

TIMEOUT_MS = 30_000
DEADLINE_MS = DAY_MS
RETENTION_MS = 7 * DAY_MS


class Trigger(Struct, frozen=True, gc=False):
    topic: str
    type: str


class Beginning(Struct, frozen=True):
    """`key`: where the business key stands in the event's data, a field or `$.path`."""

    on: tuple[Trigger, ...]
    key: str


class Named(Struct, frozen=True, gc=False):
    name: str


class Step(Struct, frozen=True, omit_defaults=True, kw_only=True):
    step: str
    to: str
    do: Named
    undo: Named | None = None
    query: Named | None = None
    data: dict[str, Any] | None = None
    timeout_ms: int = field(default=TIMEOUT_MS, name="timeout")
    deadline_ms: int | None = field(default=None, name="deadline")
    retry: RetryPolicy | None = None
    undo_timeout_ms: int | None = field(default=None, name="undo_timeout")
    undo_retry: RetryPolicy | None = None

    def command(self, action: str) -> str:
        named = {"do": self.do, "undo": self.undo, "query": self.query}[action]
        assert named is not None, f"{self.step} has no {action}"
        return named.name


class Emit(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is sent at the end. Without topic and key: those of the start record."""

    type: str
    topic: str | None = None
    key: str | None = None
    data: dict[str, Any] | None = None


class Definition(Struct, frozen=True, omit_defaults=True, kw_only=True):
    saga: str
    version: int
    start: Beginning
    steps: tuple[Step, ...]
    deadline_ms: int = field(default=DEADLINE_MS, name="deadline")
    retention_ms: int = field(default=RETENTION_MS, name="retention")
    keep_data: bool = False
    on_completed: Emit | None = None
    on_compensated: Emit | None = None

    @property
    def id(self) -> str:
        return definition_id(self.saga, self.version)


def definition_id(saga: str, version: int) -> str:
    return f"{saga}/{version}"


def canonical(definition: Definition) -> bytes:
    """Equal definitions have equal bytes, however they were written; defaults are left out."""
    return msgspec.json.encode(_without_defaults(definition), order="sorted")


def _without_defaults(value: Any) -> Any:
    """By equality: msgspec's own `omit_defaults` goes by identity, so 30000 may or may not be left out."""
    match value:
        case Struct():
            found = ((each, getattr(value, each.name)) for each in msgspec.structs.fields(value))
            return {each.encode_name: _without_defaults(held) for each, held in found if held != each.default}
        case tuple():
            return [_without_defaults(each) for each in value]
    return value


def fingerprint(definition: Definition) -> str:
    return sha256(canonical(definition)).hexdigest()
