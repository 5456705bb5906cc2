"""Rule S1: what lies on disks and in changelogs is read by every later version.

The bytes of each format stay here for ever: a change of a state adds a new one, and the old ones still decode.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest

from app.domain.breakers.breaker import Breaker
from app.domain.breakers.calls import Sighting, State
from app.domain.breakers.fleet import Fleet, Kept, Totals
from app.domain.breakers.permits import Client, Round
from app.domain.breakers.window import CountWindow, TimeWindow
from app.domain.sagas.messages import Error
from app.domain.sagas.saga_state import Entry, Open, Progress, Saga, StepState, Wait
from app.domain.sagas.saga_state import State as SagaState
from app.engine.processor import Table
from app.engine.state.stored import (
    POSITIONS_KEY,
    Codec,
    NewerFormat,
    Positions,
    Unreadable,
    decode_positions,
    due_of,
    encode_positions,
    mark_of,
)
from tables.breaker import breakers
from tables.saga import sagas
from tests.support.toy import Account, toy

ACCOUNT = Account(3, -70_000, 1_790_000_000_123, "note")

SAGA = Saga(
    saga="order",
    id="order/o-1",
    version=2,
    key="o-1",
    run=1,
    state=SagaState.COMPENSATING,
    seq=7,
    started_at=1_790_000_000_000,
    deadline_at=1_790_000_600_000,
    due_at=1_790_000_030_000,
    data=b'{"qty":2}',
    origin_topic="orders",
    origin_key="o-1",
    steps=(
        Progress("reserve", StepState.DONE, 1_790_000_000_020, 1_790_000_000_010, 1, 0, 0, False, b'{"id":"r-1"}'),
        Progress("charge", StepState.IN_DOUBT, 1_790_000_000_040, 1_790_000_000_030, 3, 2, 1, True, None),
    ),
    open=Open("undo", 0, 2, Wait.REPLY, 1_790_000_000_050, 4),
    error=Error("card.declined", "no cover", 250),
    ended_at=1_790_000_000_060,
    history=(Entry("started", 1_790_000_000_000), Entry("step_sent", 1_790_000_000_010, "reserve", 1)),
    stuck="why",
)

REFUSED = Saga(
    saga="order",
    id="order/o-1",
    version=1,
    key="o-1",
    run=2,
    state=SagaState.COMPENSATING,
    seq=7,
    started_at=1_790_000_000_000,
    deadline_at=1_790_000_900_000,
    due_at=1_790_000_030_000,
    data=b'{"orderId":"o-1","total":49.90}',
    origin_topic="orders",
    origin_key="k-1",
    steps=(
        Progress("RESERVE", StepState.UNDOING, 1_790_000_000_300, 1_790_000_000_000, 1, 0, 1, False, b'{"hold":7}'),
        Progress("CHARGE", StepState.REFUSED, 1_790_000_000_200, 1_790_000_000_100, 3, 2, 0, True, None),
    ),
    open=Open("undo", 0, 1, Wait.REPLY, 1_790_000_000_300),
    error=Error("card-declined", "no"),
    history=(Entry("started", 1_790_000_000_000), Entry("step_sent", 1_790_000_000_300, "RESERVE", 1)),
)

OPENED = Kept(
    Breaker(
        State.OPEN,
        1_790_000_000_000,
        1_790_000_060_000,
        True,
        CountWindow(10, 4, 2, 2, 1, b"\0\1\2\3"),
        not_permitted=5,
        opens=2,
        seq=9,
    ),
    Sighting(at=1_790_000_000_001, outcome="failure", caller="orders", error="timeout"),
    Sighting(at=1_790_000_000_002),
    Totals(40, 5_000, 2, 61_000, 1, 9, 7),
    used_at=1_790_000_000_003,
    changed_at=1_790_000_000_000,
    changed_seq=9,
    slow_ms=60_000,
    permitted=3,
)

TIMED = Kept(
    Breaker(
        State.OPEN,
        1_790_000_000_000,
        1_790_000_060_000,
        timed=True,
        window=TimeWindow(60, 305, 2, 2, 1, 1_790_000_003, 2, 1, 0, 0, 2, b"\xaf\x02\x01\x02\x01\0"),
        seq=4,
    ),
)

TRIED = Kept(
    Breaker(State.HALF_OPEN, 1_790_000_000_000, window=CountWindow(3), opens=1, seq=4),
    round=Round(4, 1_790_000_000_000, 1_790_000_010_000, {"order-1": 2, "cart-1": 1}),
)

FLEET = Fleet(
    {"payment-service": OPENED, "payment-service:op:charge": TIMED, "payment-service:from:cart-service": TRIED},
    ("service", "operation", "caller"),
    {
        "order-1": Client("order-service", 1_790_000_000_003, 1_790_000_000_002),
        "cart-1": Client(None, 1_790_000_000_004),
    },
    ("act-1", "act-2"),
    seq=5,
    refused=2,
)

GOLDEN: list[tuple[Table[Any], Any, str]] = [
    (
        toy("unit.").accounts,
        ACCOUNT,
        "0100000001a0c4506c7b9403d2fffeee90cf000001a0c4506c7ba46e6f7465",
    ),
    (
        sagas,
        SAGA,
        "0103000001a0c450e130dc0014a56f72646572a96f726465722f6f2d3102a36f2d3101ac434f4d50454e534154494e47"
        "07cf000001a0c4506c00cf000001a0c45993c0cf000001a0c450e130c4097b22717479223a327da66f7264657273a36f"
        "2d319299a772657365727665a4444f4e45cf000001a0c4506c14cf000001a0c4506c0a010000c2c40c7b226964223a22"
        "722d31227d99a6636861726765a8494e5f444f554254cf000001a0c4506c28cf000001a0c4506c1e030201c3c096a475"
        "6e646f0002a57265706c79cf000001a0c4506c320483a4636f6465ad636172642e6465636c696e6564a76d6573736167"
        "65a86e6f20636f766572ae72657472795f61667465725f6d73ccfacf000001a0c4506c3c9294a773746172746564cf00"
        "0001a0c4506c00c0c094a9737465705f73656e74cf000001a0c4506c0aa77265736572766501a3776879c0",
    ),
    (
        sagas,
        REFUSED,
        "0103000001a0c450e130dc0014a56f72646572a96f726465722f6f2d3101a36f2d3102ac434f4d50454e534154494e47"
        "07cf000001a0c4506c00cf000001a0c45e27a0cf000001a0c450e130c41f7b226f726465724964223a226f2d31222c22"
        "746f74616c223a34392e39307da66f7264657273a36b2d319299a752455345525645a7554e444f494e47cf000001a0c4"
        "506d2ccf000001a0c4506c00010001c2c40a7b22686f6c64223a377d99a6434841524745a752454655534544cf000001"
        "a0c4506cc8cf000001a0c4506c64030200c3c096a4756e646f0001a57265706c79cf000001a0c4506d2c0182a4636f64"
        "65ad636172642d6465636c696e6564a76d657373616765a26e6fc09294a773746172746564cf000001a0c4506c00c0c0"
        "94a9737465705f73656e74cf000001a0c4506d2ca75245534552564501c0c0",
    ),
    (
        breakers,
        FLEET,
        "0100000001a0c4509ae09683af7061796d656e742d736572766963659a9aa44f50454ecf000001a0c4506c00cf000001"
        "a0c4515660c397000a04020201c40400010203050002000984a26174cf000001a0c4506c01a76f7574636f6d65a76661"
        "696c757265a663616c6c6572a66f7264657273a56572726f72a774696d656f757481a26174cf000001a0c4506c029728"
        "cd138802cdee48010907cf000001a0c4506c03cf000001a0c4506c0009cdea6003c0b97061796d656e742d7365727669"
        "63653a6f703a6368617267659a9aa44f50454ecf000001a0c4506c00cf000001a0c4515660c39d013ccd0131020201ce"
        "6ab13b830201000002c406af02010201000000000004808097000000000000000000000000c0d9217061796d656e742d"
        "736572766963653a66726f6d3a636172742d736572766963659a9aa948414c465f4f50454ecf000001a0c4506c0000c2"
        "97000300000000c40000000100048080970000000000000000000000009404cf000001a0c4506c00cf000001a0c45093"
        "1082a76f726465722d3102a6636172742d310193a773657276696365a96f7065726174696f6ea663616c6c657282a76f"
        "726465722d3193ad6f726465722d73657276696365cf000001a0c4506c03cf000001a0c4506c02a6636172742d3193c0"
        "cf000001a0c4506c040092a56163742d31a56163742d320502",
    ),
]

POSITIONS = Positions({"orders": 7, "replies": 1 << 40}, 1_790_000_000_000, "group", 4)
POSITIONS_BYTES = {
    "9582a66f726465727307a77265706c696573cf0000010000000000cf000001a0c4506c00a567726f75700480": POSITIONS,
    "9582a66f726465727307a77265706c696573cf0000010000000000cf000001a0c4506c00a567726f75700481a66f726465727303": (
        msgspec.structs.replace(POSITIONS, expired={"orders": 3})
    ),
}
POSITIONS_BEFORE_EXPIRED = "9482a66f726465727307a77265706c696573cf0000010000000000cf000001a0c4506c00a567726f757004"


@pytest.mark.parametrize(("table", "state", "golden"), GOLDEN, ids=["account", "saga", "refused-saga", "fleet"])
def test_s1_format_1_is_written_and_read_as_ever(table: Table[Any], state: Any, golden: str) -> None:
    stored = bytes.fromhex(golden)
    assert Codec(table).pack(state) == stored
    assert Codec(table).unpack(stored) == state
    assert (stored[0], stored[2:10], mark_of(stored)) == (1, struct.pack(">q", table.due(state)), table.mark(state))
    assert due_of(stored) == table.due(state)


def test_s1_table_ids_are_written_and_never_reused() -> None:
    assert {table.name: table.id for table in (sagas, breakers)} == {"sagas": 1, "breakers": 2}


def test_s1_a_state_without_a_due_has_0_there() -> None:
    assert Codec(breakers).pack(Fleet())[2:10] == bytes(8)
    assert due_of(Codec(sagas).pack(msgspec.structs.replace(SAGA, due_at=0))) == 0


def test_s1_marks_are_ordinals_in_an_order_that_only_grows() -> None:
    assert sagas.marks[:8] == (
        "RUNNING",
        "HOLDING",
        "PAUSED",
        "COMPENSATING",
        "COMPLETED",
        "COMPENSATED",
        "IN_DEBT",
        "ABANDONED",
    )
    assert len(sagas.marks) <= 16


def test_s1_a_field_is_appended_with_a_default() -> None:
    class Longer(msgspec.Struct, frozen=True, array_like=True):
        additions: int = 0
        total: int = 0
        alarm_at: int = 0
        note: Any = None
        since: int = 5

    stored = bytes.fromhex(GOLDEN[0][2])
    assert Codec(Table("accounts", 1, Longer)).unpack(stored) == Longer(3, -70_000, 1_790_000_000_123, "note", 5)


def test_s1_a_newer_format_is_refused_by_name_and_anything_else_is_unreadable() -> None:
    stored = bytes.fromhex(GOLDEN[1][2])
    with pytest.raises(NewerFormat, match="table sagas: format 2, and 1 is the newest known"):
        Codec(sagas).unpack(b"\2" + stored[1:])
    with pytest.raises(Unreadable, match="table sagas, format 1"):
        Codec(sagas).unpack(stored[:-1])


@pytest.mark.parametrize("golden", POSITIONS_BYTES, ids=["plain", "expired"])
def test_s4_positions_are_written_and_read_as_ever(golden: str) -> None:
    assert encode_positions(POSITIONS_BYTES[golden]) == bytes.fromhex(golden)
    assert decode_positions(bytes.fromhex(golden)) == POSITIONS_BYTES[golden]
    assert POSITIONS_KEY == b"\0positions"


def test_s4_positions_of_before_records_could_expire_are_read() -> None:
    assert decode_positions(bytes.fromhex(POSITIONS_BEFORE_EXPIRED)) == POSITIONS
