"""The worker's own definitions, told to the fleet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.domain.sagas.definition import Definition, canonical
from app.engine.processor import Out
from app.engine.service import Worker
from app.telemetry.logs import log
from app.wire.topics import DEFINITIONS
from tables.saga import definitions


class OtherContent(Exception):
    """A definition's version was published before, and said something else."""


async def publish(worker: Worker, own: Iterable[Definition]) -> None:
    """Tell the fleet the definitions that it does not know yet. Raises OtherContent."""
    known, own = worker.views[definitions], list(own)
    _compare(known.content, own)
    fresh = [Out(DEFINITIONS, definition.id, definition) for definition in own if definition.id not in known.content]
    if fresh:
        await worker.publish(fresh)
        await known.read_to_end()
        _compare(known.content, own)  # another worker may have told its own at the same moment
        log.info("definitions_published", definitions=[out.key for out in fresh])


def _compare(known: Mapping[str, Definition], own: Iterable[Definition]) -> None:
    for definition in own:
        before = known.get(definition.id)
        if before is not None and canonical(before) != canonical(definition):
            raise OtherContent(f"{definition.id} is published with other content: a change needs a new version")
