import pytest

from app.client.kafka import KafkaTransport


@pytest.mark.parametrize("options", [{"security": "SSL"}, {"security_protocol": "SSL", "group_id": "orders"}])
def test_an_option_that_the_producer_or_the_consumer_has_not_is_refused_at_once(options):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{[*options][-1]}'"):
        KafkaTransport("kafka:9092", **options)


def test_those_that_both_have_are_taken():
    KafkaTransport("kafka:9092", security_protocol="SSL", client_id="orders", request_timeout_ms=5_000).close(0)
