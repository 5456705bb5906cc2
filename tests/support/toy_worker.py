"""A worker process of the toy row: `python -m tests.support.toy_worker BOOTSTRAP PREFIX DATA [OPTIONS]`.

OPTIONS is JSON: fields of the Plan; `sabotage`, names of things to break; `wall`, the file that moves the clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from app.engine.plan import Plan
from app.engine.service import FAILED, REFUSED, Worker
from app.engine.startup import BrokerError, NotReady
from app.telemetry import logs
from tests.support.sabotage import sabotage
from tests.support.toy import Account, Misread, hastening, noting, reading, toy
from tests.support.wall import hang_up
from tests.support.watched import serving


@asynccontextmanager
async def alone(_worker: Worker) -> AsyncIterator[None]:
    yield


async def at_once(_worker: Worker) -> None: ...


def plan_of(bootstrap: str, prefix: str, data: str, **options: Any) -> Plan:
    row = toy(prefix, options.pop("stored_format", 1), Misread if options.pop("misread", False) else Account)
    gifts, memos = options.pop("gifts", ""), options.pop("memos", "")
    processors = [reading(row.processor, gifts) if gifts else row.processor]
    if options.pop("notes", False):
        notes = noting(prefix, row.additions).processor
        processors.append(reading(notes, memos) if memos else notes)
    if urgent := options.pop("urgent", ""):
        processors.append(hastening(row.processor, urgent))
    known: dict[str, Any] = {
        "needs": [row.sums, row.alarms],
        "session_s": 4.0,
        "transaction_ms": 4_000,
        "timer_wait_s": 3.0,
        "group": f"{prefix}group",
    }
    return Plan(bootstrap=bootstrap, processors=processors, data=Path(data), **known | options)


async def main(bootstrap: str, prefix: str, data: str, options: str = "{}") -> None:
    chosen = json.loads(options)
    broken, wall = chosen.pop("sabotage", ""), chosen.pop("wall", "")
    if wall:
        hang_up(Path(wall))
    if broken:
        sabotage(broken)
    worker = Worker(plan_of(bootstrap, prefix, data, **chosen))
    try:
        await worker.check()
    except NotReady as refusal:
        logs.log.error("worker_refused", error=str(refusal))
        sys.exit(REFUSED)
    except BrokerError as error:
        logs.log.error("worker_failed", error=repr(error), exit_code=FAILED)
        sys.exit(FAILED)
    await worker.run(alone if worker.port is None else serving, at_once)


if __name__ == "__main__":
    logs.configure("json")
    asyncio.run(main(*sys.argv[1:]))
