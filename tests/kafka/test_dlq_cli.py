"""`iopt dlq` on dead letters as the engine writes them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from typing import Any, NamedTuple

import pytest
from confluent_kafka import KafkaException

from app.wire.dead_letter import Failure, dead_letter
from app.wire.topics import MAX_BYTES
from tests.support.kafka import Kafka, Written, wait_for

IOPT = (sys.executable, "-c", "from app.cli import main; main()")
FAILED_AT = 1_790_000_000_000


class Consumed(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int = FAILED_AT - 1
    timestamp_type: int = 0


class Source:
    """A topic, and dead letters of its records."""

    def __init__(self, kafka: Kafka, name: str) -> None:
        self.kafka, self.name, self.dlq = kafka, name, f"iopt.dlq.{name}"
        kafka.create(name, self.dlq)
        wait_for(self._is_led, f"{name} to have its leaders")

    def _is_led(self) -> bool:
        try:
            return len(self.kafka.end_offsets(self.name)) > 0
        except KafkaException:
            return False

    def sent(self) -> int:
        """Records and transaction markers that lie in it."""
        return sum(self.kafka.end_offsets(self.name).values())

    def fail(self, count: int, reason: str = "undecodable", max_bytes: int = MAX_BYTES) -> list[Written]:
        """Returns the records as they came."""
        records = [
            Written(
                f"k-{number}",
                f"value {number}".encode() + b"." * (MAX_BYTES - max_bytes),
                (("h", b"\xff\x00"), ("h", b"2")),
                number % 4,
                number,
            )
            for number in range(count)
        ]
        began = now_ms() - count
        letters = [self._letter(record, reason, max_bytes) for record in records]
        self.kafka.write(self.dlq, *(each._replace(timestamp_ms=began + n) for n, each in enumerate(letters)))
        return records

    def _letter(self, record: Written, reason: str, max_bytes: int) -> Written:
        assert record.key is not None
        failure = Failure(FAILED_AT, "decode", reason, "Undecodable", "$.a: expected int, got str", "in decode")
        consumed = Consumed(record.offset, record.key.encode(), record.value, record.headers)
        letter = dead_letter(self.name, record.partition, consumed, failure, max_bytes)
        key = None if letter.key is None else letter.key.decode()
        return Written(key, letter.value, tuple(letter.headers), record.partition)

    def replayed(self) -> list[Written]:
        return self.kafka.read_all(self.name)

    def replayed_once(self, records: list[Written]) -> bool:
        """Each to its partition, byte for byte, in order, and marked with where it lay."""
        found = self.replayed()
        own = [Written(*record[:2], plain(record), record.partition) for record in found]
        of = [dict(record.headers)["iopt-replay-of"].decode() for record in found]
        said = Counter(own) == Counter(Written(*record[:4]) for record in records)
        return said and max(Counter(of).values()) == 1 and all(place.startswith(f"{self.dlq}/") for place in of)


def has_sent(source: Source, count: int) -> bool:
    return source.sent() > count


def plain(record: Written) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, value) for name, value in record.headers if not name.startswith("iopt-"))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def source(kafka: Kafka, prefix: str) -> Source:
    return Source(kafka, f"{prefix}orders")


def environment(kafka: Kafka) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IOPT_")}
    return kept | {"IOPT_KAFKA": kafka.bootstrap, "PYTHONPATH": os.getcwd()}


def run(kafka: Kafka, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*IOPT, *args], capture_output=True, text=True, check=False, timeout=60, env=environment(kafka)
    )


def told(kafka: Kafka, *args: str, code: int = 0) -> Any:
    done = run(kafka, *args, "--json")
    assert (done.returncode, bool(done.stdout)) == (code, True), done.stderr
    return json.loads(done.stdout)


def test_letters_are_counted_by_source_and_reason(kafka: Kafka, source: Source) -> None:
    source.fail(3)
    source.fail(2, "bug")
    groups = [row for row in told(kafka, "dlq", "list") if row["source"] == source.name]
    assert [(row["reason"], row["letters"], row["replayed"]) for row in groups] == [
        ("bug", 2, 0),
        ("undecodable", 3, 0),
    ]


def test_letters_of_a_topic_are_listed_and_shown(kafka: Kafka, source: Source) -> None:
    source.fail(5)
    rows = told(kafka, "dlq", "list", source.name, "--limit", "2")
    assert [row["key"] for row in rows] == ["k-3", "k-4"]
    shown = told(kafka, "dlq", "show", rows[1]["place"])
    assert (shown["value"], shown["reason"], shown["source"]) == ("value 4", "undecodable", f"{source.name}/0/4")
    assert shown["message"] == "$.a: expected int, got str"
    plainly = run(kafka, "dlq", "show", rows[1]["place"]).stdout
    assert "value 4" in plainly
    assert "h: 2" in plainly


def test_what_is_not_there_is_said(kafka: Kafka, source: Source) -> None:
    missing = run(kafka, "dlq", "show", f"{source.name}/0/7")
    assert (missing.returncode, missing.stderr) == (1, f"Error: there is no dead letter at {source.dlq}/0/7\n")
    nothing = run(kafka, "dlq", "list", "no-such-topic")
    assert (nothing.returncode, nothing.stderr) == (1, "Error: there is no topic iopt.dlq.no-such-topic\n")


def test_a_dry_run_sends_nothing(kafka: Kafka, source: Source) -> None:
    source.fail(3)
    assert len(told(kafka, "dlq", "replay", source.name, "--reason", "undecodable")["would_replay"]) == 3
    assert source.replayed() == []


def test_all_of_a_reason_are_replayed_once_byte_for_byte(kafka: Kafka, source: Source) -> None:
    records = source.fail(30)
    source.fail(5, "bug")
    replay = ("dlq", "replay", source.name, "--reason", "undecodable", "--apply", "--rate", "1000")
    assert len(told(kafka, *replay)["replayed"]) == 30
    assert source.replayed_once(records)
    again = told(kafka, *replay)
    assert (again["replayed"], again["replayed_before"]) == ([], 30)
    assert source.replayed_once(records)


def test_one_letter_is_replayed_and_then_not_again_with_the_others(kafka: Kafka, source: Source) -> None:
    records = source.fail(8)
    place = told(kafka, "dlq", "list", source.name)[5]["place"]
    assert told(kafka, "dlq", "replay", place, "--apply")["replayed"] == [place]
    marked = [row["place"] for row in told(kafka, "dlq", "list", source.name) if row["replayed"]]
    assert marked == [place]
    rest = told(kafka, "dlq", "replay", source.dlq, "--reason", "undecodable", "--apply")
    assert (len(rest["replayed"]), rest["replayed_before"]) == (7, 1)
    assert source.replayed_once(records)


def test_a_killed_replay_is_finished_by_the_next_and_nothing_is_sent_twice(kafka: Kafka, source: Source) -> None:
    records = source.fail(200)
    replay = ("dlq", "replay", source.name, "--reason", "undecodable", "--apply")
    for sent in (20, 60):
        with subprocess.Popen([*IOPT, *replay, "--rate", "50"], env=environment(kafka)) as doomed:
            wait_for(partial(has_sent, source, sent), f"{sent} to be replayed")
            doomed.send_signal(signal.SIGKILL)
            doomed.wait()
    assert 0 < len(source.replayed()) < 200
    told(kafka, *replay, "--rate", "2000")
    assert source.replayed_once(records)


def test_two_replays_at_once_send_each_letter_once(kafka: Kafka, source: Source) -> None:
    records = source.fail(150)
    replay = ("dlq", "replay", source.name, "--reason", "undecodable", "--apply")
    slow = subprocess.Popen([*IOPT, *replay, "--rate", "5"], env=environment(kafka), stderr=subprocess.PIPE, text=True)
    with slow:
        wait_for(partial(has_sent, source, 3), "the first to be at work")
        told(kafka, *replay, "--rate", "2000")
        assert "somebody else took over" in slow.communicate(timeout=30)[1]
    assert slow.returncode == 1
    assert source.replayed_once(records)


def test_what_was_not_kept_whole_is_refused(kafka: Kafka, source: Source) -> None:
    source.fail(1, max_bytes=1_500)
    refused = told(kafka, "dlq", "replay", source.name, "--reason", "undecodable", "--apply", code=1)
    assert refused["replayed"] == []
    assert "too large to be kept" in refused["refused"][0]["why"]


def test_a_topic_that_is_gone_is_refused(kafka: Kafka, source: Source) -> None:
    source.fail(1)
    kafka.delete(source.name)
    refused = told(kafka, "dlq", "replay", source.name, "--reason", "undecodable", code=1)
    assert refused["refused"][0]["why"] == f"its topic '{source.name}' is not there"
