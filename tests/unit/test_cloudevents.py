from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from app.domain.breakers.calls import BreakerAct, CallOutcome
from app.domain.errors import Invalid, PassedOver, Undecodable
from app.domain.sagas.messages import Command, DomainEvent, Fact, Reply, Signal, Typed
from app.wire.cloudevents import rfc3339
from app.wire.codec import Envelope, Headers
from app.wire.topics import BREAKER_ACTS, CALL_OUTCOMES, SAGA_EVENTS, SAGA_REPLIES, commands, domain_events

REPLY = Reply(
    command_id="order/o-1:PAY:do:r1:1",
    saga_id="order/o-1",
    outcome="done",
    data=Raw(b'{"amount":49.90}'),
    duration_ms=12,
)
ENVELOPE = Envelope("order/o-1#7", "order/o-1", 1_790_000_000_007, "/iopt/blue")
TYPE: Headers = [("ce_type", b"iopt.saga.reply")]
BODY = SAGA_REPLIES.codec.encode(REPLY, ENVELOPE)[0]
STRUCTURED: Headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def structured(**attributes: Any) -> bytes:
    return json.dumps({"specversion": "1.0", "id": "1", "source": "/pay", **attributes}).encode()


def passed_over(value: bytes | None, headers: Headers) -> str:
    with pytest.raises(PassedOver) as caught:
        SAGA_REPLIES.codec.decode(value, headers)
    return caught.value.reason


def test_a_record_of_ours_is_written_in_binary_mode() -> None:
    body, headers = SAGA_REPLIES.codec.encode(REPLY, ENVELOPE)
    assert json.loads(body)["data"] == {"amount": 49.9}
    assert b"49.90" in body
    assert sorted(headers) == [
        ("ce_dataschema", b"urn:iopt:iopt.saga.reply:1"),
        ("ce_id", b"order/o-1#7"),
        ("ce_source", b"/iopt/blue"),
        ("ce_specversion", b"1.0"),
        ("ce_subject", b"order/o-1"),
        ("ce_time", b"2026-09-21T14:13:20.007Z"),
        ("ce_type", b"iopt.saga.reply"),
        ("content-type", b"application/json"),
    ]
    assert SAGA_REPLIES.codec.decode(body, headers) == REPLY


@pytest.mark.parametrize(
    ("at_ms", "text"), [(0, b"1970-01-01T00:00:00.000Z"), (1_709_251_199_999, b"2024-02-29T23:59:59.999Z")]
)
def test_times_have_milliseconds_and_z(at_ms: int, text: bytes) -> None:
    assert rfc3339(at_ms) == text


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/json",
        b"Application/JSON; charset=utf-8",
        b"application/vnd.pay+json",
        b"APPLICATION/CLOUDEVENTS+JSON",
    ],
)
def test_content_types_are_compared_without_case_and_parameters(content_type: bytes) -> None:
    plain = b"cloud" not in content_type.lower()
    body = BODY if plain else structured(type="iopt.saga.reply", data=json.loads(BODY))
    found = SAGA_REPLIES.codec.decode(body, [*TYPE, ("content-type", content_type)])
    assert found.command_id == REPLY.command_id


def test_a_record_without_content_type_is_json() -> None:
    assert SAGA_REPLIES.codec.decode(BODY, TYPE) == REPLY


@pytest.mark.parametrize(
    "content_type",
    [b"text/plain", b"application/avro", b"application/cloudevents+avro", b"application/cloudevents-batch+json"],
)
def test_other_content_types_are_passed_over_undecoded(content_type: bytes) -> None:
    assert passed_over(b"\xff", [*TYPE, ("content-type", content_type)]) == "content-type"


def test_what_has_no_body_or_no_known_type_is_passed_over() -> None:
    assert passed_over(None, TYPE) == "tombstone"
    assert passed_over(BODY, []) == "no-type"
    assert passed_over(b"\xff", [("ce_type", b"iopt.saga.reply.v2")]) == "type"
    assert passed_over(structured(type="other", data=1), STRUCTURED) == "type"
    xml = structured(type="iopt.saga.reply", datacontenttype="text/xml", data="<a/>")
    assert passed_over(xml, STRUCTURED) == "content-type"


def test_a_topic_of_one_type_needs_no_type() -> None:
    assert CALL_OUTCOMES.codec.decode(b'{"service":"pay","outcome":"failure"}', []) == CallOutcome(
        service="pay", outcome="failure"
    )


