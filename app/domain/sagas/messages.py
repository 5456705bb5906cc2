"""What sagas, their participants and their operators say to each other (contract 2, 3.2, 3.3, 3.6 and 3.8).

Business data travels as `Raw` JSON: its numbers keep their digits and its unknown fields stay.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Word = Annotated[str, Meta(min_length=1)]
Run = Annotated[int, Meta(ge=1)]

NULL = Raw(b"null")


class Typed(NamedTuple):
    """A body whose `ce_type` is chosen one by one: of a command, of a fact, of an emitted event."""

    type: str
    body: Any


class DomainEvent(Struct, frozen=True, gc=False):
    """An event of the services' own, of a type that some definition names."""

    type: str
    data: Raw
    ce_id: str | None = None
    ce_source: str | None = None


class Origin(Struct, frozen=True, gc=False):
    """The record that a start was made from; `at` is its Kafka timestamp."""

    topic: str
    partition: int
    offset: int
    key: str | None
    at: int
    ce_id: str | None = None
    ce_source: str | None = None


class Start(Struct, frozen=True, gc=False, kw_only=True):
    """Without an origin it is an operator's start."""

    saga_id: Word
    saga: Word
    saga_version: Annotated[int, Meta(ge=1)]
    key: Word
    run: Run = 1
    data: Raw
    origin: Origin | None = None
    at: int


class Error(Struct, frozen=True, gc=False, omit_defaults=True):
    code: str
    message: str = ""
    retry_after_ms: int | None = None


class Reply(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """`outcome` is done, refused, failed, unknown, absent or accepted; any other word counts as unknown."""

    command_id: Word
    saga_id: Word
    outcome: str
    data: Raw | UnsetType = UNSET
    error: Error | None = None
    duration_ms: int | None = None
    reply_token: str = ""
    at: int | None = None


class Act(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    act: str
    act_id: Word
    saga_id: Word
    reason: str
    actor: str
    if_seq: int | None = None
    step: str | None = None
    result: Raw | UnsetType = UNSET
    claimed_actor: str | None = None
    at: int | None = None


class Signal(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """Names its saga by `saga_id`, or by `saga` and `key`."""

    signal: Word
    saga_id: str | None = None
    saga: str | None = None
    key: str | int | None = None
    data: Raw | UnsetType = UNSET
    at: int | None = None


class Command(Struct, frozen=True, gc=False, kw_only=True):
    """Its `ce_type` is the step's command name. Only an undo has `undoes` and `result`, only a query `queries`."""

    command_id: str
    to: str
    saga: str
    saga_id: str
    saga_version: int
    step: str
    action: str
    run: int
    attempt: int
    idempotency_key: str
    deadline_at: int | None
    reply_to: str
    reply_token: str = ""
    data: Raw
    undoes: str | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    queries: str | UnsetType = UNSET


class Fact(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One entry of a saga's history; its `ce_type` is `iopt.saga.<fact>`, its `ce_id` `<saga_id>#<seq>`."""

    saga: str
    saga_id: str
    saga_version: int
    key: str
    seq: int
    state: str
    at: int
    step: str | None = None
    action: str | None = None
    run: int | None = None
    attempt: int | None = None
    command_id: str | None = None
    outcome: str | None = None
    error: Error | None = None
    duration_ms: int | None = None
    actor: str | None = None
    reason: str | None = None
