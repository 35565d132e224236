"""Judge the stored calls of a dataset anew, by other rules: no raw source is read, and only the columns of verdicts change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tldata import __version__, schema
from tldata.classify import Classifier
from tldata.dataset import Dataset
from tldata.errors import RuleError
from tldata.evidence.rules import load_rules
from tldata.finish import category_parents, survey, write_manifest
from tldata.jsontext import loads
from tldata.labels import with_labels, write_calls
from tldata.lineage import dataset_digest, now
from tldata.parts import link, link_tables
from tldata.select.write import staged
from tldata.sqlfiles import glob_of
from tldata.tables import Tables
from tldata.token_sets import mark_stale
from tldata.tools import normalise_all

JUDGED = (
    "call_check", "call_check_detail", "feedback_category", "rule_id", "evidence", "category", "is_error",
    "verdict", "verdict_id", "label", "disagreement",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Applied:
    """What other rules changed: calls whose category differs, and token sets that no longer fit."""

    path: Path
    n_calls: int
    n_changed: int
    rules: dict[str, Any]
    stale: list[str]

    def to_json(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in ("n_calls", "n_changed", "rules", "stale")}
        return {"dataset": str(self.path), **found}


def apply_rules(dataset: str | Path, rules: Sequence[str | Path] | None = None) -> Applied:
    """Give a dataset the verdicts of these rules, as a new annotate with them would; labels stay.

    Args:
        dataset: the folder; it is replaced in one step.
        rules: rules files, or ``authors``, as of ``annotate``; None for the built-in rules of this version.

    Raises:
        RuleError: a rules file that does not hold together.
    """
    path = Path(dataset)
    files = tuple(str(rule) for rule in rules or ())
    digest = load_rules(files or None).digest
    Dataset(path)  # before anything is written: a wrong path makes no folder
    with staged(path, overwrite=True) as staging:
        data = Dataset(path)
        link_tables(data.path, staging)
        for folder in sorted(p for p in data.path.iterdir() if p.is_dir() and p.name not in (*schema.TABLES, "tokens")):
            for file in sorted(folder.rglob("*.parquet")):
                link(file, staging / file.relative_to(data.path))
        n_changed = rejudge(staging, files)
        found = survey(staging)
        old = data.manifest
        told = {"files": list(files), "digest": digest}
        new_digest = dataset_digest(found.content_digest, told, old.get("options"))
        step = {
            "at": now(), "step": "rules apply", "files": list(files), "n_changed": n_changed,
            "digest_before": old.get("digest"),
        }  # fmt: skip
        manifest = {
            **old,
            "digest": new_digest,
            "content_digest": found.content_digest,
            "counts": {**old["counts"], **found.counts},
            "rules": told,
            "judged_by": __version__,
            "history": [*old.get("history", []), step],
        }
        for name in data.token_sets:
            mark_stale(data.path / "tokens" / name, staging / "tokens" / name)
        write_manifest(staging, manifest)
    stale = data.token_sets if new_digest != old.get("digest") else []
    return Applied(path, found.counts["n_calls"], n_changed, told, stale)


def rejudge(staging: Path, rules: Sequence[str], *, only: Sequence[str] | None = None) -> int:
    """Judge the staged calls anew, with their labels as they are; returns how many changed their category.

    Args:
        staging: a folder with parts of trajectories, calls and toolsets.
        rules: rules files.
        only: names of the parts; default all.
    """
    classifier = Classifier(tuple(rules))
    parents = category_parents(tuple(rules))
    changed = 0
    for part in sorted((staging / "calls").glob("*.parquet")):
        if only is not None and part.name not in only:
            continue
        calls = pq.read_table(part).cast(schema.CALLS)
        trajectories = pq.read_table(
            staging / "trajectories" / part.name, columns=["trajectory_id", "toolset_id", "n_errors"]
        )
        tables = _tables(staging, calls, trajectories)
        classifier.classify(tables)
        columns = [pa.array(tables.calls[column.name], type=column.type) for column in schema.CALLS]
        label = calls["label"].combine_chunks()
        strange = sorted({one for one in pc.unique(label).to_pylist() if one is not None} - parents.keys())
        if strange:
            raise RuleError(
                f"{len(strange)} labels name categories that these rules do not know: {strange[0]!r}",
                hint="--rules FILE: the file that has it, too",
            )
        judged = with_labels(pa.Table.from_arrays(columns, schema=schema.CALLS), label, parents)
        changed += pc.sum(pc.not_equal(judged["category"], calls["category"])).as_py() or 0
        write_calls(part, judged, before=calls)
    return changed


def _tables(staging: Path, calls: pa.Table, trajectories: pa.Table) -> Tables:
    """The rows of one part as a worker has them before it judges them."""
    tables = Tables()
    tables.calls = {name: [] if name in JUDGED else calls[name].to_pylist() for name in schema.CALLS.names}
    tables.trajectories["trajectory_id"] = trajectories["trajectory_id"].to_pylist()
    tables.trajectories["n_errors"] = trajectories["n_errors"].to_pylist()
    toolset_of = dict(zip(tables.trajectories["trajectory_id"], trajectories["toolset_id"].to_pylist(), strict=True))
    tables.call_toolset = [toolset_of[identity] for identity in tables.calls["trajectory_id"]]
    wanted = sorted({one for one in tables.call_toolset if one is not None})
    if not wanted:
        return tables
    with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
        connection.register("wanted", pa.table({"toolset_id": wanted}))
        rows = connection.execute(
            "SELECT toolset_id, list(raw ORDER BY position) FROM read_parquet(?) "
            "SEMI JOIN wanted USING (toolset_id) GROUP BY toolset_id",
            [f"{glob_of(staging)}/toolsets/*.parquet"],
        ).fetchall()
    tables.tools_of = {identity: normalise_all([loads(text.encode())[0] for text in raw]) for identity, raw in rows}
    return tables
