"""Write chosen trajectories as a dataset of their own: part by part, checked, and put in its place in one step."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tldata import schema
from tldata.dataset import MANIFEST
from tldata.engine import _locked as locked
from tldata.errors import DatasetError
from tldata.finish import Survey, connect, survey, swap_in, write_manifest
from tldata.lineage import dataset_digest
from tldata.parts import OF_TRAJECTORIES, link, rewrite
from tldata.select.rows import Bool, Rows
from tldata.sqlfiles import list_sql
from tldata.work import COMPRESSION


@contextmanager
def staged(target: Path, overwrite: bool) -> Iterator[Path]:
    """An empty folder beside the target, which takes its place when all went well; whatever happens, the target is old or new."""
    if target.exists():
        if not target.is_dir() or (any(target.iterdir()) and not (target / MANIFEST).is_file()):
            raise DatasetError(f"{target} exists and is no tldata dataset", hint="choose another folder with -o")
        if (target / MANIFEST).is_file() and not overwrite:
            raise DatasetError(
                f"{target} is a finished dataset", hint="--overwrite to replace it\n-o DIR to write to another folder"
            )
    staging = target.parent / f".{target.name}.partial"
    with locked(target):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            yield staging
            swap_in(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def write_rows(
    rows: Rows,
    kept: Bool,
    folder: Path,
    *,
    split: pa.Array | None,
    dropped: pa.Table,
    left_out: dict[str, int],
    about: dict[str, Any],
) -> Survey:
    """Write the tables and the manifest of a new dataset.

    Args:
        rows: all rows of the parent.
        kept: which to write, shape (rows,).
        folder: an empty folder.
        split: the name of each row's split, for the column ``split``; None leaves the parent's columns as they are.
        dropped: rows of DROPPED, for the table ``dropped``.
        left_out: how many rows are not written, by reason.
        about: keys of the manifest beside those that tell what the tables hold.

    Raises:
        CheckError: the new tables do not hold together.
    """
    for table in (*schema.TABLES, "dropped"):
        (folder / table).mkdir()
    for number, part in enumerate(rows.parts):
        here = kept[rows.starts[number] : rows.starts[number + 1]]
        if here.any():
            for table in OF_TRAJECTORIES:
                _write_part(rows, number, table, kept, folder / table / part, split)
    _write_toolsets(rows, folder)
    pq.write_table(dropped, folder / "dropped" / "dropped.parquet", row_group_size=64_000, **COMPRESSION)
    if not kept.any():
        first = pq.read_schema(rows.data.path / "trajectories" / rows.parts[0])
        if split is not None and "split" not in first.names:
            first = first.append(pa.field("split", pa.string()))
        pq.write_table(first.empty_table(), folder / "trajectories" / "empty.parquet", **COMPRESSION)
    found = survey(folder)
    n_left_out = sum(left_out.values())
    assert n_left_out == int((~kept).sum())
    counts = {
        "n_inputs": found.counts["n_trajectories"] + n_left_out,
        "n_sources": found.counts["n_trajectories"],
        "n_merged": 0,
        "n_skipped": n_left_out,
        "n_rejects": 0,
        **found.counts,
        "n_orphan_feedbacks": _orphans(folder),
    }
    manifest = {
        "schema_version": schema.SCHEMA_VERSION,
        "digest": dataset_digest(found.content_digest, about.get("rules"), about.get("options")),
        "content_digest": found.content_digest,
        "counts": counts,
        "rejected": {},
        "skipped": left_out,
        "repaired": {},
        "checks": sorted(list_sql("checks")),
        **about,
    }
    write_manifest(folder, manifest)
    return found


def _orphans(folder: Path) -> int:
    """How many feedback messages answer no call."""
    with connect(folder) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM messages WHERE role = 'tool') - (SELECT count(feedback_turn) FROM calls)"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _write_part(rows: Rows, number: int, table: str, kept: Bool, target: Path, split: pa.Array | None) -> None:
    adds = table == "trajectories" and split is not None
    source = rows.data.path / table / target.name
    if kept[rows.starts[number] : rows.starts[number + 1]].all() and not adds and rows.is_aligned(table):
        if source.is_file():
            link(source, target)
        return
    found, owner = rows.part(number, table)
    found = found.filter(pa.array(kept[owner]))
    if adds:
        assert split is not None
        if "split" in found.column_names:
            found = found.drop_columns(["split"])
        found = found.append_column("split", split.take(pa.array(owner[kept[owner]])))
    rewrite(target, found)


def _write_toolsets(rows: Rows, folder: Path) -> None:
    """Write each tool set that a written trajectory uses, in the parent's part where that was written, else in the next one."""
    parts = [path.name for path in sorted((folder / "trajectories").glob("*.parquet"))]
    used = [
        pc.unique(pq.read_table(folder / "trajectories" / part, columns=["toolset_id"])["toolset_id"]) for part in parts
    ]
    wanted = pc.unique(pa.chunked_array(used, pa.string())) if used else pa.array([], pa.string())
    sources = sorted((rows.data.path / "toolsets").glob("*.parquet"))
    waiting: list[pa.Table] = []
    last = parts[-1] if parts else ""
    for place, source in enumerate(sources):
        table = pq.read_table(source)
        table = table.filter(pc.is_in(table["toolset_id"], value_set=wanted))
        if table.num_rows:
            waiting.append(table)
        following = sources[place + 1].name if place + 1 < len(sources) else None
        home = next((part for part in parts if part >= source.name), last)
        if waiting and (following is None or following > home):
            together = pa.concat_tables(waiting)
            waiting = []
            rewrite(folder / "toolsets" / home, together)
