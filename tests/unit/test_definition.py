"""Definitions: what may be written short, what is refused, and where it says so."""

from __future__ import annotations

import re

import msgspec
import pytest

from app.domain.sagas.definition import Definition, Named, canonical, fingerprint
from app.domain.sagas.definition_tree import BadDefinition
from app.wire.definitions import load_definitions, read_definitions

ORDER = """\
saga: order
version: 1
start: {on: {topic: orders, type: order.created}, key: orderId}
deadline: 15m
steps:
  - step: RESERVE
    to: inventory-service
    do: reserve
    undo: release
    timeout: 30s
  - step: CHARGE
    to: payment-service
    do: charge
    undo: refund
    query: find-charge
    data: {orderId: "${start.orderId}", amount: "${start.total}", hold: "${steps.RESERVE.data.id}", unit: cent}
    retry: {maxAttempts: 3, waitDuration: 1s, exponentialBackoffMultiplier: 2}
on_completed: order.completed
on_compensated: order.failed
"""

LONG = """\
saga: order
version: 1
start: {on: [{topic: orders, type: order.created}], key: orderId}
deadline: 900000
retention: P7D
steps:
  - {step: RESERVE, to: inventory-service, do: {name: reserve}, undo: {name: release}, timeout: PT30S}
  - step: CHARGE
    to: payment-service
    do: {name: charge}
    undo: {name: refund}
    query: {name: find-charge}
    data: {unit: cent, hold: "${steps.RESERVE.data.id}", amount: "${start.total}", orderId: "${start.orderId}"}
    retry: {max-attempts: 3, wait-duration: 1000, exponential-backoff-multiplier: 2.0}
    timeout: 0.5m
on_completed: {type: order.completed}
on_compensated: {type: order.failed}
"""


def read(text: str) -> Definition:
    [definition] = read_definitions(text, "order.yaml")
    return definition


def refused(text: str) -> list[str]:
    with pytest.raises(BadDefinition) as caught:
        read_definitions(text, "order.yaml")
    return str(caught.value).splitlines()


def test_a_definition_says_what_was_written():
    order = read(ORDER)
    assert (order.id, order.deadline_ms, order.retention_ms) == ("order/1", 900_000, 604_800_000)
    reserve, charge = order.steps
    assert (reserve.undo, reserve.query, reserve.data) == (Named("release"), None, None)
    assert (charge.timeout_ms, charge.retry.max_attempts, charge.retry.wait_ms) == (30_000, 3, 1_000)
    assert charge.data["unit"] == "cent"


def test_short_and_long_forms_are_the_same_definition():
    assert fingerprint(read(LONG)) == fingerprint(read(ORDER))


def test_its_canonical_json_is_itself_a_definition():
    order = read(ORDER)
    assert read(canonical(order).decode()) == order
    assert msgspec.json.decode(canonical(order), type=Definition) == order


def test_other_content_has_another_fingerprint():
    assert fingerprint(read(ORDER)) != fingerprint(read(ORDER.replace("15m", "16m")))


def test_what_is_left_out_is_the_same_as_its_default():
    said = ORDER.replace("deadline: 15m", "deadline: 15m\nretention: 7d\nkeep_data: false")
    assert fingerprint(read(ORDER)) == fingerprint(read(said))


