"""What was seen, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.demo.breakers import checks
from deploy.demo.breakers.payment import Charge, now_ms
from deploy.demo.breakers.seen import Said


def state(said: Said) -> str:
    return f"{said.body['state']}, seq {said.body['seq']}"


def evidence(said: Said | None) -> str:
    """Why it moved."""
    assert said
    body = said.body
    seen = f"{body['failed_calls']} of {body['buffered_calls']} calls failed ({body['failure_rate']} %)"
    return (
        f"cause {body['cause']}: {seen}; first {_failure(body['first_failure'])}, last {_failure(body['last_failure'])}"
    )


def stopped(caller: str, charges: Sequence[Charge], opened: Said, changes: Sequence[Mapping[str, Any]]) -> str:
    late_ms = charges[-1].at - opened.heard_at
    last = f"{abs(late_ms)} ms {'after' if late_ms > 0 else 'before'} OPEN was heard"
    own = next((change["cause"] for change in changes if change["to"] == "OPEN"), "nobody")
    by = "the fleet" if own == "fleet" else own
    failed = sum(not charge.done for charge in charges)
    return f"{caller}: stopped by {by} after {failed} failures of its own, last call {last}"


def calls_while_shut(charges: Sequence[Charge], shut: Said, after: Said) -> str:
    late = checks.Shut(shut.body["state"], shut.heard_at, after.body["since_at"]).late(charges)
    return f"{len(late)} calls since {checks.WITHIN_MS // 1000} s after {shut.body['state']} was heard"


def left_s(opened: Said) -> str:
    return f"{max(0, opened.body['until_at'] - now_ms()) / 1000:.1f}"


def permits(half_open: Said) -> str:
    """By client, without what only tells processes apart."""
    lent = half_open.body["permits"]
    by_service = Counter({_service(client): count for client, count in lent.items()})
    told = ", ".join(f"{name} {count}" for name, count in sorted(by_service.items())) or "nobody yet"
    return f"{state(half_open)}; of {half_open.body['permits_half_open']} trial calls may make: {told}"


def trials(charges: Sequence[Charge]) -> str:
    by_caller = Counter(charge.caller for charge in checks.trials(charges))
    told = ", ".join(f"{name} {count}" for name, count in sorted(by_caller.items()))
    return f"{sum(by_caller.values())} trial calls ({told})"


def _failure(failure: Mapping[str, Any] | None) -> str:
    return f"{failure['caller']}" if failure else "unknown"


def _service(client: str) -> str:
    return client.rsplit("-", 3)[0] if client.count("-") > 2 else client  # noqa: PLR2004  # <service>-<host>-<pid>-<id>
