"""What the engine ray costs beside the engine local on one machine: the same file by both, in turn; and what starting a cluster takes.

``python -m benchmarks.ray [--trajectories 20000] [--rounds 3]``
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import tldata
from benchmarks.common import interleaved, median_ratio, report
from tldata.demo import write_demo
from tldata.ray_engine import cluster


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trajectories", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw = folder / "raw.jsonl"
        write_demo(raw, n=given.trajectories)
        size = raw.stat().st_size / 1e6

        def run(engine: str) -> None:
            tldata.annotate(raw, folder / f"{engine}.tldata", engine=engine, workers=2, overwrite=True)

        begun = time.perf_counter()
        with cluster("local", 2):
            start = time.perf_counter() - begun
            run("ray")  # its workers start and import
            seconds = interleaved({"local": lambda: run("local"), "ray": lambda: run("ray")}, given.rounds)
        ours = sorted((folder / "ray.tldata").rglob("*.parquet"))
        same = all(
            file.read_bytes() == (folder / "local.tldata" / file.relative_to(folder / "ray.tldata")).read_bytes()
            for file in ours
        )
        rows: list[dict[str, object]] = [
            {"engine": engine, "seconds": statistics.median(times), "MB/s": size / statistics.median(times)}
            for engine, times in seconds.items()
        ]
        shutil.rmtree(folder / "ray.tldata")
    report(
        "ray",
        rows,
        megabytes=size,
        ratio=median_ratio(seconds["ray"], seconds["local"]),
        cluster_start=start,
        same_bytes=same,
    )


if __name__ == "__main__":
    main()
