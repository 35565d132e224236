"""Figure 5: MMLU, GSM8K and HumanEval before and after the training, by lm-evaluation-harness with its own defaults.

The harness lives in an environment of its own (`--lm-eval`). The paper's bars carry no printed numbers; its text says that the tuned
model keeps the base's performance and is slightly better in mathematics and code.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from reproduce.actor import dice
from reproduce.models import Model, choose
from reproduce.setting import HERE, Setting, drawing, markdown, parser, read, run_script, with_models
from reproduce.table1 import tiny_model, weights_of
from tldata.errors import CheckError, InputError, TldataError

TASKS = {"mmlu": "acc,none", "gsm8k": "exact_match,strict-match", "humaneval": "pass@1,create_test"}
LOCAL = {"sample_choice": "acc,none", "sample_math": "exact_match,none"}  # of our own, for dry runs
STANDS_FOR = {"mmlu": "sample_choice", "gsm8k": "sample_math"}


def command(harness: str, model: Model, weights: str, output: Path, backend: str) -> list[str]:
    """The harness's command for a model: few-shot numbers, prompts and metrics are its defaults.

    Args:
        harness: the program lm_eval.
        weights: folder or hub id.
        output: folder for its results.
        backend: vllm, or hf (transformers).
    """
    arguments = [f"pretrained={weights}", "dtype=bfloat16"]
    arguments += [f"revision={model.revision}"] if model.revision and weights == model.hub else []
    arguments += [f"max_model_len={min(model.context, 8192)}"] if backend == "vllm" else []
    words = [harness, "--model", backend, "--model_args", ",".join(arguments), "--tasks", ",".join(TASKS)]
    return [*words, "--batch_size", "auto", "--output_path", str(output), "--confirm_run_unsafe_code"]


def local_command(harness: str, weights: str, output: Path) -> list[str]:
    """The same on tasks of our own that lie beside this file, on the CPU."""
    words = [
        harness,
        "--model",
        "hf",
        "--model_args",
        f"pretrained={weights},dtype=float32",
        "--tasks",
        ",".join(LOCAL),
    ]
    return [
        *words,
        "--include_path",
        str(HERE / "lm_eval_tasks"),
        "--device",
        "cpu",
        "--batch_size",
        "4",
        "--output_path",
        str(output),
    ]


def results_in(folder: Path) -> dict[str, Any]:
    """What the harness wrote last in a folder: task -> metrics.

    Raises:
        InputError: nothing there.
    """
    found = sorted(folder.rglob("results_*.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise InputError(f"{folder}: no results of lm-evaluation-harness")
    return json.loads(found[-1].read_text(encoding="utf-8"))["results"]


def figures(results: dict[str, Any]) -> dict[str, tuple[float, float | None]]:
    """Percent and its standard error in points of each task.

    >>> figures({"mmlu": {"acc,none": 0.25, "acc_stderr,none": 0.01}})
    {'mmlu': (25.0, 1.0)}
    """
    found = {}
    for task, metric in TASKS.items():
        row, name = results.get(task), metric
        if row is None and task in STANDS_FOR:
            row, name = results.get(STANDS_FOR[task]), LOCAL[STANDS_FOR[task]]
        if row is None or name not in row:
            continue
        error = row.get(name.replace(",", "_stderr,", 1))
        found[task] = (100 * row[name], 100 * error if isinstance(error, int | float) else None)
    return found


def measure(setting: Setting, model: Model) -> dict[str, tuple[float, float | None]]:
    """Run the harness on a model unless its results are there; in a dry run on tasks of our own, where it is installed."""
    output = setting.folder("fig5", model.slug)
    harness = shutil.which(setting.arguments.lm_eval)
    if setting.dry_run:
        words = None if harness is None else local_command(harness, tiny_model(setting), output)
        if words is None:
            setting.say(f"{setting.arguments.lm_eval} is not installed: dummy results in its form")
    else:
        if any(output.rglob("results_*.json")):
            setting.say(f"{model.name}: there already ({output})")
            return figures(results_in(output))
        if harness is None:
            raise InputError(
                f"{setting.arguments.lm_eval}: no such program",
                hint="pip install 'lm-eval[vllm]' in an environment of its own",
            )
        words = command(harness, model, weights_of(setting, model), output, setting.arguments.backend)
    if words is not None:
        setting.say(f"$ HF_ALLOW_CODE_EVAL=1 {shlex.join(words)}")
        status = subprocess.run(
            words, env={**os.environ, "HF_ALLOW_CODE_EVAL": "1"}, cwd=HERE.parent, check=False
        ).returncode
        if status:
            raise CheckError(f"{model.name}: lm_eval ended with status {status}")
        found = results_in(output)
    else:
        found = {}
    if setting.dry_run:  # what no model of a dry run can have done
        missing = {task: metric for task, metric in TASKS.items() if STANDS_FOR.get(task) not in found}
        found |= {task: {metric: dice(f"{task} {model.name}", 100) / 100} for task, metric in missing.items()}
    return figures(found)


def main(setting: Setting) -> None:
    """Measure both models and print what changed."""
    rows: dict[str, dict[str, tuple[float, float | None]]] = {}
    failures = []
    for model in choose(setting.arguments.models, "fig5"):
        try:
            rows[model.name] = measure(setting, model)
        except TldataError as error:
            failures.append(f"{model.name}: {error.message}")
            setting.say(f"not measured: {failures[-1]}")
    text = markdown(["", *TASKS], [[name, *(_shown(row.get(task)) for task in TASKS)] for name, row in rows.items()])
    text += "\nPercent, with the standard error that the harness gives. The paper prints no numbers: retained, slightly better in mathematics and code.\n"
    if {"TL-CodeLLaMA-2", "CodeLLaMA-2"} <= set(rows):
        change = {
            t: rows["TL-CodeLLaMA-2"][t][0] - rows["CodeLLaMA-2"][t][0]
            for t in TASKS
            if all(t in row for row in rows.values())
        }
        text += (
            "\nTuned less base, in points: "
            + ", ".join(f"{task} {points:+.2f}" for task, points in change.items())
            + "\n"
        )
    text += "".join(f"\nNot measured: {each}" for each in failures) + "\n"
    setting.write({"figures": rows, "not_measured": failures}, text, lambda path: draw(setting, path, rows))


def _shown(value: tuple[float, float | None] | None) -> str:
    if value is None:
        return "-"
    return f"{value[0]:.2f}" + ("" if value[1] is None else f" ± {value[1]:.2f}")


def draw(setting: Setting, path: Path, rows: dict[str, dict[str, tuple[float, float | None]]]) -> None:
    """A pair of bars for each task."""
    with drawing(setting, 5.0) as figure:
        axes = figure.subplots()
        for offset, colour, (name, row) in zip((-0.2, 0.2), ("#d55e00", "#003f6b"), sorted(rows.items()), strict=False):
            values = [row.get(task, (0.0, None)) for task in TASKS]
            errors = [error or 0.0 for _, error in values]
            axes.bar(
                [p + offset for p in range(len(TASKS))],
                [v for v, _ in values],
                0.38,
                yerr=errors,
                color=colour,
                label=name,
            )
        axes.set_xticks(range(len(TASKS)), list(TASKS))
        axes.set_ylabel("%")
        axes.legend(fontsize=8, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle(setting.title("Figure 5: general performance"), fontsize=9)
    figure.savefig(path)


if __name__ == "__main__":
    options = with_models(parser(__doc__, "python -m reproduce.fig5 --lm-eval .venv-lm-eval/bin/lm_eval"))
    options.add_argument(
        "--lm-eval", default="lm_eval", metavar="PROGRAM", help="lm_eval, in an environment of its own [lm_eval]"
    )
    options.add_argument("--backend", choices=["vllm", "hf"], default="vllm", help="what runs the model [vllm]")
    options.add_argument(
        "--weights", action="append", default=[], metavar="NAME=FOLDER", help="weights instead of the hub's"
    )
    sys.exit(run_script(main, read(options, "fig5")))
