"""W1 and W2 on the product's own seam, a row each; tests/bench/oracle.py defines what they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from app.domain.errors import Undecodable
from app.engine.processor import Change, Due, Out, Record, Table, processor
from app.wire.codec import to_json
from app.wire.topics import Envelope, Headers, Topic
from tests.bench import workloads
from tests.bench.oracle import EVENTS, RATE, SLOW_MS, SLOW_RATE, STEPS, TRANSITIONS, TRIALS, WAIT_MS, WINDOW


class Json:
    """Plain JSON, no headers."""

    def __init__(self, of: type[Any]) -> None:
        self._read = Decoder(of).decode

    def decode(self, value: bytes | None, _headers: Headers) -> Any:
        try:
            return self._read(value or b"")
        except DecodeError as error:
            raise Undecodable(str(error)) from error

    def encode(self, value: Any, _envelope: Envelope) -> tuple[bytes, list[tuple[str, bytes]]]:
        return to_json(value), []


class Call(Struct, frozen=True, gc=False):
    id: str
    ts: int
    caller: str
    service: str
    outcome: str
    duration_ms: int


class Breaker(Struct, frozen=True, gc=False, array_like=True):
    """`failures` and `slow` are those of the window: counting it anew for each call would cost more than the rest."""

    state: str
    window: str
    since: int
    calls: int
    rejected: int
    transitions: int
    failures: int = 0
    slow: int = 0


class Transition(Struct, frozen=True, gc=False, rename={"origin": "from"}):
    key: str
    n: int
    origin: str
    to: str
    ts: int
    calls: int
    failures: int
    slow: int
    cause: str


class Message(Struct, frozen=True, gc=False):
    id: str
    type: str
    saga: str
    ts: int
    order: Raw = Raw(b"null")
    command_id: str = ""
    step: str = ""
    action: str = ""
    ok: bool = False


class Done(Struct, frozen=True, gc=False, array_like=True):
    step: str
    action: str
    ok: bool
    ts: int


class Saga(Struct, frozen=True, array_like=True, gc=False):
    saga: str
    status: str
    step: int
    expect: str | None
    sent: int
    order: bytes  # JSON, only passed through
    history: tuple[Done, ...]
    started: int
    updated: int


class Command(Struct, frozen=True, gc=False):
    id: str
    saga: str
    cause: str
    ts: int
    command: str
    action: str
    reply_to: str
    order: Raw


class End(Struct, frozen=True, gc=False):
    id: str
    saga: str
    cause: str
    ts: int
    status: str
    replies: int
    order_id: str


class Order(Struct, frozen=True, gc=False):
    order_id: str


read_order = Decoder(Order).decode


def ends(saga: Saga) -> int | None:
    """Not while this is measured."""
    return saga.updated + A_LIFETIME_MS if saga.expect else None


A_LIFETIME_MS = 80 * 365 * 86_400_000
breakers = Table("breakers", 1, Breaker)
sagas = Table("sagas", 2, Saga)
timed_sagas = Table("timed-sagas", 3, Saga, due=ends)


def breaker_row(inbox: str, app: str, begun: Callable[[], None]) -> list[Topic]:
    """W1, registered as row `app`; returns what it writes. `begun`: at each new key, so at the first record."""
    calls, transitions = Topic(inbox, Json(Call)), Topic(f"{TRANSITIONS}-{app}", Json(Transition))

    @processor(calls, row=app, keeps=breakers)
    def judge_calls(breaker: Breaker | None, call: Call, record: Record) -> Change[Breaker]:
        if breaker is None:
            begun()
            breaker = Breaker("CLOSED", "", call.ts, 0, 0, 0)
        if call.outcome == "rejected" or (breaker.state == "OPEN" and call.ts < breaker.since + WAIT_MS):
            return passed_over(breaker, call), ()
        breaker, moves = tried_again(breaker, call) if breaker.state == "OPEN" else slid(breaker, call)
        return breaker, [Out(transitions, record.key, move) for move in moves] if moves else ()

    return [transitions]


def passed_over(before: Breaker, call: Call) -> Breaker:
    b, rejected = before, before.rejected + (call.outcome == "rejected")
    return Breaker(b.state, b.window, b.since, b.calls + 1, rejected, b.transitions, b.failures, b.slow)


def tried_again(before: Breaker, call: Call) -> tuple[Breaker, Sequence[Transition]]:
    half_open = Breaker("HALF_OPEN", "", call.ts, before.calls, before.rejected, before.transitions + 1)
    return slid(half_open, call)[0], (moved(before, call, "HALF_OPEN", 0, 0),)


def slid(before: Breaker, call: Call) -> tuple[Breaker, Sequence[Transition]]:
    """The window one call further, and what a full one says."""
    b, size, n = before, TRIALS if before.state == "HALF_OPEN" else WINDOW, len(before.window)
    mark = (call.outcome != "success") + 2 * (call.duration_ms > SLOW_MS)
    window, failures, slow = b.window + "0123"[mark], b.failures + (mark & 1), b.slow + (mark >> 1)
    if n == size:
        gone = int(window[0])
        window, failures, slow = window[1:], failures - (gone & 1), slow - (gone >> 1)
    if n >= size - 1:
        to = "OPEN" if 100 * failures >= RATE * size or 100 * slow >= SLOW_RATE * size else "CLOSED"
        if to != b.state:
            move = moved(b, call, to, failures, slow)
            return Breaker(to, "", call.ts, b.calls + 1, b.rejected, b.transitions + 1), (move,)
    return Breaker(b.state, window, b.since, b.calls + 1, b.rejected, b.transitions, failures, slow), ()


def moved(before: Breaker, call: Call, to: str, failures: int, slow: int) -> Transition:
    key, n, calls = f"{call.caller}|{call.service}", before.transitions + 1, before.calls + 1
    return Transition(key, n, before.state, to, call.ts, calls, failures, slow, call.id)


def saga_row(
    inbox: str, app: str, begun: Callable[[], None], keeps: Table[Saga] = sagas, topics: int = 1
) -> list[Topic]:
    """W2, registered as row `app`; returns what it writes. `begun`: at the first record.

    `topics`: for each kind of output, among which the sagas are spread.
    """
    messages = Topic(inbox, Json(Message), key="saga", key_of=attrgetter("saga"))
    kinds = {name: written(name, app, Json(Command), topics) for _, _, name in STEPS}
    commands, events = [kinds[name] for _, _, name in STEPS], written(EVENTS, app, Json(End), topics)

    told: list[bool] = []

    @processor(messages, row=app, keeps=keeps, timers=keeps is timed_sagas)
    def move_sagas(saga: Saga | None, message: Message, record: Record) -> Change[Saga]:
        if not told:
            told.append(True)
            begun()
        after = None if isinstance(message, Due) else carried_on(saga, message)
        if after is None:
            return saga, ()
        to, value = (
            (events, end(after, message)) if after.expect is None else (commands[after.step], command(after, message))
        )
        return after, (Out(to[number(after) % topics] if topics > 1 else to[0], record.key, value),)

    return [topic for kind in [*kinds.values(), events] for topic in kind]


def written(name: str, app: str, codec: Json, topics: int) -> list[Topic]:
    return [Topic(f"{each}-{app}", codec) for each in workloads.spread(name, topics)]


def number(saga: Saga) -> int:
    return int(saga.saga[2:])


def carried_on(saga: Saga | None, m: Message) -> Saga | None:
    """None when the record does not move the saga on. A saga that expects nothing more has ended."""
    if m.type == "start":
        return None if saga else Saga(m.saga, "running", 0, f"{m.saga}-1", 1, bytes(m.order), (), m.ts, m.ts)
    if saga is None or m.command_id != saga.expect:
        return None
    s, history = saga, (*saga.history, Done(m.step, m.action, m.ok, m.ts))
    onward = s.status == "running" and m.ok
    step, status = (s.step + 1, "running") if onward else (s.step - 1, "compensating")
    if 0 <= step < len(STEPS):
        sent = s.sent + 1
        return Saga(s.saga, status, step, f"{s.saga}-{sent}", sent, s.order, history, s.started, m.ts)
    status = "completed" if onward else "compensated"
    return Saga(s.saga, status, step, None, s.sent, s.order, history, s.started, m.ts)


def command(saga: Saga, cause: Message) -> Command:
    do, undo, _ = STEPS[saga.step]
    name, action = (do, "do") if saga.status == "running" else (undo, "undo")
    return Command(saga.expect or "", saga.saga, cause.id, cause.ts, name, action, "saga-inbox", Raw(saga.order))


def under_way(number: int) -> Saga:
    """As `workloads.steady_records` takes it to be when it begins."""
    name, done = f"s-{number:08d}", workloads.answered(number)
    order, history = workloads.order(number).encode(), DONE[:done]
    return Saga(name, "running", done, f"{name}-{done + 1}", done + 1, order, history, workloads.T0, workloads.T0)


DONE = tuple(Done(step, "do", True, workloads.T0) for step, _ in workloads.STEPS)


def end(saga: Saga, cause: Message) -> End:
    order_id = read_order(saga.order).order_id
    return End(f"{saga.saga}-end", saga.saga, cause.id, cause.ts, saga.status, len(saga.history), order_id)
