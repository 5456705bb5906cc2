"""The tables of docs/configuration.md, from the catalogue: `python -m deploy.settings_page` writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from app.config.catalogue import CATALOGUE
from app.config.kafka import FIELDS as OF_KAFKA
from app.config.keys import WITHOUT_EFFECT, Effect, Key
from app.config.resilience import FAMILIES

PAGE = Path(__file__).parents[1] / "docs/configuration.md"
HEADING = "## Every setting\n"


def tables() -> str:
    """Each setting once: those of this service, Resilience4j's by family, then what is passed over or refused."""
    others = {name for field in OF_KAFKA for name in field.names if name != field.name}
    own = [key for key in CATALOGUE if not key.name.startswith(FAMILIES) and key.name not in others]
    parts = [_table("setting", ((key.name, key) for key in own if key.effect is Effect.USED))]
    of_kafka = (
        (f"`{field.name}`", f"`{name}`") for field in OF_KAFKA for name in field.names[1 : len(field.spellings)]
    )
    parts.append("### The same, as Kafka names it\n\n" + _rows(("setting", "also"), of_kafka))
    for family in FAMILIES:
        begin = f"{family}.instances.*."
        fields = ((key.name.removeprefix(begin), key) for key in CATALOGUE if key.name.startswith(begin))
        of_family = [(field, key) for field, key in fields if key.effect is not Effect.REFUSED]
        parts.append(f"### `{family}.instances.*`, `{family}.configs.*`\n\n{_table('field', of_family)}")
    parts.append(f"### Accepted, without effect here\n\n{_names(_elsewhere())}")
    refused = [key for key in CATALOGUE if key.effect is Effect.REFUSED and ".configs." not in key.name]
    parts.append("### Refused\n\n" + _rows(("setting", "because"), ((f"`{key.name}`", key.meaning) for key in refused)))
    return "\n".join(parts)


def whole(page: str) -> str:
    """The page with the tables as they are now."""
    return page.partition(HEADING)[0] + HEADING + "\n" + tables()


def _table(heading: str, keys: Iterable[tuple[str, Key]]) -> str:
    rows = ((f"`{name}`", key.kind.expected, _default(key), _meaning(key)) for name, key in keys)
    return _rows((heading, "may be", "default", "meaning"), rows)


def _default(key: Key) -> str:
    return f"`{key.default}`" if key.default else ""


def _meaning(key: Key) -> str:
    return key.meaning.replace(WITHOUT_EFFECT, "no effect here") if key.effect is Effect.IDLE else key.meaning


def _elsewhere() -> Iterator[Key]:
    begins = tuple(f"{family}.{group}." for family in FAMILIES for group in ("instances", "configs"))
    return (key for key in CATALOGUE if key.effect is Effect.IDLE and not key.name.startswith(begins))


def _names(keys: Iterable[Key]) -> str:
    return ", ".join(f"`{key.name}`" for key in keys) + ".\n"


def _rows(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(whole(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
