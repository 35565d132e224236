"""The engine ray makes the same files as the engine local, byte for byte, whatever the container, the options and the losses."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tldata
from tests.ray.conftest import contents
from tests.records import TOOLS, one_call, write_jsonl
from tldata.errors import InputError, UsageError

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


def records(n, filler="x" * 3000):
    """Calls of which some fail, a prefix copy now and then, and a reject."""
    found = []
    for i in range(n):
        answer = "Error 404: no such city" if i % 7 == 0 else f"{i} C {filler}"
        found.append(one_call("forecast" if i % 5 else "forcast", {"city": f"C{i}"}, answer, query=f"Q {i}"))
        if i % 50 == 0:
            found.append({"messages": found[-1]["messages"][:3], "tools": TOOLS})
            found.append({"nothing": "known"})
    return found


def same(raw, folder: Path, **options):
    """Annotate with both engines; their counts and files, which must be the same."""
    here = tldata.annotate(raw, folder / "here.tldata", workers=2, **options)
    there = tldata.annotate(raw, folder / "there.tldata", engine="ray", **options)
    assert there.counts == here.counts and there.rejected == here.rejected
    assert contents(there.path) == contents(here.path)
    manifests = [json.loads((Path(s.path) / "manifest.json").read_bytes()) for s in (here, there)]
    for manifest in manifests:
        del manifest["created_at"]
    assert manifests[0] == manifests[1]
    return there


def test_lines_give_the_same_files(ray_cluster, tmp_path):
    raw = write_jsonl(tmp_path / "raw.jsonl", records(4000))
    summary = same(raw, tmp_path)
    assert summary.counts["n_rejects"] == 80 and summary.counts["n_merged"] == 80
    assert len(list((tmp_path / "there.tldata" / "calls").glob("*.parquet"))) > 3


@pytest.mark.parametrize("name", ["raw.json", "raw.jsonl.gz"])
def test_what_cannot_be_cut_by_offsets_gives_the_same_files(ray_cluster, tmp_path, name):
    data = json.dumps(records(1500)).encode()
    if name.endswith(".gz"):
        data = gzip.compress(b"".join(json.dumps(record).encode() + b"\n" for record in records(1500)))
    (tmp_path / name).write_bytes(data)
    same(tmp_path / name, tmp_path)


def test_rules_tools_and_many_sources_give_the_same_files(ray_cluster, tmp_path, monkeypatch):
    """Rules and tools are files of the driver, named by relative paths, which no worker could open."""
    for i in range(6):
        mine = [one_call("forecast", {"city": f"C{i}-{j}"}, "not today", query=f"Q {j}") for j in range(20)]
        for record in mine:
            del record["tools"]
        write_jsonl(tmp_path / f"raw{i}.jsonl", mine)
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS))
    rule = "[[rule]]\nid = 'mine.today'\ncategory = 'others'\npattern = 'not today'\n"
    (tmp_path / "mine.toml").write_text(rule)
    monkeypatch.chdir(tmp_path)
    summary = same("raw*.jsonl", Path(), tools="tools.json", rules=["mine.toml"])
    assert summary.counts["n_trajectories"] == summary.counts["n_errors"] == 120


def test_rows_of_groups_give_the_same_files(ray_cluster, tmp_path):
    from tldata.formats import get_format

    rows = [dict(row, traceId=f"t{i}") for row in json.loads(get_format("otel-genai").example) for i in range(500)]
    summary = same(write_jsonl(tmp_path / "raw.jsonl", rows), tmp_path, max_bad=1.0)
    assert summary.counts["n_trajectories"] == 500 and summary.counts["n_merged"] == len(rows) - 500


def test_a_run_that_is_killed_goes_on_with_either_engine(ray_cluster, tmp_path, monkeypatch):
    raw = write_jsonl(tmp_path / "raw.jsonl", records(4000))
    whole = tldata.annotate(raw, tmp_path / "whole.tldata")
    from tldata import ray_engine

    real, kept = ray_engine._keep, []

    def stops_after_two(plan, name, files, counts):
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(name)
        real(plan, name, files, counts)

    monkeypatch.setattr(ray_engine, "_keep", stops_after_two)
    with pytest.raises(KeyboardInterrupt):
        tldata.annotate(raw, tmp_path / "out.tldata", engine="ray")
    monkeypatch.setattr(ray_engine, "_keep", lambda plan, name, *rest: kept.append(name) or real(plan, name, *rest))
    summary = tldata.annotate(raw, tmp_path / "out.tldata", engine="ray")
    assert len(kept) == len(set(kept))  # what was done is not done again
    assert summary.counts == whole.counts and contents(summary.path) == contents(whole.path)


def test_a_worker_that_is_killed_changes_nothing(ray_cluster, tmp_path, monkeypatch):
    from tldata import ray_engine

    raw = write_jsonl(tmp_path / "raw.jsonl", records(4000))
    killed = tmp_path / "killed"
    real = ray_engine.task

    def task(ray, function):
        def dies_once(errand, block):
            if block.number in (1, 3):
                try:
                    os.close(os.open(f"{killed}{block.number}", os.O_CREAT | os.O_EXCL))
                    os.kill(os.getpid(), signal.SIGKILL)
                except FileExistsError:
                    pass
            return function(errand, block)

        return real(ray, dies_once)

    whole = tldata.annotate(raw, tmp_path / "whole.tldata")
    monkeypatch.setattr(ray_engine, "task", task)
    summary = tldata.annotate(raw, tmp_path / "out.tldata", engine="ray")
    assert (tmp_path / "killed1").exists() and (tmp_path / "killed3").exists()
    assert summary.counts == whole.counts and contents(summary.path) == contents(whole.path)


def test_a_block_that_kills_every_worker_ends_the_run_with_what_is_done_kept(ray_cluster, tmp_path, monkeypatch):
    from tldata import ray_engine

    raw = write_jsonl(tmp_path / "raw.jsonl", records(4000))
    real = ray_engine.task

    def task(ray, function):
        def dies(errand, block):
            if block.number == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(errand, block)

        return real(ray, dies).options(max_retries=1)

    monkeypatch.setattr(ray_engine, "task", task)
    with pytest.raises(ray_engine.ClusterLost, match="what is done is kept") as error:
        tldata.annotate(raw, tmp_path / "out.tldata", engine="ray")
    assert "resumes" in error.value.hint
    assert not (tmp_path / "out.tldata").exists()
    monkeypatch.undo()
    summary = tldata.annotate(raw, tmp_path / "out.tldata", engine="ray")
    whole = tldata.annotate(raw, tmp_path / "whole.tldata")
    assert contents(summary.path) == contents(whole.path)


def test_a_file_that_workers_cannot_reach_is_a_clear_error(ray_cluster, tmp_path, monkeypatch):
    raw = write_jsonl(tmp_path / "raw.jsonl", records(10))
    from tldata import ray_engine

    real = ray_engine._errand

    def elsewhere(plan):
        errand = real(plan)
        moved = [ray_engine.replace(s, path=Path("/nowhere/raw.jsonl")) for s in errand.plan.sources]
        return ray_engine.replace(errand, plan=ray_engine.replace(errand.plan, sources=tuple(moved)))

    monkeypatch.setattr(ray_engine, "_errand", elsewhere)
    with pytest.raises(InputError, match="not within reach of the cluster's machine") as error:
        tldata.annotate(raw, tmp_path / "out.tldata", engine="ray")
    assert "s3://" in error.value.hint


def test_a_worker_of_another_version_is_refused(ray_cluster, tmp_path, monkeypatch):
    from tldata import ray_engine

    monkeypatch.setattr(ray_engine, "__version__", "0.0.1")
    with pytest.raises(UsageError, match=r"the one that asks 0\.0\.1"):
        tldata.annotate(write_jsonl(tmp_path / "raw.jsonl", records(3)), tmp_path / "out.tldata", engine="ray")


def test_a_wrong_engine_and_a_cluster_that_is_not_there_are_wrong_usage(tmp_path):
    raw = write_jsonl(tmp_path / "raw.jsonl", records(3))
    with pytest.raises(UsageError, match="no engine 'spark'"):
        tldata.annotate(raw, engine="spark")
    with pytest.raises(UsageError, match="a shard is made by the engine local"):
        tldata.annotate(raw, engine="ray", shard="0/2")


def test_the_command_starts_a_cluster_of_its_own_and_ends_it(tmp_path):
    raw = write_jsonl(tmp_path / "raw.jsonl", records(300))
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    command = [
        sys.executable,
        "-m",
        "tldata.cli",
        "annotate",
        str(raw),
        "--engine",
        "ray",
        "--workers",
        "1",
        "--max-bad",
        "1",
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr and "300" in run.stdout
    assert tldata.open(tmp_path / "raw.tldata").manifest["counts"]["n_inputs"] == 312


def test_real_data_gives_the_same_files(ray_cluster, shared, tmp_path):
    found = [shared / name for name in ("tau_bench", "toolbench", "rotbench") if (shared / name).exists()]
    assert len(found) == 3
    for raw in found:
        (tmp_path / raw.name).mkdir()
        same(raw, tmp_path / raw.name, max_bad=1.0)


@pytest.mark.slow
def test_a_hundred_thousand_demo_trajectories_give_the_same_files(ray_cluster, tmp_path):
    from tldata.demo import write_demo

    write_demo(tmp_path / "raw.jsonl", n=100_000)
    started = time.monotonic()
    summary = same(tmp_path / "raw.jsonl", tmp_path)
    assert summary.counts["n_trajectories"] == 100_000
    print(f"both engines: {time.monotonic() - started:.0f} s")
