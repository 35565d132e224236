"""Every script in a dry run: a table or figure, marked as dummy numbers everywhere, and the same again from the real data's layout."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reproduce.models import load_models
from reproduce.stand_in import serving

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("merge",)  # a step of Table 5's plan, which neither reads data nor asks a model
SCRIPTS = sorted(
    path.stem
    for path in (ROOT / "reproduce").glob("*.py")
    if "__main__" in path.read_text(encoding="utf-8") and path.stem not in TOOLS
)
QUICK = ("prompts", "fig1", "table3", "table4", "fig4")


def marked(folder: Path, name: str, *, plot: bool = True) -> str:
    """The text of a result, once every file of it is seen to be marked."""
    text = (folder / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith("# DUMMY") and "the numbers mean nothing" in text.splitlines()[0]
    assert json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["dummy"] is True
    if plot:
        drawn = (folder / f"{name}.svg").read_text(encoding="utf-8")
        assert "DUMMY" in drawn
    return text


@pytest.mark.parametrize("name", QUICK)
def test_a_dry_run_ends_well_and_marks_what_it_writes(name, script):
    status, folder = script(name, "--dry-run")
    assert status == 0
    assert "|" in marked(folder, name, plot=name != "prompts")


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_says_what_a_script_does_and_ends_with_an_example(name):
    done = subprocess.run(
        [sys.executable, "-m", f"reproduce.{name}", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"Example: python -m reproduce.{name}" in done.stdout and "--dry-run" in done.stdout
    assert "--offline" in done.stdout


def test_table_3_has_every_row_of_the_paper_with_both_figures(script):
    _, folder = script("table3", "--dry-run")
    text = marked(folder, "table3")
    for name in (model.name for model in load_models().values() if "table3" in model.tables):
        line = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
        assert line.count("(") == 9 and "-" not in line.split("|", 2)[2], "measured, with the paper's figure beside it"
    cells = json.loads((folder / "table3.json").read_text())["result"]["figures"]
    assert len(cells) == 90 and all(cell["here"] is not None and cell["paper"] is not None for cell in cells)


def test_table_4_prints_the_overlap_and_leaves_nexusraven_out(script):
    _, folder = script("table4", "--dry-run", "--models", "NexusRaven-2,TL-CodeLLaMA-2,GPT-4o")
    text = marked(folder, "table4")
    assert "NexusRaven-2: takes no feedback" in text
    found = json.loads((folder / "table4.json").read_text())["result"]
    assert found["overlap"]["tools_seen"] == found["overlap"]["tools"] == 3
    assert found["overlap"]["equal"] == 0 and found["world"]["dead"] == 0
    measured = {cell["model"] for cell in found["figures"] if cell["here"] is not None}
    assert measured == {"TL-CodeLLaMA-2", "GPT-4o"}


def test_figure_1_counts_the_small_data_as_by_hand(script):
    # 12 runs, the number of every second one is odd: it begins with an unknown parameter; each stands in two lines.
    status, folder = script("fig1", "--dry-run")
    shares = json.loads((folder / "fig1.json").read_text())["result"]["shares"]
    assert status == 0 and shares == {
        "ours": [6, 12],
        "authors": [6, 12],
        "ours-lines": [6, 24],
        "authors-lines": [6, 24],
    }


def test_figure_1_on_the_real_runs_is_what_the_page_says(script, shared, tmp_path):
    status, _ = script("fig1", "--offline", str(shared), "--page", str(tmp_path / "page.md"))
    assert status == 0
    assert (tmp_path / "page.md").read_text() == (ROOT / "docs" / "figure1.md").read_text()


def test_dry_runs_take_the_real_data_too(script, shared):
    status, folder = script("table3", "--dry-run", "--offline", str(shared), "--models", "TL-CodeLLaMA-2,GPT-4o")
    assert status == 0
    sizes = {
        c["benchmark"]: c["n"] for c in json.loads((folder / "table3.json").read_text())["result"]["figures"] if c["n"]
    }
    assert sizes == {"toolalpaca": 108, "rotbench": 105, "bfcl": 240}


def test_a_dry_run_of_table_4_needs_no_tools_in_the_data_folder(script, shared):
    status, folder = script(
        "table4", "--dry-run", "--offline", str(shared), "--models", "TL-CodeLLaMA-2,Qwen-2-Instruct"
    )
    found = json.loads((folder / "table4.json").read_text())["result"]
    assert status == 0 and not found["not_measured"]
    assert {c["n"] for c in found["figures"] if c["metric"] == "VA" and c["n"]} == {20}
    assert found["overlap"]["test"] == 382 and found["overlap"]["training"] == 70


def test_offline_never_fetches_and_says_what_is_missing(script, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    status, _ = script("table3", "--offline", str(tmp_path / "empty"))
    assert status != 0
    assert "no such data" in capsys.readouterr().err


def test_a_model_that_cannot_be_reached_is_named_and_the_others_go_on(script, sample, capsys):
    with serving(lambda body: {"status": 404, "says": "no such model"}) as server:
        endpoint = f"TL-CodeLLaMA-2={server.url}"
        status, folder = script("fig4", "--offline", str(sample), "--models", "TL-CodeLLaMA-2", "--endpoint", endpoint)
    assert status == 0
    assert "not measured: TL-CodeLLaMA-2" in capsys.readouterr().out
    assert json.loads((folder / "fig4.json").read_text())["dummy"] is False


def test_the_serving_commands_are_printed_for_all_models_with_weights(script, capsys):
    status, _ = script("serve")
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    assert status == 0 and len(lines) == sum(bool(model.hub) for model in load_models().values())
    assert all(" vllm serve " in line for line in lines)


def test_the_page_of_deviations_has_every_figure_that_is_measured(script):
    status, folder = script("deviations", "--dry-run", "--trajectories", "10")
    page = (ROOT / "docs" / "deviations.md").read_text(encoding="utf-8")
    found = json.loads((folder / "deviations.json").read_text())["result"]
    names = {name for source in found["sources"].values() for name in source} | set(found["rewards"])
    assert status == 0 and len(names) > 30
    assert [name for name in names if f"| {name} |" not in page] == []


def test_the_real_prompts_are_written_for_reading(script, shared):
    status, folder = script("prompts", "--offline", str(shared))
    assert status == 0
    assert len((folder / "prompts" / "qwen-2.three.jsonl").read_text().splitlines()) == 70
