"""Table 5: eight configurations trained from CodeLLaMA-2-7B on the authors' data, and measured on ToolAlpaca, RoTBench and ToolEyes.

--stage plan prints every command, the hardware and the hours; train runs what is not there yet; serve prints how to serve what was
trained; evaluate measures it. `--lora` is a variant for one GPU, which departs from the paper in ways that are printed.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import mean

from reproduce.ask import endpoint_of, score_cell
from reproduce.beside import Figure, Key, as_json, as_markdown, draw, figures_of_runs, figures_of_scores
from reproduce.models import Model, load_models
from reproduce.recipes import CONFIGS, Config, Recipe, Step, with_bos
from reproduce.serve import command
from reproduce.setting import Setting, markdown, parser, read, run_script, with_models
from reproduce.table1 import tiny_model
from reproduce.table3 import FILES
from reproduce.table4 import TRAINING, requests_of, runs_cell, with_world, world_of
from tldata.errors import CheckError, TldataError, UsageError
from tldata.evaluate.paper import paper_table

FIRST_PORT = 8100
DEVIATIONS = (
    "LoRA of rank 64 instead of all weights, at a learning rate of 1e-4 (1e-6 moves an adapter that starts at zero nowhere)",
    "GRPO instead of PPO: no critic beside the policy on one GPU; rollouts are sampled",
    "weights in bfloat16",
)


def cells(setting: Setting) -> list[tuple[Config, int]]:
    """The configurations and seeds asked for."""
    known = {config.slug: config for config in CONFIGS}
    names = [name.strip() for name in (setting.arguments.configs or ",".join(known)).split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"no configuration {unknown[0]!r}", hint=", ".join(known))
    try:
        seeds = [int(seed) for seed in setting.arguments.seeds.split(",")]
    except ValueError:
        raise UsageError(f"--seeds {setting.arguments.seeds}: whole numbers with commas") from None
    return [(known[name], seed) for name in names for seed in seeds]


def recipe_of(setting: Setting) -> Recipe:
    """The way of training that the options ask for."""
    (raw,) = setting.need(TRAINING)
    folder = setting.folder("table5")
    template = str(with_bos(folder / "template"))
    if setting.dry_run and setting.arguments.stage != "plan":
        return Recipe("dry", raw, tiny_model(setting), folder, template)
    base = setting.arguments.base or load_models()["CodeLLaMA-2"].hub
    return Recipe("lora" if setting.arguments.lora else "full", raw, base, folder, template)


def plan(setting: Setting, recipe: Recipe) -> None:
    """Print every step of every cell once, and what a cell takes."""
    seen: set[Step] = set()
    for config, seed in cells(setting):
        setting.say(f"# {config.name}, seed {seed}")
        for step in recipe.steps(config, seed):
            if step not in seen:
                seen.add(step)
                setting.say(shlex.join(step.words) + ("   # there already" if step.makes.exists() else ""))
    rows = [[config.name, *recipe.hardware(config)] for config in CONFIGS]
    setting.say("\n" + markdown(["", "hardware", "hours a seed (estimated)"], rows))
    if recipe.way == "lora":
        setting.say("Departs from the paper: " + "; ".join(DEVIATIONS))


def train(setting: Setting, recipe: Recipe) -> None:
    """Run the steps whose result is not there; trainers resume from their own checkpoints.

    Raises:
        CheckError: a command failed.
    """
    for config, seed in cells(setting):
        for step in recipe.steps(config, seed):
            if step.makes.exists():
                continue
            if recipe.way == "dry":
                setting.run(*step.words)
                continue
            setting.say(f"$ {shlex.join(step.words)}")
            words = [sys.executable if word == "python" else word for word in step.words]
            environment = dict(os.environ)
            if step.in_verl and setting.arguments.verl is not None:
                environment["PATH"] = (
                    f"{setting.arguments.verl.resolve() / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
                )
            status = subprocess.run(words, env=environment, check=False).returncode
            if status:
                raise CheckError(f"{config.name}, seed {seed}: {shlex.join(step.words)} ended with status {status}")


def model_of(config: Config, seed: int, place: int) -> Model:
    """The cell as a model to ask: like the released one, at a port of its own."""
    released = load_models()["TL-CodeLLaMA-2"]
    return replace(
        released,
        name=f"table5-{config.slug}.seed{seed}",
        endpoint=f"http://localhost:{FIRST_PORT + place}/v1",
        revision="",
    )


def serve(setting: Setting, recipe: Recipe) -> None:
    """Print the commands that serve the trained cells, one GPU each."""
    for place, (config, seed) in enumerate(cells(setting)):
        words = command(model_of(config, seed, place), setting.results / "templates", str(recipe.out(config, seed)))
        words[words.index("--port") + 1] = str(FIRST_PORT + place)
        setting.say(f"CUDA_VISIBLE_DEVICES={place % 8} {shlex.join(words)}")


def evaluate(setting: Setting) -> None:
    """Measure every cell, and print the means over seeds beside the paper."""
    printed = paper_table("table5")
    world = world_of(setting)
    setting.stack.callback(world.close)
    requests = requests_of(setting)
    measured: dict[str, list[dict[Key, Figure]]] = {}
    failures = []
    for place, (config, seed) in enumerate(cells(setting)):
        model = model_of(config, seed, place)
        found: dict[Key, Figure] = {}
        try:
            for benchmark in ("toolalpaca", "rotbench"):
                found |= figures_of_scores(score_cell(setting, model, benchmark, setting.need(*FILES[benchmark])))
            found |= figures_of_runs(runs_cell(setting, model, requests, world)[0])
        except TldataError as error:
            failures.append(f"{config.name}, seed {seed}: {error.message} ({endpoint_of(setting, model)})")
            setting.say(f"not measured: {failures[-1]}")
            continue
        measured.setdefault(config.name, []).append(found)
    rows = {name: over_seeds(found) for name, found in measured.items()}
    text = as_markdown(printed.columns, rows, printed)
    text += (
        "\nSeeds: "
        + ", ".join(f"{name}: {len(found)}" for name, found in measured.items())
        + "; several give their mean, and the interval is their range.\n"
    )
    if setting.arguments.lora:
        text += "\nDeparts from the paper: " + "; ".join(DEVIATIONS) + "\n"
    text += "".join(f"\nNot measured: {each}" for each in failures) + "\n"
    text += "\n" + "".join(f"- {note}\n" for note in printed.notes)
    found_json = {
        "figures": as_json(rows, printed),
        "seeds": {name: len(found) for name, found in measured.items()},
        "lora": setting.arguments.lora,
    }
    setting.write(
        found_json | {"not_measured": failures}, text, lambda path: draw(setting, path, printed.columns, rows, printed)
    )


def over_seeds(found: list[dict[Key, Figure]]) -> dict[Key, Figure]:
    """Figures of one seed as they are; of several the mean, with the smallest and the largest.

    >>> over_seeds([{("b", "TS"): Figure(40.0, 5)}, {("b", "TS"): Figure(60.0, 5)}])["b", "TS"]
    Figure(percent=50.0, n=5, low=40.0, high=60.0)
    """
    if len(found) == 1:
        return found[0]
    rows = {}
    for key in found[0]:
        values = [each[key].percent for each in found]
        known = [value for value in values if value is not None]
        rows[key] = Figure(mean(known), found[0][key].n, min(known), max(known)) if known else Figure(None, 0)
    return rows


def main(setting: Setting) -> None:
    """Do the stage that was asked for; a dry run does all of them on a tiny model."""
    stage = setting.arguments.stage or ("all" if setting.dry_run else "plan")
    setting.arguments.stage = stage
    recipe = recipe_of(setting)
    if stage in ("plan", "all"):
        plan(setting, recipe)
    if stage in ("train", "all"):
        train(setting, recipe)
    if stage in ("serve", "all"):
        serve(setting, recipe)
    if stage in ("evaluate", "all"):
        evaluate(setting)


if __name__ == "__main__":
    options = with_world(with_models(parser(__doc__, "python -m reproduce.table5 --stage plan --seeds 0,1,2")))
    options.add_argument(
        "--stage", choices=["plan", "train", "serve", "evaluate", "all"], help="[default: plan; in a dry run all]"
    )
    options.add_argument(
        "--configs", metavar="NAMES", help=f"with commas: {', '.join(c.slug for c in CONFIGS)} [default: all]"
    )
    options.add_argument("--seeds", default="0", help="with commas [0]")
    options.add_argument("--lora", action="store_true", help="one GPU: LoRA and GRPO, a departure from the paper")
    options.add_argument(
        "--verl", type=Path, metavar="FOLDER", help="virtual environment that holds verl [default: the PATH's]"
    )
    options.add_argument("--base", metavar="MODEL", help="what is trained [default: CodeLLaMA-2 of models.toml]")
    sys.exit(run_script(main, read(options, "table5")))
