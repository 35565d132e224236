"""Keep the trajectories for which a SQL condition holds."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tldata.condition import check_condition
from tldata.dataset import Dataset
from tldata.errors import UsageError
from tldata.schema import CALLS, MESSAGES
from tldata.select.rows import Rows

HINT = "a condition on columns of trajectories, such as: n_errors = 0 AND n_calls > 1"
MEMORY = "1GB"


def drop_where_not(rows: Rows, condition: str, folder: Path) -> None:
    """Drop the trajectories for which a condition is false or null.

    The condition is one SQL expression over the columns of ``trajectories``; subqueries read the other tables. The connection
    reads this dataset and nothing else.

    Raises:
        UsageError: no single expression, or it does not run; says which columns there are.
    """
    check_condition(condition, hint=HINT)
    connection = rows.data.connect(read_only=True, settings=bounded(folder))
    try:
        kept = connection.sql(f"SELECT trajectory_id FROM trajectories WHERE (\n{condition}\n)").to_arrow_table()
    except duckdb.Error as error:
        reason = str(error).split("\n\nLINE", 1)[0].strip()
        raise UsageError(f"the condition does not run: {reason}", hint=_hint(rows.data, reason)) from None
    finally:
        connection.close()
    holds = pc.is_in(rows.ids, value_set=kept["trajectory_id"].combine_chunks()).to_numpy(zero_copy_only=False)
    rows.drop("where", condition, np.flatnonzero(rows.alive & ~holds), "the condition does not hold")


def _hint(data: Dataset, reason: str) -> str:
    columns = data.sql("FROM trajectories LIMIT 0").schema.names
    lines = [f"columns: {', '.join(columns)}"]
    other = next((name for name in (*CALLS.names, *MESSAGES.names) if f'"{name}"' in reason), None)
    if other is not None and other not in columns:
        table = "calls" if other in CALLS.names else "messages"
        lines.insert(0, f"trajectory_id IN (SELECT trajectory_id FROM {table} WHERE {other} ...)")
    return "\n".join(lines)


def bounded(folder: Path) -> dict[str, str | int]:
    """DuckDB settings for queries over all rows: bounded memory, and a folder to spill to."""
    return {"memory_limit": MEMORY, "temp_directory": str(folder)}


def text_of(rows: Rows, column: str, folder: Path) -> tuple[str, pa.Array]:
    """A column that names one value per trajectory, as text: of ``trajectories``, or of ``calls``.

    A trajectory with several values in ``calls`` counts for the one that the fewest trajectories have (of those still in; the
    first in order of text among equals), so that rare values are not lost in frequent ones. ``tool`` is tool_name.

    Returns:
        the column's own name, and a value for each row; null where there is none, or where the row is out.

    Raises:
        UsageError: no such column.
    """
    name = {"tool": "tool_name"}.get(column, column)
    own = rows.data.sql("FROM trajectories LIMIT 0").schema.names
    quoted = '"' + name.replace('"', '""') + '"'
    if name in own:
        query = (
            f"SELECT trajectory_id, {quoted}::VARCHAR AS value FROM trajectories SEMI JOIN alive USING (trajectory_id)"
        )
    elif name in rows.data.sql("FROM calls LIMIT 0").schema.names:
        query = (
            f"WITH had AS (SELECT DISTINCT trajectory_id, {quoted}::VARCHAR AS value "
            "FROM calls SEMI JOIN alive USING (trajectory_id) WHERE value IS NOT NULL), "
            "counted AS (SELECT value, count(*) AS n FROM had GROUP BY value) "
            "SELECT trajectory_id, min_by(value, (n, value)) AS value FROM had JOIN counted USING (value) GROUP BY trajectory_id"
        )
    else:
        columns = ", ".join(["tool", "category", *own])
        raise UsageError(f"no column {column!r} in trajectories or calls", hint=f"one of {columns}")
    connection = rows.data.connect(settings=bounded(folder))
    try:
        connection.register("alive", pa.table({"trajectory_id": rows.ids.filter(pa.array(rows.alive))}))
        found = connection.sql(query).to_arrow_table()
    finally:
        connection.close()
    place = pc.index_in(rows.ids, value_set=found["trajectory_id"].combine_chunks())
    return name, found["value"].combine_chunks().cast(pa.string()).take(place)
