"""What the workloads mean and must come to: the steps in plain Python, and order-free digests of outputs and states.

`breaker_step` and `saga_step` are the definition. An engine counts only if its figures equal these.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.bench import workloads

WINDOW, RATE, SLOW_MS, SLOW_RATE, WAIT_MS, TRIALS = 100, 50, 1_000, 100, 10_000, 10
STEPS = (
    ("reserve_stock", "release_stock", "inventory-commands"),
    ("authorize_payment", "void_payment", "payment-commands"),
    ("schedule_shipment", "cancel_shipment", "fulfillment-commands"),
    ("capture_payment", "refund_payment", "payment-commands"),
)
TRANSITIONS, EVENTS = "breaker-transitions", "saga-events"
OUTPUTS = {"w1": (TRANSITIONS,), "w2": ("inventory-commands", "payment-commands", "fulfillment-commands", EVENTS)}

Document = dict[str, Any]


def breaker_step(state: Document | None, call: Document) -> tuple[Document, list[Document]]:
    """The breaker's next state and the transitions that this call caused: none, one or two."""
    if state is None:
        state = {"state": "CLOSED", "window": "", "since": call["ts"], "calls": 0, "rejected": 0, "transitions": 0}
    moves: list[Document] = []
    state["calls"] += 1
    if call["outcome"] == "rejected":
        state["rejected"] += 1
        return state, moves
    if state["state"] == "OPEN":
        if call["ts"] < state["since"] + WAIT_MS:
            return state, moves
        moves.append(_moved(state, call, "HALF_OPEN", 0, 0))
    # One character a call, oldest first: bit 0 is "failed", bit 1 is "slow".
    mark = (call["outcome"] != "success") + 2 * (call["duration_ms"] > SLOW_MS)
    size = TRIALS if state["state"] == "HALF_OPEN" else WINDOW
    window = state["window"] = (state["window"] + "0123"[mark])[-size:]
    if len(window) == size:
        moves += _judged(state, call, window)
    return state, moves


def _judged(state: Document, call: Document, window: str) -> list[Document]:
    failures = window.count("1") + window.count("3")
    slow = window.count("2") + window.count("3")
    if 100 * failures >= RATE * len(window) or 100 * slow >= SLOW_RATE * len(window):
        return [_moved(state, call, "OPEN", failures, slow)]
    return [_moved(state, call, "CLOSED", failures, slow)] if state["state"] == "HALF_OPEN" else []


def _moved(state: Document, call: Document, to: str, failures: int, slow: int) -> Document:
    state["transitions"] += 1
    transition = {
        "key": f"{call['caller']}|{call['service']}",
        "n": state["transitions"],
        "from": state["state"],
        "to": to,
        "ts": call["ts"],
        "calls": state["calls"],
        "failures": failures,
        "slow": slow,
        "cause": call["id"],
    }
    state["state"], state["since"], state["window"] = to, call["ts"], ""
    return transition


def saga_step(state: Document | None, record: Document) -> tuple[Document | None, tuple[str, Document] | None]:
    """The saga's next state and (topic, output); two None when the record does not move the saga on."""
    if record["type"] == "start":
        return (None, None) if state is not None else _started(record)
    if state is None or record["command_id"] != state["expect"]:
        return None, None
    state["history"].append({name: record[name] for name in ("step", "action", "ok", "ts")})
    state["updated"] = record["ts"]
    if state["status"] == "running" and record["ok"]:
        state["step"] += 1
        ended = state["step"] == len(STEPS)
        return state, _end(state, record, "completed") if ended else _command(state, record, "do")
    state["status"] = "compensating"
    state["step"] -= 1
    ended = state["step"] < 0
    return state, _end(state, record, "compensated") if ended else _command(state, record, "undo")


def _started(record: Document) -> tuple[Document, tuple[str, Document]]:
    state = {
        "saga": record["saga"],
        "status": "running",
        "step": 0,
        "expect": None,
        "sent": 0,
        "order": record["order"],
        "history": [],
        "started": record["ts"],
        "updated": record["ts"],
    }
    return state, _command(state, record, "do")


