"""How far each source partition is, and since when it stands: measured against the log's own ends (H1).

Asked of the leaders and not of the consumer, which may be what stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka.structs import TopicPartition

from app.engine.broker.ends import Bounds
from app.engine.group.owned import Owned

Sight = Callable[[TopicPartition], tuple[int, Any] | None]  # (position, Seen) as the consumer has it


class Stand(NamedTuple):
    """`reached` is committed, or past what holds no records; `since` is on the monotonic clock."""

    reached: int
    lag: int  # offsets up to the stable one
    since: float


class Progress:
    def __init__(self) -> None:
        self.stands: dict[TopicPartition, Stand] = {}
        self._hidden: dict[TopicPartition, tuple[int, float]] = {}  # where an open transaction begins, and since when

    def measure(
        self, tasks: Iterable[Owned], bounds: Mapping[TopicPartition, Bounds], sight: Sight, now: float
    ) -> None:
        """A partition that has nothing to read, or is held on purpose, stands from now on."""
        fresh = {}
        for owned in tasks:
            for at in owned.sources:
                if at not in bounds:
                    continue
                reached, before = _reached(owned, at, sight), self.stands.get(at)
                lag = max(0, bounds[at].stable - reached)
                stays = before is not None and before.reached == reached and lag and owned.reading
                fresh[at] = Stand(reached, lag, before.since if before is not None and stays else now)
        self.stands = fresh

    def excuse(self, now: float) -> None:
        """Nobody could have moved: a broker is away, or the group shares out its tasks."""
        self.stands = {at: stand._replace(since=now) for at, stand in self.stands.items()}

    def note_hidden(self, bounds: Mapping[TopicPartition, Bounds], now: float) -> None:
        """The same transaction while the stable offset stays: a busy partition always has one open, and moves on."""
        before, self._hidden = self._hidden, {}
        for at, (_, stable, end) in bounds.items():
            if end > stable:
                known = before.get(at)
                self._hidden[at] = known if known is not None and known[0] == stable else (stable, now)

    def hidden(self, longer_than_s: float, now: float) -> dict[TopicPartition, float]:
        """Seconds for which the end of each of these has been hidden by one open transaction."""
        return {at: now - since for at, (_, since) in self._hidden.items() if now - since > longer_than_s}


def _reached(owned: Owned, at: TopicPartition, sight: Sight) -> int:
    """What lies between the last record and an empty answer is of transactions: their marks, and what was aborted."""
    committed = owned.task.committed.get(at.topic, 0)
    _, seen = sight(at) or (-1, None)
    done = owned.task.positions.get(at.topic) == committed and not owned.chunks.get(at.topic)
    return max(committed, seen.offset) if done and seen is not None and seen.empty else committed
