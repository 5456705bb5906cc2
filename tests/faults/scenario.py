"""Records of every kind, drawn from a seed: the same for the driver and for Kafka."""

from __future__ import annotations

import random
from typing import NamedTuple

import msgspec

from app.engine.processor import Processor
from app.wire.topics import Topic
from tests.support.kafka import Written
from tests.support.toy import Addition, Limit, noting, reading, toy

CALM = ["add"] * 14 + ["refuse", "delete"]
ROUGH = [*CALM, "break"]
STRETCH = 1_000  # records: calm and rough stretches in turn, so that batches are long and short
NAMES, NOTED = 200, 50
ALARM_MS = 300


class Sent(NamedTuple):
    topic: str
    record: Written


class Foreign(NamedTuple):
    """One transaction of somebody else."""

    records: list[Sent]
    commits: bool


class Scenario:
    """Per key one writer, so that each key's order is known. `records` are those that are to be seen."""

    def __init__(self, prefix: str, seed: int) -> None:
        self.row, self.seed = toy(prefix), seed
        self.notes = noting(prefix, self.row.additions)
        self._dice, self._foreign_dice = random.Random(seed), random.Random(seed + 1)
        self._made, self._opened = 0, 0
        self.records: list[Sent] = []

    def widen(self, topic: str) -> None:
        """The row reads one topic more."""
        self.row = self.row._replace(processor=reading(self.row.processor, topic))

    @property
    def processors(self) -> list[Processor]:
        return [self.row.processor, self.notes.processor]

    @property
    def sources(self) -> dict[str, Topic]:
        """By name."""
        found = [source for processor in self.processors for source in processor.sources]
        return {source.name: source for source in found if isinstance(source, Topic)}

    def limits(self) -> list[Written]:
        """Of every other account that notes are written for."""
        return [Written(f"n-{n}", encoded(Limit(500))) for n in range(0, NOTED, 2)]

    def more(self, count: int) -> list[Sent]:
        """The caller writes them, in this order."""
        fresh = [self._one() for _ in range(count)]
        self.records += fresh
        return fresh

    def transaction(self) -> Foreign:
        """Accounts that nobody else writes to; an aborted one would show in their totals."""
        dice, self._opened = self._foreign_dice, self._opened + 1
        fresh = [self._addition(Addition(f"t-{dice.randrange(20)}", self._opened)) for _ in range(dice.randint(1, 20))]
        return Foreign(fresh, commits=dice.random() < 0.7)

    def seen(self, *sent: Sent) -> None:
        """Written by the schedule itself, or committed by a foreign transaction."""
        self.records += sent

    def add(self, *additions: Addition) -> list[Sent]:
        """The caller writes them."""
        made = [self._addition(addition) for addition in additions]
        self.records += made
        return made

    def _one(self) -> Sent:
        self._made += 1
        number, kind = self._made, self._dice.random()
        if kind < 0.02:
            return Sent(self.row.additions.name, Written(f"a-{number % NAMES}", b"{"))
        if kind < 0.04:
            return Sent(self.row.additions.name, Written("wrong", encoded(Addition(f"misplaced-{number}", 1))))
        if kind < 0.08:
            return self._addition(Addition(f"timed-{number}", 1, ALARM_MS))
        if kind < 0.14:
            note = Addition(f"n-{self._dice.randrange(NOTED)}", self._dice.randrange(600))
            return Sent(self.notes.notes.name, Written(note.account, encoded(note)))
        rough = number // STRETCH % 2 == 1
        if rough and kind < 0.15:  # an account of its own: the next state of the key would make it storable again
            return self._addition(Addition(f"unstorable-{number}", 1, act="unstorable"))
        act = self._dice.choice(ROUGH if rough else CALM)
        return self._addition(Addition(f"a-{self._dice.randrange(NAMES)}", number, act=act))

    def _addition(self, addition: Addition) -> Sent:
        return Sent(self.row.additions.name, Written(addition.account, encoded(addition)))


def encoded(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value)
