"""Rule T2: what members say of themselves, what the leader tells all, and when a member joins again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from app.engine.group import rollcall
from app.engine.group.assignor import Me, Row, Seat, TaskAssignor, Told, UnknownCount, View, row_of
from app.engine.group.rollcall import RollCall
from app.engine.plan import advertised
from app.engine.processor import Processor, Table
from app.engine.topology import build
from tests.support.toy import Account, reading, toy

TOY = toy("unit.")
SAGA = Row("s1", ("inbox", "replies"), 4)
ROUTE = Row("r1", ("orders", "trips"))


class Brokers:
    """What the leader's client knows of the cluster."""

    def __init__(self, **counts: int) -> None:
        self.counts = {"inbox": 4, "replies": 4, "orders": 3, "trips": 2} | counts

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self.counts[topic])) or None


def member(name: str, stores: Path = Path("nowhere"), **changed: Any) -> TaskAssignor:
    rows = changed.pop("rows", {"saga": SAGA, "route": ROUTE})
    me = Me(name, 0, f"http://{name}:8104", rows, changed.pop("counts", {}), stores)
    return TaskAssignor(None, me=me)


def rebalance(leader: TaskAssignor, *others: TaskAssignor, brokers: Brokers | None = None) -> dict[str, dict[str, Any]]:
    """As Kafka does it, bytes and all; partitions by topic, by member."""
    members = {one.me.id: one for one in (leader, *others)}
    told = {
        f"kafka-{id_}": ConsumerProtocolMemberMetadata.decode(one.metadata({"inbox"}).encode())
        for id_, one in members.items()
    }
    found = {}
    for kafka_id, assignment in leader.assign(brokers or Brokers(), told).items():
        one = members[kafka_id.removeprefix("kafka-")]
        current = one.current(ConsumerProtocolMemberAssignment.decode(assignment.encode()))
        one.on_assignment(current)
        found[one.me.id] = dict(current.assignment)
    return found


def test_t2_tasks_are_assigned_whole_with_the_partitions_that_there_are() -> None:
    """Task route-2 reads orders alone: trips have no third partition."""
    alone = member("m-0")
    assert rebalance(alone) == {
        "m-0": {"inbox": [0, 1, 2, 3], "replies": [0, 1, 2, 3], "orders": [0, 1, 2], "trips": [0, 1]}
    }
    one, two = member("m-1"), member("m-2")
    shares = rebalance(one, two)
    assert shares["m-1"]["inbox"] == shares["m-1"]["replies"]
    assert shares["m-1"]["inbox"] + shares["m-2"]["inbox"] == [0, 2, 1, 3]
    assert set(shares["m-1"].get("trips", [])) <= set(shares["m-1"]["orders"])


def test_t2_every_member_is_told_who_has_what_and_where_it_answers() -> None:
    one, two = member("m-1"), member("m-2")
    rebalance(one, two)
    assert one.view == two.view
    owner = one.view.owner(("saga", 1))
    assert owner is not None
    assert one.view.seats[owner].url == f"http://{owner}:8104"
    assert ("saga", 1) in one.view.tasks[owner]
    assert one.view.owner(("saga", 9)) is None


def test_t2_what_is_held_stays_and_the_newest_round_is_believed() -> None:
    """A member that was frozen still believes that it has what went to others meanwhile."""
    rows, brokers = {"route": Row("r1", ("orders",))}, Brokers(orders=24)
    frozen, one, two = (member(name, rows=rows) for name in ("a-frozen", "b-heir", "c-heir"))
    rebalance(frozen, brokers=brokers)
    rebalance(two, brokers=brokers)
    rebalance(two, one, brokers=brokers)
    before = {heir.me.id: set(heir.view.tasks[heir.me.id]) for heir in (one, two)}
    rebalance(frozen, one, two, brokers=brokers)
    assert set(one.view.tasks["b-heir"]) < before["b-heir"]
    assert set(two.view.tasks["c-heir"]) < before["c-heir"]


