"""Where a worker answers, and what it hears when it is to end: rules T5 and T6."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.engine import service
from app.engine.broker.protocol import LeaveGroup
from app.engine.group.group import Coordinator
from app.engine.group.slots import Slot
from app.engine.plan import Plan
from app.engine.service import Worker
from tests.support.one_task import TOY


def worker(**options: Any) -> Worker:
    return Worker(Plan(bootstrap="", group="g", processors=[TOY.processor], data=Path("nowhere"), **options))


@pytest.mark.parametrize(("options", "port"), [({"port": 8104}, 8106), ({"port": 8104, "port_is_fixed": True}, 8104)])
def test_t5_a_slot_has_a_port_of_its_own_unless_it_is_fixed(options: dict[str, Any], port: int) -> None:
    one = worker(**options)
    one.slot = Slot(2, Path("nowhere"), "a1", -1)
    assert one.port == port


@pytest.fixture
def unending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is told to stop ends its process in the end."""
    monkeypatch.setattr(service, "os", SimpleNamespace(**vars(os) | {"_exit": lambda _code: None}))
    monkeypatch.setattr(Coordinator, "leaving", False)


@pytest.mark.usefixtures("unending")
async def test_t6_the_first_signal_keeps_the_seat_and_the_second_gives_it_up() -> None:
    one, leaving = worker(), list[bool]()
    for _ in range(2):
        one._told_to_stop()
        leaving.append(Coordinator.leaving)
    assert leaving == [False, True]
    assert one.stopping.is_set()


@pytest.mark.usefixtures("unending")
async def test_t6_who_shall_leave_gives_it_up_at_once() -> None:
    worker(leave=True)._told_to_stop()
    assert Coordinator.leaving


@pytest.mark.parametrize("leaving", [False, True])
async def test_t6_a_static_member_leaves_by_its_instance_id_and_only_when_it_shall(
    monkeypatch: pytest.MonkeyPatch, leaving: bool
) -> None:
    """aiokafka alone never takes a static member out of its group."""
    sent: list[Any] = []

    async def send(_self: Coordinator, request: Any) -> None:
        sent.append(request)

    monkeypatch.setattr(Coordinator, "_send_req", send)
    monkeypatch.setattr(Coordinator, "leaving", leaving)
    member = object.__new__(Coordinator)
    member.group_id, member.generation, member._group_instance_id = "g", 3, "a1"
    member.reset_generation = lambda: None
    await member._maybe_leave_group()
    assert [type(request) for request in sent] == [LeaveGroup] * leaving
    assert all("a1" in str(request.values) for request in sent)