def _command(state: Document, record: Document, action: str) -> tuple[str, Document]:
    do, undo, topic = STEPS[state["step"]]
    state["sent"] += 1
    state["expect"] = f"{state['saga']}-{state['sent']}"
    return topic, {
        "id": state["expect"],
        "saga": state["saga"],
        "cause": record["id"],
        "ts": record["ts"],
        "command": do if action == "do" else undo,
        "action": action,
        "reply_to": "saga-inbox",
        "order": state["order"],
    }


def _end(state: Document, record: Document, status: str) -> tuple[str, Document]:
    state["status"], state["expect"] = status, None
    return EVENTS, {
        "id": f"{state['saga']}-end",
        "saga": state["saga"],
        "cause": record["id"],
        "ts": record["ts"],
        "status": status,
        "replies": len(state["history"]),
        "order_id": state["order"]["order_id"],
    }


class Result(NamedTuple):
    outputs: Mapping[str, int]
    output_digest: str
    states: int
    state_digest: str
    disorder: int  # outputs of one key that do not stand in their order


TRANSITION_FIELDS = ("key", "n", "from", "to", "ts", "calls", "failures", "slow", "cause")
EVENT_FIELDS = ("id", "cause", "ts", "status", "replies", "order_id")
COMMAND_FIELDS = ("id", "cause", "ts", "command", "action", "reply_to")
BREAKER_FIELDS = ("state", "window", "since", "calls", "rejected", "transitions")
SAGA_FIELDS = ("saga", "status", "step", "expect", "sent", "started", "updated")


class Figures:
    """Each record is counted, so a duplicate shows; the sum of hashes does not mind the order between keys."""

    def __init__(self) -> None:
        self._outputs: Counter[str] = Counter()
        self._output_sum = self._states = self._state_sum = self._disorder = 0
        self._last: dict[tuple[str, str], int] = {}

    def add_output(self, topic: str, out: Document) -> None:
        self._outputs[topic] += 1
        if topic == TRANSITIONS:
            self._in_order(topic, out["key"], out["n"])
            text = _joined(out, TRANSITION_FIELDS)
        elif topic == EVENTS:
            text = f"{topic}|{_joined(out, EVENT_FIELDS)}"
        else:
            self._in_order(topic, out["saga"], int(out["id"].rsplit("-", 1)[1]))
            assert out["order"]["order_id"][2:] == out["saga"][2:], f"wrong order in {out}"
            text = f"{topic}|{_joined(out, COMMAND_FIELDS)}"
        self._output_sum += _hash(text)

    def add_state(self, key: str, state: Document) -> None:
        if "window" in state:
            text = f"{key}|{_joined(state, BREAKER_FIELDS)}"
        else:
            replies = ",".join(f"{h['step']}:{h['action']}:{bool(h['ok'])}:{h['ts']}" for h in state["history"])
            text = f"{key}|{_joined(state, SAGA_FIELDS)}|{replies}"
        self._states += 1
        self._state_sum += _hash(text)

    def _in_order(self, topic: str, key: str, number: int) -> None:
        self._disorder += self._last.get((topic, key), 0) >= number
        self._last[topic, key] = number

    def result(self) -> Result:
        digests = f"{self._output_sum % 2**64:016x}", f"{self._state_sum % 2**64:016x}"
        return Result(dict(sorted(self._outputs.items())), digests[0], self._states, digests[1], self._disorder)


def _joined(document: Document, fields: tuple[str, ...]) -> str:
    return "|".join(str(document[field]) for field in fields)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def expected(workload: str, size: int) -> Result:
    """`size` counts calls for w1, sagas for w2."""
    figures = Figures()
    for key, state in (_run_w1 if workload == "w1" else _run_w2)(figures, size).items():
        figures.add_state(key.decode(), state)
    return figures.result()


def _run_w1(figures: Figures, calls: int) -> dict[bytes, Document]:
    states: dict[bytes, Document] = {}
    for key, value in workloads.call_outcomes(calls):
        states[key], transitions = breaker_step(states.get(key), json.loads(value))
        for transition in transitions:
            figures.add_output(TRANSITIONS, transition)
    return states


def _run_w2(figures: Figures, sagas: int) -> dict[bytes, Document]:
    states: dict[bytes, Document] = {}
    for key, value in workloads.saga_records(sagas):
        state, output = saga_step(states.get(key), json.loads(value))
        if state is not None and output is not None:
            states[key] = state
            figures.add_output(*output)
    return states
