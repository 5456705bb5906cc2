"""How Kafka is spoken to: what may be said, in whose names, and what is refused."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from app.config import Settings, SettingsRefused, load
from app.config.security import OPEN, Login
from app.config.stores import KEY, blocks
from app.engine.broker.access import Access
from app.engine.group.credentials import credentials
from tests.support.certificates import Authority

PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="shop" password="hunter2";'
SCRAM = 'org.apache.kafka.common.security.scram.ScramLoginModule required username="shop" password="hunter2";'


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def loaded(tmp_path: Path, settings: dict[str, object], **env: str) -> Settings:
    """`settings` follow `spring.kafka.`, a line each."""
    file = tmp_path / "application.yml"
    lines = (f"spring.kafka.{name}: '{str(value).replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items())
    file.write_text("".join(lines))
    return load(file, env)


def refusal(tmp_path: Path, settings: dict[str, object]) -> str:
    with pytest.raises(SettingsRefused) as refused:
        loaded(tmp_path, settings)
    assert "hunter2" not in str(refused.value)
    return str(refused.value).replace(f"{tmp_path}/", "").replace("application.yml:", "")


def test_without_a_word_of_it_there_is_no_security(tmp_path: Path) -> None:
    settings = loaded(tmp_path, {"client-id": "shop"})
    assert settings.security is OPEN
    assert Access("b:1", OPEN).arguments == {
        "bootstrap_servers": "b:1",
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }
    assert credentials(OPEN) is None


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_login_is_read_from_jaas(tmp_path: Path, mechanism: str) -> None:
    said = {"properties.sasl.mechanism": mechanism, "properties.sasl.jaas.config": SCRAM}
    security = loaded(tmp_path, {"security.protocol": "SASL_PLAINTEXT", **said}).security
    assert security.login == Login(mechanism, "shop", "hunter2", "spring.kafka.properties.sasl.jaas.config")
    assert security.context is None
    assert Access("b:1", security).arguments == {
        "bootstrap_servers": "b:1",
        "security_protocol": "SASL_PLAINTEXT",
        "ssl_context": None,
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "shop",
        "sasl_plain_password": "hunter2",
    }
    assert credentials(security).protocol.value == "SASL_PLAINTEXT"


@pytest.mark.parametrize(
    ("options", "password"),
    [
        ('username="shop" password="a b;c=d"', "a b;c=d"),
        (r'username="shop" password="say \"x\" \\ y"', r'say "x" \ y'),
        ("username=shop password=plain", "plain"),
        ("username='shop'\n  password = 'it''s'".replace("''", '"'), 'it"s'),
        ('serviceName="kafka" username="shop" password="x"', "x"),
    ],
)
def test_jaas_is_read_as_kafka_reads_it(tmp_path: Path, options: str, password: str) -> None:
    said = {
        "properties.sasl.mechanism": "PLAIN",
        "properties.sasl.jaas.config": f"a.PlainLoginModule required {options};",
    }
    login = loaded(tmp_path, {"security.protocol": "SASL_PLAINTEXT", **said}).security.login
    assert login is not None
    assert (login.username, login.password) == ("shop", password)


def test_spring_s_own_parts_say_the_login_too(tmp_path: Path) -> None:
    said = {
        "security.protocol": "SASL_PLAINTEXT",
        "properties.sasl.mechanism": "PLAIN",
        "jaas.enabled": "true",
        "jaas.login-module": "org.apache.kafka.common.security.plain.PlainLoginModule",
        "jaas.control-flag": "required",
        "jaas.options.username": "shop",
        "jaas.options.password": "${SECRET}",
    }
    login = loaded(tmp_path, said, SECRET="hunter2").security.login
    assert login == Login("PLAIN", "shop", "hunter2", "spring.kafka.jaas.options.password")


def test_a_password_sent_in_the_clear_is_named(tmp_path: Path) -> None:
    said = {"properties.sasl.mechanism": "PLAIN", "properties.sasl.jaas.config": PLAIN}
    settings = loaded(tmp_path, {"security.protocol": "SASL_PLAINTEXT", **said})
    assert any("sends the password as it is written" in notice for notice in settings.notices)


@pytest.mark.parametrize(
    ("trust", "key"),
    [
        ("ssl.trust-store-location", "ssl.key-store-location"),
        ("properties.ssl.truststore.location", "properties.ssl.keystore.location"),
        ("consumer.ssl.trustStoreLocation", "producer.properties.ssl.keystore.location"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "file:", "file://"])
def test_stores_are_found_under_every_name(
    tmp_path: Path, authority: Authority, trust: str, key: str, prefix: str
) -> None:
    own = authority.certificate("shop")
    said = {"security.protocol": "SSL", trust: f"{prefix}{authority.trusted}", key: f"{prefix}{own}"}
    context = loaded(tmp_path, said).security.context
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert [one["serialNumber"] for one in context.get_ca_certs()]
    assert credentials(loaded(tmp_path, said).security).protocol.value == "SSL"


def test_stores_may_stand_in_the_settings_with_blanks_for_ends_of_lines(tmp_path: Path, authority: Authority) -> None:
    own = authority.certificate("shop", password="hunter2").read_text()
    chain, key = own[own.index("-----BEGIN CERT") :], blocks(own, KEY)
    said = {
        "security.protocol": "SSL",
        "ssl.trust-store-certificates": authority.trusted.read_text().replace("\n", " "),
        "ssl.key-store-certificate-chain": chain.replace("\n", " "),
        "ssl.key-store-key": key.replace("\n", " "),
        "ssl.key-password": "hunter2",
    }
    assert loaded(tmp_path, said).security.context is not None


@pytest.mark.parametrize(("said", "checked"), [("", False), ("https", True), ("HTTPS", True)])
def test_an_empty_algorithm_turns_the_check_of_the_host_off(tmp_path: Path, said: str, checked: bool) -> None:
    settings = {"security.protocol": "SSL", "properties.ssl.endpoint.identification.algorithm": said}
    context = loaded(tmp_path, settings).security.context
    assert context is not None
    assert (context.check_hostname, context.verify_mode) == (checked, ssl.CERT_REQUIRED)


def test_what_the_protocol_does_not_use_is_named(tmp_path: Path) -> None:
    said = {"ssl.trust-store-location": "/nowhere.pem", "properties.sasl.mechanism": "PLAIN"}
    settings = loaded(tmp_path, said)
    assert settings.security is OPEN
    assert [notice.partition(" (")[0] for notice in settings.notices] == [
        "spring.kafka.ssl.trust-store-location: no effect with security.protocol PLAINTEXT",
        "spring.kafka.properties.sasl.mechanism: no effect with security.protocol PLAINTEXT",
    ]


SASL = {"security.protocol": "SASL_SSL"}
JAAS = "spring.kafka.properties.sasl.jaas.config"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            SASL,
            "1: spring.kafka.security.protocol=SASL_SSL needs a mechanism: expected "
            "spring.kafka.properties.sasl.mechanism, of PLAIN or SCRAM-*",
        ),
        (
            {**SASL, "properties.sasl.mechanism": "PLAIN"},
            f"2: spring.kafka.properties.sasl.mechanism=PLAIN needs a user name and a password: expected {JAAS}",
        ),
        (
            {**SASL, "properties.sasl.mechanism": "GSSAPI"},
            "2: spring.kafka.properties.sasl.mechanism=GSSAPI is not supported; expected PLAIN or SCRAM-SHA-256 or "
            "SCRAM-SHA-512",
        ),
        (
            {**SASL, "properties.sasl.mechanism": "OAUTHBEARER"},
            "2: spring.kafka.properties.sasl.mechanism=OAUTHBEARER is not supported; expected PLAIN or SCRAM-SHA-256 "
            "or SCRAM-SHA-512",
        ),
        (
            {**SASL, "properties.sasl.mechanism": "PLAIN", "properties.sasl.jaas.config": "shop:hunter2"},
            f"3: {JAAS}=****** is not in the form of JAAS: expected "
            'org.apache.kafka.common.security.plain.PlainLoginModule required username="..." password="...";',
        ),
        (
            {**SASL, "properties.sasl.mechanism": "PLAIN", "properties.sasl.jaas.config": SCRAM},
            f"3: {JAAS}: org.apache.kafka.common.security.scram.ScramLoginModule does not log in by PLAIN: expected "
            "org.apache.kafka.common.security.plain.PlainLoginModule",
        ),
        (
            {
                **SASL,
                "properties.sasl.mechanism": "PLAIN",
                "properties.sasl.jaas.config": 'a.PlainLoginModule required username="u";',
            },
            f"3: {JAAS}: no user name, or no password: expected username and password",
        ),
        (
            {
                **SASL,
                "properties.sasl.mechanism": "PLAIN",
                "properties.sasl.jaas.config": PLAIN,
                "jaas.enabled": "true",
            },
            f"3: {JAAS} is said by spring.kafka.jaas.enabled too (4): expected one of them",
        ),
        (
            {**SASL, "properties.sasl.mechanism": "PLAIN", "jaas.enabled": "true"},
            "3: spring.kafka.jaas.enabled: Krb5LoginModule does not log in by PLAIN: expected "
            "org.apache.kafka.common.security.plain.PlainLoginModule",
        ),
        (
            {**SASL, "properties.sasl.login.callback.handler.class": "a.B"},
            "2: spring.kafka.properties.sasl.login.callback.handler.class is not supported: expected sasl.mechanism "
            "and sasl.jaas.config",
        ),
        (
            {**SASL, "consumer.security.protocol": "SSL"},
            "2: spring.kafka.consumer.security.protocol differs from spring.kafka.security.protocol (1): expected the "
            "same in both",
        ),
        (
            {"security.protocol": "SSL", "ssl.trust-store-location": "classpath:trust.pem"},
            "2: spring.kafka.ssl.trust-store-location=classpath:trust.pem is not supported: classpath: is not read "
            "here; expected a file, as /etc/kafka/store.pem or file:/etc/kafka/store.pem",
        ),
        (
            {"security.protocol": "SSL", "ssl.trust-store-location": "/nowhere/trust.pem"},
            "2: spring.kafka.ssl.trust-store-location=/nowhere/trust.pem cannot be read: No such file or directory: "
            "expected a PEM file",
        ),
        (
            {"security.protocol": "SSL", "ssl.key-store-key": "hunter2"},
            "2: spring.kafka.ssl.key-store-key stands alone: expected "
            "spring.kafka.ssl.key-store-certificate-chain and spring.kafka.ssl.key-store-key, both",
        ),
        (
            {"security.protocol": "SSL", "ssl.trust-store-certificates": "hunter2"},
            "2: spring.kafka.ssl.trust-store-certificates has no certificate: expected PEM, with "
            "-----BEGIN CERTIFICATE-----",
        ),
        (
            {"security.protocol": "SSL", "ssl.bundle": "shop"},
            "2: spring.kafka.ssl.bundle is not supported: expected PEM stores: ssl.trust-store-*, ssl.key-store-*, "
            "ssl.key-password",
        ),
        (
            {"security.protocol": "TLS"},
            "1: spring.kafka.security.protocol='TLS': expected PLAINTEXT or SSL or SASL_PLAINTEXT or SASL_SSL",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, said: dict[str, object], message: str) -> None:
    assert refusal(tmp_path, said) == message


@pytest.mark.parametrize(
    ("content", "kind", "command"),
    [
        (b"\xfe\xed\xfe\xed\x00", "JKS", "keytool -list -rfc -keystore trust.jks > trust.pem"),
        (b"\x30\x82\x04\x00", "PKCS12", "keytool -list -rfc -keystore trust.jks > trust.pem"),
    ],
)
def test_java_s_stores_are_refused_with_what_converts_them(
    tmp_path: Path, content: bytes, kind: str, command: str
) -> None:
    (tmp_path / "trust.jks").write_bytes(content)
    said = {"security.protocol": "SSL", "ssl.trust-store-location": tmp_path / "trust.jks"}
    assert refusal(tmp_path, {**said, "ssl.trust-store-password": "hunter2"}) == (
        f"2: spring.kafka.ssl.trust-store-location=trust.jks is {kind}, which is not supported: expected PEM, as made "
        f"by: {command}"
    )


def test_a_key_store_that_is_said_to_be_java_s_is_refused_with_what_converts_it(tmp_path: Path) -> None:
    (tmp_path / "own.p12").write_bytes(b"\x30\x82")
    said = {"security.protocol": "SSL", "ssl.key-store-location": tmp_path / "own.p12", "ssl.key-store-type": "PKCS12"}
    assert refusal(tmp_path, said).endswith("expected PEM, as made by: openssl pkcs12 -in own.p12 -out own.pem")


def test_a_key_must_fit_its_certificate(tmp_path: Path, authority: Authority) -> None:
    one, other = authority.certificate("one").read_text(), authority.certificate("other").read_text()
    mixed = tmp_path / "mixed.pem"
    mixed.write_text(blocks(one, KEY) + blocks(other, "CERTIFICATE"))
    assert refusal(tmp_path, {"security.protocol": "SSL", "ssl.key-store-location": mixed}) == (
        "2: spring.kafka.ssl.key-store-location=mixed.pem has a key that does not fit its certificate: expected the "
        "certificate's own key"
    )


def test_a_locked_key_needs_its_password(tmp_path: Path, authority: Authority) -> None:
    said = {"security.protocol": "SSL", "ssl.key-store-location": authority.certificate("shop", password="open sesame")}
    assert refusal(tmp_path, said) == (
        "2: spring.kafka.ssl.key-store-location=shop-locked.pem has an encrypted key: expected its password in "
        "spring.kafka.ssl.key-password"
    )
    assert refusal(tmp_path, {**said, "ssl.key-password": "hunter2"}) == (
        "3: spring.kafka.ssl.key-password does not open the key: expected the password of the key"
    )
    assert loaded(tmp_path, {**said, "ssl.key-password": "open sesame"}).security.context is not None


def test_a_store_of_pem_has_no_password(tmp_path: Path, authority: Authority) -> None:
    said = {"security.protocol": "SSL", "ssl.trust-store-location": authority.trusted}
    assert refusal(tmp_path, {**said, "ssl.trust-store-password": "hunter2"}) == (
        "3: spring.kafka.ssl.trust-store-password is not used: a PEM file has no password of its own: expected none; "
        "that of a key is spring.kafka.ssl.key-password"
    )


def test_secrets_are_shown_to_nobody(tmp_path: Path, authority: Authority) -> None:
    own = authority.certificate("shop").read_text()
    said: dict[str, object] = {
        "security.protocol": "SASL_SSL",
        "properties.sasl.mechanism": "PLAIN",
        "properties.sasl.jaas.config": PLAIN,
        "properties.ssl.keystore.certificate.chain": blocks(own, "CERTIFICATE").replace("\n", " "),
        "properties.ssl.keystore.key": blocks(own, KEY).replace("\n", " "),
        "ssl.keyPassword": "hunter2",
    }
    settings = loaded(tmp_path, said)
    shown = CliRunner().invoke(main, ["--config", str(tmp_path / "application.yml"), "config", "show"])
    assert shown.exit_code == 0, shown.output
    told = f"{shown.output}{settings}{settings.security}{Access('b:1', settings.security)}"
    assert "SASL_SSL" in told
    assert re.search(r"spring\.kafka\.jaas\.enabled +false", told)
    assert "hunter2" not in told
    assert "PRIVATE KEY" not in told
