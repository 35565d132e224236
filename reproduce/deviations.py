"""What each choice changes where our default, the paper and the released code differ, as far as it can be measured without GPUs.

python -m reproduce.deviations --offline ../shared/data      # the measured table of docs/deviations.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

import tldata
from reproduce.data import need
from reproduce.setting import Setting, markdown, parser, read, run_script
from reproduce.table1 import tiny_model
from reproduce.table3 import FILES
from reproduce.table4 import TRAINING
from tldata.demo import write_demo
from tldata.errors import InputError
from tldata.evaluate import read_benchmark
from tldata.evaluate.runs import score_runs
from tldata.tokenize import tokenize

LIKE_PAPER = {"layout": "turn", "mask": "paper", "pkt": "on", "w_max": 9.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "segment": {"layout": "segment"},
    "turn": {},
    "no-cap": {"w_max": 1e6},
    "mask-none": {"mask": "none"},
    "mask-model": {"mask": "model"},
    "scope-call": {"mask_scope": "call"},
    "pkt-authors": {"pkt": "authors"},
}
CAPS = (4.0, 9.0, 1e6)


@dataclass(frozen=True, slots=True)
class Source:
    """Data to measure on: a name, a file, and the tokenizer and chat format with which it is tokenised."""

    name: str
    path: Path
    tokenizer: str
    template: str


def sources(setting: Setting) -> Iterator[Source]:
    """Demo data, the authors' raw form, and tau-bench where it is there; tokenizers of the data folder, or a tiny one."""
    folder = setting.data()
    demo = setting.folder("deviations") / "demo.jsonl"
    write_demo(demo, setting.arguments.trajectories, seed=0)
    tokenizers = {name: folder / "tokenizers" / name for name in ("qwen2.5", "llama2")}
    chosen = {name: str(path) if path.is_dir() else tiny_model(setting) for name, path in tokenizers.items()}
    yield Source(f"demo ({setting.arguments.trajectories})", demo, chosen["qwen2.5"], "qwen-2.5")
    for name, part, kind, template in (
        ("tau-bench", "tau_bench/gpt-4o-airline.json", "qwen2.5", "qwen-2.5"),
        ("authors' form", TRAINING, "llama2", "tl-codellama-2"),
    ):
        try:
            yield Source(name, need(folder, [part], offline=True)[0], chosen[kind], template)
        except InputError:
            setting.say(f"{part}: not there, left out")


@dataclass(slots=True)
class Weights:
    """A token set as numbers: of each row how many tokens it has, and of each token in the loss its weight and whether it is key."""

    lengths: np.ndarray
    sums: np.ndarray
    weights: np.ndarray
    key: np.ndarray


def weights_of(folder: Path) -> Weights:
    """Read a token set."""
    table = pq.read_table(
        sorted(folder.glob("*.parquet")), columns=["n_tokens", "loss_weights", "loss_mask", "key_mask"]
    )
    flat = {name: pc.list_flatten(table[name]).to_numpy() for name in ("loss_weights", "loss_mask", "key_mask")}
    inside = flat["loss_mask"].astype(bool)
    lengths = table["n_tokens"].to_numpy()
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    sums = np.add.reduceat(np.where(inside, flat["loss_weights"], 0.0), starts)
    return Weights(lengths, sums, flat["loss_weights"][inside].astype(float), flat["key_mask"][inside].astype(bool))


def percent(part: float, whole: float) -> float:
    """100 * part / whole, and 0 of nothing."""
    return float(100.0 * part / whole) if whole else 0.0


