"""Make one dataset of several: parts are linked, ids stay unique, and records that another one begins with are merged over all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tldata import __version__, schema
from tldata.dataset import Dataset
from tldata.errors import UsageError
from tldata.finish import survey, write_manifest
from tldata.lineage import dataset_digest, now
from tldata.parts import keep_toolsets_once, link, rewrite
from tldata.prefix_union import merge_copies_again
from tldata.select.write import staged
from tldata.sqlfiles import glob_of, list_sql
from tldata.token_sets import Member, mergeable, write_set

SHOWN = 3  # ids or names in a message
OWNED = ("trajectories", "messages", "calls", "merged")  # tables with ids


@dataclass(slots=True)
class Merged:
    """What a merge did: counts under the manifest's names, trajectories merged over the datasets, token sets, and what to know."""

    path: Path
    counts: dict[str, int]
    n_copies: int
    tokens: list[str]
    tokens_left: dict[str, str]
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "dataset": str(self.path), **self.counts, "n_copies": self.n_copies,
            "tokens": self.tokens, "tokens_left": self.tokens_left, "notes": self.notes,
        }  # fmt: skip


@dataclass(slots=True)
class _Parent:
    """A dataset to merge, with the prefix that its ids and its parts get."""

    data: Dataset
    number: int
    ids: str = ""
    parts: str = ""

    @property
    def name(self) -> str:
        return self.data.path.name or self.data.path.resolve().name

    def rename(self, part: str) -> str:
        return self.parts + part

    def label(self, source: dict[str, Any]) -> str | None:
        label = source.get("label")
        return None if label is None else self.ids + label


def merge(
    datasets: Sequence[str | Path],
    out: str | Path,
    *,
    relabel: bool = False,
    mixed_rules: bool = False,
    overwrite: bool = False,
) -> Merged:
    """Merge datasets into a new one, as if their sources had been annotated together.

    Where all were annotated with ``--prefixes longest``, prefix copies are merged over all of them. The shards of one run
    (``annotate --shard``) give what the run without shards gives, row for row.

    Args:
        datasets: at least two dataset folders; their order is that of the rows.
        out: the folder to write.
        relabel: where ids stand in two datasets, give all ids of the later one its folder's name and a slash in front.
        mixed_rules: take datasets of different rules together; the manifest then names each one's.
        overwrite: replace a finished dataset.

    Raises:
        UsageError: ids that clash, different rules, the same dataset twice, or fewer than two.
        DatasetError: a dataset that cannot be read, or a place that cannot be written.
    """
    target = Path(out)
    if len(datasets) < 2:
        raise UsageError("merge takes two datasets or more", hint="tldata merge A B -o C")
    parents = [_Parent(Dataset(path), number) for number, path in enumerate(datasets)]
    _refuse_repeated(parents, target)
    rules = _common_rules(parents, mixed_rules)
    _keep_ids_apart(parents, relabel)
    _keep_parts_apart(parents)
    sources, names_unclear = _sources(parents)
    good, left = mergeable([parent.data for parent in parents])
    with staged(target, overwrite) as staging:
        for parent in parents:
            _link(parent, staging)
        _unify_columns(staging)
        n_copies, options = 0, _common(parents, "options")
        kept = _ids(staging)
        if options.get("prefixes") == "longest":
            labels = [(source["name"], source["label"]) for source in sources if source.get("label") is not None]
            n_copies, _ = merge_copies_again(staging, labels)
        dropped = kept.filter(pc.invert(pc.is_in(kept, value_set=_ids(staging)))) if n_copies else kept.slice(0, 0)
        keep_toolsets_once(staging)
        found = survey(staging)
        sums = _summed(parents)
        counts = {
            "n_inputs": sums["n_inputs"],
            "n_sources": sums["n_sources"] - n_copies,
            "n_merged": sums["n_merged"] + n_copies,
            "n_skipped": sums["n_skipped"],
            "n_rejects": sums["n_rejects"],
            **found.counts,
            "n_orphan_feedbacks": sums["n_orphan_feedbacks"],
        }
        digest = dataset_digest(found.content_digest, rules, options)
        for name in good:
            members = [
                Member(p.data.path / "tokens" / name, p.rename, p.ids) for p in parents if name in p.data.token_sets
            ]
            own = {"digest": digest, "path": target.name}
            write_set(members, staging / "tokens" / name, dropped=dropped, parent=own)
        history = [entry for parent in parents for entry in parent.data.manifest.get("history", [])]
        step = {"at": now(), "step": "merge", "n_datasets": len(parents), "n_copies": n_copies}
        manifest = {
            "schema_version": schema.SCHEMA_VERSION,
            "digest": digest,
            "content_digest": found.content_digest,
            "counts": counts,
            **{name: _counted(parents, name) for name in ("rejected", "skipped", "repaired")},
            "checks": sorted(list_sql("checks")),
            "tldata_version": __version__,
            "created_at": now(),
            "options": options,
            "rules": rules,
            "sources": sources,
            "parents": [{"path": str(p.data.path), "digest": p.data.manifest.get("digest")} for p in parents],
            "history": [*history, step],
        }
        write_manifest(staging, manifest)
    notes = [f"ids of {p.name} begin with {p.ids}" for p in parents if p.ids]
    notes += [f"{name}: sources of this name in several datasets stay apart" for name in names_unclear]
    notes += _missing_shards(parents)
    return Merged(target, counts, n_copies, good, left, notes)


