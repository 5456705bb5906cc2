"""W1 or W2 on Quix Streams, as its documentation shows it: a stateful apply, then to_topic."""

from __future__ import annotations

import os
from typing import Any

from quixstreams import Application, State

from tests.bench.begun import begun
from tests.bench.oracle import OUTPUTS, breaker_step, saga_step

WORKLOAD = os.environ["WORKLOAD"]

app = Application(
    broker_address=os.environ["BOOTSTRAP"],
    consumer_group=os.environ["APP_ID"],
    auto_offset_reset="earliest",
    state_dir=os.environ["STATE_DIR"],
    processing_guarantee="exactly-once",
    commit_interval=int(os.environ["COMMIT_MS"]) / 1_000,
    loglevel="WARNING",
)
inbox = app.topic(os.environ["IN_TOPIC"], key_deserializer="str", value_deserializer="json")
outputs = {
    name: app.topic(name + os.environ["OUT_SUFFIX"], key_serializer="str", value_serializer="json")
    for name in OUTPUTS[WORKLOAD]
}


def breakers(call: dict[str, Any], state: State) -> list[dict[str, Any]]:
    begun()
    breaker, transitions = breaker_step(state.get("state"), call)
    state.set("state", breaker)
    return transitions


def sagas(message: dict[str, Any], state: State) -> tuple[str, dict[str, Any]] | None:
    begun()
    saga, output = saga_step(state.get("state"), message)
    if output is not None:
        state.set("state", saga)
    return output


frame = app.dataframe(inbox)
if WORKLOAD == "w1":
    frame = frame.apply(breakers, stateful=True, expand=True)
    frame.to_topic(outputs["breaker-transitions"])
else:
    frame = frame.apply(sagas, stateful=True).filter(lambda output: output is not None)
    for name, topic in outputs.items():
        mine = frame[frame.apply(lambda output, name=name: output[0] == name)]
        mine.apply(lambda output: output[1]).to_topic(topic)

if __name__ == "__main__":
    app.run()
