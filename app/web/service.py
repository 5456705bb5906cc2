"""What HTTP asks of the worker behind it. States that are read are committed, and of this worker's own tasks only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from app.domain.breakers.breaker import Policy
from app.domain.breakers.calls import BreakerAct
from app.domain.breakers.scopes import Scopes
from app.engine.processor import Table
from app.engine.tail import Seen
from app.wire.topics import Topic

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


class NotNow(Exception):
    """A state of this worker that cannot be read at this moment; the message names the task and says why."""


class Page(NamedTuple, Generic[S]):
    """In order of key. `more`: there are further ones after the last."""

    items: Sequence[tuple[str, S]]
    more: bool
    as_of_at: int


class Keepers(NamedTuple):
    """`others` have tasks of a table: their HTTP addresses by instance id, "" where there is none. `waiting`: tasks
    that nobody has, or that are not ready here.
    """

    others: Mapping[str, str]
    waiting: Sequence[str]


class Door(NamedTuple):
    """What HTTP is bound to, and the token that changes need; "" where none is set."""

    host: str = "127.0.0.1"
    token: str = ""


class NotSent(Exception):
    """Kafka did not take a record."""


class Service(Protocol):
    def health(self) -> Health: ...

    def info(self) -> Mapping[str, Any]: ...

    def door(self) -> Door: ...

    def now_ms(self) -> int: ...

    def policy(self, breaker: str) -> Policy: ...

    def scopes(self, service: str) -> Scopes: ...

    def instances(self, family: str) -> Sequence[str]:
        """The names that `resilience4j.<family>.instances` has."""

    def read(self, table: Table[S], key: str) -> Stored[S] | Elsewhere | Restoring:
        """Raises NotNow."""

    def scan(self, table: Table[S], prefix: str, after: str, limit: int, mark: int | None) -> Page[S]:
        """States whose key begins with `prefix` and comes after `after`; with `mark` only those that bear it.

        Raises NotNow.
        """

    def tally(self, table: Table[Any]) -> Mapping[str, int]:
        """How many states bear each mark, by its name."""

    def keepers(self, table: Table[Any]) -> Keepers: ...

    async def act(self, act: BreakerAct) -> None:
        """Returns once Kafka has it. Raises NotSent."""

    async def newest(self, topic: Topic, key: str | None, wanted: Callable[[Seen], bool], most: int) -> Sequence[Seen]:
        """The newest records that are wanted, of one key or of all, each partition's in order. It gives up early."""

    def following(self, hand: Callable[[Seen], None]) -> AbstractAsyncContextManager[None]:
        """While it is entered, every new call outcome and every transition is handed on."""
