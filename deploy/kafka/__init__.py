"""A real Kafka on this machine: one KRaft node as a child process, without Maven, Docker or a Java of one's own."""

from deploy.kafka.broker import Broker, NotStarted, local_kafka
from deploy.kafka.errors import NoKafka
from deploy.kafka.jars import WrongJar
from deploy.kafka.java import NoJava
from deploy.kafka.kit import KAFKA_3, KAFKA_4, KAFKA_4_TRANSACTIONS_1

__all__ = [
    "KAFKA_3",
    "KAFKA_4",
    "KAFKA_4_TRANSACTIONS_1",
    "Broker",
    "NoJava",
    "NoKafka",
    "NotStarted",
    "WrongJar",
    "local_kafka",
]
