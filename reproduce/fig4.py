"""Figure 4: TL-CodeLLaMA-2 and RoTLLaMA under RoTBench's five levels of noise.

The paper's bars carry no printed numbers; its text says that TL-CodeLLaMA-2 matches or exceeds RoTLLaMA in all aspects.
"""

from __future__ import annotations

import sys
from pathlib import Path

from reproduce.ask import score_cell
from reproduce.beside import Figure, figure_of
from reproduce.models import choose
from reproduce.setting import Setting, drawing, markdown, parser, read, run_script, with_models
from tldata.errors import TldataError
from tldata.evaluate.benchmarks.rotbench import LEVELS
from tldata.evaluate.score import METRICS

COLOURS = ("#003f6b", "#d55e00", "#8a9099", "#009e73")
Rows = dict[str, dict[tuple[str, str], Figure]]  # model -> (level, metric)


def main(setting: Setting) -> None:
    """Ask each model on each level, and print where the first is at least as good as the second."""
    rows: Rows = {}
    failures = []
    for model in choose(setting.arguments.models, "fig4"):
        for level in LEVELS:
            try:
                scores = score_cell(
                    setting, model, "rotbench", setting.need(f"rotbench/first_turn/{level}.json"), f"rotbench-{level}"
                )
            except TldataError as error:
                failures.append(f"{model.name}, {level}: {error.message}")
                setting.say(f"not measured: {failures[-1]}")
                break
            right, n = scores.summary()["right"], scores.summary()["n"]
            rows.setdefault(model.name, {}).update({(level, m): figure_of(right[m], n) for m in METRICS})
    text = markdown(
        ["", *(f"{level} {metric}" for level in LEVELS for metric in METRICS)],
        [[name, *(_shown(row.get((level, m))) for level in LEVELS for m in METRICS)] for name, row in rows.items()],
    )
    text += "\n" + claim(rows)
    text += "".join(f"\nNot measured: {each}" for each in failures) + "\n"
    cells = [
        {
            "model": name,
            "level": level,
            "metric": metric,
            "percent": figure.percent,
            "n": figure.n,
            "interval": [figure.low, figure.high],
        }
        for name, row in rows.items()
        for (level, metric), figure in row.items()
    ]
    setting.write({"cells": cells, "not_measured": failures}, text, lambda path: draw(setting, path, rows))


def _shown(figure: Figure | None) -> float | None:
    return None if figure is None else figure.percent


def claim(rows: Rows) -> str:
    """Whether the first model matches or exceeds the second in each aspect, as the paper says of its two."""
    if len(rows) < 2:
        return (
            "The paper: TL-CodeLLaMA-2 matches or exceeds RoTLLaMA in all aspects. Here only one of two was measured.\n"
        )
    (name, first), (other, second) = list(rows.items())[:2]
    both = [key for key in first if key in second]
    held = [key for key in both if (first[key].percent or 0) >= (second[key].percent or 0)]
    return f"The paper: {name} matches or exceeds {other} in all aspects. Here in {len(held)} of {len(both)}.\n"


def draw(setting: Setting, path: Path, rows: Rows) -> None:
    """A panel for each metric, the levels along it, a line for each model with its 95% intervals."""
    with drawing(setting) as figure:
        panels = figure.subplots(1, len(METRICS), sharey=True)
        for panel, metric in zip(panels, METRICS, strict=True):
            for colour, (name, row) in zip(COLOURS * len(rows), rows.items(), strict=False):
                shown = [(place, row[level, metric]) for place, level in enumerate(LEVELS) if (level, metric) in row]
                places = [place for place, _ in shown]
                panel.plot(places, [each.percent for _, each in shown], "o-", color=colour, label=name, markersize=4)
                panel.vlines(
                    places, [each.low for _, each in shown], [each.high for _, each in shown], color=colour, alpha=0.4
                )
            panel.set_title(metric, fontsize=9)
            panel.set_xticks(range(len(LEVELS)), LEVELS, rotation=30)
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("% right, with 95% interval")
        if rows:
            panels[0].legend(fontsize=7, frameon=False)
        figure.suptitle(setting.title("Figure 4: RoTBench's five levels"), fontsize=10)
    figure.savefig(path)


if __name__ == "__main__":
    options = with_models(parser(__doc__, "python -m reproduce.fig4 --models TL-CodeLLaMA-2"))
    sys.exit(run_script(main, read(options, "fig4")))
