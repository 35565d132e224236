"""Running a script of ``reproduce`` in this process, as its command line would."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reproduce.sample import write_sample

SCRIPTS = Path(__file__).resolve().parents[2] / "reproduce"


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small data of our own, in the layout of the real data."""
    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[int, Path]]:
    """A function that runs ``python -m reproduce.NAME WORDS --results FOLDER``; it returns the exit status and the folder."""

    def run(name: str, *words: str, results: Path | None = None) -> tuple[int, Path]:
        folder = results or tmp_path / "results"
        monkeypatch.setattr(sys, "argv", [name, *words, "--results", str(folder)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
        return int(ended.value.code or 0), folder

    return run
