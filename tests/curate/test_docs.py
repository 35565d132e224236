"""The commands of docs/data-under-control.md work as printed, in their order."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tldata.expect import read_expectations

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "data-under-control.md").read_text(encoding="utf-8")


def test_the_commands_of_the_page_work_as_printed(tmp_path):
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) >= 12
    for line in lines:
        assert line.startswith("$ tldata "), line
        words = [str(Path(sys.executable).with_name("tldata")), *shlex.split(line.removeprefix("$ tldata "))]
        words = ["40" if word == "300" and words[words.index(word) - 1] == "-n" else word for word in words]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0 or "--expect" in words, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def test_the_expectations_of_the_page_can_be_read(tmp_path):
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "e.toml").write_text(text)
    assert set(read_expectations(tmp_path / "e.toml")) == {"limits", "categories", "nulls", "tools", "query"}