def _refuse_repeated(parents: Sequence[_Parent], target: Path) -> None:
    """The same dataset twice would hold every trajectory twice; the target cannot be one of those that are read."""
    places: dict[Path, _Parent] = {}
    digests: dict[str, _Parent] = {}
    for parent in parents:
        place = parent.data.path.resolve()
        if place == target.resolve():
            raise UsageError(f"{target} is one of the datasets to merge", hint="-o DIR: another folder")
        first = places.setdefault(place, parent)
        if first is not parent:
            raise UsageError(f"{parent.data.path} is named twice", hint="name each dataset once")
        digest = parent.data.manifest.get("digest")
        if not digest or not parent.data.manifest["counts"].get("n_trajectories"):
            continue
        first = digests.setdefault(digest, parent)
        if first is not parent:
            raise UsageError(
                f"{first.data.path} and {parent.data.path} hold the same trajectories and verdicts (digest {digest[:12]})",
                hint="name one of them only",
            )


def _common_rules(parents: Sequence[_Parent], mixed: bool) -> dict[str, Any]:
    """The rules of all; where they differ, that is refused or named."""
    found = {
        (parent.data.manifest.get("rules") or {}).get("digest"): parent.data.manifest.get("rules") or {}
        for parent in parents
    }
    if len(found) == 1:
        return next(iter(found.values()))
    if not mixed:
        listing = ", ".join(
            f"{p.name} {str((p.data.manifest.get('rules') or {}).get('digest'))[:12]}" for p in parents[: 2 * SHOWN]
        )
        raise UsageError(
            f"the datasets were judged by different rules: {listing}",
            hint="tldata rules apply DATASET gives one the rules of this version, or those of --rules\n"
            "--mixed-rules takes them together as they are",
        )
    digests = sorted(str(digest) for digest in found)
    return {"files": [], "digest": "+".join(digests), "mixed": list(found.values())}


def _keep_ids_apart(parents: Sequence[_Parent], relabel: bool) -> None:
    """Find ids that stand in two datasets: refuse them, or give those of the later dataset a prefix."""
    with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
        parts = " UNION ALL ".join(
            f"SELECT trajectory_id, {p.number} AS number FROM read_parquet('{_files(p.data.path, 'trajectories')}')"
            for p in parents
        )
        connection.execute(f"CREATE TEMP TABLE ids AS {parts}")
        clashes = connection.execute(
            "SELECT trajectory_id, list(DISTINCT number ORDER BY number) AS numbers FROM ids "
            "GROUP BY trajectory_id HAVING len(numbers) > 1 ORDER BY trajectory_id"
        ).fetchall()
        if not clashes:
            return
        if not relabel:
            numbers = sorted({number for _, listed in clashes for number in listed})
            names = " and ".join(parents[number].data.path.name for number in numbers[:SHOWN])
            some = ", ".join(identity for identity, _ in clashes[:SHOWN])
            raise UsageError(
                f"{len(clashes):,} trajectory ids stand in {names}: {some}{', ...' if len(clashes) > SHOWN else ''}",
                hint="--relabel puts the folder's name in front of the ids of the later dataset",
            )
        taken = {parents[0].name.removesuffix(".tldata")}
        for number in sorted({number for _, listed in clashes for number in listed[1:]}):
            base = name = parents[number].name.removesuffix(".tldata") or "dataset"
            further = 2
            while (
                name in taken
                or connection.execute(
                    "SELECT 1 FROM ids WHERE starts_with(trajectory_id, ?) LIMIT 1", [f"{name}/"]
                ).fetchone()
            ):
                name, further = f"{base}{further}", further + 1
            taken.add(name)
            parents[number].ids = f"{name}/"


def _keep_parts_apart(parents: Sequence[_Parent]) -> None:
    """Leave the parts of one run's shards their names, which give their order; number those of other datasets by their dataset."""
    seen: set[str] = set()
    clash = False
    for parent in parents:
        own = {path.name for table in schema.TABLES for path in (parent.data.path / table).glob("*.parquet")}
        own -= {"empty.parquet", "merged.parquet"}
        clash |= not seen.isdisjoint(own)
        seen |= own
    lists = {repr([source["name"] for source in parent.data.manifest.get("sources", [])]) for parent in parents}
    if clash or len(lists) > 1:
        width = len(str(len(parents) - 1))
        for parent in parents:
            parent.parts = f"{parent.number:0{width}d}-"


