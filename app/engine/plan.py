"""What a worker runs, and with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.engine.committer import Pace
from app.engine.processor import Processor, View
from app.wire.topics import Sources, Topic


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`needs`: topics that the processors write. Times in s or ms as their names say."""

    bootstrap: str
    group: str
    processors: Sequence[Processor]
    data: Path
    named: Mapping[Sources, Sequence[Topic]] = field(default_factory=dict)
    settings: Mapping[View[Any], Callable[[str], Any]] = field(default_factory=dict)
    needs: Sequence[Topic] = ()  # beside what the processors read: what they write
    partitions: int = 4
    dead_letter_partitions: int = 4
    replication: int = -1
    reset: str = "earliest"
    session_s: float = 10.0
    transaction_ms: int = 10_000
    timer_wait_s: float = 60.0
    pace: Pace = field(default_factory=Pace)
    cache_bytes: int = 256 << 20
    source: str = "/iopt/local"
    version: str = ""
    host: str = "127.0.0.1"
    port: int | None = None  # of slot 0; None: no HTTP
    port_is_fixed: bool = False
    leave: bool = False  # the group at the end, instead of coming back within the session
