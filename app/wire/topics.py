"""Every topic, once: its name, what its key is, what it carries, who writes it, how it is kept (contract 2)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from msgspec import Raw

from app.domain.audit import Audit, ChangedSetting
from app.domain.breakers.calls import BreakerAct, BreakerState, CallOutcome, Transition
from app.domain.client_events import ClientEvents
from app.domain.sagas.definition import Definition, canonical
from app.domain.sagas.ids import checked_key, saga_id
from app.domain.sagas.messages import Act, Command, Fact, Reply, Signal, Start
from app.wire.cloudevents import AnyType, CloudEvents
from app.wire.codec import Codec, Envelope, Headers, Verbatim
from app.wire.domain_events import DomainEvents

__all__ = [
    "AUDIT",
    "BREAKER_ACTS",
    "BREAKER_STATES",
    "BREAKER_TRANSITIONS",
    "CALL_OUTCOMES",
    "CLIENT_EVENTS",
    "CONFIG",
    "DAY_MS",
    "DEAD_LETTER_BYTES",
    "DEFINITIONS",
    "DOMAIN_EVENTS",
    "FACTS",
    "MAX_BYTES",
    "OURS",
    "OURS_ALONE",
    "OWNED",
    "SAGA_EVENTS",
    "SAGA_INBOX",
    "SAGA_REPLIES",
    "Cleanup",
    "Codec",
    "Envelope",
    "Headers",
    "Sources",
    "Topic",
    "changelog",
    "commands",
    "configs",
    "dead_letters",
    "domain_events",
    "emitted",
]

DAY_MS = 86_400_000
MAX_BYTES = 1_048_588  # Kafka's own default of `max.message.bytes`
DEAD_LETTER_BYTES = 65_536  # what a dead letter may be longer than its source allows

OURS = "this service"
OURS_ALONE = "this service only"


class Cleanup(StrEnum):
    DELETE = "delete"
    COMPACT = "compact"
    THEIRS = "theirs"  # a foreign topic: never created, never altered


@dataclass(frozen=True, slots=True, eq=False)
class Topic:
    name: str
    codec: Codec = field(repr=False)
    key: str = ""  # what the Kafka key is, in words
    key_of: Callable[[Any], str] | None = None  # the key that the body names, "" if none; None: no body names one
    writers: str = ""
    cleanup: Cleanup = Cleanup.DELETE
    retention_ms: int = 7 * DAY_MS
    log_append_time: bool = False  # others write to it: its time is the broker's
    max_bytes: int = MAX_BYTES

    @property
    def owned(self) -> bool:
        return self.cleanup is not Cleanup.THEIRS


class Sources(NamedTuple):
    """Topics that only the settings of a worker name; `name` is the word for them."""

    name: str


DOMAIN_EVENTS = Sources("domain events")

FACTS = (
    "started",
    "step_sent",
    "step_done",
    "step_refused",
    "step_failed",
    "step_in_doubt",
    "step_undone",
    "compensating",
    "completed",
    "compensated",
    "in_debt",
    "stuck",
    "unstuck",
    "held",
    "released",
    "paused",
    "resumed",
    "signalled",
    "acted_on",
    "unexpected_effect",
    "abandoned",
)


def _saga_named(value: Start | Act | Reply | Signal) -> str:
    """Raises BadKey."""
    if value.saga_id is not None:
        return value.saga_id
    if value.saga is None or value.key is None:
        return ""
    return saga_id(value.saga, checked_key(value.key))


SAGA_INBOX = Topic(
    "iopt.saga-inbox",
    CloudEvents({"iopt.saga.start": Start, "iopt.saga.act": Act, "iopt.saga.reply": Reply, "iopt.saga.signal": Signal}),
    key="saga id",
    key_of=_saga_named,
    writers=OURS_ALONE,
)
SAGA_REPLIES = Topic(
    "iopt.saga-replies",
    CloudEvents({"iopt.saga.reply": Reply, "iopt.saga.signal": Signal}),
    key="saga id",
    key_of=_saga_named,
    writers="participants",
    log_append_time=True,
)
SAGA_EVENTS = Topic(
    "iopt.saga-events",
    CloudEvents({f"iopt.saga.{fact}": Fact for fact in FACTS}),
    key="saga id",
    key_of=attrgetter("body.saga_id"),
    writers=OURS,
    retention_ms=30 * DAY_MS,
)
CALL_OUTCOMES = Topic(
    "iopt.call-outcomes",
    CloudEvents({"iopt.call.outcome": CallOutcome}, "iopt.call.outcome"),
    key="service",
    key_of=attrgetter("service"),
    writers="services, clients, this service",
    log_append_time=True,
)
CLIENT_EVENTS = Topic(
    "iopt.client-events",
    CloudEvents({"iopt.client.events": ClientEvents}, "iopt.client.events"),
    key="name",
    key_of=attrgetter("name"),
    writers="clients",
    retention_ms=DAY_MS,
    log_append_time=True,
)
BREAKER_ACTS = Topic(
    "iopt.breaker-acts",
    CloudEvents({"iopt.breaker.act": BreakerAct}, "iopt.breaker.act"),
    key="service",
    key_of=attrgetter("service"),
    writers=OURS_ALONE,
)
BREAKER_TRANSITIONS = Topic(
    "iopt.breaker-transitions",
    CloudEvents({"iopt.breaker.transition": Transition}, "iopt.breaker.transition"),
    key="breaker",
    key_of=attrgetter("breaker"),
    writers=OURS,
    retention_ms=30 * DAY_MS,
)
BREAKER_STATES = Topic(
    "iopt.breaker-states",
    CloudEvents({"iopt.breaker.state": BreakerState}, "iopt.breaker.state"),
    key="breaker",
    key_of=attrgetter("breaker"),
    writers=OURS,
    cleanup=Cleanup.COMPACT,
)
DEFINITIONS = Topic(
    "iopt.definitions",
    CloudEvents({"iopt.definition": Definition}, "iopt.definition", canonical),
    key="saga/version",
    key_of=attrgetter("id"),
    writers=OURS,
    cleanup=Cleanup.COMPACT,
)
CONFIG = Topic(
    "iopt.config",
    CloudEvents({"iopt.config": ChangedSetting}, "iopt.config"),
    key="setting",
    key_of=attrgetter("key"),
    writers=OURS,
    cleanup=Cleanup.COMPACT,
)
AUDIT = Topic(
    "iopt.audit",
    CloudEvents({"iopt.audit": Audit}, "iopt.audit"),
    key="actor",
    key_of=attrgetter("actor"),
    writers=OURS,
    retention_ms=400 * DAY_MS,
)

OWNED = (
    SAGA_INBOX,
    SAGA_REPLIES,
    SAGA_EVENTS,
    CALL_OUTCOMES,
    CLIENT_EVENTS,
    BREAKER_ACTS,
    BREAKER_TRANSITIONS,
    BREAKER_STATES,
    DEFINITIONS,
    CONFIG,
    AUDIT,
)


@lru_cache(4096)
def commands(name: str) -> Topic:
    """A participant's; its values are `Typed(<command name>, Command)`."""
    return Topic(name, AnyType(Command), "saga id", attrgetter("body.saga_id"), OURS, Cleanup.THEIRS)


