"""Every command of docs/cookbook.md is run, in its order, in one folder, on fewer trajectories; its pipelines too."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest

import tldata

pytestmark = [pytest.mark.timeout(1800), pytest.mark.filterwarnings("ignore")]  # trainers warn

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
MAINS = {"tldata": "tldata.cli", "tltrain": "tltrain_plugin.cli"}
SIZES = {"-n 100000": "-n 240", "--sample 1217": "--sample 60", "-n 500": "-n 20", "--at-most 50": "--at-most 3"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line for text in blocks("console") for line in text.splitlines()]
    assert all(line.startswith("$ ") for line in lines), "a console block holds commands only"
    return [line[2:] for line in lines]


def smaller(command: str) -> str:
    for size, few in SIZES.items():
        command = command.replace(size, few)
    return command


def run(command: str, folder: Path) -> str:
    """A command as a shell would run it, in this process where it is a plain one of ours: starting Python takes longer than most."""
    words = shlex.split(command)
    if words[0] in MAINS and ">" not in words:
        return run_here(words, folder)
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


def run_here(words: list[str], folder: Path) -> str:
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.chdir(folder)
        patch.setattr(sys, "argv", words)
        try:
            importlib.import_module(MAINS[words[0]]).main()
        except SystemExit as end:
            assert not end.code, f"{shlex.join(words)}\n{out.getvalue()}"
    return out.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the recipes have been run."""
    pytest.importorskip("torch")
    pytest.importorskip("trl")
    folder = tmp_path_factory.mktemp("cookbook")
    for command in commands():
        out = run(smaller(command), folder)
        (folder / "last.txt").write_text(out)
        if "AS trained" in command:
            (folder / "trained.txt").write_text(out)
    return folder


def test_the_recipes_work_as_printed_with_fewer_trajectories(folder: Path) -> None:
    def count(name: str, query: str = "SELECT count(*) AS n FROM trajectories") -> int:
        return int(tldata.open(folder / name).sql(query)["n"][0].as_py())

    assert count("good.tldata") == 60
    assert count("good.tldata", "SELECT count(*) AS n FROM calls WHERE is_error") == 0
    assert count("recovered.tldata", "SELECT count(*) AS n FROM trajectories WHERE n_errors = 0") == 0
    assert re.search(r"\b0\b", (folder / "trained.txt").read_text()), "no failing call is trained on"
    assert 0 < count("balanced.tldata") < 240
    assert count("part-train.tldata") > count("part-test.tldata") > 0
    assert len((folder / "recovered-pairs.jsonl").read_text().splitlines()) > 0


def test_the_dvc_pipeline_is_one_and_its_commands_run(folder: Path) -> None:
    yaml = pytest.importorskip("yaml")
    (text,) = blocks("yaml")
    pipeline = yaml.safe_load(text)
    values = {name: value for each in pipeline["vars"] for name, value in each.items()}
    made: set[str] = {"logs.jsonl"}
    for stage in pipeline["stages"].values():
        assert set(stage["deps"]) <= made, "a stage reads what an earlier one made"
        command = re.sub(r"\$\{(\w+)\}", lambda found: str(values[found[1]]), stage["cmd"])
        run(smaller(command), folder)
        outs = [*stage["outs"], *(name for each in stage["metrics"] for name in each)]
        assert all((folder / name).exists() for name in outs)
        for each in stage["metrics"]:
            assert all(isinstance(json.loads((folder / name).read_text()), dict) for name in each)
        made |= set(stage["outs"])


def test_dvc_itself_reads_the_pipeline(folder: Path) -> None:
    if importlib.util.find_spec("dvc") is None:
        pytest.skip("needs dvc")
    (text,) = blocks("yaml")
    (folder / "dvc.yaml").write_text(text)
    run("dvc init --no-scm -q && dvc stage list && dvc repro --dry", folder)


def test_the_airflow_file_makes_tasks_in_order_whose_commands_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file runs against stand-ins for Airflow's two classes, which note the tasks and their order."""
    (text,) = (block for block in blocks("python") if "airflow" in block)
    tasks: list[dict[str, object]] = []
    order: list[tuple[object, object]] = []

    class Operator:
        def __init__(self, **options: object) -> None:
            self.options = options
            tasks.append(options)

        def __rshift__(self, other: Operator) -> Operator:
            order.append((self.options["task_id"], other.options["task_id"]))
            return other

    class Dag:
        def __init__(self, name: str, **options: object) -> None:
            assert name == "trajectories" and options["catchup"] is False

        def __enter__(self) -> Dag:
            return self

        def __exit__(self, *error: object) -> None:
            pass

    for name in ("airflow", "airflow.providers", "airflow.providers.standard", "airflow.providers.standard.operators"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    bash = types.ModuleType("airflow.providers.standard.operators.bash")
    bash.BashOperator = Operator  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, bash.__name__, bash)
    monkeypatch.setattr(sys.modules["airflow"], "DAG", Dag, raising=False)
    exec(compile(text, "trajectories.py", "exec"), {})
    assert order == [("annotate", "select"), ("select", "export")]
    for task in tasks:
        run(smaller(str(task["bash_command"])), folder)
    assert (folder / "airflow-turns.jsonl").stat().st_size > 0


def test_the_links_of_the_pages_lead_somewhere() -> None:
    for name in ("cookbook", "exporting"):
        page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        links = re.findall(r"\]\((?!https?:)([^)#]+)", page)
        assert all((ROOT / "docs" / link).is_file() for link in links)


def test_the_commands_of_the_exporting_page_are_among_those_that_run(folder: Path) -> None:
    page = (ROOT / "docs" / "exporting.md").read_text(encoding="utf-8")
    for text in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for line in text.splitlines():
            run(shlex.join(shlex.split(line.removeprefix("$ "))).replace("demo.tldata", "logs.tldata"), folder)
