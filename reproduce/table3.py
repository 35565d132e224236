"""Table 3: ten models on ToolAlpaca, RoTBench (Clean) and BFCL's executable part, each figure beside the paper's.

Begin with the released TL-CodeLLaMA-2, which needs no training: serve it (python -m reproduce.serve), then
python -m reproduce.table3 --models TL-CodeLLaMA-2
"""

from __future__ import annotations

import sys
from pathlib import Path

from reproduce.ask import cell, overlong, score_cell, score_first_calls, several_calls
from reproduce.beside import Figure, Key, as_json, as_markdown, draw, figures_of_scores
from reproduce.models import choose
from reproduce.setting import Setting, markdown, parser, read, run_script, with_models
from tldata.errors import TldataError
from tldata.evaluate.paper import NAMES, PaperTable, paper_table

BFCL = tuple(f"bfcl/exec_{kind}.jsonl" for kind in ("simple", "multiple", "parallel", "parallel_multiple"))
FILES = {"toolalpaca": ("toolalpaca/eval_real.json",), "rotbench": ("rotbench/first_turn/clean.json",), "bfcl": BFCL}


def benchmarks(setting: Setting) -> dict[str, list[Path]]:
    """The three test sets, each with its files."""
    return {name: setting.need(*files) for name, files in FILES.items()}


def main(setting: Setting) -> None:
    """Ask, score and print; a cell that is there is not asked again, and one that fails leaves the others alone."""
    printed = paper_table("table3")
    answers = benchmarks(setting)
    rows: dict[str, dict[Key, Figure]] = {}
    firsts: dict[str, dict[Key, Figure]] = {}  # by the first call of each answer and gold
    failures, beyond = [], []
    for model in choose(setting.arguments.models, "table3"):
        rows[model.name] = {}
        for benchmark, files in answers.items():
            try:
                rows[model.name] |= figures_of_scores(score_cell(setting, model, benchmark, files))
                path = cell(setting, model, benchmark)
                firsts.setdefault(model.name, {}).update(
                    figures_of_scores(score_first_calls(model, benchmark, files, path))
                )
            except TldataError as error:
                failures.append(f"{model.name}, {benchmark}: {error.message}")
                setting.say(f"not measured: {failures[-1]}")
                continue
            beyond.append([model.name, benchmark, overlong(cell(setting, model, benchmark))])
    text = as_markdown(printed.columns, rows, printed) + _first_calls(answers, firsts, printed)
    if any(row[2] for row in beyond):
        text += "\nPrompts beyond the context, counted as wrong:\n\n"
        text += markdown(["model", "benchmark", "prompts"], [row for row in beyond if row[2]])
    if failures:
        text += "\nNot measured:\n" + "".join(f"- {each}\n" for each in failures)
    text += "\n" + "".join(f"- {note}\n" for note in printed.notes)
    found = {
        "figures": as_json(rows, printed),
        "first_calls": as_json(firsts, printed),
        "beyond_context": beyond,
        "not_measured": failures,
    }
    setting.write(found, text, lambda path: draw(setting, path, printed.columns, rows, printed))


def _first_calls(answers: dict[str, list[Path]], firsts: dict[str, dict[Key, Figure]], printed: PaperTable) -> str:
    """The same answers by their first call, for the benchmarks whose golds hold several, and what that is about."""
    counts = {benchmark: several_calls(benchmark, files) for benchmark, files in answers.items()}
    some = [benchmark for benchmark, (several, _) in counts.items() if several]
    if not some or not firsts:
        return ""
    told = ", ".join(f"{NAMES[each]} {counts[each][0]} of {counts[each][1]}" for each in some)
    text = f"\nGolds of several calls: {told}. All of them are demanded above, which a chat format of one call a turn cannot meet; the paper's\n"
    text += "figures for such models are higher than what is left, so it counted otherwise. By the first call of each answer and gold:\n\n"
    return text + as_markdown([key for key in printed.columns if key[0] in some], firsts, printed)


if __name__ == "__main__":
    options = with_models(parser(__doc__, "python -m reproduce.table3 --models TL-CodeLLaMA-2"))
    sys.exit(run_script(main, read(options, "table3")))
