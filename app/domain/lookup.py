"""What rules read beside their state: definitions, policies, settings."""

from __future__ import annotations

from typing import Protocol, TypeVar

V_co = TypeVar("V_co", covariant=True)


class Lookup(Protocol[V_co]):
    def get(self, key: str) -> V_co | None: ...

    def __getitem__(self, key: str) -> V_co:
        """Raises Rejected."""
