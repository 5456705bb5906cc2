"""The order saga, in three steps, for tests of sagas; times are short and round."""

from __future__ import annotations

from app.domain.retry import RetryPolicy
from app.domain.sagas.definition import Beginning, Definition, Emit, Named, Step, Trigger

THREE_TIMES = RetryPolicy(max_attempts=3, wait_ms=1_000, multiplier=2.0)

RESERVE = Step(step="RESERVE", to="inventory-service", do=Named("reserve"), undo=Named("release"), timeout_ms=30_000)
CHARGE = Step(
    step="CHARGE",
    to="payment-service",
    do=Named("charge"),
    undo=Named("refund"),
    data={"orderId": "${start.orderId}", "amount": "${start.total}", "hold": "${steps.RESERVE.data.hold}"},
    timeout_ms=10_000,
    retry=THREE_TIMES,
)
SHIP = Step(step="SHIP", to="courier-service", do=Named("ship"), undo=Named("recall"), timeout_ms=60_000)

ORDER = Definition(
    saga="order",
    version=1,
    start=Beginning((Trigger("orders", "order.created"),), "orderId"),
    deadline_ms=900_000,
    steps=(RESERVE, CHARGE, SHIP),
    on_completed=Emit(type="order.completed"),
    on_compensated=Emit(type="order.failed"),
)
