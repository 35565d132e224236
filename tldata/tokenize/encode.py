"""Tokenise texts on all cores with each token's characters; repeated text between special tokens is tokenised once where that is provably the same."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tldata.errors import InputError, UsageError
from tldata.tokenize.segments import splitter

CACHE_BYTES = 64 << 20  # of token ids kept for segments that may come again
NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class Untileable(Exception):
    """The tokens do not cover the text: the tokenizer drops or rewrites characters. The trajectory becomes a reject."""


@dataclass(slots=True)
class Encoded:
    """A tokenised text. ``ids``, ``starts``, ``ends``: int32, shape (T,); token t covers the characters [starts[t], ends[t])."""

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Positions [a, b) of the tokens that overlap the characters [start, end)."""
        a = int(self.ends.searchsorted(start, side="right"))
        return a, max(a, int(self.starts.searchsorted(end, side="left")))

    def spans(self, parts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """``span`` of many parts at once."""
        if not parts:
            return []
        characters = np.array(parts)
        a = self.ends.searchsorted(characters[:, 0], side="right")
        b = np.maximum(a, self.starts.searchsorted(characters[:, 1], side="left"))
        return list(zip(a.tolist(), b.tolist(), strict=True))


@dataclass(slots=True, eq=False)
class Work:
    """Texts on their way to tokens. ``known``: each segment's ids, or the work that is to find them (this, or one before)."""

    texts: Sequence[str]
    apart: list[int] = field(default_factory=list)  # texts cut into segments; pieces: theirs
    pieces: list[list[str]] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)  # texts tokenised as they are
    known: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    results: Callable[[], tuple[list[Any], list[Any]]] | None = None


