"""Rule T2: who gets which task, whatever the group and its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations, product

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.engine.group.placement import PILE, Member, TaskId, majority, place

Placed = Mapping[str, Sequence[TaskId]]

numbers = st.integers(1, 9)
rows_of = st.dictionaries(st.sampled_from("abcd"), numbers, min_size=1)


def spread(placed: Placed, row: str, among: Sequence[str]) -> int:
    counts = [sum(task[0] == row for task in placed[id_]) for id_ in among]
    return max(counts) - min(counts)


class GroupMachine(RuleBasedStateMachine):
    """Members come, go, and come back to the stores that they left."""

    def __init__(self) -> None:
        super().__init__()
        self.placed: dict[str, list[TaskId]] = {}
        self.stores: dict[str, set[TaskId]] = {}
        self.moved, self.needed = 0, 0

    @initialize(rows=rows_of)
    def it_begins_with_one(self, rows: Mapping[str, int]) -> None:
        self.rows = rows
        self.placed = {"m-0": []}
        self.rebalance()

    def rebalance(self) -> None:
        before = self.placed
        members = [
            Member(id_, frozenset(self.rows), frozenset(tasks), frozenset(self.stores.get(id_, ())))
            for id_, tasks in before.items()
        ]
        self.placed = place(self.rows, members)
        self.moved = sum(len(set(tasks) - set(self.placed[id_])) for id_, tasks in before.items())
        for id_, tasks in self.placed.items():
            self.stores.setdefault(id_, set()).update(tasks)

    @precondition(lambda self: len(self.placed) < 7)
    @rule(data=st.data())
    def one_joins(self, data: st.DataObject) -> None:
        away = sorted(self.stores.keys() - self.placed.keys())
        id_ = data.draw(st.sampled_from([*away, f"m-{len(self.stores)}"]))
        self.placed = self.placed | {id_: []}
        self.needed = sum(self.rows.values()) // len(self.placed)
        self.rebalance()

    @precondition(lambda self: len(self.placed) > 1)
    @rule(data=st.data())
    def one_leaves(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(sorted(self.placed)))
        self.placed = {id_: tasks for id_, tasks in self.placed.items() if id_ != gone}
        self.needed = 0
        self.rebalance()

    @rule()
    def nothing_changes(self) -> None:
        self.needed = 0
        self.rebalance()

    @invariant()
    def every_task_has_one_owner(self) -> None:
        placed = sorted(task for tasks in self.placed.values() for task in tasks)
        assert placed == sorted((row, number) for row, count in self.rows.items() for number in range(count))

    @invariant()
    def the_totals_differ_by_one_at_most(self) -> None:
        totals = [len(tasks) for tasks in self.placed.values()]
        assert max(totals) - min(totals) <= 1

    @invariant()
    def no_row_piles_up_on_one_member(self) -> None:
        assert all(spread(self.placed, row, list(self.placed)) < PILE for row in self.rows)

    @invariant()
    def no_more_tasks_move_than_must(self) -> None:
        """One more where a row would pile up otherwise: with one row never."""
        assert self.moved <= self.needed + (len(self.rows) > 1)


TestGroup = GroupMachine.TestCase


@given(rows_of, st.integers(1, 6))
def test_t2_tasks_that_nobody_has_are_dealt_row_by_row(rows: Mapping[str, int], count: int) -> None:
    ids = [f"m-{n}" for n in range(count)]
    placed = place(rows, [Member(id_, frozenset(rows)) for id_ in ids])
    assert all(spread(placed, row, ids) <= 1 for row in rows)


@given(rows_of, st.integers(2, 5), st.data())
def test_t2_a_task_goes_first_to_a_member_that_has_its_store(
    rows: Mapping[str, int], count: int, data: st.DataObject
) -> None:
    """Nobody restores from nothing what another has the store of, while that one restores others of the row so."""
    members, placed = keepers(rows, count, data)
    cold = {member.id: set(placed[member.id]) - member.stores for member in members}
    for one, other in permutations(members, 2):
        wrong = {row for row, _ in cold[other.id] & one.stores} & {row for row, _ in cold[one.id]}
        assert not wrong, (one.id, other.id)


@given(rows_of, st.data())
def test_t2_two_members_could_exchange_nothing_and_have_more_stores(
    rows: Mapping[str, int], data: st.DataObject
) -> None:
    (one, other), placed = keepers(rows, 2, data)
    for mine, theirs in product(placed[one.id], placed[other.id]):
        now = (mine in one.stores) + (theirs in other.stores)
        assert mine[0] != theirs[0] or now >= (theirs in one.stores) + (mine in other.stores)


def keepers(rows: Mapping[str, int], count: int, data: st.DataObject) -> tuple[list[Member], Placed]:
    """Nobody holds anything, and each has some stores."""
    some = st.frozensets(st.sampled_from([(row, number) for row, of in rows.items() for number in range(of)]))
    members = [Member(f"m-{n}", frozenset(rows), frozenset(), data.draw(some)) for n in range(count)]
    return members, place(rows, members)


@given(rows_of, st.integers(1, 6))
def test_t2_a_fleet_that_comes_back_finds_its_stores(rows: Mapping[str, int], count: int) -> None:
    known = frozenset(rows)
    before = place(rows, [Member(f"m-{n}", known) for n in range(count)])
    back = [Member(id_, known, frozenset(), frozenset(tasks)) for id_, tasks in reversed(before.items())]
    assert {id_: sorted(tasks) for id_, tasks in place(rows, back).items()} == {
        id_: sorted(tasks) for id_, tasks in before.items()
    }


@given(st.integers(2, 12), st.data())
def test_t2_what_is_given_up_is_what_the_other_has_the_store_of(count: int, data: st.DataObject) -> None:
    tasks = [("a", number) for number in range(count)]
    half = count // 2
    stores = data.draw(st.permutations(tasks))[:half]
    alone = Member("m-0", frozenset("a"), frozenset(tasks), frozenset(tasks))
    assert place({"a": count}, [alone, Member("m-1", frozenset("a"), frozenset(), frozenset(stores))])["m-1"] == sorted(
        stores
    )


@given(rows_of, st.integers(1, 5), st.data())
def test_t2_a_member_gets_tasks_only_of_the_rows_that_it_may_have(
    rows: Mapping[str, int], count: int, data: st.DataObject
) -> None:
    some = st.frozensets(st.sampled_from(sorted(rows)))
    members = [Member(f"m-{n}", data.draw(some)) for n in range(count)]
    placed = place(rows, members)
    able = {row for member in members for row in member.rows}
    assert all({row for row, _ in placed[member.id]} <= member.rows for member in members)
    assert sorted(task for tasks in placed.values() for task in tasks) == sorted(
        (row, number) for row in able for number in range(rows[row])
    )


@given(st.lists(st.sampled_from("xyz"), min_size=1, max_size=9), st.data())
def test_t2_the_hash_that_most_members_say_counts_and_the_leaders_where_two_tie(
    hashes: list[str], data: st.DataObject
) -> None:
    leader = data.draw(st.integers(0, len(hashes) - 1))
    said = {f"m-{n}": {"a": hash_} for n, hash_ in enumerate(hashes)}
    chosen = majority(said, f"m-{leader}")["a"]
    most = max(hashes.count(hash_) for hash_ in hashes)
    assert hashes.count(chosen) == most
    assert chosen == hashes[leader] or hashes.count(hashes[leader]) < most


def test_t2_a_row_that_only_new_members_know_is_theirs() -> None:
    said = {"old": {"a": "x"}, "new": {"a": "x", "b": "y"}}
    assert majority(said, "old") == {"a": "x", "b": "y"}


def test_t2_of_two_that_hold_a_task_the_first_keeps_it() -> None:
    task = frozenset({("a", 0)})
    members = [Member("m-1", frozenset("a"), task), Member("m-0", frozenset("a"), task, task)]
    assert place({"a": 1}, members) == {"m-1": [("a", 0)], "m-0": []}


def test_t2_a_pile_from_a_rolling_deploy_is_spread_again() -> None:
    """While two of three had row b alone, the third took more of row a."""
    held = {
        "m-0": [("b", n) for n in range(6)],
        "m-1": [("b", n) for n in range(6, 12)],
        "m-2": [("a", n) for n in range(6)],
    }
    members = [Member(id_, frozenset("ab"), frozenset(tasks)) for id_, tasks in held.items()]
    placed = place({"a": 6, "b": 12}, members)
    assert spread(placed, "a", list(held)) < PILE
    assert spread(placed, "b", list(held)) < PILE