def _link(parent: _Parent, staging: Path) -> None:
    """Let a dataset's parts stand in the staging folder, with other ids where they clash."""
    for table in schema.TABLES:
        (staging / table).mkdir(exist_ok=True)
        for part in sorted((parent.data.path / table).glob("*.parquet")):
            if not pq.read_metadata(part).num_rows:
                continue
            name = parent.rename(part.name)
            if table == "merged" and name == "merged.parquet":
                name = f"merged-{parent.number}.parquet"
            if parent.ids and table in OWNED:
                rewrite(staging / table / name, relabelled(pq.read_table(part), parent.ids))
            else:
                link(part, staging / table / name)


def relabelled(table: pa.Table, prefix: str) -> pa.Table:
    """A table with a prefix before every id of a trajectory."""
    for name in ("trajectory_id", "merged_into"):
        if name in table.column_names:
            ids = pc.binary_join_element_wise(prefix, table[name], "")
            table = table.set_column(table.schema.get_field_index(name), name, ids)
    return table


def _unify_columns(staging: Path) -> None:
    """Where datasets have columns of their own (a split, a column of a newer version), give them to all parts of the table."""
    for table, known in schema.TABLES.items():
        parts = sorted((staging / table).glob("*.parquet"))
        schemas = [pq.read_schema(part).remove_metadata() for part in parts]
        wanted = pa.unify_schemas([known, *schemas])
        for part, own in zip(parts, schemas, strict=True):
            if own.names != wanted.names:
                found = pq.read_table(part)
                for column in wanted:
                    if column.name not in found.column_names:
                        found = found.append_column(column, pa.nulls(found.num_rows, column.type))
                rewrite(part, found.select(wanted.names).cast(wanted))


def _ids(staging: Path) -> pa.Array:
    parts = sorted((staging / "trajectories").glob("*.parquet"))
    columns = [pq.read_table(part, columns=["trajectory_id"])["trajectory_id"].combine_chunks() for part in parts]
    return pa.concat_arrays(columns) if columns else pa.array([], pa.string())


def _sources(parents: Sequence[_Parent]) -> tuple[list[dict[str, Any]], list[str]]:
    """The sources of all: those of one run's shards are one, with their counts added; and names that mean different files."""
    together: dict[tuple[Any, ...], dict[str, Any]] = {}
    for parent in parents:
        for source in parent.data.manifest.get("sources", []):
            own = {**source, "label": parent.label(source)}
            key = tuple(repr(own.get(name)) for name in ("name", "label", "bytes", "mtime_ns"))
            known = together.setdefault(key, own)
            if known is not own:
                together[key] = known | _add_counts(known, own)
    names = Counter(source["name"] for source in together.values())
    return list(together.values()), [name for name, n in names.items() if n > 1]


def _add_counts(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for name, value in other.items():
        if isinstance(value, dict) and name != "scores":
            total[name] = dict(Counter(one.get(name) or {}) + Counter(value))
        elif isinstance(value, int) and name not in ("bytes", "mtime_ns"):
            total[name] = (one.get(name) or 0) + value
    return total


def _common(parents: Sequence[_Parent], key: str) -> dict[str, Any]:
    """The options that all have alike; null where they differ."""
    found = [parent.data.manifest.get(key) or {} for parent in parents]
    names = dict.fromkeys(name for one in found for name in one if name != "shard")
    return {
        name: found[0].get(name) if all(one.get(name) == found[0].get(name) for one in found) else None
        for name in names
    }


def _summed(parents: Sequence[_Parent]) -> Counter[str]:
    total: Counter[str] = Counter()
    for parent in parents:
        total.update({k: v for k, v in parent.data.manifest["counts"].items() if isinstance(v, int)})
    return total


def _counted(parents: Sequence[_Parent], name: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for parent in parents:
        total.update(parent.data.manifest.get(name) or {})
    return dict(total)


def _missing_shards(parents: Sequence[_Parent]) -> list[str]:
    """What is not there of a run in shards."""
    told = [parent.data.manifest.get("shard") for parent in parents]
    found = {(one["index"], one["of"]) for one in told if isinstance(one, dict)}
    missing = sorted({(i, of) for _, of in found for i in range(of)} - found)
    return [f"shards not among them: {', '.join(f'{i}/{of}' for i, of in missing)}"] if missing else []


def _files(folder: Path, table: str) -> str:
    return f"{glob_of(folder)}/{table}/*.parquet".replace("'", "''")