class Encoder:
    """A tokenizer of the tokenizers library, and what is known about it.

    Args:
        tokenizer: a ``tokenizers.Tokenizer``.
        name: how it was asked for.
        special: the named special tokens that templates see.
        template: its own chat template, or several by name.
        digest: of its files.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        name: str = "tokenizer",
        special: dict[str, str] | None = None,
        template: Any = None,
        digest: str = "",
    ) -> None:
        self.tokenizer = tokenizer
        self.name = name
        self.special = special or {}
        self.template = template
        self.digest = digest
        tokenizer.no_truncation()
        tokenizer.no_padding()
        added = tokenizer.get_added_tokens_decoder()
        self._special_arrays = {token.content: np.array([i], dtype=np.int32) for i, token in added.items()}
        self._lengths = np.full(
            max(tokenizer.get_vocab_size(with_added_tokens=True), max(added, default=0) + 1), -1, dtype=np.int32
        )
        for index, token in added.items():
            self._lengths[index] = len(token.content.encode())
        self._splitter = splitter(tokenizer)
        self.vocabulary = tokenizer.get_vocab_size(with_added_tokens=True)
        self._cutting = frozenset(index for index, token in added.items() if not token.normalized)
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._cached = 0
        self._begun: dict[str, Work] = {}  # segments that are being tokenised

    def save(self, folder: Path) -> None:
        """Write what ``read_encoder`` needs into a folder."""
        file = folder / "tokenizer.json"
        partial = folder / f"tokenizer.{os.getpid()}.tmp"
        self.tokenizer.save(str(partial), pretty=False)
        partial.replace(file)
        partial.write_text(json.dumps({"name": self.name, "special": self.special, "digest": self.digest}))
        partial.replace(folder / "encoder.json")

    @property
    def reuses_segments(self) -> bool:
        """Whether text between special tokens is tokenised by itself."""
        return self._splitter is not None

    def forget(self) -> None:
        """Empty the cache of segments."""
        self._cache.clear()
        self._cached = 0

    def disable_reuse(self) -> None:
        """Tokenise whole texts from now on."""
        self._splitter = None
        self.forget()

    def encode(self, texts: Sequence[str]) -> list[Encoded | Untileable]:
        """Tokenise texts without adding special tokens, and check that the tokens tile each."""
        return self.finish(self.begin(texts))

    def begin(self, texts: Sequence[str], submit: Callable[..., Future[Any]] | None = None) -> Work:
        """Begin to ``encode`` texts; ``finish``, in the order of the calls of ``begin``, gives the result.

        Args:
            submit: as of an executor, in whose threads the tokenizer then works while the caller goes on. Everything
                that needs Python's lock is done by the caller.
        """
        work = Work(texts)
        if self._splitter is not None:
            work.apart = [i for i, text in enumerate(texts) if self._is_plain(text)]
        work.whole = sorted(set(range(len(texts))).difference(work.apart))
        missing: list[str] = []
        for i in work.apart:
            assert self._splitter is not None
            pieces = self._splitter.split(texts[i])
            work.pieces.append(pieces)
            for piece in pieces[::2]:
                if piece and piece not in work.known:
                    found: np.ndarray | Work | None = self._cache.get(piece)
                    if found is not None:
                        self._cache.move_to_end(piece)
                    else:
                        found = self._begun.get(piece)
                    if found is None:
                        missing.append(piece)
                        self._begun[piece] = found = work
                    work.known[piece] = found
        work.missing = missing
        whole_texts = [texts[i] for i in work.whole]
        if submit is None:
            work.results = lambda: self._run(missing, whole_texts)
        else:
            work.results = submit(self._run, missing, whole_texts).result
        return work

    def finish(self, work: Work) -> list[Encoded | Untileable]:
        """The tokens of the texts of ``begin``."""
        assert work.results is not None
        segments, encodings = work.results()
        out: list[Encoded | Untileable | None] = [None] * len(work.texts)
        for piece, encoding in zip(work.missing, segments, strict=True):
            ids = np.array(encoding.ids, dtype=np.int32)
            work.known[piece] = self._cache[piece] = ids
            self._cached += ids.nbytes + len(piece)
            del self._begun[piece]
        for i, pieces in zip(work.apart, work.pieces, strict=True):
            parts = []
            for position, piece in enumerate(pieces):
                if position % 2:
                    parts.append(self._special_arrays[piece])
                elif piece:
                    found = work.known[piece]
                    parts.append(found.known[piece] if isinstance(found, Work) else found)
            ids = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
            out[i] = self._with_offsets(ids, work.texts[i])
        while self._cached > CACHE_BYTES and self._cache:
            piece, ids = self._cache.popitem(last=False)
            self._cached -= ids.nbytes + len(piece)
        for i, encoding in zip(work.whole, encodings, strict=True):
            out[i] = _tiled(encoding, len(work.texts[i]))
        return [result for result in out if result is not None]

    def _run(self, segments: list[str], texts: list[str]) -> tuple[list[Any], list[Any]]:
        """What the tokenizer itself does, without Python's lock."""
        fast = self.tokenizer.encode_batch_fast(segments, add_special_tokens=False) if segments else []
        return fast, self.tokenizer.encode_batch(texts, add_special_tokens=False) if texts else []

    def encode_whole(self, texts: Sequence[str]) -> list[Encoded | Untileable]:
        """The same without reuse, each text as a whole."""
        return [_tiled(e, len(text)) for e, text in zip(self._run([], list(texts))[1], texts, strict=True)]

    def is_special(self, token_id: int) -> bool:
        """Whether an id is one of the tokens at which texts are cut."""
        return self._splitter is not None and token_id in self._cutting

    def _is_plain(self, text: str) -> bool:
        return self.tokenizer.normalizer is None or text.isascii() or unicodedata.is_normalized("NFC", text)

    def _with_offsets(self, ids: np.ndarray, text: str) -> Encoded | Untileable:
        """Characters of byte-level tokens: their lengths in bytes, added up."""
        lengths = self._lengths[ids]
        if lengths.size and lengths.min() < 0:
            for index in np.unique(ids[lengths < 0]):
                self._lengths[index] = len(
                    self.tokenizer.id_to_token(int(index))
                )  # one character a byte in byte-level BPE
            lengths = self._lengths[ids]
        ends = np.cumsum(lengths, dtype=np.int32)
        starts = ends - lengths
        size = len(text) if text.isascii() else len(text.encode())
        if (int(ends[-1]) if ends.size else 0) != size:
            return Untileable("the tokenizer drops or rewrites characters")
        if size != len(text):
            begins = (np.frombuffer(text.encode(), dtype=np.uint8) & 0xC0) != 0x80  # bytes that begin a character
            before = np.concatenate(([0], np.cumsum(begins, dtype=np.int32)))
            starts, ends = before[starts + 1] - 1, before[ends]
        return Encoded(ids, starts, ends)


