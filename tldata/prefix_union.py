"""Find prefix copies over tables that were merged part by part before: the hashes of beginnings come from the messages again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from glob import escape
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tldata.errors import DatasetError
from tldata.finish import connect, merge_prefix_copies
from tldata.parts import OF_TRAJECTORIES, rewrite
from tldata.record import Call, Message
from tldata.schema import CALLS, MERGED
from tldata.sqlfiles import read_sql
from tldata.tables import PREFIXES, fingerprints
from tldata.work import COMPRESSION

BEGINNINGS = pa.schema([("trajectory_id", pa.string()), ("beginnings", pa.list_(pa.int64()))])
Fingerprint = tuple[
    str, str | None, list[int], int
]  # id, tool set, hashes of beginnings, place of the first user message
MESSAGES = """
SELECT m.trajectory_id, w.toolset_id, w.n_messages, m.role, m.content, m.reasoning, m.name, c.calls
FROM part_messages AS m
JOIN wanted AS w USING (trajectory_id)
LEFT JOIN (
    SELECT trajectory_id, turn, list({'name': tool_name, 'arguments': arguments} ORDER BY call_index) AS calls
    FROM part_calls GROUP BY ALL
) AS c USING (trajectory_id, turn)
ORDER BY m.trajectory_id, m.turn
"""


def merge_copies_again(
    staging: Path, labels: Iterable[tuple[str, str]], *, doubt: bool = False
) -> tuple[int, pa.Table]:
    """Drop trajectories that another one of the staged tables begins with, and say anew into which one each record was merged.

    What comes out is what one annotate run over all sources would have found, whatever was merged before: hashes of the records
    merged before stand in ``merged.hash``, those of whole trajectories in ``content_hash``, and those of beginnings are
    made from the messages, for trajectories that have the tools and the query of a shorter one.

    Args:
        staging: a folder with parts of all tables; those of ``merged`` are replaced.
        labels: (source, label) for every source: a trajectory of a whole record has the id ``<label>:<source_line>``.
        doubt: holders of records merged before may be gone or changed: then every trajectory's beginnings are looked at.

    Returns:
        how many trajectories were dropped, and the records merged before (rows of MERGED) that no trajectory holds any more.

    Raises:
        DatasetError: a trajectory has not the messages that it should have.
    """
    rows = [{"source": source, "label": label} for source, label in sorted(set(labels))]
    known = pa.Table.from_pylist(rows, schema=pa.schema([("source", pa.string()), ("label", pa.string())]))
    with connect(staging) as connection:
        connection.register("labels", known)
        if not any((staging / "trajectories").glob("*.parquet")):
            return 0, _merged(connection)
        connection.register("no_calls", CALLS.empty_table())
        connection.execute(f"CREATE TEMP TABLE eligible AS {read_sql('merge/eligible')}")
        before = _merged(connection)
        connection.register("merged_before", before)
        connection.execute("CREATE OR REPLACE TEMP VIEW merged AS FROM merged_before")
        candidates = "SELECT trajectory_id, toolset_id FROM eligible" if doubt else read_sql("merge/prefix_candidates")
        connection.execute(f"CREATE TEMP TABLE candidates AS {candidates}")
        _write_beginnings(connection, staging, before)
        (staging / "prefixes").mkdir(exist_ok=True)
        target = str(staging / "prefixes" / "union.parquet").replace("'", "''")
        columns = ", ".join(PREFIXES.names[:4])
        connection.execute(
            f"""
            COPY (
                SELECT {columns}, e.hash AS whole, coalesce(b.beginnings, []::BIGINT[]) AS beginnings
                FROM eligible AS e LEFT JOIN beginnings AS b USING (trajectory_id)
                UNION ALL
                SELECT {columns}, m.hash, []::BIGINT[] FROM merged AS m WHERE m.hash IS NOT NULL
            ) TO '{target}' (FORMAT parquet, COMPRESSION zstd)
            """
        )
        connection.execute("DROP VIEW merged")
    n_before = before.num_rows - before["hash"].null_count
    for part in sorted((staging / "merged").glob("*.parquet")):
        _keep_members(part)
    merge_prefix_copies(staging)
    with connect(staging) as connection:
        connection.register("merged_before", before)
        found = _merged(connection)
        connection.register("found", found)
        lost = connection.sql(
            "FROM merged_before ANTI JOIN found USING (source, source_line, trajectory_id) WHERE hash IS NOT NULL"
        ).to_arrow_table()
    n_found = found.num_rows - found["hash"].null_count
    return n_found - (n_before - lost.num_rows), lost


def _merged(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The staged table ``merged``; without its parts, no rows."""
    try:
        return connection.sql("FROM merged").to_arrow_table().cast(MERGED)
    except duckdb.CatalogException:
        return MERGED.empty_table()


def _keep_members(part: Path) -> None:
    """Leave in a part of ``merged`` only the rows of groups, which are no prefix copies and have no hash."""
    table = pq.read_table(part)
    rewrite(part, table.filter(table["hash"].is_null()))


