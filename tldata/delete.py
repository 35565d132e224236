"""Take trajectories out of a dataset for good: out of every table, every token set, and the files about it that lie beside it."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tldata import schema
from tldata.condition import check_condition
from tldata.corrections import KEY, corrections_file, read_corrections, write_corrections
from tldata.dataset import Dataset
from tldata.errors import InputError, UsageError
from tldata.finish import survey, write_manifest
from tldata.lineage import dataset_digest, now
from tldata.parts import drop_trajectories, keep_toolsets_once, link, link_tables, rewrite
from tldata.rules_audit import sample_file
from tldata.select.write import staged
from tldata.token_sets import Member, why_stale, write_set
from tldata.work import generic

HINT = "a condition on columns of trajectories, such as: source = 'old.jsonl' AND n_calls = 0"
REJECTS_HINT = "a condition on source, source_line, reason and raw, such as: raw LIKE '%@example.com%'"
INLINE = 1_000  # hashed ids that the manifest's history holds; all of them stand in the table `deleted`
ABOUT_IDS = (
    "trajectory_id",
    "merged_into",
    "kept_instead",
    "match",
)  # columns of further tables that name trajectories
DELETED = pa.schema([("id_sha256", pa.string()), ("content_sha256", pa.string()), ("at", pa.string())])


@dataclass(slots=True)
class Deletion:
    """What was deleted, or would be: trajectories with their rows by table, records, rejects, rows of token sets."""

    path: Path
    dry_run: bool
    n_trajectories: int = 0
    n_records: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    n_corrections: int = 0
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path)}

    @property
    def anything(self) -> bool:
        return bool(self.n_trajectories or self.rows.get("rejects"))


def delete(
    dataset: str | Path,
    *,
    where: str | None = None,
    ids: str | Path | Sequence[str] | None = None,
    rejects: str | None = None,
    dry_run: bool = False,
) -> Deletion:
    """Remove trajectories, in one step: whatever happens, the dataset is the old one or the new one, whole.

    They go from all tables, from token sets (which stay as good as they were), from the records merged into them, and from the
    corrections and the audit sample beside the dataset. The manifest's ``history`` tells when, by which condition (literals that
    are no category, tool, source, format or model stand masked), how many, and the hashes of their ids.

    Args:
        where: SQL condition on the columns of ``trajectories``; subqueries read the other tables.
        ids: trajectory ids, or a file with one a line.
        rejects: SQL condition on the columns of ``rejects``, for the text of records that could not be read.
        dry_run: count only.

    Raises:
        UsageError: nothing that says what to delete, or a condition that does not run.
        InputError: no such file of ids.
    """
    path = Path(dataset)
    if where is None and ids is None and rejects is None:
        raise UsageError("nothing says what to delete", hint="--where SQL\n--ids FILE\n--rejects SQL")
    wanted = None if ids is None else _read_ids(ids)
    data = Dataset(path)  # before anything is written: a wrong path makes no folder
    if dry_run:
        return _look(data, _chosen(data, where, wanted), _chosen_rejects(data, rejects), wanted, dry_run=True)
    with staged(path, overwrite=True) as staging:
        data = Dataset(path)
        gone, bad = _chosen(data, where, wanted), _chosen_rejects(data, rejects)
        found = _look(data, gone, bad, wanted, dry_run=False)
        if found.anything:
            _write(data, staging, gone, bad, found, where, rejects)
        else:
            _link_all(data, staging)
    return found


def _read_ids(ids: str | Path | Sequence[str]) -> list[str]:
    if not isinstance(ids, str | Path):
        return list(dict.fromkeys(ids))
    try:
        lines = Path(ids).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{ids}: cannot be read: {error}", hint="a text file with one trajectory_id a line") from None
    return list(dict.fromkeys(line for line in lines if line.strip()))


def _chosen(data: Dataset, where: str | None, ids: list[str] | None) -> pa.Table:
    """The trajectories to delete: trajectory_id, source, source_line, content_hash."""
    columns = "trajectory_id, source, source_line, content_hash"
    if where is None and ids is None:
        return data.sql(f"SELECT {columns} FROM trajectories LIMIT 0")
    chosen = _run(
        data, f"SELECT {columns} FROM trajectories WHERE (\n{{}}\n)", "true" if where is None else where, HINT
    )
    if ids is not None:
        chosen = chosen.filter(pc.is_in(chosen["trajectory_id"], value_set=pa.array(ids, pa.string())))
    return chosen


def _chosen_rejects(data: Dataset, condition: str | None) -> pa.Table:
    if condition is None:
        return data.sql("FROM rejects LIMIT 0")
    return _run(
        data, "SELECT DISTINCT source, source_line, reason, raw FROM rejects WHERE (\n{}\n)", condition, REJECTS_HINT
    )


def _run(data: Dataset, query: str, condition: str, hint: str) -> pa.Table:
    check_condition(condition, hint=hint)
    connection = data.connect(read_only=True, settings={"memory_limit": "1GB"})
    try:
        return connection.sql(query.format(condition)).to_arrow_table()
    except duckdb.Error as error:
        reason = str(error).split("\n\nLINE", 1)[0].strip()
        raise UsageError(f"the condition does not run: {reason}", hint=hint) from None
    finally:
        connection.close()


def _look(data: Dataset, gone: pa.Table, bad: pa.Table, wanted: list[str] | None, *, dry_run: bool) -> Deletion:
    """Count what goes, and say what the user should know before it is gone."""
    found = Deletion(data.path, dry_run, n_trajectories=gone.num_rows)
    with data.connect(settings={"memory_limit": "1GB"}) as connection:
        connection.register("gone", gone)
        connection.register("wanted", pa.table({"trajectory_id": pa.array(wanted or [], pa.string())}))
        for table in ("messages", "calls"):
            found.rows[table] = _count(connection, f"FROM {table} SEMI JOIN gone USING (trajectory_id)")
        found.rows["merged"] = _count(
            connection, "FROM merged SEMI JOIN gone ON merged.merged_into = gone.trajectory_id"
        )
        found.rows["rejects"] = bad.num_rows
        whole = "SELECT DISTINCT source, source_line FROM gone"
        left = "SELECT source, source_line FROM trajectories ANTI JOIN gone USING (trajectory_id)"
        records = gone.num_rows if "select" in data.manifest else _count(connection, f"FROM ({whole} EXCEPT {left})")
        found.n_records = records + found.rows["merged"] + found.rows["rejects"]
        for name in data.token_sets:
            found.tokens[name] = _count(connection, f'FROM "tokens_{name}" SEMI JOIN gone USING (trajectory_id)')
        equal = _count(
            connection,
            "FROM (FROM trajectories ANTI JOIN gone USING (trajectory_id)) SEMI JOIN gone USING (content_hash)",
        )
        merged = connection.execute(
            "SELECT trajectory_id, merged_into FROM merged SEMI JOIN wanted USING (trajectory_id) ORDER BY ALL"
        ).fetchall()
        unknown = _count(
            connection,
            "FROM wanted ANTI JOIN trajectories USING (trajectory_id) ANTI JOIN merged USING (trajectory_id)",
        )
    ids = set(gone["trajectory_id"].to_pylist())
    found.n_corrections = len(_corrections_of(data.path, ids)[0]) + len(_samples_of(data.path, ids)[1])
    if equal:
        found.notes.append(f"{equal:,} trajectories that stay hold the same text")
    for identity, into in merged[:5]:
        if into not in ids:
            found.notes.append(f"{identity} was merged into {into}, which holds its text: delete that one")
    if unknown:
        found.notes.append(f"{unknown:,} ids name no trajectory of this dataset")
    return found


def _count(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    return int(connection.execute(f"SELECT count(*) {rows}").fetchall()[0][0])


def _link_all(data: Dataset, staging: Path) -> None:
    for file in sorted(data.path.rglob("*")):
        if file.is_file():
            link(file, staging / file.relative_to(data.path))


def _write(
    data: Dataset, staging: Path, gone: pa.Table, bad: pa.Table, found: Deletion, where: str | None, rejects: str | None
) -> None:
    """Write the dataset without what goes, and take it out of the files beside it."""
    ids = gone["trajectory_id"].combine_chunks()
    link_tables(data.path, staging)
    drop_trajectories(staging, ids)
    _drop_rows(staging / "merged", "merged_into", ids)
    _drop_rejects(staging / "rejects", bad)
    keep_toolsets_once(staging)
    for folder in sorted(path for path in data.path.iterdir() if path.is_dir()):
        if folder.name in (*schema.TABLES, "tokens") or folder.name.startswith("."):
            continue
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                link(file, staging / file.relative_to(data.path))
        for column in ABOUT_IDS:
            _drop_rows(staging / folder.name, column, ids)
    at = now()
    _log_ids(data.path, staging, gone, bad, at)
    manifest = _manifest(data, staging, found, bad, gone, where, rejects, at)
    own = {"digest": manifest["digest"], "path": data.path.name}
    for name in data.token_sets:
        member, target = Member(data.path / "tokens" / name), staging / "tokens" / name
        parent = own if why_stale(data, name) is None else {"digest": None, "path": data.path.name}
        write_set([member], target, dropped=ids, parent=parent)
    write_manifest(staging, manifest)
    _clean_beside(data.path, set(ids.to_pylist()))


def _drop_rows(folder: Path, column: str, ids: pa.Array) -> None:
    """Take the rows out of a table's parts whose column names one of the trajectories; a part that loses all keeps its columns."""
    for part in sorted(folder.glob("*.parquet")):
        if column not in pq.read_schema(part).names:
            continue
        table = pq.read_table(part)
        gone = pc.fill_null(pc.is_in(table[column].cast(pa.string()), value_set=ids), False)
        if pc.any(gone).as_py():
            kept = table.filter(pc.invert(gone))
            if kept.num_rows or folder.name in schema.TABLES:
                rewrite(part, kept)
            else:
                part.unlink()
                pq.write_table(kept, part)


