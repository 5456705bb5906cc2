"""What became of a record, and the dead letter of one that could not be processed (contract 1.7 and 5)."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from app.domain.errors import Rejected
from app.wire.dead_letter import Consumed, Failure, dead_letter
from app.wire.topics import dead_letters


class Fate(StrEnum):
    READ = "read"  # all of them, while they are being counted
    PROCESSED = "processed"
    PASSED_OVER = "passed-over"
    DEAD_LETTERED = "dead-lettered"
    MISPLACED = "misplaced"
    EXPIRED = "expired"  # gone from the log before it was read
    FIRED = "fired"


def settled(counts: Mapping[tuple[str, str, str], int]) -> dict[tuple[str, str, str], int]:
    """Counts by topic, fate and reason, in which what was read and has no other fate was processed."""
    found = {key: count for key, count in counts.items() if key[1] != Fate.READ}
    for (topic, fate, _), read in counts.items():
        if fate == Fate.READ:
            others = sum(count for (of, other, _), count in found.items() if of == topic and other != Fate.EXPIRED)
            found[topic, Fate.PROCESSED, ""] = read - others
    return found


def expired(counts: Mapping[str, int]) -> Counter[tuple[str, str, str]]:
    """The fates of records that were never read, by topic."""
    return Counter({(topic, Fate.EXPIRED, "retention"): count for topic, count in counts.items()})


class Bug(Rejected):
    """Anything that a processor raised and did not mean to."""

    reason = "bug"


def bug(error: Exception) -> Rejected:
    if isinstance(error, Rejected):
        return error
    found = Bug(f"{type(error).__name__}: {error}")
    found.__cause__ = error
    return found


def stack(error: Rejected) -> str:
    return "".join(traceback.format_exception(error.__cause__)) if isinstance(error, Bug) and error.__cause__ else ""


def failed(raw: Consumed, error: Rejected, task: Any, topic: str) -> tuple[str, int, Any]:
    """Topic, partition and letter of a record that cannot be processed."""
    target, runtime = dead_letters(topic), task.runtime
    failure = Failure(
        failed_at=task.now_ms,
        stage=error.stage,
        reason=error.reason,
        error=type(error.__cause__ or error).__name__,
        message=str(error),
        stack=stack(error),
        attempts=2 if isinstance(error, Bug) else 1,
        group=runtime.group,
        processor=task.lanes[topic].reader.processor.name,
        version=runtime.version,
    )
    letter = dead_letter(topic, task.partition, raw, failure, runtime.limits.of(target.name, target.max_bytes))
    return target.name, task.partition % runtime.count(target.name), letter
