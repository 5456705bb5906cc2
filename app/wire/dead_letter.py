"""A dead letter: the record as it came, and in `iopt-dlq-*` headers where, when and why it failed (contract 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

import msgspec

from app.wire.codec import Headers, Written, to_json
from app.wire.headers import trace_of

PREFIX = "iopt-dlq-"
REPLAY_OF = "iopt-replay-of"

TEXT_BYTES = 1024
MESSAGE_BYTES = 4096
STACK_BYTES = 16_384
INT64_DIGITS = 19

_CARRIED = (PREFIX + "attempts", PREFIX + "first-failed-at")  # a replayed record keeps these, so that they go on
_TIMESTAMP_TYPES = {0: "CreateTime", 1: "LogAppendTime"}
_RECORD_OVERHEAD = 128  # of a batch of one record, and its lengths
_HEADER_OVERHEAD = 10


class Consumed(Protocol):
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def timestamp_type(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class Failure(NamedTuple):
    """When and why a record failed, and who had it; `attempts` are those since it was last read from its topic."""

    failed_at: int
    stage: str
    reason: str
    error: str
    message: str
    stack: str = ""
    attempts: int = 1
    group: str = ""
    processor: str = ""
    version: str = ""


class Letter(NamedTuple):
    """What is sent to the dead-letter topic."""

    key: bytes | None
    value: bytes | None
    headers: Written


class Reference(msgspec.Struct, frozen=True):
    """Stands for a value that did not fit."""

    topic: str
    partition: int
    offset: int
    sha256: str
    bytes: int


_LIMITS = {"message": MESSAGE_BYTES, "stack": STACK_BYTES}
NUMBERS = ("partition", "offset", "timestamp", "attempts", "first_failed_at", "failed_at")
TEXTS = (
    "topic",
    "timestamp_type",
    "group",
    "stage",
    "reason",
    "error",
    "message",
    "stack",
    "trace",
    "processor",
    "version",
)


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter read back. `value` is None where a reference stands for it; `headers` are the record's own."""

    key: bytes | None
    value: bytes | None
    headers: Written
    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: str
    group: str
    stage: str
    reason: str
    error: str
    message: str
    stack: str
    attempts: int
    first_failed_at: int
    failed_at: int
    trace: str
    processor: str
    version: str
    replay_of: str = ""
    reference: Reference | None = None

    @classmethod
    def read(cls, key: bytes | None, value: bytes | None, headers: Headers) -> DeadLetter:
        """Whatever it finds: a header that is missing or odd reads as empty, or 0."""
        found = dict(headers)
        said: dict[str, Any] = {name: _text(found, _header(name)) for name in TEXTS}
        said |= {name: _number(found, _header(name)) for name in NUMBERS}
        reference = _reference(value) if PREFIX + "reference" in found else None
        return cls(
            key=key,
            value=value if reference is None else None,
            headers=_own(headers),
            replay_of=_text(found, REPLAY_OF),
            reference=reference,
            **said,
        )


def dead_letter(topic: str, partition: int, record: Consumed, failure: Failure, max_bytes: int) -> Letter:
    """The record byte for byte, as far as it fits into `max_bytes`; what an earlier failure said is replaced."""
    about = _about(topic, partition, record, failure)
    forms = (letter for letter in _forms(topic, partition, record, about) if size(letter) <= max_bytes)
    return next(forms, Letter(None, None, about))


def replayed(headers: Headers, dlq: str, partition: int, offset: int) -> Written:
    """The headers of the record when it is sent to its topic again."""
    kept = [(name, value) for name, value in headers if name in _CARRIED or not name.startswith((PREFIX, REPLAY_OF))]
    return [*kept, (REPLAY_OF, f"{dlq}/{partition}/{offset}".encode())]


def size(letter: Letter) -> int:
    """At most what Kafka counts for it, alone in a batch and not compressed."""
    headers = sum(len(name.encode()) + len(value or b"") + _HEADER_OVERHEAD for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers + _RECORD_OVERHEAD


def _forms(topic: str, partition: int, record: Consumed, about: Written) -> Iterator[Letter]:
    """Longest first."""
    own = _own(record.headers)
    yield Letter(record.key, record.value, [*own, *about])
    value = record.value or b""
    digest = sha256(value).hexdigest()
    reference = to_json(Reference(topic, partition, record.offset, digest, len(value)))
    referring = [*about, (PREFIX + "reference", b"sha256")]
    yield Letter(record.key, reference, [*own, *referring])
    yield Letter(record.key, reference, referring)
    yield Letter(None, reference, referring)


def _about(topic: str, partition: int, record: Consumed, failure: Failure) -> Written:
    before = dict(record.headers)
    said = {
        "topic": topic,
        "partition": partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "timestamp_type": _TIMESTAMP_TYPES.get(record.timestamp_type, "NoTimestampType"),
        **failure._asdict(),
        "attempts": _number(before, _header("attempts")) + failure.attempts,
        "first_failed_at": _number(before, _header("first_failed_at")) or failure.failed_at,
        "trace": (trace_of(record.headers) or b"").decode(),
    }
    said["stack"] = failure.stack[-STACK_BYTES:]  # the innermost frames come last
    return [(_header(name), cut(str(value), _LIMITS.get(name, TEXT_BYTES))) for name, value in said.items()]


def cut(text: str, limit: int) -> bytes:
    """As UTF-8 of at most `limit` bytes, whole characters only; what UTF-8 cannot say is escaped."""
    encoded = text.encode(errors="backslashreplace")
    return encoded if len(encoded) <= limit else encoded[:limit].decode(errors="ignore").encode()


def _own(headers: Headers) -> Written:
    return [(name, value) for name, value in headers if not name.startswith(PREFIX)]


def _header(name: str) -> str:
    return PREFIX + name.replace("_", "-")


def _text(found: Mapping[str, bytes], header: str) -> str:
    return (found.get(header) or b"").decode(errors="replace")


def _number(found: Mapping[str, bytes], header: str) -> int:
    text = _text(found, header)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= INT64_DIGITS else 0


def _reference(value: bytes | None) -> Reference | None:
    try:
        return msgspec.json.decode(value or b"", type=Reference)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
