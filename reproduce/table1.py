"""Table 1: where ToolLLaMA-2 and NexusRaven-2 go wrong on RoTBench (Clean), and the forced-token probe of section 2."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from reproduce.ask import cell, score_cell
from reproduce.models import Model, choose
from reproduce.setting import Setting, drawing, markdown, parser, read, run_script, with_models
from tldata.errors import TldataError, UsageError
from tldata.evaluate.name_tokens import NameTokens
from tldata.evaluate.paper import load
from tldata.evaluate.probe import probe_benchmark
from tldata.evaluate.table1 import Splitter

CLEAN = "rotbench/first_turn/clean.json"


def tiny_model(setting: Setting) -> str:
    """A model of `tltrain init-tiny`, for dry runs."""
    folder = setting.results / "tiny"
    if not (folder / "config.json").is_file():
        setting.run("tltrain", "init-tiny", folder, "--vocab-size", "600", "--overwrite")
    return str(folder)


def weights_of(setting: Setting, model: Model) -> str:
    """Folder or hub id of a model's weights, whose tokenizer splits names and which the probe runs."""
    given = dict(pair.split("=", 1) for pair in setting.arguments.weights if "=" in pair)
    found = given.get(model.name) or (tiny_model(setting) if setting.dry_run else model.hub)
    if not found:
        raise UsageError(f"{model.name}: no weights are known", hint=f"--weights {model.name}=FOLDER")
    return found


def rows_of(measured: dict[str, dict[str, Any]]) -> list[list[Any]]:
    """One row an error kind: for each model its share here with k and n, and the paper's."""
    data = load("table1")
    rows = []
    for place, column in enumerate(data["column"]):
        row: list[Any] = [f"{column['aspect']}: {column['error']}"]
        for printed in data["row"]:
            part = measured.get(printed["name"], {}).get(column["aspect"], {}).get(column["error"])
            row.append("-" if part is None or not part[1] else f"{100 * part[0] / part[1]:.2f} ({part[0]}/{part[1]})")
            row.append(f"{printed['value'][place]:.2f} ({printed['k'][place]}/{printed['n'][place]})")
        rows.append(row)
    return rows


def shares(table: dict[str, Any]) -> dict[str, dict[str, tuple[int, int]]]:
    """k and n of each error kind by aspect, as the paper counts: names over wrong tools that fit a kind."""
    kinds = ("first", "prefix")
    named = sum(table["tool"].get(kind, {"k": 0})["k"] for kind in kinds)
    found = {"tool": {kind: (table["tool"].get(kind, {"k": 0})["k"], named) for kind in kinds}}
    for name in ("parameter", "content"):
        part = table[name]
        found[name] = {kind: (share["k"], part["n"]) for kind, share in part.items() if isinstance(share, dict)}
    return found


def main(setting: Setting) -> None:
    """Ask, split the errors, probe, print."""
    answers = setting.need(CLEAN)
    measured, probes, failures = {}, [], []
    for model in choose(setting.arguments.models, "table1"):
        try:
            weights = weights_of(setting, model)
            splitter = Splitter(tokens=NameTokens.load(weights))
            scores = score_cell(setting, model, "rotbench", answers, splitter=splitter)
            measured[model.name] = shares(scores.table_1())
            if not setting.arguments.no_probe:
                probes.append(_probe(setting, model, weights, answers))
        except TldataError as error:
            failures.append(f"{model.name}: {error.message}")
            setting.say(f"not measured: {failures[-1]}")
    data = load("table1")
    heads = [head for row in data["row"] for head in (f"{row['name']} here", "paper")]
    text = markdown(["", *heads], rows_of(measured))
    if probes:
        columns = [
            "forced-token probe",
            "examples",
            "wrong tool",
            "probed",
            "right after one forced token",
            "of them, name still open",
        ]
        text += "\nThe first wrong token of the name set right, the rest greedy (section 2 says that this can correct the call, without a number):\n\n"
        text += markdown(
            columns, [[p["model"], p["examples"], p["wrong"], p["n"], p["right"], p["right_name_open"]] for p in probes]
        )
    text += "".join(f"\nNot measured: {each}" for each in failures) + "\n"
    setting.write(
        {"shares": measured, "probe": probes, "not_measured": failures},
        text,
        lambda path: draw(setting, path, measured),
    )


def _probe(setting: Setting, model: Model, weights: str, answers: list[Path]) -> dict[str, Any]:
    found = probe_benchmark(
        "rotbench",
        weights,
        answers=answers,
        predictions=cell(setting, model, "rotbench"),
        template=model.template,
        system="own" if model.own_prompt else "none",
        max_tokens=16 if setting.dry_run else 256,
        device=setting.arguments.device,
        output=cell(setting, model, "probe"),
    )
    return {"model": model.name, **found.to_json()}


def draw(setting: Setting, path: Path, measured: dict[str, dict[str, Any]]) -> None:
    """Bars of each kind's share, ours beside the paper's, a panel for each model."""
    data = load("table1")
    names = [f"{column['aspect']}: {column['error']}" for column in data["column"]]
    with drawing(setting, 7.2, 3.6) as figure:
        panels = figure.subplots(1, len(data["row"]), sharey=True)
        for panel, row in zip(panels, data["row"], strict=True):
            for place, column in enumerate(data["column"]):
                k, n = measured.get(row["name"], {}).get(column["aspect"], {}).get(column["error"], (0, 0))
                panel.barh(
                    place - 0.2, 100 * k / n if n else 0, 0.38, color="#003f6b", label="here" if not place else None
                )
                panel.barh(
                    place + 0.2, row["value"][place], 0.38, color="#d55e00", label="paper" if not place else None
                )
            panel.set_title(row["name"], fontsize=9)
            panel.set_xlabel("%")
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].invert_yaxis()
        panels[0].legend(fontsize=7, frameon=False)
        figure.suptitle(setting.title("Table 1: kinds of errors"), fontsize=10)
    figure.savefig(path)


if __name__ == "__main__":
    options = with_models(parser(__doc__, "python -m reproduce.table1 --device cuda"))
    options.add_argument("--device", default="cpu", help="where the probe runs: cpu, cuda, cuda:1")
    options.add_argument(
        "--no-probe", action="store_true", help="leave the probe out: it needs the weights on this machine"
    )
    options.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="weights, also of another hub id [default: models.toml]",
    )
    sys.exit(run_script(main, read(options, "table1")))
