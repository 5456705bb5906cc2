"""Named points at which tests kill, stop or fail a worker: `IOPT_FAULT=kill@before_end:0.1`.

Without the variable a point costs one call of an empty function.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

POINTS = (
    "before_transaction",
    "before_end",
    "after_commit",
    "after_write",
    "during_restore",
    "after_decide",
    "during_assignment",
)
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class BadFault(ValueError):
    """IOPT_FAULT is not of the form `kill|stop@point[:probability]`."""


def _nothing(_point: str) -> None: ...


def plan(text: str) -> Callable[[str], None]:
    """Raises BadFault."""
    if not text:
        return _nothing
    act, at, rest = text.partition("@")
    point, _, chance = rest.partition(":")
    if not at or act not in SIGNALS or point not in POINTS:
        raise BadFault(f"IOPT_FAULT={text!r}: expected kill or stop, @, one of {', '.join(POINTS)}, and perhaps :0.1")
    probability, dice = float(chance or 1), random.Random(os.getpid())  # noqa: S311  tests draw lots, not keys

    def strike(passed: str) -> None:
        if passed == point and dice.random() < probability:
            os.write(2, f"fault {text}\n".encode())
            os.kill(os.getpid(), SIGNALS[act])

    return strike


fault_point = plan(os.environ.get("IOPT_FAULT", ""))
