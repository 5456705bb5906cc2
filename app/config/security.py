"""Kafka's security: what the settings say of it, put together and tried once."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.config import jaas, kafka, stores
from app.config.bound import Bound, Value
from app.config.errors import Problem
from app.config.kafka import Field
from app.config.units import uniform

NO_PASSWORD = " is not used: a PEM file has no password of its own"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Login:
    """`setting` is where the password was said."""

    mechanism: str
    username: str
    password: str = field(repr=False)
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Security:
    """Of every connection to Kafka. `context` with SSL and SASL_SSL, `login` with SASL_PLAINTEXT and SASL_SSL."""

    protocol: str = "PLAINTEXT"
    context: ssl.SSLContext | None = field(default=None, compare=False, repr=False)
    login: Login | None = None


OPEN = Security()


@dataclass(slots=True)
class Reading:
    """One reading of the settings, and what it found wrong with them."""

    bound: Bound
    problems: list[Problem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def security(self) -> Security:
        """Worth nothing where there are problems."""
        for each in kafka.FIELDS:
            self.problems += _differing(self.bound, each)
        said = self.said(kafka.PROTOCOL)
        protocol = said.value if said else OPEN.protocol
        if self.problems or any(uniform(each.field).startswith(kafka.PREFIX) for each in self.bound.problems):
            return OPEN
        if said is None or protocol == OPEN.protocol:
            self._unused((*kafka.SSL_FIELDS, kafka.MECHANISM, kafka.JAAS), protocol)
            return OPEN
        with_tls, with_login = protocol.endswith("SSL"), protocol.startswith("SASL")
        if not with_tls:
            self._unused(kafka.SSL_FIELDS, protocol)
        if not with_login:
            self._unused((kafka.MECHANISM, kafka.JAAS), protocol)
        login = self._login(said) if with_login else None
        if login and login.mechanism == "PLAIN" and not with_tls:
            self.notices.append(f"{said.name}: {protocol} sends the password as it is written ({said.origin})")
        return Security(protocol, self._context() if with_tls else None, login)

    def said(self, of: Field) -> Value | None:
        return next(_said(self.bound, of), None)

    def _wrong(self, value: Value, what: str, expected: str = "") -> None:
        self.problems.append(Problem(value.origin, value.name, what, expected))

    def _unused(self, fields: tuple[Field, ...], protocol: str) -> None:
        for value in filter(None, map(self.said, fields)):
            self.notices.append(f"{value.name}: no effect with security.protocol {protocol} ({value.origin})")

    def _login(self, protocol: Value) -> Login | None:
        mechanism = self.said(kafka.MECHANISM)
        if mechanism is None:
            self._wrong(protocol, f"={protocol.text} needs a mechanism", f"{kafka.MECHANISM.name}, of PLAIN or SCRAM-*")
            return None
        value, from_parts = self.said(kafka.JAAS), self._from_parts()
        if value is None and from_parts is None:
            self._wrong(mechanism, f"={mechanism.text} needs a user name and a password", f"{kafka.JAAS.name}")
            return None
        if value is None:
            assert from_parts is not None
            return self._checked(mechanism.value, *from_parts)
        if from_parts is not None:
            self._wrong(value, f" is said by {from_parts[0].name} too ({from_parts[0].origin})", "one of them")
        try:
            return self._checked(mechanism.value, value, jaas.read(value.value))
        except ValueError as error:
            self._wrong(value, f"={value.shown} is {error}", jaas.usual(mechanism.value))
            return None

    def _from_parts(self) -> tuple[Value, jaas.Login] | None:
        if not self.bound.get(kafka.JAAS_ENABLED):
            return None
        names = {"username": kafka.JAAS_USERNAME, "password": kafka.JAAS_PASSWORD}
        options = {option: text for option, name in names.items() if (text := self.bound.get(name))}
        module = self.bound.get(kafka.JAAS_MODULE) or "Krb5LoginModule"  # Spring's default
        enabled = self.bound.effective(kafka.JAAS_ENABLED)
        return enabled, jaas.Login(module, options)

    def _checked(self, mechanism: str, value: Value, login: jaas.Login) -> Login | None:
        wanted = jaas.MODULES[mechanism]
        if login.module.rpartition(".")[2] != wanted.rpartition(".")[2]:
            self._wrong(value, f": {login.module} does not log in by {mechanism}", wanted)
        elif "tokenauth" in login.options:
            self._wrong(value, ": delegation tokens (tokenauth) are not supported", "username and password")
        elif not login.options.get("username") or not login.options.get("password"):
            self._wrong(value, ": no user name, or no password", "username and password")
        else:
            setting = kafka.JAAS_PASSWORD if value.name == kafka.JAAS_ENABLED else value.name
            return Login(mechanism, login.options["username"], login.options["password"], setting)
        return None

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        host_check = self.said(kafka.HOST_CHECK)
        context.check_hostname = host_check is None or host_check.value == "https"
        self._trust(context)
        self._bear(context)
        return context

    def _trust(self, context: ssl.SSLContext) -> None:
        value = self._one_of(self.said(kafka.TRUST_FILE), self.said(kafka.TRUST_TEXT))
        if value is None:
            context.load_default_certs()
            return
        try:
            text = self._text(value, kafka.TRUST_FILE, kafka.TRUST_TYPE, kafka.TRUST_PASSWORD)
            stores.trust(context, text)
        except stores.Unusable as unusable:
            self._wrong(value, f"{_named(value)}{unusable}", unusable.expected)

    def _bear(self, context: ssl.SSLContext) -> None:
        file, chain, key = map(self.said, (kafka.KEY_FILE, kafka.KEY_CHAIN, kafka.KEY_TEXT))
        alone = self._one_of(file, chain or key)
        if alone is None:
            return
        if alone is not file and (chain is None or key is None):
            self._wrong(alone, " stands alone", f"{kafka.KEY_CHAIN.name} and {kafka.KEY_TEXT.name}, both")
            return
        password = self.said(kafka.KEY_PASSWORD)
        try:
            text = self._text(alone, kafka.KEY_FILE, kafka.KEY_TYPE, kafka.KEY_STORE_PASSWORD)
            private = text if key is None else key.value
            stores.bear(context, text, private, password.value if password else None)
        except stores.BadPassword as bad:
            self._wrong(password or alone, f"{_named(password or alone)}{bad}", bad.expected)
        except stores.Unusable as unusable:
            self._wrong(alone, f"{_named(alone)}{unusable}", unusable.expected)

    def _one_of(self, file: Value | None, text: Value | None) -> Value | None:
        if file and text:
            self._wrong(file, f" is said by {text.name} too ({text.origin})", "one of them")
        return file or text

    def _text(self, value: Value, file: Field, type_: Field, password: Field) -> str:
        """Raises Unusable."""
        said = self.said(type_)
        kind = said.value if said else None
        if value.name in file.names:
            text = stores.read(value.value, kind, with_key=file is kafka.KEY_FILE)
        elif kind in ("JKS", "PKCS12"):
            raise stores.Unusable(f" is no {kind}", f"{type_.name} PEM")
        else:
            text = str(value.value)
        if given := self.said(password):
            self._wrong(given, NO_PASSWORD, f"none; that of a key is {kafka.KEY_PASSWORD.name}")
        return text


def _named(value: Value) -> str:
    """A file's path; nothing of what is PEM or a password itself."""
    return f"={value.text}" if value.name in (*kafka.TRUST_FILE.names, *kafka.KEY_FILE.names) else ""


def _said(bound: Bound, of: Field) -> Iterator[Value]:
    return (value for name in of.names if (value := bound.values.get((name, ""))))


def _differing(bound: Bound, of: Field) -> Iterator[Problem]:
    """All connections are alike."""
    first = next(_said(bound, of), None)
    for value in _said(bound, of):
        assert first is not None
        if value.value != first.value:
            yield Problem(value.origin, value.name, f" differs from {first.name} ({first.origin})", "the same in both")
