"""How every connection to Kafka is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.config.security import OPEN, Security


@dataclass(frozen=True, slots=True)
class Access:
    """`bootstrap` is host:port, several with commas."""

    bootstrap: str
    security: Security = OPEN

    @property
    def arguments(self) -> dict[str, Any]:
        """Of aiokafka's client, producer, consumer and admin client."""
        return {"bootstrap_servers": self.bootstrap, **self.of_a_connection}

    @property
    def of_a_connection(self) -> dict[str, Any]:
        given: dict[str, Any] = {"security_protocol": self.security.protocol, "ssl_context": self.security.context}
        if login := self.security.login:
            given |= {
                "sasl_mechanism": login.mechanism,
                "sasl_plain_username": login.username,
                "sasl_plain_password": login.password,
            }
        return given