def _drop_rejects(folder: Path, bad: pa.Table) -> None:
    if not bad.num_rows:
        return
    with duckdb.connect() as connection:
        connection.register("bad", bad)
        for part in sorted(folder.glob("*.parquet")):
            table = pq.read_table(part)
            connection.register("part", table)
            kept = connection.sql(
                "SELECT place FROM (SELECT *, row_number() OVER () - 1 AS place FROM part) AS p "
                "WHERE NOT EXISTS (FROM bad AS b WHERE b.source IS NOT DISTINCT FROM p.source AND "
                "b.source_line IS NOT DISTINCT FROM p.source_line AND b.reason IS NOT DISTINCT FROM p.reason "
                "AND b.raw IS NOT DISTINCT FROM p.raw) ORDER BY place"
            ).to_arrow_table()
            if kept.num_rows < table.num_rows:
                rewrite(part, table.take(kept["place"].combine_chunks()))


def _log_ids(dataset: Path, staging: Path, gone: pa.Table, bad: pa.Table, at: str) -> None:
    """Add the hashes of what was deleted to the table ``deleted``: enough to recognise it, nothing to read."""
    ids = [*gone["trajectory_id"].to_pylist(), *(f"{row['source']}:{row['source_line']}" for row in bad.to_pylist())]
    contents = [*gone["content_hash"].to_pylist(), *bad["raw"].to_pylist()]
    table = pa.table(
        [[sha256(one) for one in ids], [sha256(one or "") for one in contents], [at] * len(ids)], schema=DELETED
    )
    before = [pq.read_table(file) for file in sorted((dataset / "deleted").glob("*.parquet"))]
    (staging / "deleted").mkdir(exist_ok=True)
    rewrite(staging / "deleted" / "deleted.parquet", pa.concat_tables([*before, table]))


