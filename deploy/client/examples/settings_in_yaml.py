"""Calls of payment-service, guarded as application.yml says. Copy both, and put your own call into `charge`.

pip install 'integration-optimization-client[kafka]' ruamel.yaml
python settings_in_yaml.py                          # a breaker of this process alone
KAFKA=localhost:9092 python settings_in_yaml.py     # one for all processes that call it, led by `iopt worker`
"""

import logging
import os
from pathlib import Path

from iopt_client import CallNotPermitted, Resilience, Who, connect
from ruamel.yaml import YAML

log = logging.getLogger("order-service")
kafka = os.environ.get("KAFKA")
fleet = connect(kafka, Who.of("order-service")) if kafka else None
settings = YAML(typ="safe").load(Path(__file__).with_name("application.yml"))
resilience = Resilience(settings, fleet=fleet)


def queue(refused: CallNotPermitted, order: str) -> str:
    return f"queued {order}, payment-service is {refused.state}"


@resilience("payment-service", fallback={CallNotPermitted: queue})
def charge(order: str) -> str:
    if order.startswith("unlucky"):
        raise ConnectionError("payment-service does not answer")
    return f"charged {order}"


def main() -> None:
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    for order in ("o-1", "o-2", "unlucky-3", "unlucky-4", "o-5"):
        try:
            log.info(charge(order))
        except ConnectionError as error:
            log.info("%s: %s", order, error)


if __name__ == "__main__":
    main()
