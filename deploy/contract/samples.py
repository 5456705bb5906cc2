"""One fixed record of each kind, of one order that ends well and one that does not."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from app.domain.audit import Audit, ChangedSetting
from app.domain.breakers.calls import BreakerAct, BreakerState, CallOutcome, Sighting, State, Transition
from app.domain.client_events import ClientEvents
from app.domain.sagas.definition import Definition
from app.domain.sagas.messages import Act, Command, DomainEvent, Error, Fact, Origin, Reply, Signal, Start, Typed
from app.wire.topics import (
    AUDIT,
    BREAKER_ACTS,
    BREAKER_STATES,
    BREAKER_TRANSITIONS,
    CALL_OUTCOMES,
    CLIENT_EVENTS,
    CONFIG,
    DEFINITIONS,
    SAGA_EVENTS,
    SAGA_INBOX,
    SAGA_REPLIES,
    Topic,
    commands,
    domain_events,
    emitted,
)

AT = 1_790_000_000_000
SAGA = "order/INV%2F2026%2F17"
ORDER = Raw('{"orderId":"INV/2026/17","total":49.90,"für":"Zoë"}'.encode())


class Sample(NamedTuple):
    name: str
    topic: Topic
    key: str
    id: str
    value: Any
    subject: str = ""  # where the key does not say it


def command(action: str, attempt: int = 1, **more: Any) -> Command:
    return Command(
        command_id=f"{SAGA}:PROCESS_PAYMENT:{action}:r1:{attempt}",
        to="payment-service",
        saga="order",
        saga_id=SAGA,
        saga_version=1,
        step="PROCESS_PAYMENT",
        action=action,
        run=1,
        attempt=attempt,
        idempotency_key=f"{SAGA}:PROCESS_PAYMENT:{action}:r1",
        reply_to=SAGA_REPLIES.name,
        data=Raw(b'{"orderId":"INV/2026/17","amount":49.90}'),
        **more,
    )


DO = command("do", deadline_at=AT + 30_000)
QUERY = command("query", deadline_at=AT + 60_000, queries=DO.idempotency_key)
UNDO = command("undo", deadline_at=None, undoes=DO.idempotency_key, result=Raw(b'{"paymentId":"p-9"}'))
UNDO_IN_DOUBT = command("undo", 2, deadline_at=None, undoes=DO.idempotency_key, result=Raw(b"null"))

DEFINITION: dict[str, Any] = {
    "saga": "order",
    "version": 1,
    "start": {"on": [{"topic": "orders", "type": "order.created"}], "key": "orderId"},
    "deadline": 900_000,
    "steps": [
        {
            "step": "PROCESS_PAYMENT",
            "to": "payment-service",
            "do": {"name": "process-payment"},
            "undo": {"name": "refund-payment"},
            "query": {"name": "find-payment"},
            "data": {"orderId": "${start.orderId}", "amount": "${start.total}"},
            "retry": {"maxAttempts": 3, "waitDuration": 1000, "exponentialBackoffMultiplier": 2.0},
        }
    ],
    "on_completed": {"type": "order.completed"},
}


def fact(seq: int, name: str, state: str, **more: Any) -> Sample:
    body = Fact(saga="order", saga_id=SAGA, saga_version=1, key="INV/2026/17", seq=seq, state=state, at=AT, **more)
    return Sample(f"saga-{name}", SAGA_EVENTS, SAGA, f"{SAGA}#{seq}", Typed(f"iopt.saga.{name}", body))


def reply(outcome: str, **more: Any) -> Sample:
    body = Reply(command_id=DO.command_id, saga_id=SAGA, outcome=outcome, **more)
    return Sample(f"reply-{outcome}", SAGA_REPLIES, SAGA, f"reply-{outcome}-1", body)


def breaker_samples() -> list[Sample]:
    service = "payment-service"
    single = CallOutcome(
        service=service,
        caller="order-service",
        instance="pay-3",
        operation="charge",
        region="eu-1",
        outcome="failure",
        duration_ms=120,
        at=AT,
        error="ConnectTimeout",
        client="order-7f9c",
    )
    folded = CallOutcome(
        service=service,
        caller="order-service",
        counts={"success": 41, "slow_success": 1, "failure": 2, "timeout": 1, "rejected": 3},
        took_ms={"success": 1230, "slow_success": 1400, "failure": 35, "timeout": 2000},
        slow_call_duration_ms=1000,
        from_at=AT,
        to_at=AT + 900,
        seen_seq=7,
        client="order-7f9c",
    )
    events = ClientEvents(
        family="retry",
        name=service,
        counts={"RETRY": 3, "SUCCESS": 1, "ERROR": 1},
        attempts={"RETRY": 2, "SUCCESS": 1, "ERROR": 3},
        errors={"RETRY": "ConnectTimeout", "SUCCESS": "ConnectTimeout", "ERROR": "ConnectTimeout"},
        from_at=AT,
        to_at=AT + 1_000,
        at=AT + 1_000,
        caller="order-service",
        client="order-7f9c",
    )
    act = BreakerAct(
        act_id="act-1", service=service, breaker=service, act="force-open", reason="maintenance", actor="ops", at=AT
    )
    first = Sighting(at=AT - 900, outcome="failure", caller="order-service", error="ConnectTimeout")
    transition = Transition(
        breaker=service,
        service=service,
        scope="service",
        from_=State.CLOSED,
        to=State.OPEN,
        cause="failure-rate",
        at=AT,
        failure_rate=55.0,
        slow_call_rate=0.0,
        buffered_calls=20,
        failed_calls=11,
        slow_calls=0,
        first_failure=first,
        last_failure=Sighting(at=AT, outcome="timeout", caller="order-service"),
        config_version=1,
        seq=8,
    )
    reset = msgspec.structs.replace(
        transition,
        to=State.CLOSED,
        cause="reset",
        failure_rate=-1.0,
        slow_call_rate=-1.0,
        buffered_calls=2,
        failed_calls=1,
        last_failure=first,
        seq=10,
    )
    state = BreakerState(
        breaker=service,
        service=service,
        scope="service",
        state=State.OPEN,
        since_at=AT,
        until_at=AT + 30_000,
        permits_half_open=10,
        failure_rate=55.0,
        slow_call_rate=0.0,
        slow_call_duration_ms=60_000,
        config_version=1,
        seq=8,
        at=AT,
    )
    trying = msgspec.structs.replace(
        state,
        state=State.HALF_OPEN,
        since_at=AT + 30_001,
        until_at=None,
        failure_rate=-1.0,
        slow_call_rate=-1.0,
        seq=9,
        at=AT + 30_001,
        permits={"order-7f9c": 5, "cart-1b22": 5},
        permits_until_at=AT + 40_001,
    )
    return [
        Sample("call-outcome", CALL_OUTCOMES, service, "call-1", single),
        Sample("call-outcome-folded", CALL_OUTCOMES, service, "call-2", folded),
        Sample("client-events", CLIENT_EVENTS, service, "events-1", events),
        Sample("breaker-act", BREAKER_ACTS, service, act.act_id, act),
        Sample("breaker-transition", BREAKER_TRANSITIONS, service, f"{service}#8", transition),
        Sample("breaker-reset", BREAKER_TRANSITIONS, service, reset.id, reset),
        Sample("breaker-state", BREAKER_STATES, service, f"{service}#8", state),
        Sample("breaker-state-half-open", BREAKER_STATES, service, f"{service}#9", trying),
    ]


def saga_samples() -> list[Sample]:
    origin = Origin("orders", 0, 7, "INV/2026/17", AT, "e-1", "/shop")
    start = Start(saga_id=SAGA, saga="order", saga_version=1, key="INV/2026/17", data=ORDER, origin=origin, at=AT)
    act = Act(act="skip", act_id="act-2", saga_id=SAGA, reason="paid by hand", actor="ops", if_seq=4, at=AT)
    signal = Signal(signal="paid", saga="order", key="INV/2026/17", data=Raw(b'{"by":"transfer"}'))
    declined = Error("card-declined", "Not enough money")
    return [
        Sample("saga-start", SAGA_INBOX, SAGA, f"{SAGA}:r1", start),
        Sample("saga-act", SAGA_INBOX, SAGA, act.act_id, act),
        Sample("saga-signal", SAGA_REPLIES, SAGA, "signal-1", signal),
        reply("done", data=Raw(b'{"paymentId":"p-9"}'), duration_ms=12),
        reply("refused", error=declined),
        reply("failed", error=Error("busy", "", 2000)),
        reply("unknown"),
        reply("absent"),
        fact(1, "started", "RUNNING", run=1),
        fact(2, "step_sent", "RUNNING", step="PROCESS_PAYMENT", action="do", attempt=1, command_id=DO.command_id),
        fact(3, "step_refused", "RUNNING", step="PROCESS_PAYMENT", outcome="refused", error=declined, duration_ms=12),
        fact(4, "compensated", "COMPENSATED"),
    ]


def command_samples() -> list[Sample]:
    topic = commands("payment-service.commands")
    named = {
        "command-do": ("process-payment", DO),
        "command-query": ("find-payment", QUERY),
        "command-undo": ("refund-payment", UNDO),
        "command-undo-in-doubt": ("refund-payment", UNDO_IN_DOUBT),
    }
    return [Sample(name, topic, SAGA, body.command_id, Typed(type_, body)) for name, (type_, body) in named.items()]


def other_samples() -> list[Sample]:
    definition = msgspec.convert(DEFINITION, Definition)
    setting = ChangedSetting(key="iopt.timer-wait", value="30s", version=3, actor="ops", at=AT)
    audit = Audit(
        act_id="act-2",
        actor="ops",
        claimed_actor=None,
        what="saga.skip",
        target=SAGA,
        reason="paid by hand",
        result="applied",
        why=None,
        at=AT,
    )
    ended = Typed("order.completed", Raw(b'{"orderId":"INV/2026/17","saga_id":"order/INV%2F2026%2F17"}'))
    event = DomainEvent("order.created", ORDER, "e-1", "/shop")
    return [
        Sample("definition", DEFINITIONS, definition.id, definition.id, definition),
        Sample("config", CONFIG, setting.key, f"{setting.key}#3", setting),
        Sample("audit", AUDIT, audit.actor, audit.act_id, audit),
        Sample("emitted-event", emitted("orders"), "INV/2026/17", f"{SAGA}:completed:r1", ended, SAGA),
        Sample("domain-event", domain_events("orders", [event.type]), "INV/2026/17", "e-1", event),
    ]


def samples() -> list[Sample]:
    return [*saga_samples(), *command_samples(), *breaker_samples(), *other_samples()]
