"""The product's engine as a contender: one worker process, one row. Configured by the environment, as the peer is."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.engine.plan import Plan
from app.engine.processor import PROCESSORS
from app.engine.service import Worker
from tests.bench import rows
from tests.bench.workloads import PARTITIONS

told: list[float] = []


def begun() -> None:
    if not told:
        told.append(time.time())
        sys.stdout.write(f"begun {told[0] * 1_000:.0f}\n")
        sys.stdout.flush()


@asynccontextmanager
async def nothing_around(_worker: Worker) -> AsyncIterator[None]:
    yield


async def nothing_before(_worker: Worker) -> None:
    pass


async def main() -> None:
    row = rows.breaker_row if os.environ["WORKLOAD"] == "w1" else rows.saga_row
    app = os.environ["APP_ID"]
    written = row(os.environ["IN_TOPIC"], app, begun)
    plan = Plan(
        bootstrap=os.environ["BOOTSTRAP"],
        group=app,
        processors=PROCESSORS,
        data=Path(os.environ["STATE_DIR"]),
        needs=written,
        partitions=PARTITIONS,
    )
    worker = Worker(plan)
    await worker.check()
    await worker.run(nothing_around, nothing_before)


if __name__ == "__main__":
    asyncio.run(main())
