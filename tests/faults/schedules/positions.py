"""Positions of the group that were lost or changed from outside, and records that retention took (S4)."""

from __future__ import annotations

import asyncio
from functools import partial

from aiokafka.client import AIOKafkaClient
from confluent_kafka import Consumer, TopicPartition

from app.engine.offsets.settling import Choice, Step, settle, skipped
from app.engine.tasks.lane import Encoded
from app.engine.topology import build
from tests.faults.oracle import last_offsets
from tests.faults.scenario import Sent, encoded
from tests.faults.schedule import schedule
from tests.faults.trial import Trial
from tests.support.accounts import names_on
from tests.support.kafka import Written, wait_for
from tests.support.toy import Addition

REFUSED = 1
ALL = 40  # keys, of all partitions: the group has a position again where something was committed


def worked(trial: Trial) -> None:
    """A worker has processed everything there was, and has left the group."""
    trial.ready(leave=True)
    trial.write(trial.scenario.more(200))
    wait_for(partial(all_read, trial), "all to be processed", 90)
    trial.stop()
    wait_for(lambda: trial.kafka.idle(trial.group), "the group to be empty", 30)


def all_read(trial: Trial) -> bool:
    done = {at: offset for at, offset in trial.kafka.committed(trial.group).items() if offset > 0}
    return done == last_offsets(trial.kafka, trial.scenario.sources)


def refusal(trial: Trial) -> str:
    worker = trial.start(leave=True)
    assert worker.wait(90) == REFUSED, worker.tail()
    wait_for(lambda: trial.kafka.idle(trial.group), "the group to be empty", 30)
    return str(worker.events("worker_failed")[0]["error"])


def by_hand(trial: Trial, choose: Choice) -> list[Step]:
    """What `iopt offsets accept-loss --apply` does."""

    audits = f"{trial.group}.audit"
    trial.kafka.create(audits)

    def audit(_step: Step) -> Encoded:
        return Encoded(audits, 0, b"operator", b"{}", [])

    async def run() -> list[Step]:
        client = AIOKafkaClient(bootstrap_servers=trial.brokers.bootstrap)
        await client.bootstrap()
        try:
            return await settle(client, trial.group, build(trial.scenario.processors, {}).values(), choose, audit)
        finally:
            await client.close()

    return asyncio.run(run())


@schedule(bound_s=240)
def group_lost(trial: Trial) -> None:
    """The group and its positions are deleted, as expiry does, four times: the changelog's are used."""
    for _ in range(trial.times(4, 1)):
        worked(trial)
        trial.kafka.forget_group(trial.group)
        trial.write(trial.scenario.more(100))
    trial.write([Sent(topic, Written(f"{n}", b"{")) for topic in trial.scenario.sources for n in range(ALL)])
    trial.scenario.seen(*(Sent(topic, Written(f"{n}", b"{")) for topic in trial.scenario.sources for n in range(ALL)))
    trial.ready()
    trial.settle()


@schedule(bound_s=240)
def group_set_back_and_forth(trial: Trial) -> None:
    """A tool sets a position back, then ahead: refused with both numbers, nothing written; set right, it goes on."""
    worked(trial)
    topic = trial.scenario.row.additions.name
    true = {at: offset for at, offset in trial.kafka.committed(trial.group).items() if offset > 0}
    number = next(partition for of, partition in true if of == topic)
    for wrong in (true[topic, number] - 2, true[topic, number] + 2):
        set_position(trial, topic, number, wrong)
        said = refusal(trial)
        assert str(wrong) in said, said
        assert str(true[topic, number]) in said, said
    set_position(trial, topic, number, true[topic, number])
    trial.write(trial.scenario.more(100))
    trial.ready()
    trial.settle()


@schedule(bound_s=240)
def retention_beyond_the_position(trial: Trial) -> None:
    """Retention takes records that were not read: refused with their number; accepted by hand, it goes on."""
    worked(trial)
    topic = trial.scenario.row.additions.name
    lost = [Sent(topic, Written(name, encoded(Addition(name, 1)))) for name in names_on(2, 7, "lost")]
    trial.write(lost)
    end = trial.kafka.end_offsets(topic)[2]
    trial.kafka.cut(topic, {2: end})
    gone = end - trial.kafka.committed(trial.group)[topic, 2]  # offsets: the markers of transactions have some too
    trial.write(trial.scenario.more(100))
    said = refusal(trial)
    assert f"{gone} records from" in said, said
    (step,) = by_hand(trial, skipped)
    assert step.expired == gone >= len(lost)
    trial.ready()
    trial.settle()


def set_position(trial: Trial, topic: str, number: int, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": trial.brokers.bootstrap, "group.id": trial.group})
    consumer.commit(offsets=[TopicPartition(topic, number, offset)], asynchronous=False)
    consumer.close()
