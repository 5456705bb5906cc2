"""What becomes of a caller's calls, told to the fleet on `iopt.call-outcomes` (contract 4.1).

Telling never slows a call down and never fails one. Outcomes are counted where the breaker counts them anyway; a daemon
thread sends what has come together: every 500 ms, and at once where the fleet waits for it, which is in HALF_OPEN and
for the first call that is refused after an OPEN was to end. What there is no room for is dropped, and counted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count

import msgspec

from ..domain.calls import CallOutcome
from .breaker import CircuitBreaker
from .breaker_steps import Call, Note
from .clock import CLOCK, Clock
from .folds import Folded, Single, calls_of, named, said_of
from .scope import Scope, Who

TOPIC = "iopt.call-outcomes"
EVERY_MS = 500
AT_EXIT_MS = 2_000
TYPE = b"iopt.call.outcome"

log = logging.getLogger("iopt_client")
Headers = Sequence[tuple[str, bytes]]
Send = Callable[[str, bytes, bytes, Headers], object]


class Report:
    """The listener of any number of breakers.

    `send(topic, key, value, headers)` must return at once, and raise where it takes nothing: `KafkaTransport.send`, or
    that of a producer of yours, which must place keys as Java's does (librdkafka: `partitioner=murmur2_random`).
    `single`: a record for each call, instead of at most a second of calls in one.
    """

    def __init__(self, send: Send, who: Who, *, single: bool = False, topic: str = TOPIC, clock: Clock = CLOCK) -> None:
        self.who = who
        self.sent = self._unsent = 0
        self._send, self._topic, self._clock = send, topic, clock
        self._breakers: dict[str, CircuitBreaker] = {}
        self._waiting: Folded | Single = Single() if single else Folded(self._slow_ms)
        self._source, self._numbers = f"/{who.caller}/{who.client}".encode(), count(1)
        self._lock = threading.Lock()
        self.urgent = threading.Event()
        self._closed = False

    @property
    def dropped(self) -> int:
        """Calls of which the fleet was not told."""
        return self._waiting.dropped + self._unsent

    def watch(self, breaker: CircuitBreaker) -> None:
        """From now on it is told of that breaker's calls; the breaker's name is the service's."""
        self._breakers[breaker.name] = breaker
        breaker.listener = self

    def ended(self, breaker: str, call: Call, seen_seq: int | None) -> None:
        with self._lock:
            self._waiting.ended(said_of(breaker, call.about, seen_seq), call)
        if call.urgent:
            self.urgent.set()

    def succeeded(self, breaker: str, notes: list[Note], wall_ms: Callable[[int], int], seen_seq: int | None) -> None:
        by_scope: dict[Scope | None, list[Note]] = {}
        for note in notes:
            by_scope.setdefault(note[2], []).append(note)
        with self._lock:
            for about, of in by_scope.items():
                self._waiting.succeeded(said_of(breaker, about, seen_seq), of, wall_ms)

    def flush(self) -> None:
        """Sends all that waits; does not wait until it has arrived."""
        for breaker in tuple(self._breakers.values()):
            breaker.settle()
        with self._lock:
            outcomes = self._waiting.take()
        for outcome in outcomes:
            self._tell(named(outcome, *self.who))

    def start(self) -> None:
        """From now on a thread flushes: every 500 ms, and when it is urgent."""
        threading.Thread(target=self._run, name="iopt-report", daemon=True).start()

    def close(self) -> None:
        """Sends the last of it; what is told afterwards waits for ever."""
        self._closed = True
        self.urgent.set()
        self.flush()

    def _tell(self, outcome: CallOutcome) -> None:
        try:
            self._send(self._topic, outcome.service.encode(), msgspec.json.encode(outcome), self._headers(outcome))
        except Exception as error:  # noqa: BLE001  # a producer of others: whatever it raises, no call fails
            self._unsent += calls_of(outcome)
            log.debug("an outcome of %s was not sent: %s", outcome.service, error)
        else:
            self.sent += calls_of(outcome)

    def _headers(self, outcome: CallOutcome) -> Headers:
        """CloudEvents in binary mode (contract 1.4)."""
        now = datetime.fromtimestamp(self._clock.wall_ms() / 1000, UTC)
        return (
            ("ce_specversion", b"1.0"),
            ("ce_type", TYPE),
            ("ce_source", self._source),
            ("ce_id", f"{self.who.client}#{next(self._numbers)}".encode()),
            ("ce_subject", outcome.service.encode()),
            ("ce_time", f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z".encode()),
            ("ce_dataschema", b"urn:iopt:iopt.call.outcome:1"),
            ("content-type", b"application/json"),
        )

    def _slow_ms(self, service: str) -> int:
        return self._breakers[service].policy.slow_call_duration_threshold_ms

    def _run(self) -> None:
        while not self._closed:
            self._clock.wait(self.urgent, EVERY_MS * 1_000_000)
            self.urgent.clear()
            self.flush()
