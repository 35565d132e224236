"""From the cells' results to figures: means over seeds, their spread, and intervals by resampling seeds and examples together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

RESAMPLES = 4_000
# Metric -> (part of the results, numbers above and below the line; below None: one an example), and whether more is better.
METRICS: Mapping[str, tuple[str, str, str | None, bool]] = {
    "TS": ("single", "TS", None, True),
    "PI": ("single", "PI", None, True),
    "CF": ("single", "CF", None, True),
    "DE": ("multi", "n_de", "n_answered", False),
    "CE": ("multi", "n_ce", "n_answered", False),
    "VA": ("multi", "valid", None, True),
    "solved": ("multi", "solved", None, True),
}
Results = Mapping[
    str, Sequence[Mapping[str, Any]]
]  # of a configuration: the cell's result of each seed, in the seeds' order


class Figure(NamedTuple):
    """A metric of a configuration, in percent: pooled over seeds, spread between them, and the difference from the baseline."""

    value: float
    spread: float  # standard deviation of the seeds' values; nan with one seed
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float

    @property
    def beyond(self) -> bool:
        """Whether the difference's interval leaves out 0."""
        return self.difference_low > 0 or self.difference_high < 0


@dataclass(frozen=True)
class Table:
    """Rows (configurations) by columns (metrics) for one part of the tests."""

    figures: Mapping[str, Mapping[str, Figure]]
    n: Mapping[str, int]  # examples a metric stands on, over all seeds
    seeds: int


def summarise(
    results: Results,
    *,
    baseline: str | Mapping[str, str] = "none",
    part: str = "seen",
    metrics: Sequence[str] = tuple(METRICS),
) -> Table:
    """Pool the seeds' results.

    Args:
        results: configuration -> one result a seed; all configurations have the same seeds and examples.
        baseline: configuration to compare with; a mapping gives each configuration its own.
        part: ``seen``, ``unseen`` or a level of noise.

    Returns:
        For each figure the 95% percentile intervals of 4,000 resamples: seeds are drawn, then the examples of each drawn seed,
        the same ones for all configurations, so that differences are paired.
    """
    figures: dict[str, dict[str, Figure]] = {key: {} for key in results}
    counts: dict[str, int] = {}
    for metric in metrics:
        arrays = {key: [_columns(result, metric, part) for result in found] for key, found in results.items()}
        first = next(iter(arrays.values()))
        counts[metric] = int(sum(len(under) for _, under in first))
        drawn = _resample([len(under) for _, under in first])
        values = {key: _ratios(columns, drawn) for key, columns in arrays.items()}
        for key, columns in arrays.items():
            other = baseline if isinstance(baseline, str) else baseline[key]
            figures[key][metric] = _figure(columns, values[key], arrays[other], values[other])
    return Table(figures, counts, len(next(iter(results.values()))))


def _figure(columns: list[Any], values: np.ndarray, other: list[Any], other_values: np.ndarray) -> Figure:
    value, base = _ratio(columns), _ratio(other)
    each = [_ratio([column]) for column in columns]
    spread = float(np.std(each, ddof=1)) if len(each) > 1 else float("nan")
    low, high = _middle(values)
    d_low, d_high = _middle(values - other_values)
    return Figure(value, spread, low, high, value - base, d_low, d_high)


