"""The part files of a dataset's tables: replace one in one step, link them into another folder, drop trajectories from all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tldata import schema
from tldata.work import COMPRESSION

OF_TRAJECTORIES = ("trajectories", "messages", "calls")  # part files of one name hold the same trajectories


def rewrite(part: Path, table: pa.Table) -> None:
    """Replace a part file by another content in one step; a part without rows goes."""
    if table.num_rows == 0:
        part.unlink(missing_ok=True)
        return
    partial = part.with_suffix(".tmp")
    pq.write_table(table, partial, row_group_size=64_000, **COMPRESSION)
    partial.replace(part)


def link(file: Path, target: Path) -> None:
    """Let a file stand in another folder too: a hard link, or a copy where the file system has none.

    Parts are replaced and never changed in place, so that both names keep their content.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)


def link_tables(dataset: Path, staging: Path, *, rename: Callable[[str], str] = str) -> None:
    """Link every part of a finished dataset into a staging folder.

    Args:
        rename: a part's new name, of its old one.
    """
    for table in schema.TABLES:
        (staging / table).mkdir(parents=True, exist_ok=True)
        for part in sorted((dataset / table).glob("*.parquet")):
            if pq.read_metadata(part).num_rows:
                link(part, staging / table / rename(part.name))


def drop_trajectories(staging: Path, ids: pa.Array) -> None:
    """Take trajectories out of every part of every table; the parts of other trajectories are not touched."""
    for table in OF_TRAJECTORIES:
        for part in sorted((staging / table).glob("*.parquet")):
            found = pq.read_table(part, columns=["trajectory_id"])["trajectory_id"]
            keep = pc.invert(pc.is_in(found, value_set=ids))
            if not pc.all(keep).as_py():
                rewrite(part, pq.read_table(part).filter(keep))


def keep_toolsets_once(staging: Path) -> None:
    """Keep each tool set in the first part that has it, and only those that a trajectory uses."""
    if not any((staging / "toolsets").glob("*.parquet")):
        return
    used = set()
    for part in sorted((staging / "trajectories").glob("*.parquet")):
        used.update(pc.unique(pq.read_table(part, columns=["toolset_id"])["toolset_id"]).to_pylist())
    for part in sorted((staging / "toolsets").glob("*.parquet")):
        ids = pq.read_table(part, columns=["toolset_id"])["toolset_id"]
        here = set(pc.unique(ids).to_pylist())
        keep = here & used
        used -= keep
        if keep != here:
            mask = pc.is_in(ids, value_set=pa.array(sorted(keep), pa.string()))
            rewrite(part, pq.read_table(part).filter(mask))


def fill_empty_tables(staging: Path) -> None:
    """Give every table without a part one without rows, so that all tables can be read."""
    for table, columns in schema.TABLES.items():
        (staging / table).mkdir(parents=True, exist_ok=True)
        if not any((staging / table).glob("*.parquet")):
            pq.write_table(columns.empty_table(), staging / table / "empty.parquet", **COMPRESSION)
