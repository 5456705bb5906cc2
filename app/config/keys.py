"""What a setting is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from app.config.units import ANY, Kind

WITHOUT_EFFECT = "accepted, without effect here"


class Effect(Enum):
    USED = auto()
    IDLE = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    kind: Kind
    default: str | None = None
    meaning: str = ""
    effect: Effect = Effect.USED

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.name.split("."))


def idle(name: str, kind: Kind = ANY, why: str = "", default: str | None = None) -> Key:
    """It is checked, and named once in the log with the reason why it changes nothing here."""
    return Key(name, kind, default, f"{WITHOUT_EFFECT}: {why}" if why else WITHOUT_EFFECT, Effect.IDLE)


def refused(name: str, instead: str) -> Key:
    return Key(name, ANY, meaning=instead, effect=Effect.REFUSED)
