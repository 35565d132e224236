"""What needs all blocks: merge prefix copies, keep each tool set once, join labels, check, describe, and swap the folder in."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow.parquet as pq

from tldata import schema
from tldata.dataset import MANIFEST
from tldata.errors import CheckError, DatasetError
from tldata.evidence.rules import load_rules
from tldata.labels import apply_labels
from tldata.lineage import dataset_digest
from tldata.parts import drop_trajectories, fill_empty_tables, keep_toolsets_once
from tldata.parts import rewrite as rewrite
from tldata.sqlfiles import glob_of, list_sql, read_sql
from tldata.work import COMPRESSION, Counts, Plan, write_atomically

HELPERS = (
    "blocks",
    "prefixes",
    "beginnings",
    "spilled",
    "members",
    "spill",
    "plan.json",
    "stdin",
)  # in the staging folder only
RENAME_EXCHANGE = 2


@dataclass(slots=True)
class Summary:
    """What an annotate run did. ``counts`` has contracts.md's names: n_inputs = n_sources + n_merged + n_skipped + n_rejects."""

    path: Path | str  # a URL where it was written to one
    counts: dict[str, int]
    overview: list[dict[str, Any]]
    formats: dict[str, int]
    rejected: dict[str, int]
    skipped: dict[str, int]
    repaired: dict[str, int]
    notes: list[str] = field(default_factory=list)
    scrubbed: dict[str, int] = field(default_factory=dict)  # places where a stand-in was put, by kind
    max_bad: float = 0.05
    seconds: float = 0.0

    @property
    def bad_share(self) -> float:
        """Rejected records over all records, 0 to 1."""
        return self.counts["n_rejects"] / self.counts["n_inputs"] if self.counts["n_inputs"] else 0.0

    @property
    def ok(self) -> bool:
        return self.bad_share <= self.max_bad

    def to_json(self) -> dict[str, Any]:
        return {
            "dataset": str(self.path),
            **self.counts,
            "bad_share": self.bad_share,
            "ok": self.ok,
            "categories": {
                row["category"]: row["n_calls"] for row in self.overview if not row["category"].startswith("(")
            },
            "overview": self.overview,
            "formats": self.formats,
            "rejected": self.rejected,
            "skipped": self.skipped,
            "repaired": self.repaired,
            "notes": self.notes,
            "scrubbed": self.scrubbed,
            "seconds": round(self.seconds, 3),
        }


def finish(
    plan: Plan,
    counts: Counts,
    description: dict[str, Any],
    *,
    labels: str | Path | Sequence[str | Path] | None,
    max_bad: float,
) -> Summary:
    """Turn finished blocks into a dataset in the staging folder. Every step gives the same when it is done again after a kill."""
    staging = plan.staging
    merged = counts.merged + (0 if plan.keep_prefixes else merge_prefix_copies(staging))
    keep_toolsets_once(staging)
    files = [labels] if isinstance(labels, str | Path) else list(labels or [])
    notes = apply_labels(staging, files, category_parents(plan.rules))
    found = survey(staging)
    rejects, skipped = sum(counts.rejected.values()), sum(counts.skipped.values())
    names = {
        "n_inputs": counts.inputs,
        "n_sources": counts.inputs - merged - skipped - rejects,
        "n_merged": merged,
        "n_skipped": skipped,
        "n_rejects": rejects,
        **found.counts,
        "n_orphan_feedbacks": counts.orphans,
    }
    manifest = {
        "schema_version": schema.SCHEMA_VERSION,
        "digest": dataset_digest(found.content_digest, description.get("rules"), description.get("options")),
        "content_digest": found.content_digest,
        "counts": names,
        "rejected": dict(counts.rejected),
        "skipped": dict(counts.skipped),
        "repaired": dict(counts.repaired),
        "checks": sorted(list_sql("checks")),
        **description,
    }
    write_manifest(staging, manifest)
    return Summary(
        path=staging,
        counts=names,
        overview=found.overview,
        formats=found.formats,
        rejected=dict(counts.rejected.most_common()),
        skipped=dict(counts.skipped.most_common()),
        repaired=dict(counts.repaired.most_common()),
        notes=notes,
        max_bad=max_bad,
    )


@dataclass(frozen=True, slots=True)
class Survey:
    """What the staged tables hold: counts under the manifest's names, the overview's rows, trajectories by format."""

    counts: dict[str, int]
    overview: list[dict[str, Any]]
    formats: dict[str, int]
    content_digest: str


