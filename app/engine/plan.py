"""What a worker runs, and with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from socket import gethostname
from typing import Any
from urllib.parse import urlsplit

from app.config.security import OPEN, Security
from app.engine.broker.access import Access
from app.engine.processor import Processor, View
from app.engine.transactions.committer import Pace
from app.wire.topics import Sources, Topic

ANY = ("0.0.0.0", "::")  # noqa: S104  not bound to, but compared with


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`needs`: topics that the processors write. Times in s or ms as their names say."""

    bootstrap: str
    group: str
    processors: Sequence[Processor]
    data: Path
    security: Security = OPEN
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
    advertised: str = ""  # URL under which other workers reach this one; without a port its own is meant
    leave: bool = False  # the group at the end, instead of coming back within the session

    @property
    def access(self) -> Access:
        return Access(self.bootstrap, self.security)


def advertised(url: str, host: str, port: int) -> str:
    """`url` as it was set, else where HTTP is bound; a host that means all of them is this host's name."""
    if url:
        return url if urlsplit(url).port else f"{url}:{port}"
    name = gethostname() if host in ANY else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
