"""Events of services that know nothing of us, on topics of theirs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from msgspec import Raw

from app.domain.errors import PassedOver, Undecodable
from app.domain.sagas.mapping import business_path
from app.domain.sagas.messages import DomainEvent
from app.wire.cloudevents import JSON, open_event, rfc3339, text
from app.wire.codec import Envelope, Headers, Written, reader

_HEADER = "header:"

_read_json: Callable[[bytes], Raw] = reader(Raw)
_read_any: Callable[[bytes], Any] = reader(Any)


class DomainEvents:
    """The named types of one topic; everything else is passed over undecoded.

    An event's type is, first that holds: its `ce_type`, its `type` in a structured event, what `type_from`
    points at (`header:<name>` or `$.path`), `fixed`.
    """

    def __init__(self, types: Collection[str], type_from: str = "", fixed: str = "") -> None:
        """Raises ValueError for a `type_from` of another form."""
        self._named = {name.encode(): name for name in types}
        self._header = type_from.removeprefix(_HEADER) if type_from.startswith(_HEADER) else ""
        self._path = business_path(type_from) if type_from and not self._header else ()
        self._fixed = fixed.encode()

    def decode(self, value: bytes | None, headers: Headers) -> DomainEvent:
        data, found, at = self._open(value, headers)
        type_ = self._type(found) or self._in_body(data) or self._fixed
        named = self._named.get(type_)
        if named is None:
            raise PassedOver("type" if type_ else "no-type")
        try:
            body = _read_json(data)
        except Undecodable as error:
            raise Undecodable(at + str(error).removeprefix("$")) from error
        return DomainEvent(named, body, text(found, "ce_id"), text(found, "ce_source"))

    def encode(self, value: DomainEvent, envelope: Envelope) -> tuple[bytes, Written]:
        return bytes(value.data), [
            ("ce_specversion", b"1.0"),
            ("ce_type", value.type.encode()),
            ("ce_id", (value.ce_id or envelope.id).encode()),
            ("ce_source", (value.ce_source or envelope.source).encode()),
            ("ce_time", rfc3339(envelope.now_ms)),
            ("content-type", JSON),
        ]

    def _open(self, value: bytes | None, headers: Headers) -> tuple[bytes, dict[str, bytes], str]:
        try:
            return open_event(value, headers)
        except Undecodable:  # a structured event
            named = self._type(dict(headers)) or self._fixed
            if named in self._named:
                raise
            raise PassedOver("type" if named else "no-type") from None

    def _type(self, found: Mapping[str, bytes]) -> bytes:
        return found.get("ce_type") or found.get(self._header) or b""

    def _in_body(self, data: bytes) -> bytes:
        if not self._path:
            return b""
        try:
            found = _read_any(data)
        except Undecodable:
            return b""
        for name in self._path:
            found = found.get(name) if isinstance(found, dict) else None
        return found.encode() if isinstance(found, str) else b""
