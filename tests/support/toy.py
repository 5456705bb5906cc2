"""The smallest row with everything the engine promises about: a state, outs, a timer, and records that fail.

<prefix>additions --add--> <prefix>sums (running totals), <prefix>alarms (when a deadline passes)
<prefix>notes --note--> <prefix>additions, a row of its own without a table; reads the view <prefix>limits
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from app.domain.errors import Invalid
from app.engine.processor import Change, Due, Out, Processor, Reading, Record, Table, View
from app.wire.codec import reader, to_json
from app.wire.topics import Cleanup, Envelope, Headers, Topic


class Addition(msgspec.Struct, frozen=True):
    """`act` is add, delete, or one of the ways to fail."""

    account: str
    amount: int = 0
    alarm_after_ms: int = 0
    act: str = "add"


class Account(msgspec.Struct, frozen=True, array_like=True):
    additions: int = 0
    total: int = 0
    alarm_at: int = 0
    note: Any = None


class Misread(Account, frozen=True, array_like=True):
    """A deploy that does not understand what is stored: totals are no texts."""

    total: str = ""  # type: ignore[assignment]


class Sum(msgspec.Struct, frozen=True):
    account: str
    additions: int
    total: int


class Limit(msgspec.Struct, frozen=True):
    amount: int


class Json:
    def __init__(self, of: type[Any]) -> None:
        self._read: Callable[[bytes], Any] = reader(of)

    def decode(self, value: bytes | None, _headers: Headers) -> Any:
        return self._read(value or b"")

    def encode(self, value: Any, _envelope: Envelope) -> tuple[bytes, list[tuple[str, bytes]]]:
        return to_json(value), []


class Toy(NamedTuple):
    additions: Topic
    sums: Topic
    alarms: Topic
    accounts: Table[Account]
    processor: Processor


class Notes(NamedTuple):
    notes: Topic
    limits: View[Limit]
    processor: Processor


def toy(prefix: str, stored_format: int = 1, state: type[Account] = Account) -> Toy:
    """A row of its own for each prefix: tests share one broker."""
    accounts = Table("accounts", 1, state, stored_format, due=lambda account: account.alarm_at or None)
    additions = Topic(f"{prefix}additions", Json(Addition), key_of=lambda addition: addition.account)
    sums = Topic(f"{prefix}sums", Json(Sum), cleanup=Cleanup.THEIRS)
    alarms = Topic(f"{prefix}alarms", Json(Sum), cleanup=Cleanup.THEIRS)

    def add(account: Account | None, value: Addition | Due, record: Record) -> Change[Account]:
        account = account or Account()
        if isinstance(value, Due):
            told = Sum(record.key, account.additions, account.total)
            return msgspec.structs.replace(account, alarm_at=0), [Out(alarms, record.key, told)]
        return _added(account, value, record, sums)

    processor = Processor(add, (additions,), accounts, (), f"{prefix}toy".replace(".", "-"), timers=True)
    return Toy(additions, sums, alarms, accounts, processor)


def noting(prefix: str, additions: Topic) -> Notes:
    """A note becomes an addition, if the account has a limit and keeps to it."""
    notes = Topic(f"{prefix}notes", Json(Addition))
    limits: View[Limit] = View("limits", Topic(f"{prefix}limits", Json(Limit), cleanup=Cleanup.COMPACT))

    def note(value: Addition, record: Record, limits: Reading[Limit]) -> Iterable[Out]:
        if value.amount > limits[record.key].amount:
            raise Invalid("beyond the limit")
        return [Out(additions, value.account, value)]

    return Notes(
        notes, limits, Processor(note, (notes,), None, (limits,), f"{prefix}notes".replace(".", "-"), timers=False)
    )


def hastening(processor: Processor, topic: str) -> Processor:
    """Additions of that topic go before the others."""

    def hasten(account: Account | None, value: Addition, record: Record) -> Any:
        return processor.run(account, value, record)

    urgent = Topic(topic, Json(Addition), key_of=lambda addition: addition.account)
    return dataclasses.replace(processor, run=hasten, sources=(urgent,), timers=False, first=True)


def reading(processor: Processor, topic: str) -> Processor:
    """The same, after a deploy that adds a topic of others."""
    more = Topic(topic, Json(Addition), cleanup=Cleanup.THEIRS)
    return dataclasses.replace(processor, sources=(*processor.sources, more))


def _added(account: Account, addition: Addition, record: Record, sums: Topic) -> Change[Account]:
    match addition.act:
        case "refuse":
            raise Invalid("asked to refuse")
        case "break":
            raise ZeroDivisionError("asked to break")
        case "unstorable":
            return msgspec.structs.replace(account, note=object()), []
        case "delete":
            return None, []
    alarm_at = record.now_ms + addition.alarm_after_ms if addition.alarm_after_ms else account.alarm_at
    account = Account(account.additions + 1, account.total + addition.amount, alarm_at)
    outs: Iterable[Out] = [Out(sums, record.key, Sum(record.key, account.additions, account.total))]
    return account, outs
