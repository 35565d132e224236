"""Token sets of a dataset that is merged, deleted from or updated: kept where they still say what it says, marked stale otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tldata.dataset import MANIFEST, Dataset
from tldata.errors import DatasetError
from tldata.parts import link, rewrite
from tldata.work import write_atomically

SAME = ("tokenizer", "template", "options")  # keys of a manifest in which token sets agree that are one


@dataclass(frozen=True, slots=True)
class Member:
    """One dataset's part of a token set to be: where it stands, how its files and ids are called in the new one."""

    folder: Path
    rename: Callable[[str], str] = str
    prefix: str = ""


def read_set(folder: Path) -> dict[str, Any]:
    """The manifest of a token set.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise DatasetError(f"{folder}: its manifest cannot be read: {error}", hint="tokenize again") from None
    if not isinstance(manifest, dict):
        raise DatasetError(f"{folder}: its manifest is no object", hint="tokenize again")
    return manifest


def why_stale(data: Dataset, name: str) -> str | None:
    """Why a token set does not say what its dataset says now; None where it does."""
    made_of = (read_set(data.path / "tokens" / name).get("parent") or {}).get("digest")
    own = data.manifest.get("digest")
    return None if made_of == own else f"made of content {str(made_of)[:12]}, and the dataset is now {str(own)[:12]}"


def mergeable(datasets: Sequence[Dataset]) -> tuple[list[str], dict[str, str]]:
    """Which token sets can become one: in every dataset that has trajectories, made alike and of what it holds now.

    Returns:
        their names, and of every other one why not.
    """
    filled = [data for data in datasets if data.manifest["counts"]["n_trajectories"]]
    good: list[str] = []
    left: dict[str, str] = {}
    for name in sorted({name for data in datasets for name in data.token_sets}):
        having = [data for data in filled if name in data.token_sets]
        without = [data.path.name for data in filled if name not in data.token_sets]
        stale = [data.path.name for data in having if why_stale(data, name)]
        made = {_made_with(data.path / "tokens" / name) for data in having}
        if without:
            left[name] = f"{', '.join(without[:3])} has none of that name"
        elif stale:
            left[name] = f"stale in {', '.join(stale[:3])}"
        elif len(made) > 1:
            left[name] = "made with other tokenizers, templates or options"
        else:
            good.append(name)
    return good, left


def _made_with(folder: Path) -> bytes:
    manifest = read_set(folder)
    tokenizer = {k: v for k, v in (manifest.get("tokenizer") or {}).items() if k != "name"}
    template = {k: v for k, v in (manifest.get("template") or {}).items() if k != "forms"}
    return orjson.dumps([tokenizer, template, manifest.get("options")], option=orjson.OPT_SORT_KEYS)


def write_set(members: Sequence[Member], target: Path, *, dropped: pa.Array, parent: Mapping[str, Any]) -> int:
    """Write a token set out of others: their rows without those of dropped trajectories, and a manifest that says so.

    Files in which nothing changes are linked. Counts of rows and tokens are those of the rows that stay; counts of calls, which
    the rows do not tell, are left out where rows went.

    Args:
        members: the token sets, made alike.
        target: the folder to write to.
        dropped: ids, as they are in the new dataset, of the trajectories whose rows go.
        parent: ``digest`` and ``path`` of the dataset that this becomes a token set of.

    Returns:
        the number of rows that went.
    """
    from tldata.tokenize.write import DIGEST_BITS, REJECTS

    target.mkdir(parents=True)
    digest = removed = n_rows = 0
    rejects = [REJECTS.empty_table()]
    manifests = [read_set(member.folder) for member in members]
    for member, manifest in zip(members, manifests, strict=True):
        digest += int(manifest["digest"], 16)
        for file in sorted(member.folder.glob("*.parquet")):
            table = pq.read_table(file, columns=["trajectory_id"])
            ids = _prefixed(table["trajectory_id"], member.prefix)
            gone = pc.is_in(ids, value_set=dropped)
            n_gone = pc.sum(gone).as_py() or 0
            n_rows += len(ids) - n_gone
            if not len(ids) or n_gone == len(ids):
                digest -= rows_digest(pq.read_table(file)) if len(ids) else 0
                removed += n_gone
                continue
            place = target / member.rename(file.name)
            if n_gone == 0 and not member.prefix:
                link(file, place)
                continue
            whole = pq.read_table(file)
            digest -= rows_digest(whole)
            whole = whole.set_column(whole.schema.get_field_index("trajectory_id"), "trajectory_id", ids)
            kept = whole.filter(pc.invert(gone))
            digest += rows_digest(kept)
            removed += n_gone
            rewrite(place, kept)
        for file in sorted((member.folder / "rejects").glob("*.parquet")):
            table = pq.read_table(file)
            ids = _prefixed(table["trajectory_id"], member.prefix)
            table = table.set_column(table.schema.get_field_index("trajectory_id"), "trajectory_id", ids)
            rejects.append(table.filter(pc.invert(pc.is_in(ids, value_set=dropped))))
    if not n_rows:
        from tldata.schema import TOKENS

        pq.write_table(TOKENS.empty_table(), target / "part-00000.parquet", compression="zstd")
    (target / "rejects").mkdir()
    pq.write_table(pa.concat_tables(rejects), target / "rejects" / "rejects.parquet", compression="zstd")
    manifest = {
        **manifests[0],
        "parent": dict(parent),
        "counts": _counts(target) if removed else _sum([manifest.get("counts") or {} for manifest in manifests]),
        "digest": f"{digest % (1 << DIGEST_BITS):032x}",
    }
    manifest["template"] = {**(manifest.get("template") or {}), "forms": _sum([_forms(one) for one in manifests])}
    write_atomically(target / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    return removed


def mark_stale(folder: Path, target: Path) -> None:
    """Link a token set into a new folder as it is: its manifest still names the content it was made of, by which it is refused."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            link(file, target / file.relative_to(folder))


