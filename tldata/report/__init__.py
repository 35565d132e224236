"""One self-contained page about a dataset, to send to a colleague: figures, tables, examples with the evidence marked, checks, manifest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from tldata.console import percent
from tldata.dataset import Dataset, open_dataset
from tldata.errors import UsageError
from tldata.plots import ERROR, FAINT, FINE, INK, render
from tldata.report.marking import Piece, pieces, visible
from tldata.schema import CATEGORIES, NOT_ERRORS
from tldata.scrub.warn import look, warning
from tldata.secrets import find_secrets, mask
from tldata.sqlfiles import list_sql, read_sql, summary_of
from tldata.stats import run_stat

MAX_ROWS = 15  # of a table
MAX_CELL = 120  # characters of a cell
COLOURS = {INK: "var(--ink)", FAINT: "var(--faint)", ERROR: "var(--error)", FINE: "var(--fine)"}


def write_report(
    dataset: str | Path | Dataset, output: str | Path, *, unmasked: bool = False, examples: int = 3
) -> Path:
    """Write the report of a dataset: one HTML file that holds everything, runs no script and asks no network.

    Args:
        dataset: an opened dataset, or its folder.
        output: the file; replaced when the new one is complete.
        unmasked: show what looks like a secret or personal data.
        examples: calls shown for each category.

    Returns:
        The file.

    Raises:
        DatasetError: no dataset there.
        UsageError: the output's folder is missing, or matplotlib or jinja2 is not installed.
    """
    data = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    path = Path(output)
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent}: no such folder")
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint=f"-o {path / 'report.html'}")
    page = render_report(data, unmasked=unmasked, examples=examples)
    partial = path.with_name(f".{path.name}.tmp")
    partial.write_text(page, encoding="utf-8")
    partial.replace(path)
    return path


def render_report(data: Dataset, *, unmasked: bool = False, examples: int = 3) -> str:
    """The report as a page of HTML; see ``write_report``."""
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError:
        raise UsageError("the report needs jinja2", hint="pip install 'tldata[analysis]'") from None
    hide: Callable[[str], str] = (lambda text: text) if unmasked else mask

    def rows(name: str, tokens: str | None = None) -> list[dict[str, Any]]:
        return _hidden(run_stat(data, name, tokens=tokens).to_pylist(), hide)

    def plot(name: str, of: list[dict[str, Any]]) -> Any:
        return Markup(_inline(render(name, of, text=True)))

    overview, tools, steps, following = (rows(name) for name in ("overview", "by_tool", "by_step", "transitions"))
    confused = [row for row in rows("confusable_tools") if row["n_tool_for_other"] + row["n_other_for_tool"]]
    token_sets = []
    for name in data.token_sets:
        shares, weights = rows("token_shares", name), rows("token_weights", name)
        token_sets.append({"name": name, "shares": table(shares), "plot": plot("token_weights", weights)})
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    own = files("tldata.report")
    return environment.from_string((own / "page.html").read_text(encoding="utf-8")).render(
        style=Markup((own / "page.css").read_text(encoding="utf-8")),
        name=visible(hide(data.path.resolve().name)),
        manifest=data.manifest,
        unmasked=unmasked,
        secrets=warning(*look(data.path), visible(hide(data.path.name))),
        overview=table(overview),
        plots={
            "overview": plot("overview", overview),
            "by_tool": plot("by_tool", tools),
            "by_step": plot("by_step", steps),
            "transitions": plot("transitions", following),
        },
        tools=table(tools),
        sources=table(rows("by_source")),
        recoveries=table(rows("recoveries")),
        parameters=table(rows("parameters")),
        confusable=table(confused),
        disagreements=table(rows("disagreements")),
        rejects=table(_hidden(data.sql(read_sql("report/rejects")).to_pylist(), hide)),
        token_sets=token_sets,
        categories=_examples(data, examples, unmasked),
        checks=_checks(data),
        manifest_text=visible(hide(_readable(data.manifest))),
    )


def table(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Rows as the cells of a table: ``columns`` (name, is it numeric), ``rows`` of text, ``more`` rows that are left out."""
    names = list(rows[0]) if rows else []
    numeric = [all(isinstance(row[name], int | float) or row[name] is None for row in rows) for name in names]
    return {
        "columns": list(zip(names, numeric, strict=True)),
        "rows": [[_cell(name, row[name]) for name in names] for row in rows[:MAX_ROWS]],
        "more": max(0, len(rows) - MAX_ROWS),
    }


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        is_share = name.startswith("share") or name.endswith("_share") or name in ("low", "high")
        return percent(value) if is_share and abs(value) <= 1 else f"{value:,.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    text = visible(str(value))
    return text if len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"


