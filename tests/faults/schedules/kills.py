"""Workers that die with -9."""

from __future__ import annotations

import shutil
import signal

from app.engine.faults import POINTS
from tests.faults.schedule import schedule
from tests.faults.trial import Trial


@schedule(bound_s=300)
def killed_at_fault_points(trial: Trial) -> None:
    """A worker kills itself at each fault point of the engine, 10 times each, the disk deleted before each restore."""
    trial.ready().kill()
    for turn in range(trial.times(10, 1)):
        for point in POINTS:
            trial.write(trial.scenario.more(200))
            if point == "during_restore":
                shutil.rmtree(trial.workers.data / "0" / "stores", ignore_errors=True)
            doomed = trial.start(fault=f"kill@{point}:0.5")
            assert doomed.wait(40) == -signal.SIGKILL, f"{point} in turn {turn}"
    trial.settle()
