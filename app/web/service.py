"""What HTTP asks of the worker behind it. Everything read is committed, and of this worker's own tasks only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from app.domain.breaker import Policy
from app.engine.processor import Table

S = TypeVar("S")


class Status(StrEnum):
    """Spring's, the worst first."""

    DOWN = "DOWN"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"
    UP = "UP"
    UNKNOWN = "UNKNOWN"


class Component(NamedTuple):
    status: Status
    details: Mapping[str, Any] = {}


class Health(NamedTuple):
    """`liveness`: partitions make progress. `readiness`: joined, views read, nothing restoring for long (H1)."""

    components: Mapping[str, Component]
    liveness: Component
    readiness: Component


class Stored(NamedTuple, Generic[S]):
    """`as_of_at` is when the newest commit was made that the value shows."""

    value: S | None
    as_of_at: int


class Elsewhere(NamedTuple):
    """The key belongs to a task of another worker; `owner` is its HTTP address where that is known."""

    owner: str | None = None


class Restoring(NamedTuple):
    """The key belongs to a task of this worker that is not ready."""


class Page(NamedTuple, Generic[S]):
    """In order of key. `more`: there are further ones after the last."""

    items: Sequence[tuple[str, S]]
    more: bool
    as_of_at: int


class Service(Protocol):
    def health(self) -> Health: ...

    def info(self) -> Mapping[str, Any]: ...

    def policy(self, service: str) -> Policy:
        """Of the breaker: the service's own, or the one that holds for all."""

    def read(self, table: Table[S], key: str) -> Stored[S] | Elsewhere | Restoring: ...

    def scan(self, table: Table[S], prefix: str, after: str, limit: int, mark: int | None) -> Page[S]:
        """States whose key begins with `prefix` and comes after `after`; with `mark` only those that bear it."""

    def tally(self, table: Table[Any]) -> Mapping[str, int]:
        """How many states bear each mark, by its name."""
