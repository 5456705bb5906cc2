"""Entries to values: each entry finds its key, by relaxed names; what finds none is refused or named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from app.config.bound import Bound, Value, full_name, masked
from app.config.catalogue import CATALOGUE, OTHER_NAMES, STRICT
from app.config.documents import Read, resolve
from app.config.entries import Entry, folded, words
from app.config.environment import short_names, variables
from app.config.errors import Problem
from app.config.keys import Effect, Key
from app.config.units import Unsupported, uniform

Resolve = Callable[[str], str]

UNIFORM = [(key, tuple(map(uniform, key.segments))) for key in CATALOGUE]


def bind(found: Iterable[Read], env: Mapping[str, str]) -> Bound:
    """Later entries win over earlier ones, the environment over them, its short names over all."""
    bound = Bound()
    read = list(found)
    entries = [each for each in read if isinstance(each, Entry)]
    texts = {entry.uniform: entry.value for entry in entries if isinstance(entry.value, str)}
    own_names = [match[1] for entry in entries if (match := find(entry.path)) and match[1]]
    for each in [*read, *folded(variables(env, own_names)), *short_names(env)]:
        if isinstance(each, Problem):
            bound.problems.append(each)
        else:
            _bind_one(each, lambda text: resolve(text, texts, env), bound)
    bound.notices = [*dict.fromkeys(bound.notices), *_idle(bound)]
    return bound


def find(path: tuple[str, ...]) -> tuple[Key, str] | None:
    """The key of a path, and what stands for its `*`. The most special key wins."""
    plain = tuple(OTHER_NAMES.get((place, each), each) for place, each in enumerate(map(uniform, path)))
    for key, own in UNIFORM:
        name = _matched(own, path, plain)
        if name is not None:
            return key, name
    return None


def _matched(own: tuple[str, ...], path: tuple[str, ...], plain: tuple[str, ...]) -> str | None:
    if own[-1] == "**":
        return ".".join(path[len(own) - 1 :]) if plain[: len(own) - 1] == own[:-1] and len(path) >= len(own) else None
    if "*" not in own:
        return "" if plain == own else None
    star = own.index("*")
    tail = own[star + 1 :]
    end = len(path) - len(tail)
    if len(path) < len(own) or plain[:star] != own[:star] or plain[end:] != tail:
        return None
    return ".".join(path[star:end])


def _bind_one(entry: Entry, resolved: Resolve, bound: Bound) -> None:
    match = find(entry.path)
    if match is None:
        _unknown(entry, bound)
    elif match[0].effect is Effect.REFUSED:
        bound.problems.append(Problem(entry.origin, entry.name, f" is not supported: {match[0].meaning}"))
    elif entry.value is not None:
        _bind_known(*match, entry, resolved, bound)


def _bind_known(key: Key, name: str, entry: Entry, resolved: Resolve, bound: Bound) -> None:
    written = entry.value if isinstance(entry.value, str) else ",".join(entry.value or ())
    try:
        text = resolved(written)
    except LookupError as missing:
        what = f": nothing is named {missing.args[0]}: set it, or write ${{{missing.args[0]}:default}}"
        bound.problems.append(Problem(entry.origin, entry.name, what))
        return
    try:
        value = _parsed(key, text, isinstance(entry.value, tuple))
    except Unsupported as unsupported:
        bound.problems.append(Problem(entry.origin, entry.name, f"={masked(entry.name, text)} {unsupported}"))
    except (ValueError, LookupError):
        bound.problems.append(Problem(entry.origin, entry.name, f"={masked(entry.name, text)!r}", key.kind.expected))
    else:
        bound.values[key.name, name] = Value(full_name(key, name), key, text, value, entry.origin)


def _parsed(key: Key, text: str, is_list: bool) -> Any:
    if not key.kind.many:
        if is_list and key.effect is Effect.USED:
            raise ValueError
        return key.kind.parse(text.strip())
    value = tuple(map(key.kind.parse, words(text)))
    if key.default and not value:
        raise ValueError
    return value


def _idle(bound: Bound) -> Iterator[str]:
    """What has no effect, once: of Resilience4j the same field of several instances is one."""
    found: dict[str, list[Value]] = {}
    for value in bound.values.values():
        if value.key.effect is Effect.IDLE:
            field = value.key.name.replace(".configs.", ".instances.")
            found.setdefault(field if field.startswith("resilience4j.") else value.name, []).append(value)
    for field, (first, *others) in found.items():
        more = f" and {len(others)} more" if others else ""
        yield f"{field if others else first.name}: {first.key.meaning} ({first.origin}{more})"


def _unknown(entry: Entry, bound: Bound) -> None:
    if entry.value is None and _begins_a_key(entry):
        return
    strict = (entry.uniform + ".").startswith(STRICT)
    if strict:
        bound.problems.append(Problem(entry.origin, entry.name, f" is not known{_nearest(entry)}"))
    else:
        bound.notices.append(f"{entry.name}: not known, passed over ({entry.origin})")


def _begins_a_key(entry: Entry) -> bool:
    plain = tuple(map(uniform, entry.path))
    return any(
        all(own in (spelled, "*", "**") for own, spelled in zip(key, plain, strict=False))
        for _, key in UNIFORM
        if len(key) > len(plain)
    )


def _nearest(entry: Entry) -> str:
    candidates = {
        uniform(full): full
        for key in CATALOGUE
        if key.effect is not Effect.REFUSED
        for full in _spelled(key, entry.path)
    }
    close = get_close_matches(entry.uniform, candidates, n=1, cutoff=0.6)
    return f"; nearest: {candidates[close[0]]}" if close else ""


def _spelled(key: Key, path: tuple[str, ...]) -> Iterator[str]:
    if "*" not in key.segments:
        yield key.name.replace(".**", "")
    elif len(path) > (star := key.segments.index("*")):
        yield key.name.replace("*", path[star])