def sha256(text: str) -> str:
    """The hash under which a deleted id or content is remembered.

    >>> sha256("raw:1")[:8]
    '209343d8'
    """
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _manifest(
    data: Dataset,
    staging: Path,
    found: Deletion,
    bad: pa.Table,
    gone: pa.Table,
    where: str | None,
    rejects: str | None,
    at: str,
) -> dict[str, Any]:
    seen = survey(staging)
    old = data.manifest
    counts = dict(old["counts"])
    n_bad, n_merged = found.rows["rejects"], found.rows["merged"]
    counts["n_inputs"] = counts.get("n_inputs", 0) - found.n_records
    counts["n_sources"] = counts.get("n_sources", 0) - (found.n_records - n_bad - n_merged)
    counts["n_merged"] = counts.get("n_merged", 0) - n_merged
    counts["n_rejects"] = counts.get("n_rejects", 0) - n_bad
    counts |= seen.counts
    counts["n_deleted"] = counts.get("n_deleted", 0) + found.n_records
    reasons = Counter(old.get("rejected") or {})
    reasons.subtract(generic(reason or "") for reason in bad["reason"].to_pylist())
    hashes = sorted(sha256(identity) for identity in gone["trajectory_id"].to_pylist())
    words = _vocabulary(data)
    step = {
        "at": at,
        "step": "delete",
        "where": None if where is None else masked(where, words),
        "rejects": None if rejects is None else masked(rejects, words),
        "n_trajectories": found.n_trajectories,
        "n_records": found.n_records,
        "rows": found.rows,
        "tokens": found.tokens,
        "ids_sha256": hashes if len(hashes) <= INLINE else [],
        "ids_digest": sha256("\n".join(hashes)),
        "digest_before": old.get("digest"),
    }
    digest = dataset_digest(seen.content_digest, old.get("rules"), old.get("options"))
    return {
        **old,
        "digest": digest,
        "content_digest": seen.content_digest,
        "counts": counts,
        "rejected": {reason: n for reason, n in reasons.items() if n > 0},
        "history": [*old.get("history", []), step],
    }


