"""Every file of the contract, as text."""

from __future__ import annotations

import json
from typing import Any

from app.wire.asyncapi import COMMAND, MESSAGES, as_yaml, document, schema
from app.wire.codec import Envelope
from app.wire.partition import partition
from deploy.contract.samples import AT, Sample, samples

COUNTS = (4, 24)


def files() -> dict[str, str]:
    """Text by path below this directory."""
    made = {"asyncapi.yaml": as_yaml(document())}
    made |= {f"schemas/{message.name}.json": _text(schema(message)) for message in (*MESSAGES.values(), COMMAND)}
    return made | {f"golden/{sample.name}.json": _text(golden(sample)) for sample in samples()}


def golden(sample: Sample) -> dict[str, Any]:
    """A record as it stands in Kafka; its key and value are the UTF-8 of these texts."""
    value, headers = sample.topic.codec.encode(sample.value, Envelope(sample.id, sample.subject or sample.key, AT))
    key = sample.key.encode()
    return {
        "topic": sample.topic.name,
        "key": sample.key,
        "partition_of": {str(count): partition(key, count) for count in COUNTS},
        "headers": [[name, said.decode()] for name, said in headers],
        "value": value.decode(),
    }


def _text(made: dict[str, Any]) -> str:
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"
