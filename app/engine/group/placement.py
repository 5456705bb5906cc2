"""Which member gets which task: balanced, sticky, first to a member that still has the store (T2).

How many of each row a member gets is settled first, then which ones. The totals differ by 1 at most, with
as few moves as that takes. A row is spread as evenly as costs nothing; only where one member would have 3
more of it than another, tasks that are held are exchanged for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

TaskId = tuple[str, int]  # row and number
PILE = 3


class Member(NamedTuple):
    """`rows`: those that it may get tasks of."""

    id: str
    rows: frozenset[str]
    held: frozenset[TaskId] = frozenset()
    stores: frozenset[TaskId] = frozenset()


class Ties(NamedTuple):
    """Tasks that a member holds, and those that nobody holds and it has the store of."""

    held: set[TaskId]
    stored: set[TaskId]


class Step(NamedTuple):
    """A task of `row` goes from one member to another, and one of `back` the other way."""

    rank: tuple[int, ...]
    giver: str
    taker: str
    row: str
    back: str | None = None


def majority(said: Mapping[str, Mapping[str, str]], leader: str) -> dict[str, str]:
    """Of each row the hash of most members; what the leader says where two are said as often.

    `said`: by member, of each row that it runs.
    """
    votes: dict[str, Counter[str]] = {}
    for rows in said.values():
        for row, hash_ in rows.items():
            votes.setdefault(row, Counter())[hash_] += 1
    return {
        row: max(counted, key=lambda hash_: (counted[hash_], hash_ == said[leader].get(row), hash_))
        for row, counted in votes.items()
    }


def place(rows: Mapping[str, int], members: Sequence[Member]) -> dict[str, list[TaskId]]:
    """Tasks by member; `rows` says how many there are of each. A row that nobody may have is left out.

    Where two members hold a task, the first one does.
    """
    ties = _ties(rows, members)
    shares = Shares(rows, members, ties)
    shares.deal()
    while step := min(shares.levelling(), default=None):
        shares.take(step)
    while step := min(shares.spreading(), default=None):
        shares.take(step)
    found: dict[str, list[TaskId]] = {member.id: [] for member in members}
    for row, count in rows.items():
        able = [member for member in members if row in member.rows]
        room = {member.id: shares.count[member.id][row] for member in able}
        for id_, task in _hand_out({(row, number) for number in range(count)}, able, ties, room):
            found[id_].append(task)
    return found


def _ties(rows: Mapping[str, int], members: Sequence[Member]) -> dict[str, Ties]:
    found = {member.id: Ties(set(), set()) for member in members}
    for row, count in rows.items():
        able = [member for member in members if row in member.rows]
        for task in ((row, number) for number in range(count)):
            holder = next((member.id for member in able if task in member.held), None)
            keepers = [member.id for member in able if task in member.stores]
            if holder is not None:
                found[holder].held.add(task)
            elif keepers:
                found[min(keepers, key=lambda id_: len(found[id_].stored))].stored.add(task)
    return found


class Shares:
    """How many tasks of each row a member gets."""

    def __init__(self, rows: Mapping[str, int], members: Sequence[Member], ties: Mapping[str, Ties]) -> None:
        self._rows = rows
        self._able = {row: [member.id for member in members if row in member.rows] for row in rows}
        self._held = {id_: Counter(row for row, _ in tied.held) for id_, tied in ties.items()}
        self._stored = {id_: Counter(row for row, _ in tied.stored) for id_, tied in ties.items()}
        self.count = {id_: held + self._stored[id_] for id_, held in self._held.items()}
        self._total = {id_: count.total() for id_, count in self.count.items()}

    def _add(self, id_: str, row: str, more: int) -> None:
        self.count[id_][row] += more
        self._total[id_] += more

    def take(self, step: Step) -> None:
        self._add(step.giver, step.row, -1)
        self._add(step.taker, step.row, 1)
        if step.back is not None:
            self._add(step.taker, step.back, -1)
            self._add(step.giver, step.back, 1)

    def deal(self) -> None:
        """Tasks that nobody claims, one by one to the member that has least."""
        for row, able in self._able.items():
            for _ in range(self._rows[row] - sum(self.count[id_][row] for id_ in able) if able else 0):
                self._add(min(able, key=lambda id_: (self._total[id_], self.count[id_][row])), row, 1)

    def levelling(self) -> Iterator[Step]:
        """From the fullest to the emptiest, while they differ by 2 or more."""
        for row, able in self._able.items():
            givers = [id_ for id_ in able if self.count[id_][row]]
            if givers:
                giver = max(givers, key=lambda id_: (self._total[id_], -self._loss(id_, row), self.count[id_][row]))
                taker = min(able, key=lambda id_: (self._total[id_], self._gain(id_, row), self.count[id_][row]))
                apart = self._total[giver] - self._total[taker]
                excess = self.count[giver][row] - self.count[taker][row]
                if apart > 1:
                    price = self._loss(giver, row) + self._gain(taker, row)
                    yield Step((-apart, price, -excess), giver, taker, row)

    def spreading(self) -> Iterator[Step]:
        """Where a member has 2 or more of a row above another: what costs nothing, or undoes a pile."""
        for row, able in self._able.items():
            for giver, taker in ((giver, taker) for giver in able for taker in able):
                excess = self.count[giver][row] - self.count[taker][row]
                if excess > 1:
                    steps = self._exchanges(giver, taker, row)
                    yield from (step for step in steps if step.rank <= (0,) or excess >= PILE)

    def _exchanges(self, giver: str, taker: str, row: str) -> Iterator[Step]:
        """The totals of the two stay as they are, or change places."""
        price = self._loss(giver, row) + self._gain(taker, row)
        if self._total[giver] > self._total[taker]:
            yield Step((price,), giver, taker, row)
            return
        for back, able in self._able.items():
            if giver in able and taker in able and self.count[taker][back] > self.count[giver][back]:
                yield Step((price + self._loss(taker, back) + self._gain(giver, back),), giver, taker, row, back)

    def _loss(self, id_: str, row: str) -> int:
        """A task that moves costs more than a store that is not used."""
        count, held = self.count[id_][row], self._held[id_][row]
        return 2 if count <= held else 1 if count <= held + self._stored[id_][row] else 0

    def _gain(self, id_: str, row: str) -> int:
        count, held = self.count[id_][row], self._held[id_][row]
        return -2 if count < held else -1 if count < held + self._stored[id_][row] else 0


def _hand_out(
    free: set[TaskId], able: Sequence[Member], ties: Mapping[str, Ties], room: dict[str, int]
) -> Iterator[tuple[str, TaskId]]:
    """The tasks of a row: to those who hold them, then to those who have their stores, then to who has room."""
    held = {member.id: ties[member.id].held & free for member in able}
    takers = [member for member in able if room[member.id] > len(held[member.id])]
    for id_, tasks in held.items():
        kept = sorted(tasks, key=lambda task: _wanted(task, takers))[: room[id_]]
        free.difference_update(kept)
        room[id_] -= len(kept)
        yield from ((id_, task) for task in kept)
    for stored in (True, False):
        for task in sorted(free, key=lambda task: (sum(task in taker.stores for taker in takers), task)):
            rooms = {
                taker.id: room[taker.id] for taker in takers if room[taker.id] and (task in taker.stores) >= stored
            }
            if rooms:
                taker = max(rooms, key=lambda id_: rooms[id_])
                free.discard(task)
                room[taker] -= 1
                yield taker, task


def _wanted(task: TaskId, takers: Sequence[Member]) -> tuple[bool, TaskId]:
    """Given up first: what somebody with room has the store of."""
    return any(task in taker.stores for taker in takers), task
