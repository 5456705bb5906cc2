"""Which sagas an event of the services starts (contract 3.1)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from ..errors import BadKey, NoKey, TooLarge
from .definition import Definition
from .ids import checked_key, saga_id
from .mapping import Unmapped, business_path, decoded, pick
from .messages import DomainEvent, Origin, Start
from .saga_state import DATA_BYTES

Routes = tuple[tuple[str, Definition], ...]  # of one topic: an event's type, and what it starts


class Place(Struct, frozen=True, gc=False):
    """The record that an event came in; `at` is its Kafka timestamp."""

    topic: str
    partition: int
    offset: int
    key: str
    at: int


def routes_of(definitions: Iterable[Definition]) -> dict[str, Routes]:
    """By topic. Of a saga's versions only the highest is started."""
    newest: dict[str, Definition] = {}
    for definition in sorted(definitions, key=lambda each: each.version):
        newest[definition.saga] = definition
    named: dict[str, list[tuple[str, Definition]]] = {}
    for definition in newest.values():
        for trigger in definition.start.on:
            named.setdefault(trigger.topic, []).append((trigger.type, definition))
    return {topic: tuple(pairs) for topic, pairs in named.items()}


def starts(event: DomainEvent, place: Place, routes: Routes, now_ms: int) -> list[Start]:
    """Raises NoKey, BadKey or TooLarge."""
    return [_start(event, place, definition, now_ms) for named, definition in routes if named == event.type]


def _start(event: DomainEvent, place: Place, definition: Definition, now_ms: int) -> Start:
    data_bytes = len(bytes(event.data))
    if data_bytes > DATA_BYTES:
        raise TooLarge(f"data: {data_bytes} bytes, at most {DATA_BYTES}")
    key = _business_key(event, definition)
    return Start(
        saga_id=saga_id(definition.saga, key),
        saga=definition.saga,
        saga_version=definition.version,
        key=key,
        data=event.data,
        origin=Origin(
            place.topic, place.partition, place.offset, place.key or None, place.at, event.ce_id, event.ce_source
        ),
        at=now_ms,
    )


def _business_key(event: DomainEvent, definition: Definition) -> str:
    path = business_path(definition.start.key)
    try:
        found = decoded(pick(event.data, path))
    except Unmapped as error:
        raise NoKey(str(error)) from error
    except msgspec.DecodeError as error:
        raise BadKey(f"$.{'.'.join(path)}: {error}") from error
    if found is None:
        raise NoKey(f"$.{'.'.join(path)}: null")
    return checked_key(found)
