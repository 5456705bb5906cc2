"""The input of W1 and W2: (key, value) pairs of bytes, the same at every call (README.md says what they mean)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

PARTITIONS = 4
T0 = 1_700_000_000_000
CALLERS = [
    f"{name}-{n}" for name in ("checkout-web", "orders-api", "returns", "mobile-bff", "backoffice") for n in range(4)
]
SERVICES = [
    f"{name}-{n:02d}" for name in ("inventory", "payment", "fulfillment", "pricing", "mailer") for n in range(10)
]
STEPS = (
    ("reserve_stock", "inventory"),
    ("authorize_payment", "payment"),
    ("schedule_shipment", "fulfillment"),
    ("capture_payment", "payment"),
)
NEVER = 1 << 60
REFUSED = (13, 46, 79)  # of each hundred sagas: these have a step that is refused

Pair = tuple[bytes, bytes]


def spread(name: str, topics: int) -> list[str]:
    """The topics that stand for an output: its own, or so many."""
    return [name] if topics == 1 else [f"{name}-{number}" for number in range(topics)]


class Outage(NamedTuple):
    """Of one service, in ms after T0."""

    begin: int
    end: int
    slow: bool


class Move(NamedTuple):
    """One record of a saga; command 0 is its start."""

    command: int
    step: int = 0
    action: str = ""
    ok: bool = True


def call_outcomes(n: int, seed: int = 1) -> Iterator[Pair]:
    """W1: outcomes of calls, two for each ms of record time, few callers and services hot, with outages per service."""
    rng = Random(seed)
    pairs = [(caller, service) for caller in CALLERS for service in SERVICES]
    rng.shuffle(pairs)
    weights = [1 / (rank + 5) for rank in range(len(pairs))]
    outages = {service: _outages(rng, n // 2 + 1) for service in SERVICES}
    for first in range(0, n, 10_000):
        for i, (caller, service) in enumerate(rng.choices(pairs, weights, k=min(10_000, n - first)), first):
            windows = outages[service]
            while windows[-1].end <= i // 2:
                windows.pop()
            yield _call(i, caller, service, windows[-1], rng)


def _outages(rng: Random, horizon: int) -> list[Outage]:
    """The first one last, so that those which are over can be popped."""
    found, at = [], 0
    while at < horizon:
        begin = at + rng.randrange(20_000, 90_000)
        at = begin + rng.randrange(15_000, 60_000)
        found.append(Outage(begin, at, slow=rng.random() < 0.2))
    found.append(Outage(NEVER, 2 * NEVER, slow=False))
    return found[::-1]


def _call(i: int, caller: str, service: str, outage: Outage, rng: Random) -> Pair:
    outcome, duration_ms = _outcome(i // 2, outage, rng)
    noise = rng.getrandbits(64)
    value = (
        f'{{"id":"{i:08x}-{noise:016x}","ts":{T0 + i // 2},"caller":"{caller}","service":"{service}",'
        f'"instance":"{service}-6d5f9c7b4-{noise % 7:05x}","outcome":"{outcome}","duration_ms":{duration_ms}}}'
    )
    return f"{caller}|{service}".encode(), value.encode()


def _outcome(now: int, outage: Outage, rng: Random) -> tuple[str, int]:
    dice = rng.random()
    duration_ms = 5 + int(300 * rng.random() ** 3)
    if outage.begin <= now:
        return ("success", duration_ms + 1_200) if outage.slow else _failing(dice, duration_ms)
    if dice < 0.03:
        return (("failure", duration_ms), ("timeout", 2_000), ("rejected", 0))[int(dice * 100)]
    return "success", duration_ms


def _failing(dice: float, duration_ms: int) -> tuple[str, int]:
    if dice < 0.45:
        return "failure", duration_ms
    if dice < 0.70:
        return "timeout", 2_000
    return ("rejected", 0) if dice < 0.80 else ("success", duration_ms)


def saga_records(sagas: int, window: int = 2_000, seed: int = 2) -> Iterator[Pair]:
    """W2: the inbox of order sagas, in order for each, interleaved over a window of running ones."""
    rng = Random(seed)
    running = [(saga, _moves(saga)) for saga in range(min(window, sagas))]
    waiting = iter(range(window, sagas))
    ts = T0
    while running:
        slot = int(rng.random() * len(running))
        saga, moves = running[slot]
        yield f"s-{saga:08d}".encode(), _saga_value(saga, moves.pop(), ts, rng)
        ts += 1
        if not moves:
            _replace(running, slot, next(waiting, None))


def answered(saga: int) -> int:
    """How many replies a saga has had that is under way when `steady_records` begins."""
    return 0 if saga % 100 in REFUSED else saga % len(STEPS)


def steady_records(sagas: int, seed: int = 3) -> Iterator[Pair]:
    """W2 without an end, on so many sagas that are under way before it; each that ends makes room for a new one."""
    rng = Random(seed)
    slots: dict[int, tuple[int, list[Move]]] = {}
    newest, ts = sagas, T0 + 1_000
    while True:
        slot = int(rng.random() * sagas)
        saga, moves = slots.get(slot) or (slot, _moves(slot)[: -1 - answered(slot)])
        yield f"s-{saga:08d}".encode(), _saga_value(saga, moves.pop(), ts, rng)
        ts += 1
        if not moves:
            saga, moves, newest = newest, _moves(newest), newest + 1
        slots[slot] = saga, moves


def _replace(running: list[tuple[int, list[Move]]], slot: int, saga: int | None) -> None:
    if saga is not None:
        running[slot] = (saga, _moves(saga))
        return
    running[slot] = running[-1]
    running.pop()


def _moves(saga: int) -> list[Move]:
    """What will arrive for a saga, last first."""
    start, steps = Move(0), range(len(STEPS))
    if saga % 100 not in REFUSED:
        return [start, *(Move(n + 1, n, "do") for n in steps)][::-1]
    refused = (saga // 100 + saga % 100 // 33) % len(STEPS)
    done = [Move(n + 1, n, "do", ok=n < refused) for n in range(refused + 1)]
    undone = [Move(refused + 2 + n, refused - 1 - n, "undo") for n in range(refused)]
    return [start, *done, *undone][::-1]


def _saga_value(saga: int, move: Move, ts: int, rng: Random) -> bytes:
    noise = rng.getrandbits(64)
    head = f'{{"id":"m-{saga:08d}-{move.command}-{noise:016x}"'
    if not move.command:
        return f'{head},"type":"start","saga":"s-{saga:08d}","ts":{ts},"order":{order(saga)}}}'.encode()
    name, service = STEPS[move.step]
    return (
        f'{head},"type":"reply","saga":"s-{saga:08d}","ts":{ts},"command_id":"s-{saga:08d}-{move.command}",'
        f'"step":"{name}","action":"{move.action}","ok":{"true" if move.ok else "false"},'
        f'"service":"{service}-{noise % 10:02d}","instance":"{service}-{noise % 10:02d}-6d5f9c7b4-{noise % 7:05x}",'
        f'"duration_ms":{noise % 400},"detail":"{name} {"confirmed" if move.ok else "refused"} as r-{noise:016x}"}}'
    ).encode()


def order(saga: int) -> str:
    return (
        f'{{"order_id":"o-{saga:08d}","customer":"c-{saga * 7919 % 50021:06d}","sku":"sku-{saga * 31 % 4999:05d}",'
        f'"qty":{saga % 5 + 1},"amount_cents":{1000 + saga * 37 % 90000},"currency":"EUR",'
        f'"ship_to":"{saga % 200 + 1} Long Street, {10000 + saga % 80000} Springfield"}}'
    )
