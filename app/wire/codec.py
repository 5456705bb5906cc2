"""What a codec is, and JSON <-> frozen Structs. What does not fit is Undecodable, and says what and where."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from app.domain.errors import Undecodable

T = TypeVar("T")

Headers = Sequence[tuple[str, bytes]]
Written = list[tuple[str, bytes]]


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """What an out says about itself beside its value."""

    id: str
    subject: str
    now_ms: int
    source: str = "/iopt/local"


class Codec(Protocol):
    """Value and headers of one record, both ways."""

    def decode(self, value: bytes | None, headers: Headers) -> Any:
        """Raises Undecodable, Invalid or PassedOver."""

    def encode(self, value: Any, envelope: Envelope) -> tuple[bytes, Written]: ...


class Verbatim:
    """Bytes as they are, in both directions: of dead letters and changelogs, which the engine writes itself."""

    def decode(self, value: bytes | None, headers: Headers) -> bytes | None:  # noqa: ARG002
        return value

    def encode(self, value: bytes, envelope: Envelope) -> tuple[bytes, Written]:  # noqa: ARG002
        return value, []


to_json = msgspec.json.Encoder().encode
_read_whole = msgspec.json.Decoder(float_hook=str).decode  # numbers of any size: they are only passed on

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>\$[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `([^`]*)`")


def reader(of: type[T] | Any) -> Callable[[bytes], T]:
    """A function from bytes to `of` that raises nothing but Undecodable.

    Parts kept as Raw are checked as well: what is passed on as JSON can be read as JSON by the next.
    """
    decode = msgspec.json.Decoder(of).decode

    def read(raw: bytes) -> T:
        try:
            value: T = decode(raw)
            if not raw.isascii() or b"\\" in raw:
                _read_whole(raw.decode())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Undecodable(told(error)) from error
        return value

    return read


def told(error: Exception) -> str:
    """The error as `$.items[2].qty: expected int, got str`."""
    if isinstance(error, RecursionError):
        return "$: nested too deeply"
    match = _PLACE.fullmatch(str(error))
    assert match is not None, "both of its groups may be empty"
    what, path = match["what"], match["path"] or "$"
    if missing := _MISSING.fullmatch(what):
        return f"{path}.{missing[1]}: missing"
    what = what.replace("`", "")
    return f"{path}: {what[:1].lower()}{what[1:]}"
