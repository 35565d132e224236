"""Open a token set that ``tldata tokenize`` wrote: memory-mapped, or streamed when it is larger than memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datasets import Dataset, IterableDataset

from tldata.errors import DatasetError
from tltrain_plugin.prepare import check_columns


def load_tokens(
    path: str | Path,
    *,
    tokenizer: Any = None,
    streaming: bool = False,
    seed: int | None = None,
    columns: Sequence[str] | None = None,
    cache_dir: str | Path | None = None,
) -> Dataset | IterableDataset:
    """Open a token set for training.

    Args:
        path: ``DATASET/tokens/NAME``, a dataset with one token set, or a Parquet file of token columns.
        tokenizer: the tokenizer of the model; its digest must be the one the set was made with. None: not checked.
        streaming: read row groups as they are needed, without the Arrow copy that a memory map needs; such a set can be
            larger than memory and disk cache, is split by rank and loader worker, and resumes at a row.
        seed: shuffle by this seed; None keeps the order (trainers shuffle a memory-mapped set themselves). A stream's
            order changes with ``set_epoch``.
        columns: columns to read; None reads them all. Training needs ``input_ids``, ``loss_weights`` and ``key_mask``.
        cache_dir: where the Arrow copy goes; None: where ``datasets`` keeps its own.

    Returns:
        A memory-mapped ``datasets.Dataset``, or an ``IterableDataset`` when streaming; one row a training sequence.

    Raises:
        DatasetError: no token set there, several, columns missing, made with another tokenizer, or of content that the dataset
            no longer has.

    >>> load_tokens("raw.tldata/tokens/qwen")["n_tokens"][0]  # doctest: +SKIP
    412
    """
    files, folder = find_token_set(path)
    names = list(pq.read_schema(files[0]).names)
    check_columns(names, where="token")
    check_parent(folder)
    if tokenizer is not None:
        check_tokenizer(folder, tokenizer)
    wanted = list(columns) if columns is not None else names
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise DatasetError(f"{folder} has no column {', '.join(unknown)}; it has {', '.join(names)}")
    if streaming:
        from tltrain_plugin.stream import stream

        return stream(files, wanted, seed=seed)
    dataset = Dataset.from_parquet(
        [str(file) for file in files], columns=wanted, cache_dir=None if cache_dir is None else str(cache_dir)
    )
    assert isinstance(dataset, Dataset)
    return dataset if seed is None else dataset.shuffle(seed=seed)


def find_token_set(path: str | Path) -> tuple[list[Path], Path]:
    """The Parquet files of a token set, sorted, and the folder that holds its manifest.

    Raises:
        DatasetError: nothing there, or a dataset with several token sets.
    """
    path = Path(path)
    if path.is_file():
        return [path], path.parent
    files = sorted(path.glob("*.parquet"))
    if files and not (path / "tokens").is_dir():
        return files, path
    sets = sorted(folder for folder in path.glob("tokens/*") if any(folder.glob("*.parquet")))
    if len(sets) == 1:
        return sorted(sets[0].glob("*.parquet")), sets[0]
    if sets:
        names = ", ".join(folder.name for folder in sets)
        raise DatasetError(f"{path} has {len(sets)} token sets: {names}", hint=f"{path}/tokens/{sets[0].name}")
    raise DatasetError(
        f"{path}: no token set" if path.exists() else f"{path}: no such file or folder",
        hint="tldata tokenize DATASET --tokenizer T    (writes DATASET/tokens/NAME)",
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a token set; empty when there is none.

    Raises:
        DatasetError: the file is damaged.
    """
    file = folder / "manifest.json"
    if not file.is_file():
        return {}
    try:
        manifest = json.loads(file.read_bytes())
    except ValueError as error:
        raise DatasetError(f"{file}: {error}") from None
    return manifest if isinstance(manifest, dict) else {}


def check_parent(folder: Path) -> None:
    """Refuse a token set in a dataset that has changed since: updated, judged by other rules, or annotated again.

    Raises:
        DatasetError: the dataset around it has another digest than the one that it was made of.
    """
    dataset = folder.resolve().parent.parent
    if folder.resolve().parent.name != "tokens":
        return
    made_of = (read_manifest(folder).get("parent") or {}).get("digest")
    now = read_manifest(dataset).get("digest")
    if made_of and now and made_of != now:
        raise DatasetError(
            f"{folder} is stale: it was made of other content than {dataset.name} has now",
            hint="tldata tokenize DATASET ... --overwrite    (tldata log DATASET tells what happened since)",
        )


def check_tokenizer(folder: Path, tokenizer: Any) -> None:
    """Refuse a tokenizer other than the one that made the token set.

    The digest recorded is compared with the given tokenizer's, as its file stands and as it is loaded. One that was
    saved again has another file: then its vocabulary and the ids of a text are compared with those of the tokenizer
    that the manifest names, where that one is at hand.

    Raises:
        DatasetError: another tokenizer, or a set that does not say what made it.
    """
    manifest = read_manifest(folder)
    made_with = manifest.get("tokenizer") or {}
    expected = manifest.get("tokenizer_digest") or made_with.get("digest")
    if not expected:
        raise DatasetError(
            f"{folder}: no manifest says which tokenizer made this token set",
            hint="load_tokens(path)    (without tokenizer=)",
        )
    found = tokenizer_digests(tokenizer)
    if any(digest.startswith(expected) for digest in found) or _same_ids(tokenizer, made_with.get("name")):
        return
    raise DatasetError(
        f"{folder} was made with another tokenizer: {made_with.get('name', 'digest ' + expected)}, "
        f"while {getattr(tokenizer, 'name_or_path', '') or 'the one given'} has other tokens",
        hint="tldata tokenize DATASET --tokenizer FOLDER    (with the folder of the model that you train)",
    )


def tokenizer_digests(tokenizer: Any) -> list[str]:
    """SHA-256 of a tokenizer as it is loaded (padding and truncation aside), and of the file that it came from."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    state = json.loads(backend.to_str()) | {"truncation": None, "padding": None}
    plain = type(backend).from_str(json.dumps(state))
    texts = [backend.to_str().encode(), plain.to_str().encode()]
    file = Path(str(getattr(tokenizer, "name_or_path", "") or ".")) / "tokenizer.json"
    if file.is_file():
        texts.append(file.read_bytes())
    return [hashlib.sha256(text).hexdigest() for text in texts]


_PROBE = '<tool_call>\n{"name": "get_x", "arguments": {"café": [1.5, null]}}\n</tool_call>  Ünï 東京 \U0001f600\t\r\n'


def _same_ids(tokenizer: Any, name: Any) -> bool:
    """Whether the tokenizer file that a manifest names has the same vocabulary and tokenises a text alike."""
    file = Path(str(name)) / "tokenizer.json" if name else None
    if file is None or not file.is_file():
        return False
    from tokenizers import Tokenizer

    other, backend = Tokenizer.from_file(str(file)), getattr(tokenizer, "backend_tokenizer", tokenizer)
    if other.get_vocab(with_added_tokens=True) != backend.get_vocab(with_added_tokens=True):
        return False
    return bool(
        other.encode(_PROBE, add_special_tokens=False).ids == backend.encode(_PROBE, add_special_tokens=False).ids
    )


def token_set_digest(folder: Path) -> str | None:
    """The digest of a token set, for checkpoints to record; None without a manifest."""
    manifest = read_manifest(folder)
    if not manifest:
        return None  # Parquet files alone: nothing to hold a checkpoint to
    recorded = manifest.get("digest")
    return str(recorded) if recorded else hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
