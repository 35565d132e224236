"""Categories from outside (a judge, a person, a unit test): joined per call, they outrank the verdict, which is kept beside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tldata import schema
from tldata.errors import InputError, RuleError
from tldata.parts import rewrite

EXAMPLE = 'one row a call: {"trajectory_id": "a:1", "turn": 2, "call_index": 0, "category": "others"}'
KEY = ("trajectory_id", "turn", "call_index")
NO_LABELS = pa.schema(
    [("trajectory_id", pa.string()), ("turn", pa.int32()), ("call_index", pa.int32()), ("category", pa.string())]
).empty_table()


def read_labels(path: str | Path, categories: Collection[str] = schema.CATEGORIES) -> pa.Table:
    """Read a labels file: JSONL, CSV or Parquet with trajectory_id, turn, call_index and category; the last row of a call counts.

    Rows whose category is null are calls not labelled yet: they are left out.

    Args:
        path: the file.
        categories: those that a label may give: the built-in ones and those of the rules files in use.

    Raises:
        InputError: no such file, or no such columns.
        RuleError: a category that does not exist.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{path}: no such file", hint="--labels needs JSONL, CSV or Parquet")
    name = str(file.resolve()).replace("'", "''")
    reader = {".csv": "read_csv", ".parquet": "read_parquet"}.get(file.suffix, "read_json")
    try:
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE labels AS FROM {reader}('{name}')")
            missing = [name for name in (*KEY, "category") if name not in connection.table("labels").columns]
            if missing:
                raise InputError(f"{path}: no column {missing[0]!r}", hint=EXAMPLE)
            labels = connection.sql(
                "SELECT trajectory_id::VARCHAR AS trajectory_id, turn::INTEGER AS turn, call_index::INTEGER AS call_index, "
                "last(category::VARCHAR) AS category FROM labels "
                "WHERE category IS NOT NULL GROUP BY ALL ORDER BY ALL"
            ).to_arrow_table()
    except duckdb.Error as error:
        raise InputError(
            f"{path}: no labels: {str(error).splitlines()[0]}",
            hint=EXAMPLE,
        ) from None
    unknown = sorted(set(labels["category"].to_pylist()) - set(categories))
    if unknown:
        raise RuleError(f"{path}: unknown category {unknown[0]!r}", hint=f"one of {', '.join(categories)}")
    return labels


def _join_files(paths: Sequence[str | Path], categories: Collection[str]) -> pa.Table:
    """The labels of several files; of the labels of one call that of the last file counts."""
    tables = [read_labels(path, categories) for path in paths]
    if len(tables) == 1:
        return tables[0]
    with duckdb.connect() as connection:
        for number, table in enumerate(tables):
            connection.register(f"labels_{number}", table)
        parts = " UNION ALL ".join(f"SELECT *, {number} AS file FROM labels_{number}" for number in range(len(tables)))
        return connection.sql(
            "SELECT trajectory_id, turn, call_index, arg_max(category, file) AS category "
            f"FROM ({parts}) GROUP BY ALL ORDER BY ALL"
        ).to_arrow_table()


def apply_labels(staging: Path, paths: str | Path | Sequence[str | Path], parents: Mapping[str, str]) -> list[str]:
    """Set label, category and is_error of the staged calls from labels files, and n_errors of their trajectories.

    What the files say is all that counts: labels that stand in the parts from an earlier attempt are taken away again. A part
    in which nothing changes is not written.

    Args:
        staging: the folder with the parts.
        paths: labels files, the last of which counts where they differ; none takes all labels away.
        parents: every category that a call may have -> the built-in one that it is or stands under, which says whether it is an error.

    Returns:
        notes for the user: how many labels were joined, how many found no call; none without files.
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    labels = _join_files(files, tuple(parents)) if files else NO_LABELS
    joined = changed = 0
    for part in sorted((staging / "calls").glob("*.parquet")):
        if not labels.num_rows and not _has_labels(part):
            continue
        calls = pq.read_table(part)
        label = _labels_of(calls, labels)
        verdict = calls["verdict"].combine_chunks()
        joined += len(label) - label.null_count
        changed += pc.sum(pc.not_equal(pc.coalesce(label, verdict), verdict)).as_py() or 0
        write_calls(part, with_labels(calls, label, parents), before=calls)
    if not files:
        return []
    notes = [f"{joined:,} labels joined, {changed:,} of them change the category"]
    if joined < labels.num_rows:
        notes.append(f"{labels.num_rows - joined:,} labels name no call of this dataset")
    return notes


def with_labels(calls: pa.Table, label: pa.Array, parents: Mapping[str, str]) -> pa.Table:
    """Calls with these labels (null: none): their category is the label, or else the verdict, and is_error follows its parent."""
    category = pc.coalesce(label, calls["verdict"].combine_chunks())
    fine = pa.array(sorted(name for name, parent in parents.items() if parent in schema.NOT_ERRORS), pa.string())
    is_error = pc.invert(pc.is_in(category, value_set=fine))
    for name, column in (("label", label), ("category", category), ("is_error", is_error)):
        calls = calls.set_column(calls.schema.get_field_index(name), name, column)
    return calls.cast(schema.CALLS)


def write_calls(part: Path, calls: pa.Table, *, before: pa.Table) -> None:
    """Replace a part of ``calls`` where it differs from what it was, and count the errors of its trajectories anew.

    The errors are counted whether or not the calls differ: a run that was killed between the two has done the first only.
    """
    if not calls.equals(before.cast(schema.CALLS)):
        rewrite(part, calls)
    counted = calls.group_by("trajectory_id").aggregate([("is_error", "sum")]).to_pydict()
    errors = dict(zip(counted["trajectory_id"], counted["is_error_sum"], strict=True))
    beside = part.parent.parent / "trajectories" / part.name
    table = pq.read_table(beside)
    counts = pa.array([errors.get(identity, 0) for identity in table["trajectory_id"].to_pylist()], pa.int32())
    if not counts.equals(table["n_errors"].combine_chunks()):
        rewrite(beside, table.set_column(table.schema.get_field_index("n_errors"), "n_errors", counts))


def _labels_of(calls: pa.Table, labels: pa.Table) -> pa.Array:
    """The label of each call in its order, null where it has none."""
    with duckdb.connect() as connection:
        connection.register("calls", calls.select(list(KEY)))
        connection.register("labels", labels)
        found = connection.sql(
            "SELECT l.category FROM (SELECT *, row_number() OVER () AS place FROM calls) AS c "
            "LEFT JOIN labels AS l USING (trajectory_id, turn, call_index) ORDER BY place"
        ).to_arrow_table()
    return found["category"].combine_chunks().cast(pa.string())


def _has_labels(part: Path) -> bool:
    column = pq.read_table(part, columns=["label"])["label"]
    return bool(column.null_count < len(column))
