"""The consumer group as the engine needs it: instance ids in heartbeats, claims, and no error that hangs in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aiokafka.consumer import consumer as aiokafka_consumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import BrokerResponseError, InconsistentGroupProtocolError, KafkaError, kafka_errors
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.group import HeartbeatRequest
from faust.transport.drivers import aiokafka as driver

from app.engine.broker.protocol import Heartbeat, LeaveGroup
from app.engine.fatal import fatal
from app.engine.group.door import Door, Standing
from app.engine.group.recovery import Refused
from app.engine.transactions.transaction import Claim

FENCED_INSTANCE_ID = 82


class FencedInstanceIdError(BrokerResponseError):  # type: ignore[misc]
    errno = FENCED_INSTANCE_ID
    message = "FENCED_INSTANCE_ID"
    description = "Another member has this instance id."


class Watch:
    """What the group says, told to the engine: from the consumer thread, so the functions must be safe there."""

    claimed: Callable[[Claim], None] = staticmethod(lambda _claim: None)
    fenced: Callable[[], None] = staticmethod(lambda: None)
    failed: Callable[[BaseException], None] = staticmethod(lambda _error: None)


class Coordinator(GroupCoordinator):  # type: ignore[misc]
    """Without heartbeat v4 two twins steal the group from each other for ever (T6)."""

    leaving = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._door = Door(self.group_id, self._standing, self._closing)

    async def _do_rejoin_group(self, subscription: Any) -> bool:
        try:
            joined: bool = await super()._do_rejoin_group(subscription)
        except InconsistentGroupProtocolError:
            if not await self._door.opens():
                raise
            return False
        if joined:
            self._door.entered()
        return joined

    async def _standing(self) -> Standing:
        """A coordinator that does not answer, or has moved, is looked for before the next try to join."""
        try:
            ((_, _, state, _, protocol, *_),) = (await self._send_req(DescribeGroupsRequest([self.group_id]))).groups
        except KafkaError:
            return Standing("", "")
        return Standing(state, protocol)

    async def _send_req(self, request: Any) -> Any:
        if isinstance(request, HeartbeatRequest) and self._group_instance_id:
            request = Heartbeat(self.group_id, self.generation, self.member_id, self._group_instance_id, {})
        answer = await super()._send_req(request)
        if getattr(answer, "error_code", 0) == FENCED_INSTANCE_ID:
            Watch.fenced()
        return answer

    def _push_error_to_user(self, exc: BaseException) -> Any:
        """aiokafka waits here until somebody polls; Faust never does (T7)."""
        if isinstance(exc, InconsistentGroupProtocolError):
            others = f"group {self.group_id!r} has members that are no workers, or assign by another protocol than ours"
            exc = Refused(f"{others} ({self._assignors[0].name}): stop them, or set spring.kafka.consumer.group-id")
        Watch.failed(exc)
        return super()._push_error_to_user(exc)

    async def _coordination_routine(self) -> None:
        with fatal(Watch.failed):
            await super()._coordination_routine()

    async def _perform_assignment(self, response: Any) -> Any:
        """aiokafka would make a KafkaError of whatever it raises."""
        with fatal(Watch.failed):
            return await super()._perform_assignment(response)

    async def _on_join_complete(self, generation: int, member_id: str, protocol: str, assignment: bytes) -> None:
        said = ConsumerProtocol.ASSIGNMENT.decode(assignment)
        current = self._assignors[0].current(said).encode()
        await super()._on_join_complete(generation, member_id, protocol, current)

    async def _maybe_leave_group(self) -> None:
        if Coordinator.leaving and self._group_instance_id and self.generation > 0:
            await self._send_req(LeaveGroup(self.group_id, [("", self._group_instance_id, "leaving", {})], {}))
        await super()._maybe_leave_group()


class RebalanceListener(driver.ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked: Iterable[Any]) -> Any:
        return self._or_crash(super().on_partitions_revoked(revoked))

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        coordinator = self._thread._ensure_consumer()._coordinator
        Watch.claimed(Claim(coordinator.generation, coordinator.member_id, coordinator._group_instance_id))
        await self._or_crash(super().on_partitions_assigned(assigned))

    async def _or_crash(self, callback: Any) -> None:
        with fatal(Watch.failed):
            await callback


def install() -> None:
    """aiokafka makes its own consumers' coordinators by this name."""
    aiokafka_consumer.GroupCoordinator = Coordinator
    kafka_errors[FENCED_INSTANCE_ID] = FencedInstanceIdError