def measure_tokens(source: Source, dataset: Path) -> dict[str, float]:
    """What layout, normaliser, cap, mask, its scope and the authors' key tokens change in a source's tokens."""
    sets = {}
    for name, options in VARIANTS.items():
        tokenize(
            dataset, source.tokenizer, template=source.template, name=name, overwrite=True, **{**LIKE_PAPER, **options}
        )
        sets[name] = weights_of(dataset / "tokens" / name)
    segment, turn, free, authors = (sets[name] for name in ("segment", "turn", "no-cap", "pkt-authors"))
    longest = np.sort(segment.sums)[::-1][: max(1, len(segment.sums) // 10)]
    loss = {name: len(found.weights) for name, found in sets.items()}
    found: dict[str, float] = {
        "rows, layout turn": len(turn.lengths),
        "rows, layout segment": len(segment.lengths),
        "tokens, layout turn": int(turn.lengths.sum()),
        "tokens, layout segment": int(segment.lengths.sum()),
        "optimizer steps of an epoch at batch 4, turn": -(-len(turn.lengths) // 4),
        "optimizer steps of an epoch at batch 4, segment": -(-len(segment.lengths) // 4),
        "normaliser weights: loss share of the heaviest tenth of rows (sample: 10), %": percent(
            longest.sum(), segment.sums.sum()
        ),
        "tokens in the loss, mask paper": loss["turn"],
        "tokens in the loss, mask model": loss["mask-model"],
        "tokens in the loss, mask none": loss["mask-none"],
        "tokens in the loss, mask scope call": loss["scope-call"],
        "key tokens that W_max = 9 caps, %": percent(float((free.weights[free.key] > 9).sum()), float(free.key.sum())),
    }
    for cap in CAPS:
        clipped = np.minimum(free.weights, cap)
        name = "no cap" if cap > 1e5 else f"W_max = {cap:g}"
        found[f"weight on key tokens, {name}, % of the loss"] = percent(clipped[free.key].sum(), clipped.sum())
    mean_key = {
        name: float(each.weights[each.key].mean()) if each.key.any() else 0.0
        for name, each in (("on", turn), ("authors", authors))
    }
    found["mean weight of a key token, pkt on"] = mean_key["on"]
    found["mean weight of a key token, pkt authors"] = mean_key["authors"]
    return found


def measure_prompts(dataset: Path, folder: Path) -> dict[str, float]:
    """How many prompts reinforcement learning gets, by the option ``--prompts``."""
    from tldata.export import export

    found = {}
    for kind in ("message", "trajectory"):
        report = export(dataset, "rl", folder / f"{kind}.jsonl", prompts=kind)
        found[f"prompts for reinforcement learning, one a {kind}"] = report.to_json()["prompts"]
    return found


def measure_calls(dataset: Path) -> dict[str, float]:
    """Errors by our verdicts, and arguments that the authors' comparison of values (single-quoted strings only) does not see."""
    data = tldata.open(dataset)
    calls = data.sql("SELECT arguments, is_error FROM calls WHERE tool_name IS NOT NULL").to_pylist()
    values = [json.loads(row["arguments"] or "{}") for row in calls if _is_json(row["arguments"])]
    other = sum(any(not isinstance(v, str) for v in each.values()) for each in values if isinstance(each, dict))
    trajectories = data.sql("SELECT count(*) AS n, count(*) FILTER (n_errors > 0) AS k FROM trajectories").to_pylist()[
        0
    ]
    return {
        "trajectories with an erroneous call, our verdicts, %": percent(trajectories["k"], trajectories["n"]),
        "calls with a value that is no string, so unseen by the authors' comparison, %": percent(other, len(values)),
    }


def measure_turns(dataset: Path) -> dict[str, float]:
    """Assistant messages that a user message follows: the released data script makes no training sample of them."""
    query = """
        SELECT count(*) AS n, count(*) FILTER (following = 'user') AS k FROM (
            SELECT role, lead(role) OVER (PARTITION BY trajectory_id ORDER BY turn) AS following FROM messages
        ) WHERE role = 'assistant'
    """
    row = tldata.open(dataset).sql(query).to_pylist()[0]
    return {"assistant messages": row["n"], "of them, followed by the user (no sample in the released code)": row["k"]}


def _is_json(text: str | None) -> bool:
    try:
        json.loads(text or "{}")
    except ValueError:
        return False
    return True


def measure_authors_rule(source: Source, folder: Path) -> float:
    """Share of trajectories with an erroneous call under the authors' rule, in percent."""
    summary = tldata.annotate(str(source.path), folder, overwrite=True, rules="authors")
    row = (
        tldata.open(summary.path)
        .sql("SELECT count(*) AS n, count(*) FILTER (n_errors > 0) AS k FROM trajectories")
        .to_pylist()[0]
    )
    return percent(row["k"], row["n"])


def measure_rewards(setting: Setting) -> dict[str, float]:
    """Rewards of golds of RoTBench (Clean) whose first parameter is renamed, by the code's sum and by Figure 2's -0.8.

    The released reward reads only values in single quotes. Its data script writes values as JSON, so none has any; the model card's
    dialect puts texts in them.
    """
    from tltrain_plugin import score_call

    (path,) = setting.need(*FILES["rotbench"])
    totals, values = [], []
    for example in read_benchmark("rotbench", [path]):
        if example.unreadable or example.gold is None:
            continue
        golds = example.gold_calls() or []
        call = golds[0][0]
        values += call["arguments"].values()
        if call["arguments"]:
            first, *rest = call["arguments"].items()
            spoilt = {"no_such_parameter": first[1], **dict(rest)}
            totals.append(score_call([{"name": call["name"], "arguments": spoilt}], golds, example.tools).total)
    return {
        "golds of RoTBench with a parameter": len(totals),
        "mean reward with a parameter renamed, the code's sum": float(np.mean(totals)),
        "the same in Figure 2": -0.8,
        "arguments of these golds": len(values),
        "of them, seen by the released comparison ('text' only) in the data script's dialect": 0,
        "of them, seen in the model card's dialect": sum(
            isinstance(value, str) and "'" not in value for value in values
        ),
    }


def measure_denominators(dataset: Path) -> dict[str, float]:
    """DE and CE of a dataset of runs over the three denominators that the paper leaves open."""
    over = score_runs(dataset).to_json()["over"]
    return {
        f"{metric} over {kind}, %": over[metric][kind]["percent"] or 0.0
        for metric in ("DE", "CE")
        for kind in ("calls", "trajectories", "errors")
    }


def main(setting: Setting) -> None:
    """Measure everything, and print one table of sources, and one of what has no source."""
    columns: dict[str, dict[str, float]] = {}
    for source in sources(setting):
        folder = setting.folder("deviations", source.name.split(" ", 1)[0].replace("'", ""))
        setting.say(f"measure {source.name}: {source.path.name}")
        dataset = Path(tldata.annotate(str(source.path), folder / "ours", overwrite=True).path)
        found = (
            measure_tokens(source, dataset)
            | measure_prompts(dataset, folder)
            | measure_calls(dataset)
            | measure_turns(dataset)
        )
        found["trajectories with an erroneous call, the authors' rule, %"] = measure_authors_rule(
            source, folder / "authors"
        )
        columns[source.name] = found | measure_denominators(dataset)
    names = list(dict.fromkeys(name for found in columns.values() for name in found))
    table = markdown(["", *columns], [[name, *(found.get(name) for found in columns.values())] for name in names])
    rewards = measure_rewards(setting)
    table += "\n" + markdown(["reward", "value"], [[name, value] for name, value in rewards.items()])
    setting.write({"sources": columns, "rewards": rewards}, table)


if __name__ == "__main__":
    options = parser(__doc__, "python -m reproduce.deviations --offline ../shared/data")
    options.add_argument("--trajectories", type=int, default=300, help="of demo data [300]")
    sys.exit(run_script(main, read(options, "deviations")))
