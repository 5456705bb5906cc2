"""S3: stores of tasks not owned are deleted after twelve hours; how long tombstones are kept for those that stay."""

import os
from pathlib import Path

from app.engine.group.assignment import HALF_OF_DELETE_RETENTION_MS
from app.engine.health.sweep import KEPT_S, sweep
from app.wire.topics import changelog, configs

NOW_S = 1_790_000_000.0


def store(directory: Path, name: str, *, idle_s: float) -> None:
    (directory / name).mkdir()
    (directory / name / "000004.sst").write_bytes(b"")
    for path in (directory / name / "000004.sst", directory / name):
        os.utime(path, (NOW_S - idle_s, NOW_S - idle_s))


def test_s3_only_stores_that_are_not_owned_and_idle_for_twelve_hours_go(tmp_path: Path):
    store(tmp_path, "saga-0", idle_s=KEPT_S + 1)
    store(tmp_path, "saga-1", idle_s=KEPT_S + 1)
    store(tmp_path, "saga-2", idle_s=KEPT_S - 1)
    assert sweep(tmp_path, ["saga-0"], NOW_S) == ["saga-1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["saga-0", "saga-2"]


def test_s3_a_worker_without_any_store_has_nothing_to_delete(tmp_path: Path):
    assert sweep(tmp_path / "stores", [], NOW_S) == []


def test_s3_a_store_is_too_old_long_before_tombstones_are_compacted_away():
    said = configs(changelog("saga"))
    assert said["cleanup.policy"] == "compact"
    assert int(said["delete.retention.ms"]) == 7 * 86_400_000 == 2 * HALF_OF_DELETE_RETENTION_MS
    assert (said["segment.bytes"], said["min.cleanable.dirty.ratio"]) == (str(64 << 20), "0.2")
