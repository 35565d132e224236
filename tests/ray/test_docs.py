"""The commands of docs/scaling.md run as printed, in a folder with demo data and a tiny tokenizer."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tldata
from tests.ray.conftest import contents
from tldata.demo import write_demo

DOCS = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"
COMMANDS = re.findall(r"^\$ tldata (.*)$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.timeout(600)
def test_every_command_of_the_page_runs_and_gives_the_same_dataset(tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)  # so that sources have the same names
    write_demo(tmp_path / "demo.jsonl", n=60)
    shutil.copytree(tiny, tmp_path / "tiny")
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    assert len(COMMANDS) == 5
    for command in COMMANDS:
        arguments = [sys.executable, "-m", "tldata.cli", *shlex.split(command)]
        run = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
        assert run.returncode == 0, (command, run.stderr)
    whole = tldata.annotate("demo.jsonl", "here.tldata")
    assert {k: v for k, v in contents(tmp_path / "ray.tldata").items() if not k.startswith("tokens")} == contents(
        whole.path
    )
    rows = [tldata.open(tmp_path / name).sql("FROM calls").to_pylist() for name in ("whole.tldata", "here.tldata")]
    assert rows[0] == rows[1]
