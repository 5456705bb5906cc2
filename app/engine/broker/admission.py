"""The first word with a broker, and why one that answers does not let a client in."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from aiokafka.client import AIOKafkaClient, collect_hosts
from aiokafka.conn import create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from app.config.security import OPEN, Login
from app.engine.broker.access import Access

LONGEST_HANDSHAKE_MS = 10_000
NOT_OF_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)  # the broker went away meanwhile
# A broker that is ending, or a listener that does not understand: it never says which.
HUNG_UP = (KafkaConnectionError, ConnectionResetError, *NOT_OF_TLS)
TRUST = "spring.kafka.ssl.trust-store-location"
HOST_CHECK = "spring.kafka.properties.ssl.endpoint.identification.algorithm"
OWN_KEY = "spring.kafka.ssl.key-store-location"
PROTOCOL = "spring.kafka.security.protocol"
MECHANISM = "spring.kafka.properties.sasl.mechanism"
OTHER_NAME = (62, 64)  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH


class NoBroker(KafkaError):  # type: ignore[misc]
    """A restart helps once the brokers are back."""


class TurnedAway(Exception):
    """A broker answers and does not let this client in: no restart helps. The message names the setting."""


async def reach(client: AIOKafkaClient, access: Access) -> None:
    """Raises TurnedAway, NoBroker. aiokafka says of both that there is no broker, so each is asked again."""
    try:
        await client.bootstrap()
    except (KafkaConnectionError, ValueError) as error:
        hint = await _refused_by_all([(host, port) for host, port, _ in collect_hosts(access.bootstrap)], access)
        raise NoBroker(
            f"no Kafka broker answers at {access.bootstrap} (spring.kafka.bootstrap-servers, IOPT_KAFKA){hint}"
        ) from error
    if access.security != OPEN:  # where brokers say that they are, they may have other certificates
        await _refused_by_all([(broker.host, broker.port) for broker in client.cluster.brokers()], access)


async def _refused_by_all(addresses: Iterable[tuple[str, int]], access: Access) -> str:
    """What may be the matter, where none says it. Raises TurnedAway if some say why and none lets this client in."""
    turned_away = hint = ""
    for host, port in addresses:
        met = await _met(host, port, access)
        if why := _why(met, access.security.login):
            turned_away = f"{host}:{port} {why}"
        elif met is None or isinstance(met, HUNG_UP):
            hint = f"; {host}:{port} hangs up on {access.security.protocol} ({PROTOCOL})"
        if met is None:
            return hint
    if turned_away:
        raise TurnedAway(turned_away)
    return hint


async def _met(host: str, port: int, access: Access) -> Exception | None:
    try:
        connection = await create_conn(host, port, request_timeout_ms=LONGEST_HANDSHAKE_MS, **access.of_a_connection)
    except (OSError, KafkaError, TimeoutError, ValueError) as error:
        return error
    connection.close()
    return None


def _why(error: BaseException | None, login: Login | None) -> str | None:
    """What ended a connection may stand behind an error that only says that it ended."""
    while error is not None:
        if said := _of_tls(error) or (login and _of_login(error, login)):
            return said
        error = error.__cause__
    return None


def _of_tls(error: BaseException) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        setting = HOST_CHECK if error.verify_code in OTHER_NAME else TRUST
        return f"has a certificate that is not trusted: {error.verify_message} ({setting})"
    if isinstance(error, ssl.SSLError) and not isinstance(error, NOT_OF_TLS):
        return f"ends the handshake of TLS: {error.reason or error} ({PROTOCOL}, {OWN_KEY})"
    return None


def _of_login(error: BaseException, login: Login) -> str | None:
    if isinstance(error, SaslAuthenticationFailed):
        return f"refuses the login of {login.username}: {error.args[0]} ({login.setting})"
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"knows no login by {login.mechanism} ({MECHANISM})"
    if isinstance(error, IllegalSaslStateError):
        return f"knows no login there ({PROTOCOL})"
    if type(error) is ValueError:  # with SCRAM the broker proves that it knows the password
        return f"does not know the password of {login.username}: {error} ({login.setting})"
    return None