def test_of_repeated_headers_the_last_counts() -> None:
    assert SAGA_REPLIES.codec.decode(BODY, [("ce_type", b"other"), *TYPE]) == REPLY
    assert passed_over(BODY, [*TYPE, ("ce_type", b"other")]) == "type"


def test_a_structured_event_is_read_whether_its_data_is_json_or_base64() -> None:
    event = structured(type="iopt.saga.reply", subject="order/o-1", data=json.loads(BODY))
    assert SAGA_REPLIES.codec.decode(event, STRUCTURED).saga_id == "order/o-1"
    event = structured(type="iopt.saga.reply", data_base64="e30=")
    with pytest.raises(Undecodable, match=r"^\$\.data_base64\.command_id: missing$"):
        SAGA_REPLIES.codec.decode(event, STRUCTURED)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"command_id":"c","saga_id":7,"outcome":"done"}', "$.saga_id: expected str, got int"),
        (b'{"command_id":"c","saga_id":"s"}', "$.outcome: missing"),
        (b'{"command_id":"c","saga_id":"","outcome":"done"}', "$.saga_id: expected str of length >= 1"),
        (
            b'{"command_id":"c","saga_id":"s","outcome":"failed","error":{"code":1}}',
            "$.error.code: expected str, got int",
        ),
        (b"[]", "$: expected object, got array"),
        (b"", "$: input data was truncated"),
        (b"[" * 100_000, "$: nested too deeply"),
    ],
)
def test_what_does_not_fit_says_where_and_what_was_expected(body: bytes, told: str) -> None:
    if told.endswith("deeply"):
        body = b'{"command_id":"c","saga_id":"s","outcome":"done","data":' + body
    with pytest.raises(Undecodable) as caught:
        SAGA_REPLIES.codec.decode(body, TYPE)
    assert str(caught.value) == told


@pytest.mark.parametrize("data", [b'"\xff"', b'"\\ud800"'])
def test_data_that_the_next_could_not_read_is_undecodable(data: bytes) -> None:
    with pytest.raises(Undecodable):
        SAGA_REPLIES.codec.decode(b'{"command_id":"c","saga_id":"s","outcome":"done","data":' + data + b"}", TYPE)


def test_unknown_fields_and_headers_are_ignored() -> None:
    body = BODY[:-1] + b',"tenant":"t","extra":[1]}'
    assert SAGA_REPLIES.codec.decode(body, [*TYPE, ("ce_tenant", b"u"), ("x", b"\xff")]) == REPLY


@pytest.mark.parametrize("header", ["ce_subject", "ce_saga_id", "ce_command_id", "ce_duration_ms"])
def test_a_header_that_contradicts_the_body_is_invalid(header: str) -> None:
    with pytest.raises(Invalid, match=header):
        SAGA_REPLIES.codec.decode(BODY, [*TYPE, (header, b"order/\xff")])


def test_a_header_that_repeats_the_body_is_fine() -> None:
    headers = [*TYPE, ("ce_subject", b"order/o-1"), ("ce_duration_ms", b"12"), ("ce_at", b"7"), ("ce_id", b"any")]
    assert SAGA_REPLIES.codec.decode(BODY, headers) == REPLY


def test_what_the_body_names_is_named_in_the_headers_whatever_the_key() -> None:
    act = BreakerAct(
        act_id="a-1", service="pay", breaker="pay:op:charge", act="close", reason="checked", actor="ops", at=7
    )
    body, headers = BREAKER_ACTS.codec.encode(act, Envelope("iopt.saga-inbox/0/7/0", "pay", 7))
    assert dict(headers)["ce_subject"] == b"pay:op:charge"
    assert dict(headers)["ce_id"] == b"a-1"
    assert BREAKER_ACTS.codec.decode(body, headers) == act


def test_numbers_that_no_float_can_hold_are_passed_on() -> None:
    body = '{"command_id":"c","saga_id":"s","outcome":"done","data":{"é\\n":1e999}}'.encode()
    assert bytes(SAGA_REPLIES.codec.decode(body, TYPE).data) == '{"é\\n":1e999}'.encode()


def test_a_signal_without_saga_id_may_have_any_subject() -> None:
    body = b'{"signal":"paid","saga":"order","key":"o-1"}'
    headers = [("ce_type", b"iopt.saga.signal"), ("ce_subject", b"o-1")]
    signal = SAGA_REPLIES.codec.decode(body, headers)
    assert signal == Signal(signal="paid", saga="order", key="o-1")
    assert SAGA_REPLIES.key_of is not None
    assert SAGA_REPLIES.key_of(signal) == "order/o-1"


