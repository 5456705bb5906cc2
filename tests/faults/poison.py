"""Records that no row can process, of 20 kinds; headers and keys that nobody would write on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.faults.scenario import Sent, encoded
from tests.support.kafka import Headers, Written
from tests.support.toy import Addition

BODIES = {
    "empty": b"",
    "tombstone": None,
    "cut off": b'{"account":"p',
    "no JSON": b"\x00\x01\x02\x03",
    "not UTF-8": b'{"account":"\xff\xfe"}',
    "an array": b"[1,2,3]",
    "a number": b"17",
    "null": b"null",
    "deep": b"[" * 5_000,
    "no account": b'{"amount":1}',
    "account null": b'{"account":null}',
    "account a number": b'{"account":7}',
    "amount a text": b'{"account":"p","amount":"1"}',
    "amount a float": b'{"account":"p","amount":1.5}',
    "amount endless": b'{"account":"p","amount":' + b"9" * 400 + b"}",
    "a name of nobody": b'{"account":""}',
    "two documents": b'{"account":"p"}{"account":"p"}',
}
NULL: Any = None  # Kafka knows null headers, whatever our type says
ACTS = ("refuse", "break", "unstorable")
KINDS = (*BODIES, *ACTS)
assert len(KINDS) == 20


def poison(topic: str, number: int, kind: str) -> Sent:
    """Each under a key of its own: one that cannot be stored would be so again with the key's next state."""
    key = f"poison-{number}"
    if kind in ACTS:
        return Sent(topic, Written(key, encoded(Addition(key, 1, act=kind))))
    return Sent(topic, Written("" if kind == "a name of nobody" else key, BODIES[kind]))


def headers_of_all_kinds() -> Iterator[Headers]:
    yield (("", b""),)
    yield (("nothing", NULL),)
    yield (("bytes", bytes(range(256))),)
    yield (("twice", b"1"), ("twice", b"2"), ("twice", NULL))
    yield tuple((f"header-{n}", b"v" * 20) for n in range(500))
    yield (("long", b"l" * 200_000),)
    yield (("näme \n\t", b"\xff"), ("\u0000", b"\x00"))
    yield (("ce_specversion", b"\xff"), ("ce_type", b""), ("ce_id", NULL), ("ce_source", b"\xff\xfe"))
    yield (("traceparent", b"\xff\xfe"), ("tracestate", b"x" * 2_000))
    yield (("traceparent", NULL),)
    yield (("iopt-dlq-attempts", b"minus one"), ("iopt-dlq-first-failed-at", b"9" * 50), ("iopt-replay-of", b"\xff"))
    yield (("iopt-dlq-attempts", NULL), ("content-type", b"application/\xff"))


def keys_of_all_kinds() -> Iterator[str | None]:
    """As text; what is no UTF-8 is written with surrogates."""
    yield None
    yield ""
    yield "\x00"
    yield b"\xff\xfe\x00\x80".decode(errors="surrogateescape")
    yield "k" * 100_000
    yield "schlüssel\n"