def survey(staging: Path) -> Survey:
    """Check the staged tables, and say what they hold; a table without a part gets an empty one.

    Raises:
        CheckError: a check of sql/checks failed.
    """
    fill_empty_tables(staging)
    with connect(staging) as connection:
        _check(connection)
        overview = connection.sql(read_sql("stats/overview")).to_arrow_table().to_pylist()
        row = connection.execute(
            "SELECT count(*), coalesce(sum(n_calls), 0), coalesce(sum(n_errors), 0) FROM trajectories"
        ).fetchone()
        digest_row = connection.execute(read_sql("annotate/digest")).fetchone()
        trainable = connection.execute("SELECT count(*) FROM calls WHERE trainable").fetchone()
        formats = dict(
            connection.execute("SELECT format, count(*) FROM trajectories GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()
        )
    assert row is not None and digest_row is not None and trainable is not None
    counts = {
        "n_trajectories": row[0],
        "n_calls": int(row[1]),
        "n_errors": int(row[2]),
        "n_trainable_calls": trainable[0],
    }
    return Survey(counts, overview, formats, digest_row[0])


def write_manifest(staging: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest, which makes the folder a dataset, in one step."""
    write_atomically(staging / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2, default=str))


def connect(staging: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB over the staged tables, with bounded memory and its spill files in the staging folder."""
    connection = duckdb.connect(config={"memory_limit": "1GB", "temp_directory": str(staging / "spill")})
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute("SET VARIABLE dataset = ?", [glob_of(staging)])
    for table in (*schema.TABLES, "prefixes", "members"):
        if any((staging / table).glob("*.parquet")):
            files = f"{glob_of(staging)}/{table}/*.parquet".replace("'", "''")
            connection.execute(f"CREATE VIEW {table} AS FROM read_parquet('{files}')")
    return connection


def category_parents(rules: Sequence[str]) -> dict[str, str]:
    """Every category that a call may have under these rules files -> the built-in one that it is or stands under."""
    return {name: name for name in schema.CATEGORIES} | dict(load_rules(rules or None).categories)


def known_categories(rules: Sequence[str]) -> tuple[str, ...]:
    """The built-in categories and those that the rules files in use add."""
    return tuple(category_parents(rules))


def merge_prefix_copies(staging: Path) -> int:
    """Drop trajectories that another one begins with, as the staged ``prefixes`` show; returns how many records were merged whole."""
    if not any((staging / "prefixes").glob("*.parquet")):
        return 0
    with connect(staging) as connection:
        copies = connection.sql(read_sql("annotate/prefix_copies")).to_arrow_table()
    if copies.num_rows == 0:
        return 0
    (staging / "merged").mkdir(exist_ok=True)
    pq.write_table(
        copies.select(schema.MERGED.names).cast(schema.MERGED), staging / "merged" / "merged.parquet", **COMPRESSION
    )
    drop_trajectories(staging, copies["trajectory_id"].combine_chunks())
    return len(set(zip(copies["source"].to_pylist(), copies["source_line"].to_pylist(), strict=True)))


def _check(connection: duckdb.DuckDBPyConnection) -> None:
    for name, path in list_sql("checks").items():
        broken = connection.execute(path.read_text(encoding="utf-8")).fetchmany(3)
        if broken:
            raise CheckError(
                f"check {name} failed on {broken[0]!r}; the dataset was not written",
                hint="this is a fault of tldata: please report it with the record that shows it",
            )


def swap_in(staging: Path, target: Path) -> None:
    """Put the finished folder in its place in one step; an old dataset there is exchanged, then removed."""
    for helper in HELPERS:
        path = staging / helper
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if not target.exists():
        staging.rename(target)
        return
    if not any(target.iterdir()):
        target.rmdir()
        staging.rename(target)
        return
    _exchange(staging, target)
    shutil.rmtree(staging, ignore_errors=True)


def _exchange(one: Path, other: Path) -> None:
    """Exchange two folders' names atomically (Linux), or as close to it as the system allows."""
    libc = ctypes.CDLL(None, use_errno=True)
    rename = getattr(libc, "renameat2", None)
    if rename is not None:
        at_cwd = -100
        if rename(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), RENAME_EXCHANGE) == 0:
            return
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
            raise DatasetError(f"{other}: cannot be replaced: {os.strerror(ctypes.get_errno())}")
    aside = other.with_name(f".{other.name}.old")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)
