"""W4: a cold start from a changelog that holds many running sagas, and then the step of W2 on them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import NamedTuple

from app.wire.partition import partition
from app.wire.topics import changelog, configs
from tests.bench import rows, workloads
from tests.bench.cluster import Cluster, Failed, Sendable
from tests.bench.contender import Contender, named
from tests.bench.oracle import Document, Figures, Result, saga_step
from tests.bench.process import Job, Process, prepared, wait_for_quiet
from tests.bench.run import Measured, differences, figures, measured, until_committed

MARKERS = 64  # records that wait for the restore: some for each task
COMPACTED_S = 180.0


class Cold(NamedTuple):
    sagas: int
    start_s: float  # from the process' start to its first look at the changelog
    restore_s: float
    rate: float  # records a second, of the restore alone
    first_s: float  # from the process' start to the first record that was processed
    then: Measured  # as many records as were asked for, once all tasks are ready; RSS is of the whole


def cold(contender: Contender, cluster: Cluster, job: Job, sagas: int, count: int) -> Cold:
    """`job` has an inbox of its own, which is made here."""
    with prepared(contender, cluster, job) as process:
        fill(process, sagas)
        coming = workloads.steady_records(sagas)
        cluster.preload(job.inbox, islice(coming, MARKERS), job.partitions)
        since = cluster.ends(process.changelog)
        wait_for_quiet()
        began = time.time()
        process.start()
        samples = until_committed(process, MARKERS)
        more: list[Sendable] = [(key, value, ()) for key, value in islice(coming, count)]
        wait_for_quiet(COMPACTED_S)  # what a restore leaves to be compacted belongs to it, not to the records after it
        sent = time.time()
        cluster.send(job.inbox, more)
        samples += until_committed(process, MARKERS + count)
        process.stop()
        then = measured(samples, sent, count, differences(figures(process, since), expected(sagas, MARKERS + count)))
        first, last, found = restored(process)
        processed = process.begun() or last
    cluster.delete_like(job.inbox)
    return Cold(sagas, first - began, last - first, found / (last - first), processed - began, then)


def restored(process: Process) -> tuple[float, float, float]:
    """When the first task began, when the last one ended, and how many rows. Raises Failed."""
    begins, ends = process.said("restoring"), process.said("restored")
    if not begins or not ends:
        raise Failed(f"{process.contender.name} did not say that it restored")
    return min(at for at, *_ in begins), max(at for at, *_ in ends), sum(rows for _, rows in ends)


def fill(process: Process, sagas: int) -> None:
    """The changelog, as the contender itself would have written it."""
    pack, workload = process.contender.pack, process.job.workload
    assert pack is not None, f"{process.contender.name}: not known how its states are stored"
    process.cluster.create(process.changelog, partitions=process.job.partitions, config=configs(changelog("any")))

    def placed() -> Iterator[tuple[int, workloads.Pair]]:
        for number in range(sagas):
            saga = rows.under_way(number)
            yield partition(saga.saga.encode(), process.job.partitions), pack(workload, saga)

    process.cluster.place(process.changelog, placed())


@cache
def expected(sagas: int, count: int) -> Result:
    """The outputs of the records, and the states of the sagas that they touch."""
    found, states = Figures(), dict[bytes, Document]()
    for key, value in islice(workloads.steady_records(sagas), count):
        before = states.get(key) or before_all(int(key[2:]), sagas)
        state, output = saga_step(before, json.loads(value))
        assert state is not None, f"{key!r}: a record that moves nothing"
        assert output is not None, f"{key!r}: a record that moves nothing"
        states[key] = state
        found.add_output(*output)
    for key, state in states.items():
        found.add_state(key.decode(), state)
    return found.result()


def before_all(number: int, sagas: int) -> Document | None:
    if number >= sagas:
        return None
    saga = rows.under_way(number)
    return named(saga) | {"order": json.loads(saga.order)}
