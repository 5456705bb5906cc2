"""A service that takes commands: its topic, and the breaker that its answers count for."""

from __future__ import annotations

from msgspec import Struct


class Participant(Struct, frozen=True, gc=False):
    commands: str
    breaker: str


def usual(name: str) -> Participant:
    """What a participant is that no setting speaks of."""
    return Participant(f"{name}.commands", name)
