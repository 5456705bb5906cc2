"""What a test breaks inside a worker process before it starts."""

from __future__ import annotations

from typing import Any

from aiokafka.consumer.group_coordinator import GroupCoordinator
from faust.transport.drivers.aiokafka import ConsumerRebalanceListener

from app.engine import cluster
from app.engine.assignor import TaskAssignor


class Sabotage(RuntimeError):
    pass


async def _broken(*_: Any, **__: Any) -> Any:
    raise Sabotage


def _broken_now(*_: Any, **__: Any) -> Any:
    raise Sabotage


async def _untold(*_: Any, **__: Any) -> Any:
    return {}


PLACES = {
    "assignor": (TaskAssignor, "assign", _broken_now),
    "listener": (ConsumerRebalanceListener, "on_partitions_assigned", _broken),
    "coordinator": (GroupCoordinator, "ensure_coordinator_known", _broken),
    "limits": (cluster, "limits", _untold),
}


def sabotage(place: str) -> None:
    """An error where Faust alone would go on, or hang, without a line in the log (T7), or a question not answered."""
    owner, name, broken = PLACES[place]
    setattr(owner, name, broken)
