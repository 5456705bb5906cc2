"""Who is measured: processes, started the same way, that read one topic and write the others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.engine.processor import Table
from app.engine.state.stored import Codec
from app.wire.topics import changelog
from tests.bench import rows
from tests.bench.oracle import Document

US = "this engine"
STREAMS = "Kafka Streams"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """`changelog` names the topic of an application id and its input; `state` reads a record of it, None: not a state.

    `pack` is a running saga as the changelog has it. `stores`: a pattern of what to delete below the state directory
    for a cold start. `share`: one in so many of the records, for one that is an order slower.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    changelog: Callable[[str, str], str]
    state: Callable[[str, bytes, bytes], tuple[str, Document] | None]
    pack: Callable[[str, rows.Saga], tuple[bytes, bytes]] | None = None
    stores: str = "*"
    processes: int = 1
    share_directory: bool = False
    share: int = 1
    once: bool = False


def product(processes: int = 1) -> Contender:
    return Contender(
        name=US if processes == 1 else f"{US}, {processes} workers",
        command=(sys.executable, "-m", "tests.bench.product"),
        changelog=lambda app, _: changelog(app).name,
        state=product_state,
        pack=packed,
        stores="*/stores",
        processes=processes,
        share_directory=True,
    )


def product_state(workload: str, key: bytes, value: bytes) -> tuple[str, Document] | None:
    table = table_of(workload)
    if key[0] != table.id:
        return None
    return key[1:].decode(), named(Codec(table).unpack(value))


def table_of(workload: str) -> Table[Any]:
    tables: dict[str, Table[Any]] = {"w1": rows.breakers, "w2": rows.sagas, "timed": rows.timed_sagas}
    return tables[workload]


_codecs = {workload: Codec(table_of(workload)) for workload in ("w2", "timed")}


def packed(workload: str, saga: rows.Saga) -> tuple[bytes, bytes]:
    codec = _codecs[workload]
    return bytes([codec.table.id]) + saga.saga.encode(), codec.pack(saga)


def named(state: msgspec.Struct) -> Document:
    """An array-like Struct as a document, those in it too."""
    values = {name: getattr(state, name) for name in state.__struct_fields__}
    return {name: [named(part) for part in of] if isinstance(of, tuple) else of for name, of in values.items()}
