"""Two readings of the settings: what differs, and what of it counts in a worker that runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from app.config.bound import BY_NAME, Bound, Value, full_name
from app.config.keys import Effect, Key
from app.config.resilience import USED

RESILIENCE = "resilience4j."
BREAKERS = "iopt.breakers."
LIVE = (*(f"{family}." for family in USED), BREAKERS)
CHOOSING = ("spring.profiles.", "spring.config.activate.")  # what they chose is compared

_WHERE = re.compile(r" \([^()]*\)$")


class Counts(StrEnum):
    NOW = "from now on"
    RESTARTED = "after a restart"
    NOWHERE = "not here"


class Change(NamedTuple):
    """`old` and `new` as they may be shown, None where it is not set; `where` the new one was said."""

    setting: str
    old: str | None
    new: str | None
    where: str | None
    counts: Counts


def changes(old: Bound, new: Bound) -> list[Change]:
    """By name. What says the same in other words is none."""
    found = dict.fromkeys([*old.values, *new.values])
    differing = (of for of in found if not of[0].startswith(CHOOSING) and _differ(old, new, *of))
    return sorted((_change(old, new, *of) for of in differing), key=lambda change: change.setting)


def renewed(old: Bound, new: Bound) -> Bound:
    """With what counts at once, and with the names that have settings of the callers' side."""
    kept = {of: value for of, value in old.values.items() if not _of_live(of[0])}
    return Bound(kept | {of: value for of, value in new.values.items() if _of_live(of[0])})


def news(old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[str]:
    """Notices that were not there; on another line it is the same one."""
    known = {_WHERE.sub("", notice) for notice in old}
    return (notice for notice in new if _WHERE.sub("", notice) not in known)


def _of_live(key: str) -> bool:
    return key.startswith((RESILIENCE, BREAKERS))


def _differ(old: Bound, new: Bound, key: str, name: str) -> bool:
    """What an entry of Resilience4j does not say another one may say: to say the default is then a change."""
    if key.startswith(RESILIENCE):
        return _said(old, key, name) != _said(new, key, name)
    return bool(old.effective(key, name).value != new.effective(key, name).value)


def _said(bound: Bound, key: str, name: str) -> tuple[object] | None:
    found = bound.values.get((key, name))
    return (found.value,) if found else None


def _change(old: Bound, new: Bound, key: str, name: str) -> Change:
    before, after = old.values.get((key, name)), new.values.get((key, name))
    setting = full_name(BY_NAME[key], name)
    return Change(setting, _shown(before), _shown(after), after.origin if after else None, _counts(BY_NAME[key]))


def _shown(value: Value | None) -> str | None:
    return value.shown if value else None


def _counts(key: Key) -> Counts:
    if key.effect is Effect.USED and key.name.startswith(LIVE):
        return Counts.NOW
    return Counts.NOWHERE if key.effect is Effect.IDLE or key.name.startswith(RESILIENCE) else Counts.RESTARTED
