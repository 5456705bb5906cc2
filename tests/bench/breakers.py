"""The product's own breakers, by `iopt worker`: how many calls it folds, and how soon others see a breaker open.

While 110 services are called at a steady rate, some twenty breakers a second get their tenth failure: each must be
read as OPEN on `iopt.breaker-states`, once, and no other.
"""

from __future__ import annotations

import random
import shutil
import time
from itertools import cycle
from typing import NamedTuple

import msgspec
import psutil
from confluent_kafka import Consumer, TopicPartition

from app.domain.breakers.calls import CallOutcome, State
from app.wire.topics import BREAKER_STATES, CALL_OUTCOMES
from tests.bench.cluster import Cluster, Failed, Sendable
from tests.bench.orders import GROUP, Phase, Product, forget, measured
from tests.bench.process import used, wait_for_quiet
from tests.bench.workloads import PARTITIONS

SERVICES, CALLERS, FAILED_PERCENT = 110, 40, 2
FAILURES = 10  # minimumNumberOfCalls of the demo's settings
PROBES_A_S, LEFT_OUT_S, LIMIT_S, NAP_S = 20, 2.0, 30.0, 0.001
LINGER_MS = 5


class Visible(NamedTuple):
    """From the intended send of the failure that opens a breaker to its state at a read_committed consumer."""

    rate: float
    probes: int
    p50_ms: float
    p99_ms: float
    own_percent: float  # of one core
    broker_percent: float
    late_ms: float  # of the sender
    wrong: str


class Breakers(NamedTuple):
    flood: Phase
    visible: Visible


class Told(msgspec.Struct):
    breaker: str
    state: State


def outcome(service: str, caller: int, how: str) -> bytes:
    return msgspec.json.encode(
        CallOutcome(
            service=service,
            caller=f"caller-{caller}",
            operation="charge",
            outcome=how,
            duration_ms=12,
            at=1_790_000_000_000,
        )
    )


def calls(count: int, dice: random.Random) -> list[tuple[bytes, bytes]]:
    """Services and bodies; few fail, so that no breaker opens."""
    found = []
    for _ in range(count):
        service = f"service-{dice.randrange(SERVICES)}"
        how = "failure" if dice.randrange(100) < FAILED_PERCENT else "success"
        found.append((service.encode(), outcome(service, dice.randrange(CALLERS), how)))
    return found


def breakers(cluster: Cluster, flood: int, rate: int, seconds: float) -> Breakers:
    """The topics' names are the product's: they, its group and its state are gone afterwards. Raises Failed."""
    directory = cluster.runs / "breakers"
    shutil.rmtree(directory, ignore_errors=True)
    try:
        return phases(Product(cluster, directory), flood, rate, seconds)
    finally:
        forget(cluster)


def phases(product: Product, flood: int, rate: int, seconds: float) -> Breakers:
    """Raises Failed."""
    cluster, topic, coming = product.cluster, CALL_OUTCOMES.name, calls(20_000, random.Random(7))
    product.create_topics()
    preloaded: list[Sendable] = [(key, body, ()) for key, body in coming]
    sent = sum(cluster.send(topic, preloaded) for _ in range(flood // len(coming)))
    wait_for_quiet()
    with product.running(product.directory / "worker.log") as worker:
        first = measured(topic, sent, cluster, worker, cluster.committed(GROUP, topic))
        return Breakers(first, visible(cluster, worker, coming, rate, seconds))


def visible(
    cluster: Cluster, worker: psutil.Popen, coming: list[tuple[bytes, bytes]], rate: int, seconds: float
) -> Visible:
    """Raises Failed."""
    reader = cluster.consumer({"fetch.wait.max.ms": 20})
    ends = cluster.ends(BREAKER_STATES.name)
    reader.assign([TopicPartition(BREAKER_STATES.name, number, ends[number]) for number in range(PARTITIONS)])
    broker = psutil.Process(cluster.broker_pid)
    before = time.time(), used(worker.cpu_times()), used(broker.cpu_times())
    due, late, opened = open_load(cluster, reader, coming, rate, seconds)
    span = time.time() - before[0]
    own, brokers = used(worker.cpu_times()) - before[1], used(broker.cpu_times()) - before[2]
    until_seen(reader, due, opened)
    reader.close()
    begin = min(due.values())
    waits = sorted(1e3 * (opened[name][0] - at) for name, at in due.items() if at >= begin + LEFT_OUT_S)
    late.sort()
    return Visible(
        rate,
        len(waits),
        waits[len(waits) // 2],
        waits[len(waits) * 99 // 100],
        100 * own / span,
        100 * brokers / span,
        1e3 * late[len(late) * 99 // 100],
        differences(due, opened),
    )


Opened = dict[str, list[float]]  # by breaker: when it was read as OPEN


def open_load(
    cluster: Cluster, reader: Consumer, coming: list[tuple[bytes, bytes]], rate: int, seconds: float
) -> tuple[dict[str, float], list[float], Opened]:
    """When each breaker had its last failure due, how late each look was, and what has opened so far."""
    producer = cluster.producer(**{"linger.ms": LINGER_MS, "queue.buffering.max.messages": 1_000_000})
    due, late, opened = dict[str, float](), list[float](), Opened()
    topic, records, each = CALL_OUTCOMES.name, cycle(coming), rate // PROBES_A_S
    begin, sent, count = time.time(), 0, int(rate * seconds)
    while sent < count:
        now = time.time()
        for number in range(sent, until := min(count, int((now - begin) * rate) + 1)):
            if number % each == 0:
                name = f"probe-{number}"
                due[name] = begin + number / rate
                for _ in range(FAILURES):
                    producer.produce(topic, outcome(name, 0, "failure"), name.encode())
            key, body = next(records)
            producer.produce(topic, body, key)
        late.append(now - begin - sent / rate)
        sent = until
        producer.poll(0)
        note(reader, opened, 0)
        time.sleep(NAP_S)
    if producer.flush(30):
        raise Failed("breakers: not every outcome was written")
    return due, late, opened


def until_seen(reader: Consumer, due: dict[str, float], opened: Opened) -> None:
    """Raises Failed."""
    end = time.monotonic() + LIMIT_S
    while not due.keys() <= opened.keys():
        if time.monotonic() > end:
            raise Failed(f"breakers: {len(due.keys() - opened.keys())} of {len(due)} did not open")
        note(reader, opened, 0.02)


def note(reader: Consumer, opened: Opened, patience_s: float) -> None:
    for message in reader.consume(500, patience_s):
        told = msgspec.json.decode(message.value() or b"", type=Told)
        if told.state is State.OPEN:
            opened.setdefault(told.breaker, []).append(time.time())


def differences(due: dict[str, float], opened: Opened) -> str:
    others, twice = opened.keys() - due.keys(), [name for name, at in opened.items() if len(at) > 1]
    return f"{len(others)} others opened, {len(twice)} twice" if others or twice else ""
