"""What a processor sees of a view when nothing about it is uncertain: settings, and everything in the driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from app.domain.errors import Rejected

V = TypeVar("V")


class Complete(Generic[V]):
    """`look` may be exchanged between two records."""

    def __init__(self, name: str, look: Callable[[str], V | None]) -> None:
        self.name, self.look = name, look

    def get(self, key: str) -> V | None:
        return self.look(key)

    def __getitem__(self, key: str) -> V:
        found = self.look(key)
        if found is None:
            raise Rejected(f"{self.name} has no {key!r}")
        return found
