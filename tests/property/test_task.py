"""A task does the same whatever it has in memory of its states."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.support.one_task import Bench, keys, records
from tests.support.toy import Account, Addition

NAMES = keys(120)
ACTS = ("add", "add", "add", "add", "delete", "refuse")


@given(dice=st.randoms(use_true_random=False), cache_bytes=st.sampled_from([0, 500, 3_000]))
def test_s5_with_little_in_memory_as_with_all(dice: random.Random, cache_bytes: int) -> None:
    small, large = Bench(cache_bytes=cache_bytes), Bench()
    done = 0
    for _ in range(dice.randrange(2, 8)):
        chunk = [Addition(dice.choice(NAMES), 1, act=dice.choice(ACTS)) for _ in range(dice.choice((1, 40, 150)))]
        commits = dice.random() < 0.7
        for bench in (small, large):
            bench.process(records(chunk, first=done))
            if commits:
                bench.commit()
        done += len(chunk)
    assert small.sent == large.sent
    for bench in (small, large):
        bench.commit()
    assert states(small, NAMES) == states(large, NAMES)
    assert small.task.fates == large.task.fates


def states(bench: Bench, names: list[str]) -> dict[str, Account | None]:
    return {name: bench.task.read(1, name.encode()) for name in names}
