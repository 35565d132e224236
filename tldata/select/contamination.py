"""Drop trajectories whose users ask what an evaluation set asks: shared runs of words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tldata.select.evaluation import BEGIN, read_questions
from tldata.select.minhash import AT_ONCE, slices
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
    index = _Index(texts, ngram, overlap)
    gone: list[I64] = []
    reasons: list[str] = []
    matches: list[str] = []
    for number in range(len(rows.parts)):
        if not rows.has_alive(number):
            continue
        messages, owner = rows.part(number, "messages", ["role", "content"])
        asked = pc.fill_null(pc.equal(messages["role"], "user"), False).to_numpy() & rows.alive[owner]
        said = messages["content"].combine_chunks().filter(pa.array(asked))
        said = pc.replace_substring_regex(said, pattern=BEGIN.pattern.replace(r"\Z", r"\z"), replacement="")
        found, question, shared = index.find(said, owner[asked])
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
    """The runs of words of all questions. ``codes`` of question q, ``codes[starts[q]:starts[q + 1]]``, number its runs in ``runs``.

    A question is found where ``needed`` of its runs are, so at least one of its ``size - needed + 1`` rarest must be: only these
    lead from a text to a question (``rare``, sorted by code), which keeps phrases that many questions share from leading to all.
    """

    def __init__(self, texts: list[str], ngram: int, overlap: float) -> None:
        self.ngram = ngram
        hashes, rows = word_hashes(pa.array(texts, pa.string()))
        wholes, counts = whole_hashes(hashes, rows, len(texts))
        first = np.sort(np.unique(wholes, return_index=True)[1])  # of equal questions the first stands for all
        runs, owner = grams(hashes, rows, ngram)
        only = np.isin(owner, first)
        self.runs, codes = np.unique(runs[only], return_inverse=True)
        pairs = np.unique(np.stack([owner[only], codes], axis=1), axis=0)
        owner, self.codes = pairs[:, 0], pairs[:, 1]
        self.sizes = np.bincount(owner, minlength=len(texts))
        self.starts = np.cumsum(self.sizes) - self.sizes
        # 1e-9: 7 of 10 are 0.7, whatever the floating point says
        self.needed = np.maximum(np.ceil(overlap * self.sizes - 1e-9).astype(np.int64), 1)
        frequency = np.bincount(self.codes, minlength=len(self.runs))
        order = np.lexsort((self.codes, frequency[self.codes], owner))
        nth = np.arange(len(order)) - np.repeat(self.starts, self.sizes)
        rare = order[nth < np.repeat(self.sizes - self.needed + 1, self.sizes)]
        rare = rare[np.argsort(self.codes[rare], kind="stable")]
        self.rare, self.rare_owner = self.codes[rare], owner[rare]
        short = np.flatnonzero((counts > 0) & (self.sizes == 0))
        short = short[np.isin(short, first)]
        order = np.argsort(wholes[short])
        self.short, self.short_owner = wholes[short][order], short[order]

    def find(self, texts: pa.Array, owner: I64) -> tuple[I64, I64, I64]:
        """Rows in which a question stands, the question of which each shares the most (the first such), and how many runs.

        Args:
            texts: what users say, shape (R,).
            owner: the row that each belongs to, shape (R,).
        """
        hashes, place = word_hashes(texts)
        runs, run_place = grams(hashes, place, self.ngram)
        code = places_in(self.runs, runs)
        held = np.unique(np.stack([owner[run_place[code >= 0]], code[code >= 0]], axis=1), axis=0)  # runs of each row
        pairs = np.unique(np.concatenate([self._led_to(*chunk) for chunk in _in_turn(held, self.rare)]), axis=0)
        row, question = pairs[:, 0], pairs[:, 1]
        shared = self._shared(held, row, question)
        enough = shared >= self.needed[question]
        wholes, _ = whole_hashes(hashes, place, len(texts))
        equal = places_in(self.short, wholes)
        same = np.flatnonzero(equal >= 0)
        row = np.concatenate([row[enough], owner[same]])
        question = np.concatenate([question[enough], self.short_owner[equal[same]]])
        shared = np.concatenate([shared[enough], np.zeros(len(same), np.int64)])
        order = np.lexsort((question, -shared, row))
        best = order[beginnings_of(row[order])]
        return row[best], question[best], shared[best]

    def _led_to(self, row: I64, first: I64, last: I64) -> I64:
        """The pairs of row and question that a rare run leads to, shape (P, 2), each once."""
        times = last - first
        entry = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times) + np.repeat(first, times)
        return np.unique(np.stack([np.repeat(row, times), self.rare_owner[entry]], axis=1), axis=0)

    def _shared(self, held: I64, row: I64, question: I64) -> I64:
        """How many runs of each pair's question its row holds."""
        known = held[:, 0] * len(self.runs) + held[:, 1]
        shared = np.zeros(len(row), np.int64)
        for first, last in slices(self.sizes[question], AT_ONCE):
            asked, times = question[first:last], self.sizes[question[first:last]]
            entry = (
                np.arange(times.sum())
                - np.repeat(np.cumsum(times) - times, times)
                + np.repeat(self.starts[asked], times)
            )
            found = places_in(known, np.repeat(row[first:last], times) * len(self.runs) + self.codes[entry]) >= 0
            shared[first:last] = np.bincount(np.repeat(np.arange(last - first), times)[found], minlength=last - first)
        return shared


def _in_turn(held: I64, rare: I64) -> Iterator[tuple[I64, I64, I64]]:
    """The rows that hold a rare run, with its place in the index, in batches that lead to about AT_ONCE questions each."""
    first, last = np.searchsorted(rare, held[:, 1]), np.searchsorted(rare, held[:, 1], side="right")
    hit = last > first
    row, first, last = held[hit, 0], first[hit], last[hit]
    yield row[:0], first[:0], last[:0]
    for start, end in slices(last - first, AT_ONCE):
        yield row[start:end], first[start:end], last[start:end]
