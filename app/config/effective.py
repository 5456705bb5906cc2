"""Every setting as it counts, whether somebody set it or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from app.config import layers
from app.config.bound import BY_NAME, DEFAULT_ORIGIN, Bound, Value, full_name
from app.config.catalogue import CATALOGUE
from app.config.keys import Effect, Key
from app.config.resilience import FAMILIES, FIELDS


def effective(bound: Bound) -> Iterator[Value]:
    """What has no effect here only where it was set, and `*` for each name that the settings have."""
    for key in CATALOGUE:
        if not key.name.startswith("resilience4j."):
            yield from filter(_counts, (bound.effective(key.name, name) for name in _names(bound, key)))
    for family in FAMILIES:
        for name in layers.named(bound, family):
            found = layers.instance(bound, family, name)
            yield from filter(_counts, (_of_instance(found, field) for field in FIELDS[family]))
    for value in bound.values.values():
        if value.key.name.startswith("resilience4j.") and not _is_field(value.key):
            yield value


def _names(bound: Bound, key: Key) -> list[str]:
    if key.name.endswith("**"):
        return [name for of, name in bound.values if of == key.name]
    return bound.named(f"{key.name.partition('*')[0]}") if "*" in key.name else [""]


def _counts(value: Value) -> bool:
    return value.origin != DEFAULT_ORIGIN or (value.key.effect is Effect.USED and value.text != "")


def _of_instance(found: layers.Instance, field: str) -> Value:
    key = BY_NAME[f"{found.family}.instances.*.{field}"]
    return replace(found.value(field), name=full_name(key, found.name))


def _is_field(key: Key) -> bool:
    return any(key.name.startswith(f"{family}.instances.*.") for family in FAMILIES) and "baseConfig" not in key.name
