"""What was measured here beside what the paper prints: one table, its JSON, and a plot with a pair of marks for each figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reproduce.setting import Setting, drawing
from tldata.evaluate import Scores
from tldata.evaluate.intervals import wilson
from tldata.evaluate.paper import NAMES, PaperTable
from tldata.evaluate.runs import RunScores
from tldata.evaluate.score import METRICS

Key = tuple[str, str]  # benchmark, metric
ARROWS = {"DE": "↓", "CE": "↓"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure in percent over n, with its 95% interval (Wilson's for shares of examples, the bootstrap's for DE and CE)."""

    percent: float | None
    n: int
    low: float | None = None
    high: float | None = None


def figure_of(k: int, n: int) -> Figure:
    """k of n with Wilson's interval.

    >>> figure_of(97, 105).percent
    92.38095238095238
    """
    around = wilson(k, n)
    return Figure(None, 0) if around is None else Figure(100 * k / n, n, 100 * around.low, 100 * around.high)


def figures_of_scores(scores: Scores) -> dict[Key, Figure]:
    """TS, PI and CF of a file of answers."""
    found = {}
    summary = scores.summary()
    for metric in METRICS:
        found[scores.benchmark, metric] = figure_of(summary["right"][metric], summary["n"])
    return found


def figures_of_runs(scores: RunScores) -> dict[Key, Figure]:
    """DE, CE (over calls with feedback) and VA of a model's trajectories."""
    row = scores.to_json()
    parts = {"DE": row["over"]["DE"]["calls"], "CE": row["over"]["CE"]["calls"], "VA": row["valid_answers"]}
    found = {}
    for metric, part in parts.items():
        low, high = part["interval"] or (None, None)
        found["tooleyes", metric] = Figure(part["percent"], part["n"], low, high)
    return found


def as_markdown(columns: Sequence[Key], rows: Mapping[str, Mapping[Key, Figure]], printed: PaperTable | None) -> str:
    """One line a model: here, the paper's figure in brackets, a star where that lies outside our interval.

    Args:
        columns: benchmark and metric of each column.
        rows: model -> figures; a figure that was not measured is missing.
        printed: the paper's table; models that only it has are lines without figures of ours.
    """
    names = list(dict.fromkeys([*rows, *(printed.values if printed else ())]))
    lines = ["| | " + " | ".join(heading(key) for key in columns) + " |", "|---|" + "--:|" * len(columns)]
    lines += [
        f"| {name} | " + " | ".join(_cell(name, key, rows.get(name, {}).get(key), printed) for key in columns) + " |"
        for name in names
    ]
    notes = ["", "Here (the paper's figure); n of what was measured here:"]
    for benchmark in dict.fromkeys(key[0] for key in columns):
        told = [(metric, _sizes(rows, (benchmark, metric))) for name, metric in columns if name == benchmark]
        same = len({text for _, text in told}) == 1
        text = told[0][1] if same else "; ".join(f"{metric} {text}" for metric, text in told)
        notes.append(f"- {NAMES.get(benchmark, benchmark)}: {text}")
    notes += [
        "",
        "`*`: the paper's figure lies outside the 95% interval of ours. `?`: no count out of n gives the paper's figure.",
    ]
    return "\n".join([*lines, *notes]) + "\n"


def _sizes(rows: Mapping[str, Mapping[Key, Figure]], key: Key) -> str:
    """The n of a column: one number, or the smallest and the largest."""
    sizes = sorted({row[key].n for row in rows.values() if key in row})
    return "not measured" if not sizes else f"{sizes[0]:,}" + (f" to {sizes[-1]:,}" if len(sizes) > 1 else "")


def heading(key: Key) -> str:
    """A column's name with the direction in which it is better."""
    return f"{NAMES.get(key[0], key[0])} {key[1]} {ARROWS.get(key[1], '↑')}"


def _cell(name: str, key: Key, figure: Figure | None, printed: PaperTable | None) -> str:
    here = "-" if figure is None or figure.percent is None else f"{figure.percent:.2f}"
    value = None if printed is None else printed.values.get(name, {}).get(key)
    if printed is None or value is None:
        return here
    doubt = "?" if (name, *key) in printed.impossible else ""
    return f"{here} ({value:.2f}{doubt}){'*' if _outside(figure, value) else ''}"


def _outside(figure: Figure | None, value: float) -> bool:
    if figure is None or figure.low is None or figure.high is None:
        return False
    return not figure.low - 0.005 <= value <= figure.high + 0.005


def as_json(rows: Mapping[str, Mapping[Key, Figure]], printed: PaperTable | None) -> list[dict[str, Any]]:
    """One object a model and column, measured or printed."""
    names = list(dict.fromkeys([*rows, *(printed.values if printed else ())]))
    found = []
    for name in names:
        ours, theirs = rows.get(name, {}), (printed.values.get(name, {}) if printed else {})
        for key in dict.fromkeys([*ours, *theirs]):
            figure = ours.get(key)
            found.append(
                {
                    "model": name,
                    "benchmark": key[0],
                    "metric": key[1],
                    "here": None if figure is None else figure.percent,
                    "n": None if figure is None else figure.n,
                    "interval": None if figure is None or figure.low is None else [figure.low, figure.high],
                    "paper": theirs.get(key),
                }
            )
    return found


def draw(
    setting: Setting, path: Path, columns: Sequence[Key], rows: Mapping[str, Mapping[Key, Figure]], printed: PaperTable
) -> None:
    """A panel for each column: our figures with their intervals, the paper's as rings."""
    names = list(dict.fromkeys([*printed.values, *rows]))
    with drawing(setting, 1.6 + 1.25 * len(columns), 1.2 + 0.28 * len(names)) as figure:
        panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        for panel, key in zip(panels, columns, strict=True):
            for place, name in enumerate(names):
                ours, theirs = rows.get(name, {}).get(key), printed.values.get(name, {}).get(key)
                if ours is not None and ours.percent is not None:
                    if ours.low is not None:
                        panel.plot([ours.low, ours.high], [place, place], color="#8a9099", linewidth=2, zorder=1)
                    panel.plot([ours.percent], [place], "o", color="#003f6b", markersize=5, zorder=2)
                if theirs is not None:
                    panel.plot([theirs], [place], "o", markerfacecolor="none", color="#d55e00", markersize=7, zorder=3)
            panel.set_title(heading(key), fontsize=7)
            panel.tick_params(labelsize=7)
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].invert_yaxis()
        figure.suptitle(
            setting.title(f"{setting.name}: measured here (dots) and printed in the paper (rings)"), fontsize=9
        )
    figure.savefig(path)
