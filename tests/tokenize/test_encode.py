"""Tokens of texts: whole, in segments, several batches at once, with a cache that forgets; always those of the whole text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tokenize.conftest import SPECIAL
from tldata.tokenize import encode
from tldata.tokenize.encode import Untileable, load_tokenizer, read_encoder

PIECES = st.sampled_from(
    [*SPECIAL, "search", "search_city", " user", "\n", "  ", "é", "日本", "🙂", "\u0301", "{", '"x": 1', ""]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


def whole(encoder, text):
    """The tokenizer's own ids and offsets."""
    found = encoder.tokenizer.encode(text, add_special_tokens=False)
    return found.ids, found.offsets


def same(encoder, text, encoded):
    ids, offsets = whole(encoder, text)
    return (
        encoded.ids.tolist() == ids
        and list(zip(encoded.starts.tolist(), encoded.ends.tolist(), strict=True)) == offsets
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(batches=st.lists(st.lists(TEXTS, max_size=4), min_size=1, max_size=4), ahead=st.integers(0, 3))
@pytest.mark.parametrize("cache", [0, 40, 64 << 20])
def test_batches_begun_before_others_are_finished_get_the_tokens_of_whole_texts(tiny_encoder, cache, batches, ahead):
    before, encode.CACHE_BYTES = encode.CACHE_BYTES, cache
    try:
        with ThreadPoolExecutor(2) as pool:
            waiting = []
            for texts in batches:
                waiting.append((texts, tiny_encoder.begin(texts, pool.submit)))
                while len(waiting) > ahead:
                    done, work = waiting.pop(0)
                    assert all(same(tiny_encoder, t, e) for t, e in zip(done, tiny_encoder.finish(work), strict=True))
            for done, work in waiting:
                assert all(same(tiny_encoder, t, e) for t, e in zip(done, tiny_encoder.finish(work), strict=True))
        assert tiny_encoder._cached <= max(cache, 0) and not tiny_encoder._begun
    finally:
        encode.CACHE_BYTES = before
        tiny_encoder.forget()


@pytest.mark.parametrize("tokenizer", ["llama2", "llama3", "qwen2.5"])
def test_real_tokenizers_cut_texts_where_that_is_the_same(encoders, tokenizer):
    encoder = encoders[tokenizer]
    assert encoder.reuses_segments == (tokenizer != "llama2")
    texts = ["<|im_start|>user\nHi<|im_end|>\n", "a</s>b <s> c", "x<|eot_id|> y", " lead", "日本 🙂\n\n  x", ""]
    assert all(same(encoder, text, found) for text, found in zip(texts, encoder.encode(texts), strict=True))


def test_a_tokenizer_that_rewrites_characters_is_told_apart(tiny):
    from tokenizers import Tokenizer, normalizers

    tokenizer = Tokenizer.from_file(str(tiny / "tokenizer.json"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Strip()])
    encoder = encode.Encoder(tokenizer)
    assert not encoder.reuses_segments
    good, bad = encoder.encode(["search", "  search"])
    assert not isinstance(good, Untileable) and isinstance(bad, Untileable)


def test_a_saved_tokenizer_is_the_same_for_other_processes(tiny, tmp_path):
    encoder = load_tokenizer(tiny)
    encoder.save(tmp_path)
    again = read_encoder(tmp_path)
    assert (again.name, again.special, again.digest) == (encoder.name, encoder.special, encoder.digest)
    text = "<|im_start|>search_city 日本<|im_end|>"
    assert whole(again, text) == whole(encoder, text) and same(again, text, again.encode([text])[0])
