import pytest
from msgspec import Raw
from msgspec.structs import replace

from app.domain.errors import BadKey, NoKey, TooLarge
from app.domain.sagas.definition import Beginning, Trigger
from app.domain.sagas.messages import DomainEvent, Origin
from app.domain.sagas.route import Place, routes_of, starts
from tests.support.orders import ORDER

PLACE = Place("orders", 2, 7, "k-1", 1_000)


def started(data: str, key: str = "orderId", **event):
    definition = replace(ORDER, start=Beginning(ORDER.start.on, key))
    event = DomainEvent(type="order.created", data=Raw(data.encode()), **event)
    return starts(event, PLACE, routes_of([definition])["orders"], 2_000)


def test_an_event_that_a_definition_names_starts_its_saga():
    [start] = started('{"orderId":"o-1","total":49.90}', ce_id="e-1", ce_source="/shop")
    assert (start.saga_id, start.saga, start.saga_version, start.run, start.at) == ("order/o-1", "order", 1, 1, 2_000)
    assert start.origin == Origin("orders", 2, 7, "k-1", 1_000, "e-1", "/shop")
    assert bytes(start.data) == b'{"orderId":"o-1","total":49.90}'


@pytest.mark.parametrize(
    ("key", "saga_id"),
    [
        ('"INV/2026/17"', "order/INV%2F2026%2F17"),
        ('"a b~c._-Z"', "order/a%20b~c._-Z"),
        ('"ä:%"', "order/%C3%A4%3A%25"),
        ("17", "order/17"),
        ("-12345678901234567890", "order/-12345678901234567890"),
        (f'"{"x" * 200}"', "order/" + "x" * 200),
    ],
)
def test_every_byte_that_could_be_misread_is_written_as_percent(key, saga_id):
    assert [start.saga_id for start in started(f'{{"orderId":{key}}}')] == [saga_id]


@pytest.mark.parametrize("key", ['""', "1.0", "true", "{}", "[]", f'"{"x" * 201}"', f'"{"ä" * 101}"'])
def test_other_keys_are_bad(key):
    with pytest.raises(BadKey):
        started(f'{{"orderId":{key}}}')


@pytest.mark.parametrize("data", ["{}", '{"orderId":null}', "[]", "7", '{"order":{"id":"o-1"}}'])
def test_an_event_without_a_key_has_none(data):
    with pytest.raises(NoKey):
        started(data)


def test_the_key_may_stand_deeper():
    assert [start.key for start in started('{"order":{"id":"o-1"}}', key="$.order.id")] == ["o-1"]


def test_what_is_too_large_is_not_started():
    with pytest.raises(TooLarge):
        started('{"orderId":"o-1","note":"' + "x" * 256 * 1024 + '"}')


def test_only_the_highest_version_is_started():
    second, tenth = replace(ORDER, version=2), replace(ORDER, version=10)
    [(_, routed)] = routes_of([ORDER, tenth, second])["orders"]
    assert routed.version == 10


def test_one_event_may_start_several_sagas_and_many_events_one():
    audit = replace(
        ORDER, saga="audit", start=Beginning((Trigger("orders", "order.created"), Trigger("bills", "paid")), "id")
    )
    routes = routes_of([ORDER, audit])
    event = DomainEvent(type="order.created", data=Raw(b'{"orderId":"o-1","id":2}'))
    assert [start.saga_id for start in starts(event, PLACE, routes["orders"], 0)] == ["order/o-1", "audit/2"]
    assert [named for named, _ in routes["bills"]] == ["paid"]