def _vocabulary(data: Dataset) -> set[str]:
    """Words that a logged condition may keep: names of categories, tools, sources, formats and models."""
    rows = data.sql(
        "SELECT DISTINCT category AS word FROM calls UNION SELECT DISTINCT tool_name FROM calls "
        "UNION SELECT DISTINCT unnest([source, format, model]) FROM trajectories"
    )["word"].to_pylist()
    return {*schema.CATEGORIES, *(word for word in rows if word)}


def masked(condition: str, words: set[str]) -> str:
    """A condition as it may be logged: text that is none of ``words`` and long numbers are masked, comments left out.

    >>> masked("query LIKE '%Ann Li%' AND model = 'gpt-4' -- hers", {"gpt-4"})
    "query LIKE '***' AND model = 'gpt-4'"
    """
    tokens = duckdb.tokenize(condition)
    ends = [start for start, _ in tokens[1:]] + [len(condition)]
    parts = []
    for (start, kind), end in zip(tokens, ends, strict=True):
        token = condition[start:end]
        bare = token.strip()
        if kind == duckdb.token_type.comment or bare.startswith(("--", "/*")):
            continue
        if kind == duckdb.token_type.string_const:
            value = bare[1:-1].replace("''", "'") if bare.startswith("'") else None
            token = token.replace(bare, bare if value in words else "'***'")
        elif kind == duckdb.token_type.numeric_const and len(bare) > 6:
            token = token.replace(bare, "***")
        parts.append(token)
    return "".join(parts).strip()


def _corrections_of(dataset: Path, ids: set[str]) -> tuple[list[Any], list[Any]]:
    """The rows of the corrections file about these trajectories, and the others."""
    rows = read_corrections(corrections_file(dataset))
    return [row for row in rows if row[KEY[0]] in ids], [row for row in rows if row[KEY[0]] not in ids]


def _samples_of(dataset: Path, ids: set[str]) -> tuple[list[str], list[dict[str, str]], list[dict[str, str]]]:
    """The columns of the audit sample, its rows about these trajectories, and the others."""
    file = sample_file(dataset)
    if not file.is_file():
        return [], [], []
    csv.field_size_limit(1 << 30)
    with file.open(encoding="utf-8", errors="replace", newline="") as handle:
        reader = csv.DictReader(handle)
        rows = list(reader)
    about = [row for row in rows if row.get("trajectory_id") in ids]
    return list(reader.fieldnames or []), about, [row for row in rows if row.get("trajectory_id") not in ids]


def _clean_beside(dataset: Path, ids: set[str]) -> None:
    """Take the trajectories out of the corrections and the audit sample, which quote their calls."""
    about, others = _corrections_of(dataset, ids)
    if about:
        write_corrections(corrections_file(dataset), others)
    columns, about, rest = _samples_of(dataset, ids)
    if about:
        file = sample_file(dataset)
        partial = file.with_name(file.name + ".tmp")
        with partial.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rest)
        partial.replace(file)
