"""Figure 1: how many of RoTBench's GPT-4 runs contain an erroneous call, by our verdicts and by the authors' rule.

The paper: over 17% of RoTLLaMA's 12,247 training trajectories. `--page FILE` writes docs/figure1.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tldata
from reproduce.setting import Setting, drawing, markdown, parser, read, run_script
from tldata.dataset import Dataset
from tldata.evaluate.paper import load
from tldata.schema import CATEGORIES, NOT_ERRORS

RUNS = "rotbench/train_gpt4/train_gpt4.jsonl.gz"
VARIANTS: dict[str, dict[str, Any]] = {
    "ours": {},
    "authors": {"rules": "authors"},
    "ours-lines": {"prefixes": "keep"},
    "authors-lines": {"prefixes": "keep", "rules": "authors"},
}
TITLES = {
    "ours": "our verdicts, merged trajectories",
    "authors": "the authors' rule, merged trajectories",
    "ours-lines": "our verdicts, over lines as they stand",
    "authors-lines": "the authors' rule, over lines as they stand",
}
HEAD = """# Figure 1 of the paper, on its source

The paper says: of the 12,247 trajectories of RoTLLaMA's training data, which GPT-4 produced, "over 17%" contain errors (section 1, Figure 1; the figure itself is
lost in our copy). RoTBench's repository once held 7,968 lines of GPT-4 runs with real feedback on 374 real tools: the source of that training data, or
its parent. One line stands for one assistant turn, so that a trajectory appears as many lines, each the beginning of the next.

`tldata annotate train_gpt4.jsonl.gz` merges them: {n_inputs:,} lines = {n_sources:,} trajectories + {n_merged:,} prefix copies, with {n_calls:,} calls and
{n_feedbacks:,} feedbacks. This page is written by `python -m reproduce.fig1 --offline ../shared/data --page docs/figure1.md`.

"""
READING = """
## Reading it

- **{ours:.1%} of the merged trajectories** contain an erroneous call under our verdicts, {authors:.1%} under the authors' rule as we restored it. Counted over lines, as they stand
  (each prefix a row), it is {ours_lines:.1%} and {authors_lines:.1%}. The paper's 17% is over 12,247 filtered trajectories that we do not have.
- Both rules count a trajectory once, however many of its calls fail. The authors' rule sees {flagged_only:,} calls that our verdicts call fine, and misses
  {missed:,} that they call errors.
- {format_errors:,} of our errors are `format_error`: arguments that are no JSON (nearly all are `finish` answers with unescaped quotes). They have no feedback, so no rule about
  feedback sees them; they stand in both columns. Without them, {without_format:.1%} of the trajectories contain an error under our verdicts.
- Calls without feedback (`finish`, `ask_to_user`, runs that end on a call) are {no_feedback:,}; they are no errors, and stand in no share but that of all calls.
"""


def one(data: Dataset, query: str) -> int:
    """The one number that a query gives."""
    return int(data.sql(query).column(0)[0].as_py())


def counted(data: Dataset, condition: str = "is_error") -> tuple[int, int]:
    """Trajectories with such a call, and all."""
    found = one(data, f"SELECT count(DISTINCT trajectory_id) FROM calls WHERE {condition}")
    return found, one(data, "SELECT count(*) FROM trajectories")


def measure(setting: Setting) -> dict[str, Any]:
    """Annotate the runs in the four ways, and count."""
    (path,) = setting.need(RUNS)
    folder = setting.folder("fig1")
    data = {}
    for name, options in VARIANTS.items():
        setting.say(f"annotate {path.name}: {TITLES[name]}")
        data[name] = tldata.open(tldata.annotate(str(path), folder / name, overwrite=True, **options).path)
    ours = data["ours"]
    joined = (
        f"read_parquet('{folder}/ours/calls/*.parquet') AS o JOIN read_parquet('{folder}/authors/calls/*.parquet') AS a "
        "USING (trajectory_id, turn, call_index)"
    )
    return {
        "counts": {**ours.manifest["counts"], "n_feedbacks": one(ours, "SELECT count(feedback) FROM calls")},
        "shares": {name: counted(each) for name, each in data.items()},
        "categories": {name: data[name].stats("overview").to_pylist() for name in ("ours", "authors")},
        "flagged_only": one(ours, f"SELECT count(*) FROM {joined} WHERE a.is_error AND NOT o.is_error"),
        "missed": one(ours, f"SELECT count(*) FROM {joined} WHERE o.is_error AND NOT a.is_error"),
        "format_errors": one(ours, "SELECT count(*) FROM calls WHERE category = 'format_error'"),
        "without_format": counted(ours, "is_error AND category <> 'format_error'"),
        "no_feedback": one(ours, "SELECT count(*) FROM calls WHERE category = 'no_feedback'"),
    }


def shares_table(found: dict[str, Any]) -> str:
    """n and share here beside the paper's."""
    paper = load("figures")["row"][0]
    rows = [[TITLES[name], k, n, f"{k / n:.1%}"] for name, (k, n) in found["shares"].items()]
    rows.append(['the paper ("over")', paper["k"], paper["n"], f"{paper['value'] / 100:.1%}"])
    return markdown(["", "with an erroneous call", "n", "share"], rows)


