"""The pieces of finding near-duplicates, each against the slow and obvious way."""

import itertools
import re

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tldata.select.features import Features, feature_sets
from tldata.select.minhash import band_keys, bands, candidates, jaccard, set_keys
from tldata.select.near import _keepers
from tldata.select.splits import _components
from tldata.select.strata import equal_shares, proportional_shares
from tldata.select.words import grams, whole_hashes, word_hashes

ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
ANY = st.text(max_size=40)
SMALL = settings(max_examples=60)


def slow_words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


@SMALL
@given(st.lists(st.none() | ASCII, max_size=8))
def test_words_hash_alike_exactly_when_they_are_the_same_word(texts):
    hashes, rows = word_hashes(pa.array(texts, pa.string()))
    words = [(row, word) for row, text in enumerate(texts) for word in slow_words(text or "")]
    assert rows.tolist() == [row for row, _ in words]
    by_hash = dict(zip(hashes.tolist(), (word for _, word in words), strict=True))
    assert all(by_hash[h] == word for h, (_, word) in zip(hashes.tolist(), words, strict=True))
    assert len(by_hash) == len({word for _, word in words})


@SMALL
@given(st.lists(ANY, max_size=6))
def test_the_words_of_a_text_do_not_depend_on_its_neighbours(texts):
    hashes, rows = word_hashes(pa.array(texts, pa.string()))
    alone = [word_hashes(pa.array([text], pa.string()))[0].tolist() for text in texts]
    assert hashes.tolist() == list(itertools.chain(*alone))
    assert rows.tolist() == [row for row, found in enumerate(alone) for _ in found]


def test_words_beyond_ascii_are_compared_in_their_plain_form():
    def of(text):
        return word_hashes(pa.array([text]))[0].tolist()

    assert of("“Café” — ÜBER…") == of("café über")
    assert of("ﬁne ２３") == of("fine 23")  # a ligature and full-width digits
    assert len(of("天気は東京")) == 5 and of("東京")[0] == of("天気は東京")[3]
    assert len(of("東京tower")) == 3
    assert of("x" * 5000) == of("X" * 5000) != of("x" * 5001)
    swapped = "a" + "x" * 1023 + "b" + "x" * 10
    assert of(swapped) != of(swapped.replace("a", "c").replace("b", "a").replace("c", "b"))


@SMALL
@given(st.lists(ASCII, min_size=1, max_size=6), st.integers(1, 4))
def test_grams_are_the_runs_of_words_within_a_text(texts, size):
    hashes, rows = word_hashes(pa.array(texts))
    found, owner = grams(hashes, rows, size)
    runs = []
    for row, text in enumerate(texts):
        words = slow_words(text)
        runs += [(row, tuple(words[i : i + size])) for i in range(len(words) - size + 1)]
    assert owner.tolist() == [row for row, _ in runs]
    assert len(set(found.tolist())) == len({run for _, run in runs})
    wholes, counts = whole_hashes(hashes, rows, len(texts))
    assert counts.tolist() == [len(slow_words(text)) for text in texts]
    different = {tuple(slow_words(text)) for text in texts} - {()}
    assert len({w for w, c in zip(wholes.tolist(), counts.tolist(), strict=True) if c}) == len(different)


def sets_of(texts: list[str]) -> tuple[Features, list[set]]:
    values, owner = feature_sets(pa.array(texts, pa.string()), np.arange(len(texts)))
    counts = np.bincount(owner, minlength=len(texts))
    slow = [set(slow_words(t)) | set(itertools.pairwise(slow_words(t))) for t in texts]
    return Features(values, np.cumsum(counts) - counts, counts), slow


WORDS = st.lists(
    st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]), max_size=10
).map(" ".join)


@SMALL
@given(st.lists(WORDS, min_size=2, max_size=6))
def test_the_jaccard_similarity_is_that_of_the_sets(texts):
    features, slow = sets_of(texts)
    pairs = np.array(list(itertools.combinations(range(len(texts)), 2)))
    found = jaccard(features, pairs[:, 0], pairs[:, 1])
    wanted = [len(slow[a] & slow[b]) / len(slow[a] | slow[b]) if slow[a] | slow[b] else 1.0 for a, b in pairs.tolist()]
    assert found.tolist() == wanted
    equal = set_keys([features], np.arange(len(texts)))
    assert all((equal[a] == equal[b]) == (slow[a] == slow[b]) for a, b in pairs.tolist())


def test_bands_find_nearly_all_pairs_at_the_threshold_and_few_far_below():
    for threshold in (0.5, 0.7, 0.8, 0.9, 1.0):
        count, length = bands(threshold)
        assert count * length <= 128 and (1 - threshold**length) ** count <= 0.005
    chance = np.random.default_rng(0)
    texts, wanted = [], []
    for number in range(400):  # pairs of 40 words with 38 in common, beside one with none
        words = [f"w{w}" for w in chance.integers(0, 10**6, 80)]
        texts += [" ".join(words[:40]), " ".join([*words[:38], "new", "words"]), " ".join(words[40:])]
        wanted.append((3 * number, 3 * number + 1))
    features, slow = sets_of(texts)
    assert all(len(slow[a] & slow[b]) / len(slow[a] | slow[b]) > 0.8 for a, b in wanted)
    keys = band_keys([features], np.arange(len(texts)), 0.8)
    low, high, crowded = (
        np.concatenate(c) if i < 2 else any(c) for i, c in enumerate(zip(*candidates(keys), strict=True))
    )
    found = set(zip(low.tolist(), high.tolist(), strict=True))
    assert len(found & set(wanted)) >= 398 and len(found - set(wanted)) <= 20 and not crowded


def test_a_crowd_of_like_texts_leaves_one_even_where_all_share_their_bands():
    texts = [" ".join(["same"] + [f"word{i}" for i in range(60)] + [f"end{n}"]) for n in range(500)]
    features, _ = sets_of([*texts, "something else entirely"])
    kept_by = _keepers([features], np.arange(501), 0.9)
    assert kept_by[0] == kept_by[500] == -1 and (kept_by[1:500] == 0).all()


@SMALL
@given(st.integers(1, 30), st.data())
def test_components_are_those_of_a_search(count, data):
    edges = data.draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=30))
    one, other = (np.array([e[side] for e in edges], np.int64) for side in (0, 1))
    label = list(range(count))
    for _ in range(count):
        for a, b in edges:
            label[a] = label[b] = min(label[a], label[b])
    assert _components(count, [(one, other)]).tolist() == label


@SMALL
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(1, 120))
def test_shares_sum_to_the_sample_and_are_as_equal_or_proportional_as_can_be(sizes, total):
    for shares in (equal_shares(sizes, total), proportional_shares(sizes, total)):
        assert sum(shares) == min(total, sum(sizes))
        assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    equal = equal_shares(sizes, total)
    cut = [share for share, size in zip(equal, sizes, strict=True) if share < size]
    assert not cut or max(equal) <= min(cut) + 1
    if sum(sizes):
        proportional = proportional_shares(sizes, total)
        kept = min(total, sum(sizes))
        assert all(abs(p - s * kept / sum(sizes)) < 1 for p, s in zip(proportional, sizes, strict=True))