def test_a_fact_comes_with_its_type() -> None:
    fact = Typed(
        "iopt.saga.started",
        Fact(saga="order", saga_id="order/o-1", saga_version=1, key="o-1", seq=1, state="RUNNING", at=7),
    )
    body, headers = SAGA_EVENTS.codec.encode(fact, ENVELOPE)
    assert dict(headers)["ce_type"] == b"iopt.saga.started"
    assert SAGA_EVENTS.codec.decode(body, headers) == fact


def command() -> Typed:
    return Typed(
        "process-payment",
        Command(
            command_id="order/o-1:PAY:do:r1:1",
            to="pay",
            saga="order",
            saga_id="order/o-1",
            saga_version=1,
            step="PAY",
            action="do",
            run=1,
            attempt=1,
            idempotency_key="order/o-1:PAY:do:r1",
            deadline_at=None,
            reply_to="iopt.saga-replies",
            data=Raw(b'{"amount":49.90}'),
        ),
    )


def test_a_command_has_the_name_of_its_step_as_type_and_its_id_as_id() -> None:
    codec = commands("pay.commands").codec
    envelope = Envelope("order/o-1:PAY:do:r1:1", "order/o-1", 7)
    body, headers = codec.encode(command(), envelope)
    assert {name: dict(headers)[name] for name in ("ce_type", "ce_id", "ce_subject")} == {
        "ce_type": b"process-payment",
        "ce_id": b"order/o-1:PAY:do:r1:1",
        "ce_subject": b"order/o-1",
    }
    assert b'"deadline_at":null' in body
    assert b"undoes" not in body
    assert codec.decode(body, headers) == command()
    with pytest.raises(Invalid):
        codec.decode(body, [*headers, ("ce_id", b"another")])


@pytest.mark.parametrize(
    ("type_from", "fixed", "headers", "body"),
    [
        ("", "", [("ce_type", b"order.created")], b'{"a":1}'),
        ("header:kind", "other", [("kind", b"order.created")], b'{"a":1}'),
        ("$.meta.type", "other", [], b'{"meta":{"type":"order.created"}}'),
        ("$.meta.type", "order.created", [], b'{"meta":{"type":7}}'),
        ("eventType", "", [], b'{"eventType":"order.created"}'),
        ("$.meta.type", "", [("ce_type", b"order.created")], b'{"meta":{"type":"other"}}'),
    ],
)
def test_the_type_of_a_domain_event_is_the_first_that_holds(
    type_from: str, fixed: str, headers: Headers, body: bytes
) -> None:
    topic = domain_events("orders", {"order.created"}, type_from, fixed)
    assert topic.codec.decode(body, headers) == DomainEvent("order.created", Raw(body))


def test_a_structured_domain_event_gives_its_data_and_origin() -> None:
    value = b'{"specversion":"1.0","id":"e-1","source":"/shop","type":"order.created","data":{"total":49.90}}'
    found = domain_events("orders", ["order.created"]).codec.decode(value, STRUCTURED)
    assert found == DomainEvent("order.created", Raw(b'{"total":49.90}'), "e-1", "/shop")


@pytest.mark.parametrize(
    ("type_from", "headers", "value", "reason"),
    [
        ("", [("ce_type", b"order.paid")], b"\xff", "type"),
        ("", [], b"{}", "no-type"),
        ("$.type", [], b"\xff", "no-type"),
        ("", STRUCTURED, b"\xff", "no-type"),
        ("header:kind", [*STRUCTURED, ("kind", b"x")], b"\xff", "type"),
        ("", [("ce_type", b"order.created")], None, "tombstone"),
        ("", [("ce_type", b"order.created"), ("content-type", b"application/avro")], b"\x00", "content-type"),
    ],
)
def test_domain_records_that_nobody_names_are_passed_over_undecoded(
    type_from: str, headers: Headers, value: bytes | None, reason: str
) -> None:
    with pytest.raises(PassedOver) as caught:
        domain_events("orders", ["order.created"], type_from).codec.decode(value, headers)
    assert caught.value.reason == reason


@pytest.mark.parametrize("headers", [[], STRUCTURED])
@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b'{"data":"\xff"}'])
def test_a_named_domain_event_that_cannot_be_read_is_undecodable(headers: Headers, value: bytes) -> None:
    with pytest.raises(Undecodable):
        domain_events("orders", ["order.created"]).codec.decode(value, [*headers, ("ce_type", b"order.created")])


def test_an_odd_type_from_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a field"):
        domain_events("orders", ["order.created"], "$.a[0]")
