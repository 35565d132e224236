"""Every command that reproduce/README.md prints is run in its order with stand-ins, and what it says of serving is what serve prints."""

import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "reproduce" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line.removeprefix("$ ") for block in BLOCKS for line in block.splitlines()]
OURS = [command for command in dict.fromkeys(COMMANDS) if command.startswith("python -m reproduce.")]
SETS_UP = ("python3 -m venv ", ". .venv/bin/activate", "pip install ")
WARNS = [
    "ignore:.*gradient_checkpointing.*:FutureWarning",
    "ignore::DeprecationWarning",
    "ignore:var\\(\\). degrees of freedom is <= 0:UserWarning",
]
pytestmark = [pytest.mark.filterwarnings(each) for each in WARNS]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


def test_a_console_block_holds_commands_only():
    assert all(line.startswith("$ ") for block in BLOCKS for line in block.splitlines())
    for command in COMMANDS:
        known = command in OURS or command.startswith(SETS_UP) or "/bin/pip install " in command
        assert known, f"nothing runs this command: {command}"


@pytest.mark.parametrize("command", OURS)
def test_a_command_of_the_readme_works_as_printed_in_a_dry_run(command, script, results):
    words = shlex.split(command)[2:]
    name = words[0].removeprefix("reproduce.")
    if words[:2] == ["reproduce.data", "fetch"]:  # the one thing that a dry run excludes: the names are data sets
        from reproduce.data import load_entries

        assert set(words[2:]) <= {entry.set for entry in load_entries()}
        return
    given = [word if word != "cuda" else "cpu" for word in words[1:]]
    small = ["--trajectories", "20"] if name == "deviations" else []
    status, _ = script(name, *given, *small, "--dry-run", results=results)
    assert status == 0


def test_every_script_with_a_result_is_in_the_readme():
    named = {command.split()[2].removeprefix("reproduce.") for command in OURS}
    assert named >= {
        "fig1",
        "table1",
        "table3",
        "table4",
        "table5",
        "fig4",
        "fig5",
        "deviations",
        "prompts",
        "serve",
        "data",
    }


def test_the_serving_command_shown_is_the_one_printed(script, capsys, tmp_path):
    script("serve", "TL-CodeLLaMA-2")
    printed = capsys.readouterr().out.splitlines()[-1]
    assert printed in README


def test_the_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links and all((ROOT / "reproduce" / link).is_file() for link in links)


def test_the_table_of_later_turns_has_the_eight_formats():
    from reproduce.prompts import PAPER

    rows = re.findall(r"^\| ([a-z0-9.-]+) \|", README, re.MULTILINE)
    assert sorted(name for name in rows if name in PAPER) == sorted(PAPER)
