"""Fuzz for as long as it is told: ``python -m tests.fuzz.soak --executions 10000000 --records 100000 --seed 1``."""

from __future__ import annotations

import argparse
import json
import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz import mutate
from tests.fuzz.targets import OURS, PURE, Chance, read_record

BUDGET = 10.0  # seconds of processor time for one input; what takes longer is counted as a hang
ROOT = str(Path(__file__).parents[2])


class Hang(BaseException):
    """One input took longer than the budget."""


@dataclass(slots=True)
class Tally:
    """What came of one target; ``crashes``: where it failed -> how often, and the seed of the first such input."""

    executions: int = 0
    refused: int = 0  # errors of our own
    seconds: float = 0.0
    slowest: float = 0.0
    crashes: dict[str, dict[str, Any]] = field(default_factory=dict)


def run(target: Callable[[Chance], None], seed: int, tally: Tally) -> None:
    """Run a target once with the chance of one seed, and note what came of it."""
    chance = random.Random(seed)
    started = time.process_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, BUDGET)
    try:
        target(chance)
    except OURS:
        tally.refused += 1
    except (Exception, Hang) as error:
        where = crash_of(error)
        tally.crashes.setdefault(where, {"n": 0, "seed": seed, "message": str(error)[:200]})["n"] += 1
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    spent = time.process_time() - started
    tally.executions += 1
    tally.seconds += spent
    tally.slowest = max(tally.slowest, spent)


def crash_of(error: BaseException) -> str:
    """An error's type and the innermost line of ours that it went through: equal for the same fault."""
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if f.filename.startswith(ROOT) and ".venv" not in f.filename
    ]
    last = frames[-1] if frames else None
    return (
        f"{type(error).__name__} at {Path(last.filename).relative_to(ROOT)}:{last.lineno}"
        if last
        else type(error).__name__
    )


def _hang(signum: int, frame: FrameType | None) -> None:
    raise Hang


def soak(
    executions: int, records: int, seed: int, *, tell: Callable[[str], None] = lambda line: None
) -> dict[str, Tally]:
    """Spread executions over the pure targets, and read records.

    Args:
        executions: of all pure targets together.
        records: to read.
        seed: the first; input k of a target has the seed ``seed * 10**12 + k``, so that each can be made again.
        tell: called with a line every minute.
    """
    signal.signal(signal.SIGVTALRM, _hang)
    tallies = {name: Tally() for name in (*PURE, "readers")}
    done, told = 0, time.monotonic()
    share = records / max(executions, 1)
    while done < executions or tallies["readers"].executions < records:
        for name, target in PURE.items():
            for _ in range(20 if done < executions else 0):
                run(target, seed * 10**12 + tallies[name].executions, tallies[name])
                done += 1
        while tallies["readers"].executions < min(records, share * done + 1):
            run(read_record, seed * 10**12 + tallies["readers"].executions, tallies["readers"])
        if done >= executions and tallies["readers"].executions >= records:
            break
        if time.monotonic() - told > 60:
            told = time.monotonic()
            crashes = sum(len(tally.crashes) for tally in tallies.values())
            tell(f"{done:,} executions, {tallies['readers'].executions:,} records, {crashes} unique crashes")
            tell(as_json(tallies, seed))
    return tallies


def as_json(tallies: dict[str, Tally], seed: int) -> str:
    """The tallies as one line."""
    rows = {
        name: {"executions": t.executions, "refused": t.refused, "seconds": round(t.seconds, 1), "slowest_ms": round(1000 * t.slowest, 1), "crashes": t.crashes}
        for name, t in tallies.items()
    }  # fmt: skip
    total = Counter({name: t.executions for name, t in tallies.items()})
    pure = sum(total.values()) - total["readers"]
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    head = {
        "seed": seed,
        "executions": pure,
        "records": total["readers"],
        "corpus_texts": len(mutate.CORPUS),
        "corpus_records": len(mutate.RECORDS),
        "max_rss_mb": megabytes,
    }
    return json.dumps({**head, "unique_crashes": sum(len(t.crashes) for t in tallies.values()), "targets": rows})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=10_000_000)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    tallies = soak(chosen.executions, chosen.records, chosen.seed, tell=lambda line: print(line, flush=True))
    print(f"{'target':<16}{'executions':>12}{'refused':>12}{'seconds':>10}{'slowest ms':>12}{'crashes':>9}")
    for name, tally in tallies.items():
        print(
            f"{name:<16}{tally.executions:>12,}{tally.refused:>12,}{tally.seconds:>10.0f}{1000 * tally.slowest:>12.0f}{len(tally.crashes):>9}"
        )
        for where, found in tally.crashes.items():
            print(f"    {found['n']:>6} x {where} (seed {found['seed']}): {found['message']}")
    print(as_json(tallies, chosen.seed))
    sys.exit(any(tally.crashes for tally in tallies.values()))


if __name__ == "__main__":
    main()
