"""The product's engine as a contender: one worker process, one row. Configured by the environment, as the peers are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from app.engine.plan import Plan
from app.engine.processor import PROCESSORS
from app.engine.service import Worker
from app.wire.topics import Topic
from tests.bench import rows, sampling
from tests.bench.begun import begun, tell

LOOK_S = 0.005
PARTITIONS = int(os.environ.get("PARTITIONS", "4"))


def row() -> list[Topic]:
    inbox, app, workload = os.environ["IN_TOPIC"], os.environ["APP_ID"], os.environ["WORKLOAD"]
    if workload == "w1":
        return rows.breaker_row(inbox, app, begun)
    table = rows.timed_sagas if workload == "timed" else rows.sagas
    return rows.saga_row(inbox, app, begun, table, int(os.environ["SPREAD"]))


@asynccontextmanager
async def watched(worker: Worker) -> AsyncIterator[None]:
    watching = asyncio.ensure_future(restores(worker))
    if profile := os.environ.get("PROFILE"):
        sampling.begin()
    yield
    watching.cancel()
    if profile:
        sampling.end(Path(profile))


async def restores(worker: Worker) -> None:
    """Tells when the first task began to restore, when the last one was ready, and how many rows that took."""
    await until(lambda: bool(worker.engine.owned))
    tell("restoring")
    await until(lambda: sum(owned.ready for owned in worker.engine.owned.values()) >= PARTITIONS)
    tell("restored", sum(owned.restored for owned in worker.engine.owned.values()))


async def until(true: Callable[[], bool]) -> None:
    while True:
        if true():
            return
        await asyncio.sleep(LOOK_S)


async def nothing_before(_worker: Worker) -> None:
    pass


async def main() -> None:
    plan = Plan(
        bootstrap=os.environ["BOOTSTRAP"],
        group=os.environ["APP_ID"],
        processors=PROCESSORS,
        data=Path(os.environ["STATE_DIR"]),
        needs=row(),
        partitions=PARTITIONS,
    )
    worker = Worker(plan)
    await worker.check()
    await worker.run(watched, nothing_before)


if __name__ == "__main__":
    asyncio.run(main())
