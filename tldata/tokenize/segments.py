"""Tell whether text between special tokens may be tokenised by itself, and cut texts there."""

from __future__ import annotations

import json
import re
from typing import Any


def splitter(tokenizer: Any) -> re.Pattern[str] | None:
    """A pattern whose ``split`` gives text and special tokens in turn; None where a text must be tokenised whole.

    Tokenising between special tokens is provably the same as tokenising the whole for byte-level BPE without a normaliser (or
    with NFC, on text that it leaves alone), whose special tokens are cut out of the raw text first and take no white space
    with them, and whose pre-tokenizer sees each piece between them by itself.
    """
    added = tokenizer.get_added_tokens_decoder()
    if not _is_segmentable(tokenizer, added):
        return None
    contents = sorted((t.content for t in added.values() if not t.normalized and t.content), key=len, reverse=True)
    return re.compile("(" + "|".join(map(re.escape, contents)) + ")") if contents else re.compile("((?!))")


def _is_segmentable(tokenizer: Any, added: dict[int, Any]) -> bool:
    model, normalizer, pre = tokenizer.model, tokenizer.normalizer, tokenizer.pre_tokenizer
    if type(model).__name__ != "BPE" or model.dropout or model.continuing_subword_prefix or model.end_of_word_suffix:
        return False
    if model.byte_fallback or model.unk_token is not None:
        return False
    if normalizer is not None and type(normalizer).__name__ != "NFC":
        return False
    state = json.loads(pre.__getstate__()) if pre is not None else {}
    steps = state.get("pretokenizers", [state])
    kinds = [step.get("type") for step in steps]
    if not set(kinds) <= {"Split", "ByteLevel", "Digits"} or kinds.count("ByteLevel") != 1 or kinds[-1] != "ByteLevel":
        return False
    if any(step.get("add_prefix_space") for step in steps):
        return False
    return not any(token.lstrip or token.rstrip or token.single_word for token in added.values())
