"""The ablation's quick form from nothing: every cell runs, every table is written, and a second run does nothing again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")

from benchmarks.ablation.design import TABLE_5

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.ablation", "--quick", "--threads", "1", "-o", str(folder)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=590)


def test_the_quick_ablation_makes_its_tables_and_plots_from_nothing(tmp_path):
    done = run(tmp_path / "out")
    assert done.returncode == 0, done.stderr[-3000:]
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["benchmark"] == "ablation" and facts["seeds"] == 1
    for part in ("seen", "unseen"):
        text = (tmp_path / "out" / f"table5-{part}.md").read_text()
        assert text.startswith("Quick run: shows that the path works, its figures mean nothing.")
        assert all(f"| {configuration.label} |" in text for configuration in TABLE_5.values())
        assert (tmp_path / "out" / f"table5-{part}.png").stat().st_size > 10_000
    assert "| TS, Standard SFT (w/ None) |" in (tmp_path / "out" / "figure4.md").read_text()
    results = {p.parent.name: json.loads(p.read_text()) for p in (tmp_path / "out").glob("seed-0/*/result.json")}
    assert results["data-errors17"]["erroneous"] == 68  # 17% of 400
    assert len(results["eval-all"]["single"]["seen"]["TS"]) == 20
    assert sum(results["eval-none"]["multi"]["seen"]["n_calls"]) > 0  # the model has learned to call
    trained = {name for name in results if name.startswith(("sft-", "ppo-"))}
    assert len(trained) == 8  # four fine-tunings, shared by the four that go on with PPO

    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("seed-0/*/result.json")}
    again = run(tmp_path / "out")
    assert again.returncode == 0, again.stderr[-3000:]
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("seed-0/*/result.json")}
