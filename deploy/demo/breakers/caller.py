"""A service that charges again and again, with the breaker of the whole fleet around each call.

Started elsewhere than in a checkout, it would import from `iopt_client`.

    python -m deploy.demo.breakers.caller --kafka localhost:9092 --payment http://127.0.0.1:8000/charges --name orders
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import Request, urlopen

import msgspec
from ruamel.yaml import YAML

from app.client import CallNotPermitted, Event, Resilience, Who, connect
from deploy.demo.breakers.payment import NAME

SETTINGS = Path(__file__).with_name("application.yml")
PAUSE_S = 0.25
ANSWER_S = 5.0


def call(kafka: str, payment: str, name: str) -> None:
    """Until the process ends. Its breaker's changes are told on stdout, one JSON a line."""
    fleet = connect(kafka, Who.of(name))
    resilience = Resilience(YAML(typ="safe").load(SETTINGS), fleet=fleet)
    breaker = fleet.breaker(NAME, resilience.settings.policy("circuitbreaker", NAME))

    def charge() -> None:
        told = {"x-caller": name, "x-breaker": breaker.state}
        with urlopen(Request(payment, method="POST", headers=told), timeout=ANSWER_S):  # noqa: S310  # the demo's own
            pass

    breaker.on_event(_tell, "STATE_TRANSITION")
    fleet.ready.wait()
    while True:
        with suppress(CallNotPermitted, OSError):
            resilience.call(NAME, charge)
        time.sleep(PAUSE_S)


def _tell(event: Event) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
    sys.stdout.flush()


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("--kafka", required=True, help="host:port")
    told.add_argument("--payment", required=True, help="URL")
    told.add_argument("--name", required=True)
    args = told.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    call(args.kafka, args.payment, args.name)


if __name__ == "__main__":
    main()
