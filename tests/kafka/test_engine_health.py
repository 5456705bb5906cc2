"""Rule H1 on real Kafka: what a worker's health says while something holds it, or stands still in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.accounts import Accounts, accounts, names_on
from tests.support.kafka import Kafka
from tests.support.product import free_port
from tests.support.sabotage import VICTIM
from tests.support.toy import Addition
from tests.support.watched import Health, until
from tests.support.workers import Event

pytestmark = pytest.mark.timeout(300)  # on a busy machine workers take a while to start
EACH = [account for number in range(4) for account in names_on(number, 3)]
OTHERS = [account for account in EACH if account not in names_on(VICTIM, 3)]


def test_h1_an_open_transaction_of_somebody_else_is_named_and_is_no_fault_of_the_worker(toy_row: Accounts) -> None:
    port = free_port()
    worker = toy_row.workers.ready(port=port, sabotage="impatience")
    toy_row.add(*[Addition(account, 1) for account in EACH])
    toy_row.until_summed()
    place, (account,) = f"{toy_row.additions}/{VICTIM}", names_on(VICTIM, 1)
    with toy_row.open_transaction() as producer:
        producer.produce(toy_row.additions, key=account, value=msgspec.json.encode(Addition(account, 1)))
        producer.flush(10)
        by = f"{place} held: open transaction of {toy_row.prefix}foreign (producer "
        found = until(port, lambda said: said.says(by), "the holder to be named")
        assert (found.live, found.ready, found.reasons) == (True, True, [])
        toy_row.add(*[Addition(name, 1) for name in OTHERS])
        toy_row.until_summed()
    until(port, lambda said: said.noted == [], "the hold to be over")
    assert worker.stop() == 0
    toy_row.assert_exact()


@pytest.fixture
def hanging(kafka: Kafka, prefix: str, tmp_path: Path) -> Iterator[dict[str, tuple[Accounts, int]]]:
    """A worker for each part that can hang, each in a group of its own, all at once; and its port."""
    fleets: list[Any] = []
    found = {}
    for place in ("fetch", "agent", "commit"):
        directory, port = tmp_path / place, free_port()
        directory.mkdir()
        fleets.append(accounts(kafka, f"{prefix}{place}.", directory))
        row = fleets[-1].__enter__()
        row.workers.start(port=port, sabotage=f"impatience,{place}")
        found[place] = row, port
    yield found
    for fleet in fleets:
        fleet.__exit__(None, None, None)


def test_h1_a_partition_that_stands_is_dead_and_named_with_what_hangs(
    hanging: dict[str, tuple[Accounts, int]],
) -> None:
    why = {
        "fetch": "nothing is fetched, the consumer is at 0",
        "agent": "chunks were fetched and are not processed",
        "commit": "processed up to 3 and not committed",
    }
    for place, (row, port) in hanging.items():
        until(port, lambda said: said.ready and said.live, f"{place}: the worker to be ready")
        if place != "commit":
            row.add(*[Addition(account, 1) for account in OTHERS])
            row.until_summed()
        row.add(*[Addition(account, 1) for account in names_on(VICTIM, 3)])
    for place, (row, port) in hanging.items():
        found = until(port, lambda said: not said.live, f"{place}: liveness to be down")
        where = f"{row.additions}/{VICTIM} of {row.row}-{VICTIM} stuck for "
        (named,) = found.reasons
        assert named.startswith(where), "it is the one that stands, and no other"
        assert "at 0, 3 offsets to read: " in named
        assert named.endswith(why[place])
        assert found.ready, "it is a restart that helps, not to be left alone"
        assert until_logged(row, where)


def until_logged(row: Accounts, where: str) -> list[Event]:
    (worker,) = row.workers.all
    return worker.until("stuck", lambda events: any(event["what"].startswith(where) for event in events))


def test_h1_a_restore_that_takes_long_is_alive_and_shows_how_far_it_is(toy_row: Accounts) -> None:
    first = toy_row.workers.ready()
    for n in range(12):
        toy_row.add(*[Addition(account, 1) for account in names_on(VICTIM, 3)])
        toy_row.until_summed(3 * (n + 1))
    assert first.stop() == 0
    shutil.rmtree(toy_row.workers.data / "0" / "stores")
    port = free_port()
    worker = toy_row.workers.start(port=port, sabotage="impatience,restore")
    seen: list[tuple[int, int]] = []

    def shown(said: Health) -> bool:
        for note in said.noted:
            task, what, _, *rest = note.split(" ", 3)
            if (task, what) == (f"{toy_row.row}-{VICTIM}", "restoring"):
                words = rest[0].replace(",", "").split()
                seen.append((int(words[2]), int(words[5])))
        assert said.live, said
        return len({left for _, left in seen}) >= 3 and not said.ready

    until(port, shown, "the restore to go on before our eyes", 60)
    assert seen == sorted(seen, key=lambda told: -told[1]), "less and less is left"
    assert [rows for rows, _ in seen] == sorted(rows for rows, _ in seen)
    until(port, lambda said: said.ready and said.live and not said.noted, "the restore to end", 90)
    toy_row.add(*[Addition(account, 1) for account in EACH])
    toy_row.until_summed()
    assert worker.stop() == 0
    toy_row.assert_exact()
