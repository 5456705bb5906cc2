"""Alone in a consumer group, for as long as something is settled by hand that workers must not touch meanwhile.

All members of a group share a protocol, and no worker speaks this one. So while one of us is a member Kafka lets no
worker join (it sees whose protocol that is, and waits), and while a worker is a member we are let in no more than it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest

from app.engine.broker.admin import Refused
from app.engine.broker.codes import RETRIABLE
from app.engine.broker.protocol import LeaveGroup
from app.engine.group.door import ALONE
from app.engine.startup import reach_group
from app.engine.transactions.transaction import Claim

STAY_MS = 6_000  # the least that brokers allow; who is killed here keeps workers out for so long
OTHER_PROTOCOL, MEMBER_ID_REQUIRED, REBALANCING = 23, 79, 27
FORGOTTEN = "stop it; one that has stopped is forgotten after iopt.session-timeout"


async def refuse_members(client: AIOKafkaClient, group: str) -> None:
    """Raises Refused, naming them."""
    await reach_group(client, group)
    node = await client.coordinator_lookup(CoordinationType.GROUP, group)
    (found,) = (await client.send(node, DescribeGroupsRequest([group]), group=ConnectionGroup.COORDINATION)).groups
    if found[5]:
        named = ", ".join(f"{client_id} at {host.lstrip('/')}" for _, client_id, host, *_ in found[5])
        raise Refused(f"group {group} has members: {named}; {FORGOTTEN}")


@asynccontextmanager
async def alone(client: AIOKafkaClient, group: str) -> AsyncIterator[Claim]:
    """Raises Refused when the group has members."""
    await refuse_members(client, group)
    node = await client.coordinator_lookup(CoordinationType.GROUP, group)
    joined = await _join(client, node, group)
    try:
        if len(joined.members) != 1 or not await _settle_in(client, node, group, joined):
            raise Refused(f"group {group}: another `iopt offsets` is at work")
        yield Claim(joined.generation_id, joined.member_id, None)
    finally:
        await client.send(node, LeaveGroup(group, [(joined.member_id, None, "done", {})], {}))


async def _join(client: AIOKafkaClient, node: int, group: str) -> Any:
    member = ""
    while True:
        request = JoinGroupRequest(group, STAY_MS, STAY_MS, member, None, "consumer", [(ALONE, b"")])
        answer = await client.send(node, request, group=ConnectionGroup.COORDINATION)
        if answer.error_code == 0:
            return answer
        if answer.error_code == OTHER_PROTOCOL:
            raise Refused(f"a worker of group {group} is starting; {FORGOTTEN}")
        if answer.error_code not in (MEMBER_ID_REQUIRED, REBALANCING, *RETRIABLE):
            raise for_code(answer.error_code)(f"JoinGroup {group}")
        member = answer.member_id or member
        await asyncio.sleep(0.05)


async def _settle_in(client: AIOKafkaClient, node: int, group: str, joined: Any) -> bool:
    """Before it has an assignment, Kafka tells nobody by which protocol a group goes. False: somebody else joins."""
    assigned = [(joined.member_id, b"")]
    request = SyncGroupRequest(group, joined.generation_id, joined.member_id, None, assigned)
    answer = await client.send(node, request, group=ConnectionGroup.COORDINATION)
    if answer.error_code not in (0, REBALANCING):
        raise for_code(answer.error_code)(f"SyncGroup {group}")
    return bool(answer.error_code == 0)
