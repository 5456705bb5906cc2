"""Where each microsecond of a record goes: the steps of a task alone, in this process, and a sampled real run."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any, NamedTuple

import msgspec
from aiokafka.structs import TopicPartition

from app.engine.driver import Sent
from app.engine.processor import PROCESSORS, Out, Processor, Record
from app.engine.state.store import MemoryStore
from app.engine.tasks.lane import Runtime
from app.engine.tasks.outbox import Outbox
from app.engine.tasks.task import Task
from app.engine.topology import build
from app.wire.topics import Envelope, Topic
from tests.bench import rows, workloads
from tests.bench.cluster import Cluster
from tests.bench.contender import product
from tests.bench.run import Workload, throughput
from tests.bench.sampling import Where

CHUNK, TRANSACTION = 1_000, 3_000  # records
DECODE, DECIDE, ENCODE, AROUND = "decode the record", "decide", "encode its outputs", "the task around them"
PACK, BATCH = "pack changed states", "build record batches"
INBOX = "profile-in"
ENVELOPE = Envelope("id", "key", 1)


class Profile(NamedTuple):
    """us a record. `threads`: of a real run, by thread and file; what is not there are threads of RocksDB."""

    alone: dict[str, float]
    threads: dict[str, dict[str, float]]
    other_threads: float


class OnePartition(dict[str, int]):
    """Of every topic."""

    def get(self, _topic: str, _default: Any = None) -> int:
        return 1


class Spent:
    """CPU seconds by step."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    @contextmanager
    def on(self, step: str) -> Iterator[None]:
        begin = thread_time()
        yield
        self.seconds[step] += thread_time() - begin  # type: ignore[assignment]


def steps(workload: str, count: int) -> dict[str, float]:
    coming = workloads.call_outcomes(count) if workload == "w1" else workloads.saga_records(count)
    given = [Sent(offset, 1, key, value) for offset, (key, value) in enumerate(islice(coming, count))]
    chunks = [given[first : first + CHUNK] for first in range(0, count, CHUNK)]
    (rows.breaker_row if workload == "w1" else rows.saga_row)(INBOX, "profile", lambda: None)
    processor = PROCESSORS.pop()
    gc.collect()
    gc.freeze()
    spent = Spent()
    parts(processor, chunks, spent)
    whole(processor, chunks, spent)
    seconds = spent.seconds
    seconds[AROUND] -= seconds[DECODE] + seconds[DECIDE] + seconds[ENCODE]
    return {step: 1e6 * seconds[step] / count for step in (DECODE, DECIDE, ENCODE, AROUND, PACK, BATCH)}


def parts(processor: Processor, chunks: Sequence[Sequence[Sent]], spent: Spent) -> None:
    """What a record cannot do without, each on its own."""
    inbox = processor.sources[0]
    assert isinstance(inbox, Topic)
    decode, run, states = inbox.codec.decode, processor.run, dict[bytes | None, Any]()
    for chunk in chunks:
        with spent.on(DECODE):
            values = [decode(sent.value, ()) for sent in chunk]
        records = [Record((sent.key or b"").decode(), 1, 1, INBOX, 0, sent.offset) for sent in chunk]
        outs: list[Out] = []
        with spent.on(DECIDE):
            for sent, value, record in zip(chunk, values, records, strict=True):
                states[sent.key], more = run(states.get(sent.key), value, record)
                outs += more
        with spent.on(ENCODE):
            for out in outs:
                out.to.codec.encode(out.value, ENVELOPE)


def whole(processor: Processor, chunks: Sequence[Sequence[Sent]], spent: Spent) -> None:
    """The task as the worker drives it, a transaction for each 3,000 records."""
    outbox = Outbox()
    runtime = Runtime(OnePartition(), outbox.append, {}, print, lambda: 0)
    task = Task(build([processor], {})["profile"], 0, MemoryStore(), runtime, cache_bytes=64 << 20)
    task.changelog_partitions = 1
    task.start({INBOX: 0})
    for number, chunk in enumerate(chunks, 1):
        with spent.on(AROUND):
            at = 0
            while at < len(chunk):
                at = task.process(INBOX, chunk, at, 5, perf_counter() + 1)
        if number * CHUNK % TRANSACTION == 0 or number == len(chunks):
            commit(task, outbox, spent)


def commit(task: Task, outbox: Outbox, spent: Spent) -> None:
    with spent.on(PACK):
        snapshot = task.snapshot()
    with spent.on(BATCH):
        outbox.extend(TopicPartition("changelog", 0), 1, snapshot.write.changes)
        for batches in outbox.take().values():
            for batch in batches:
                batch.build(1, 1, 0)
    task.store.write(snapshot.write)
    task.wrote(snapshot.write)


def profile(cluster: Cluster, workload: Workload, count: int) -> Profile:
    """Sampling costs some 5 % itself."""
    file = Path(cluster.runs, f"profile-{workload.job.workload}.json")
    throughput(replace(product(), environment={"PROFILE": str(file)}), cluster, workload)
    where = msgspec.json.decode(file.read_bytes(), type=Where)
    us = 1e6 / workload.records
    threads = {name: {file: us * spent for file, spent in of.items()} for name, of in where.threads.items()}
    known = sum(sum(of.values()) for of in threads.values())
    return Profile(steps(workload.job.workload, count), threads, max(0.0, us * where.all_s - known))
