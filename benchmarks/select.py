"""tldata select with near-duplicates and a split, at growing sizes: seconds, memory, and what a step costs.

python -m benchmarks.select [--sizes 10000 100000] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tldata
from benchmarks.common import report
from tldata.demo import write_demo

CHILD = """
import json, resource, sys, time
from tldata.select import select
before = time.process_time()
made = select(sys.argv[1], sys.argv[2], overwrite=True, **json.loads(sys.argv[3]))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": made.seconds, "cpu": time.process_time() - before, "mb": used.ru_maxrss / 1024,
                  "left": made.n_trajectories}))
"""

RUNS: dict[str, dict[str, object]] = {
    "where": {"where": "n_errors = 0"},
    "dedup exact": {"dedup": "exact"},
    "dedup near": {"dedup": "near"},
    "all steps": {
        "where": "n_errors = 0",
        "dedup": "near",
        "sample": 1217,
        "stratify": "tool",
        "split": "train=0.8,validation=0.1,test=0.1",
    },
}


def dataset(folder: Path, size: int) -> Path:
    """A dataset of that many demo trajectories, made where it is not there yet."""
    target = folder / f"demo-{size}.tldata"
    if not target.is_dir():
        raw = folder / f"demo-{size}.jsonl"
        write_demo(raw, n=size)
        tldata.annotate(raw, target)
        raw.unlink()
    return target


def measure(data: Path, options: dict[str, object]) -> dict[str, float]:
    """One selection in a process of its own, so that the memory is its own."""
    started = time.perf_counter()
    command = [sys.executable, "-c", CHILD, str(data), str(data.with_suffix(".out")), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found | {"wall": time.perf_counter() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--data", type=Path, help="folder for the datasets, to keep them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.data or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows: list[dict[str, object]] = []
        for size in options.sizes:
            data = dataset(folder, size)
            for name, chosen in RUNS.items():
                found = measure(data, chosen)
                rows.append(
                    {
                        "trajectories": size,
                        "what": name,
                        "left": int(found["left"]),
                        "seconds": found["seconds"],
                        "cpu seconds": found["cpu"],
                        "cpu us a trajectory": 1e6 * found["cpu"] / size,
                        "MB": found["mb"],
                    }
                )
    report("select", rows, children_mb=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
