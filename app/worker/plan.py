"""What a worker runs, from its settings and its own definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import agents.breaker
import agents.route
import agents.saga
from app.config import Settings
from app.domain.sagas.definition import Definition
from app.domain.sagas.route import routes_of
from app.engine.plan import Plan
from app.engine.processor import PROCESSORS, View
from app.engine.transactions.committer import Pace
from app.wire.topics import DOMAIN_EVENTS, OWNED, Topic, commands, domain_events, emitted
from tables.breaker import policies, scopes
from tables.route import routes
from tables.saga import participants, retries

ROWS = (agents.breaker, agents.route, agents.saga)
DISTRIBUTION = "integration-optimization"
KNOWN = 4_096  # breakers and services whose settings are not put together anew for each record


def plan_of(settings: Settings, own: Sequence[Definition], *, leave: bool = False) -> Plan:
    starting = routes_of(own)
    return Plan(
        bootstrap=settings.bootstrap,
        security=settings.security,
        group=settings.group_id,
        processors=[
            processor for processor in PROCESSORS if processor.run.__module__ in {row.__name__ for row in ROWS}
        ],
        data=Path(settings.data_dir),
        named={DOMAIN_EVENTS: [_source(settings, topic, [type_ for type_, _ in of]) for topic, of in starting.items()]},
        settings={
            routes: starting.get,
            participants: settings.participant,
            **renewable(settings),
        },
        needs=[*OWNED, *_written(settings, own)],
        partitions=settings.partitions,
        dead_letter_partitions=settings.dlq_partitions,
        replication=settings.replication_factor,
        reset=settings.auto_offset_reset,
        session_s=settings.session_timeout_ms / 1000,
        transaction_ms=settings.transaction_timeout_ms,
        timer_wait_s=settings.timer_wait_ms / 1000,
        pace=Pace(
            settings.commit_interval_ms / 1000,
            settings.commit_interval_busy_ms / 1000,
            settings.transaction_max_records,
            settings.transaction_max_bytes,
        ),
        cache_bytes=settings.cache_bytes,
        source=settings.source,
        version=version(DISTRIBUTION),
        host=settings.host,
        port=settings.port,
        port_is_fixed=settings.port_is_fixed,
        advertised=settings.advertised_url,
        leave=leave,
    )


def renewable(settings: Settings) -> dict[View[Any], Callable[[str], Any]]:
    """What may be looked up otherwise while a worker runs: each decision looks it up, and none keeps it."""
    return {
        retries: lru_cache(KNOWN)(settings.retry_policy),
        policies: lru_cache(KNOWN)(settings.breaker_policy),
        scopes: lru_cache(KNOWN)(settings.breaker_scopes),
    }


def _source(settings: Settings, topic: str, types: list[str]) -> Topic:
    route = settings.routes.get(topic)
    return domain_events(topic, types, (route and route.type_from) or "", (route and route.type) or "")


def _written(settings: Settings, own: Iterable[Definition]) -> Iterable[Topic]:
    """Topics of others that the definitions send to."""
    for definition in own:
        for step in definition.steps:
            yield commands(settings.participant(step.to).commands)
        for emit in (definition.on_completed, definition.on_compensated):
            if emit is not None and emit.topic is not None:
                yield emitted(emit.topic)
