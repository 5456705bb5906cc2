"""Where the engine's own failures end: in the end of the process, before anything else is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def fatal(fail: Callable[[BaseException], None]) -> Iterator[None]:
    """Whatever leaves the block is told to `fail`, which does not return; only a cancellation passes."""
    try:
        yield
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001  nobody above would hear it: Faust and aiokafka hang in silence
        fail(error)
