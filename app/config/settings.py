"""What a worker and the command run with: checked as a whole when it is read, then never again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.config import changes, layers, policies
from app.config.bound import Bound, Value
from app.config.changes import Change
from app.config.effective import effective
from app.config.errors import SettingsRefused
from app.config.resilience import BREAKER
from app.config.security import Reading, Security
from app.domain.breakers.breaker import Policy
from app.domain.breakers.scopes import Scopes, service_of
from app.domain.retry import RetryPolicy
from app.domain.sagas.participant import Participant, usual


@dataclass(frozen=True, slots=True)
class Route:
    """Where a record of a domain topic says its type, or which type all its records have."""

    type_from: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Instants and durations are ms, sizes bytes. Each field's meaning stands in `catalogue.py`."""

    application: str
    bootstrap_servers: tuple[str, ...]
    security: Security
    group_id: str
    auto_offset_reset: str
    host: str
    port: int
    advertised_url: str
    http_token: str = field(repr=False)  # empty: none
    port_is_fixed: bool  # IOPT_PORT: taken as it is, whatever the worker's slot
    partitions: int
    replication_factor: int
    dlq_partitions: int
    cluster: str
    data_dir: str
    definitions: tuple[str, ...]
    routes: Mapping[str, Route]
    participants: Mapping[str, Participant]
    timer_wait_ms: int
    commit_interval_ms: int
    commit_interval_busy_ms: int
    transaction_max_records: int
    transaction_max_bytes: int
    transaction_timeout_ms: int
    session_timeout_ms: int
    cache_bytes: int
    notices: tuple[str, ...] = field(compare=False, repr=False)  # to be logged once, at start
    _bound: Bound = field(compare=False, repr=False)

    @property
    def bootstrap(self) -> str:
        return ",".join(self.bootstrap_servers)

    @property
    def source(self) -> str:
        """`ce_source` of what is sent."""
        return f"/iopt/{self.cluster}"

    def participant(self, name: str) -> Participant:
        return self.participants.get(name) or usual(name)

    def breaker_policy(self, breaker: str) -> Policy:
        """Of `payment-service`, `payment-service:op:charge` ..."""
        return policies.breaker_policy(self._bound, breaker)

    def breaker_scopes(self, service: str) -> Scopes:
        return policies.breaker_scopes(self._bound, service)

    @property
    def breakers(self) -> tuple[str, ...]:
        """The services that `resilience4j.circuitbreaker.instances` names, by their own breakers or those below."""
        return tuple(dict.fromkeys(map(service_of, layers.named(self._bound, BREAKER))))

    def instances(self, family: str) -> tuple[str, ...]:
        """The names that `resilience4j.<family>.instances` has, as `retry`."""
        return tuple(layers.named(self._bound, f"resilience4j.{family}"))

    def retry_policy(self, participant: str) -> RetryPolicy:
        return policies.retry_policy(self._bound, participant)

    def values(self) -> list[Value]:
        """What was set, with its origin: the last word on each."""
        return list(self._bound.values.values())

    def effective(self) -> list[Value]:
        """What counts, set or not, with where it was said."""
        return list(effective(self._bound))

    def changes(self, newer: Settings) -> list[Change]:
        return changes.changes(self._bound, newer._bound)

    def renewed(self, newer: Settings) -> Settings:
        """With what of the newer ones counts without a restart, and with all their notices."""
        return replace(self, notices=newer.notices, _bound=changes.renewed(self._bound, newer._bound))


def build(bound: Bound) -> Settings:
    """Raises SettingsRefused with all that is wrong."""
    reading = Reading(bound)
    security = reading.security()
    problems = [*bound.problems, *policies.problems(bound), *reading.problems]
    notices = (*bound.notices, *policies.notices(bound), *reading.notices)
    if problems:
        raise SettingsRefused(problems, notices)
    return Settings(
        application=bound.get("spring.application.name"),
        bootstrap_servers=bound.get("spring.kafka.bootstrap-servers"),
        security=security,
        group_id=bound.get("spring.kafka.consumer.group-id"),
        auto_offset_reset=bound.get("spring.kafka.consumer.auto-offset-reset"),
        host=bound.get("server.address"),
        port=bound.get("server.port"),
        advertised_url=bound.get("iopt.advertised-url") or "",
        http_token=bound.get("iopt.http-token") or "",
        port_is_fixed=bound.origin("server.port") == "IOPT_PORT",
        partitions=bound.get("iopt.partitions"),
        replication_factor=bound.get("iopt.replication-factor"),
        dlq_partitions=bound.get("iopt.dlq-partitions"),
        cluster=bound.get("iopt.cluster"),
        data_dir=bound.get("iopt.data-dir"),
        definitions=bound.get("iopt.definitions"),
        routes={name: _route(bound, name) for name in bound.named("iopt.routes.")},
        participants={name: _participant(bound, name) for name in bound.named("iopt.participants.")},
        timer_wait_ms=bound.get("iopt.timer-wait"),
        commit_interval_ms=bound.get("iopt.commit-interval"),
        commit_interval_busy_ms=bound.get("iopt.commit-interval-busy"),
        transaction_max_records=bound.get("iopt.transaction-max-records"),
        transaction_max_bytes=bound.get("iopt.transaction-max-size"),
        transaction_timeout_ms=bound.get("iopt.transaction-timeout"),
        session_timeout_ms=bound.get("iopt.session-timeout"),
        cache_bytes=bound.get("iopt.cache-size"),
        notices=notices,
        _bound=bound,
    )


def _route(bound: Bound, topic: str) -> Route:
    return Route(bound.get("iopt.routes.*.type-from", topic), bound.get("iopt.routes.*.type", topic))


def _participant(bound: Bound, name: str) -> Participant:
    own = usual(name)
    commands = bound.get("iopt.participants.*.commands", name) or own.commands
    return Participant(commands, bound.get("iopt.participants.*.breaker", name) or own.breaker)
