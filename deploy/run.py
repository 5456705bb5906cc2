"""`make run`: the local Kafka and the service under the restarting loop, until Ctrl-C. What it stored stays in var/.

Topics that the definitions name are made here, since the services that own them may not be there yet; a worker never
makes them. The group names the state, so each has a local Kafka of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.config import Settings, SettingsRefused, load
from app.domain.sagas.definition_tree import BadDefinition
from app.wire.definitions import load_definitions
from app.worker.plan import plan_of
from deploy.demo.stage import SETTINGS
from deploy.kafka import NoKafka, local_kafka
from deploy.kafka.kit import cache_directory
from deploy.kafka.say import say
from deploy.supervisor import Supervised

PORT = 9092


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m deploy.run")
    arguments.add_argument("--config", type=Path, default=SETTINGS)
    config = arguments.parse_args().config.resolve()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        settings = load(config)
        theirs = dict.fromkeys(named_topics(settings), settings.partitions)
        with local_kafka(cache_directory() / f"local-{quote(settings.group_id, safe='')}", port=PORT) as kafka:
            return asyncio.run(serve(kafka, config, theirs))
    except (NoKafka, SettingsRefused, BadDefinition, OSError) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 0


def named_topics(settings: Settings) -> list[str]:
    """Those of others. Raises BadDefinition and OSError."""
    plan = plan_of(settings, load_definitions(settings.definitions))
    named = [*plan.needs, *(topic for topics in plan.named.values() for topic in topics)]
    return sorted({topic.name for topic in named if not topic.owned})


async def serve(kafka: str, config: Path, theirs: Mapping[str, int]) -> int:
    """The exit code that the worker is not restarted after."""
    await create_missing(kafka, theirs)
    say(f"Kafka serves at {kafka}; starting the service with {config}; Ctrl-C ends both")
    iopt = str(Path(sys.executable).with_name("iopt"))
    environment = os.environ | {"IOPT_KAFKA": kafka}
    return await Supervised([iopt, "--config", str(config), "worker"], environment).run()


async def create_missing(kafka: str, topics: Mapping[str, int]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        there = await admin.list_topics()
        missing = [NewTopic(name, count, 1) for name, count in topics.items() if name not in there]
        if missing:
            await admin.create_topics(missing)
            say(f"Topics made for the services: {', '.join(topic.name for topic in missing)}")
    finally:
        await admin.close()


if __name__ == "__main__":
    sys.exit(main())
