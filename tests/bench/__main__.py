"""`python -m tests.bench [--quick] [--alone] [--only w1,w3] [--report]`: measure, print, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path

from confluent_kafka import KafkaException

from deploy.kafka.broker import Broker
from tests.bench import report
from tests.bench.cluster import Cluster, Failed
from tests.bench.peers import PEERS, NoPeer, Peers
from tests.bench.results import KINDS, Results, kept
from tests.bench.say import say
from tests.bench.sections import SECONDS, Sections
from tests.bench.tuning import best_of

ROOT = Path(__file__).resolve().parents[2]
WORK, DOCS = ROOT / "var" / "bench", ROOT / "docs"
SCALE = ("workers", "inflight", "partitions", "topics")
QUICK = 10


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the records, one round; prints only")
    parser.add_argument("--alone", action="store_true", help="without peers: needs no JDK, no Maven, no registry")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of {', '.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(KINDS), help=f"of {', '.join(KINDS)}; scale: {', '.join(SCALE)}")
    parser.add_argument("--scale-max", type=int, default=1_000_000, help="sagas in flight; 10,000,000 takes a while")
    parser.add_argument("--report", action="store_true", help="measure nothing: write the document from what is kept")
    given = parser.parse_args()
    given.names = [name for part in given.only.split(",") for name in (SCALE if part == "scale" else (part,))]
    if unknown := set(given.names) - set(KINDS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    return given


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what it started is stopped too
    given = arguments()
    results = Results(WORK / ("results-quick" if given.quick else "results"))
    failed: list[str] = []
    if not given.report:
        try:
            failed = measure(given, results)
        except NoPeer as error:
            say(f"{error}\n`--alone` measures this engine alone")
            return 1
    text, charts = report.written(results.all_())
    sys.stdout.write(text)
    if not given.quick:
        (DOCS / "benchmarks.md").write_text(text)
        (DOCS / "benchmarks").mkdir(exist_ok=True)
        for name, svg in charts.items():
            (DOCS / "benchmarks" / name).write_text(svg)
    say(f"failed: {', '.join(failed)}" if failed else "done")
    return len(failed)


def measure(given: argparse.Namespace, results: Results) -> list[str]:
    """The sections that failed. Raises NoPeer."""
    names: list[str] = given.names
    say(f"{', '.join(names)}: some {estimate(given):.0f} minutes")
    for place in ("kafka", "runs"):
        shutil.rmtree(WORK / place, ignore_errors=True)
    (WORK / "runs").mkdir(parents=True)
    tuned = results.load("tuning")
    wanted = [] if given.alone else [peer for peer in given.peers.split(",") if peer]
    peers = Peers(wanted, WORK, best_of(tuned.found) if tuned else {})
    broker = Broker(WORK / "kafka", heap="512m")
    broker.start()
    try:
        cluster = Cluster(broker.bootstrap, broker.pid, WORK / "runs")
        rounds, scale = (1, QUICK) if given.quick else (given.rounds, 1)
        sections = Sections(cluster, peers, rounds, scale, given.scale_max)
        return [name for name in names if not section(name, sections, results, quick=given.quick)]
    finally:
        broker.stop()


def section(name: str, sections: Sections, results: Results, *, quick: bool) -> bool:
    """Kept as soon as it is measured; False when this engine failed in it."""
    if name == "tuning" and "streams" not in sections.peers.wanted:
        return True
    load = os.getloadavg()[0]
    try:
        found = getattr(sections, name)()
    except (Failed, KafkaException) as error:
        say(f"{name}: {error}")
        return False
    results.keep(name, kept(found, load, quick=quick))
    if name == "tuning":
        sections.peers.best |= best_of(found)
    return True


def estimate(given: argparse.Namespace) -> float:
    """Minutes."""
    seconds = sum(SECONDS[name] for name in given.names) * (given.rounds / 3 if not given.quick else 0.2)
    return seconds * (0.4 if given.alone else 1) / 60


if __name__ == "__main__":
    sys.exit(main())
