"""What near-duplicates are compared by: the set of words and pairs of neighbouring words of each trajectory, kept on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tldata.select.rows import Rows
from tldata.select.words import I64, distinct, grams, word_hashes

U32 = npt.NDArray[np.uint32]
FIELDS = ("query", "calls")  # what the user said; what the agent did


@dataclass(slots=True)
class Features:
    """Sets of 32-bit features, one a row: those of row i are ``values[starts[i]:starts[i] + counts[i]]``, sorted."""

    values: U32
    starts: I64
    counts: I64

    def take(self, rows: I64) -> tuple[U32, I64]:
        """The features of some rows, one row after the other, and which of these rows each belongs to."""
        counts = self.counts[rows]
        owner = np.repeat(np.arange(len(rows)), counts)
        before = np.cumsum(counts) - counts
        place = np.arange(len(owner)) - np.repeat(before, counts) + np.repeat(self.starts[rows], counts)
        return self.values[place], owner


@contextmanager
def read_features(rows: Rows, folder: Path, fields: tuple[str, ...] = FIELDS) -> Iterator[dict[str, Features]]:
    """The features of all rows that are still in, in files of ``folder`` that go afterwards.

    ``query`` is everything that the user says. ``calls`` is every call with its name and arguments, in order; for a trajectory
    without calls it is what the assistant says instead. ``first_query`` is the column query.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: (folder / f"features.{name}").open("wb") for name in fields}
    counts = {name: np.zeros(len(rows), np.int64) for name in fields}
    try:
        for number in range(len(rows.parts)):
            if not rows.has_alive(number):
                continue
            for name, (texts, owner) in _texts(rows, number, fields).items():
                kept = rows.alive[owner]
                if not kept.all():
                    texts, owner = texts.filter(pa.array(kept)), owner[kept]
                values, owners = feature_sets(texts, owner)
                np.add.at(counts[name], owners, 1)
                files[name].write(values.tobytes())
        for file in files.values():
            file.close()
        yield {
            name: Features(_map(Path(files[name].name)), np.cumsum(counts[name]) - counts[name], counts[name])
            for name in fields
        }
    finally:
        for file in files.values():
            file.close()
            Path(file.name).unlink(missing_ok=True)


def _map(path: Path) -> U32:
    return np.memmap(path, np.uint32, "r") if path.stat().st_size else np.empty(0, np.uint32)


def feature_sets(texts: pa.Array, owner: I64) -> tuple[U32, I64]:
    """The features of texts, as sorted sets by owner.

    Args:
        texts: strings, shape (R,).
        owner: whom each belongs to, never falling, shape (R,).

    Returns:
        features and the owner of each, by rising owner and feature.
    """
    hashes, place = word_hashes(texts)
    owners = owner[place]
    pairs, pair_owners = grams(hashes, owners, 2)
    both = np.concatenate([hashes, pairs]) >> np.uint64(32)
    keys = distinct((np.concatenate([owners, pair_owners]).astype(np.uint64) << np.uint64(32)) | both)
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.uint32), (keys >> np.uint64(32)).astype(np.int64)


def _texts(rows: Rows, number: int, fields: tuple[str, ...]) -> dict[str, tuple[pa.Array, I64]]:
    """The texts of a part by field, with the row that each belongs to."""
    found: dict[str, tuple[pa.Array, I64]] = {}
    if "first_query" in fields:
        first, owner = rows.part(number, "trajectories", ["query"])
        found["first_query"] = first["query"].combine_chunks(), owner
    if "query" in fields:
        messages, owner = rows.part(number, "messages", ["role", "content"])
        content = messages["content"].combine_chunks()
        asked = pc.fill_null(pc.equal(messages["role"], "user"), False).to_numpy()
        found["query"] = content.filter(pa.array(asked)), owner[asked]
        said = pc.fill_null(pc.equal(messages["role"], "assistant"), False).to_numpy()
    if "calls" in fields:
        calls, called = rows.part(number, "calls", ["tool_name", "arguments"])
        text = pc.binary_join_element_wise(
            calls["tool_name"].combine_chunks(), calls["arguments"].combine_chunks(), " ",
            null_handling="replace", null_replacement="",
        )  # fmt: skip
        silent = np.ones(len(rows), bool)
        silent[called] = False
        said &= silent[owner]
        texts = pa.chunked_array([text, content.filter(pa.array(said))]).combine_chunks()
        owners = np.concatenate([called, owner[said]])
        order = np.argsort(owners, kind="stable")
        found["calls"] = texts.take(pa.array(order)), owners[order]
    return found
