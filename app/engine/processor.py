"""The seam between what is decided and how it is run.

A processor is a plain function over one record. The worker runs it in batches, exactly once;
the driver runs it in memory, under a clock of its own. It cannot tell which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from app.wire.topics import Sources, Topic

S = TypeVar("S")
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])


def never(_state: Any) -> int | None:
    return None


def unmarked(_state: Any) -> int:
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class Table(Generic[S]):
    """A changelogged table: one state a key, stored as `format u8 | flags u8 | due_ms i64 | msgpack`.

    `id` is on disk and never reused. `due` is the earliest instant the state itself knows, None
    if there is none. `mark` is a number from 0 to 15, kept in the flags: states are counted by it
    without being decoded; `marks` names them.
    """

    name: str
    id: int
    state: type[S]
    format: int = 1
    due: Callable[[S], int | None] = field(default=never, repr=False)
    mark: Callable[[S], int] = field(default=unmarked, repr=False)
    marks: tuple[str, ...] = ("",)


class Record(msgspec.Struct, frozen=True, gc=False):
    """Where a value came from and when. Instants are ms since the epoch.

    `at_ms` is when it happened (never later than five seconds after `now_ms`), `now_ms` when the
    task decides: what timeouts count from. For a `Due`, `offset` is -1.
    """

    key: str
    at_ms: int
    now_ms: int
    topic: str = ""
    partition: int = 0
    offset: int = -1
    trace: bytes | None = None  # its context, as a W3C traceparent

    @property
    def place(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Due(NamedTuple):
    """The value that a processor with `timers=True` gets when its state's due has come."""

    due_ms: int


class Out(msgspec.Struct, frozen=True, gc=False):
    """One record to send. Without an id it gets one derived from the record that caused it. No value: a tombstone.

    `trace` is the context that it gets where that record had none, `subject` what it is about, where
    its key does not say it.
    """

    to: Topic
    key: str
    value: Any
    id: str = ""
    trace: bytes | None = None
    subject: str = ""


class Reading(Protocol[V_co]):
    """What a processor sees of a view."""

    def get(self, key: str) -> V_co | None:
        """None once it is certain that there is none; raises NotYet before."""

    def __getitem__(self, key: str) -> V_co:
        """Raises Rejected where `get` gives None."""


@dataclass(frozen=True, slots=True, eq=False)
class View(Generic[V]):
    """A read-only input, declared: the content of a compacted topic, or settings (`topic` None)."""

    name: str
    topic: Topic | None = None


Source = Topic | Sources
Change = tuple[S | None, Iterable[Out]]  # None: there is no state, or no longer


@dataclass(frozen=True, slots=True, eq=False)
class Processor:
    run: Callable[..., Any]
    sources: tuple[Source, ...]
    keeps: Table[Any] | None
    reads: tuple[View[Any], ...]
    row: str
    timers: bool
    first: bool = False

    @property
    def name(self) -> str:
        return f"{self.run.__module__}.{self.run.__name__}"


PROCESSORS: list[Processor] = []


def processor(
    *sources: Source,
    row: str,
    keeps: Table[Any] | None = None,
    reads: tuple[View[Any], ...] = (),
    timers: bool = False,
    first: bool = False,
) -> Callable[[F], F]:
    """Register the function as the one reader of its sources.

    With `keeps` it is `(state | None, value, record, *readings) -> (state | None, outs)`; without,
    `(value, record, *readings) -> outs`. `row` names the sub-topology: it is part of the names of
    the changelog and of the stores, so a rename is a migration. Exactly one processor of a table
    with a `due` has `timers=True`; its value may then be a `Due`. What a processor with `first=True` reads is taken
    before what others of its row read, where both have records (R8).
    """

    def register(run: F) -> F:
        PROCESSORS.append(Processor(run, sources, keeps, reads, row, timers, first))
        return run

    return register
