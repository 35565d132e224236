"""Hash the words of many texts at once, so that texts are compared without a Python string for each word.

A word is a run of letters and digits, in lower case and Unicode's NFKC; a Chinese, Japanese or Korean character is a word of its
own. Hashes depend on the text alone: they are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

CHUNK = 2 << 20  # bytes of text hashed at a time: some 40 bytes of arrays for each
_SPAN = 1024  # characters after which the powers of a long word repeat, block by block


def mix(values: U64) -> U64:
    """Spread 64-bit values so that every bit of the result depends on all of theirs (the end of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def constants(count: int, seed: int) -> U64:
    """``count`` fixed pseudo-random 64-bit numbers (splitmix64 from ``seed``)."""
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return mix(steps + np.uint64(seed))


def _powers(base: int, count: int) -> U64:
    powers = np.empty(count, np.uint64)
    value = 1
    for place in range(count):
        powers[place] = value
        value = value * base & (1 << 64) - 1
    return powers


_IS_WORD = np.array([chr(b).isalnum() or b >= 0x80 for b in range(128)] + [True] * 128)
_BYTE = constants(256, seed=1)
_BYTE[65:91] = _BYTE[97:123]  # upper case as lower case
_BYTE[~_IS_WORD] = 0
_IS_CJK = np.array([0xE3 <= b <= 0xED for b in range(256)])  # first byte of U+3000..U+DFFF, three bytes each
_IS_INNER = np.array([b & 0xC0 == 0x80 for b in range(256)])
_NEAR_POWERS = _powers(0xD6E8FEB86659FD93, _SPAN)
_FAR_POWERS = _powers(0xA0761D6478BD642F, _SPAN)
_ORDER = constants(64, seed=2)


def word_hashes(texts: pa.Array) -> tuple[U64, I64]:
    """The hashes of the words of texts, in order.

    Args:
        texts: strings, nulls allowed, shape (R,).

    Returns:
        hash and row of every word, both of shape (W,).

    >>> hashes, rows = word_hashes(pa.array(["Rome, please!", None, "ROME"]))
    >>> rows.tolist(), bool(hashes[0] == hashes[2])
    ([0, 0, 2], True)
    """
    found = [(hashes, rows + first) for first, chunk in _chunks(_plain(texts)) for hashes, rows in [_hash(chunk)]]
    if not found:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    return np.concatenate([h for h, _ in found]), np.concatenate([r for _, r in found])


def _plain(texts: pa.Array) -> pa.Array:
    """The texts without nulls; those beyond ASCII in NFKC, in lower case, and with blanks for all that is in no word."""
    texts = pc.fill_null(texts.cast(pa.large_string()), "")
    other = pc.invert(pc.string_is_ascii(texts))
    if not pc.any(other).as_py():
        return texts
    rich = pc.utf8_lower(pc.utf8_normalize(texts.filter(other), form="NFKC"))
    rich = pc.replace_substring_regex(rich, pattern=r"[^\p{L}\p{N}\p{M}]+", replacement=" ")
    return pc.replace_with_mask(texts, other, rich)


def _chunks(texts: pa.Array) -> Iterator[tuple[int, pa.Array]]:
    """Slices of about CHUNK bytes, with the row that each begins at."""
    ends = np.cumsum(pc.binary_length(texts).to_numpy(zero_copy_only=False), dtype=np.int64)
    first = 0
    while first < len(texts):
        before = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, before + CHUNK, side="right")), first + 1)
        yield first, texts.slice(first, last - first)
        first = last


def _hash(texts: pa.Array) -> tuple[U64, I64]:
    _, offset_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    if data_buffer is None or offsets[0] == offsets[-1]:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    data = np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    is_word, is_cjk = _IS_WORD[data], _IS_CJK[data]
    fresh = np.ones(len(data), bool)  # what comes before belongs to no word, or to another text
    fresh[1:] = ~is_word[:-1]
    fresh[offsets[:-1][offsets[:-1] < len(data)]] = True
    fresh |= is_cjk
    fresh[3:] |= is_cjk[:-3]
    starts = np.flatnonzero(fresh & is_word & ~_IS_INNER[data])
    if len(starts) == 0:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    lengths = np.diff(starts, append=len(data))
    place = np.arange(starts[0], len(data)) - np.repeat(starts, lengths)
    values = _BYTE[data[starts[0] :]] * _NEAR_POWERS[place & (_SPAN - 1)]
    if lengths.max() >= _SPAN:
        values *= _FAR_POWERS[place // _SPAN % _SPAN]
    hashes = mix(np.add.reduceat(values, starts - starts[0]))
    rows = np.searchsorted(offsets, starts, side="right") - 1
    return hashes, rows.astype(np.int64)


def beginnings_of(values: npt.NDArray[Any]) -> I64:
    """Where each run of equal values begins.

    >>> beginnings_of(np.array([7, 7, 3, 7])).tolist()
    [0, 2, 3]
    """
    fresh = np.ones(len(values), bool)
    fresh[1:] = values[1:] != values[:-1]
    return np.flatnonzero(fresh)


def distinct(values: U64) -> U64:
    """The different values, sorted; sorting is faster here than np.unique, which hashes first."""
    ranked = np.sort(values)
    return ranked[beginnings_of(ranked)]


def places_in(ranked: npt.NDArray[Any], values: npt.NDArray[Any]) -> I64:
    """Where each value stands in a sorted array without repeats, -1 where it does not.

    >>> places_in(np.array([2, 5]), np.array([5, 3])).tolist()
    [1, -1]
    """
    if len(ranked) == 0:
        return np.full(len(values), -1)
    place = np.minimum(np.searchsorted(ranked, values), len(ranked) - 1)
    return np.where(ranked[place] == values, place, -1)


def grams(hashes: U64, rows: I64, size: int) -> tuple[U64, I64]:
    """The hashes of all runs of ``size`` words within a row, with their rows; a row of fewer words has none."""
    if size == 1:
        return mix(hashes * _ORDER[0]), rows
    count = len(hashes) - size + 1
    if count <= 0:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    total = np.zeros(count, np.uint64)
    for place in range(size):
        total += hashes[place : place + count] * _ORDER[place % 64] + np.uint64(place)
    whole = rows[:count] == rows[size - 1 :]
    return mix(total[whole]), rows[:count][whole]


def whole_hashes(hashes: U64, rows: I64, n_rows: int) -> tuple[U64, I64]:
    """One hash for the sequence of words of each row, and the number of its words; 0 for a row without words."""
    counts = np.bincount(rows, minlength=n_rows)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place = np.arange(len(hashes)) - np.repeat(starts, counts)
    total = np.zeros(n_rows, np.uint64)
    filled = counts > 0
    if filled.any():
        values = mix(hashes + mix(place.astype(np.uint64)))
        total[filled] = np.add.reduceat(values, starts[filled])
    return total, counts
