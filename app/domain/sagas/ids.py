"""How sagas, commands and facts are named (contract 3.1 and 3.2). Every id is derived, none is drawn."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from ..errors import BadKey

MAX_KEY_BYTES = 200

_COMMAND = re.compile(r"([^:]+:([^:]+):(do|undo|query):r([1-9][0-9]{0,8})):([1-9][0-9]{0,8})")


class CommandId(NamedTuple):
    text: str
    key: str  # the idempotency key, which all attempts share
    step: str
    action: str
    run: int
    attempt: int


def command_id(saga_id: str, step: str, action: str, run: int, attempt: int) -> CommandId:
    key = idempotency_key(saga_id, step, action, run)
    return CommandId(f"{key}:{attempt}", key, step, action, run, attempt)


def parse_command_id(text: str) -> CommandId | None:
    """None if no saga of ours can have sent it."""
    found = _COMMAND.fullmatch(text)
    if found is None:
        return None
    key, step, action, run, attempt = found.groups()
    return CommandId(text, key, step, action, int(run), int(attempt))


def idempotency_key(saga_id: str, step: str, action: str, run: int) -> str:
    return f"{saga_id}:{step}:{action}:r{run}"


def saga_id(saga: str, key: str) -> str:
    """Raises BadKey."""
    return f"{saga}/{quote(checked_key(key), safe='')}"


def checked_key(key: object) -> str:
    """The business key as text: a string, or an integer in decimal, of 1 to 200 bytes. Raises BadKey."""
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        raise BadKey(f"{type(key).__name__}: expected a string or an integer")
    text = str(key)
    if not 0 < len(text.encode()) <= MAX_KEY_BYTES:
        raise BadKey(f"{text[:40]!r}: expected 1 to {MAX_KEY_BYTES} bytes, not {len(text.encode())}")
    return text
