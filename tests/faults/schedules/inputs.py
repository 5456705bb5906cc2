"""Input that is odd, huge, poisoned, or was never meant to be seen."""

from __future__ import annotations

import signal
from functools import partial

from tests.faults.latency import Latency, paced
from tests.faults.load import Transacting, Writer
from tests.faults.poison import KINDS, headers_of_all_kinds, keys_of_all_kinds, poison
from tests.faults.scenario import Sent, encoded
from tests.faults.schedule import schedule
from tests.faults.schedules.kills import Crowd, pause
from tests.faults.trial import Trial
from tests.support.kafka import Written, wait_for
from tests.support.toy import Addition

LARGE, LARGEST = 1_000_000, 4_000_000
MOST_SLOWER = 2.0
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


@schedule(bound_s=240)
def aborted_by_others(trial: Trial) -> None:
    """300 transactions of two foreign producers, a third of them aborted; a worker is killed meanwhile."""
    crowd = Crowd(trial, ("one",))
    writers = [Transacting(trial.brokers.bootstrap, trial.scenario, f"foreign-{n}-{trial.group}") for n in range(2)]
    for turn in range(trial.times(300, 20)):
        trial.dice.choice(writers).once()
        if turn % 20 == 10:
            trial.write(trial.scenario.more(50))
        if turn % 60 == 30:
            crowd.kill("one")
            crowd.start("one")
    trial.remark(f"{sum(writer.aborted for writer in writers)} aborted, none seen")
    trial.settle()


@schedule(bound_s=240)
def compacted_with_holes(trial: Trial) -> None:
    """The source is compacted: keys many times, tombstones, then a worker from the beginning, over the holes."""
    topic = trial.scenario.row.additions.name
    trial.kafka.create(
        topic, cleanup_policy="compact", segment_ms="200", min_cleanable_dirty_ratio="0.01", max_compaction_lag_ms="500"
    )
    made = [Addition(f"c-{n % 300}", n) for n in range(3_000)]
    writer = Writer(trial.brokers.bootstrap)
    for begin in range(0, len(made), 500):
        writer.write([Sent(topic, Written(one.account, encoded(one))) for one in made[begin : begin + 500]])
        pause(trial, 1)
    writer.write([Sent(topic, Written(f"c-{n}", None)) for n in range(0, 300, 7)])
    wait_for(partial(holes, trial, topic, writer), "the log to be compacted", 120)
    trial.kafka.configure(topic, min_cleanable_dirty_ratio="1.0", max_compaction_lag_ms=str(2**62))
    left = trial.kafka.read_all(topic)
    trial.scenario.seen(*(Sent(topic, record._replace(partition=-1, timestamp_ms=0)) for record in left))
    trial.remark(f"{len(left):,} of {len(made):,} records were left")
    trial.write([Sent(topic, Written(f"late-{n}", None)) for n in range(3)])
    trial.scenario.seen(*(Sent(topic, Written(f"late-{n}", None)) for n in range(3)))
    trial.ready()
    trial.settle()


def holes(trial: Trial, topic: str, writer: Writer) -> bool:
    """A segment is closed by the next record only."""
    writer.write([Sent(topic, Written(f"c-{n}", encoded(Addition(f"c-{n}", 1)))) for n in range(8)])
    return len(trial.kafka.read_all(topic)) < sum(trial.kafka.end_offsets(topic).values()) // 2


