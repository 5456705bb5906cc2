"""Sagas against participants that keep their duties (contract 3.5) and nothing more.

They refuse, fail, fall silent with the work done or not, answer twice, late and out of order; timers fire in between.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Raw

from app.domain.errors import PassedOver
from app.domain.retry import RetryPolicy
from app.domain.sagas.definition import Beginning, Definition, Emit, Named, Step, Trigger
from app.domain.sagas.messages import Command, Error, Reply, Start
from app.domain.sagas.participant import usual
from app.domain.sagas.saga import decide, tick
from app.domain.sagas.saga_state import Saga, State, StepState
from app.domain.sagas.turn import Effect, Emitted, Sent, Terms, Told

NAMES = "ABC"
ENDS = (State.COMPLETED, State.COMPENSATED, State.IN_DEBT)


@st.composite
def steps(draw: st.DrawFn) -> tuple[Step, ...]:
    return tuple(
        Step(
            step=name,
            to=f"service-{draw(st.integers(1, 2))}",
            do=Named(f"do-{name.lower()}"),
            undo=Named(f"undo-{name.lower()}") if draw(st.integers(0, 3)) else None,
            query=Named(f"find-{name.lower()}") if draw(st.booleans()) else None,
            timeout_ms=5,
            deadline_ms=draw(st.sampled_from([None, 8, 20])),
            retry=RetryPolicy(max_attempts=draw(st.integers(1, 3)), wait_ms=draw(st.integers(0, 3))),
            undo_retry=RetryPolicy(max_attempts=draw(st.integers(1, 3)), wait_ms=2),
        )
        for name in NAMES[: draw(st.integers(1, 3))]
    )


class World:
    """What the participants did. Keys are idempotency keys of a `do`."""

    def __init__(self) -> None:
        self.final: dict[str, str] = {}
        self.effects: list[str] = []
        self.undone: set[str] = set()
        self.denied: set[str] = set()  # said to be absent; who does it later must say so plainly

    @property
    def standing(self) -> set[str]:
        return {key for key in self.effects if key not in self.undone}

    def do(self, command: Command, mood: str, now_ms: int) -> str:
        """The outcome that is answered; what the mood says is done only where the duties leave it open."""
        key = command.idempotency_key
        if key in self.final:
            return self.final[key]
        if key in self.undone:
            self.final[key] = "refused"
        elif mood == "failed" or now_ms > command.deadline_at:
            return "failed"
        elif mood == "unknown":
            return "unknown"
        elif mood == "refused":
            self.final[key] = "refused"
        else:
            self.final[key] = "done"
            self.effects.append(key)
        vague = mood == "done, and says unknown" and key not in self.denied
        return "unknown" if vague else self.final[key]

    def undo(self, command: Command, mood: str) -> str:
        if mood in ("failed", "refused") and command.undoes not in self.undone:
            return mood
        self.undone.add(command.undoes)
        return "unknown" if mood == "done, and says unknown" else "done"

    def query(self, command: Command, mood: str) -> str:
        if mood in ("failed", "unknown"):
            return mood
        self.denied |= {command.queries} - self.final.keys()
        return self.final.get(command.queries, "absent")

    def take(self, command: Command, mood: str, now_ms: int) -> str:
        match command.action:
            case "do":
                return self.do(command, mood, now_ms)
            case "undo":
                return self.undo(command, mood)
        return self.query(command, mood)


OUTCOMES = ["done", "done", "done", "done, and says unknown", "refused", "failed", "unknown"]
MOODS = st.sampled_from([None, None, None, *OUTCOMES])  # None: as is the participant's habit with that command
HABITS = st.fixed_dictionaries(
    {(name, action): st.sampled_from(OUTCOMES) for name in NAMES for action in ("do", "undo", "query")}
)


class SagaMachine(RuleBasedStateMachine):
    @initialize(
        steps=steps(), habits=HABITS, deadline_ms=st.sampled_from([12, 30, 1_000, 1_000]), keep_data=st.booleans()
    )
    def begin(self, steps: tuple[Step, ...], habits: dict, deadline_ms: int, keep_data: bool) -> None:
        definition = Definition(
            saga="order",
            version=1,
            start=Beginning((Trigger("orders", "created"),), "id"),
            steps=steps,
            deadline_ms=deadline_ms,
            keep_data=keep_data,
            on_completed=Emit(type="order.completed"),
            on_compensated=Emit(type="order.failed"),
        )
        self.definition, self.habits = definition, habits
        self.terms = Terms("replies", {definition.id: definition}, {step.to: usual(step.to) for step in steps}, {})
        self.now_ms, self.world, self.saga = 1_000, World(), None
        self.sent: list[Command] = []
        self.unanswered: list[Command] = []
        self.replies: list[Reply] = []
        self.arrived: list[Reply] = []
        self.facts: list[tuple[str, int]] = []
        self.emitted: list[str] = []
        self.order = Start(saga_id="order/1", saga="order", saga_version=1, key="1", data=Raw(b'{"id":1}'), at=0)
        self._take(*decide(None, self.order, self.now_ms, self.terms))

    @precondition(lambda self: self.unanswered)
    @rule(mood=MOODS)
    def the_newest_command_is_answered(self, mood: str | None) -> None:
        self._arrive(self._work(self.unanswered[-1], mood))

    @precondition(lambda self: self.unanswered)
    @rule(mood=MOODS)
    def the_oldest_command_is_worked_on(self, mood: str | None) -> None:
        """The reply is still on its way."""
        self.replies.append(self._work(self.unanswered[0], mood))

    @rule(data=st.data(), mood=MOODS)
    def any_command_is_read_again(self, data: st.DataObject, mood: str | None) -> None:
        self._arrive(self._work(data.draw(st.sampled_from(self.sent)), mood))

    @precondition(lambda self: self.replies)
    @rule(data=st.data())
    def a_reply_arrives(self, data: st.DataObject) -> None:
        reply = data.draw(st.sampled_from(self.replies))
        self.replies.remove(reply)
        self._arrive(reply)

    @precondition(lambda self: self.arrived)
    @rule(data=st.data())
    def a_reply_arrives_again(self, data: st.DataObject) -> None:
        self._arrive(data.draw(st.sampled_from(self.arrived)))

    @rule(ms=st.integers(0, 9))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms
        self._fire()

    @precondition(lambda self: self.saga.open is not None)
    @rule()
    def time_passes_until_it_is_due(self) -> None:
        self.now_ms = max(self.now_ms, self.saga.due_at)
        self._fire()

    def _work(self, command: Command, mood: str | None = None) -> Reply:
        outcome = self.world.take(command, mood or self.habits[command.step, command.action], self.now_ms)
        if command in self.unanswered:
            self.unanswered.remove(command)
        error = None if outcome == "done" else Error(outcome)
        return Reply(command_id=command.command_id, saga_id=command.saga_id, outcome=outcome, error=error)

    def _arrive(self, reply: Reply) -> None:
        self.arrived.append(reply)
        with suppress(PassedOver):
            self._take(*decide(self.saga, reply, self.now_ms, self.terms))

    def _fire(self) -> None:
        for _ in range(100):
            if self.saga is None or not 0 < self.saga.due_at <= self.now_ms or self.saga.open is None:
                return
            self._take(*tick(self.saga, self.now_ms, self.terms))
        raise AssertionError("timers fire for ever")

    def _take(self, saga: Saga | None, effects: list[Effect]) -> None:
        stored = msgspec.msgpack.encode(saga)
        assert msgspec.msgpack.decode(stored, type=Saga) == saga
        for effect in effects:
            if isinstance(effect, Sent):
                self._sent(effect.command, saga)
            elif isinstance(effect, Emitted):
                self.emitted.append(effect.type)
            elif isinstance(effect, Told):
                self.facts.append((effect.type, effect.fact.seq))
        self.saga = saga

    def _sent(self, command: Command, saga: Saga) -> None:
        assert command.command_id not in {each.command_id for each in self.sent}, "sent twice"
        self.sent.append(command)
        self.unanswered.append(command)
        index = NAMES.index(command.step)
        if command.action == "undo" and command.attempt == 1:
            newer = [NAMES.index(each.step) for each in saga.steps if self._wants_undo(each)]
            assert all(each < index for each in newer), "an older step is undone before a newer one"
        if command.action == "do":
            assert command.attempt <= self.definition.steps[index].retry.max_attempts
        if command.action != "undo":
            assert saga.state is State.RUNNING
            assert self.now_ms < command.deadline_at <= saga.deadline_at
            begun_at, deadline_ms = saga.steps[index].begun_at, self.definition.steps[index].deadline_ms
            assert deadline_ms is None or command.deadline_at <= begun_at + deadline_ms

    def _wants_undo(self, progress) -> bool:
        undo = self.definition.steps[NAMES.index(progress.step)].undo
        return undo is not None and progress.state in (StepState.DONE, StepState.IN_DOUBT)

    @invariant()
    def facts_are_numbered_without_gaps(self) -> None:
        assert [seq for _, seq in self.facts] == list(range(1, len(self.facts) + 1))
        assert self.saga.seq == len(self.facts)

    @invariant()
    def every_command_is_told(self) -> None:
        assert len(self.sent) == sum(name == "iopt.saga.step_sent" for name, _ in self.facts)

    @invariant()
    def it_either_awaits_something_or_has_ended(self) -> None:
        assert (self.saga.open is not None and self.saga.due_at > 0) or self.saga.state in ENDS

    @invariant()
    def the_world_hears_of_its_end_once(self) -> None:
        assert len(self.emitted) <= 1

    @invariant()
    def nothing_happens_twice(self) -> None:
        assert len(self.world.effects) == len(set(self.world.effects))

    @invariant()
    def a_completed_saga_did_every_step(self) -> None:
        if self.saga.state is State.COMPLETED:
            assert self.world.standing == {f"order/1:{step.step}:do:r1" for step in self.definition.steps}

    def teardown(self) -> None:
        """It ends, from anywhere, once the participants answer; and then nothing stands that should not."""
        if not hasattr(self, "saga"):
            return
        for _ in range(60):
            if not (self.unanswered or self.replies or self.saga.open):
                break
            for command in list(self.unanswered):
                self.replies.append(self._work(command))
            while self.replies:
                self._arrive(self.replies.pop())
            if self.saga.open is not None:
                self.now_ms = max(self.now_ms, self.saga.due_at)
                self._fire()
        assert self.saga.open is None
        assert self.saga.state in ENDS
        self._balance()

    def _balance(self) -> None:
        """Effects = kept + not to be undone + debt."""
        owed = {each.step for each in self.saga.steps if each.state is StepState.IN_DEBT}
        assert bool(owed) == (self.saga.state is State.IN_DEBT)
        if self.saga.state is not State.COMPLETED:
            left = {key.split(":")[1] for key in self.world.standing}
            undoable = {step.step for step in self.definition.steps if step.undo}
            assert left & undoable <= owed
        forgotten = self.saga.state is not State.IN_DEBT and not self.definition.keep_data
        given_up = any(
            each.state in (StepState.FAILED, StepState.IN_DOUBT) and self.definition.steps[NAMES.index(each.step)].undo
            for each in self.saga.steps
        )
        assert (self.saga.data == b"null") == (forgotten and not given_up)


TestSaga = SagaMachine.TestCase
TestSaga.settings = settings(max_examples=3 * settings.default.max_examples, stateful_step_count=30)
