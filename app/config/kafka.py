"""How Kafka is spoken to, in Spring's names and in Kafka's: each field has several spellings, and one connection."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from app.config.keys import Key, idle, refused
from app.config.units import ANY, CLASS, FLAG, TEXT, Kind, Unsupported, word

PREFIX = "spring.kafka."
SIDES = ("", "consumer.", "producer.")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Field:
    """`spellings` follow `spring.kafka.`, `spring.kafka.consumer.` and `spring.kafka.producer.`; the first is shown."""

    spellings: tuple[str, ...]
    kind: Kind
    meaning: str
    default: str | None = None

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.spellings[0]}"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{PREFIX}{side}{spelling}" for side in SIDES for spelling in self.spellings)


def path_of(text: str) -> str:
    """A file's, as Spring's resources or Kafka name it. Raises ValueError, Unsupported."""
    found = _SCHEME.fullmatch(text)
    if found is None:
        return _not_empty(text)
    if found[1].lower() != "file":
        raise Unsupported(f"is not supported: {found[1]}: is not read here; expected {FILE.expected}")
    path = unquote(found[2])
    return _not_empty(path[2:] if path.startswith("///") else path)


def _not_empty(path: str) -> str:
    if not path or "\0" in path or path.startswith("//"):
        raise ValueError
    return path


def _https_or_nothing(text: str) -> str:
    return {"": "", "https": "https"}[text.lower()]


FILE = Kind("a file, as /etc/kafka/store.pem or file:/etc/kafka/store.pem", path_of)
STORE = word("PEM", "JKS", "PKCS12")

PROTOCOL = Field(
    ("security.protocol", "properties.security.protocol"),
    word("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    "how brokers are spoken to",
    "PLAINTEXT",
)
TRUST_FILE = Field(
    ("ssl.trust-store-location", "properties.ssl.truststore.location"),
    FILE,
    "certificates that brokers are trusted by; without any the system's",
)
TRUST_TEXT = Field(
    ("ssl.trust-store-certificates", "properties.ssl.truststore.certificates"), TEXT, "the same, as PEM in the settings"
)
TRUST_TYPE = Field(("ssl.trust-store-type", "properties.ssl.truststore.type"), STORE, "PEM; others are refused")
TRUST_PASSWORD = Field(("ssl.trust-store-password", "properties.ssl.truststore.password"), ANY, "none: PEM has none")
KEY_FILE = Field(
    ("ssl.key-store-location", "properties.ssl.keystore.location"),
    FILE,
    "this client's certificate, those between it and its authority, and its key, in one file",
)
KEY_CHAIN = Field(
    ("ssl.key-store-certificate-chain", "properties.ssl.keystore.certificate.chain"),
    TEXT,
    "the certificates of that, as PEM in the settings",
)
KEY_TEXT = Field(("ssl.key-store-key", "properties.ssl.keystore.key"), TEXT, "the key of that, as PEM in the settings")
KEY_TYPE = Field(("ssl.key-store-type", "properties.ssl.keystore.type"), STORE, "PEM; others are refused")
KEY_STORE_PASSWORD = Field(("ssl.key-store-password", "properties.ssl.keystore.password"), ANY, "none: PEM has none")
KEY_PASSWORD = Field(("ssl.key-password", "properties.ssl.key.password"), TEXT, "of the key, if it is encrypted")
HOST_CHECK = Field(
    ("properties.ssl.endpoint.identification.algorithm",),
    Kind("https, or nothing", _https_or_nothing),
    "a broker's certificate must bear its name; an empty text turns that off",
    "https",
)
MECHANISM = Field(
    ("properties.sasl.mechanism",),
    word("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", unsupported=("GSSAPI", "OAUTHBEARER")),
    "how this client logs in",
)
JAAS = Field(
    ("properties.sasl.jaas.config",),
    TEXT,
    'user name and password: `...PlainLoginModule required username="..." password="...";`, or ScramLoginModule',
)

SSL_FIELDS = (
    TRUST_FILE,
    TRUST_TEXT,
    TRUST_TYPE,
    TRUST_PASSWORD,
    KEY_FILE,
    KEY_CHAIN,
    KEY_TEXT,
    KEY_TYPE,
    KEY_STORE_PASSWORD,
    KEY_PASSWORD,
    HOST_CHECK,
)
FIELDS = (PROTOCOL, *SSL_FIELDS, MECHANISM, JAAS)

JAAS_ENABLED = "spring.kafka.jaas.enabled"
JAAS_MODULE = "spring.kafka.jaas.login-module"
JAAS_USERNAME = "spring.kafka.jaas.options.username"
JAAS_PASSWORD = "spring.kafka.jaas.options.password"  # noqa: S105  the name of one

_BY_OPENSSL = "TLS 1.2 or later, as this machine's OpenSSL has it"
_IDLE_SSL = (
    "ssl.protocol",
    *(f"properties.ssl.{name}" for name in ("protocol", "provider", "enabled.protocols", "cipher.suites")),
    *(f"properties.ssl.{name}" for name in ("keymanager.algorithm", "trustmanager.algorithm")),
    "properties.ssl.secure.random.implementation",
)
_REFUSED = (
    ("ssl.**", "expected PEM stores: ssl.trust-store-*, ssl.key-store-*, ssl.key-password"),
    ("properties.ssl.**", "expected PEM stores: ssl.truststore.*, ssl.keystore.*, ssl.key.password"),
    ("properties.sasl.**", "expected sasl.mechanism and sasl.jaas.config"),
)


def _keys() -> Iterator[Key]:
    for field in FIELDS:
        for name in field.names:
            if name == field.name:
                yield Key(name, field.kind, field.default, field.meaning)
            else:
                yield Key(name, field.kind, None, f"as {field.name}")
    for side in SIDES:
        yield from (idle(f"{PREFIX}{side}{name}", why=_BY_OPENSSL) for name in _IDLE_SSL)
        yield from (refused(f"{PREFIX}{side}{name}", instead) for name, instead in _REFUSED)
    yield Key(JAAS_ENABLED, FLAG, "false", "the same as sasl.jaas.config, in parts")
    yield Key(JAAS_MODULE, CLASS, None, "PlainLoginModule or ScramLoginModule of Kafka")
    yield Key(JAAS_USERNAME, TEXT, None, "user name")
    yield Key(JAAS_PASSWORD, TEXT, None, "password")
    yield idle("spring.kafka.jaas.control-flag")
    yield idle("spring.kafka.jaas.options.**")


KAFKA = tuple(_keys())
