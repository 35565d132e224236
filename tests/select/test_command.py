"""``tldata select`` on the command line, and every command of docs/curating.md that selects."""

import json
import re
import shlex
from pathlib import Path

import pytest

import tldata
from tests.cli.test_cli import tldata_command
from tldata.demo import write_demo

PAGE = Path(__file__).resolve().parents[2] / "docs" / "curating.md"


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("select")
    write_demo(folder / "demo.jsonl", n=400)
    tldata.annotate(folder / "demo.jsonl")
    return folder


def test_the_summary_says_what_each_step_did(demo, tmp_path):
    done = tldata_command(
        "select", demo / "demo.tldata", "-o", tmp_path / "out", "--where", "n_errors = 0", "--sample", "100", "--json"
    )
    assert done.returncode == 0 and done.stderr == b""
    found = json.loads(done.stdout)
    assert [step["step"] for step in found["steps"]] == ["where", "sample"]
    assert found["n_before"] == 400 and found["n_trajectories"] == 100 and found["n_dropped"] == 300
    assert found["datasets"] == [str(tmp_path / "out")] and found["steps"][0]["what"] == "n_errors = 0"
    shown = tldata_command(
        "select", demo / "demo.tldata", "-o", tmp_path / "out", "--split", "a=0.5,b=0.5", "--overwrite"
    )
    assert (
        shown.returncode == 0 and b"400 of 400 trajectories kept" in shown.stdout and b"a: 200 (50.0%)" in shown.stdout
    )


def test_wrong_usage_is_status_2_and_says_what_to_try(demo, tmp_path):
    for options in (["--where", "n_eror = 0"], ["--split", "a=0.3"], ["--dedup", "fuzzy"], ["--balance", "moon"]):
        done = tldata_command("select", demo / "demo.tldata", "-o", tmp_path / "out", *options)
        assert done.returncode == 2 and b"Traceback" not in done.stderr and b"try:" in done.stderr, options
        assert not (tmp_path / "out").exists()


def test_a_run_that_is_killed_leaves_the_old_dataset_and_the_next_one_works(demo, tmp_path):
    old = tldata.open(demo / "demo.tldata").select(tmp_path / "out", sample=5).path
    leftover = tmp_path / ".out.partial" / "trajectories"
    leftover.mkdir(parents=True)
    (leftover / "00000-000000.parquet").write_bytes(b"half")
    assert tldata.open(old).sql("FROM trajectories").num_rows == 5
    made = tldata.open(demo / "demo.tldata").select(tmp_path / "out", sample=7, overwrite=True)
    assert tldata.open(made.path).sql("FROM trajectories").num_rows == 7
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_commands_of_the_page_work_as_printed(demo):
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (demo / "questions.txt").write_text("What is the capital of the country where reindeer outnumber people?\n")
    commands = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(commands) >= 8
    for command in commands:
        done = tldata_command(*shlex.split(command)[1:], cwd=demo)
        assert done.returncode == 0, f"{command}\n{done.stderr.decode()}"
