"""Choose trajectories of a dataset, step by step in one fixed order, and write them as a dataset of their own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tldata import __version__
from tldata.dataset import Dataset, open_dataset
from tldata.errors import UsageError
from tldata.export.openai import export_openai
from tldata.lineage import now
from tldata.select.contamination import drop_contaminated
from tldata.select.duplicates import drop_exact_duplicates, drop_prefix_copies
from tldata.select.near import drop_near_duplicates
from tldata.select.rows import DROPPED, Rows
from tldata.select.splits import assign, read_splits
from tldata.select.strata import drop_unsampled
from tldata.select.where import drop_where_not
from tldata.select.write import staged, write_rows

PLACE = "{split}"  # in the output's name: a dataset for each split
NO_LINES = (".csv", ".tsv", ".txt", ".parquet", ".zst")
LINES = (".jsonl", ".json", ".gz")  # of a file of dropped trajectories; any other name is a dataset folder


@dataclass(slots=True)
class Selection:
    """What a selection did: ``n_before`` = what the steps dropped + ``n_trajectories``."""

    paths: list[Path]
    n_before: int
    n_trajectories: int
    steps: list[dict[str, Any]]
    splits: dict[str, int]
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The new dataset; the first one where each split has its own."""
        return self.paths[0]

    def to_json(self) -> dict[str, Any]:
        """The summary as one JSON object."""
        return {
            "datasets": [str(path) for path in self.paths],
            "n_before": self.n_before,
            "n_trajectories": self.n_trajectories,
            "n_dropped": self.n_before - self.n_trajectories,
            "steps": self.steps,
            "splits": self.splits,
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }


def select(
    dataset: str | Path | Dataset,
    out: str | Path,
    *,
    where: str | None = None,
    decontaminate: str | Path | Sequence[str | Path] | None = None,
    ngram: int = 5,
    overlap: float = 0.7,
    dedup: str | None = None,
    threshold: float = 0.8,
    balance: str | None = None,
    at_most: int | None = None,
    sample: int | None = None,
    stratify: str | None = None,
    split: str | None = None,
    split_by: str = "query",
    seed: int = 0,
    dropped: str | Path | None = None,
    overwrite: bool = False,
) -> Selection:
    """Choose trajectories and write them as a dataset; what was dropped, and why, stands in its table ``dropped``.

    The steps, those that are asked for, run in this order: where, decontaminate, dedup (exact duplicates, beginnings of others,
    near-duplicates), balance or sample, split. The same data, options and seed give the same result on every machine.
    Rejects, merged records and token sets stay with the parent.

    Args:
        dataset: a finished dataset folder.
        out: folder of the new dataset; with ``{split}`` in its name a dataset is written for each split.
        where: SQL condition over the columns of ``trajectories``; subqueries may read the other tables.
        decontaminate: evaluation sets (benchmark files, JSON, JSON lines, text, dataset folders).
        ngram, overlap: a question is found where this share, 0 to 1, of its runs of so many words stands in what a user says.
        dedup: ``exact``, or ``near``, which does ``exact`` first.
        threshold: Jaccard similarity, 0 to 1, from which trajectories are near-duplicates and queries near-equal.
        balance: column of whose values the same number is kept: tool, category, source, or any of trajectories or calls.
        at_most: how many of each value of ``balance`` at most.
        sample: how many trajectories to keep.
        stratify: column of whose values the sample keeps the shares.
        split: shares of splits, such as ``train=0.8,validation=0.1,test=0.1``.
        split_by: what no split cuts: query, toolset, tool, source, trajectory, or several of them with commas.
        seed: decides, together with the ids, the sample and the splits.
        dropped: file (JSON lines, as ``export --to openai`` writes them) or dataset folder for the trajectories dropped.
        overwrite: replace finished datasets at ``out`` and ``dropped``.

    Raises:
        UsageError: options that do not go together, a condition that does not run, splits that cannot be.
        InputError: an evaluation set cannot be read.
        DatasetError: ``dataset`` is none, or ``out`` is in the way.
    """
    started = time.monotonic()
    data = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    _check_options(dedup, balance, stratify, sample, at_most, split, threshold, ngram, overlap)
    splits = None if split is None else read_splits(split, split_by)
    targets = _targets(out, [] if splits is None else [name for name, _ in splits.shares])
    spare = None if dropped is None else Path(dropped)
    if spare is not None and spare.suffix in NO_LINES:
        raise UsageError(
            f"--dropped {spare}: trajectories are written as JSON lines or as a dataset", hint="--dropped FILE.jsonl"
        )
    rest = spare if spare is not None and not spare.name.endswith(LINES) else None
    _refuse_parent(data, [*targets.values(), *([rest] if rest else [])])
    files = [decontaminate] if isinstance(decontaminate, str | Path) else list(decontaminate or [])
    with ExitStack() as stack:
        folders = {name: stack.enter_context(staged(target, overwrite)) for name, target in targets.items()}
        rest_folder = None if rest is None else stack.enter_context(staged(rest, overwrite))
        spill = next(iter(folders.values())) / "spill"
        spill.mkdir()
        rows = Rows(data)
        if where is not None:
            drop_where_not(rows, where, spill)
        if files:
            drop_contaminated(rows, files, ngram=ngram, overlap=overlap)
        if dedup is not None:
            drop_exact_duplicates(rows)
            drop_prefix_copies(rows)
        if dedup == "near":
            drop_near_duplicates(rows, spill, threshold)
        if balance is not None or sample is not None:
            drop_unsampled(rows, spill, sample=sample, balance=balance, stratify=stratify, at_most=at_most, seed=seed)
        side, sizes = (None, {}) if splits is None else assign(rows, splits, spill, threshold=threshold, seed=seed)
        options = {
            "where": where, "decontaminate": [str(file) for file in files], "ngram": ngram, "overlap": overlap, "dedup": dedup,
            "threshold": threshold, "balance": balance, "at_most": at_most, "sample": sample, "stratify": stratify,
            "split": split, "split_by": split_by if split else None, "seed": seed,
        }  # fmt: skip
        chosen: dict[str, Any] = {"options": options, "steps": [step.to_json() for step in rows.steps], "splits": sizes}
        counted = {step.name: step.dropped for step in rows.steps if step.dropped}
        about = _about(data, counted) | {"select": chosen}
        for name, folder in folders.items():
            kept = rows.alive if name == "" else rows.alive & _is(side, name)
            others = int(rows.alive.sum() - kept.sum())
            left_out = counted | ({"other splits": others} if others else {})
            write_rows(rows, kept, folder, split=side, dropped=rows.dropped(), left_out=left_out, about=about)
        if spare is not None:
            folder = rest_folder or spill / "dropped"
            folder.mkdir(exist_ok=True)
            left_out = {"selected": int(rows.alive.sum())}
            none = DROPPED.empty_table()
            write_rows(rows, ~rows.alive, folder, split=None, dropped=none, left_out=left_out, about=about)
            if rest_folder is None:
                export_openai(open_dataset(folder), spare)
    notes = _notes(data, rows, sample)
    left = int(rows.alive.sum())
    paths = list(targets.values())
    return Selection(paths, len(rows), left, chosen["steps"], sizes, time.monotonic() - started, notes)


