"""A worker under a supervisor, as it runs in earnest: one that stops with code 4 is started again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.faults.oracle import Different
from tests.faults.trial import TASKS, Trial
from tests.support.accounts import names_on
from tests.support.kafka import wait_for
from tests.support.toy import Addition
from tests.support.workers import PARTITIONS, Process

FAILED = 4
LOOK_S = 0.1


class Kept:
    """`stops` are the errors that it has named at each stop."""

    def __init__(self, trial: Trial, **options: Any) -> None:
        self._trial, self._options = trial, options
        self.worker: Process = trial.ready(tasks=TASKS, **options)
        self.stops: list[str] = []
        self._over = threading.Event()
        self._wrong: list[str] = []
        self._supervising = threading.Thread(target=self._supervise, daemon=True)
        self._supervising.start()

    def _supervise(self) -> None:
        while not self._over.wait(LOOK_S):
            if self.worker.code is None:
                continue
            said = self.worker.events("worker_failed")
            if self.worker.code != FAILED or not said:
                self._wrong.append(f"ended with {self.worker.code}:\n{self.worker.tail()}")
                return
            self.stops.append(str(said[-1]["error"]))
            self.worker = self._trial.start(**self._options)

    def check(self) -> None:
        """Raises Different when it has ended otherwise than with code 4 and a reason."""
        if self._wrong:
            raise Different(self._wrong[0])

    def until_steady(self, within_s: float = 90.0) -> None:
        """Until a record of now has gone through each task."""
        names = [name for number in range(PARTITIONS) for name in names_on(number, 1, f"steady-{len(self.stops)}")]
        before = {name: self._count(name) for name in names}
        self._trial.write(self._trial.scenario.add(*(Addition(name, 1) for name in names)))

        def moved() -> bool:
            self.check()
            return all(self._count(name) > before[name] for name in names)

        wait_for(moved, "records of all tasks to go through again", within_s)

    def _count(self, name: str) -> int:
        sums = self._trial.kafka.read_all(self._trial.scenario.row.sums.name)
        return sum(record.key == name for record in sums)

    def end(self) -> None:
        self._over.set()
        self._supervising.join()
        self.check()


@contextmanager
def kept(trial: Trial, **options: Any) -> Iterator[Kept]:
    made = Kept(trial, **options)
    try:
        yield made
        made.until_steady()
    finally:
        made._over.set()
    made.end()
    if made.stops:
        reasons = ", ".join(sorted({stop.split("(")[0].rpartition(" ")[2] for stop in made.stops}))
        trial.remark(f"{len(made.stops)} stops with code 4 ({reasons})")
