"""Every topic that a worker reads, writes or keeps, and with how many partitions; `iopt topics` asks it too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.engine.plan import Plan
from app.engine.topology import SubTopology
from app.wire.topics import Topic, changelog, dead_letters


def wanted(plan: Plan, subs: Iterable[SubTopology], counts: Mapping[str, int]) -> dict[Topic, int]:
    """Partitions by topic, given those that the cluster has.

    0 for topics of others, and for a changelog that has as many as a topic of others that is not there. One of a row
    without a table may have any number: it grows with the tasks.
    """
    found = {topic.name: (topic, plan.partitions) for topic in plan.needs}
    for sub in subs:
        sources = [reader.topic for reader in sub.readers.values()]
        views = [view.topic for view in sub.views if view.topic is not None]
        log, own = changelog(sub.row), [counts.get(topic.name, 0) for topic in sources if not topic.owned]
        found |= {topic.name: (topic, plan.partitions) for topic in [*sources, *views]}
        tasks = counts.get(log.name) or (max(own) if own else plan.partitions)
        found |= {log.name: (log, plan.partitions if sub.tables else tasks)}
        letters = [dead_letters(topic.name) for topic in sources]
        found |= {topic.name: (topic, plan.dead_letter_partitions) for topic in letters}
    return {topic: count if topic.owned else 0 for topic, count in found.values()}