def _check_options(
    dedup: str | None,
    balance: str | None,
    stratify: str | None,
    sample: int | None,
    at_most: int | None,
    split: str | None,
    threshold: float,
    ngram: int,
    overlap: float,
) -> None:
    if dedup not in (None, "exact", "near"):
        raise UsageError(f"--dedup {dedup}", hint="exact or near")
    if balance is not None and stratify is not None:
        raise UsageError("--balance and --stratify go against each other", hint="leave one out")
    if stratify is not None and sample is None:
        raise UsageError("--stratify needs the size of the sample", hint="--sample N")
    if at_most is not None and balance is None:
        raise UsageError("--at-most needs the column that it counts by", hint="--balance tool")
    if (sample is not None and sample < 1) or (at_most is not None and at_most < 1):
        raise UsageError("--sample and --at-most are counts, 1 or more")
    if not 0 < threshold <= 1 or not 0 < overlap <= 1:
        raise UsageError("--threshold and --overlap are shares above 0, up to 1", hint="such as 0.8")
    if ngram < 1:
        raise UsageError("--ngram is a number of words, 1 or more", hint="--ngram 5")


def _targets(out: str | Path, splits: list[str]) -> dict[str, Path]:
    """The folders to write, by split; one of no name where all go into one."""
    if PLACE not in str(out):
        return {
            "": Path(out) if Path(out).name not in ("", "..") else Path(out).resolve()
        }  # "." has no name of its own
    if not splits:
        raise UsageError(f"{out}: {PLACE} in the output's name needs --split", hint="--split train=0.9,test=0.1")
    return {name: Path(str(out).replace(PLACE, name)) for name in splits}


def _refuse_parent(data: Dataset, targets: list[Path]) -> None:
    parent = data.path.resolve()
    for target in targets:
        if target.resolve() == parent or parent in target.resolve().parents:
            raise UsageError(
                f"{target}: select writes a new dataset beside the one that it reads", hint="-o another folder"
            )
    if len({target.resolve() for target in targets}) < len(targets):
        raise UsageError("--dropped and --output name the same folder", hint="give two names")


def _is(side: pa.Array | None, name: str) -> np.ndarray:
    assert side is not None
    return pc.fill_null(pc.equal(side, name), False).to_numpy(zero_copy_only=False)


def _about(data: Dataset, dropped: dict[str, int]) -> dict[str, Any]:
    """Keys of the manifest that tell where the new dataset comes from."""
    parent = data.manifest
    step = {"at": now(), "step": "select", "dropped": dropped}
    return {
        "tldata_version": __version__,
        "created_at": now(),
        "options": parent.get("options", {}),
        "rules": parent.get("rules", {}),
        "sources": parent.get("sources", []),
        "parents": [{"path": str(data.path), "digest": parent.get("digest")}],
        "history": [*parent.get("history", []), step],
    }


def _notes(data: Dataset, rows: Rows, sample: int | None) -> list[str]:
    notes = []
    left = int(rows.alive.sum())
    if left == 0:
        notes.append("no trajectory is left")
    elif sample is not None and left < sample:
        notes.append(f"{left:,} trajectories are fewer than the {sample:,} asked for")
    if data.token_sets:
        notes.append(f"token sets stay with {data.path.name}: run tldata tokenize on the new dataset")
    return notes