def _middle(values: np.ndarray) -> tuple[float, float]:
    """The middle 95% of the resamples in which there was something to divide by."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


def _columns(result: Mapping[str, Any], metric: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    where, over, under, _ = METRICS[metric]
    found = result[where][part]
    above = np.asarray(found[over], dtype=float)
    return above, np.ones(len(above)) if under is None else np.asarray(found[under], dtype=float)


def _ratio(columns: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    under = sum(float(below.sum()) for _, below in columns)
    return 100 * sum(float(above.sum()) for above, _ in columns) / under if under else float("nan")


def _resample(sizes: Sequence[int]) -> list[np.ndarray]:
    """How often each example counts in each resample, by seed: shapes (RESAMPLES, examples of the seed)."""
    generator = np.random.default_rng(0)
    seeds = generator.multinomial(len(sizes), [1 / len(sizes)] * len(sizes), size=RESAMPLES)
    # A seed drawn k times brings k fresh draws of its examples.
    return [generator.multinomial(size * seeds[:, s], np.full(size, 1 / size)) for s, size in enumerate(sizes)]


def _ratios(columns: Sequence[tuple[np.ndarray, np.ndarray]], drawn: Sequence[np.ndarray]) -> np.ndarray:
    over = sum(counts @ above for counts, (above, _) in zip(drawn, columns, strict=True))
    under = sum(counts @ below for counts, (_, below) in zip(drawn, columns, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        return 100 * np.asarray(over) / np.asarray(under)


def markdown(table: Table, labels: Mapping[str, str], *, baseline: str | Mapping[str, str] = "none") -> str:
    """The table for a page: value ± spread, below it the difference from the baseline with its interval, bold where that leaves out 0."""
    metrics = list(next(iter(table.figures.values())))
    head = [f"{m} ({'↑' if METRICS[m][3] else '↓'})" for m in metrics]
    lines = ["| | " + " | ".join(head) + " |", "|---|" + "---|" * len(metrics)]
    for key, row in table.figures.items():
        cells = [_cell(row[m], key == (baseline if isinstance(baseline, str) else baseline[key])) for m in metrics]
        lines.append(f"| {labels[key]} | " + " | ".join(cells) + " |")
    lines.append("| n | " + " | ".join(f"{table.n[m]:,}" for m in metrics) + " |")
    return "\n".join(lines) + "\n"


def _cell(figure: Figure, is_baseline: bool) -> str:
    value = "–" if np.isnan(figure.value) else f"{figure.value:.1f}"
    if not np.isnan(figure.spread):
        value += f" ± {figure.spread:.1f}"
    if is_baseline or np.isnan(figure.difference):
        return value
    text = f"{figure.difference:+.1f} [{figure.difference_low:+.1f}, {figure.difference_high:+.1f}]"
    return f"{value}<br>{f'**{text}**' if figure.beyond else text}"


def plot(table: Table, labels: Mapping[str, str], output: Any, *, title: str, baseline: str = "none") -> None:
    """Differences from the baseline as dots with intervals, one panel a metric; better is to the right in all of them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    metrics = list(next(iter(table.figures.values())))
    keys = [key for key in table.figures if key != baseline]
    figure, axes = pyplot.subplots(
        1, len(metrics), figsize=(2.1 * len(metrics) + 1.6, 0.36 * len(keys) + 1.5), sharey=True
    )
    for axis, metric in zip(np.atleast_1d(axes), metrics, strict=True):
        sign = 1 if METRICS[metric][3] else -1
        for place, key in enumerate(keys):
            row = table.figures[key][metric]
            if np.isnan(row.difference):
                continue
            middle = sign * row.difference
            ends = sorted((sign * row.difference_low, sign * row.difference_high))
            colour = "#777777" if not row.beyond else "#0b7a75" if middle > 0 else "#7b3294"
            axis.errorbar(
                middle,
                place,
                xerr=[[max(0, middle - ends[0])], [max(0, ends[1] - middle)]],
                fmt="o",
                color=colour,
                ms=4,
            )
        axis.axvline(0, color="black", lw=0.8)
        axis.set_title(metric if sign > 0 else f"{metric} (fewer →)", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.set_xlabel("points better", fontsize=8)
    first = np.atleast_1d(axes)[0]
    first.set_yticks(range(len(keys)), [labels[key] for key in keys], fontsize=8)
    first.invert_yaxis()
    figure.suptitle(f"{title}: difference from {labels[baseline]}, 95% intervals", fontsize=10)
    figure.tight_layout()
    figure.savefig(output, dpi=150)
    pyplot.close(figure)
