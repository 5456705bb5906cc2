class NoKafka(Exception):
    """There is no local Kafka; the message says why, and what can be done."""
