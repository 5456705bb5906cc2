"""The parts by family and name, and what became of them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec import Struct

from . import forks
from .events import log
from .part import Part

Key = tuple[str, str]


class RegistryEvent(Struct, frozen=True):
    """`type`: ADDED, REPLACED or REMOVED."""

    type: str
    family: str
    name: str


class Registry:
    """Thread-safe. A call that is under way keeps the parts with which it began."""

    def __init__(self) -> None:
        self._parts: dict[Key, Part] = {}
        self._subscribers: tuple[Callable[[RegistryEvent], None], ...] = ()
        self.forked()
        forks.keep(self)

    def forked(self) -> None:
        self._lock = threading.Lock()

    def get(self, family: str, name: str) -> Part | None:
        return self._parts.get((family, name))

    def all(self, family: str | None = None) -> list[Part]:
        with self._lock:
            return [part for (of, _), part in self._parts.items() if family in (None, of)]

    def put(self, part: Part) -> None:
        """In the place of one of the same family and name."""
        key = part.kind, part.name
        with self._lock:
            type_ = "REPLACED" if key in self._parts else "ADDED"
            self._parts[key] = part
        self._tell(RegistryEvent(type_, *key))

    def remove(self, family: str, name: str) -> Part | None:
        """From now on that family takes no part in the calls of this name."""
        with self._lock:
            part = self._parts.pop((family, name), None)
        if part is not None:
            self._tell(RegistryEvent("REMOVED", family, name))
        return part

    def on_event(self, subscriber: Callable[[RegistryEvent], None]) -> Callable[[], None]:
        """Called in the thread of the change. What comes back ends the subscription."""
        with self._lock:
            self._subscribers = (*self._subscribers, subscriber)
        return lambda: self._forget(subscriber)

    def _forget(self, subscriber: Callable[[RegistryEvent], None]) -> None:
        with self._lock:
            self._subscribers = tuple(each for each in self._subscribers if each is not subscriber)

    def _tell(self, event: RegistryEvent) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:  # noqa: BLE001  # whatever it raises, no call fails
                log.exception("a subscriber of the registry failed")
