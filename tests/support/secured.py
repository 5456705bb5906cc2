"""A broker with four doors: an open one, one for logins over TLS, one for logins without it, one for certificates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from deploy.kafka import Broker, ports
from tests.support.brokers import listeners
from tests.support.certificates import Authority
from tests.support.kafka import ANSWER_S

HOST = "127.0.0.1"
USER, PASSWORD = "shop", "to be, or; not = to be"
MODULE = "org.apache.kafka.common.security"
MECHANISMS = {"PLAIN": f"{MODULE}.plain.PlainLoginModule", "SCRAM-SHA-512": f"{MODULE}.scram.ScramLoginModule"}
DOORS = {
    "CONTROLLER": "PLAINTEXT",
    "PLAINTEXT": "PLAINTEXT",
    "LOGIN": "SASL_SSL",
    "BARE": "SASL_PLAINTEXT",
    "BEARER": "SSL",
    "ASTRAY": "SSL",
}


class Secured(NamedTuple):
    """`bootstrap` is the open door's; `astray` answers where its certificate holds, and sends its clients elsewhere."""

    authority: Authority
    bootstrap: str
    login: str
    bare: str
    bearer: str
    astray: str

    def by_login(self, mechanism: str = "SCRAM-SHA-512", password: str = PASSWORD) -> dict[str, str]:
        """Variables of a client."""
        return {
            "IOPT_KAFKA": self.login,
            "SPRING_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "SPRING_KAFKA_SSL_TRUSTSTORELOCATION": f"file:{self.authority.trusted}",
            "SPRING_KAFKA_PROPERTIES_SASL_MECHANISM": mechanism,
            "SPRING_KAFKA_PROPERTIES_SASL_JAAS_CONFIG": jaas(mechanism, username=USER, password=password),
        }

    def by_bare_login(self, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
        sealed = self.by_login(mechanism)
        del sealed["SPRING_KAFKA_SSL_TRUSTSTORELOCATION"]
        return sealed | {"IOPT_KAFKA": self.bare, "SPRING_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}

    def by_certificate(self, own: Path) -> dict[str, str]:
        return {
            "IOPT_KAFKA": self.bearer,
            "SPRING_KAFKA_SECURITY_PROTOCOL": "SSL",
            "SPRING_KAFKA_PROPERTIES_SSL_TRUSTSTORE_LOCATION": str(self.authority.trusted),
            "SPRING_KAFKA_PROPERTIES_SSL_KEYSTORE_LOCATION": str(own),
        }


@contextmanager
def secured_broker(directory: Path) -> Iterator[Secured]:
    """It knows USER by its PASSWORD, and whomever its authority gave a certificate."""
    authority = Authority(directory)
    broker = Broker(directory / "broker")
    doors = dict(zip(("LOGIN", "BARE", "BEARER", "ASTRAY"), ports.free(4), strict=True))
    broker.properties = _properties(broker, doors, authority)
    try:
        broker.start()
        _introduce(broker.bootstrap)
        yield Secured(authority, broker.bootstrap, *(f"{HOST}:{port}" for port in doors.values()))
    finally:
        broker.kill()


def _properties(broker: Broker, secured: Mapping[str, int], authority: Authority) -> Mapping[str, str]:
    doors = {"PLAINTEXT": broker.port, **secured}
    return {
        "listeners": listeners(doors | {"CONTROLLER": broker.controller_port}),
        "advertised.listeners": listeners(doors).replace(f"ASTRAY://{HOST}", "ASTRAY://localhost"),
        "listener.security.protocol.map": ",".join(f"{door}:{protocol}" for door, protocol in DOORS.items()),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.certificate(HOST)),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.trusted),
        "listener.name.bearer.ssl.client.auth": "required",
        **_logins("login"),
        **_logins("bare"),
    }


def _logins(door: str) -> Mapping[str, str]:
    return {
        f"listener.name.{door}.sasl.enabled.mechanisms": ",".join(MECHANISMS),
        f"listener.name.{door}.plain.sasl.jaas.config": jaas("PLAIN", **{f"user_{USER}": PASSWORD}),
        f"listener.name.{door}.scram-sha-512.sasl.jaas.config": jaas("SCRAM-SHA-512"),
    }


def jaas(mechanism: str, **options: str) -> str:
    said = "".join(f' {name}="{value}"' for name, value in options.items())
    return f"{MECHANISMS[mechanism]} required{said};"


def _introduce(bootstrap: str) -> None:
    wanted = UserScramCredentialUpsertion(
        USER, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), PASSWORD.encode()
    )
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.alter_user_scram_credentials([wanted]).values():
        done.result(ANSWER_S)
