"""What a transactional id lives through in years."""

from __future__ import annotations

import asyncio
import json

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.transaction import InitProducerIdRequest

from tests.faults.schedule import schedule
from tests.faults.schedules.brokers import wait
from tests.faults.schedules.kills import pause
from tests.faults.trial import Trial

LAST_EPOCH, AT_ONCE = 32_766, 500


@schedule(bound_s=300)
def more_than_32767_transactions(trial: Trial) -> None:
    """The epoch of a worker's transactional id is brought near its end, then runs over under load, across two kills."""
    run_over(trial, left=5)


def run_over(trial: Trial, left: int) -> None:
    """`left`: epochs for the load to use up."""
    for turn in range(trial.times(3, 1)):
        worker = trial.ready()
        worker.stop()
        said = json.loads((trial.workers.data / "0" / "instance.json").read_text())
        transactional_id = f"iopt.{trial.group}.{said['instance']}"
        before = asyncio.run(producer_at(trial.brokers.bootstrap, transactional_id, LAST_EPOCH - left))
        with trial.load():
            for _ in range(2):
                worker = trial.ready()
                wait(1)
                pause(trial, 1 + turn)
                worker.kill()
        after = asyncio.run(producer_at(trial.brokers.bootstrap, transactional_id, 0))
        assert after != before, f"producer {after} has not come to the end of its epochs"
    trial.settle()


async def producer_at(bootstrap: str, transactional_id: str, wanted: int) -> int:
    """The producer id, once its epoch is at least that."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        node = await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
        producer, epoch = -1, -1
        while epoch < wanted:
            count = max(1, min(AT_ONCE, wanted - epoch))
            asked = [client.send(node, InitProducerIdRequest(transactional_id, 10_000)) for _ in range(count)]
            answers = [answer for answer in await asyncio.gather(*asked) if not answer.error_code]
            producer, epoch = max([(answer.producer_id, answer.producer_epoch) for answer in answers], default=(-1, -1))
        return int(producer)
    finally:
        await client.close()
