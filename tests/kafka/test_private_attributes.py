"""Every private attribute of faust, mode, aiokafka and rocksdict that the engine touches: an upgrade fails here first.

What a class sets when it is made is looked for in its source; of what the engine calls or replaces, the parameters.
"""

from __future__ import annotations

import ast
import inspect
import re
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import faust
import pytest
import rocksdict
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import AIOKafkaConsumer, fetcher
from aiokafka.consumer import consumer as consumer_module
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from aiokafka.errors import kafka_errors
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.conductor import Conductor
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, ConsumerRebalanceListener

from app import engine
from app.engine.broker import fetch
from app.engine.group import group

ENGINE = Path(engine.__file__).parent


class Private(NamedTuple):
    owner: Any
    name: str
    takes: str | None = None  # its parameters, where the engine calls it or stands in for it


METHODS = [
    Private(AIOKafkaConsumerThread, "_create_worker_consumer", "self, transport"),
    Private(AIOKafkaConsumerThread, "_ensure_consumer", "self"),
    Private(AIOKafkaConsumerThread, "_fetch_records", "self, consumer, active_partitions, timeout, max_records"),
    Private(AIOKafkaConsumerThread, "seek_wait", "self, partitions"),
    Private(Consumer, "_new_consumer_thread", "self"),
    Private(Consumer, "_drain_messages", "self, fetcher"),
    Private(Consumer, "_get_active_partitions", "self"),
    Private(Consumer, "_getmany", "self, active_partitions, timeout"),
    Private(Consumer, "_new_offset", "self, tp"),
    Private(Consumer, "force_commit", "self, topics, start_new_transaction"),
    Private(Consumer, "seek_to_committed", "self"),
    Private(Consumer, "verify_event_path", "self, now, tp"),
    Private(Consumer, "on_partitions_revoked", "self, revoked"),
    Private(Consumer, "wait_empty", "self"),
    Private(Conductor, "_subscriber", "self"),
    Private(Conductor, "_update_indices", "self"),
    Private(ConsumerRebalanceListener, "on_partitions_assigned", "self, assigned"),
    Private(ConsumerRebalanceListener, "on_partitions_revoked", "self, revoked"),
    Private(Recovery, "_restart_recovery", "self"),
    Private(Recovery, "_resume_streams", "self, generation_id"),
    Private(Recovery, "_wait", "self, coro, timeout"),
    Private(TableManager, "_update_channels", "self"),
    Private(faust.App, "_crash", "self, reason"),
    Private(faust.Topic, "_compile_decode", "self"),
    Private(fetcher.Fetcher, "_proc_fetch_request", "self, assignment, node_id, request"),
    Private(fetcher.PartitionRecords, "_unpack_records", "self"),
    Private(fetcher.PartitionRecords, "_consumer_record", "self, tp, record"),
    Private(fetcher.PartitionRecords, "_consume_aborted_up_to", "self, batch_offset"),
    Private(fetcher.PartitionRecords, "_contains_abort_marker", "self, next_batch"),
    Private(GroupCoordinator, "_do_rejoin_group", "self, subscription"),
    Private(GroupCoordinator, "_send_req", "self, request"),
    Private(GroupCoordinator, "_push_error_to_user", "self, exc"),
    Private(GroupCoordinator, "_coordination_routine", "self"),
    Private(GroupCoordinator, "_maybe_leave_group", "self"),
    Private(GroupCoordinator, "_perform_assignment", "self, response"),
    Private(GroupCoordinator, "_on_join_complete", "self, generation, member_id, protocol, member_assignment_bytes"),
    Private(GroupCoordinator, "request_rejoin", "self"),
    Private(MetadataRequest, "build"),
    Private(AIOKafkaClient, "send", "self, node_id, request, group"),
    Private(AIOKafkaClient, "get_random_node", "self"),
    Private(AIOKafkaClient, "coordinator_lookup", "self, coordinator_type, coordinator_key"),
    Private(DefaultRecordBatchBuilder, "append", None),
    Private(DefaultRecordBatchBuilder, "set_producer_state", None),
    Private(rocksdict.Rdict, "set_write_options", None),
    Private(rocksdict.WriteOptions, "disable_wal", None),
]
SET_WHEN_MADE = [
    (AIOKafkaConsumerThread, "_assignor"),
    (AIOKafkaConsumerThread, "_consumer"),
    (AIOKafkaConsumer, "_partition_assignment_strategy"),
    (AIOKafkaConsumer, "_isolation_level"),
    (AIOKafkaConsumer, "_fetch_max_wait_ms"),
    (AIOKafkaConsumer, "_max_poll_records"),
    (AIOKafkaConsumer, "_subscription"),
    (AIOKafkaConsumer, "_coordinator"),
    (Consumer, "_acked"),
    (Consumer, "_acked_index"),
    (Consumer, "_thread"),
    (Consumer, "_stopped"),
    (Consumer, "_unacked_messages"),
    (Conductor, "_subscription_changed"),
    (Conductor, "_subscription_done"),
    (Conductor, "_topics"),
    (Recovery, "_generation_id"),
    (TableManager, "_recovery"),
    (fetcher.Fetcher, "_records"),
    (fetcher.PartitionRecords, "_records"),
    (fetcher.PartitionRecords, "_records_iterator"),
    (fetcher.PartitionRecords, "_isolation_level"),
    (fetcher.PartitionRecords, "_check_crcs"),
    (fetcher.PartitionRecords, "_tp"),
    (fetcher.PartitionRecords, "_aborted_producers"),
    (GroupCoordinator, "_group_instance_id"),
    (GroupCoordinator, "_assignors"),
    (GroupCoordinator, "_closing"),
    (GroupCoordinator, "generation"),
    (GroupCoordinator, "member_id"),
    (MetadataRequest, "_allow_auto_topic_creation"),
    (TopicPartitionState, "_position"),
    (TopicPartitionState, "highwater"),
    (TopicPartitionState, "lso"),
    (TopicPartitionState, "timestamp"),
    (faust.App, "_transport"),
]
PROPERTIES = [(TopicPartitionState, "awaiting_reset"), (SubscriptionState, "subscription"), (AIOKafkaClient, "cluster")]
PUBLIC = {"_replace", "_exit"}  # of named tuples, and of os
MADE_BY_NAME = [(consumer_module, "Fetcher"), (consumer_module, "GroupCoordinator"), (fetcher, "PartitionRecords")]