@lru_cache(4096)
def emitted(name: str) -> Topic:
    """Where sagas tell their ends; its values are `Typed(<event type>, Raw)`."""
    return Topic(name, AnyType(Raw), "as the start's", writers="services, this service", cleanup=Cleanup.THEIRS)


def domain_events(name: str, types: Collection[str], type_from: str = "", fixed: str = "") -> Topic:
    """A topic of the services', whose values are DomainEvents of `types`. Raises ValueError for an odd `type_from`."""
    return Topic(name, DomainEvents(types, type_from, fixed), "theirs", writers="services", cleanup=Cleanup.THEIRS)


@lru_cache(4096)
def dead_letters(source: str, source_max_bytes: int = MAX_BYTES) -> Topic:
    return Topic(
        f"iopt.dlq.{source}",
        Verbatim(),
        "as it came",
        writers=OURS,
        retention_ms=30 * DAY_MS,
        max_bytes=source_max_bytes + DEAD_LETTER_BYTES,
    )


def changelog(row: str) -> Topic:
    """The states of a sub-topology."""
    key = "table id + state key; positions under a reserved key"
    return Topic(f"iopt.{row}.changelog", Verbatim(), key, writers=OURS_ALONE, cleanup=Cleanup.COMPACT)


def configs(topic: Topic) -> dict[str, str]:
    """How Kafka is to keep an own topic."""
    assert topic.owned, f"{topic.name} is theirs"
    kept = {
        "message.timestamp.type": "LogAppendTime" if topic.log_append_time else "CreateTime",
        "max.message.bytes": str(topic.max_bytes),
    }
    if topic.cleanup is Cleanup.DELETE:
        return {"cleanup.policy": "delete", "retention.ms": str(topic.retention_ms)} | kept
    return {
        "cleanup.policy": "compact",
        "delete.retention.ms": str(7 * DAY_MS),
        "segment.bytes": str(64 << 20),
        "min.cleanable.dirty.ratio": "0.2",
    } | kept
