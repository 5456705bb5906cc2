"""Single decisions of a saga that the stories of the driver do not reach: sizes, odd words, bounds."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from app.domain.errors import Invalid, PassedOver, TooLarge
from app.domain.retry import RetryPolicy
from app.domain.sagas.definition import Definition, Named, Step
from app.domain.sagas.messages import Command, Error, Reply, Start
from app.domain.sagas.saga import decide, tick
from app.domain.sagas.saga_state import HISTORY_ENTRIES, Saga, StepState, Wait
from app.domain.sagas.turn import Effect, Sent, Terms, Told
from tests.support.orders import ORDER

KIB = 1024
START = Start(
    saga_id="order/o-1", saga="order", saga_version=1, key="o-1", data=Raw(b'{"orderId":"o-1","total":1}'), at=0
)


def terms(definition: Definition = ORDER) -> Terms:
    return Terms("iopt.saga-replies", {definition.id: definition}, {}, {})


def begun(start: Start = START, definition: Definition = ORDER) -> tuple[Saga, list[Effect]]:
    saga, effects = decide(None, start, 1_000, terms(definition))
    assert saga is not None
    return saga, list(effects)


def command(effects: list[Effect]) -> Command:
    [sent] = [effect.command for effect in effects if isinstance(effect, Sent)]
    return sent


def answered(saga: Saga, effects: list[Effect], definition: Definition = ORDER, **reply) -> tuple[Saga, list[Effect]]:
    to = command(effects)
    return decide(saga, Reply(command_id=to.command_id, saga_id=to.saga_id, **reply), 1_000, terms(definition))


def test_a_word_that_nobody_knows_counts_as_unknown():
    saga, effects = answered(*begun(), outcome="probably")
    assert (saga.steps[0].doubt, saga.open.wait) == (True, Wait.PAUSE)
    assert [effect.fact.outcome for effect in effects if isinstance(effect, Told)] == ["unknown"]


def test_absent_is_no_answer_to_a_do():
    saga, _ = answered(*begun(), outcome="absent")
    assert saga.steps[0].doubt


def test_long_messages_are_cut_and_stay_text():
    error = Error("x" * 2_000, "ä" * 3 * KIB)
    _, effects = answered(*begun(), outcome="refused", error=error)
    told = next(effect.fact.error for effect in effects if isinstance(effect, Told))
    assert told == Error("x" * 1_024, "ä" * 2 * KIB)


def test_a_start_as_large_as_may_be_is_started():
    note = "x" * (256 * KIB - len(b'{"note":""}'))
    saga, _ = begun(replace(START, data=Raw(f'{{"note":"{note}"}}'.encode())))
    assert len(saga.data) == 256 * KIB
    with pytest.raises(TooLarge):
        begun(replace(START, data=Raw(f'{{"note":"{note}x"}}'.encode())))


def test_a_state_that_would_outgrow_its_bound_gives_up_the_step():
    """Three results of 200 KiB are kept, the fourth is not."""
    steps = tuple(Step(step=name, to="any", do=Named("go"), undo=Named("back")) for name in "ABCDE")
    definition = replace(ORDER, steps=steps)
    saga, effects = begun(definition=definition)
    for kept in (True, True, True, False):
        data = Raw(f'"{"x" * 200 * KIB}"'.encode())
        saga, effects = answered(saga, effects, definition, outcome="done", data=data)
        assert (saga.state == "RUNNING") is kept
    assert (saga.error.code, saga.steps[3].result, saga.steps[3].state) == (
        "iopt.too-large",
        b"null",
        StepState.UNDOING,
    )


def test_a_mapping_may_not_make_more_than_a_command_may_carry():
    copies = replace(ORDER.steps[0], data={str(n): "${start}" for n in range(4)})
    data = Raw(f'{{"orderId":"o-1","note":"{"x" * 70 * KIB}"}}'.encode())
    saga, effects = begun(replace(START, data=data), replace(ORDER, steps=(copies,)))
    assert (saga.error.code, saga.state) == ("iopt.too-large", "COMPENSATED")
    assert not [effect for effect in effects if isinstance(effect, Sent)]


def test_history_keeps_the_newest_facts_only():
    often = replace(ORDER.steps[0], retry=RetryPolicy(max_attempts=99, wait_ms=0))
    definition = replace(ORDER, steps=(often,))
    saga, effects = begun(definition=definition)
    for _ in range(30):
        saga, _ = answered(saga, effects, definition, outcome="failed")
        saga, effects = tick(saga, saga.due_at, terms(definition))
    assert saga.seq == 62
    assert len(saga.history) == HISTORY_ENTRIES
    assert saga.history[-1].fact == "step_sent"


def test_a_timer_that_comes_early_changes_nothing():
    saga, _ = begun()
    assert tick(saga, saga.due_at - 1, terms()) == (saga, ())


def test_a_timer_for_a_saga_that_is_gone_changes_nothing():
    assert tick(None, 5_000, terms()) == (None, ())


def test_a_wait_that_the_participant_asks_for_is_bounded():
    patient = replace(ORDER, deadline_ms=2**50)
    busy = Error("busy", retry_after_ms=2**70)
    saga, effects = answered(*begun(definition=patient), patient, outcome="failed", error=busy)
    assert saga.due_at == 1_000 + 86_400_000
    assert [msgspec.json.encode(effect) for effect in effects]


@pytest.mark.parametrize("duration_ms", [-1, 2**60])
def test_a_duration_that_cannot_be_is_not_believed(duration_ms):
    _, effects = answered(*begun(), outcome="done", duration_ms=duration_ms, data=Raw(b'{"hold":1}'))
    assert next(effect.fact.duration_ms for effect in effects if isinstance(effect, Told)) == 0


def test_a_saga_id_that_is_not_made_of_its_key_is_invalid():
    with pytest.raises(Invalid, match=r"\$.saga_id"):
        begun(replace(START, saga_id="order/o-2"))


def test_a_reply_to_nobody_is_an_unknown_command():
    with pytest.raises(PassedOver, match="unknown-command"):
        decide(None, Reply(command_id="order/o-1:A:do:r1:1", saga_id="order/o-1", outcome="done"), 0, terms())


def test_a_query_has_the_retries_of_its_step_after_every_do():
    asked = replace(ORDER.steps[0], query=Named("find"), retry=RetryPolicy(max_attempts=2, wait_ms=0))
    definition = replace(ORDER, steps=(asked,))
    saga, effects = begun(definition=definition)
    ids = []
    for outcome in ("unknown", "failed", "absent", "unknown", "unknown", "unknown"):
        ids.append(command(effects).command_id.removeprefix("order/o-1:RESERVE:"))
        saga, effects = answered(saga, effects, definition, outcome=outcome)
        if saga.open.wait is not Wait.REPLY:
            saga, effects = tick(saga, saga.due_at, terms(definition))
    assert ids == ["do:r1:1", "query:r1:1", "query:r1:2", "do:r1:2", "query:r1:3", "query:r1:4"]
    assert command(effects).action == "undo"