def _write_beginnings(connection: duckdb.DuckDBPyConnection, staging: Path, merged: pa.Table) -> None:
    """Make the table ``beginnings`` of the candidates, and of whom else could hold a merged record that has no user message."""
    hashes = np.sort(merged["hash"].drop_null().to_numpy())
    folder = staging / "beginnings"
    folder.mkdir(exist_ok=True)
    further: set[str | None] = set()  # tool sets with a merged record that ends before any user message
    _want(connection, "trajectory_id IN (SELECT trajectory_id FROM candidates)")
    for _, toolset, beginnings, first_user in _written(connection, staging, folder / "0.parquet"):
        if len(hashes) and first_user and toolset not in further and _holds_any(hashes, beginnings[:first_user]):
            further.add(toolset)
    if further:
        named = pa.table({"toolset_id": pa.array(sorted(one for one in further if one is not None), pa.string())})
        connection.register("further", named)
        null = "OR toolset_id IS NULL" if None in further else ""
        done = "trajectory_id IN (SELECT trajectory_id FROM candidates)"
        _want(connection, f"(toolset_id IN (FROM further) {null}) AND NOT {done}")
        for _ in _written(connection, staging, folder / "1.parquet"):
            pass
    files = f"{_exactly(folder)}/*.parquet"
    connection.execute(f"CREATE TEMP VIEW beginnings AS FROM read_parquet('{files}')")


def _want(connection: duckdb.DuckDBPyConnection, condition: str) -> None:
    """Make the table ``wanted`` of the eligible trajectories that a condition holds for."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE wanted AS SELECT trajectory_id, toolset_id, n_messages FROM eligible WHERE {condition}"
    )


def _written(connection: duckdb.DuckDBPyConnection, staging: Path, file: Path) -> Iterator[Fingerprint]:
    """The fingerprints of ``wanted``, written to a file on the way."""
    with pq.ParquetWriter(file, BEGINNINGS, **COMPRESSION) as writer:
        for batch in _batches(_fingerprints(connection, staging)):
            writer.write_table(
                pa.table([[i for i, _, _, _ in batch], [b[:-1] for _, _, b, _ in batch]], schema=BEGINNINGS)
            )
            yield from batch


def _holds_any(hashes: np.ndarray, some: list[int]) -> bool:
    places = np.minimum(np.searchsorted(hashes, some), len(hashes) - 1)
    return bool((hashes[places] == some).any())


def _fingerprints(connection: duckdb.DuckDBPyConnection, staging: Path) -> Iterator[Fingerprint]:
    """Of every trajectory in ``wanted``: id, tool set, hashes of its beginnings up to the whole, and the place of its first user message."""
    for part in sorted((staging / "trajectories").glob("*.parquet")):
        files = [staging / table / part.name for table in OF_TRAJECTORIES]
        wanted = connection.execute(
            "SELECT count(*) FROM wanted SEMI JOIN read_parquet(?) USING (trajectory_id)", [_exactly(part)]
        ).fetchall()
        if wanted == [(0,)]:
            continue
        for name, file in (("messages", files[1]), ("calls", files[2])):
            rows = f"read_parquet('{_exactly(file)}')" if file.is_file() else "no_calls"
            connection.execute(f"CREATE OR REPLACE TEMP VIEW part_{name} AS FROM {rows}")
        found = connection.execute(MESSAGES)
        identity, toolset, n_messages = None, None, 0
        messages: list[Message] = []
        while batch := found.fetchmany(4096):
            for row in batch:
                if row[0] != identity:
                    if identity is not None:
                        yield _fingerprint(identity, toolset, n_messages, messages)
                    identity, toolset, n_messages = row[:3]
                    messages = []
                messages.append(_message(*row[3:]))
        if identity is not None:
            yield _fingerprint(identity, toolset, n_messages, messages)


def _message(
    role: str, content: str | None, reasoning: str | None, name: str | None, calls: list[dict[str, Any]] | None
) -> Message:
    made = [Call(call["name"], call["arguments"]) for call in calls or ()]
    return Message(role, content, reasoning=reasoning, name=name, calls=made)


def _fingerprint(identity: str, toolset: str | None, n_messages: int, messages: list[Message]) -> Fingerprint:
    if len(messages) != n_messages:
        raise DatasetError(
            f"trajectory {identity}: {len(messages)} of its {n_messages} messages stand in the part of its name",
            hint="tldata select DATASET -o DIR writes it anew, part by part",
        )
    first_user = next((place for place, message in enumerate(messages) if message.role == "user"), len(messages))
    return identity, toolset, fingerprints(toolset, messages)[1], first_user


def _exactly(file: Path) -> str:
    """A file's name for DuckDB, which reads patterns in names."""
    return escape(str(file.resolve())).replace("'", "''")


def _batches(rows: Iterable[Fingerprint], size: int = 4096) -> Iterator[list[Fingerprint]]:
    batch: list[Fingerprint] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    yield batch
