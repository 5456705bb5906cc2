"""What is kept of a saga: stored as msgpack arrays, so fields are only ever appended, with defaults."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from .messages import Error

HISTORY_ENTRIES = 32
STATE_BYTES = 768 * 1024
DATA_BYTES = 256 * 1024
MESSAGE_BYTES = 4 * 1024
ID_BYTES = 1024

NO_DATA = b"null"
NEVER = 0  # as a due: there is none


class State(StrEnum):
    RUNNING = "RUNNING"
    HOLDING = "HOLDING"
    PAUSED = "PAUSED"
    COMPENSATING = "COMPENSATING"
    COMPLETED = "COMPLETED"
    COMPENSATED = "COMPENSATED"
    IN_DEBT = "IN_DEBT"
    ABANDONED = "ABANDONED"


STATES = tuple(State)
ENDED = frozenset({State.COMPLETED, State.COMPENSATED, State.ABANDONED})


class StepState(StrEnum):
    DOING = "DOING"
    DONE = "DONE"
    REFUSED = "REFUSED"
    FAILED = "FAILED"  # certainly not done
    IN_DOUBT = "IN_DOUBT"
    UNDOING = "UNDOING"
    UNDONE = "UNDONE"
    IN_DEBT = "IN_DEBT"


class Wait(StrEnum):
    REPLY = "reply"
    PAUSE = "pause"  # before the next attempt, after an answer
    SILENCE = "silence"  # before the next attempt, after none


class Progress(Struct, frozen=True, array_like=True, gc=False):
    """One step that was begun. `doubt`: an attempt may have happened. `result` is JSON; None while nobody knows it."""

    step: str
    state: StepState
    at: int
    begun_at: int
    attempt: int = 0
    queries: int = 0
    undos: int = 0
    doubt: bool = False
    result: bytes | None = None


class Open(Struct, frozen=True, array_like=True, gc=False):
    """The one command that is awaited, or paused for. `tries` counts queries since the newest `do`."""

    action: str
    index: int
    attempt: int
    wait: Wait
    sent_at: int
    tries: int = 1


class Entry(Struct, frozen=True, array_like=True, gc=False):
    fact: str
    at: int
    step: str | None = None
    attempt: int | None = None


class Saga(Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """`data` is the start's, as JSON; `history` the newest facts, the last of them number `seq`."""

    saga: str
    id: str
    version: int
    key: str
    run: int
    state: State
    seq: int
    started_at: int
    deadline_at: int
    due_at: int
    data: bytes
    origin_topic: str | None
    origin_key: str | None
    steps: tuple[Progress, ...] = ()
    open: Open | None = None
    error: Error | None = None
    ended_at: int | None = None
    history: tuple[Entry, ...] = ()
    stuck: str | None = None
    trace: bytes | None = None  # the context of what started it


def due(saga: Saga) -> int | None:
    return saga.due_at or None


def ordinal(saga: Saga) -> int:
    return STATES.index(saga.state)


def kept_bytes(saga: Saga) -> int:
    """An upper bound of what the state takes, by its parts that can grow."""
    results = sum([len(progress.result or b"") + len(progress.step) + 100 for progress in saga.steps])
    return len(saga.data) + results + HISTORY_ENTRIES * 160 + MESSAGE_BYTES + 4 * ID_BYTES


def fitting(saga: Saga, data: bytes) -> tuple[bytes, Error | None]:
    """The data of a reply as it is kept, and what is wrong with its size (contract 1.6)."""
    if len(data) <= DATA_BYTES and kept_bytes(saga) + len(data) <= STATE_BYTES:
        return data, None
    return NO_DATA, Error("iopt.too-large", f"data of a reply: {len(data)} bytes")
