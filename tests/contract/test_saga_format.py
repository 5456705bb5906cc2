"""What stands on disk: a saga of format 1, byte for byte. It must be read for ever; fields are only appended."""

from __future__ import annotations

from msgspec import msgpack

from app.domain.messages import Error
from app.domain.saga_state import Entry, Open, Progress, Saga, State, StepState, Wait

FORMAT_1 = bytes.fromhex(
    "dc0014a56f72646572a96f726465722f6f2d3101a36f2d3102ac434f4d50454e534154494e4707cf000001a0c4506c00cf00"
    "0001a0c45e27a0cf000001a0c450e130c41f7b226f726465724964223a226f2d31222c22746f74616c223a34392e39307da6"
    "6f7264657273a36b2d319299a752455345525645a7554e444f494e47cf000001a0c4506d2ccf000001a0c4506c00010001c2"
    "c40a7b22686f6c64223a377d99a6434841524745a752454655534544cf000001a0c4506cc8cf000001a0c4506c64030200c3"
    "c096a4756e646f0001a57265706c79cf000001a0c4506d2c0182a4636f6465ad636172642d6465636c696e6564a76d657373"
    "616765a26e6fc09294a773746172746564cf000001a0c4506c00c0c094a9737465705f73656e74cf000001a0c4506d2ca752"
    "45534552564501c0c0"
)

SAGA = Saga(
    saga="order",
    id="order/o-1",
    version=1,
    key="o-1",
    run=2,
    state=State.COMPENSATING,
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


def test_a_stored_saga_of_format_1_is_read():
    assert msgpack.decode(FORMAT_1, type=Saga) == SAGA


def test_and_written_in_the_same_bytes():
    assert msgpack.encode(SAGA) == FORMAT_1