def _hidden(rows: list[dict[str, Any]], hide: Callable[[str], str]) -> list[dict[str, Any]]:
    return [{name: hide(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows]


def _inline(svg: bytes) -> str:
    """A plot as part of the page: no prolog, no metadata, the page's colours, as wide as its place."""
    text = re.sub(r"<metadata>.*?</metadata>", "", svg.decode(), flags=re.S)
    text = text[text.index("<svg") :]
    head, rest = text.split(">", 1)
    head = re.sub(r' (?:width|height|version|xmlns:xlink)="[^"]*"', "", head)
    for colour, own in COLOURS.items():
        rest = rest.replace(colour, own)
    return f'{head} role="img">{rest}'


def _examples(data: Dataset, n: int, unmasked: bool) -> list[dict[str, Any]]:
    """The categories in their order, errors first, each with its examples ready to show."""
    if n <= 0:
        return []
    find = (lambda text: []) if unmasked else find_secrets
    by_category: dict[str, list[dict[str, Any]]] = {}
    for row in data.sql(read_sql("report/examples"), [n]).to_pylist():
        by_category.setdefault(row["category"], []).append(row)
    known = {category: place for place, category in enumerate(CATEGORIES)}
    order = sorted(by_category, key=lambda name: (name in NOT_ERRORS, known.get(name, len(known)), name))

    def shown(text: str | None, evidence: str | None = None) -> list[Piece]:
        return pieces(text or "", evidence, find=find)

    return [
        {
            "name": name,
            "n": by_category[name][0]["n_category"],
            "examples": [
                {
                    "id": visible(row["trajectory_id"] if unmasked else mask(row["trajectory_id"])),
                    "query": shown(row["query"]),
                    "tool": shown(row["tool_name"] or "(not parsed)"),
                    "arguments": shown(row["arguments"] if row["tool_name"] else row["raw_call"] or row["arguments"]),
                    "feedback": shown(row["feedback"], row["evidence"]) if row["feedback"] is not None else None,
                    "why": [(what, shown(text)) for what, text in _why(row)],
                }
                for row in by_category[name]
            ],
        }
        for name in order
    ]


def _why(row: dict[str, Any]) -> Iterable[tuple[str, str]]:
    if row["rule_id"]:
        yield "rule", row["rule_id"]
    if row["evidence"]:
        yield "evidence", row["evidence"]
    if row["call_check"] not in (None, "ok"):
        yield "schema", f"{row['call_check']} ({row['call_check_detail']})"
    if row["native_error_code"]:
        yield "the source's own code", row["native_error_code"]
    if row["label"]:
        yield "label", f"{row['label']}; the evidence says {row['verdict']}"
    if row["disagreement"]:
        yield "disagreement", row["disagreement"]


def _checks(data: Dataset) -> list[dict[str, Any]]:
    """Every check under sql/checks, run again: how many rows break it."""
    return [
        {
            "name": name,
            "what": summary_of(path),
            "broken": data.sql(f"SELECT count(*) AS n FROM ({read_sql(f'checks/{name}')})")["n"][0].as_py(),
        }
        for name, path in list_sql("checks").items()
    ]


def _readable(manifest: dict[str, Any]) -> str:
    return orjson.dumps(manifest, option=orjson.OPT_INDENT_2).decode()
