"""W1 or W2 on stock faust-streaming, as its documentation shows it: one agent, one RocksDB table."""

from __future__ import annotations

import os
import sys
from typing import Any

import faust

from tests.bench.begun import begun
from tests.bench.oracle import OUTPUTS, TRANSITIONS, breaker_step, saga_step

WORKLOAD = os.environ["WORKLOAD"]

app = faust.App(
    os.environ["APP_ID"],
    broker=f"kafka://{os.environ['BOOTSTRAP']}",
    store="rocksdb://",
    datadir=os.environ["STATE_DIR"],
    topic_partitions=int(os.environ["PARTITIONS"]),
    topic_allow_declare=True,
    web_enabled=False,
)
inbox = app.topic(os.environ["IN_TOPIC"], key_type=str, key_serializer="raw", value_serializer="json")
outputs = {
    name: app.topic(name + os.environ["OUT_SUFFIX"], key_type=str, key_serializer="raw", value_serializer="json")
    for name in OUTPUTS[WORKLOAD]
}
states = app.Table("state", key_type=str, partitions=int(os.environ["PARTITIONS"]))


async def breakers(stream: faust.StreamT[Any]) -> None:
    async for key, call in stream.items():
        begun()
        states[key], transitions = breaker_step(states.get(key), call)
        for transition in transitions:
            await outputs[TRANSITIONS].send(key=key, value=transition)


async def sagas(stream: faust.StreamT[Any]) -> None:
    async for key, message in stream.items():
        begun()
        state, output = saga_step(states.get(key), message)
        if output is not None:
            states[key] = state
            await outputs[output[0]].send(key=key, value=output[1])


app.agent(inbox)(breakers if WORKLOAD == "w1" else sagas)

if __name__ == "__main__":
    sys.argv = ["faust", "--quiet", "worker", "--loglevel", "warn", "--without-web"]
    app.main()
