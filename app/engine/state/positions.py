"""Where a task goes on in a source partition, from what group, changelog and log say of it (S4). No broker here."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

NONE = -1


class Trouble(StrEnum):
    """Why a worker stops instead of guessing."""

    CHANGED = "changed"  # the group's position is not the changelog's
    EXPIRED = "expired"  # the log begins behind the position
    BEYOND = "beyond"  # the log ends before the position


class Offsets(NamedTuple):
    """Of one source partition; NONE where there is no position. `end`: the offset that its next record gets."""

    task: str
    topic: str
    group: int
    changelog: int
    first: int
    end: int

    def position(self, reset: str) -> int:
        if self.changelog == NONE:
            return self.end if reset == "latest" else self.first
        return self.changelog

    @property
    def known(self) -> bool:
        """Neither has one before the very first transaction."""
        return (self.group, self.changelog) != (NONE, NONE)

    @property
    def trouble(self) -> Trouble | None:
        if self.group not in (NONE, self.changelog):
            return Trouble.CHANGED
        if not self.known or self.first <= self.changelog <= self.end:
            return None
        return Trouble.EXPIRED if self.changelog < self.first else Trouble.BEYOND

    @property
    def said(self) -> str:
        """The trouble in words, naming both numbers."""
        match self.trouble:
            case Trouble.CHANGED:
                there = f"the changelog of {self.task} has {'none' if self.changelog == NONE else self.changelog}"
                both = f"the group's position is {self.group}, {there}"
                return f"{self.topic}: {both}; one of them was changed from outside (iopt offsets accept)"
            case Trouble.EXPIRED:
                lost = f"{self.first - self.changelog} records from {self.changelog} on are gone from the log"
                return f"{self.topic} of {self.task}: {lost} (iopt offsets accept-loss)"
            case Trouble.BEYOND:
                both = f"the position is {self.changelog} and the log ends at {self.end}"
                return f"{self.topic} of {self.task}: {both}; was it made anew?"
            case None:
                return ""