def test_several_triggers_start_the_same_saga():
    order = read(
        ORDER.replace("on: {topic: orders, type: order.created}", "on: [{topic: a, type: X}, {topic: b, type: Y}]")
    )
    assert [(each.topic, each.type) for each in order.start.on] == [("a", "X"), ("b", "Y")]


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("timeout: 30s", "timout: 30s", "10: steps[0].timout", "unknown field; did you mean timeout?"),
        ("    undo: release\n", "    colour: red\n", "9: steps[0].colour", "unknown field; known are step, to, do"),
        ("saga: order", "saga: Order", "1: saga", "expected small letters"),
        ("version: 1", "version: 0", "2: version", "expected a whole number of at least 1, not 0"),
        ("version: 1\n", "", "1: version", "missing"),
        ("step: CHARGE", "step: RESERVE", "11: steps[1].step", "RESERVE is the name of steps[0] too (line 6)"),
        ("step: CHARGE", "step: CHARGE-IT", "11: steps[1].step", "expected letters, digits and _"),
        ("undo: refund", "undo: charge", "14: steps[1].undo", "charge is the name of its do too"),
        ("query: find-charge", "query: refund", "15: steps[1].query", "refund is the name of its undo too"),
        ("timeout: 30s", "timeout: 16m", "10: steps[0].timeout", "960000 ms, longer than the deadline, 900000 ms"),
        ("timeout: 30s", "deadline: 9s", "6: steps[0].timeout", "30000 ms, longer than the deadline, 9000 ms"),
        ("timeout: 30s", "deadline: 1h", "10: steps[0].deadline", "longer than the saga's deadline"),
        ("timeout: 30s", "timeout: 30 parsecs", "10: steps[0].timeout", "'30 parsecs': expected a duration"),
        ("timeout: 30s", "timeout: 0s", "10: steps[0].timeout", "expected 1ms to"),
        ("order.failed", "order.created", "19: on_compensated", "order.created on orders starts this very saga"),
        ("order.completed", "{topic: orders, type: order.created}", "18: on_completed", "starts this very saga"),
        ("do: reserve", "do: iopt.reserve", "8: steps[0].do", "not beginning with iopt."),
        ("maxAttempts: 3", "maxAttempts: 0", "17: steps[1].retry.maxAttempts", "at least 1"),
        ("maxAttempts: 3", "maxAttempt: 3", "17: steps[1].retry.maxAttempt", "did you mean maxAttempts?"),
        ("${start.total}", "${start.total * 2}", "16: steps[1].data.amount", "expected ${start.<path>}"),
        ("RESERVE.data", "CHARGE.data", "16: steps[1].data", "no step CHARGE before this"),
        ("${start.total}", "${saga.owner}", "16: steps[1].data.amount", "expected ${start.<path>}"),
        ("key: orderId", "key: order.id", "3: start.key", "expected a field such as orderId"),
        ("  - step: CHARGE", "  - parallel: []\n    step: X", "11: steps[1].parallel", "not supported yet"),
        ("    query: find-charge", "    pivot: true", "15: steps[1].pivot", "not supported yet"),
        ("    query: find-charge", "    completes_on: x", "15: steps[1].completes_on", "not supported yet"),
        ("deadline: 15m", "sensitive: [$.card]", "4: sensitive", "not supported yet"),
        ("on_completed:", "on_in_debt:", "18: on_in_debt", "not supported yet"),
        ("deadline: 15m", "deadline: 15m\ndeadline: 16m", "5: YAML", "found duplicate key"),
        ("cent}", "2026-01-01}", "16: steps[1].data.unit", "expected what JSON can say"),
    ],
)
def test_a_mistake_is_named_by_file_line_and_path(old, new, where, what):
    assert old in ORDER
    told = refused(ORDER.replace(old, new, 1))
    assert any(line.startswith(f"order.yaml:{where}: ") and what in line for line in told), told


def test_all_mistakes_are_told_at_once():
    told = refused(ORDER.replace("timeout: 30s", "timout: 30s").replace("version: 1", "version: one"))
    assert [re.match(r"order.yaml:(\d+)", line)[1] for line in told] == ["2", "10"]


def test_a_file_that_is_no_yaml_says_where():
    assert refused("saga: [order") == ["order.yaml:1: YAML: expected ',' or ']', but got '<stream end>'"]


def test_the_same_version_may_not_be_two_things(tmp_path):
    (tmp_path / "a.yaml").write_text(ORDER)
    (tmp_path / "b.yml").write_text(ORDER)
    (tmp_path / "notes.txt").write_text("not a definition")
    assert [each.id for each in load_definitions([tmp_path])] == ["order/1"]
    (tmp_path / "b.yml").write_text(ORDER.replace("15m", "16m"))
    with pytest.raises(BadDefinition, match=r"order/1 is another one in .*a\.yaml"):
        load_definitions([tmp_path])


def test_a_file_may_hold_several_definitions():
    both = read_definitions(ORDER + "---\n" + ORDER.replace("version: 1", "version: 2"), "order.yaml")
    assert [each.id for each in both] == ["order/1", "order/2"]
