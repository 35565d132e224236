"""The commands of docs/privacy.md run as they stand there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

import tldata
from tldata.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "privacy.md"


def test_every_command_of_the_page_runs_and_leaves_no_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = {"messages": [{"role": "user", "content": "ann@example.org"}, {"role": "assistant", "content": "ok"}]}
    Path("raw.jsonl").write_text(json.dumps(record))
    tldata.annotate("raw.jsonl", "raw.tldata")
    (block,) = re.findall(r"```\n(.*?)```", PAGE.read_text(), re.S)
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        more = ["--overwrite"] if Path("clean.tldata").exists() else []
        told = CliRunner().invoke(app, [*words[1:], *more])
        assert told.exit_code == 0, told.output
        assert "<email-" in tldata.open("clean.tldata").sql("SELECT query FROM trajectories").to_pylist()[0]["query"]
