"""The duties of a participant (contract 3.5), as the demo's services keep them."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.command import Command, Reply, parse, read
from deploy.demo.ledger import Ledger
from deploy.demo.participant import Participant
from deploy.demo.whims import Whims

NOW = 1_790_000_000_000
SAGA = "order/o-000001"
DO_KEY = f"{SAGA}:PROCESS_PAYMENT:do:r1"
OFFSETS = count()
REFERS: dict[str, dict[str, Any]] = {"undo": {"undoes": DO_KEY, "result": None}, "query": {"queries": DO_KEY}}


class Calm(Whims):
    """Nothing goes wrong."""

    def refusal(self, _command: Command) -> str | None:
        return None

    def fails(self, _command: Command) -> bool:
        return False

    def is_away(self, _command: Command) -> bool:
        return False

    def is_overtaken(self, _command: Command) -> bool:
        return False

    def leaves_unknown(self, _command: Command) -> bool:
        return False

    def copies_ms(self, _command: Command) -> tuple[int, ...]:
        return (0,)


class Overtaken(Calm):
    def is_overtaken(self, _command: Command) -> bool:
        return True


class Declining(Calm):
    def refusal(self, _command: Command) -> str | None:
        return "card-declined"


class FailingAtFirst(Calm):
    def fails(self, command: Command) -> bool:
        return command.attempt == 1


class UnknownAtFirst(Calm):
    def leaves_unknown(self, command: Command) -> bool:
        return command.attempt == 1

    def knew_after_all(self, _command: Command) -> bool:
        return True


class Losing(Calm):
    def copies_ms(self, command: Command) -> tuple[int, ...]:
        return () if command.attempt == 1 else (0,)


def payments(whims: type[Whims] = Calm, file: Path | str = ":memory:") -> Participant:
    return Participant("payment-service", Ledger(file), whims(seed=1, orders=100))


def command(action: str = "do", attempt: int = 1, **more: Any) -> Command:
    types = {"do": "process-payment", "undo": "refund-payment", "query": "find-payment"}
    key = f"{SAGA}:PROCESS_PAYMENT:{action}:r1"
    told: dict[str, Any] = {
        "command_id": f"{key}:{attempt}",
        "to": "payment-service",
        "saga": "order",
        "saga_id": SAGA,
        "saga_version": 1,
        "step": "PROCESS_PAYMENT",
        "action": action,
        "run": 1,
        "attempt": attempt,
        "idempotency_key": key,
        "deadline_at": None if action == "undo" else NOW + 3_000,
        "reply_to": "iopt.saga-replies",
        "reply_token": "",
        "data": {"orderId": "o-000001", "amount": 49},
        "unheard-of": [1],
    }
    return read(
        json.dumps(told | REFERS.get(action, {}) | more).encode(),
        [("ce_type", types[action].encode())],
        (0, next(OFFSETS)),
    )


def told(replies: list[Reply]) -> list[tuple[str, str, str | None]]:
    return [(reply.command.command_id.removeprefix(f"{SAGA}:"), reply.outcome, reply.code) for reply in replies]


def charged(participant: Participant) -> Decimal:
    return sum((e.amount if e.target == "shop" else -e.amount for e in participant.ledger.entries()), Decimal(0))


def test_a_key_seen_again_is_answered_again_under_the_new_command_id() -> None:
    service = payments()
    first = service.take([command()], NOW)
    again = service.take([command(attempt=2)], NOW)
    assert told(again) == [("PROCESS_PAYMENT:do:r1:2", "done", None)]
    assert again[0].data == first[0].data
    assert charged(service) == 49


def test_a_refusal_is_final_too() -> None:
    service = payments(Declining)
    assert told(service.take([command(), command(attempt=2)], NOW)) == [
        ("PROCESS_PAYMENT:do:r1:1", "refused", "card-declined"),
        ("PROCESS_PAYMENT:do:r1:2", "refused", "card-declined"),
    ]
    assert charged(service) == 0


def test_failed_is_not_final() -> None:
    replies = payments(FailingAtFirst).take([command(), command(attempt=2)], NOW)
    assert [reply.outcome for reply in replies] == ["failed", "done"]


def test_an_undo_reverses_its_do_once() -> None:
    service = payments()
    service.take([command(), command("undo"), command("undo", attempt=2)], NOW)
    assert charged(service) == 0
    assert [entry.command for entry in service.ledger.entries()] == ["process-payment", "refund-payment"]


def test_an_undo_without_its_do_is_done_and_refuses_the_do_for_good() -> None:
    service = payments()
    undone = service.take([command("undo")], NOW)
    assert told(undone) == [("PROCESS_PAYMENT:undo:r1:1", "done", None)]
    assert undone[0].data is None
    assert told(service.take([command()], NOW)) == [("PROCESS_PAYMENT:do:r1:1", "refused", "iopt.undone")]
    assert charged(service) == 0


def test_while_the_first_is_at_work_nothing_is_answered_and_an_overtaking_undo_wins() -> None:
    service = payments(Overtaken)
    do = command()
    assert service.take([do, command(attempt=2), command("query")], NOW) == []
    assert do.position in service.unfinished()
    assert told(service.take([command("undo")], NOW)) == [
        ("PROCESS_PAYMENT:undo:r1:1", "done", None),
        ("PROCESS_PAYMENT:do:r1:1", "refused", "iopt.undone"),
        ("PROCESS_PAYMENT:do:r1:2", "refused", "iopt.undone"),
    ]
    assert service.unfinished() == []
    assert charged(service) == 0


@pytest.mark.parametrize(("late_ms", "outcome"), [(4_000, "done"), (4_001, "failed")])
def test_a_do_does_not_begin_after_its_deadline_and_a_second_of_skew(late_ms: int, outcome: str) -> None:
    service = payments()
    (reply,) = service.take([command()], NOW + late_ms)
    assert (reply.outcome, reply.code) == (outcome, None if outcome == "done" else "iopt.expired")


def test_an_undo_has_no_deadline() -> None:
    (reply,) = payments().take([command("undo")], NOW + 10**9)
    assert reply.outcome == "done"


def test_a_query_says_what_became_of_the_do() -> None:
    service = payments(Losing)
    assert told(service.take([command("query", attempt=2)], NOW)) == [("PROCESS_PAYMENT:query:r1:2", "absent", None)]
    assert service.take([command()], NOW) == []
    assert told(service.take([command("query", attempt=3)], NOW)) == [("PROCESS_PAYMENT:query:r1:3", "done", None)]


def test_an_unknown_outcome_is_told_by_the_next_attempt() -> None:
    service = payments(UnknownAtFirst)
    replies = service.take([command(), command(attempt=2)], NOW)
    assert [reply.outcome for reply in replies] == ["unknown", "done"]
    assert charged(service) == 49


def test_commands_to_another_are_passed_over() -> None:
    assert payments().take([command(to="courier-service")], NOW) == []


def test_the_books_survive_a_restart(tmp_path: Path) -> None:
    before = payments(file=tmp_path / "payment-service.sqlite")
    before.take([command()], NOW)
    before.ledger.close()
    after = payments(file=tmp_path / "payment-service.sqlite")
    assert told(after.take([command(attempt=2)], NOW)) == [("PROCESS_PAYMENT:do:r1:2", "done", None)]
    assert charged(after) == 49


def test_a_batch_that_breaks_off_leaves_no_effect_and_no_key() -> None:
    service = payments()
    with pytest.raises(KeyError):
        service.take([command(), command(data={"orderId": "o-000001"}, idempotency_key="without-amount")], NOW)
    assert charged(service) == 0
    assert service.ledger.first_outcome(DO_KEY) is None


def test_an_amount_keeps_its_digits() -> None:
    service = payments()
    value = json.dumps(dict(command().body)).replace('"amount": 49', '"amount": 49.900000000000000001')
    service.take([read(value.encode(), [("ce_type", b"process-payment")], (0, 0))], NOW)
    assert [str(entry.amount) for entry in service.ledger.entries()] == ["49.900000000000000001"]


def test_a_command_sent_twice_is_found_and_one_read_twice_is_not() -> None:
    service = payments()
    once, other = command(), command(attempt=2)
    service.take([once, once, other, command(attempt=2)], NOW)
    assert service.ledger.sent_twice() == [other.command_id]
    assert service.ledger.received() == 2


def test_a_reply_is_a_cloud_event_that_carries_the_trace_on() -> None:
    (reply,) = payments().take([read(json.dumps(dict(command().body)).encode(), TRACED, (0, 0))], NOW)
    headers = dict(reply.headers(copy=0, now_ms=NOW))
    assert headers["ce_type"] == b"iopt.saga.reply"
    assert headers["ce_time"] == b"2026-09-21T14:13:20.000Z"
    assert headers["traceparent"] == TRACE
    assert parse(reply.value())["outcome"] == "done"


TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACED = [("ce_type", b"process-payment"), ("traceparent", TRACE)]
