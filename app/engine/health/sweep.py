"""Stores of tasks that went to another worker long ago are deleted: they can be restored (S3)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from pathlib import Path

from app.telemetry.logs import log

KEPT_S = 12 * 3_600.0


def sweep(stores: Path, owned: Collection[str], now_s: float | None = None) -> list[str]:
    """Deletes the stores that are not of `owned` tasks and were not written for twelve hours; returns their names."""
    before = (time.time() if now_s is None else now_s) - KEPT_S
    gone = []
    for path in sorted(stores.iterdir()) if stores.is_dir() else ():
        if path.name not in owned and max(file.stat().st_mtime for file in (path, *path.iterdir())) < before:
            shutil.rmtree(path)
            gone.append(path.name)
            log.info("store_deleted", task=path.name)
    return gone
