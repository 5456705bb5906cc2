"""What each topic takes at once: its `max.message.bytes`, of which a record batch may use no more."""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from app.domain.errors import TooLarge
from app.wire.codec import Headers

BATCH_BYTES = 900_000  # at most, and where a topic's limit is not known: below Kafka's own
OUT_BYTES = 1_000_000  # the same of a record alone in its batch
AROUND_BYTES = 16_384  # what a batch of one and the headers of a record may take beside its key and value


class Limits:
    __slots__ = ("_known", "plain")

    def __init__(self) -> None:
        self._known: Mapping[str, int] = {}
        self.plain = OUT_BYTES - AROUND_BYTES  # key and value of no more than this fit into every topic

    def learn(self, known: Mapping[str, int]) -> None:
        """Of all topics that can be told."""
        self._known, self.plain = known, min([OUT_BYTES, *known.values()]) - AROUND_BYTES

    def of(self, topic: str, otherwise: int) -> int:
        return self._known.get(topic, otherwise)

    def batch(self, topic: str) -> int:
        """The bytes that a batch may grow to."""
        return min(BATCH_BYTES, self.of(topic, BATCH_BYTES))

    def check(self, topic: str, key: bytes, value: bytes, headers: Headers) -> None:
        """Raises TooLarge for a record that the topic does not even take alone."""
        size = DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, headers)
        limit = min(OUT_BYTES, self.of(topic, OUT_BYTES))
        if size > limit:
            raise TooLarge(f"{topic}: {size} bytes, and {limit} fit")


UNKNOWN = Limits()  # where there is nobody to ask
