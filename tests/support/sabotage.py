"""What a test breaks inside a worker process before it starts."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

from aiokafka.consumer.group_coordinator import GroupCoordinator
from faust.transport.drivers.aiokafka import ConsumerRebalanceListener

from app.engine.broker import cluster, fetch
from app.engine.engine import Engine
from app.engine.group import recovery
from app.engine.group.assignor import TaskAssignor
from app.engine.group.conductor import Conductor
from app.engine.group.owned import Owned
from app.engine.group.transport import Consumer, ConsumerThread, Recovery
from app.engine.health import pulse
from app.engine.state.rocks import RocksStore
from app.engine.transactions.transaction import Transactions

VICTIM = 1  # the partition that hangs
IMPATIENT_S = 3.0
LATE_S = 6.0  # a topic, after all others
SIP_BYTES = 1_000  # of a partition in one fetch


class Sabotage(RuntimeError):
    pass


async def _broken(*_: Any, **__: Any) -> Any:
    raise Sabotage


def _broken_now(*_: Any, **__: Any) -> Any:
    raise Sabotage


async def _untold(*_: Any, **__: Any) -> Any:
    return {}


async def _never(*_: Any, **__: Any) -> Any:
    await asyncio.Event().wait()


_wants, _process, _apply = Owned.wants, Engine.process, recovery._apply
_wait, _add, _create = Recovery._wait, Conductor.add, ConsumerThread._create_worker_consumer


def _wants_others(owned: Owned, topic: str) -> bool:
    return owned.number != VICTIM and _wants(owned, topic)


async def _process_others(engine: Engine, chunk: Any) -> None:
    await (_never() if chunk.at.partition == VICTIM else _process(engine, chunk))


async def _apply_slowly(*given: Any) -> None:
    await _apply(*given)
    await asyncio.sleep(0.5)


async def _wait_briefly(recovery: Any, coro: Any, **limit: float) -> None:
    await _wait(recovery, coro, 1.0 if limit else None)


def _add_late(conductor: Any, topic: Any) -> None:
    late_s = LATE_S if topic.get_topic_name().endswith("notes") else 0.0
    asyncio.get_running_loop().call_later(late_s, _add, conductor, topic)


def _no_room(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _sip(thread: ConsumerThread, transport: Any) -> Any:
    consumer = _create(thread, transport)
    consumer._max_partition_fetch_bytes = SIP_BYTES
    return consumer


async def _process_late(engine: Engine, chunk: Any) -> None:
    await asyncio.sleep(0.12)  # longer than aiokafka waits for what it has fetched to be taken
    await _process(engine, chunk)


PLACES: dict[str, list[tuple[Any, str, Any]]] = {
    "assignor": [(TaskAssignor, "assign", _broken_now)],
    "listener": [(ConsumerRebalanceListener, "on_partitions_assigned", _broken)],
    "coordinator": [(GroupCoordinator, "ensure_coordinator_known", _broken)],
    "limits": [(cluster, "limits", _untold)],
    "fetch": [(Owned, "wants", _wants_others)],
    "agent": [(Engine, "process", _process_others)],
    "disk": [(RocksStore, "write", _no_room)],
    "commit": [(Transactions, "commit", _never)],
    "restore": [(recovery, "_apply", _apply_slowly), (fetch, "STEP_BYTES", 1)],
    "seek": [(Consumer, "seek_to_committed", _never), (Recovery, "_wait", _wait_briefly)],
    "subscription": [(Conductor, "add", _add_late)],
    "sips": [(ConsumerThread, "_create_worker_consumer", _sip), (Engine, "process", _process_late)],
    "impatience": [(pulse, name, IMPATIENT_S) for name in ("RESTORING_S", "STUCK_S", "HELD_S", "JOINING_S")],
}


def sabotage(places: str) -> None:
    """Errors where Faust alone would go on, or hang without a line in the log (T7); things that never end; haste."""
    for place in places.split(","):
        for owner, name, broken in PLACES[place]:
            setattr(owner, name, broken)