def test_t2_stores_on_disk_are_said_and_nothing_else_that_lies_there(tmp_path: Path) -> None:
    for name in ("saga-0", "saga-3", "route-x", "unknown-1", "LOCK"):
        (tmp_path / name).mkdir()
    assert member("m-0", tmp_path).me.stored() == (("saga", 0), ("saga", 3))
    cold, warm = member("m-1"), member("m-2", tmp_path)
    shares = rebalance(cold, warm)
    assert {0, 3} <= set(shares["m-2"]["inbox"])


def test_t2_a_row_that_most_run_otherwise_is_not_given_to_the_others() -> None:
    changed = {"saga": SAGA, "route": Row("r2", ("orders", "trips", "rides"))}
    old, new, newer = member("old"), member("new", rows=changed), member("newer", rows=changed)
    brokers = Brokers(rides=3)
    shares = rebalance(old, new, brokers=brokers)
    assert "orders" in shares["old"]
    assert "orders" not in shares["new"], "two tie: the leader's counts"
    shares = rebalance(old, new, newer, brokers=brokers)
    assert "orders" not in shares["old"]
    assert sorted(number for share in shares.values() for number in share.get("rides", [])) == [0, 1, 2]


def test_t2_a_static_restart_does_not_take_what_it_now_runs_otherwise() -> None:
    before = member("m-0")
    metadata = {"kafka": before.metadata({"inbox"})}
    assignment = before.assign(Brokers(), metadata)["kafka"]
    after = member("m-0", rows={"saga": SAGA, "route": Row("r2", ("orders",))})
    assert dict(after.current(assignment).assignment) == {"inbox": [0, 1, 2, 3], "replies": [0, 1, 2, 3]}
    after.on_assignment(assignment)
    assert not after.known


def test_t2_the_most_partitions_that_anybody_knows_of_count_and_none_is_an_error() -> None:
    """The leader's metadata may be older than a member's; a topic that nobody knows is not taken from its owners."""
    seeing = member("m-1", counts={"orders": 5})
    shares = rebalance(member("m-0"), seeing)
    assert sorted(number for share in shares.values() for number in share["orders"]) == [0, 1, 2, 3, 4]
    with pytest.raises(UnknownCount, match="not known: orders"):
        rebalance(member("m-0"), brokers=Brokers(orders=0))


def test_t2_the_hash_is_of_topics_tables_formats_and_of_nothing_else() -> None:
    def hash_of(processor: Processor) -> str:
        (sub,) = build([processor], {}).values()
        return row_of(sub, 4).hash

    same = toy("unit.")
    assert hash_of(same.processor) == hash_of(TOY.processor)
    others = [
        reading(TOY.processor, "more"),
        toy("unit.", stored_format=2).processor,
        toy("other.").processor,
        _keeping(Table("accounts", 2, Account, due=TOY.accounts.due)),
    ]
    assert len({hash_of(TOY.processor), *map(hash_of, others)}) == 1 + len(others)


def _keeping(table: Table[Any]) -> Processor:
    return Processor(TOY.processor.run, TOY.processor.sources, table, (), TOY.processor.row, timers=True)


TOLD = bytes.fromhex(
    "89a26964a36d2d30a4736c6f7400a375726caf687474703a2f2f6d2d303a38313034a4726f777381a47361676183a4686173"
    "68a27331a6746f7069637391a5696e626f78a57461736b7304a6636f756e747381a5696e626f7804a468656c649192a47361"
    "676101a673746f7265739192a47361676100a5726f756e6402a56e6f6e636501"
)
VIEW = bytes.fromhex(
    "84a5726f756e6403a5736561747381a36d2d3083a4736c6f7400a375726caf687474703a2f2f6d2d303a38313034a4726f77"
    "7381a473616761a27331a57461736b7381a36d2d309192a47361676101a6636f756e747381a5696e626f7804"
)


