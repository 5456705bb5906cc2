"""What must have come out, by the driver; what has, by a read_committed reader; and that they are equal (D1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from app.engine.driver import Driver, Sent
from app.wire.dead_letter import DeadLetter
from app.wire.partition import partition
from app.wire.topics import changelog, dead_letters
from tests.faults.scenario import Scenario
from tests.faults.stores import rows_of, states_of
from tests.support.kafka import Kafka, Written
from tests.support.toy import Account, Sum

_sum = msgspec.json.Decoder(Sum).decode
Letter = tuple[bytes | str | None, str, Sequence[tuple[str, bytes | None]]]  # value, reason, the record's own headers


class Outcome(NamedTuple):
    """By key, each key's in order. States are those of the row's table."""

    sums: Mapping[str, list[Sum]]
    alarms: Mapping[str, list[Sum]]
    letters: Mapping[str, list[Letter]]
    noted: Mapping[str, list[Letter]]
    states: Mapping[str, Account]


class Different(AssertionError):
    """What Kafka, or a store, shows is not what it should be."""


def expected(scenario: Scenario) -> Outcome:
    row, notes = scenario.row, scenario.notes
    driver = Driver(scenario.processors)
    limits = notes.limits.topic
    assert limits is not None
    for limit in scenario.limits():
        driver.send(limits, limit.key, limit.value)
    topics = scenario.sources | {limits.name: limits}
    for topic, record in scenario.records:
        driver.send(topics[topic], key_bytes(record.key), record.value, record.headers)
    driver.advance("1h")
    return Outcome(
        grouped(driver.outputs(row.sums)),
        grouped(driver.outputs(row.alarms)),
        letters_in(driver.records(dead_letters(row.additions.name))),
        letters_in(driver.records(dead_letters(notes.notes.name))),
        timeless(driver.table(row.accounts)),
    )


def found(kafka: Kafka, scenario: Scenario) -> Outcome:
    row, notes = scenario.row, scenario.notes
    logged = rows_of(kafka, changelog(row.processor.row).name)
    return Outcome(
        sums_in(kafka, row.sums.name),
        sums_in(kafka, row.alarms.name),
        letters_in(kafka.read_all(dead_letters(row.additions.name).name)),
        letters_in(kafka.read_all(dead_letters(notes.notes.name).name)),
        timeless(states_of(row.accounts, logged)),
    )


def timeless(states: Mapping[str, Account]) -> dict[str, Account]:
    """Times differ, as D1 says; whether there is one must not."""
    return {key: msgspec.structs.replace(state, alarm_at=int(state.alarm_at > 0)) for key, state in states.items()}


def sums_in(kafka: Kafka, topic: str) -> dict[str, list[Sum]]:
    records, count = kafka.read_all(topic), kafka.topics()[topic]
    for record in records:
        if record.partition != (home := partition((record.key or "").encode(), count)):
            raise Different(f"{topic}: {record} is not on partition {home}")
    return grouped((record.key or "", _sum(record.value or b"")) for record in records)


def letters_in(records: Iterable[Written | Sent]) -> dict[str, list[Letter]]:
    """A reference that stands for a value is known by the value's digest: it names another offset in the driver."""
    letters = [DeadLetter.read(key_bytes(record.key), record.value, record.headers) for record in records]
    return grouped(
        (
            text(letter.key),
            (letter.reference.sha256 if letter.reference else letter.value, letter.reason, own(letter)),
        )
        for letter in letters
    )


def own(letter: DeadLetter) -> list[tuple[str, bytes | None]]:
    """Its headers as librdkafka reads them, for which a name ends at a NUL."""
    return [(name.partition("\0")[0], value) for name, value in letter.headers]


def key_bytes(key: str | bytes | None) -> bytes | None:
    return key.encode(errors="surrogateescape") if isinstance(key, str) else key


def grouped(pairs: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    found = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return dict(found)


def text(key: bytes | None) -> str:
    return (key or b"").decode(errors="surrogateescape")


def assert_equal(wanted: Outcome, got: Outcome) -> None:
    for what, should, does in zip(Outcome._fields, wanted, got, strict=True):
        assert_same(what, should, does)


def assert_same(what: str, wanted: Mapping[Any, Any], got: Mapping[Any, Any]) -> None:
    """Raises Different with the first key that is not the same, and how many there are."""
    keys = [key for key in {**wanted, **got} if wanted.get(key) != got.get(key)]
    if keys:
        first = keys[0]
        said = (
            f"of {len(keys)} keys, one is {first!r}: {short(wanted.get(first))} was expected, {short(got.get(first))}"
        )
        raise Different(f"{what}: {said} was found")


def short(value: Any) -> str:
    said = repr(value)
    return said if len(said) < 1_000 else f"{said[:400]} ... {said[-600:]}"


def last_offsets(kafka: Kafka, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """Of each partition with records, what comes after the last that a reader of committed records gets."""
    return {(topic, record.partition): record.offset + 1 for topic in topics for record in kafka.read_all(topic)}


__all__ = ["Different", "Outcome", "assert_equal", "assert_same", "expected", "found", "last_offsets"]
