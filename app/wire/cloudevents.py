"""CloudEvents 1.0 in Kafka records: written in binary mode, read in binary and in structured mode.

https://github.com/cloudevents/spec, `cloudevents/bindings/kafka-protocol-binding.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from app.domain.breakers.calls import BreakerAct
from app.domain.errors import Invalid, PassedOver, Undecodable
from app.domain.sagas.messages import Act, Command, Typed
from app.wire.codec import Envelope, Headers, Written, reader, to_json

JSON = b"application/json"

Opened = tuple[bytes, dict[str, bytes], str]

_ID_FIELD: dict[Any, str] = {Command: "command_id", Act: "act_id", BreakerAct: "act_id"}


class CloudEvents:
    """The types of one topic. A body that several types share comes as Typed, any other as itself.

    `default` is the type that a record without one has.
    """

    def __init__(
        self, types: Mapping[str, Any], default: str | None = None, to_bytes: Callable[[Any], bytes] = to_json
    ) -> None:
        self.types, self._to_bytes = types, to_bytes
        bodies = list(types.values())
        self._by_type = {name: _Shape(body) for name, body in types.items()}
        self._shapes = {name.encode(): shape for name, shape in self._by_type.items()}
        self._shared = {name.encode(): name for name, body in types.items() if bodies.count(body) > 1}
        self._names = {body: (name, self._by_type[name]) for name, body in types.items()}
        self._default = default.encode() if default else None

    def decode(self, value: bytes | None, headers: Headers) -> Any:
        data, found, at = open_event(value, headers)
        name = found.get("ce_type") or self._default
        shape = self._shapes.get(name) if name else None
        if shape is None:
            raise PassedOver("type" if name else "no-type")
        body = shape.read(data, found, at)
        return Typed(self._shared[name], body) if name in self._shared else body

    def encode(self, value: Any, envelope: Envelope) -> tuple[bytes, Written]:
        if type(value) is Typed:
            name, body = value
            return to_json(body), self._by_type[name].headers(name, body, envelope)
        name, shape = self._names[type(value)]
        return self._to_bytes(value), shape.headers(name, value, envelope)


class AnyType:
    """One body, always Typed, under types that others choose: commands, and the events that sagas emit."""

    def __init__(self, body: Any) -> None:
        self._shape = _Shape(body)

    def decode(self, value: bytes | None, headers: Headers) -> Typed:
        data, found, at = open_event(value, headers)
        name = text(found, "ce_type")
        if not name:
            raise PassedOver("no-type")
        return Typed(name, self._shape.read(data, found, at))

    def encode(self, value: Typed, envelope: Envelope) -> tuple[bytes, Written]:
        name, body = value
        return to_json(body), self._shape.headers(name, body, envelope)


def open_event(value: bytes | None, headers: Headers) -> Opened:
    """Data, attributes by header name, and where in the value the data stands.

    Of repeated headers the last counts; a header wins over an attribute of a structured event.
    """
    if value is None:
        raise PassedOver("tombstone")
    found = dict(headers)
    content_type = found.get("content-type")
    if not content_type or content_type == JSON:
        return value, found, "$"
    mode = _mode(content_type)
    if mode == "other":
        raise PassedOver("content-type")
    return (value, found, "$") if mode == "binary" else _open_structured(value, found)


def text(found: Mapping[str, bytes], name: str) -> str | None:
    """Raises Undecodable."""
    raw = found.get(name)
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Undecodable(f"header {name}: expected UTF-8, got {raw[:64]!r}") from error


@lru_cache(16)
def rfc3339(at_ms: int) -> bytes:
    seconds, ms = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03}Z".encode()


@lru_cache(4096)
def _constant(type_: str, source: str) -> tuple[tuple[str, bytes], ...]:
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", type_.encode()),
        ("ce_source", source.encode()),
        ("ce_dataschema", f"urn:iopt:{type_}:1".encode()),
        ("content-type", JSON),
    )


class _Structured(Struct, frozen=True):
    type: str | None = None
    id: str | None = None
    source: str | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    data: Raw | UnsetType = UNSET
    data_base64: bytes | None = None


_read_structured: Callable[[bytes], _Structured] = reader(_Structured)


@lru_cache(256)
def _mode(content_type: bytes) -> Literal["binary", "structured", "other"]:
    media = content_type.split(b";")[0].strip().lower()
    if media in (b"application/cloudevents", b"application/cloudevents+json"):
        return "structured"
    if media.startswith(b"application/cloudevents"):
        return "other"  # of another format, or a batch, which Kafka's binding does not know
    return "binary" if media == JSON or (media.startswith(b"application/") and media.endswith(b"+json")) else "other"


def _open_structured(value: bytes, found: dict[str, bytes]) -> Opened:
    event = _read_structured(value)
    if event.datacontenttype and _mode(event.datacontenttype.encode()) != "binary":
        raise PassedOver("content-type")
    inner = {"ce_type": event.type, "ce_id": event.id, "ce_source": event.source, "ce_subject": event.subject}
    found = {name: attribute.encode() for name, attribute in inner.items() if attribute is not None} | found
    if event.data_base64 is not None:
        return event.data_base64, found, "$.data_base64"
    return b"null" if event.data is UNSET else bytes(event.data), found, "$.data"


class _Shape:
    """A body, and the headers that repeat fields of it."""

    def __init__(self, body: Any) -> None:
        self._read = reader(body)
        self._repeats = _repeats(body)
        self._subject, self._id = self._repeats.pop("ce_subject", ""), self._repeats.get("ce_id", "")
        self._repeats_none = frozenset(self._repeats).isdisjoint

    def read(self, data: bytes, found: dict[str, bytes], at: str) -> Any:
        try:
            body = self._read(data)
        except Undecodable as error:
            raise Undecodable(at + str(error).removeprefix("$")) from error
        said = found.get("ce_subject")
        if said and self._subject and said != (getattr(body, self._subject) or "").encode():
            _agree(body, self._subject, "ce_subject", said)
        if not self._repeats_none(found):
            for header in self._repeats.keys() & found.keys():
                _agree(body, self._repeats[header], header, found[header])
        return body

    def headers(self, name: str, body: Any, envelope: Envelope) -> Written:
        """Of a record of ours: what the body names, it names in the headers too."""
        id_ = getattr(body, self._id) if self._id else envelope.id
        subject = getattr(body, self._subject) if self._subject else None
        return [
            *_constant(name, envelope.source),
            ("ce_id", id_.encode()),
            ("ce_subject", (envelope.subject if subject is None else subject).encode()),
            ("ce_time", rfc3339(envelope.now_ms)),
        ]


def _agree(body: Any, field: str, header: str, said: bytes | None) -> None:
    value = getattr(body, field)
    if said is not None and isinstance(value, (str, int)) and str(value).encode() != said:
        raise Invalid(f"header {header}: {said.decode(errors='replace')!r} contradicts $.{field}: {value!r}")


def _repeats(body: Any) -> dict[str, str]:
    """Field by header: `ce_<field>`, what `ce_subject` stands for in this body, and `ce_id` where it is a field."""
    if not (isinstance(body, type) and issubclass(body, Struct)):
        return {}
    repeats = {f"ce_{field.encode_name}": field.name for field in msgspec.structs.fields(body)}
    for subject in ("saga_id", "breaker"):
        if subject in body.__struct_fields__:
            repeats["ce_subject"] = subject
    if body in _ID_FIELD:
        repeats["ce_id"] = _ID_FIELD[body]
    return repeats
