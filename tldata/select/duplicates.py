"""Exact duplicates, and trajectories that are the beginning of another one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_64_intdigest

from tldata.select.rows import Rows
from tldata.select.words import I64, U64, beginnings_of, constants, distinct, mix, places_in

_NULL, _ROLE, _NAME, _REASONING, _CONTENT, _TOOL, _ARGUMENTS, _PLACE, _TOOLSET = constants(9, seed=6)


def drop_exact_duplicates(rows: Rows) -> None:
    """Of trajectories with equal tools and messages (content_hash; call ids do not count) keep the first id."""
    hashes = rows.array("content_hash")
    alive = np.flatnonzero(rows.alive & hashes.is_valid().to_numpy(zero_copy_only=False))
    ids = rows.ids.take(pa.array(alive))
    order = pc.rank(ids, tiebreaker="first").to_numpy()
    ranked = alive[np.argsort(order, kind="stable")]
    codes = hashes.take(pa.array(ranked)).dictionary_encode().indices.to_numpy()
    _, first, place = np.unique(codes, return_index=True, return_inverse=True)
    kept = ranked[first[place]]
    gone = np.flatnonzero(kept != ranked)
    _drop(rows, "exact", "exact duplicates", ranked[gone], kept[gone], "the same tools and messages")


def drop_prefix_copies(rows: Rows) -> None:
    """Drop trajectories that are a proper beginning of another one (same tools, same first messages); keep the longest."""
    whole = np.zeros(len(rows), np.uint64)
    beginnings: list[tuple[U64, I64]] = []
    toolsets = _hash_texts(rows.array("toolset_id"))
    for number in range(len(rows.parts)):
        if not rows.has_alive(number):
            continue
        hashes, owner = _beginnings(rows, number, toolsets)
        still_in = rows.alive[owner]
        hashes, owner = hashes[still_in], owner[still_in]
        last = np.ones(len(owner), bool)
        last[:-1] = owner[1:] != owner[:-1]
        whole[owner[last]] = hashes[last]
        beginnings.append((hashes[~last], owner[~last]))
    alive = rows.indices()
    wholes = distinct(whole[alive])
    empty: list[tuple[U64, I64]] = [(whole[:0], alive[:0])]
    hits = [(hashes[found], owner[found]) for hashes, owner in beginnings for found in [places_in(wholes, hashes) >= 0]]
    hash_, holder = (np.concatenate(column) for column in zip(*(hits or empty), strict=True))
    names = pc.rank(rows.ids.take(pa.array(holder)), tiebreaker="dense").to_numpy()
    order = np.lexsort((names, -rows.numbers("n_messages")[holder], hash_))
    hash_, holder = hash_[order], holder[order]
    longest = beginnings_of(hash_)
    place = places_in(hash_[longest], whole[alive])
    copies = np.flatnonzero(place >= 0)
    kept = holder[longest][place[copies]]
    what = "beginnings of other trajectories"
    _drop(rows, "prefix", what, alive[copies], kept, "the beginning of a longer trajectory")


def _drop(rows: Rows, name: str, what: str, gone: I64, kept: I64, reason: str) -> None:
    order = np.argsort(gone, kind="stable")
    rows.drop(name, what, gone[order], reason, rows.ids.take(pa.array(kept[order])))


def _beginnings(rows: Rows, number: int, toolsets: U64) -> tuple[U64, I64]:
    """The hash of the tools and the first 1, 2, ... messages of every trajectory of a part, and the row of each."""
    messages, owner = rows.part(number, "messages", ["turn", "role", "name", "reasoning", "content"])
    turns = messages["turn"].to_numpy().astype(np.int64)
    if len(turns) and (np.diff(owner) == 0).any() and (np.diff(turns)[np.diff(owner) == 0] < 0).any():
        order = np.lexsort((turns, owner))
        messages, owner, turns = messages.take(pa.array(order)), owner[order], turns[order]
    hashes = np.zeros(len(owner), np.uint64)
    for column, mark in (("role", _ROLE), ("name", _NAME), ("reasoning", _REASONING), ("content", _CONTENT)):
        hashes = mix(hashes + mark + _hash_texts(messages[column].combine_chunks()))
    calls, called = rows.part(number, "calls", ["turn", "call_index", "tool_name", "arguments"])
    made = mix(_TOOL + _hash_texts(calls["tool_name"].combine_chunks()))
    made = mix(made + _ARGUMENTS + _hash_texts(calls["arguments"].combine_chunks()))
    made = mix(made + calls["call_index"].to_numpy().astype(np.uint64) * _PLACE)
    starts = np.searchsorted(owner, called)
    np.add.at(hashes, starts + calls["turn"].to_numpy().astype(np.int64), made)
    total = np.cumsum(mix(hashes + mix(turns.astype(np.uint64) + _PLACE)), dtype=np.uint64)
    fresh = beginnings_of(owner)
    before = np.append(np.uint64(0), total)[fresh]
    total -= np.repeat(before, np.diff(fresh, append=len(owner)))
    return mix(total + mix(toolsets[owner] + _TOOLSET)), owner


def _hash_texts(texts: pa.Array) -> U64:
    """XXH3 of every text; null has one of its own."""
    encoded = texts.dictionary_encode() if len(texts) else texts
    if len(texts) == 0:
        return np.empty(0, np.uint64)
    found = _digests(encoded.dictionary.to_pylist())
    places = pc.fill_null(encoded.indices, len(found)).to_numpy(zero_copy_only=False)
    return np.append(found, _NULL)[places]


def _digests(texts: Sequence[str]) -> U64:
    return np.array([xxh3_64_intdigest(text.encode()) for text in texts], np.uint64)
