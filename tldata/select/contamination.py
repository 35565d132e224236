"""Drop trajectories whose users ask what an evaluation set asks: shared runs of words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tldata.select.evaluation import read_questions
from tldata.select.rows import Rows
from tldata.select.words import I64, beginnings_of, grams, places_in, whole_hashes, word_hashes


def drop_contaminated(rows: Rows, files: Sequence[str | Path], *, ngram: int, overlap: float) -> None:
    """Drop trajectories in which a question of an evaluation set stands, wholly or for the greater part.

    A question stands in a trajectory when at least ``overlap`` of its distinct runs of ``ngram`` words are found in what the
    user says; a question of fewer words when it is, word for word, one of the user's messages.

    Raises:
        InputError: a file cannot be read, or holds no question.
    """
    texts, places = read_questions(files)
    index = _Index(texts, ngram)
    gone: list[I64] = []
    reasons: list[str] = []
    matches: list[str] = []
    for number in range(len(rows.parts)):
        if not rows.has_alive(number):
            continue
        messages, owner = rows.part(number, "messages", ["role", "content"])
        asked = pc.fill_null(pc.equal(messages["role"], "user"), False).to_numpy() & rows.alive[owner]
        said = messages["content"].combine_chunks().filter(pa.array(asked))
        found, question, shared = index.find(said, owner[asked], overlap)
        gone.append(found)
        matches += [places[i] for i in question.tolist()]
        for i, hits in zip(question.tolist(), shared.tolist(), strict=True):
            total = int(index.sizes[i])
            reasons.append(
                f"{hits} of {total} runs of {ngram} words of an evaluation question"
                if total
                else "an evaluation question"
            )
    what = f"{len(texts):,} evaluation questions ({ngram} words, {100 * overlap:g}%)"
    rows.drop("decontaminate", what, np.concatenate(gone) if gone else rows.indices()[:0], reasons, matches)


class _Index:
    """The runs of words of all questions: which questions each belongs to."""

    def __init__(self, texts: list[str], ngram: int) -> None:
        self.ngram = ngram
        hashes, rows = word_hashes(pa.array(texts, pa.string()))
        runs, owner = grams(hashes, rows, ngram)
        pairs = np.unique(np.stack([runs, owner.astype(np.uint64)], axis=1), axis=0)
        self.runs, self.owner = pairs[:, 0].copy(), pairs[:, 1].astype(np.int64)
        self.sizes = np.bincount(self.owner, minlength=len(texts))
        wholes, counts = whole_hashes(hashes, rows, len(texts))
        short = np.flatnonzero((counts > 0) & (self.sizes == 0))
        self.short, first = np.unique(wholes[short], return_index=True)
        self.short_owner = short[first]

    def find(self, texts: pa.Array, owner: I64, overlap: float) -> tuple[I64, I64, I64]:
        """Rows in which a question stands, the question of which each shares the most (the first such), and how many runs."""
        hashes, place = word_hashes(texts)
        runs, run_place = grams(hashes, place, self.ngram)
        left, right = np.searchsorted(self.runs, runs), np.searchsorted(self.runs, runs, side="right")
        hit = np.flatnonzero(right > left)
        times = (right - left)[hit]
        entry = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times) + np.repeat(left[hit], times)
        triples = np.stack([np.repeat(owner[run_place[hit]], times), self.owner[entry], entry], axis=1)
        triples = np.unique(triples, axis=0)  # a run counts once in a trajectory
        pairs, shared = np.unique(triples[:, :2], axis=0, return_counts=True)
        # sizes are whole numbers and overlap a decimal: 7 of 10 at 0.7 must hold whatever the floats say
        enough = shared >= np.ceil(overlap * self.sizes[pairs[:, 1]] - 1e-9)
        found, question, count = pairs[enough, 0], pairs[enough, 1], shared[enough]
        wholes, _ = whole_hashes(hashes, place, len(texts))
        equal = places_in(self.short, wholes)
        same = np.flatnonzero(equal >= 0)
        found = np.concatenate([found, owner[same]])
        question = np.concatenate([question, self.short_owner[equal[same]]])
        count = np.concatenate([count, np.zeros(len(same), np.int64)])
        order = np.lexsort((question, -count, found))
        found, question, count = found[order], question[order], count[order]
        first = beginnings_of(found)
        return found[first], question[first], count[first]
