"""A load of its own process: sends the records of a workload at a rate, each at its intended time, whatever comes back.

    python -m tests.bench.sender BOOTSTRAP TOPIC SAGAS

SAGAS: 0 for W2 from its beginning, else that many are under way. Reads lines of `COUNT RATE` (0: as fast as it goes)
and answers each with `began AT`, in s, and at its end `ended LATE`: how late, in ms, the 99th percentile was sent.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType

from confluent_kafka import Producer

from tests.bench import workloads

WINDOW = 2_000
ROOT = Path(__file__).resolve().parents[2]
NO_END = 1 << 40
NAP_S = 0.0005


def records(sagas: int) -> Iterator[workloads.Pair]:
    return workloads.steady_records(sagas) if sagas else workloads.saga_records(NO_END, WINDOW)


class Sender:
    """The other end of the process."""

    def __init__(self, bootstrap: str, topic: str, sagas: int) -> None:
        words = [sys.executable, "-m", "tests.bench.sender", bootstrap, topic, str(sagas)]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=ROOT
        )

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self, count: int, rate: float) -> float:
        """When the first one is sent."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count} {rate}\n")
        return self._answer("began")

    def ended(self) -> float:
        """Once all are sent: how late, in ms."""
        return self._answer("ended")

    def _answer(self, what: str) -> float:
        assert self._process.stdout is not None
        word, number = self._process.stdout.readline().split()
        assert word == what, word
        return float(number)


def send(producer: Producer, topic: str, pairs: list[workloads.Pair], rate: float) -> list[float]:
    """How late each was, in s."""
    begin, late, n = time.time(), [], 0
    sys.stdout.write(f"began {begin}\n")
    sys.stdout.flush()
    while n < len(pairs):
        now = time.time()
        due = min(len(pairs), int((now - begin) * rate) + 1) if rate else min(len(pairs), n + 1_000)
        for number in range(n, due):
            producer.produce(topic, pairs[number][1], pairs[number][0])
            late.append(now - begin - number / rate if rate else 0.0)
        n = due
        producer.poll(0)
        if rate:
            time.sleep(NAP_S)
    producer.flush(60)
    return late


def main() -> None:
    bootstrap, topic, sagas = sys.argv[1:]
    batching = {"linger.ms": 0, "queue.buffering.max.messages": 5_000_000, "queue.buffering.max.kbytes": 2_000_000}
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "log_level": 2} | batching)
    coming = records(int(sagas))
    for line in sys.stdin:
        count, rate = line.split()
        late = sorted(send(producer, topic, list(islice(coming, int(count))), float(rate)))
        sys.stdout.write(f"ended {1e3 * late[len(late) * 99 // 100]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
