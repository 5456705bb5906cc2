"""Every setting, once: its name, what it may be, its default, what it means.

`*` in a name stands for a name of the user's own (a participant, an instance; it may have dots), `**` at the end for
everything below. A key that is `IDLE` is accepted because files that run elsewhere have it, and named once in the log.
"""

from __future__ import annotations

from app.config.kafka import KAFKA
from app.config.keys import Key, idle, refused
from app.config.resilience import RESILIENCE
from app.config.units import TEXT, duration, many, matching, only, size, whole, word
from app.domain.breakers.scopes import SCOPES

HOST_AND_PORT = matching(r"[^\s,:/]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", "host:port")
ADVERTISED = matching(r"http://([^\s/:]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?", "http://host or http://host:port")
TOPIC = matching(r"[A-Za-z0-9._-]{1,249}", "a topic's name (letters, digits, `.`, `_`, `-`)")
NAME = matching(r"[a-z][a-z0-9-]{0,62}", "a name of lower case letters, digits and `-`")

SPRING = (
    Key(
        "server.port",
        whole(0, 65_535),
        "8104",
        "HTTP port; the second worker of a host takes the next. IOPT_PORT is taken as it is",
    ),
    Key("server.address", TEXT, "127.0.0.1", "address that HTTP is bound to"),
    Key(
        "spring.application.name",
        TEXT,
        "integration-optimization",
        "name of this application in traces and in /actuator/info",
    ),
    Key("spring.profiles.active", many(TEXT), "", "profiles: which documents of the file count"),
    Key(
        "spring.kafka.bootstrap-servers",
        many(HOST_AND_PORT),
        "localhost:9092",
        "brokers to ask first. IOPT_KAFKA wins over it",
    ),
    Key(
        "spring.kafka.consumer.group-id",
        TEXT,
        "iopt",
        "Kafka group; it names the state: a worker does not start on the state of another",
    ),
    Key(
        "spring.kafka.consumer.auto-offset-reset",
        word("earliest", "latest", "none"),
        "earliest",
        "where a source without positions is first read from",
    ),
    Key(
        "spring.kafka.consumer.isolation-level",
        word("read_committed", unsupported=("read_uncommitted",)),
        None,
        "always read_committed",
    ),
    *KAFKA,
    Key("spring.profiles.include", many(TEXT), "", "profiles that are active too"),
    Key("spring.profiles.default", many(TEXT), "default", "profiles where none is active"),
    Key("spring.profiles.group.*", many(TEXT), None, "profiles that this one brings with it"),
    refused("spring.config.activate.on-cloud-platform", "choose the document by spring.config.activate.on-profile"),
    refused("spring.config.import", "files are not imported: put it into this one, or into application-<profile>.yml"),
    Key("spring.config.activate.on-profile", many(TEXT), None, "the document counts only with this profile"),
    idle("spring.kafka.client-id"),
    idle("spring.kafka.properties.**"),
    idle("spring.kafka.consumer.**"),
    idle("spring.kafka.producer.**"),
    idle("spring.kafka.streams.**"),
    idle("spring.kafka.listener.**"),
    idle("spring.kafka.admin.**"),
    idle("spring.kafka.template.**"),
    idle("spring.cloud.stream.**"),
    idle("spring.zipkin.**"),
    idle("spring.sleuth.**"),
    idle("management.**"),
    idle("eureka.**"),
    idle("logging.**"),
)

IOPT = (
    Key(
        "iopt.partitions",
        whole(1, 10_000),
        "4",
        "partitions of every own topic that feeds a table; chosen once: another number at start is refused",
    ),
    Key(
        "iopt.replication-factor",
        whole(-1, 1_000),
        "-1",
        "replicas of topics that are created; -1 is what the brokers say",
    ),
    Key("iopt.dlq-partitions", whole(1, 10_000), "4", "partitions of every iopt.dlq.* topic"),
    Key(
        "iopt.topic-prefix",
        only(TEXT, "iopt."),
        "iopt.",
        "begins every own topic and transactional id",
    ),
    Key(
        "iopt.cluster",
        matching(r"[A-Za-z0-9._~-]+", "letters, digits, `.`, `_`, `~`, `-`"),
        "local",
        "what stands in ce_source, as /iopt/<cluster>",
    ),
    Key(
        "iopt.advertised-url",
        ADVERTISED,
        None,
        "where other workers reach this one's HTTP, its own port if none; else server.address, or the host's name",
    ),
    Key(
        "iopt.http-token",
        TEXT,
        None,
        "bearer token that whoever changes anything over HTTP must show; needed where server.address is not local",
    ),
    Key(
        "iopt.data-dir",
        TEXT,
        "var/iopt",
        "local state, rebuilt from Kafka where it is missing; never shared between hosts",
    ),
    Key("iopt.definitions", many(TEXT), "", "files of saga definitions, or directories of them"),
    Key(
        "iopt.routes.*.type-from",
        matching(r"header:.+|\$\..+", "header:<name> or $.path"),
        None,
        "where a record of this topic says its type",
    ),
    Key("iopt.routes.*.type", matching(r"[a-z][a-z0-9._-]*", "a type"), None, "the type of every record of this topic"),
    Key("iopt.participants.*.commands", TOPIC, None, "command topic of this participant; else <name>.commands"),
    Key("iopt.participants.*.breaker", TEXT, None, "name of its breaker; else its own name"),
    idle("iopt.participants.*.eureka", TEXT),
    Key(
        "iopt.breakers.*.scopes",
        many(word(*SCOPES)),
        "service",
        "of what a service has breakers: itself, its operations, instances, callers",
    ),
    Key(
        "iopt.breakers.*.most",
        whole(1, 10_000),
        "256",
        "breakers of a service; names beyond it have none of their own",
    ),
    Key(
        "iopt.timer-wait",
        duration(),
        "60s",
        "how long a due timer waits for a partition that an open transaction holds up",
    ),
    Key("iopt.commit-interval", duration(), "10ms", "least time from the beginning of one commit to the next"),
    Key("iopt.commit-interval-busy", duration(), "50ms", "the same while more records wait than a transaction takes"),
    Key("iopt.transaction-max-records", whole(1), "3000", "records after which a transaction is committed at once"),
    Key(
        "iopt.transaction-max-size",
        size(1 << 10),
        "4MB",
        "outputs and changed states after which a transaction is committed at once",
    ),
    Key(
        "iopt.transaction-timeout",
        duration(1_000),
        "10s",
        "after it the broker ends a transaction of a worker that is gone",
    ),
    Key("iopt.session-timeout", duration(1_000), "10s", "after it a worker that is silent loses its partitions"),
    Key("iopt.cache-size", size(1 << 20), "64MB", "states kept in memory, for each worker"),
    Key("iopt.event-max-size", only(size(), "256KB"), "256KB", "largest data of an event, a reply or a signal"),
    Key("iopt.error-max-size", only(size(), "4KB"), "4KB", "largest error.message; what is longer is cut"),
    Key("iopt.saga-max-size", only(size(), "768KB"), "768KB", "largest state of a saga"),
    Key("iopt.id-max-size", only(size(), "1KB"), "1KB", "longest id of others"),
)

CATALOGUE: tuple[Key, ...] = (*SPRING, *IOPT, *RESILIENCE)
ALIASES = {"IOPT_KAFKA": "spring.kafka.bootstrap-servers", "IOPT_PORT": "server.port"}
STRICT = ("iopt.", "resilience4j.")
# By place in the path: what Resilience4j's properties call `instances` too.
OTHER_NAMES = {(2, "backends"): "instances", (2, "limiters"): "instances"}
