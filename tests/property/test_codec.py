"""Whatever a topic carries survives the wire; whatever comes in is a value, or has a fate of its own."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw, inspect

from app.domain.breakers.calls import CallOutcome
from app.domain.client_events import MOST, ClientEvents
from app.domain.errors import BadKey, Invalid, PassedOver, Undecodable
from app.domain.sagas.messages import Command, DomainEvent, Typed
from app.wire.asyncapi import messages_of
from app.wire.codec import Envelope
from app.wire.dead_letter import DeadLetter, Failure, cut, dead_letter, replayed, size
from app.wire.headers import trace_headers, trace_of
from app.wire.topics import OWNED, Topic, commands, dead_letters, domain_events, emitted

ENVELOPE = Envelope("id", "subject", 7)
NAMED = "order.created"

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = st.from_regex(r"[a-z][a-z0-9._-]{0,9}", fullmatch=True)
integers = st.integers(-(2**53), 2**53)
numbers = st.floats(-1e6, 1e6)
json_values = st.recursive(
    st.none() | st.booleans() | integers | numbers | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
raws = st.builds(
    lambda value, ascii_only: Raw(json.dumps(value, ensure_ascii=ascii_only).encode()), json_values, st.booleans()
)

PLAIN: dict[type, st.SearchStrategy[Any]] = {
    inspect.NoneType: st.none(),
    inspect.BoolType: st.booleans(),
    inspect.FloatType: numbers,
    inspect.RawType: raws,
    inspect.AnyType: json_values,
}


def values_of(of: inspect.Type) -> st.SearchStrategy[Any]:
    match of:
        case inspect.StructType():
            return structs(of)
        case inspect.UnionType(types=types):
            return st.one_of([values_of(each) for each in types])
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(values_of(key), values_of(value), max_size=3)
        case inspect.VarTupleType(item_type=item):
            return st.lists(values_of(item), max_size=3).map(tuple)
    return scalars(of)


def scalars(of: inspect.Type) -> st.SearchStrategy[Any]:
    match of:
        case inspect.StrType(min_length=least):
            return text.filter(lambda drawn: len(drawn) >= (least or 0))
        case inspect.IntType(ge=least):
            return integers if least is None else st.integers(least, 2**53)
        case inspect.LiteralType(values=words):
            return st.sampled_from(words)
        case inspect.EnumType(cls=enum):
            return st.sampled_from(list(enum))
    return PLAIN[type(of)]


def structs(of: inspect.StructType) -> st.SearchStrategy[Any]:
    fields = {
        field.name: values_of(field.type) | st.just(UNSET) if field.default is UNSET else values_of(field.type)
        for field in of.fields
    }
    if of.cls is ClientEvents:
        counts = st.dictionaries(text, st.integers(1, MOST // 3), min_size=1, max_size=3)
        return st.builds(ClientEvents, **fields | {"counts": counts, "from_at": st.none() | st.just(-(2**53))})
    if of.cls is not CallOutcome:
        return st.builds(of.cls, **fields)
    single = st.builds(CallOutcome, **fields | {"outcome": text, "counts": st.none()})
    return single | st.builds(
        CallOutcome, **fields | {"outcome": st.none(), "counts": st.dictionaries(text, st.just(1))}
    )


def bodies(of: Any) -> st.SearchStrategy[Any]:
    return values_of(inspect.type_info(of))


def carried(topic: Topic) -> st.SearchStrategy[Any]:
    kinds = [
        bodies(message.body) if len(message.types) == 1 else typed(message.types, bodies(message.body))
        for message in messages_of(topic)
    ]
    return st.one_of(kinds)


def typed(types: tuple[str, ...], body: st.SearchStrategy[Any]) -> st.SearchStrategy[Typed]:
    return st.builds(Typed, st.sampled_from(types), body)


VALUES: dict[Topic, st.SearchStrategy[Any]] = {topic: carried(topic) for topic in OWNED}
VALUES[commands("pay.commands")] = st.builds(Typed, names, bodies(Command))
VALUES[emitted("orders")] = st.builds(Typed, names, raws)
VALUES[domain_events("orders", [NAMED])] = st.builds(DomainEvent, st.just(NAMED), raws, text, text)
VALUES[domain_events("shop", [NAMED], "$.a.b", NAMED)] = st.builds(DomainEvent, st.just(NAMED), raws, text, text)

rubbish = st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode())
header_names = st.sampled_from(
    ["ce_type", "ce_id", "ce_subject", "ce_source", "ce_saga_id", "ce_at", "content-type", "traceparent", "b3", "x"]
)
media = st.sampled_from([b"application/json", b"application/cloudevents+json", b"application/cloudevents", b"text/xml"])
said = st.binary(max_size=20) | media | names.map(str.encode)
headers = st.lists(st.tuples(header_names, said), max_size=5)


@pytest.mark.parametrize("topic", VALUES, ids=lambda topic: topic.name)
@given(data=st.data())
def test_what_is_written_is_read_back_equal(topic: Topic, data: st.DataObject) -> None:
    value = data.draw(VALUES[topic])
    raw, made = topic.codec.encode(value, ENVELOPE)
    read = topic.codec.decode(raw, made)
    if isinstance(value, DomainEvent):
        assert (read.type, read.data) == (value.type, value.data)
    else:
        assert read == value


@pytest.mark.parametrize("topic", VALUES, ids=lambda topic: topic.name)
@given(data=st.data())
def test_rubbish_has_a_fate_and_never_raises_anything_else(topic: Topic, data: st.DataObject) -> None:
    raw, made = topic.codec.encode(data.draw(VALUES[topic]), ENVELOPE)
    at = data.draw(st.integers(0, len(raw)))
    damaged = st.sampled_from([raw, raw[:at], raw[:at] + data.draw(rubbish) + raw[at:]])
    value = data.draw(st.none() | rubbish | damaged)
    with suppress(Undecodable, Invalid, PassedOver, BadKey):
        read = topic.codec.decode(value, [*data.draw(st.sampled_from([made, []])), *data.draw(headers)])
        assert topic.key_of is None or isinstance(topic.key_of(read), str)


@given(headers, text)
def test_a_trace_is_none_or_well_formed_and_comes_through(found: list[tuple[str, bytes]], more: str) -> None:
    trace = trace_of([*found, ("traceparent", more.encode())])
    if trace is not None:
        (through_b3,) = trace_headers(trace, b3=True)[1:]
        assert (trace_of([through_b3]) or b"")[:-2] == trace[:-2]


class Came:
    offset, timestamp, timestamp_type = 1, 2, 0

    def __init__(self, key: bytes | None, value: bytes | None, found: list[tuple[str, bytes]]) -> None:
        self.key, self.value, self.headers = key, value, found


dlq_headers = st.sampled_from(["iopt-dlq-attempts", "iopt-dlq-first-failed-at", "iopt-dlq-reference", "iopt-replay-of"])
any_headers = st.lists(st.tuples(header_names | dlq_headers, st.binary(max_size=20)), max_size=6)


@given(st.none() | st.binary(max_size=9), st.none() | st.binary(max_size=99), any_headers, st.text(max_size=9))
def test_any_record_can_be_dead_lettered_read_back_and_replayed(
    key: bytes | None, value: bytes | None, found: list[tuple[str, bytes]], said_by_error: str
) -> None:
    failure = Failure(7, "decide", "bug", said_by_error, said_by_error, said_by_error * 9)
    letter = dead_letter("orders", 0, Came(key, value, found), failure, dead_letters("orders").max_bytes)
    assert size(letter) <= dead_letters("orders").max_bytes
    read = DeadLetter.read(*letter)
    own = [header for header in found if not header[0].startswith("iopt-dlq-")]
    assert (read.key, read.value, read.headers) == (key, value, own)
    assert read.message == cut(said_by_error, 4096).decode()
    again = DeadLetter.read(
        *dead_letter("orders", 0, Came(key, value, replayed(letter.headers, "d", 0, 1)), failure, 9999)
    )
    assert (again.attempts, again.first_failed_at, again.replay_of) == (
        read.attempts + 1,
        read.first_failed_at,
        "d/0/1",
    )
