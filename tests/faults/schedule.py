"""A schedule is a plain function with a name, a bound in seconds and the broker that it wants."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, NamedTuple, Protocol

from deploy.kafka.broker import Broker
from deploy.kafka.kit import KAFKA_4, Release
from tests.faults import schedules

if TYPE_CHECKING:
    from tests.faults.trial import Trial


class Brokers(Protocol):
    """One broker, or several."""

    @property
    def bootstrap(self) -> str: ...


@contextmanager
def one_broker(directory: Path, release: Release = KAFKA_4) -> Iterator[Broker]:
    broker = Broker(directory, release=release)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


class Schedule(NamedTuple):
    """`bound_s`: a schedule that takes longer hangs, and has failed."""

    name: str
    kind: str
    does: Callable[[Trial], None]
    bound_s: float
    brokers: Callable[[Path], AbstractContextManager[Brokers]] = one_broker

    @property
    def what(self) -> str:
        return " ".join(inspect.getdoc(self.does).split())  # type: ignore[union-attr]  # without one it is not a schedule


_found: dict[str, Schedule] = {}


def schedule(
    bound_s: float, brokers: Callable[[Path], AbstractContextManager[Brokers]] = one_broker
) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """The docstring says in the table what is done. Ends in `trial.settle()`, or in what shows a refusal."""

    def register(does: Callable[[Trial], None]) -> Callable[[Trial], None]:
        assert does.__doc__, f"{does.__name__} does not say what it does"
        kind = does.__module__.rpartition(".")[2]
        _found[does.__name__] = Schedule(does.__name__, kind, does, bound_s, brokers)
        return does

    return register


def all_of(module: str) -> list[Schedule]:
    """Of one that is imported."""
    return [one for one in _found.values() if one.does.__module__ == module]


def all_schedules() -> dict[str, Schedule]:
    """By name, in the order of files and of lines."""
    for module in iter_modules(schedules.__path__):
        import_module(f"{schedules.__name__}.{module.name}")
    return _found