@schedule(bound_s=240)
def large_records(trial: Trial) -> None:
    """Records of 1 MB and of 4 MB, good, broken, misplaced, packed by every codec; outs beyond the limit; a kill."""
    topic = trial.scenario.row.additions.name
    trial.kafka.create(topic, max_message_bytes=str(LARGEST + 1_000_000))
    trial.ready()
    for number, codec in enumerate(CODECS):
        of_codec = {"compression.type": codec, "message.max.bytes": 2 * LARGEST}
        writer, sent = Writer(trial.brokers.bootstrap, settings=of_codec), list[Sent]()
        for size in (LARGE, LARGEST):
            name = f"large-{codec}-{size}"
            padded = encoded(Addition(name, 1))[:-1] + b',"pad":"' + b"x" * size + b'"}'
            sent += [Sent(topic, Written(name, padded)), Sent(topic, Written(f"{name}-broken", b"x" * size))]
            misplaced = encoded(Addition(f"{name}-misplaced", 1))[:-1] + b',"pad":"' + b"x" * size + b'"}'
            sent.append(Sent(topic, Written("wrong", misplaced)))
            sent += trial.scenario.more(20)
        long = f"long-{codec}-" + "y" * 600_000
        sent.append(Sent(topic, Written(long, encoded(Addition(long, 1)))))
        writer.write(sent)
        trial.scenario.seen(*(one for one in sent if one not in trial.scenario.records))
        if number == 2:
            trial.alive[0].kill()
            trial.start()
    trial.settle()


@schedule(bound_s=240)
def outs_of_many_batches(trial: Trial) -> None:
    """30,000 records of long names at once: outs of one transaction fill several record batches of a partition."""
    trial.ready().stop()
    topic = trial.scenario.row.additions.name
    for _ in range(trial.times(30, 5)):
        names = [f"long-{trial.dice.randrange(40)}-" + "z" * 400 for _ in range(1_000)]
        trial.write(trial.scenario.add(*(Addition(name, 1) for name in names)))
    doomed = trial.start(fault="kill@before_end")
    assert doomed.wait(60) == -signal.SIGKILL
    assert topic in trial.kafka.topics()
    trial.settle()


@schedule(bound_s=300)
def flood_of_poison(trial: Trial) -> None:
    """10,000 poisoned records of 20 kinds in ten seconds: others' latency, p50 and p99, is at most twice as long."""
    trial.ready()
    topic, seconds = trial.scenario.row.additions.name, trial.times(10, 3)
    with Latency(trial.kafka, trial.scenario.row.sums.name) as latency:
        calm = latency.of(paced(trial, "calm", seconds))
        flood = [poison(topic, n, trial.dice.choice(KINDS)) for n in range(1_000 * seconds)]
        poisoned = latency.of(paced(trial, "poisoned", seconds, flood))
    trial.scenario.seen(*flood)
    trial.remark(
        f"others' p50 {calm.p50_ms:.0f} to {poisoned.p50_ms:.0f} ms, p99 {calm.p99_ms:.0f} to {poisoned.p99_ms:.0f} ms"
    )
    slower = max(meanwhile / before for before, meanwhile in zip(calm, poisoned, strict=True))
    assert slower <= MOST_SLOWER, f"{calm} before, {poisoned} meanwhile"
    trial.settle()


@schedule(bound_s=180)
def odd_headers_and_keys(trial: Trial) -> None:
    """Headers empty, null, no text, doubled, in hundreds, or lying about events and traces; keys missing, empty, long,
    or no text; under each, records that are good, misplaced and broken.
    """
    trial.ready()
    topic, sent = trial.scenario.row.additions.name, list[Sent]()
    for number, headers in enumerate(headers_of_all_kinds()):
        account = f"headers-{number}"
        for key, value in (
            (account, encoded(Addition(account, 1))),
            ("wrong", encoded(Addition(f"{account}-misplaced", 1))),
            (account, b"{"),
        ):
            sent.append(Sent(topic, Written(key, value, headers)))
    for number, odd in enumerate(keys_of_all_kinds()):
        where = -1 if odd else number % 4
        sent += [
            Sent(topic, Written(odd, encoded(Addition(f"keyless-{number}", 1)), partition=where)),
            Sent(topic, Written(odd, b"[", partition=where)),
        ]
    trial.write(sent)
    trial.scenario.seen(*sent)
    trial.write(trial.scenario.more(100))
    trial.settle()
