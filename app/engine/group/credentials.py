"""Faust's word for how brokers are spoken to; its consumer, in a thread of its own, has it from the app."""

from __future__ import annotations

import faust
from faust.types.auth import CredentialsT

from app.config.security import Security


def credentials(security: Security) -> CredentialsT | None:
    """SASL_SSL is told from SASL_PLAINTEXT by the context."""
    login, context = security.login, security.context
    if login is not None:
        return faust.SASLCredentials(
            username=login.username, password=login.password, mechanism=login.mechanism, ssl_context=context
        )
    return None if context is None else faust.SSLCredentials(context)