def rows_digest(table: pa.Table) -> int:
    """The sum of the hashes of a token table's rows, as tokenize sums them."""
    from tldata.tokenize.rows import Row
    from tldata.tokenize.write import row_digest

    total = 0
    for batch in table.to_batches(max_chunksize=4096):
        columns = {name: batch.column(name) for name in ("input_ids", "loss_mask", "key_mask", "loss_weights")}
        for place, (identity, part) in enumerate(
            zip(batch.column("trajectory_id").to_pylist(), batch.column("part").to_pylist(), strict=True)
        ):
            ids, loss, keys, weights = (
                column[place].values.to_numpy(zero_copy_only=False) for column in columns.values()
            )
            total += row_digest(Row(identity, part, ids, loss, keys, weights, False, []))
    return total


def set_digest(folder: Path) -> str:
    """A token set's digest, made anew from its rows."""
    from tldata.tokenize.write import DIGEST_BITS

    total = sum(rows_digest(pq.read_table(file)) for file in sorted(folder.glob("*.parquet")))
    return f"{total % (1 << DIGEST_BITS):032x}"


def _prefixed(ids: pa.ChunkedArray, prefix: str) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(prefix, ids, "") if prefix else ids


def _forms(manifest: dict[str, Any]) -> dict[str, Any]:
    return (manifest.get("template") or {}).get("forms") or {}


def _counts(folder: Path) -> dict[str, int]:
    """The counts that the rows themselves tell, under the names that tokenize gives them."""
    names = {"tokens": "n_tokens", "loss_tokens": "n_loss", "key_tokens": "n_key", "truncated": "truncated"}
    tables = [
        pq.read_table(file, columns=["trajectory_id", *names.values()]) for file in sorted(folder.glob("*.parquet"))
    ]
    table = pa.concat_tables(tables)
    sums = {name: int(pc.sum(table[column]).as_py() or 0) for name, column in names.items()}
    without = pc.sum(pc.equal(table["n_loss"], 0)).as_py() or 0
    ids = pc.count_distinct(table["trajectory_id"]).as_py()
    return {"trajectories": ids, "rows": table.num_rows, "rows_without_loss": without, **sums}


def _sum(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts added up; those that are counts by kind, kind by kind."""
    total: dict[str, Any] = {}
    for one in counts:
        for name, value in one.items():
            if isinstance(value, dict):
                total[name] = dict((Counter(total.get(name) or {}) + Counter(value)).most_common())
            elif isinstance(value, int | float):
                total[name] = total.get(name, 0) + value
    return total