@pytest.mark.parametrize("private", METHODS, ids=lambda private: f"{private.owner.__name__}.{private.name}")
def test_a_method_is_there_and_takes_what_it_took(private: Private) -> None:
    found = getattr(private.owner, private.name)
    if private.takes is not None:
        assert ", ".join(inspect.signature(getattr(found, "fun", found)).parameters) == private.takes


@pytest.mark.parametrize(("owner", "name"), SET_WHEN_MADE, ids=lambda what: getattr(what, "__name__", what))
def test_an_attribute_is_set_by_its_class(owner: type, name: str) -> None:
    sources = (
        inspect.getsource(one) for one in owner.__mro__ if one.__module__.startswith(("faust", "mode", "aiokafka"))
    )
    assert any(re.search(rf"(self\.{name}\b.*=|^    {name}\b.*[:=])", source, re.MULTILINE) for source in sources)


@pytest.mark.parametrize(("owner", "name"), PROPERTIES, ids=lambda what: getattr(what, "__name__", what))
def test_a_property_is_there(owner: type, name: str) -> None:
    assert hasattr(owner, name) or f"self.{name}" in inspect.getsource(owner)


@pytest.mark.parametrize(("module", "name"), MADE_BY_NAME, ids=lambda what: getattr(what, "__name__", what))
def test_a_part_is_made_by_the_name_that_is_replaced(module: Any, name: str) -> None:
    assert f"{name}(" in inspect.getsource(module)


def test_the_replacements_are_installed() -> None:
    fetch.install()
    group.install()
    assert consumer_module.Fetcher is fetch.SeeingFetcher
    assert consumer_module.GroupCoordinator is group.Coordinator
    assert fetcher.PartitionRecords is fetch.BareRecords
    assert kafka_errors[82] is group.FencedInstanceIdError


def test_no_private_attribute_is_touched_that_is_not_listed_here() -> None:
    listed = {name for _, name, *_ in chain(METHODS, SET_WHEN_MADE, PROPERTIES)}
    touched, own = set[str](), set[str]()
    for file in ENGINE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                touched.add(node.attr)
            own |= made_here(node)
    assert touched - own - listed - PUBLIC == set()


def made_here(node: ast.AST) -> set[str]:
    """Names of methods, of what is assigned to self, and of slots."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return {node.attr} if isinstance(node.value, ast.Name) and node.value.id == "self" else set()
    if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) for target in node.targets):
        return {
            part.value
            for part in ast.walk(node.value)
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        }
    return set()
