"""Table 4: nine models act on ToolEyes' 382 queries with its tools; DE, CE and VA beside the paper's, and how test and training overlap."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import tldata
from reproduce.ask import ask_multi, overlong, tooleyes_requests
from reproduce.beside import as_json, as_markdown, draw, figures_of_runs
from reproduce.models import Model, choose
from reproduce.overlap import overlap, overlap_text
from reproduce.sample import write_sample
from reproduce.setting import Setting, markdown, parser, read, run_script, with_models
from tldata.errors import InputError, TldataError
from tldata.evaluate.paper import paper_table
from tldata.evaluate.runner_requests import Request
from tldata.evaluate.runs import RunScores, score_runs
from tldata.evaluate.worlds import World, open_world
from tldata.evaluate.worlds_health import check_world, share_dead

QUERIES, LIBRARY, TRAINING = (
    "tooleyes/scenario_data_zero_processed.json",
    "tooleyes/Tool_Library",
    "tl_training/raw_data.json",
)

FEW = 20  # queries of a dry run


def with_world(options: Any) -> Any:
    """Add the options of scripts whose models act with tools."""
    options.add_argument(
        "--tools", metavar="FOLDER", help="tools in ToolEyes' shape, or a Python file [default: of the data folder]"
    )
    options.add_argument("--keys", type=Path, help="JSON file of the services' keys: toolbox or * -> name -> key")
    options.add_argument("--cache", type=Path, help="SQLite file that records what tools say [default: in the results]")
    options.add_argument("--replay", action="store_true", help="only what is recorded is answered; no tool runs")
    options.add_argument("--max-turns", type=int, default=9, help="assistant messages of a trajectory at most [9]")
    return options


def requests_of(setting: Setting) -> list[Request]:
    """ToolEyes' queries; a dry run takes the first few, with the sample's tools where the data folder has none."""
    requests = tooleyes_requests(setting.need(QUERIES)[0])
    if not setting.dry_run:
        return requests
    whole = (setting.data() / LIBRARY).is_dir() and setting.arguments.tools is None
    return [request if whole else replace(request, toolbox="") for request in requests[:FEW]]


def world_of(setting: Setting) -> World:
    """The tools, with a record of what they said, so that every model gets the same answer to the same call."""
    given = setting.arguments
    if setting.dry_run and given.tools is None and not (setting.data() / LIBRARY).is_dir():
        tools = str(write_sample(setting.results / "data") / LIBRARY)
    else:
        tools = given.tools or str(setting.need(LIBRARY)[0])
    cache = given.cache or setting.folder() / "world.sqlite"
    return open_world(tools, keys=given.keys, cache=cache, offline=given.replay)


def runs_cell(setting: Setting, model: Model, requests: list[Request], world: World) -> tuple[RunScores, int]:
    """A model's trajectories annotated and measured; how many ended beyond the context."""
    path = ask_multi(setting, model, requests, world, "tooleyes", setting.arguments.max_turns)
    dataset = tldata.annotate(str(path), path.with_suffix(".tldata"), overwrite=True, prefixes="keep").path
    return score_runs(dataset, setting.arguments.max_turns), overlong(path)


def main(setting: Setting) -> None:
    """Act, annotate, measure, print."""
    printed = paper_table("table4")
    requests = requests_of(setting)
    world = world_of(setting)
    setting.stack.callback(world.close)
    health = share_dead(check_world(world, workers=4))
    setting.say(f"{health['dead']:,} of {health['tools']:,} tools are dead")
    rows, failures, details = {}, [], []
    for model in choose(setting.arguments.models, "table4"):
        if model.single_turn:
            failures.append(f"{model.name}: takes no feedback (the paper's footnote 8)")
            continue
        try:
            scores, beyond = runs_cell(setting, model, requests, world)
        except TldataError as error:
            failures.append(f"{model.name}: {error.message}")
            setting.say(f"not measured: {failures[-1]}")
            continue
        rows[model.name] = figures_of_runs(scores)
        over = scores.to_json()["over"]
        others = [over[metric][kind]["percent"] for kind in ("trajectories", "errors") for metric in ("DE", "CE")]
        details.append([model.name, *others, beyond])
    text = as_markdown(printed.columns, rows, printed)
    text += f"\nOf {health['tools']:,} tools, {health['dead']:,} are dead; their errors are no model's doing. DE and CE are over calls with feedback.\n"
    text += "\nThe paper leaves the denominator open; over the others:\n\n"
    heads = ["", "DE of trajectories", "CE of trajectories", "DE of errors", "CE of errors", "ended beyond the context"]
    text += markdown(heads, details)
    text += "".join(f"\nNot measured: {each}" for each in failures) + "\n"
    shared = _overlap(setting)
    text += "\n" + (overlap_text(shared) if isinstance(shared, dict) else f"Overlap with the training data: {shared}\n")
    found = {
        "figures": as_json(rows, printed),
        "other_denominators": details,
        "world": health,
        "overlap": shared,
        "not_measured": failures,
    }
    setting.write(found, text, lambda path: draw(setting, path, printed.columns, rows, printed))


def _overlap(setting: Setting) -> dict[str, Any] | str:
    """The overlap, or why there is none to print."""
    try:
        return overlap(setting.need(TRAINING)[0], setting.need(QUERIES)[0])
    except InputError as error:
        return error.message


if __name__ == "__main__":
    options = with_world(
        with_models(parser(__doc__, "python -m reproduce.table4 --models TL-CodeLLaMA-2 --keys keys.json"))
    )
    sys.exit(run_script(main, read(options, "table4")))
