"""``export --to trl-tokens`` and ``verl-sft``: a token set as rows that trainers take without tokenising: ids, labels, weights."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tldata.dataset import Dataset
from tldata.errors import UsageError
from tldata.export.chosen import chosen_ids
from tldata.export.files import check_suffix, open_atomically

COLUMNS = ["trajectory_id", "input_ids", "loss_mask", "loss_weights", "n_loss"]
ROWS_AT_ONCE = 256
TRL = pa.schema(
    [
        ("input_ids", pa.list_(pa.int32())),
        ("attention_mask", pa.list_(pa.int8())),
        ("labels", pa.list_(pa.int32())),
        ("loss_weights", pa.list_(pa.float32())),
    ]
)
VERL = pa.schema([("input_ids", pa.list_(pa.int32())), ("loss_mask", pa.list_(pa.float32()))])
IGNORE = -100
REASONS = {
    "weights": "a stock trainer reads the labels and drops loss_weights; tltrain's WeightedSFTTrainer, and verl, weigh the tokens",
    "without a token in the loss": "nothing in the row is trained on; it is left out",
}


def export_trl_tokens(
    data: Dataset, output: Path, *, tokens: str | None = None, where: str | None = None
) -> dict[str, int]:
    """Write ``input_ids``, ``attention_mask``, ``labels`` (-100 outside the loss) and ``loss_weights``, as Parquet.

    TRL's SFTTrainer, axolotl and others train on them as they are. The hard mask is exact; the weights need a trainer that
    reads them. Rows without a token in the loss are left out.

    Returns:
        counts: ``rows`` written, ``without a token in the loss``, and ``weights``: rows with a weight other than 0 and 1.
    """
    return _export(data, output, tokens, where, verl=False)


def export_verl_sft(
    data: Dataset, output: Path, *, tokens: str | None = None, where: str | None = None
) -> dict[str, int]:
    """Write ``input_ids`` and ``loss_mask`` (the weights, float; the first is 0) as Parquet, and verl's dataset class beside it.

    verl shifts the mask of a whole batch by one, so that a first weight would fall to the sequence before. The class is the file
    ``<name>_verl.py``: ``data.custom_cls.path`` names it, ``data.custom_cls.name`` is ``TokenRows``, ``data.pad_mode=no_padding``.
    """
    counts = _export(data, output, tokens, where, verl=True)
    shutil.copyfile(Path(__file__).with_name("verl_dataset.py"), output.with_name(f"{output.stem}_verl.py"))
    return counts


def _export(data: Dataset, output: Path, tokens: str | None, where: str | None, *, verl: bool) -> dict[str, int]:
    check_suffix(output, "verl-sft" if verl else "trl-tokens", lines=False)
    name = _token_set(data, tokens)
    counts = {"rows": 0, "without a token in the loss": 0}
    wanted = None if where is None else chosen_ids(data, where)
    with (
        open_atomically(output) as target,
        pq.ParquetWriter(target, VERL if verl else TRL, compression="zstd") as writer,
    ):
        for table in _batches(
            data.path / "tokens" / name, counts, None if wanted is None else pa.array(sorted(wanted))
        ):
            writer.write_table(_verl(table) if verl else _trl(table, counts))
    return {key: count for key, count in counts.items() if count or key == "rows"}


def _token_set(data: Dataset, tokens: str | None) -> str:
    sets = data.token_sets
    if tokens is None and len(sets) == 1:
        return sets[0]
    if tokens is None or tokens not in sets:
        what = f"no token set {tokens!r}" if tokens is not None else "which token set?"
        there = f"--tokens {' | '.join(sets)}" if sets else f"tldata tokenize {data.path} --tokenizer ID_OR_FOLDER"
        raise UsageError(f"{data.path}: {what}", hint=there)
    return tokens


def _batches(folder: Path, counts: dict[str, int], wanted: pa.Array | None) -> Iterator[pa.Table]:
    for part in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(part).iter_batches(ROWS_AT_ONCE, columns=COLUMNS):
            table = pa.Table.from_batches([batch])
            if wanted is not None:
                table = table.filter(pc.is_in(table["trajectory_id"], wanted))
            kept = table.filter(pc.greater(table["n_loss"], 0))
            counts["without a token in the loss"] += table.num_rows - kept.num_rows
            counts["rows"] += kept.num_rows
            if kept.num_rows:
                yield kept


def _flat(table: pa.Table, column: str) -> tuple[pa.Array, np.ndarray]:
    """The offsets of a list column, from 0, and its values."""
    lists = table[column].combine_chunks()
    offsets = lists.offsets.to_numpy()
    values = lists.values.slice(offsets[0], offsets[-1] - offsets[0]).to_numpy(zero_copy_only=False)
    return pa.array(offsets - offsets[0], pa.int32()), values


def _lists(offsets: pa.Array, values: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.ListArray.from_arrays(offsets, pa.array(values, kind.value_type))


def _trl(table: pa.Table, counts: dict[str, int]) -> pa.Table:
    offsets, ids = _flat(table, "input_ids")
    _, mask = _flat(table, "loss_mask")
    _, weights = _flat(table, "loss_weights")
    labels = np.where(mask, ids, IGNORE)
    odd = np.add.reduceat((weights != 0) & (weights != 1), offsets.to_numpy()[:-1]) > 0
    counts["weights"] = counts.get("weights", 0) + int(odd.sum())
    values = (ids, np.ones(ids.size, dtype=np.int8), labels, weights)
    arrays = [_lists(offsets, value, field.type) for value, field in zip(values, TRL, strict=True)]
    return pa.Table.from_arrays(arrays, schema=TRL)


def _verl(table: pa.Table) -> pa.Table:
    offsets, ids = _flat(table, "input_ids")
    _, weights = _flat(table, "loss_weights")
    weights = weights.astype(np.float32)
    weights[offsets.to_numpy()[:-1]] = 0.0
    return pa.Table.from_arrays(
        [_lists(offsets, ids, VERL[0].type), _lists(offsets, weights, VERL[1].type)], schema=VERL
    )


__all__ = ["REASONS", "export_trl_tokens", "export_verl_sft"]