def _tiled(encoding: Any, length: int) -> Encoded | Untileable:
    ids = np.array(encoding.ids, dtype=np.int32)
    offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
    starts, ends = offsets[:, 0], offsets[:, 1]
    covered = (not ids.size and not length) or (
        ids.size
        and starts[0] == 0
        and ends[-1] == length
        and bool((starts[1:] <= ends[:-1]).all())
        and bool((np.diff(ends) >= 0).all())
    )
    if not covered:
        return Untileable("the tokenizer drops or rewrites characters")
    return Encoded(ids, np.ascontiguousarray(starts), np.ascontiguousarray(ends))


def load_tokenizer(tokenizer: Any) -> Encoder:
    """A tokenizer by folder or hub id; one that is loaded already (an ``Encoder``, or transformers') is taken as it is.

    A folder with a ``tokenizer.json`` is read without transformers. Never runs code that comes with a tokenizer.

    Raises:
        InputError: there is no such tokenizer, or it has no fast version.
        UsageError: the packages that are needed are not installed.
    """
    if isinstance(tokenizer, Encoder):
        return tokenizer
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise UsageError("tokenize needs the tokenizers library", hint="pip install 'tldata[tokenize]'") from None
    if isinstance(tokenizer, Tokenizer):
        return Encoder(tokenizer, digest=hashlib.sha256(tokenizer.to_str().encode()).hexdigest()[:16])
    if not isinstance(tokenizer, (str, Path)):
        return _from_transformers(tokenizer, str(getattr(tokenizer, "name_or_path", "tokenizer")))
    folder = Path(tokenizer)
    file = folder / "tokenizer.json"
    if not file.is_file():
        return _from_hub(str(tokenizer))
    config_file = folder / "tokenizer_config.json"
    try:
        config = json.loads(config_file.read_text(encoding="utf-8")) if config_file.is_file() else {}
        loaded = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception
        raise InputError(
            f"{folder}: not a tokenizer: {error}", hint="a folder that save_pretrained wrote, or a hub id"
        ) from None
    template = config.get("chat_template")
    if isinstance(template, list):
        template = {item["name"]: item["template"] for item in template}
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        template = beside.read_text(encoding="utf-8")
    special_file = folder / "special_tokens_map.json"
    if special_file.is_file():
        config = {**json.loads(special_file.read_text(encoding="utf-8")), **config}
    special = {key: _content(config.get(key)) for key in NAMED}
    return Encoder(
        loaded,
        name=str(tokenizer),
        special={key: value for key, value in special.items() if value},
        template=template,
        digest=hashlib.sha256(file.read_bytes()).hexdigest()[:16],
    )


def read_encoder(folder: Path) -> Encoder:
    """The tokenizer that ``Encoder.save`` wrote into a folder, without its template."""
    from tokenizers import Tokenizer

    facts = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    return Encoder(Tokenizer.from_file(str(folder / "tokenizer.json")), **facts)


def _content(token: Any) -> str | None:
    value = token.get("content") if isinstance(token, dict) else token
    return value if isinstance(value, str) else None


def _from_hub(name: str) -> Encoder:
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise UsageError(
            f"{name}: no folder with a tokenizer.json; a hub id needs transformers",
            hint="pip install 'tldata[tokenize]'",
        ) from None
    try:
        loaded = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except Exception as error:
        first = str(error).strip().split("\n")[0]
        raise InputError(
            f"{name}: no tokenizer there: {first}",
            hint="a folder with tokenizer.json, or a hub id such as Qwen/Qwen2.5-0.5B",
        ) from None
    return _from_transformers(loaded, name)


def _from_transformers(loaded: Any, name: str) -> Encoder:
    backend = getattr(loaded, "backend_tokenizer", None)
    if backend is None:
        raise InputError(f"{name}: has no fast tokenizer, which offsets need", hint="a tokenizer with a tokenizer.json")
    template = getattr(loaded, "chat_template", None)
    special = {key: str(value) for key, value in loaded.special_tokens_map.items() if isinstance(value, str)}
    digest = hashlib.sha256(backend.to_str().encode()).hexdigest()[:16]
    return Encoder(backend, name=name, special=special, template=template, digest=digest)
