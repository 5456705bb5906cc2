"""Every topic, once: its name, what its key is, what it carries, who writes it, how it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

Headers = Sequence[tuple[str, bytes]]

DAY_MS = 86_400_000


class Cleanup(StrEnum):
    DELETE = "delete"
    COMPACT = "compact"
    THEIRS = "theirs"  # a foreign topic: never created, never altered


class Envelope(NamedTuple):
    """What an out says about itself beside its value."""

    id: str
    subject: str
    now_ms: int


class Codec(Protocol):
    """Value and headers of one record, both ways."""

    def decode(self, value: bytes | None, headers: Headers) -> Any:
        """Raises Undecodable, Invalid or PassedOver."""

    def encode(self, value: Any, envelope: Envelope) -> tuple[bytes, list[tuple[str, bytes]]]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Topic:
    name: str
    codec: Codec = field(repr=False)
    key: str = ""  # what the Kafka key is, in words
    key_of: Callable[[Any], str] | None = None  # the key that the body names; None: the body names none
    writers: str = ""
    cleanup: Cleanup = Cleanup.DELETE
    retention_ms: int = 7 * DAY_MS
    log_append_time: bool = False  # others write to it: its time is the broker's

    @property
    def owned(self) -> bool:
        return self.cleanup is not Cleanup.THEIRS