def categories_table(found: dict[str, Any]) -> str:
    """Calls and trajectories by category under both rules."""
    tables = {name: {row["category"]: row for row in rows} for name, rows in found["categories"].items()}
    lines = []
    for category in ("(all)", "(any error)", *CATEGORIES):
        a, b = tables["ours"].get(category), tables["authors"].get(category)
        ours = ["0", "-", "0", "-"]
        if a:
            ours = [
                f"{a['n_calls']:,}",
                f"{a['share_of_calls']:.1%}",
                f"{a['n_trajectories']:,}",
                f"{a['share_of_trajectories']:.1%}",
            ]
        theirs = (
            [f"{b['n_calls']:,}", f"{b['n_trajectories']:,}", f"{b['share_of_trajectories']:.1%}"]
            if b
            else ["0", "0", "-"]
        )
        lines.append([category.strip("()"), *ours, *theirs])
    heads = ["category", "ours: calls", "share", "trajectories", "share", "authors: calls", "trajectories", "share"]
    return markdown(heads, lines)


def reading(found: dict[str, Any]) -> str:
    """What the numbers say, in sentences."""
    share = {name.replace("-", "_"): k / n for name, (k, n) in found["shares"].items()}
    k, n = found["without_format"]
    names = ("flagged_only", "missed", "format_errors", "no_feedback")
    return READING.format(**share, **{name: found[name] for name in names}, without_format=k / n)


def draw(setting: Setting, path: Path, found: dict[str, Any]) -> None:
    """Share of trajectories with each kind of error, under both rules."""
    tables = {name: {row["category"]: row for row in rows} for name, rows in found["categories"].items()}
    names = ["(any error)", *(c for c in CATEGORIES if c not in NOT_ERRORS)]
    with drawing(setting) as figure:
        axes = figure.subplots()
        for offset, (name, colour) in zip((-0.2, 0.2), (("ours", "#003f6b"), ("authors", "#d55e00")), strict=True):
            shares = [
                100 * (tables[name].get(each) or {"share_of_trajectories": 0.0})["share_of_trajectories"]
                for each in names
            ]
            axes.barh([place + offset for place in range(len(names))], shares, 0.38, color=colour, label=TITLES[name])
        axes.axvline(load("figures")["row"][0]["value"], color="#202428", linestyle=":", label="the paper: over 17%")
        axes.set_yticks(range(len(names)), [each.strip("()").replace("_", " ") for each in names])
        axes.invert_yaxis()
        axes.set_xlabel("% of trajectories")
        axes.legend(fontsize=7, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle(setting.title("Figure 1: errors in RoTBench's GPT-4 runs"), fontsize=10)
    figure.savefig(path)


def main(setting: Setting) -> None:
    """Measure, print, and write the page where asked."""
    found = measure(setting)
    text = shares_table(found) + "\n" + categories_table(found) + reading(found)
    setting.write(found, text, lambda path: draw(setting, path, found))
    page = setting.arguments.page
    if page is not None:
        body = HEAD.format(**found["counts"]) + shares_table(found)
        body += "\n## Calls and trajectories by category\n\n" + categories_table(found) + reading(found)
        page.write_text(setting.title(body) if setting.dry_run else body, encoding="utf-8")


if __name__ == "__main__":
    options = parser(__doc__, "python -m reproduce.fig1 --offline ../shared/data")
    options.add_argument("--page", type=Path, metavar="FILE", help="also write the page of the documentation")
    sys.exit(run_script(main, read(options, "fig1")))
