"""``export --to hub``: a folder as the Hugging Face Hub has datasets: Parquet by configuration, and a card that declares them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tldata import __version__, schema
from tldata.dataset import Dataset
from tldata.errors import UsageError
from tldata.export.chosen import chosen_ids
from tldata.finish import swap_in

# Not rejects and merged: what could not be read, or stands elsewhere already, is nothing to publish.
TABLES = ("trajectories", "messages", "calls", "toolsets")
ROWS = {
    "trajectories": "a trajectory: its source, query, tool set, counts, metadata",
    "messages": "a message, in order of `turn`",
    "calls": "a tool call: arguments, feedback, the evidence, and the verdict `category`",
    "toolsets": "a declared tool of a distinct tool set",
}
SPLIT = "train"
_SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_SIZE_NAMES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M")


def export_hub(data: Dataset, output: Path, *, where: str | None = None, overwrite: bool = False) -> dict[str, int]:
    """Write a folder that ``datasets.load_dataset(folder, "calls")`` reads, and that can be uploaded as it is.

    Configurations: ``trajectories`` (the default), ``messages``, ``calls``, ``toolsets`` and ``tokens_<name>`` for every token
    set, each with one split ``train``. ``README.md`` declares them with their features, and says what is in them.

    Args:
        data: an annotated dataset.
        output: the folder, which appears only when it is whole.
        where: SQL condition on trajectories; rows of the others are left out of all tables.
        overwrite: replace a folder that is there.

    Returns:
        counts: rows by configuration.

    Raises:
        UsageError: the folder is there and not empty.
    """
    if output.exists() and not overwrite and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output} is there already", hint="--overwrite, or another folder")
    wanted = None if where is None else pa.array(sorted(chosen_ids(data, where)), pa.string())
    partial = output.absolute().with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    folders = {name: data.path / name for name in TABLES}
    folders |= {f"tokens_{name}": data.path / "tokens" / name for name in data.token_sets}
    try:
        counts: dict[str, int] = {}
        features: dict[str, pa.Schema] = {}
        used: set[str | None] = set()  # tool sets of the wanted trajectories
        for name, folder in folders.items():
            features[name], counts[name] = _copy(folder, name, partial / "data" / name, wanted, used)
        (partial / "README.md").write_text(card(data, features, counts), encoding="utf-8")
        if output.is_dir() and not overwrite:
            output.rmdir()
        swap_in(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return counts


def _copy(
    folder: Path, name: str, target: Path, wanted: pa.Array | None, used: set[str | None]
) -> tuple[pa.Schema, int]:
    """Copy the parts of a table, or the wanted rows of them; returns its columns and how many rows there are."""
    target.mkdir(parents=True)
    columns = schema.TABLES.get(name, schema.TOKENS)
    rows = 0
    parts = sorted(folder.glob("*.parquet"))
    for number, part in enumerate(parts):
        file = target / f"{SPLIT}-{number:05d}-of-{len(parts):05d}.parquet"
        columns = pq.read_schema(part)
        if wanted is None:
            shutil.copyfile(part, file)
            rows += pq.read_metadata(part).num_rows
            continue
        table = pq.read_table(part)
        if name == "toolsets":
            keep = pc.is_in(table["toolset_id"], pa.array([one for one in used if one is not None], pa.string()))
        else:
            keep = pc.is_in(table["trajectory_id"], wanted)
        table = table.filter(keep)
        if name == "trajectories":
            used.update(table["toolset_id"].unique().to_pylist())
        if table.num_rows or number == 0:
            pq.write_table(table, file, compression="zstd")
        rows += table.num_rows
    if not parts:
        pq.write_table(columns.empty_table(), target / f"{SPLIT}-00000-of-00001.parquet")
    return columns, rows


def card(data: Dataset, features: dict[str, pa.Schema], counts: dict[str, int]) -> str:
    """The text of README.md: YAML that the Hub reads, then what people read."""
    lines = ["---", "configs:"]
    for name in features:
        lines += [f"- config_name: {name}"]
        lines += ["  default: true"] if name == TABLES[0] else []
        lines += ["  data_files:", f"  - split: {SPLIT}", f"    path: data/{name}/*.parquet"]
    lines += ["dataset_info:"]
    for name, columns in features.items():
        lines += [f"- config_name: {name}", "  features:"]
        for field in columns:
            lines += _feature(field.name, field.type, "  ")
        lines += ["  splits:", f"  - name: {SPLIT}", f"    num_examples: {counts[name]}"]
    size = sum(counts["trajectories"] >= bound for bound in _SIZES)
    lines += ["task_categories:", "- text-generation", "size_categories:", f"- {_SIZE_NAMES[size]}"]
    lines += ["tags:", "- tool-use", "- agents", "- function-calling", "- tldata", "---", ""]
    return "\n".join([*lines, *_about(data, features, counts)]) + "\n"


def _feature(name: str, kind: pa.DataType, indent: str) -> Iterator[str]:
    """A feature as the Hub writes it: ``dtype`` for values, ``list`` and ``struct`` for what is nested."""
    yield f"{indent}- name: {name}"
    yield from _kind(kind, indent + "  ")


def _kind(kind: pa.DataType, indent: str) -> Iterator[str]:
    if pa.types.is_list(kind):
        inner = kind.value_type
        if pa.types.is_struct(inner):
            yield f"{indent}list:"
            for field in inner:
                yield from _feature(field.name, field.type, indent)
        else:
            yield f"{indent}list: {_dtype(inner)}"
    else:
        yield f"{indent}dtype: {_dtype(kind)}"


def _dtype(kind: pa.DataType) -> str:
    return {"double": "float64", "float": "float32"}.get(str(kind), str(kind))


def _about(data: Dataset, features: dict[str, pa.Schema], counts: dict[str, int]) -> list[str]:
    shares = data.sql(
        "SELECT category, count(*) AS n FROM calls WHERE trainable GROUP BY category ORDER BY n DESC, category"
    ).to_pylist()
    lines = [
        "# Trajectories of tool-using agents",
        "",
        f"{counts['trajectories']:,} trajectories with {counts['calls']:,} tool calls, annotated by tldata {__version__}: every call is",
        "paired with its feedback and has a verdict, `category`.",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        'calls = load_dataset("OWNER/NAME", "calls", split="train")',
        "```",
        "",
        "| configuration | rows | one row is |",
        "|---|---:|---|",
    ]
    other = "a row of tokens with loss masks and weights"
    lines += [f"| `{name}` | {counts[name]:,} | {ROWS.get(name, other)} |" for name in features]
    lines += ["", "Tables join by `trajectory_id`, tool sets by `toolset_id`, calls and messages by `turn` too.", ""]
    lines += ["## Calls by category", "", "| category | calls |", "|---|---:|"]
    lines += [f"| `{row['category']}` | {row['n']:,} |" for row in shares]
    if any(row["n"] for row in shares) and counts["trajectories"] != _total(data):
        lines += ["", "Counted over the dataset that these rows were chosen from."]
    lines += ["", "## Provenance", "", f"Digest of the dataset: `{data.manifest.get('digest')}`.", ""]
    lines += [
        "Look for personal data and secrets before publishing: feedback and messages stand as the agents saw them."
    ]
    return lines


def _total(data: Dataset) -> Any:
    return data.sql("SELECT count(*) AS n FROM trajectories").to_pylist()[0]["n"]
