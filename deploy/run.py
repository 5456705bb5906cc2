"""`make run`: the local Kafka and the service under the restarting loop, until Ctrl-C. What it stored stays in var/."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.demo.shop import PARTITIONS, THEIRS
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
        with local_kafka(cache_directory() / "local", port=PORT) as kafka:
            return asyncio.run(serve(kafka, config))
    except NoKafka as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 0


async def serve(kafka: str, config: Path) -> int:
    """The exit code that the worker is not restarted after."""
    if config == SETTINGS:
        await create_missing(kafka, THEIRS)
    say(f"Kafka serves at {kafka}; starting the service with {config}; Ctrl-C ends both")
    iopt = str(Path(sys.executable).with_name("iopt"))
    environment = os.environ | {"IOPT_KAFKA": kafka}
    return await Supervised([iopt, "--config", str(config), "worker"], environment).run()


async def create_missing(kafka: str, topics: tuple[str, ...]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        there = await admin.list_topics()
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in topics if name not in there])
    finally:
        await admin.close()


if __name__ == "__main__":
    sys.exit(main())
