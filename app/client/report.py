"""What becomes of a caller's calls, told to the fleet on `iopt.call-outcomes` (contract 4.1), and what its retries,
limiters and bulkheads did, on `iopt.client-events` (4.3).

Telling never slows a call down and never fails one. Both are counted where the parts count them anyway; a daemon thread
sends what has come together. Outcomes: every 500 ms, and at once where the fleet waits for it, which is in HALF_OPEN
and for the first call that is refused after an OPEN was to end. Events: every second. What there is no room for is
dropped, and counted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count

import msgspec

from ..domain.breakers.calls import CallOutcome
from ..domain.client_events import ClientEvents
from . import forks
from .breaker import CircuitBreaker
from .breaker_steps import Call, Note
from .clock import CLOCK, Clock
from .folds import Folded, Single, calls_of, named, said_of
from .part import Part
from .scope import Scope, Who
from .tally import Tallies

TOPIC = "iopt.call-outcomes"
EVENTS = "iopt.client-events"
EVERY_MS = 500
AT_EXIT_MS = 2_000
TYPE = "iopt.call.outcome"
EVENTS_TYPE = "iopt.client.events"

log = logging.getLogger("iopt_client")
Headers = Sequence[tuple[str, bytes]]
Send = Callable[[str, bytes, bytes, Headers], object]


class Report:
    """The listener of any number of breakers; what other parts did it asks them.

    `send(topic, key, value, headers)` must return at once, and raise where it takes nothing: `KafkaTransport.send`, or
    that of a producer of yours, which must place keys as Java's does (librdkafka: `partitioner=murmur2_random`).
    `single`: a record for each call, instead of at most a second of calls in one.
    """

    def __init__(self, send: Send, who: Who, *, single: bool = False, topic: str = TOPIC, clock: Clock = CLOCK) -> None:
        self._born = who
        self._send, self._single, self._topic, self._clock = send, single, topic, clock
        self._breakers: dict[str, CircuitBreaker] = {}
        self._tallies = Tallies(who, clock)
        self._threads: dict[str, Callable[[], object]] = {}
        self._closed = False
        self._begin(who)
        forks.keep(self)

    def _begin(self, who: Who) -> None:
        self.who = who
        self.sent = self._unsent = self.events_sent = self.events_dropped = 0
        self._waiting: Folded | Single = Single() if self._single else Folded(self._slow_ms)
        self._source, self._numbers = f"/{who.caller}/{who.client}".encode(), count(1)
        self._lock = threading.Lock()
        self.urgent = threading.Event()
        self._asleep = self._threads.copy()

    def forked(self) -> None:
        """What waits is the parent's to tell. The child tells in a name of its own, from its first call or event on."""
        self._begin(self._born.forked())
        self._tallies.forked(self.who, self.wake)

    @property
    def asleep(self) -> bool:
        return bool(self._asleep)

    @property
    def dropped(self) -> int:
        """Calls of which the fleet was not told."""
        return self._waiting.dropped + self._unsent

    def watch(self, part: Part) -> None:
        """From now on it tells of that breaker's calls, whose name is the service's; or what that retry, rate limiter,
        time limiter or bulkhead does. ValueError for other parts.
        """
        if isinstance(part, CircuitBreaker):
            self._breakers[part.name] = part
            part.listener = self
        else:
            self._tallies.add(part)
        self.wake()

    def ended(self, breaker: str, call: Call, seen_seq: int | None) -> None:
        with self._lock:
            self._waiting.ended(said_of(breaker, call.about, seen_seq), call)
        if call.urgent:
            self.urgent.set()
        self.wake()

    def succeeded(self, breaker: str, notes: list[Note], wall_ms: Callable[[int], int], seen_seq: int | None) -> None:
        by_scope: dict[Scope | None, list[Note]] = {}
        for note in notes:
            by_scope.setdefault(note[2], []).append(note)
        with self._lock:
            for about, of in by_scope.items():
                self._waiting.succeeded(said_of(breaker, about, seen_seq), of, wall_ms)

    def flush(self) -> None:
        """Sends all that waits, events at most once in a second; does not wait until it has arrived."""
        for breaker in tuple(self._breakers.values()):
            breaker.settle()
        with self._lock:
            outcomes = self._waiting.take()
        for outcome in outcomes:
            if self._told(self._topic, TYPE, outcome.service, named(outcome, *self.who)):
                self.sent += calls_of(outcome)
            else:
                self._unsent += calls_of(outcome)
        for events in self._tallies.take(at_once=self._closed):
            if self._told(EVENTS, EVENTS_TYPE, events.name, events):
                self.events_sent += sum(events.counts.values())
            else:
                self.events_dropped += sum(events.counts.values())

    def start(self, **beside: Callable[[], object]) -> None:
        """From now on a thread flushes: every 500 ms, and when it is urgent. Others run what is `beside` it."""
        self._threads = {"report": self._run, **beside}
        self._asleep = self._threads.copy()
        self.wake()

    def wake(self) -> None:
        """Starts those threads where they do not run: in a child of the process that started them."""
        while self._asleep and not self._closed:
            with suppress(KeyError):  # another thread wakes them, too
                name, run = self._asleep.popitem()
                threading.Thread(target=run, name=f"iopt-{name}", daemon=True).start()

    def close(self) -> None:
        """Sends the last of it; what is told afterwards waits for ever."""
        self._closed = True
        self.urgent.set()
        self.flush()

    def _told(self, topic: str, type_: str, subject: str, body: CallOutcome | ClientEvents) -> bool:
        try:
            self._send(topic, subject.encode(), msgspec.json.encode(body), self._headers(type_, subject))
        except Exception as error:  # noqa: BLE001  # a producer of others: whatever it raises, no call fails
            log.debug("%s of %s was not sent: %s", type_, subject, error)
            return False
        return True

    def _headers(self, type_: str, subject: str) -> Headers:
        """CloudEvents in binary mode (contract 1.4)."""
        now = datetime.fromtimestamp(self._clock.wall_ms() / 1000, UTC)
        return (
            ("ce_specversion", b"1.0"),
            ("ce_type", type_.encode()),
            ("ce_source", self._source),
            ("ce_id", f"{self.who.client}#{next(self._numbers)}".encode()),
            ("ce_subject", subject.encode()),
            ("ce_time", f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z".encode()),
            ("ce_dataschema", f"urn:iopt:{type_}:1".encode()),
            ("content-type", b"application/json"),
        )

    def _slow_ms(self, service: str) -> int:
        return self._breakers[service].policy.slow_call_duration_threshold_ms

    def _run(self) -> None:
        while not self._closed:
            self._clock.wait(self.urgent, EVERY_MS * 1_000_000)
            self.urgent.clear()
            self.flush()
