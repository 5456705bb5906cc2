"""What deploy/contract says is what the code does; `python -m deploy.contract` renews it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

from app.wire.asyncapi import COMMAND, MESSAGES, document, schema
from app.wire.cloudevents import CloudEvents
from app.wire.codec import Envelope
from app.wire.partition import partition
from app.wire.topics import OWNED
from deploy import contract
from deploy.contract.files import files
from deploy.contract.samples import Sample, samples

COMMITTED = Path(contract.__file__).parent
ASYNCAPI = Path(__file__).parent / "asyncapi-3.1.0.json"  # npm @asyncapi/specs 6.11.1, Apache-2.0

SAMPLES = {sample.name: sample for sample in samples()}
SCHEMAS = {message.body: schema(message) for message in (*MESSAGES.values(), COMMAND)}


def body_of(sample: Sample) -> Any:
    return getattr(sample.value, "body", sample.value)


def test_the_committed_files_are_what_the_code_makes() -> None:
    made = files()
    kept = {
        path.relative_to(COMMITTED).as_posix() for path in COMMITTED.rglob("*") if path.suffix in (".json", ".yaml")
    }
    assert kept == set(made)
    for name, text in made.items():
        assert (COMMITTED / name).read_text(encoding="utf-8") == text, f"{name}: run python -m deploy.contract"


@pytest.mark.parametrize("name", SAMPLES)
def test_a_golden_record_still_decodes_to_what_it_was_made_from(name: str) -> None:
    sample = SAMPLES[name]
    golden = json.loads((COMMITTED / "golden" / f"{name}.json").read_text(encoding="utf-8"))
    headers = [(header, said.encode()) for header, said in golden["headers"]]
    value = sample.topic.codec.decode(golden["value"].encode(), headers)
    assert value == sample.value
    if sample.topic.key_of is not None:
        assert sample.topic.key_of(value) == golden["key"]
    for count, number in golden["partition_of"].items():
        assert partition(golden["key"].encode(), int(count)) == number


@pytest.mark.parametrize("name", SAMPLES)
def test_a_golden_record_is_valid_by_its_schema(name: str) -> None:
    sample = SAMPLES[name]
    of = SCHEMAS.get(type(body_of(sample)))
    if of is not None:
        value, _ = sample.topic.codec.encode(sample.value, _envelope(sample))
        jsonschema_rs.validator_for(of).validate(json.loads(value))


def test_every_kind_of_record_has_a_golden_one() -> None:
    assert {type(body_of(sample)) for sample in SAMPLES.values()} >= {message.body for message in MESSAGES.values()}


@pytest.mark.parametrize("name", [*MESSAGES, COMMAND.name])
def test_a_schema_is_valid_and_asks_for_what_the_codec_asks_for(name: str) -> None:
    made = json.loads((COMMITTED / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema_rs.meta.validate(made)
    validator = jsonschema_rs.validator_for(made)
    sample = next(each for each in SAMPLES.values() if SCHEMAS.get(type(body_of(each))) == made)
    whole = json.loads(sample.topic.codec.encode(sample.value, _envelope(sample))[0])
    assert validator.is_valid({**whole, "tenant": "unknown fields are ignored"})
    for required in made.get("required", ()):
        assert not validator.is_valid({field: value for field, value in whole.items() if field != required})


def test_outcomes_and_signals_need_one_of_their_alternatives() -> None:
    outcome = jsonschema_rs.validator_for(schema(MESSAGES["iopt.call.outcome"]))
    assert outcome.is_valid({"service": "pay", "outcome": "failure"})
    assert not outcome.is_valid({"service": "pay"})
    assert not outcome.is_valid({"service": "pay", "outcome": "failure", "counts": {"failure": 1}})
    signal = jsonschema_rs.validator_for(schema(MESSAGES["iopt.saga.signal"]))
    assert signal.is_valid({"signal": "paid", "saga": "order", "key": 7})
    assert not signal.is_valid({"signal": "paid", "saga": "order"})


def test_the_document_is_asyncapi_3_1() -> None:
    validator = jsonschema_rs.validator_for(json.loads(ASYNCAPI.read_text(encoding="utf-8")))
    made = YAML(typ="safe").load((COMMITTED / "asyncapi.yaml").read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(made)] == []
    made["operations"]["send-commands"]["action"] = "shout"
    assert not validator.is_valid(made)


def test_every_reference_leads_somewhere_and_operations_name_real_channels() -> None:
    made = document()
    for reference in references(made):
        found = made
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]
    channels = {operation["channel"]["$ref"].removeprefix("#/channels/") for operation in made["operations"].values()}
    assert channels == set(made["channels"])


def test_every_topic_and_type_stands_in_the_document() -> None:
    made = document()
    assert {topic.name for topic in OWNED} <= set(made["channels"])
    said = {
        name
        for message in made["components"]["messages"].values()
        for name in message["headers"]["properties"].get("ce_type", {}).get("enum", ())
    }
    assert said == {name for topic in OWNED if isinstance(topic.codec, CloudEvents) for name in topic.codec.types}


def references(node: Any) -> Iterator[str]:
    match node:
        case {"$ref": str(found)}:
            yield found
        case dict():
            for child in node.values():
                yield from references(child)
        case list():
            for child in node:
                yield from references(child)


def _envelope(sample: Sample) -> Envelope:
    return Envelope(sample.id, sample.key, 0)
