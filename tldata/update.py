"""Annotate again with new or changed sources only: the parts of the others are linked, and what needs all parts is done over all."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tldata import __version__, schema
from tldata.dataset import Dataset
from tldata.delete import sha256
from tldata.engine import Progress, annotate
from tldata.errors import DatasetError, UsageError
from tldata.evidence.rules import load_rules
from tldata.finish import Summary, category_parents, survey, write_manifest
from tldata.formats import get_format
from tldata.labels import apply_labels, read_labels
from tldata.lineage import dataset_digest, now
from tldata.parts import drop_trajectories, keep_toolsets_once, link, rewrite
from tldata.prefix_union import merge_copies_again
from tldata.rejudge import rejudge
from tldata.select.write import staged
from tldata.sources import Source, find_sources
from tldata.sources import _labels as labels_of
from tldata.sqlfiles import list_sql
from tldata.token_sets import mark_stale
from tldata.work import Counts

PART = re.compile(r"(?P<source>\d{5})-(?P<rest>\d{6}.*)|(?P<other>(groups-\d+|members|merged|empty).*)")
OF_DATASET = ("branches", "prefixes", "tools", "labels", "corrections")  # options that a dataset remembers
WITH_IDS = ("trajectories", "messages", "calls", "merged")


@dataclass(slots=True)
class Sorted:
    """The sources of the new dataset in order: which are kept (name -> their number in the old one), and which are read."""

    names: list[str]
    labels: dict[str, str]
    kept: dict[str, int]
    read: dict[str, Source]
    gone: list[str]
    pruned: list[str]


@dataclass(slots=True)
class Update(Summary):
    """A summary of annotate, with the sources that were read, kept, kept though they are gone, and pruned."""

    read: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    pruned: list[str] = field(default_factory=list)
    changed: bool = True

    def to_json(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("read", "kept", "gone", "pruned", "changed")}
        return {**Summary.to_json(self), "update": own}


def update(
    raw: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    prune: bool = False,
    format: str | None = None,
    branches: str | None = None,
    prefixes: str | None = None,
    tools: str | Path | None = None,
    rules: str | Path | Sequence[str | Path] | None = None,
    labels: str | Path | None = None,
    corrections: str | Path | None = None,
    scrub_key: str | Path | None = None,
    max_bad: float = 0.05,
    workers: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Update:
    """Bring a dataset up to date with its sources: what comes out is what a new annotate of all of them gives, row for row.

    A source is read when the dataset does not have it, when its size or time differs, or when other options decide how it is read.
    With other rules, the calls of the other sources are judged anew without reading them. Token sets stay, and are stale where the
    content changed. What ``tldata delete`` took out stays out.

    Args:
        raw: as of ``annotate``: all sources, or only new ones. One that the dataset has and that is not named stays.
        out: the dataset, which annotate wrote (or merge, of the shards of one run).
        prune: take out the sources that are not named.
        format, branches, prefixes, tools, rules, labels, corrections: as of ``annotate``; None: as the dataset was made.
        scrub_key: of a dataset made with ``--scrub``: the file with its key; default the environment's TLDATA_SCRUB_KEY.

    Raises:
        UsageError: stdin, URLs, or a dataset that did not come from annotate alone.
        DatasetError: records that must be read again stand in a source that is gone.
    """
    started = time.monotonic()
    target = Path(out)
    inputs = [raw] if isinstance(raw, str | Path) else list(raw)
    if any(str(one) == "-" or "://" in str(one) for one in inputs):
        raise UsageError("--update knows its sources by name, size and time: stdin and URLs have none", hint="files")
    data = Dataset(target)
    known = _known(data)
    given = {"branches": branches, "prefixes": prefixes, "tools": tools, "labels": labels, "corrections": corrections}
    old_options = data.manifest.get("options") or {}
    options = {name: old_options.get(name) if given[name] is None else str(given[name]) for name in OF_DATASET}
    old_rules = data.manifest.get("rules") or {}
    files = tuple(old_rules.get("files") or ()) if rules is None else _as_names(rules)
    rule_digest = load_rules(files or None).digest
    label_files = [str(options[name]) for name in ("labels", "corrections") if options[name]]
    for file in label_files:
        read_labels(file, tuple(category_parents(files)))
    found = find_sources(inputs)
    kinds = old_options.get("scrubbed")
    if kinds and scrub_key is None and "TLDATA_SCRUB_KEY" not in os.environ:
        raise UsageError(
            f"{target}: what is read now must be scrubbed as the rest was, which needs its key",
            hint="--scrub-key FILE, or the environment's TLDATA_SCRUB_KEY\nannotate --scrub --overwrite reads everything again",
        )
    scrubbing: dict[str, Any] = {"scrub": True, "scrub_kinds": kinds, "scrub_key": scrub_key} if kinds else {}
    all_anew = data.manifest.get("tldata_version") != __version__ or any(
        options[name] != old_options.get(name) for name in ("branches", "tools")
    )
    chosen = _sort(found, known, prune, all_anew, format)
    again: set[str] = set()
    with staged(target, overwrite=True) as staging:
        while True:
            chosen = _with_groups(chosen, known, again, found)
            if not chosen.read and not chosen.pruned and rule_digest == old_rules.get("digest") and options == {
                name: old_options.get(name) for name in OF_DATASET
            } and not label_files:  # fmt: skip
                return _nothing(data, staging, chosen, max_bad, started)
            made = _read(chosen, staging, options, files, format, workers, progress, scrubbing)
            doubt = _stage(data, made, chosen, staging)
            if rule_digest != old_rules.get("digest"):
                rejudge(staging, files, only=_kept_parts(staging, chosen))
            if options["prefixes"] == "keep":
                break
            lost = _merge(staging, chosen, doubt)
            if lost <= again:
                break
            again |= lost
        keep_toolsets_once(staging)
        n_dropped = _drop_deleted(data, staging)
        notes = apply_labels(staging, label_files, category_parents(files))
        summary = _finish(data, made, chosen, staging, options, files, rule_digest, n_dropped, notes, max_bad)
        shutil.rmtree(staging / "new", ignore_errors=True)
        for name in data.token_sets:
            mark_stale(data.path / "tokens" / name, staging / "tokens" / name)
    summary.path = target
    summary.seconds = time.monotonic() - started
    return summary


def _as_names(rules: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    return (str(rules),) if isinstance(rules, str | Path) else tuple(str(rule) for rule in rules)


def _known(data: Dataset) -> list[dict[str, Any]]:
    """The sources of a dataset that annotate wrote, in the order of its parts."""
    sources = data.manifest.get("sources") or []
    parts = [path.stem for table in schema.TABLES for path in (data.path / table).glob("*.parquet")]
    plain = all(PART.fullmatch(part) for part in parts) and "shard" not in data.manifest
    if "select" in data.manifest or not plain or any(source.get("label") is None for source in sources):
        raise UsageError(
            f"{data.path}: --update works on a dataset as annotate wrote it, not on a selection or a merge of several",
            hint="update the datasets that it came from, then select or merge again",
        )
    return list(sources)


def _sort(found: list[Source], known: list[dict[str, Any]], prune: bool, all_anew: bool, format: str | None) -> Sorted:
    """Tell what is read from what is kept: sources not named come first, in their old order, then those named."""
    numbers = {source["name"]: number for number, source in enumerate(known)}
    named = {source.name: source for source in found}
    missing = [source["name"] for source in known if source["name"] not in named]
    gone = [] if prune else missing
    names = [*gone, *named]
    places = [*(Path(name) for name in gone), *(named[name].path for name in named)]
    labels = dict(zip(names, labels_of(places), strict=True))
    kept, read = {name: numbers[name] for name in gone}, {}
    for name, source in named.items():
        old = known[numbers[name]] if name in numbers else None
        same = (
            old is not None
            and (old["bytes"], old["mtime_ns"]) == (source.size, source.mtime_ns)
            and (format is None or format == old["format"])
        )
        if same and not all_anew:
            kept[name] = numbers[name]
        else:
            read[name] = source
    return Sorted(names, labels, kept, read, gone, missing if prune else [])


def _with_groups(chosen: Sorted, known: list[dict[str, Any]], again: set[str], found: list[Source]) -> Sorted:
    """Read further sources again: ``again``, and, where rows make trajectories over files, all of such sources or none."""
    grouped = {source["name"] for source in known if _is_grouped(source["format"])}
    new_grouped = any(_might_be_grouped(source) for source in chosen.read.values())
    touched = grouped & (set(chosen.read) | set(chosen.pruned) | again)
    wanted = set(again) | (grouped if touched or (grouped and new_grouped) else set())
    by_name = {source.name: source for source in found}
    for name in sorted(wanted & chosen.kept.keys()):
        if name in by_name:
            chosen.read[name] = by_name[name]
        else:
            path = Path(name)
            if not path.is_file():
                raise DatasetError(
                    f"{name}: must be read again, and is gone",
                    hint="bring it back, or annotate the sources that are there into a new dataset",
                )
            chosen.read[name] = find_sources([path])[0]
        del chosen.kept[name]
    return chosen


def _is_grouped(format_name: str | None) -> bool:
    return format_name is not None and get_format(format_name).rows is not None


def _might_be_grouped(source: Source) -> bool:
    from tldata.engine import _detect

    return _is_grouped(_detect(source, None)[0])


def _read(
    chosen: Sorted,
    staging: Path,
    options: Mapping[str, Any],
    rules: tuple[str, ...],
    format: str | None,
    workers: int | None,
    progress: Callable[[Progress], None] | None,
    scrubbing: Mapping[str, Any],
) -> Dataset | None:
    """Annotate the sources that are read into a dataset of their own, inside the staging folder."""
    if not chosen.read:
        return None
    names = [name for name in chosen.names if name in chosen.read]
    done = annotate(
        names, staging / "new", format=format, branches=options["branches"] or "answer",
        prefixes=options["prefixes"] or "longest", tools=options["tools"], rules=list(rules) or None,
        max_bad=1.0, overwrite=True, workers=workers, progress=progress, **scrubbing,
    )  # fmt: skip
    return Dataset(done.path)


def _stage(data: Dataset, made: Dataset | None, chosen: Sorted, staging: Path) -> bool:
    """Put the parts of kept and of new sources side by side under the new numbers and ids; whether holders of merged records may be gone."""
    numbers = {name: number for number, name in enumerate(chosen.names)}
    for folder in (*schema.TABLES, "prefixes", "beginnings"):
        shutil.rmtree(staging / folder, ignore_errors=True)
    for table in schema.TABLES:
        (staging / table).mkdir()
    old_names = [source["name"] for source in data.manifest.get("sources") or []]
    _bring(data, old_names, set(chosen.kept), numbers, chosen.labels, staging, "0")
    if made is not None:
        new_names = [source["name"] for source in made.manifest["sources"]]
        _bring(made, new_names, set(new_names), numbers, chosen.labels, staging, "1")
    _bring_toolsets([data, *([] if made is None else [made])], staging)
    away = [name for name in old_names if name not in chosen.kept]
    if not away:
        return False
    query = (
        "SELECT count(*) AS n FROM merged AS m ANTI JOIN "
        "(FROM trajectories WHERE NOT list_contains($1, source)) AS t ON m.merged_into = t.trajectory_id "
        "WHERE NOT list_contains($1, m.source)"
    )
    return bool(data.sql(query, [away])["n"][0].as_py())


def _bring(
    data: Dataset,
    names: list[str],
    wanted: set[str],
    numbers: Mapping[str, int],
    labels: Mapping[str, str],
    staging: Path,
    mark: str,
) -> None:
    """Link the parts of the wanted sources; those whose ids change are written."""
    old_labels = {source["name"]: source["label"] for source in data.manifest["sources"]}
    renamed = _new_ids(data, {n: (old_labels[n], labels[n]) for n in wanted if old_labels[n] != labels[n]})
    for table in schema.TABLES:
        if table == "toolsets":
            continue
        for part in sorted((data.path / table).glob("*.parquet")):
            if not pq.read_metadata(part).num_rows:
                continue
            found = PART.fullmatch(part.stem)
            assert found is not None
            if found["source"] is not None:
                name = names[int(found["source"])]
                if name not in wanted:
                    continue
                target = staging / table / f"{numbers[name]:05d}-{found['rest']}.parquet"
                if name in renamed.sources and table in WITH_IDS:
                    rewrite(target, renamed.in_table(pq.read_table(part)))
                else:
                    link(part, target)
                continue
            rows = pq.read_table(part)  # of several sources
            sources = rows["source"] if "source" in rows.column_names else None
            target = staging / table / part.name
            if sources is not None:
                rows = rows.filter(pc.is_in(sources, value_set=pa.array(sorted(wanted), pa.string())))
                if table == "merged" and part.stem == "merged":
                    target = staging / table / f"merged-{mark}.parquet"
            elif table in ("messages", "calls"):
                beside = data.path / "trajectories" / part.name
                if not set(pc.unique(pq.read_table(beside, columns=["source"])["source"]).to_pylist()) <= wanted:
                    continue
            if rows.num_rows:
                rewrite(target, renamed.in_table(rows) if table in WITH_IDS else rows)


@dataclass(slots=True)
class _NewIds:
    """Old and new ids of the trajectories of sources whose label changed."""

    sources: set[str]
    old: pa.Array
    new: pa.Array

    def in_table(self, table: pa.Table) -> pa.Table:
        if not len(self.old):
            return table
        for name in ("trajectory_id", "merged_into"):
            if name in table.column_names:
                ids = table[name].combine_chunks()
                place = pc.index_in(ids, value_set=self.old)
                ids = pc.coalesce(self.new.take(place), ids)
                table = table.set_column(table.schema.get_field_index(name), name, ids)
        return table


def _new_ids(data: Dataset, labels: Mapping[str, tuple[str, str]]) -> _NewIds:
    old: list[str] = []
    new: list[str] = []
    if labels:
        ids = data.sql("SELECT source, trajectory_id FROM trajectories UNION SELECT source, trajectory_id FROM merged")
        for name, identity in zip(ids["source"].to_pylist(), ids["trajectory_id"].to_pylist(), strict=True):
            if name in labels and identity is not None:
                before, after = labels[name]
                old.append(identity)
                new.append(after + identity[len(before) :])
    return _NewIds(set(labels), pa.array(old, pa.string()), pa.array(new, pa.string()))


def _bring_toolsets(datasets: Sequence[Dataset], staging: Path) -> None:
    """Give every staged part the tool sets that its trajectories use, so that each can be kept in the first that has it."""
    rows = schema.TOOLSETS.empty_table()
    for data in datasets:
        for part in sorted((data.path / "toolsets").glob("*.parquet")):
            table = pq.read_table(part).select(schema.TOOLSETS.names).cast(schema.TOOLSETS)
            new = pc.invert(pc.is_in(table["toolset_id"], value_set=pc.unique(rows["toolset_id"])))
            rows = pa.concat_tables([rows, table.filter(new)])
    have: set[str] = set()
    for part in sorted((staging / "trajectories").glob("*.parquet")):
        used = pc.unique(pq.read_table(part, columns=["toolset_id"])["toolset_id"]).to_pylist()
        own = [identity for identity in used if identity is not None and identity not in have]
        have.update(own)
        wanted = rows.filter(pc.is_in(rows["toolset_id"], value_set=pa.array(own, pa.string())))
        place = pc.index_in(wanted["toolset_id"], value_set=pa.array(own, pa.string()))
        keys = pa.table({"place": place, "position": wanted["position"]})
        order = pc.sort_indices(keys, sort_keys=[("place", "ascending"), ("position", "ascending")])
        rewrite(staging / "toolsets" / part.name, wanted.take(order))


def _kept_parts(staging: Path, chosen: Sorted) -> list[str]:
    """Names of the staged parts that were not made just now."""
    kept = {number for number, name in enumerate(chosen.names) if name in chosen.kept}
    found = []
    for part in (staging / "calls").glob("*.parquet"):
        match = PART.fullmatch(part.stem)
        assert match is not None
        if match["source"] is None:
            sources = pq.read_table(staging / "trajectories" / part.name, columns=["source"])["source"]
            own = set(pc.unique(sources).to_pylist()) <= chosen.kept.keys()
        else:
            own = int(match["source"]) in kept
        if own:
            found.append(part.name)
    return found


def _merge(staging: Path, chosen: Sorted, doubt: bool) -> set[str]:
    """Merge prefix copies over all; returns kept sources with merged records that nobody holds any more."""
    _, lost = merge_copies_again(staging, chosen.labels.items(), doubt=doubt)
    return set(lost["source"].to_pylist())


def _drop_deleted(data: Dataset, staging: Path) -> int:
    """Keep out what was deleted from the dataset before, by the hashes that it left; returns how many records that are."""
    files = sorted((data.path / "deleted").glob("*.parquet"))
    if not files:
        return 0
    known = {one for file in files for one in pq.read_table(file)["content_sha256"].to_pylist()}
    ids: list[str] = []
    n_rejects = 0
    for part in sorted((staging / "trajectories").glob("*.parquet")):
        table = pq.read_table(part, columns=["trajectory_id", "content_hash"]).to_pydict()
        pairs = zip(table["trajectory_id"], table["content_hash"], strict=True)
        ids += [identity for identity, content in pairs if sha256(content or "") in known]
    if ids:
        drop_trajectories(staging, pa.array(ids, pa.string()))
        for part in sorted((staging / "merged").glob("*.parquet")):
            rows = pq.read_table(part)
            gone = pc.is_in(rows["merged_into"], value_set=pa.array(ids, pa.string()))
            rewrite(part, rows.filter(pc.invert(gone)))
        keep_toolsets_once(staging)
    for part in sorted((staging / "rejects").glob("*.parquet")):
        rows = pq.read_table(part)
        gone_rows = pa.array([sha256(raw or "") in known for raw in rows["raw"].to_pylist()], pa.bool_())
        n_rejects += pc.sum(gone_rows).as_py() or 0
        if pc.any(gone_rows).as_py():
            rewrite(part, rows.filter(pc.invert(gone_rows)))
    for file in files:
        link(file, staging / "deleted" / file.name)
    return len(ids) + n_rejects


def _finish(
    data: Dataset,
    made: Dataset | None,
    chosen: Sorted,
    staging: Path,
    options: Mapping[str, Any],
    rules: tuple[str, ...],
    rule_digest: str,
    n_dropped: int,
    notes: list[str],
    max_bad: float,
) -> Update:
    """Count over all sources and write the manifest."""
    old = {source["name"]: source for source in data.manifest.get("sources") or []}
    new = {} if made is None else {source["name"]: source for source in made.manifest["sources"]}
    sources = [{**(new.get(name) or old[name]), "label": chosen.labels[name]} for name in chosen.names]
    counts = Counts()
    for source in sources:
        counts.add({key: source[key] for key in counts.to_json() if key in source})
    found = survey(staging)
    merged_rows = pa.concat_tables([pq.read_table(part) for part in sorted((staging / "merged").glob("*.parquet"))])
    copies = merged_rows.filter(pc.is_valid(merged_rows["hash"])).select(["source", "source_line"])
    n_copies = len(set(zip(*(column.to_pylist() for column in copies.columns), strict=True)))
    n_rejects, skipped = sum(counts.rejected.values()), sum(counts.skipped.values())
    deleted = 0
    if n_dropped or (data.path / "deleted").is_dir():
        n_rejects = sum(pq.read_metadata(part).num_rows for part in (staging / "rejects").glob("*.parquet"))
        records = _records(staging)
        deleted = counts.inputs - counts.merged - n_copies - skipped - n_rejects - records
    n_merged = counts.merged + n_copies
    names = {
        "n_inputs": counts.inputs - deleted,
        "n_sources": counts.inputs - deleted - n_merged - skipped - n_rejects,
        "n_merged": n_merged,
        "n_skipped": skipped,
        "n_rejects": n_rejects,
        **found.counts,
        "n_orphan_feedbacks": counts.orphans,
        **({"n_deleted": deleted} if deleted else {}),
    }
    told = {"files": list(rules), "digest": rule_digest}
    digest = dataset_digest(found.content_digest, told, options)
    step = {
        "at": now(), "step": "update", "read": sorted(chosen.read), "kept": len(chosen.kept), "gone": chosen.gone,
        "pruned": chosen.pruned, "digest_before": data.manifest.get("digest"),
    }  # fmt: skip
    manifest = {
        **data.manifest,
        "digest": digest,
        "content_digest": found.content_digest,
        "counts": names,
        **{name: dict(getattr(counts, name)) for name in ("rejected", "skipped", "repaired")},
        "checks": sorted(list_sql("checks")),
        "tldata_version": __version__,
        "created_at": now(),
        "options": {**(data.manifest.get("options") or {}), **options},
        "rules": told,
        "sources": sources,
        "history": [*data.manifest.get("history", []), step],
    }
    write_manifest(staging, manifest)
    if digest != data.manifest.get("digest"):
        notes = [*notes, *(f"token set {name} is stale now: tokenize again" for name in data.token_sets)]
    return Update(
        path=staging, counts=names, overview=found.overview, formats=found.formats,
        rejected=dict(counts.rejected.most_common()), skipped=dict(counts.skipped.most_common()),
        repaired=dict(counts.repaired.most_common()), notes=notes, max_bad=max_bad,
        read=[name for name in chosen.names if name in chosen.read],
        kept=[name for name in chosen.names if name in chosen.kept], gone=chosen.gone, pruned=chosen.pruned,
    )  # fmt: skip


def _records(staging: Path) -> int:
    """How many records gave the staged trajectories."""
    found: set[tuple[str, int]] = set()
    for part in sorted((staging / "trajectories").glob("*.parquet")):
        table = pq.read_table(part, columns=["source", "source_line"])
        found.update(zip(table["source"].to_pylist(), table["source_line"].to_pylist(), strict=True))
    return len(found)


def _nothing(data: Dataset, staging: Path, chosen: Sorted, max_bad: float, started: float) -> Update:
    """The summary of a dataset that is up to date, which is linked as it stands."""
    for file in sorted(data.path.rglob("*")):
        if file.is_file():
            link(file, staging / file.relative_to(data.path))
    manifest = data.manifest
    formats = data.sql("SELECT format, count(*) AS n FROM trajectories GROUP BY 1 ORDER BY 2 DESC, 1").to_pylist()
    return Update(
        path=data.path, counts=manifest["counts"], overview=data.stats().to_pylist(),
        formats={row["format"]: row["n"] for row in formats},
        rejected=manifest.get("rejected") or {}, skipped=manifest.get("skipped") or {}, repaired=manifest.get("repaired") or {},
        notes=["no source has changed"], max_bad=max_bad, seconds=time.monotonic() - started,
        kept=list(chosen.kept), gone=chosen.gone, changed=False,
    )  # fmt: skip
