"""The topics as an AsyncAPI 3.1 document, and their records as JSON Schema 2020-12; both made from the code."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any, NamedTuple

import msgspec
from ruamel.yaml import YAML

from app.domain.breakers.calls import CallOutcome
from app.domain.sagas.messages import Command, Fact, Signal
from app.wire.cloudevents import CloudEvents
from app.wire.dead_letter import NUMBERS, PREFIX, REPLAY_OF, TEXTS
from app.wire.topics import OURS_ALONE, OWNED, Cleanup, Topic, commands, configs, dead_letters

Document = dict[str, Any]

CONTRACT_VERSION = "1.0.0"
BINDING = "0.5.0"
COMPONENT = "#/components/schemas/{name}"

# What a Struct says by its code and not by its types.
_ALTERNATIVES: dict[type, Document] = {
    CallOutcome: {
        "oneOf": [
            {"required": ["outcome"], "properties": {"outcome": {"type": "string"}}},
            {"required": ["counts"], "properties": {"counts": {"type": "object"}}},
        ]
    },
    Signal: {"anyOf": [{"required": ["saga_id"]}, {"required": ["saga", "key"]}]},
}


class Message(NamedTuple):
    """A kind of record; several types may share its body."""

    name: str
    body: type
    types: tuple[str, ...]


def messages_of(topic: Topic) -> list[Message]:
    assert isinstance(topic.codec, CloudEvents)
    types: dict[type, tuple[str, ...]] = {}
    for type_, body in topic.codec.types.items():
        types[body] = (*types.get(body, ()), type_)
    return [Message("iopt.saga.fact" if body is Fact else names[0], body, names) for body, names in types.items()]


MESSAGES = {message.name: message for topic in OWNED for message in messages_of(topic)}
COMMAND = Message("command", Command, ())
DEAD_LETTER = "dead-letter"


def schema(message: Message) -> Document:
    """Of the record's value, on its own."""
    (root,), parts = msgspec.json.schema_components([message.body], ref_template="#/$defs/{name}")
    own = parts.pop(root["$ref"].removeprefix("#/$defs/"))
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:iopt:{message.name}:1"}
    made: Document = head | own | _ALTERNATIVES.get(message.body, {}) | ({"$defs": parts} if parts else {})
    return made


def document() -> Document:
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Integration Optimization",
            "version": CONTRACT_VERSION,
            "description": (
                "Sagas, circuit breakers and dead letters over Kafka. Records are CloudEvents 1.0 in JSON, written in "
                "binary mode, read in binary and structured mode. The partition is Kafka's default, murmur2 of the key."
            ),
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "localhost:9092", "protocol": "kafka"}},
        "channels": {topic.name: _channel(topic) for topic in OWNED} | _channels_by_name(),
        "operations": dict(_operations()),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def as_yaml(made: Document) -> str:
    yaml = YAML()
    yaml.width = 4096  # a folded line ends in a blank
    yaml.representer.ignore_aliases = _never
    written = StringIO()
    yaml.dump(made, written)
    return written.getvalue()


def _never(_node: object) -> bool:
    return True


def _channel(topic: Topic) -> Document:
    names = [message.name for message in messages_of(topic)]
    return {
        "address": topic.name,
        "description": f"Key: {topic.key}. Written by {topic.writers}.",
        "messages": {name: _ref("messages", name) for name in names},
        "bindings": {"kafka": _kafka(topic)},
    }


def _channels_by_name() -> Document:
    """Topics of which there is one for each participant, or for each source."""
    participant = commands("{participant}.commands")
    letters = dead_letters("{source}")
    return {
        "commands": {
            "address": participant.name,
            "description": f"Key: {participant.key}. Written by {participant.writers}; a participant's own topic.",
            "parameters": {"participant": {"description": "Its name, or what `iopt.participants` says for it."}},
            "messages": {COMMAND.name: _ref("messages", COMMAND.name)},
        },
        "dead-letters": {
            "address": letters.name,
            "description": f"Key: {letters.key}. Partition: the source's, modulo the count.",
            "parameters": {"source": {"description": "The topic that the record was read from."}},
            "messages": {DEAD_LETTER: _ref("messages", DEAD_LETTER)},
            "bindings": {"kafka": {"topicConfiguration": _kept(letters), "bindingVersion": BINDING}},
        },
    }


def _kafka(topic: Topic) -> Document:
    return {"topic": topic.name, "topicConfiguration": _kept(topic), "bindingVersion": BINDING}


def _kept(topic: Topic) -> Document:
    """The configuration in the binding's own types; what depends on the source is left out."""
    said = configs(topic)
    numbers = {name: int(value) for name, value in said.items() if name in ("retention.ms", "delete.retention.ms")}
    others = {"message.timestamp.type": said["message.timestamp.type"]}
    return {"cleanup.policy": [said["cleanup.policy"]], **numbers, **others}


def _operations() -> Iterator[tuple[str, Document]]:
    for topic in OWNED:
        if "this service" in topic.writers:
            yield f"send-{topic.name}", _operation("send", topic.name)
        if _is_read(topic):
            yield f"receive-{topic.name}", _operation("receive", topic.name)
    command = _operation("send", "commands")
    replies = {"channel": {"$ref": "#/channels/iopt.saga-replies"}}
    yield "send-commands", {**command, "summary": "Do, undo or query; answered by a reply.", "reply": replies}
    yield "send-dead-letters", _operation("send", "dead-letters")


def _is_read(topic: Topic) -> bool:
    return topic.log_append_time or topic.writers == OURS_ALONE or topic.cleanup is Cleanup.COMPACT


def _operation(action: str, channel: str) -> Document:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}


def _messages() -> Document:
    made = {message.name: _message(message) for message in (*MESSAGES.values(), COMMAND)}
    for name in (COMMAND.name, "iopt.saga.reply"):
        made[name]["correlationId"] = {"location": "$message.payload#/command_id"}
    headers = {PREFIX + name.replace("_", "-"): {"type": "string"} for name in TEXTS}
    headers |= {PREFIX + name.replace("_", "-"): {"type": "string", "pattern": "^[0-9]+$"} for name in NUMBERS}
    headers[REPLAY_OF] = {"type": "string", "description": "<dead-letter topic>/<partition>/<offset>"}
    required = sorted(set(headers) - {REPLAY_OF})
    made[DEAD_LETTER] = {
        "title": DEAD_LETTER,
        "summary": "The record byte for byte with its own headers, and why it failed.",
        "headers": {"type": "object", "properties": headers, "required": required},
        "payload": {"description": "The bytes as they came; a reference where they do not fit."},
    }
    return made


def _message(message: Message) -> Document:
    properties: Document = {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string"},
        "ce_type": {"enum": list(message.types)} if message.types else {"type": "string"},
        "ce_source": {"type": "string"},
        "ce_subject": {"type": "string"},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_dataschema": {"type": "string", "pattern": "^urn:iopt:.*:1$"},
        "content-type": {"const": "application/json"},
        "traceparent": {"type": "string"},
    }
    return {
        "title": message.name,
        "headers": {"type": "object", "properties": properties},
        "payload": {"$ref": COMPONENT.format(name=message.body.__name__)},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": BINDING}},
    }


def _schemas() -> Document:
    bodies = [message.body for message in (*MESSAGES.values(), COMMAND)]
    _, parts = msgspec.json.schema_components(bodies, ref_template=COMPONENT)
    return parts | {body.__name__: parts[body.__name__] | more for body, more in _ALTERNATIVES.items()}


def _ref(kind: str, name: str) -> Document:
    return {"$ref": f"#/components/{kind}/{name}"}
