"""One run of a schedule: Kafka, worker processes, foreign producers, and the comparison at the end."""

from __future__ import annotations

import random
import secrets
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from app.wire.topics import changelog, dead_letters
from tests.faults.load import Writer, load
from tests.faults.oracle import Different, Outcome, assert_equal, assert_same, expected, found, last_offsets
from tests.faults.scenario import Scenario, Sent
from tests.faults.schedule import Brokers
from tests.faults.stores import content, faults_of, local, rows_of
from tests.support.kafka import Kafka, Written, wait_for
from tests.support.workers import Process, Workers

TASKS = 8  # of both rows


class Trial:
    """`dice` is the schedule's own, from the seed. `short`: as few repetitions as show something."""

    def __init__(self, brokers: Brokers, seed: int, short: bool, directory: Path) -> None:
        self.brokers, self.seed, self.short, self.directory = brokers, seed, short, directory
        self.dice = random.Random(seed)
        self.kafka = Kafka(brokers.bootstrap)
        prefix = f"faults-{secrets.token_hex(3)}."
        self.scenario = Scenario(prefix, seed)
        self.workers = Workers(brokers.bootstrap, prefix, directory, notes=True)
        self.group = f"{prefix}group"
        self.remarks: list[str] = []

    def prepare(self) -> None:
        """Topics that a worker does not make itself, and the limits of notes."""
        limits = self.scenario.notes.limits.topic
        assert limits is not None
        self.kafka.create(self.scenario.row.sums.name, self.scenario.row.alarms.name)
        self.kafka.create(limits.name, cleanup_policy="compact")
        self.kafka.write(limits.name, *self.scenario.limits())

    def times(self, full: int, short: int) -> int:
        return short if self.short else full

    def load(self, rate: float = 400) -> AbstractContextManager[None]:
        """Foreign producers write as long as the block lasts. A worker has made the topics, or is about to."""
        written = {self.scenario.row.additions.name, self.scenario.notes.notes.name}
        wait_for(lambda: written <= set(self.kafka.topics()), "the topics", 90)
        return load(self.brokers.bootstrap, self.scenario, rate)

    def write(self, sent: Sequence[Sent]) -> None:
        """Returns when all are acknowledged."""
        Writer(self.brokers.bootstrap).write(sent)

    def start(self, **options: Any) -> Process:
        """Not ready yet. `data`: a directory for each host that is played; `fault`; fields of the Plan."""
        return self.workers.start(**options)

    def ready(self, *, tasks: int = TASKS, **options: Any) -> Process:
        """Started, and so many tasks of it take records."""
        return self.workers.ready(tasks=tasks, **options)

    @property
    def alive(self) -> list[Process]:
        return [worker for worker in self.workers.all if worker.code is None]

    @property
    def kills(self) -> int:
        return sum(worker.code == -signal.SIGKILL for worker in self.workers.all)

    @property
    def rebalances(self) -> int:
        """Generations of the group that some worker took tasks in."""
        return len({event["generation"] for worker in self.workers.all for event in worker.events("tasks_assigned")})

    def until_rebalanced(self, since: int = 0) -> None:
        """Until somebody has taken tasks in more generations than `since`."""
        wait_for(lambda: self.rebalances > since, "a rebalance", 90)

    def settle(self, within_s: float = 240.0) -> Outcome:
        """Until everything is processed; then all workers stop, and everything is compared."""
        if not self.alive:
            self.ready()
        wanted = expected(self.scenario)
        self.until_out(wanted, within_s)
        self.until_read(within_s)
        self.stop()
        assert_equal(wanted, found(self.kafka, self.scenario))
        self._assert_positions()
        return wanted

    def stop(self) -> None:
        """All that run, at once. One that has only just been started may not hear the signal yet, and dies of it."""
        working = self.alive
        for worker in working:
            worker.signal(signal.SIGTERM)
        codes = [worker.wait() for worker in working]
        deaf = [worker.code == -signal.SIGTERM and not worker.events("tasks_assigned") for worker in working]
        assert {code for code, unheard in zip(codes, deaf, strict=True) if not unheard} <= {0}, f"exit codes {codes}"

    def until_out(self, wanted: Outcome, within_s: float) -> None:
        """So many records as there must be; whether they are the right ones is seen later."""
        row, notes = self.scenario.row, self.scenario.notes
        counts: dict[str, Mapping[str, list[Any]]] = {
            row.sums.name: wanted.sums,
            row.alarms.name: wanted.alarms,
            dead_letters(row.additions.name).name: wanted.letters,
            dead_letters(notes.notes.name).name: wanted.noted,
        }
        working = self.alive
        for topic, by_key in counts.items():
            self._until_written(topic, sum(len(of) for of in by_key.values()), working, within_s)

    def until_read(self, within_s: float) -> None:
        """What gives rise to nothing, a deletion at the end, is to be seen by nothing but its position."""
        last = last_offsets(self.kafka, self.scenario.sources)
        wait_for(lambda: last == self._positions(), "the last positions", within_s)

    def _positions(self) -> dict[tuple[str, int], int]:
        return {at: offset for at, offset in self.kafka.committed(self.group).items() if offset > 0}

    def _until_written(self, topic: str, count: int, working: list[Process], within_s: float) -> None:
        def enough(records: list[Written]) -> bool:
            for worker in working:
                if worker.code is not None:
                    raise Different(f"a worker ended with {worker.code} while nothing was done to it:\n{worker.tail()}")
            return len(records) >= count

        self.kafka.read_until(topic, enough, within_s=within_s)

    def _assert_positions(self) -> None:
        """Group, changelog, source topics and every local store say the same."""
        logged: dict[tuple[str, int], int] = {}
        for processor in self.scenario.processors:
            logs = rows_of(self.kafka, changelog(processor.row).name)
            for number, rows in logs.items():
                logged |= {(topic, number): at for topic, at in content(rows)[1].items() if at}
                self._assert_stores(f"{processor.row}-{number}", rows)
        group = self._positions()
        assert_same("positions of the group beside the changelogs'", logged, group)
        assert_same("positions of the group beside the topics'", last_offsets(self.kafka, self.scenario.sources), group)

    def _assert_stores(self, task: str, rows: Sequence[Any]) -> None:
        """Each copy is its changelog up to where it stands, and the last owner's stands at the end."""
        newest = 0
        for path in sorted(self.directory.glob(f"*/*/stores/{task}")):
            copy = local(path)
            if copy is None:
                continue
            for fault in faults_of(copy, rows):
                raise Different(f"{path} at {copy.standing.offset}: {fault}")
            newest = max(newest, copy.standing.offset)
        if rows and newest <= rows[-1].offset:
            raise Different(f"{task}: its newest store stands at {newest}, its changelog at {rows[-1].offset}")

    def remark(self, text: str) -> None:
        """Something measured, for the table."""
        self.remarks.append(text)


@contextmanager
def trial(brokers: Brokers, seed: int, short: bool, directory: Path) -> Iterator[Trial]:
    made = Trial(brokers, seed, short, directory)
    made.prepare()
    try:
        yield made
    finally:
        made.workers.end()
