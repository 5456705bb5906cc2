from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

import pytest

from app.wire.codec import Headers
from app.wire.dead_letter import DeadLetter, Failure, Letter, Reference, cut, dead_letter, replayed, size
from app.wire.topics import configs, dead_letters

TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FAILURE = Failure(
    7,
    "decode",
    "undecodable",
    "Undecodable",
    "$.items[2].qty: expected int",
    "",
    1,
    "iopt",
    "agents.route.start",
    "0.1.0",
)
MAX_BYTES = 100_000


class Came(NamedTuple):
    value: bytes | None = b"\xff{"
    headers: Headers = (("x", b"\xfe"), ("x", b""), ("traceparent", TRACE))
    key: bytes | None = b"\x00o-1"
    offset: int = 42
    timestamp: int = 1_790_000_000_000
    timestamp_type: int = 1


def failed(came: Came = Came(), failure: Failure = FAILURE, max_bytes: int = MAX_BYTES) -> Letter:  # noqa: B008
    return dead_letter("orders", 3, came, failure, max_bytes)


def test_the_record_is_kept_byte_for_byte_and_the_headers_say_what_happened() -> None:
    letter = failed()
    assert letter.key == b"\x00o-1"
    assert letter.value == b"\xff{"
    assert letter.headers[:3] == [("x", b"\xfe"), ("x", b""), ("traceparent", TRACE)]
    assert dict(letter.headers[3:]) == {
        "iopt-dlq-topic": b"orders",
        "iopt-dlq-partition": b"3",
        "iopt-dlq-offset": b"42",
        "iopt-dlq-timestamp": b"1790000000000",
        "iopt-dlq-timestamp-type": b"LogAppendTime",
        "iopt-dlq-group": b"iopt",
        "iopt-dlq-stage": b"decode",
        "iopt-dlq-reason": b"undecodable",
        "iopt-dlq-error": b"Undecodable",
        "iopt-dlq-message": b"$.items[2].qty: expected int",
        "iopt-dlq-stack": b"",
        "iopt-dlq-attempts": b"1",
        "iopt-dlq-first-failed-at": b"7",
        "iopt-dlq-failed-at": b"7",
        "iopt-dlq-trace": TRACE,
        "iopt-dlq-processor": b"agents.route.start",
        "iopt-dlq-version": b"0.1.0",
    }


def test_what_was_written_is_read_back() -> None:
    read = DeadLetter.read(*failed())
    assert read == DeadLetter(
        key=b"\x00o-1",
        value=b"\xff{",
        headers=list(Came().headers),
        topic="orders",
        partition=3,
        offset=42,
        timestamp=1_790_000_000_000,
        timestamp_type="LogAppendTime",
        group="iopt",
        stage="decode",
        reason="undecodable",
        error="Undecodable",
        message="$.items[2].qty: expected int",
        stack="",
        attempts=1,
        first_failed_at=7,
        failed_at=7,
        trace=TRACE.decode(),
        processor="agents.route.start",
        version="0.1.0",
    )


def test_a_replayed_record_that_fails_again_replaces_what_was_said_and_goes_on_counting() -> None:
    first = failed()
    again = replayed(first.headers, "iopt.dlq.orders", 1, 5)
    assert again[-1] == ("iopt-replay-of", b"iopt.dlq.orders/1/5")
    second = failed(Came(headers=again), FAILURE._replace(reason="bug", attempts=2, failed_at=9))
    names = [name for name, _ in second.headers]
    assert len([name for name in names if name.startswith("iopt-")]) == 18
    assert names.count("x") == 2
    read = DeadLetter.read(*second)
    assert (read.reason, read.attempts, read.first_failed_at, read.failed_at) == ("bug", 3, 7, 9)
    assert read.replay_of == "iopt.dlq.orders/1/5"
    third = replayed(second.headers, "iopt.dlq.orders", 1, 6)
    assert [value for name, value in third if name == "iopt-replay-of"] == [b"iopt.dlq.orders/1/6"]


def test_a_dead_letter_fits_where_its_source_did_whatever_the_error_says() -> None:
    long = "😀é" * 50_000
    failure = Failure(7, long, long, long, long, long, 1, long, long, long)
    source_max = 1000
    came = Came(value=b"v" * source_max, headers=(), key=None)
    letter = failed(came, failure, max_bytes=dead_letters("orders", source_max).max_bytes)
    assert letter.value == came.value
    assert configs(dead_letters("orders", source_max))["max.message.bytes"] == str(source_max + 65_536)
    for _, value in letter.headers:
        value.decode()


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [("abc", 3, b"abc"), ("aé", 2, b"a"), ("\ud800x", 99, b"\\ud800x"), ("😀😀", 7, "😀".encode()), ("", 0, b"")],
)
def test_text_is_cut_at_a_whole_character_and_is_always_utf8(text: str, limit: int, expected: bytes) -> None:
    assert cut(text, limit) == expected


def test_a_value_that_does_not_fit_leaves_a_reference() -> None:
    came = Came(value=b"v" * MAX_BYTES)
    letter = failed(came)
    assert size(letter) <= MAX_BYTES
    assert letter.headers[:3] == list(came.headers)
    read = DeadLetter.read(*letter)
    assert read.value is None
    assert read.reference == Reference("orders", 3, 42, sha256(b"v" * MAX_BYTES).hexdigest(), MAX_BYTES)


def test_headers_and_key_that_do_not_fit_are_left_out_after_it() -> None:
    huge = b"h" * MAX_BYTES
    without_headers = failed(Came(headers=[("x", huge)]))
    assert without_headers.key == Came().key
    assert DeadLetter.read(*without_headers).headers == []
    without_key = failed(Came(key=huge))
    assert without_key.key is None
    assert DeadLetter.read(*without_key).reference is not None


def test_a_tombstone_stays_one() -> None:
    assert failed(Came(value=None)).value is None


@pytest.mark.parametrize("odd", [b"\xff", b"", b"-1", b"9" * 5000, "٣".encode()])
def test_foreign_rubbish_on_a_dead_letter_topic_is_read_as_empty(odd: bytes) -> None:
    read = DeadLetter.read(
        None, None, [("iopt-dlq-offset", odd), ("iopt-dlq-topic", b"\xff"), ("iopt-dlq-reference", odd)]
    )
    assert (read.offset, read.topic, read.reference) == (0, "\ufffd", None)
