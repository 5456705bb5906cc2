"""One task of the toy row over a memory store, without a worker around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter
from typing import Any

import msgspec

from app.engine.broker.limits import UNKNOWN, Limits
from app.engine.driver import EPOCH_MS, Driver, Sent
from app.engine.processor import Processor, Reading, View
from app.engine.state.store import MemoryStore, Write
from app.engine.tasks.lane import Encoded, Runtime
from app.engine.tasks.task import Task
from app.engine.topology import build
from app.wire.partition import partition
from tests.support.toy import Addition, toy

TOY = toy("unit.")


class Bench:
    """What it sends is kept in `sent`."""

    def __init__(
        self,
        processor: Processor = TOY.processor,
        readings: Mapping[View[Any], Reading[Any]] | None = None,
        cache_bytes: int = 1 << 20,
        limits: Limits = UNKNOWN,
    ) -> None:
        self.sent: list[Encoded] = []
        self.complaints: list[str] = []
        self.store = MemoryStore()
        runtime = Runtime(
            _Four(),
            lambda out, _: self.sent.append(out),
            readings or {},
            self._complain,
            lambda: EPOCH_MS,
            limits=limits,
        )
        (sub,) = build([processor], {}).values()
        self.task = Task(sub, 0, self.store, runtime, cache_bytes)
        self.topic = next(iter(sub.readers))
        self.task.start({self.topic: 0})

    def _complain(self, event: str, **_: Any) -> None:
        self.complaints.append(event)

    def process(self, records: Sequence[Sent], begin: int = 0, now_ms: int = EPOCH_MS, seconds: float = 60) -> int:
        return self.task.process(self.topic, records, begin, now_ms, perf_counter() + seconds)

    def commit(self) -> Write:
        write = self.task.snapshot().write
        self.store.write(write)
        self.task.wrote(write)
        return write

    def rewind(self) -> int:
        self.sent.clear()
        self.task.rewind()
        return self.task.positions[self.topic]


class _Four(dict[str, int]):
    def get(self, topic: str, _default: Any = None) -> Any:
        return None if topic.endswith("gone") else 4


def driver(*, careful: bool = False) -> Driver:
    return Driver([TOY.processor], careful=careful)


def sums(of: Driver) -> list[tuple[str, Any]]:
    return of.outputs(TOY.sums)


def letters(of: Driver) -> list[tuple[bytes | None, str, int]]:
    return [(letter.key, letter.reason, letter.attempts) for letter in of.dead(TOY.additions)]


def keys(count: int) -> list[str]:
    """Of partition 0."""
    return [key for key in (f"k-{n}" for n in range(20 * count)) if partition(key.encode(), 4) == 0][:count]


def records(additions: Iterable[Addition], first: int = 0, timestamp: int = EPOCH_MS) -> list[Sent]:
    return [
        Sent(first + n, timestamp, addition.account.encode(), msgspec.json.encode(addition))
        for n, addition in enumerate(additions)
    ]


A, B, C = keys(3)
