"""The load on sagas that are under way goes on where their states stand."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from app.engine.processor import PROCESSORS
from tests.bench import contender, cost, rows, workloads
from tests.bench.restore import before_all, expected


def test_each_record_of_a_steady_load_moves_its_saga() -> None:
    assert sum(expected(100, 2_000).outputs.values()) == 2_000


def test_a_saga_under_way_expects_what_comes_next_for_it() -> None:
    first = dict[str, str]()
    for key, value in islice(workloads.steady_records(100), 2_000):
        first.setdefault(key.decode(), json.loads(value).get("command_id", ""))
    assert {name: first[name] for n in range(100) if (name := f"s-{n:08d}") in first} == {
        name: rows.under_way(n).expect for n in range(100) if (name := f"s-{n:08d}") in first
    }


def test_a_packed_saga_is_read_back() -> None:
    for workload in ("w2", "timed"):
        key, value = contender.packed(workload, rows.under_way(7))
        name, state = contender.product_state(workload, key, value) or ("", {})
        assert (name, {**state, "order": None}) == ("s-00000007", {**(before_all(7, 8) or {}), "order": None})


@pytest.mark.parametrize("workload", ["w1", "w2"])
def test_the_steps_of_a_task_are_measured_without_leaving_a_row_behind(workload: str) -> None:
    before = list(PROCESSORS)
    assert set(cost.steps(workload, 3_000)) == {
        cost.DECODE,
        cost.DECIDE,
        cost.ENCODE,
        cost.AROUND,
        cost.PACK,
        cost.BATCH,
    }
    assert before == PROCESSORS
