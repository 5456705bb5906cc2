"""What is checked, found and taken before anything is consumed: rules T1, T5, S4, X4, X5 and the start-up check."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import UnknownError
from aiokafka.protocol.metadata import MetadataRequest

from app.domain.errors import NotYet, Rejected
from app.engine import startup
from app.engine.broker import fetch
from app.engine.broker.codes import FENCED, LOST, RETRIABLE, UNPINNED, Fenced, TransactionLost, UnpinnedRecord, check
from app.engine.faults import BadFault, plan
from app.engine.group.recovery import Refused, starting_positions
from app.engine.group.slots import NoSlot, take
from app.engine.plan import Plan
from app.engine.processor import Processor, Table, View
from app.engine.readings import Complete
from app.engine.startup import NotReady, check_counts, check_port, finalized, missing_topics
from app.engine.topology import TopologyError, build
from app.engine.wanted import wanted
from app.wire.topics import Cleanup, Sources, Topic
from tests.support.toy import Account, Addition, Json, toy

TOY = toy("unit.")


def topic(name: str, cleanup: Cleanup = Cleanup.DELETE) -> Topic:
    return Topic(name, Json(Addition), cleanup=cleanup)


def processor(*sources: Any, keeps: Any = None, row: str = "row", timers: bool = False, reads: Any = ()) -> Processor:
    def run(*_: Any) -> None: ...

    run.__name__ = f"{row}-of-{'-'.join(source.name for source in sources)}"
    return Processor(run, sources, keeps, reads, row, timers)


# T1


def test_t1_processors_that_share_a_table_are_one_sub_topology() -> None:
    table: Table[Account] = Table("shared", 1, Account)
    view: View[Any] = View("seen")
    named = Sources("events")
    subs = build(
        [
            processor(topic("a"), keeps=table),
            processor(topic("b"), topic("c"), keeps=table, reads=(view,)),
            processor(named, row="other"),
            processor(Sources("none"), row="unused"),
        ],
        {named: [topic("d"), topic("e")]},
    )
    assert {row: sorted(sub.readers) for row, sub in subs.items()} == {"row": ["a", "b", "c"], "other": ["d", "e"]}
    assert (subs["row"].tables, subs["row"].views) == ((table,), (view,))


def due(_: Account) -> int | None:
    return None


@pytest.mark.parametrize(
    ("processors", "said"),
    [
        ([processor(topic("a")), processor(topic("a"), row="other")], "a has two readers"),
        ([processor(topic("a")), processor(topic("a"))], "two processors of that name"),
        ([processor(topic("a")), processor(topic("b"))], "row row: its processors share no table"),
        (
            [processor(topic("a"), keeps=Table("x", 1, Account)), processor(topic("b"), keeps=Table("y", 2, Account))],
            "row row: its processors share no table",
        ),
        (
            [
                processor(topic("a"), keeps=Table("x", 1, Account)),
                processor(topic("b"), keeps=Table("y", 1, Account), row="other"),
            ],
            "table id 1 is x of row and y of other",
        ),
        ([processor(topic("a"), keeps=Table("x", 1, Account, due=due))], "table x: 0 processors with timers"),
        ([processor(topic("a"), keeps=Table("x", 1, Account), timers=True)], "table x: 1 processors with timers"),
    ],
)
def test_t1_a_topology_that_contradicts_itself_is_refused(processors: Sequence[Processor], said: str) -> None:
    with pytest.raises(TopologyError, match=said):
        build(processors, {})


# T5


def test_t5_each_process_takes_the_first_free_slot_and_keeps_its_identity(tmp_path: Path) -> None:
    first = take(tmp_path)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from app.engine.group.slots import take\n"
        "slot = take(Path(sys.argv[1]))\n"
        "print(slot.number, slot.instance, flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    number, instance = other.stdout.readline().split()
    assert (first.number, number) == (0, "1")
    assert instance != first.instance
    other.kill()
    other.communicate()
    second = take(tmp_path)
    assert (second.number, second.instance) == (1, instance)
    os.close(first.lock)
    again = take(tmp_path)
    assert (again.number, again.instance) == (0, first.instance)
    os.close(second.lock)
    os.close(again.lock)


def test_t5_a_copied_directory_is_another_member(tmp_path: Path) -> None:
    first = take(tmp_path / "data")
    copy = tmp_path / "copy" / "0"
    copy.mkdir(parents=True)
    (copy / "instance.json").write_bytes((first.directory / "instance.json").read_bytes())
    second = take(tmp_path / "copy")
    assert second.instance != first.instance
    said = json.loads((copy / "instance.json").read_text())
    assert said == {"instance": second.instance, "host": socket.gethostname(), "path": str(copy)}
    os.close(first.lock)
    os.close(second.lock)


@pytest.mark.parametrize("left", [b"", b'{"instance": "a1', b"\xff\0"])
def test_t5_an_identity_that_was_cut_short_by_a_crash_is_made_anew(tmp_path: Path, left: bytes) -> None:
    os.close(take(tmp_path).lock)
    (tmp_path / "0" / "instance.json").write_bytes(left)
    renewed = take(tmp_path)
    os.close(renewed.lock)
    again = take(tmp_path)
    assert again.instance == renewed.instance
    os.close(again.lock)


def test_t5_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoSlot, match=r"file/0: Not a directory"):
        take(tmp_path / "file")


# S4


@pytest.mark.parametrize(
    ("committed", "stored", "reset", "position"),
    [
        (-1, -1, "earliest", 3),
        (-1, -1, "latest", 9),
        (5, 5, "earliest", 5),
        (5, 5, "latest", 5),
        (-1, 5, "latest", 5),  # the group has forgotten
        (9, 9, "earliest", 9),
        (3, 3, "earliest", 3),
    ],
)
def test_s4_where_a_task_goes_on(committed: int, stored: int, reset: str, position: int) -> None:
    found = starting_positions("row-0", {"t": committed}, {"t": stored}, {"t": (3, 9)}, reset)
    assert found == {"t": position}


@pytest.mark.parametrize(
    ("committed", "stored", "said"),
    [
        (4, 5, "the group's position is 4, the changelog of row-0 has 5"),
        (6, 5, "the group's position is 6, the changelog of row-0 has 5"),
        (5, -1, "the group's position is 5, the changelog of row-0 has none"),
        (1, 1, "2 records from 1 on are gone"),
        (-1, 1, "2 records from 1 on are gone"),
        (10, 10, "the position is 10 and the log ends at 9"),
        (1, 2, "the group's position is 1, the changelog of row-0 has 2"),
    ],
)
def test_s4_what_contradicts_itself_is_refused_naming_both(committed: int, stored: int, said: str) -> None:
    with pytest.raises(Refused, match=said):
        starting_positions("row-0", {"t": committed}, {"t": stored}, {"t": (3, 9)}, "earliest")


# X3, X4: codes


def test_x4_every_code_is_in_one_class_at_most() -> None:
    classes = [FENCED, LOST, RETRIABLE, UNPINNED]
    assert sum(map(len, classes)) == len(set().union(*classes))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *[(code, Fenced) for code in (22, 25, 47, 49, 80, 82, 90)],
        *[(code, TransactionLost) for code in (45, 48, 59, 120)],
        *[(code, UnpinnedRecord) for code in (10, 87)],
        (53, Exception),
        (29, Exception),
        (-1, UnknownError),
    ],
)
def test_x3_definite_codes_are_raised_and_name_what_was_asked(code: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="EndTxn of mine"):
        check(code, "EndTxn of mine")


@pytest.mark.parametrize("code", [3, 5, 6, 7, 13, 14, 15, 16, 19, 20, 51, 88])
def test_x4_retriable_codes_are_returned(code: int) -> None:
    assert check(code, "") == code
    assert check(0, "") is None


# X5

FEATURES = bytes.fromhex(
    "04"  # three
    "0e67726f75702e76657273696f6e0001000100"  # group.version 1
    "147472616e73616374696f6e2e76657273696f6e0002000200"  # transaction.version 2
    "116d657461646174612e76657273696f6e001b001b00"  # metadata.version 27
)


def test_x5_the_finalized_features_are_read_from_their_tag() -> None:
    assert finalized({2: FEATURES}) == {"group.version": 1, "transaction.version": 2, "metadata.version": 27}
    assert finalized({0: FEATURES}) == {}


def test_x5_metadata_requests_never_create_topics() -> None:
    fetch.install()
    struct = MetadataRequest(["orders"]).prepare({3: (0, 5)})
    assert struct.API_VERSION == 5
    assert struct.allow_auto_topic_creation is False


# start-up


def test_the_start_names_foreign_topics_that_are_missing_and_creates_its_own() -> None:
    own, theirs = topic("own"), topic("theirs", Cleanup.THEIRS)
    assert missing_topics({"theirs": 4}, [own, theirs]) == [own]
    with pytest.raises(NotReady, match="topics missing: theirs; they belong to the services"):
        missing_topics({"own": 4}, [own, theirs])


def test_the_start_names_wrong_numbers_of_partitions() -> None:
    (sub,) = build([TOY.processor], {}).values()
    counts = {TOY.additions.name: 4, f"iopt.{sub.row}.changelog": 4}
    check_counts(counts, [sub], 4)
    with pytest.raises(NotReady, match=r"unit\.additions has 3; expected 4 \(iopt\.partitions\)"):
        check_counts(counts | {TOY.additions.name: 3}, [sub], 4)
    with pytest.raises(NotReady, match=r"changelog has 5 partitions: expected 4"):
        check_counts(counts | {f"iopt.{sub.row}.changelog": 5}, [sub], 4)


def test_t1_topics_of_a_row_without_a_table_may_have_any_number_of_partitions() -> None:
    (sub,) = build([processor(topic("a"), topic("b"))], {}).values()
    check_counts({"a": 3, "b": 6, "iopt.row.changelog": 4}, [sub], 4)


@pytest.mark.parametrize(
    ("there", "partitions"), [({}, 6), ({"iopt.row.changelog": 4}, 4), ({"iopt.row.changelog": 9}, 9)]
)
def test_t1_a_changelog_of_positions_is_made_for_all_tasks_and_then_is_as_it_is(
    there: dict[str, int], partitions: int
) -> None:
    """It grows with the tasks, and stays when one of its topics is read no more."""
    row = processor(topic("a", Cleanup.THEIRS), topic("b", Cleanup.THEIRS))
    subs = build([row], {}).values()
    plan = Plan(bootstrap="", group="g", processors=[row], data=Path("nowhere"))
    found = wanted(plan, subs, {"a": 3, "b": 6} | there)
    assert {one.name: count for one, count in found.items()}["iopt.row.changelog"] == partitions


def test_the_start_names_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(NotReady, match=rf"port {port} on 127.0.0.1: Address already in use"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_the_start_names_a_package_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    startup.check_packages()
    monkeypatch.setitem(startup.PINNED, "aiokafka", "0.0.1")
    with pytest.raises(NotReady, match=r"aiokafka 0\.14\.0 is installed: expected 0\.0\.1"):
        startup.check_packages()


# R5


def test_r5_a_view_that_is_complete_gives_none_or_refuses() -> None:
    view = Complete("limits", {"known": 3}.get)
    assert (view.get("known"), view["known"], view.get("unknown")) == (3, 3, None)
    with pytest.raises(Rejected, match="limits has no 'unknown'") as refused:
        view["unknown"]
    assert not isinstance(refused.value, NotYet)


# faults


def test_a_fault_that_is_none_is_refused_and_none_costs_nothing() -> None:
    plan("")("before_end")
    for text in ("kill", "kill@nowhere", "hug@before_end"):
        with pytest.raises(BadFault, match="expected kill or stop"):
            plan(text)
