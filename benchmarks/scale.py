"""Large inputs: demo trajectories up to a million, and files with a heavy tail of lengths, through the whole pipeline.

    python -m benchmarks.scale demo [--counts 10000 100000 1000000] [--folder DIR] [--tokenizer FOLDER]
    python -m benchmarks.scale heavy [--gigabytes 40] [--folder DIR] [--tokenizer FOLDER]

Each step is the command a user would type, in a process of its own; its memory is the sum over all its processes of what
they hold (proportional set size, sampled every second; each file page counted once), its ``cpu s`` the processor time of all
its processes, which other work on the machine hardly changes. ``demo``: annotate, tokenize, select with near dedup, export;
processor time per thousand trajectories that does not rise with the count is linear growth. ``heavy``: trajectories of 20 KB in the mean and up to 20 MB; annotate on all of it, tokenize on
a tenth. Files that are in the folder already are not made again.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import orjson

from benchmarks.common import report

MEAN, SMALLEST, LARGEST, TAIL = 20_000, 4_000, 20_000_000, 1.2  # bytes of a trajectory; exponent of its Pareto tail


def main() -> None:
    """Make the inputs that are missing, run the steps, print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["demo", "heavy"])
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--gigabytes", type=float, default=40.0)
    parser.add_argument("--folder", type=Path, default=None, help="default: a temporary one")
    parser.add_argument("--tokenizer", type=Path, default=None, help="default: one made by tltrain init-tiny")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer = options.tokenizer or _tiny(folder)
        if options.kind == "demo":
            steps = (row for count in options.counts for row in demo_steps(folder, count, tokenizer))
        else:
            steps = heavy_steps(folder, options.gigabytes, tokenizer)
        rows = []
        for row in steps:
            print(row, file=sys.stderr, flush=True)  # hours may lie between two
            rows.append(row)
    report(f"scale {options.kind}", rows)


def demo_steps(folder: Path, count: int, tokenizer: Path) -> Iterator[dict[str, object]]:
    """The pipeline over the first ``count`` demo trajectories."""
    raw = folder / f"demo-{count}.jsonl"
    if not raw.exists():
        run("demo", "-o", str(raw), "-n", str(count))
    data, chosen = folder / f"demo-{count}.tldata", folder / f"demo-{count}-selected.tldata"
    steps = {
        "annotate": ("annotate", str(raw), "-o", str(data), "--overwrite"),
        "tokenize": ("tokenize", str(data), "--tokenizer", str(tokenizer), "--name", "t", "--overwrite"),
        "select near": ("select", str(data), "-o", str(chosen), "--dedup", "near", "--overwrite"),
        "export trl": (
            "export",
            str(data),
            "--to",
            "trl",
            "-o",
            str(folder / f"demo-{count}-trl.jsonl"),
        ),
    }
    for name, command in steps.items():
        seconds, cpu, peak = run(*command)
        megabytes = raw.stat().st_size / 1e6
        yield {
            "trajectories": count,
            "step": name,
            "seconds": seconds,
            "trajectories/s": count / seconds,
            "MB/s": megabytes / seconds,
            "cpu s": cpu,
            "cpu s/1000": 1000 * cpu / count,
            "peak MB": peak,
        }
    for path in (data, chosen):
        shutil.rmtree(path, ignore_errors=True)
    (folder / f"demo-{count}-trl.jsonl").unlink(missing_ok=True)


def heavy_steps(folder: Path, gigabytes: float, tokenizer: Path) -> Iterator[dict[str, object]]:
    """Annotate a large file with a heavy tail of lengths, and tokenize a tenth of it."""
    for size, steps in ((gigabytes, ("annotate",)), (gigabytes / 10, ("annotate", "tokenize"))):
        raw, data = folder / f"heavy-{size:g}.jsonl", folder / f"heavy-{size:g}.tldata"
        if not raw.exists():
            write_heavy(raw, int(size * 1e9))
        commands = {
            "annotate": ("annotate", str(raw), "-o", str(data), "--overwrite"),
            "tokenize": ("tokenize", str(data), "--tokenizer", str(tokenizer), "--name", "t", "--overwrite"),
        }
        for name in steps:
            seconds, cpu, peak = run(*commands[name])
            megabytes = raw.stat().st_size / 1e6
            rate = {"MB/s": megabytes / seconds, "cpu s": cpu, "cpu s/GB": 1000 * cpu / megabytes}
            yield {"GB": size, "step": name, "seconds": seconds, **rate, "peak MB": peak}
        shutil.rmtree(data, ignore_errors=True)


def write_heavy(path: Path, size: int, seed: int = 0) -> int:
    """Write OpenAI records of demo episodes strung together, their lengths drawn from a cut Pareto distribution; returns how many.

    With exponent 1.2 from 4 KB to 20 MB the mean is near 20 KB, and half of the bytes lie in records above some 70 KB.
    """
    from tldata.demo import FAMILIES, generate

    rng = Random(seed)
    pools = []
    for family in FAMILIES:
        records = list(generate(300, seed=seed, families=(family,)))
        tools = {tool["function"]["name"]: tool for record in records for tool in record["tools"]}
        episodes = [orjson.dumps(record["messages"])[1:-1] for record in records]
        pools.append((orjson.dumps(list(tools.values())[:8]), episodes))
    partial = path.with_name(f".{path.name}.partial")
    written = count = 0
    with partial.open("wb", buffering=1 << 20) as out:
        while written < size:
            tools, episodes = rng.choice(pools)
            wanted = min(LARGEST, SMALLEST * rng.random() ** (-1 / TAIL))
            parts = [b'{"role": "user", "content": "Session %d of the day."}' % count]
            length = len(tools)
            while length < wanted:
                parts.append(rng.choice(episodes))
                length += len(parts[-1])
            line = b'{"id": "heavy-%d", "messages": [%b], "tools": %b}\n' % (count, b",".join(parts), tools)
            out.write(line)
            written += len(line)
            count += 1
    partial.replace(path)
    return count


def run(*arguments: str) -> tuple[float, float, float]:
    """Run ``tldata`` with arguments; returns seconds, processor seconds, and the peak memory in MB, of all its processes.

    Raises:
        SystemExit: the command failed; what it wrote is shown.
    """
    started, before = time.perf_counter(), _processor_seconds()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "tldata.cli", *arguments], stdout=said, stderr=said, start_new_session=True
        )
        peak = 0.0
        while child.poll() is None:
            peak = max(peak, memory_mb(child.pid))
            time.sleep(1)
        if child.returncode:
            said.seek(0)
            raise SystemExit(f"tldata {' '.join(arguments)} ended with {child.returncode}:\n{said.read().decode()}")
    return time.perf_counter() - started, _processor_seconds() - before, peak


def _processor_seconds() -> float:
    """What all processes that this one has waited for, and theirs, have used so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory_mb(session: int) -> float:
    """Proportional set size of all processes of a session, in MB."""
    total = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.getsid(int(entry.name)) == session:
                text = (entry / "smaps_rollup").read_text()
                total += int(text.split("Pss:", 1)[1].split()[0])
        except (OSError, IndexError, ValueError):
            continue  # ended while we looked
    return total / 1024


def _tiny(folder: Path) -> Path:
    from tltrain_plugin.tiny import init_tiny

    if not (folder / "tiny").exists():
        init_tiny(folder / "tiny")
    return folder / "tiny"


if __name__ == "__main__":
    main()
