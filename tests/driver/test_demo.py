"""The demo in memory and in virtual time: its orders, its definition, its services with all their whims, its books."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from agents.route import start_sagas
from agents.saga import run_sagas
from app.domain.retry import RetryPolicy
from app.domain.sagas.participant import usual
from app.domain.sagas.route import routes_of
from app.engine.driver import Driver, Sent
from app.engine.processor import PROCESSORS
from app.wire.definitions import load_definitions
from app.wire.topics import DEFINITIONS, DOMAIN_EVENTS, SAGA_EVENTS, SAGA_REPLIES, commands, domain_events
from deploy.demo.books import Audit, audit
from deploy.demo.command import Reply, read
from deploy.demo.ledger import Entry, Ledger
from deploy.demo.orders import TOPIC, Event, events, orders
from deploy.demo.participant import Participant
from deploy.demo.participants import NAMES
from deploy.demo.story import Story
from deploy.demo.whims import Whims
from tables.route import routes
from tables.saga import participants, retries

DEFINITION = Path(__file__).resolve().parents[2] / "deploy" / "demo" / "definitions" / "order.yaml"
THRICE = RetryPolicy(max_attempts=3, wait_ms=500, multiplier=2.0)
COUNT, SEED = 400, 7
BETWEEN_MS, TICK_MS = 17, 50


class Committed(NamedTuple):
    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    timestamp: int


class Scene:
    def __init__(self, careful: bool) -> None:
        [definition] = load_definitions([DEFINITION])
        self.orders_topic = domain_events(TOPIC, ["order.created"], type_from="$.eventType")
        self.driver = Driver(
            [each for each in PROCESSORS if each.run in (start_sagas, run_sagas)],
            {DOMAIN_EVENTS: [self.orders_topic]},
            {routes: routes_of([definition]).get, participants: usual, retries: dict.fromkeys(NAMES, THRICE).get},
            careful=careful,
        )
        self.driver.send(DEFINITIONS, definition.id, definition)
        self.services = [Participant(name, Ledger(":memory:"), Whims(SEED, COUNT)) for name in NAMES]
        self._seen = dict.fromkeys(NAMES, 0)
        self._later: list[tuple[int, int, Reply]] = []
        self._order = count()

    def play(self) -> None:
        begin = self.driver.now_ms
        coming = deque((begin + number * BETWEEN_MS, event) for number, event in enumerate(events(SEED, COUNT)))
        while coming or len(self.story().endings) < COUNT:
            assert self.driver.now_ms < begin + 300_000, "orders do not end"
            for _ in range(20):
                self._tick(coming)

    def story(self) -> Story:
        story = Story()
        for topic in (TOPIC, SAGA_EVENTS.name):
            for sent in self._sent(topic):
                story.tell(Committed(topic, sent.key, sent.value, list(sent.headers), sent.timestamp))
        return story

    def audit(self) -> Audit:
        return audit(orders(SEED, COUNT), self.story().endings, list(self._entries()))

    def _tick(self, coming: deque[tuple[int, Event]]) -> None:
        self.driver.advance(TICK_MS)
        while coming and coming[0][0] <= self.driver.now_ms:
            _, event = coming.popleft()
            self.driver.send(self.orders_topic, event.key, event.value, event.headers)
        for service in self.services:
            self._serve(service)
        while self._later and self._later[0][0] <= self.driver.now_ms:
            _, copy, reply = heapq.heappop(self._later)
            headers = reply.headers(copy, self.driver.now_ms)
            self.driver.send(SAGA_REPLIES, reply.command.saga_id, reply.value(), headers)

    def _serve(self, service: Participant) -> None:
        records = self._sent(f"{service.name}.commands")[self._seen[service.name] :]
        self._seen[service.name] += len(records)
        taken = [read(sent.value or b"", sent.headers, (0, place)) for place, sent in enumerate(records)]
        for reply in service.take(taken, self.driver.now_ms):
            heapq.heappush(self._later, (self.driver.now_ms + reply.delay_ms, next(self._order), reply))

    def _sent(self, topic: str) -> list[Sent]:
        return self.driver.records(commands(topic))

    def _entries(self) -> Iterator[Entry]:
        for service in self.services:
            yield from service.ledger.entries()


@pytest.mark.parametrize("careful", [False, True], ids=["batch", "careful"])
def test_every_order_of_the_demo_ends_as_it_should(careful: bool) -> None:
    scene = Scene(careful)
    scene.play()
    audit, story = scene.audit(), scene.story()
    assert audit.findings == ()
    assert story.findings() == []
    states = Counter(story.endings.values())
    assert set(states) == {"COMPLETED", "COMPENSATED", "IN_DEBT"}
    assert sorted(letter.reason for letter in scene.driver.dead(scene.orders_topic)) == ["bad-key", "undecodable"]
    assert scene.driver.complaints == []
