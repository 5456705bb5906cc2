"""How long nothing comes out when a worker joins, and when the only one starts again with its state and without."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from tests.bench.cluster import Cluster
from tests.bench.contender import Contender
from tests.bench.latency import RATE, Load, Seen, loaded
from tests.bench.process import Job, Process, prepared, wait_for_quiet
from tests.bench.restore import fill

BEFORE_S = 3.0
WARM_UP = 5_000
LIMIT_S = 120.0


class Pause(NamedTuple):
    what: str
    all_s: float  # without any output
    partition_s: float  # the partition that was silent for longest
    worst_s: float  # the record that waited longest
    wrong: str


def pauses(contender: Contender, cluster: Cluster, sagas: int, seconds: float) -> list[Pause]:
    """Under W3's load, on so many running sagas."""
    job = Job("w2", f"bench-pause-{time.time_ns():x}")
    cluster.create(job.inbox)
    with prepared(contender, cluster, job) as process:
        fill(process, sagas)
        wait_for_quiet()
        process.start()
        with loaded(process, sagas) as load:
            load.flood(WARM_UP)
            found = [
                pause(load, seconds, "restart, warm state", partial(restart, process)),
                pause(load, seconds, "restart, cold state", partial(restart, process, cold=True)),
                pause(load, seconds, "a second worker joins", partial(process.join, 1)),
            ]
    cluster.delete_like(job.inbox)
    return found


def pause(load: Load, seconds: float, what: str, act: Callable[[], object]) -> Pause:
    begin = load.begin(int(RATE * seconds), RATE)
    time.sleep(BEFORE_S)
    act()
    load.sender.ended()
    load.until_seen(LIMIT_S)
    seen = load.watch.seen
    parts = [[one for one in seen if one.partition == number] for number in range(load.process.job.partitions)]
    worst = max(one.at - begin - one.number / RATE for one in seen)
    wrong = f"{load.watch.unknown} outputs twice" if load.watch.unknown else ""
    return Pause(what, silence(seen), max(silence(part) for part in parts), worst, wrong)


def silence(seen: Iterable[Seen]) -> float:
    return max((after.at - before.at for before, after in pairwise(seen)), default=0.0)


def restart(process: Process, *, cold: bool = False) -> None:
    process.leave(process.members[0])
    if cold:
        for store in process.state.glob(process.contender.stores):
            shutil.rmtree(store)
    process.join(0)
