"""`python -m tests.faults [--only NAME] [--seed N] [--short] [--list]`: break it, compare, write docs/faults.md."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.faults.report import page
from tests.faults.run import WORK, Result, run
from tests.faults.schedule import Schedule, all_schedules

RESULTS = WORK / "results"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "faults.md"


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    arguments.add_argument("--only", default="", help="names of schedules, or of their files; with commas between")
    arguments.add_argument("--seed", type=int, default=None, help="of every schedule; else each draws one")
    arguments.add_argument("--short", action="store_true", help="as few repetitions as show something")
    arguments.add_argument("--list", action="store_true", help="names, and what each does")
    given = arguments.parse_args()
    chosen = choose(given.only)
    if given.list:
        sys.stdout.writelines(f"{one.name:36} {one.what}\n" for one in chosen)
        return 0
    if not given.only and not given.short:
        shutil.rmtree(RESULTS, ignore_errors=True)
    results = [play(one, given.seed, given.short) for one in chosen]
    wrong = [result for result in results if result.wrong]
    say(f"{len(results) - len(wrong)} of {len(results)} schedules passed")
    return 1 if wrong else 0


def kept(result: Result) -> None:
    """And the page renewed: a set that is broken off has said what it found."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{result.name}.json").write_bytes(msgspec.json.encode(result))
    found = [msgspec.json.decode(file.read_bytes(), type=Result) for file in RESULTS.glob("*.json")]
    DOCUMENT.write_text(page(list(all_schedules().values()), {one.name: one for one in found}))


def choose(only: str) -> Sequence[Schedule]:
    known = all_schedules()
    wanted = [name for name in only.split(",") if name]
    unknown = [name for name in wanted if name not in known and name not in {one.kind for one in known.values()}]
    if unknown:
        raise SystemExit(f"no schedule and no kind of that name: {', '.join(unknown)}; --list names them")
    return [one for one in known.values() if not wanted or one.name in wanted or one.kind in wanted]


def play(schedule: Schedule, seed: int | None, short: bool) -> Result:
    seed = random.randrange(1_000_000) if seed is None else seed
    again = f"python -m tests.faults --only {schedule.name} --seed {seed}{' --short' if short else ''}"
    say(f"{schedule.name}: seed {seed}, again with: {again}")
    result = run(schedule, seed, short)
    if not short:
        kept(result)
    outcome = f"FAILED, see {WORK / schedule.name}: {result.wrong}" if result.wrong else f"equal {result.remarks}"
    say(
        f"  {result.seconds:.0f} s, {result.kills} kills, {result.rebalances} rebalances, "
        f"{result.records:,} records: {outcome}"
    )
    return result


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
