"""What must hold before anything is consumed; whatever does not is named."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from importlib.util import find_spec

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError

from app.engine.broker import admission, protocol
from app.engine.broker.access import Access
from app.engine.broker.cluster import ask_any
from app.engine.broker.codes import UNREACHABLE
from app.engine.broker.transaction_requests import InitProducerId
from app.engine.topology import SubTopology
from app.engine.transactions.transaction_versions import Version1, Version2
from app.wire.topics import Topic

PINNED = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0", "rocksdict": "0.3.29"}
OLDEST_KAFKA = "3.2"  # by the newest of these requests, LeaveGroup v5
REQUESTS = (
    InitProducerId,
    protocol.OffsetFetch,
    protocol.Heartbeat,
    protocol.LeaveGroup,
    protocol.DescribeProducers,
    protocol.ListTransactions,
    protocol.Metadata,
    protocol.CreateTopics,
    protocol.CreatePartitions,
)
BrokerError = KafkaError
WITH_NEW_EPOCHS = 2  # the transaction.version from which on each transaction has an epoch of its own
MORE = 0x80  # of a varint's byte: another one follows


class NotReady(Exception):
    """The worker refuses to start; the message says what is wrong and what was expected."""


def check_packages() -> None:
    """Their private attributes are used, so exactly these versions. Raises NotReady."""
    for package, wanted in PINNED.items():
        if (found := version(package)) != wanted:
            raise NotReady(f"{package} {found} is installed: expected {wanted}")
    if find_spec("faust._cython.streams") is None:
        raise NotReady(f"faust-streaming {version('faust-streaming')} has no compiled extensions: install its wheel")


def check_port(host: str, port: int) -> None:
    """Raises NotReady."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise NotReady(
                f"port {port} on {host}: {error.strerror}; another worker? server.port or IOPT_PORT"
            ) from error


async def reach(client: AIOKafkaClient, access: Access) -> None:
    """Raises NoBroker, NotReady."""
    try:
        await admission.reach(client, access)
    except admission.TurnedAway as turned_away:
        raise NotReady(str(turned_away)) from turned_away


async def reach_group(client: AIOKafkaClient, group: str) -> None:
    """Until the group has a coordinator: on a new cluster that takes a moment, and aiokafka calls it an error."""
    while True:
        try:
            await client.coordinator_lookup(CoordinationType.GROUP, group)
        except UNREACHABLE:
            await asyncio.sleep(0.1)
        else:
            return


async def choose_version(client: AIOKafkaClient) -> type[Version1 | Version2]:
    """Of transactions: by the *finalized* feature, not by what the broker could do (X5). Raises NotReady."""
    try:
        answer = await ask_any(client, protocol.ApiVersions("iopt", "1", {}))
        version = Version2 if finalized(answer.tags).get("transaction.version", 0) >= WITH_NEW_EPOCHS else Version1
        check_known({key: (oldest, newest) for key, oldest, newest, _ in answer.apis}, version)
    except IncompatibleBrokerVersion as error:
        raise NotReady(f"the broker is too old: {error.args[0]}; expected Kafka {OLDEST_KAFKA} or later") from error
    return version


def check_known(versions: Mapping[int, tuple[int, int]], version: type[Version1 | Version2]) -> None:
    """Oldest and newest version by request. Raises IncompatibleBrokerVersion."""
    for request in (*REQUESTS, *version.requests):
        request.check(versions)


def finalized(tags: Mapping[int, bytes]) -> dict[str, int]:
    """Feature levels in force, from the tagged field of ApiVersions v3: a compact array of name, max, min."""
    raw = tags.get(protocol.FINALIZED, b"\x01")
    count, at = _uvarint(raw, 0)
    levels = {}
    for _ in range(count - 1):
        length, at = _uvarint(raw, at)
        name = raw[at : at + length - 1].decode()
        at += length - 1
        levels[name] = int.from_bytes(raw[at : at + 2], "big", signed=True)
        _, at = _uvarint(raw, at + 4)
    return levels


def _uvarint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = raw[at], at + 1
        value |= (byte & ~MORE) << shift
        if not byte & MORE:
            return value, at
        shift += 7


def missing_topics(counts: Mapping[str, int], wanted: Iterable[Topic]) -> list[Topic]:
    """Own ones, to be created. Raises NotReady for topics of others."""
    missing = [topic for topic in wanted if topic.name not in counts]
    foreign = sorted({topic.name for topic in missing if not topic.owned})
    if foreign:
        raise NotReady(f"topics missing: {', '.join(foreign)}; they belong to the services, so create them there")
    return missing


def check_counts(counts: Mapping[str, int], subs: Iterable[SubTopology], partitions: int) -> None:
    """Topics that feed one table have one number of partitions, the recorded one. Raises NotReady."""
    for sub in subs:
        if not sub.tables:
            continue
        wrong = {name: counts[name] for name in sub.readers if counts[name] != partitions}
        if wrong:
            said = ", ".join(f"{name} has {count}" for name, count in sorted(wrong.items()))
            raise NotReady(f"partitions of {sub.row}: {said}; expected {partitions} (iopt.partitions)")
        log = f"iopt.{sub.row}.changelog"
        if counts.get(log, partitions) != partitions:
            raise NotReady(f"{log} has {counts[log]} partitions: expected {partitions}, the number its sources have")
