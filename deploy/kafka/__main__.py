"""`python -m deploy.kafka [--port 9092] [--directory DIRECTORY] [--heap 256m] [--kafka 3.9]`: a broker until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from deploy.kafka.broker import local_kafka
from deploy.kafka.errors import NoKafka
from deploy.kafka.kit import KAFKA_3, KAFKA_4, cache_directory
from deploy.kafka.say import say

RELEASES = {"4.1": KAFKA_4, "3.9": KAFKA_3}


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m deploy.kafka", description="A real Kafka on this machine.")
    arguments.add_argument("--port", type=int, default=9092)
    arguments.add_argument("--directory", type=Path, default=cache_directory() / "local", help="where its data stays")
    arguments.add_argument("--heap", default="256m")
    arguments.add_argument("--kafka", choices=RELEASES, default="4.1", help="which release")
    to = arguments.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with local_kafka(to.directory, port=to.port, heap=to.heap, release=RELEASES[to.kafka]) as kafka:
            say(f"Kafka serves at {kafka}, its data is in {to.directory}; Ctrl-C ends it")
            while True:
                signal.pause()
    except NoKafka as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
