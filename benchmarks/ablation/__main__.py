"""Table 5 of the paper in small, from nothing: data, base model, eight configurations, measurement, tables and plots.

    python -m benchmarks.ablation [--quick] [--more] [--seeds 3] [-o ablation-results]

Cells that are done are not done again: a killed run goes on where it was. Tables and plots are written after each seed.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TQDM_DISABLE", "1")

from benchmarks.ablation.cells import Experiment, results
from benchmarks.ablation.design import FULL, LEVELS, MORE, NOISY, QUICK, TABLE_5, Configuration
from benchmarks.ablation.table import markdown, plot, summarise
from benchmarks.common import machine

# What each variant beyond the paper is compared with.
BASELINES = {
    "irm-grpo": "irm",
    "mae-irm-grpo": "mae-irm",
    "pkt-irm-grpo": "pkt-irm",
    "all-grpo": "all",
    "w-max-1": "pkt",
    "w-max-3": "pkt",
    "w-max-27": "pkt",
    "mae-errors5": "none-errors5",
    "none-errors5": "none-errors5",
    "mae-errors40": "none-errors40",
    "none-errors40": "none-errors40",
    "mae-pkt-turn": "mae-pkt",
}


def run(root: Path, quick: bool, more: bool, seeds: int) -> dict[str, Any]:
    """Do what is not done yet, and write the tables; returns the facts of the JSON line."""
    chosen = TABLE_5 | MORE if more else TABLE_5
    measured: dict[str, list[dict[str, Any]]] = {key: [] for key in chosen}
    noisy: dict[str, list[dict[str, Any]]] = {key: [] for key in NOISY}
    for seed in range(seeds):
        experiment = Experiment(root, QUICK if quick else FULL, seed)
        for key, configuration in chosen.items():
            measured[key].append(experiment.measured(key, configuration))
        for key in NOISY:
            noisy[key].append(experiment.under_noise(key, TABLE_5[key]))
        write(root, {key: measured[key] for key in TABLE_5}, noisy, chosen, quick)
        if more:
            write_more(root, measured, chosen)
    seconds = {result["cell"]: result["seconds"] for result in results(root)}
    return {"seeds": seeds, "hours": sum(result["seconds"] for result in results(root)) / 3600, "seconds": seconds}


def write(root: Path, measured: Any, noisy: Any, chosen: Mapping[str, Configuration], quick: bool) -> None:
    """Table 5 for seen and unseen tools, Table 1's split, and Figure 4, as Markdown and pictures."""
    labels = {key: configuration.label for key, configuration in chosen.items()}
    note = "Quick run: shows that the path works, its figures mean nothing.\n\n" if quick else ""
    for part in ("seen", "unseen"):
        table = summarise(measured, part=part)
        (root / f"table5-{part}.md").write_text(note + markdown(table, labels), encoding="utf-8")
        plot(
            table,
            labels,
            root / f"table5-{part}.png",
            title=f"Tools {part} in training" + (" (quick run)" if quick else ""),
        )
    lines = ["| | clean | " + " | ".join(LEVELS) + " |", "|---|" + "---|" * (len(LEVELS) + 1)]
    for metric in ("TS", "PI", "CF"):
        for key in NOISY:
            clean = summarise({key: measured[key]}, baseline=key, metrics=(metric,)).figures[key][metric]
            others = [
                summarise({key: noisy[key]}, baseline=key, part=level, metrics=(metric,)).figures[key][metric]
                for level in LEVELS
            ]
            cells = [f"{f.value:.1f} [{f.low:.1f}, {f.high:.1f}]" for f in (clean, *others)]
            lines.append(f"| {metric}, {labels[key]} | " + " | ".join(cells) + " |")
    (root / "figure4.md").write_text(note + "\n".join(lines) + "\n", encoding="utf-8")


def write_more(root: Path, measured: Any, chosen: Mapping[str, Configuration]) -> None:
    """What goes beyond the paper, each variant beside what it is compared with; and the cost of the layouts."""
    labels = {key: configuration.label for key, configuration in chosen.items()}
    wanted = [key for pair in BASELINES.items() for key in reversed(pair)]
    rows = {key: measured[key] for key in dict.fromkeys(wanted)}
    baseline = {key: BASELINES.get(key, key) for key in rows}
    text = markdown(summarise(rows, baseline=baseline), labels, baseline=baseline)
    (root / "more.md").write_text(text, encoding="utf-8")
    cost = ["| layout | rows | tokens | minutes | loss on held-out calls |", "|---|---|---|---|---|"]
    for result in results(root):
        if result["cell"] in (chosen["mae-pkt"].sft, chosen["mae-pkt-turn"].sft):
            counts, train = result["counts"], result["train"]
            cells = (counts["rows"], counts["tokens"], f"{result['seconds'] / 60:.1f}", f"{train['eval_loss']:.4f}")
            cost.append(
                f"| {result['recipe']['layout']} (seed {result['seed']}) | " + " | ".join(map(str, cells)) + " |"
            )
    (root / "cost.md").write_text("\n".join(cost) + "\n", encoding="utf-8")


def main() -> None:
    """Parse the command line, run, print the main table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="a tiny run that shows that all works; one seed unless --seeds says"
    )
    parser.add_argument(
        "--more", action="store_true", help="also GRPO, w_max, error shares and layouts; one seed unless --seeds says"
    )
    parser.add_argument("--seeds", type=int, default=None, help="default 3")
    parser.add_argument(
        "-o", "--output", type=Path, default=None, help="default ablation-results, with --quick ablation-quick"
    )
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0: torch's default")
    options = parser.parse_args()
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    seeds = options.seeds or (1 if options.quick or options.more else 3)
    root = options.output or Path("ablation-quick" if options.quick else "ablation-results")
    facts = run(root, options.quick, options.more, seeds)
    print(f"\n{(root / 'table5-seen.md').read_text(encoding='utf-8')}")
    print(f"tables and plots: {root}")
    print(json.dumps({"benchmark": "ablation", "machine": machine(), **facts}))


if __name__ == "__main__":
    main()
