import gc
import threading
import weakref

import pytest

from app.client.kafka import KafkaTransport, connect
from app.client.scope import Who

NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize("options", [{"security": "SSL"}, {"security_protocol": "SSL", "group_id": "orders"}])
def test_an_option_that_the_producer_or_the_consumer_has_not_is_refused_at_once(options):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{[*options][-1]}'"):
        KafkaTransport("kafka:9092", **options)


def test_those_that_both_have_are_taken():
    KafkaTransport("kafka:9092", security_protocol="SSL", client_id="orders", request_timeout_ms=5_000).close(0)


def test_a_fleet_that_is_closed_is_kept_by_nothing():
    before = set(threading.enumerate())
    fleet = connect(NOWHERE, Who("order-service", "order-1"))
    kept = weakref.ref(fleet)
    fleet.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
    del fleet
    gc.collect()
    assert kept() is None
