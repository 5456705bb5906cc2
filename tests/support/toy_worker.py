"""A worker process of the toy row: `python -m tests.support.toy_worker BOOTSTRAP PREFIX DATA`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.engine.service import Plan, Worker
from app.telemetry import logs
from tests.support.toy import toy


@asynccontextmanager
async def nothing(_worker: Worker) -> AsyncIterator[None]:
    yield


async def main(bootstrap: str, prefix: str, data: str) -> None:
    row = toy(prefix)
    worker = Worker(
        Plan(
            bootstrap=bootstrap,
            group=f"{prefix}group",
            processors=[row.processor],
            data=Path(data),
            needs=[row.sums, row.alarms],
            session_s=4.0,
            timer_wait_s=3.0,
        )
    )
    await worker.check()
    await worker.run(nothing)


if __name__ == "__main__":
    logs.configure("json")
    asyncio.run(main(*sys.argv[1:]))
