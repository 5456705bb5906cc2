"""Kafka over TLS, with logins and with certificates: what is processed over it, and who is turned away."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.kafka import Kafka
from tests.support.product import IOPT, Product, ended, event, free_port
from tests.support.secured import PASSWORD, Secured, secured_broker


class Guarded(Product):
    """Its workers and its commands come through the door that they are told of."""

    door: Mapping[str, str]

    def environment(self, port: int | None = None) -> dict[str, str]:
        return super().environment(port) | self.door

    def iopt(self, *args: str) -> subprocess.CompletedProcess[str]:
        command = [IOPT, "--config", self.settings, *args]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=90, env=self.environment(free_port())
        )


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured_broker(tmp_path_factory.mktemp("secured")) as broker:
        yield broker


@pytest.fixture(scope="module")
def guarded(secured: Secured, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with Guarded(Kafka(secured.bootstrap), tmp_path_factory.mktemp("guarded")) as made:
        yield made


def place(product: Guarded, order: str) -> None:
    product.kafka.write("orders", event(order))


@pytest.mark.timeout(240)
def test_sagas_end_over_a_login_although_the_worker_is_killed(guarded: Guarded, secured: Secured) -> None:
    guarded.door = secured.by_login("SCRAM-SHA-512")
    worker = guarded.ready()
    place(guarded, "o-1")
    guarded.serve(lambda facts: len(facts) >= 2)
    worker.kill()
    worker = guarded.ready()
    place(guarded, "o-2-declined")
    guarded.serve(ended("o-1", "o-2-declined"))
    assert worker.stop() == 0
    assert PASSWORD not in "".join(each.log.read_text() for each in guarded.workers)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_sagas_end_over_a_login_without_tls(guarded: Guarded, secured: Secured, mechanism: str) -> None:
    guarded.door = secured.by_bare_login(mechanism)
    worker = guarded.ready()
    place(guarded, f"o-bare-{mechanism}")
    guarded.serve(ended(f"o-bare-{mechanism}"))
    assert worker.stop() == 0


@pytest.mark.timeout(240)
def test_sagas_end_over_a_certificate_of_the_client(guarded: Guarded, secured: Secured) -> None:
    guarded.door = secured.by_certificate(secured.authority.certificate("shop"))
    worker = guarded.ready()
    place(guarded, "o-3")
    guarded.serve(ended("o-3"))
    assert worker.stop() == 0


@pytest.mark.parametrize("door", ["PLAIN", "SCRAM-SHA-512", "certificate"])
def test_commands_read_and_write_through_every_door(guarded: Guarded, secured: Secured, door: str) -> None:
    own = secured.authority.certificate("operator", password="open sesame")
    guarded.door = (
        {**secured.by_certificate(own), "SPRING_KAFKA_SSL_KEYPASSWORD": "open sesame"}
        if door == "certificate"
        else secured.by_login(door)
    )
    assert guarded.iopt("topics", "create").returncode == 0
    differing = guarded.iopt("topics", "diff", "--json")
    assert (differing.returncode, json.loads(differing.stdout)) == (0, [])
    letters = guarded.iopt("dlq", "list", "--json")
    assert (letters.returncode, letters.stderr) == (0, "")
    definition = b"".join(record.value or b"" for record in guarded.kafka.read_all("iopt.definitions"))
    assert definition, "a worker has been here before"
    started = guarded.iopt("saga", "start", "order", f"by-{door}", "--json")
    assert (started.returncode, started.stderr) == (0, "")


def test_a_wrong_password_is_refused_at_once(guarded: Guarded, secured: Secured) -> None:
    for mechanism in ("PLAIN", "SCRAM-SHA-512"):
        guarded.door = secured.by_login(mechanism, password="hunter2")
        assert_refused(
            guarded, f"{secured.login} refuses the login of shop: ", "(spring.kafka.properties.sasl.jaas.config)"
        )


def test_a_certificate_of_somebody_else_s_is_refused(guarded: Guarded, secured: Secured, tmp_path: Path) -> None:
    other = Authority(tmp_path)
    guarded.door = {**secured.by_login(), "SPRING_KAFKA_SSL_TRUSTSTORELOCATION": str(other.trusted)}
    assert_refused(guarded, f"{secured.login} has a certificate that is not trusted: ", "(spring.kafka.ssl.trust-")
    guarded.door = secured.by_certificate(other.certificate("shop"))
    assert_refused(guarded, f"{secured.bearer} ends the handshake of TLS: ", "spring.kafka.ssl.key-store-location)")


def test_who_bears_no_certificate_is_refused(guarded: Guarded, secured: Secured) -> None:
    door = secured.by_certificate(Path())
    guarded.door = {name: text for name, text in door.items() if "KEYSTORE" not in name}
    assert_refused(guarded, f"{secured.bearer} ends the handshake of TLS: ", "spring.kafka.ssl.key-store-location)")


def test_a_broker_under_another_name_is_refused_unless_names_are_not_asked_for(
    guarded: Guarded, secured: Secured, tmp_path: Path
) -> None:
    port = secured.login.partition(":")[2]
    guarded.door = {**secured.by_login(), "IOPT_KAFKA": f"localhost:{port}"}
    check = "spring.kafka.properties.ssl.endpoint.identification.algorithm"
    assert_refused(guarded, f"localhost:{port} has a certificate that is not trusted: ", f"({check})")
    careless = tmp_path / "application.yml"
    careless.write_text(f"{guarded.settings.read_text()}\n{check}: ''\n")
    listed = subprocess.run([IOPT, "--config", careless, "dlq", "list"], env=guarded.environment(), check=False)
    assert listed.returncode == 0


def test_a_broker_that_gives_another_name_than_its_certificate_is_refused(guarded: Guarded, secured: Secured) -> None:
    door = secured.by_certificate(Path()) | {"IOPT_KAFKA": secured.astray}
    guarded.door = {name: text for name, text in door.items() if "KEYSTORE" not in name}
    port = secured.astray.partition(":")[2]
    assert_refused(guarded, f"localhost:{port} has a certificate that is not trusted: Hostname mismatch")


def test_a_listener_of_another_kind_is_named_as_far_as_it_says_itself(guarded: Guarded, secured: Secured) -> None:
    guarded.door = {"IOPT_KAFKA": secured.login}
    hung_up = guarded.iopt("topics", "diff").stderr
    assert f"{secured.login} hangs up on PLAINTEXT (spring.kafka.security.protocol)" in hung_up
    guarded.door = {**secured.by_login(), "IOPT_KAFKA": secured.bootstrap}
    assert f"{secured.bootstrap} hangs up on SASL_SSL" in guarded.iopt("topics", "diff").stderr
    guarded.door = secured.by_certificate(secured.authority.certificate("shop")) | {"IOPT_KAFKA": secured.login}
    assert f"{secured.login} hangs up on SSL" in guarded.iopt("topics", "diff").stderr
    guarded.door = secured.by_login() | {
        "IOPT_KAFKA": secured.bootstrap,
        "SPRING_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    }
    assert "knows no login there (spring.kafka.security.protocol)" in guarded.iopt("topics", "diff").stderr
    guarded.door = secured.by_login() | {"SPRING_KAFKA_PROPERTIES_SASL_MECHANISM": "SCRAM-SHA-256"}
    assert "knows no login by SCRAM-SHA-256" in guarded.iopt("topics", "diff").stderr


def test_brokers_that_are_away_are_no_refusal(guarded: Guarded, secured: Secured) -> None:
    guarded.door = {**secured.by_login(), "IOPT_KAFKA": f"127.0.0.1:{free_port()}"}
    worker = guarded.start()
    assert worker.wait(60) == 4
    assert "no Kafka broker answers" in worker.tail()


def assert_refused(guarded: Guarded, *said: str) -> None:
    """By worker and command, with code 1 and in the same words."""
    worker = guarded.start()
    assert worker.wait(60) == 1, worker.tail()
    [refusal] = worker.events("worker_refused")
    command = guarded.iopt("topics", "diff")
    assert command.returncode == 1
    for each in said:
        assert each in refusal["error"]
        assert each in command.stderr
    assert "hunter2" not in worker.log.read_text() + command.stderr + command.stdout
