"""What was done by hand, told in `iopt.audit` in the transaction in which it was done."""

from __future__ import annotations

import getpass
from typing import NamedTuple

from app.domain.audit import Audit
from app.engine.broker.admin import RawOut
from app.wire.codec import Envelope
from app.wire.partition import partition
from app.wire.topics import AUDIT


class Applied(NamedTuple):
    """The act with the same id is the same act."""

    act_id: str
    what: str
    target: str
    reason: str


def audit_record(act: Applied, now_ms: int, source: str, count: int) -> RawOut:
    """`count` is the partitions of the topic."""
    actor = f"cli:{getpass.getuser()}"
    told = Audit(
        act_id=act.act_id,
        actor=actor,
        claimed_actor=None,
        what=act.what,
        target=act.target,
        reason=act.reason,
        result="applied",
        why=None,
        at=now_ms,
    )
    value, headers = AUDIT.codec.encode(told, Envelope(act.act_id, act.target, now_ms, source))
    return RawOut(AUDIT.name, partition(actor.encode(), count), actor.encode(), value, headers)