def test_t2_what_members_of_this_version_say_is_understood_by_all_later_ones() -> None:
    """The bytes never change: a rolling deploy has both in one group."""
    told = msgspec.msgpack.decode(TOLD, type=Told)
    assert told == Told(
        id="m-0",
        slot=0,
        url="http://m-0:8104",
        rows={"saga": Row("s1", ("inbox",), 4)},
        counts={"inbox": 4},
        held=(("saga", 1),),
        stores=(("saga", 0),),
        round=2,
        nonce=1,
    )
    seat = Seat(0, "http://m-0:8104", {"saga": "s1"})
    view = msgspec.msgpack.decode(VIEW, type=View)
    assert view == View(3, {"m-0": seat}, {"m-0": (("saga", 1),)}, {"inbox": 4})


def test_t2_what_a_later_version_says_beside_is_passed_over() -> None:
    one, later = member("m-0"), member("m-1")
    said = msgspec.msgpack.decode(later.metadata({"inbox"}).user_data)
    grown = ConsumerProtocolMemberMetadata(0, ["inbox"], msgspec.msgpack.encode(said | {"rack": "r-1"}))
    assert set(one.assign(Brokers(), {"a": one.metadata({"inbox"}), "b": grown})) == {"a", "b"}


class Roll:
    """A roll call whose rejoins are counted; `now` is its clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counts = {"inbox": 4, "replies": 4, "orders": 3, "trips": 2}
        self.me = member("m-0", counts=self.counts)
        self.now, self.rejoins = 1_000.0, 0
        monkeypatch.setattr(rollcall, "monotonic", lambda: self.now)
        self.roll = RollCall(self.me, self._rejoin)

    def _rejoin(self) -> None:
        self.rejoins += 1

    def looks(self, times: int = 1) -> int:
        for _ in range(times):
            self.roll.look()
        return self.rejoins

    def answered_with_the_old(self) -> None:
        self.me.joined += 1


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Roll:
    return Roll(monkeypatch)


def test_t2_who_is_known_does_not_join_again_nor_does_who_has_not_joined(told: Roll) -> None:
    assert told.looks(9) == 0
    rebalance(told.me)
    assert told.looks(9) == 0


def test_t2_more_partitions_are_news_and_fewer_are_not(told: Roll) -> None:
    rebalance(told.me, brokers=Brokers(trips=5))
    assert told.looks() == 0
    told.counts["trips"] = 6
    nonce = told.me.nonce
    assert told.looks(5) == 1, "until it is answered, once"
    assert told.me.nonce == nonce + 1
    rebalance(told.me)
    assert told.looks(5) == 1
    assert told.roll.wrong == ""


def test_t2_another_address_or_topology_is_told_three_times_then_once_a_minute(told: Roll) -> None:
    rebalance(told.me)
    told.me.me = told.me.me._replace(url="http://m-0:9000")
    for tries in (1, 2, 3):
        assert told.looks(5) == tries
        assert told.roll.wrong == ""
        told.answered_with_the_old()
    assert told.looks(5) == 3
    assert told.roll.wrong == "the group knows another address or topology of this worker"
    told.now += 61
    assert told.looks(5) == 4
    rebalance(told.me)
    told.looks()
    assert told.roll.wrong == ""


@pytest.mark.parametrize(
    ("url", "host", "expected"),
    [
        ("", "127.0.0.1", "http://127.0.0.1:8105"),
        ("", "0.0.0.0", "http://me:8105"),
        ("", "::", "http://me:8105"),
        ("", "fd00::7", "http://[fd00::7]:8105"),
        ("http://10.0.0.7", "0.0.0.0", "http://10.0.0.7:8105"),
        ("http://10.0.0.7:80", "0.0.0.0", "http://10.0.0.7:80"),
    ],
)
def test_t2_others_reach_a_worker_where_it_is_bound_or_where_it_says(
    url: str, host: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engine.plan.gethostname", lambda: "me")
    assert advertised(url, host, 8105) == expected
