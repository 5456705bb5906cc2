"""Who did what by hand, and what came of it (contract 2)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Audit(Struct, frozen=True, kw_only=True):
    """`result` is applied or refused; `actor` is who was authenticated, `claimed_actor` who it was said to be."""

    act_id: str
    actor: str
    claimed_actor: str | None
    what: str
    target: str
    reason: str
    result: str
    why: str | None
    at: int


class ChangedSetting(Struct, frozen=True, kw_only=True):
    """The value that a setting has from now on."""

    key: str
    value: Any
    version: int
    actor: str
    at: int
