"""What a transactional id lives through in years."""

from __future__ import annotations

import asyncio
import json

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.transaction import InitProducerIdRequest

from tests.faults.schedule import schedule
from tests.faults.schedules.kills import pause
from tests.faults.trial import Trial

LAST_EPOCH, LEFT, AT_ONCE = 32_766, 60, 500


@schedule(bound_s=300)
def more_than_32767_transactions(trial: Trial) -> None:
    """The epoch of a worker's transactional id is brought near its end, then runs over under load, across two kills."""
    for turn in range(trial.times(3, 1)):
        worker = trial.ready()
        worker.stop()
        said = json.loads((trial.workers.data / "0" / "instance.json").read_text())
        asyncio.run(use_up(trial.brokers.bootstrap, f"iopt.{trial.group}.{said['instance']}"))
        with trial.load():
            for _ in range(2):
                worker = trial.ready()
                pause(trial, 2 + turn)
                worker.kill()
    trial.settle()


async def use_up(bootstrap: str, transactional_id: str) -> None:
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        node = await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
        epoch = 0
        while epoch < LAST_EPOCH - LEFT:
            count = min(AT_ONCE, LAST_EPOCH - LEFT - epoch)
            asked = [client.send(node, InitProducerIdRequest(transactional_id, 10_000)) for _ in range(count)]
            answers = await asyncio.gather(*asked)
            epoch = max([epoch, *(answer.producer_epoch for answer in answers if not answer.error_code)])
    finally:
        await client.close()
