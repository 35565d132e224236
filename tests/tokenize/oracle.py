"""The slow, obvious way to everything that tokenize does cleverly, for the tests to compare with."""

from __future__ import annotations

import bisect
import itertools
import json
from typing import Any


def key_tokens(tokenizer: Any, text: str, name: tuple[int, int], called: str, names: tuple[str, ...]) -> list[int]:
    """Tokenise the whole text again with every other name in place; the first token that differs is a key token (method.md)."""
    own = tokenizer.encode(text, add_special_tokens=False)
    first = next(i for i, (_, end) in enumerate(own.offsets) if end > name[0])
    keys, ids = {first}, own.ids
    others = [text[: name[0]] + other + text[name[1] :] for other in names if other != called]
    for other in tokenizer.encode_batch_fast(others, add_special_tokens=False):
        at = next((i for i, (one, two) in enumerate(zip(ids, other.ids, strict=False)) if one != two), len(ids))
        if first < at < len(ids):
            keys.add(at)
    return sorted(keys)


def lines_are_apart(tokenizer: Any) -> bool:
    r"""Whether no token ever crosses from a line break to the visible character behind it, whatever stands elsewhere.

    Then the tokens of a text are the tokens of its lines one after the other, and a text with another name in it differs from
    the true one in the name's own lines only. Proved for two kinds of tokenizer, False for all others:

    - The split of Qwen-2 and Llama-3 looks at no text behind where it stands, and none of its alternatives can match a line
      break followed by anything but white space: only ``\s*[\r\n]+``, ``\s+`` and ``...+[\r\n]*`` take line breaks, and
      a run of white space with a line break in it is always taken by the first of these, through its last line break.
    - A SentencePiece BPE spells a line break as a byte, and no merge takes that byte.
    """
    state = json.loads(tokenizer.to_str())
    if any("\n" in token["content"] or token["lstrip"] or token["rstrip"] for token in state["added_tokens"]):
        return False
    if state["pre_tokenizer"] is None:
        return False
    if state["pre_tokenizer"]["type"] == "Metaspace":
        model = state["model"]
        return not any("\n" in piece for piece in model["vocab"]) and not any("<0x0A>" in m for m in model["merges"])
    split = state["pre_tokenizer"]["pretokenizers"][0]
    return split["type"] == "Split" and split["behavior"] == "Isolated" and split["pattern"]["Regex"] in KNOWN_SPLITS


KNOWN_SPLITS = tuple(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    + digits
    + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    for digits in ("", "{1,3}")
)


def key_tokens_by_lines(
    tokenizer: Any, text: str, own: Any, name: tuple[int, int], called: str, names: tuple[str, ...]
) -> list[int]:
    """``key_tokens`` where ``lines_are_apart``, with the name's own lines tokenised again instead of the whole text.

    Args:
        own: the whole text's ids and offsets, as lists.
    """
    begin = name[0] - 1
    while begin > 0 and (text[begin - 1] != "\n" or text[begin].isspace()):
        begin -= 1
    begin = max(begin, 0)
    end = name[1] + 1
    while end < len(text) and (text[end - 1] != "\n" or text[end].isspace()):
        end += 1
    end = min(end, len(text))
    lead = "\n" if begin else ""  # keeps what a tokenizer puts before a text away from the line
    texts = [lead + text[begin:end]]
    texts += dict.fromkeys(lead + text[begin : name[0]] + o + text[name[1] : end] for o in names if o != called)
    skipped = len(tokenizer.encode(lead, add_special_tokens=False).ids)
    found = [e.ids[skipped:] for e in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    ids = own.ids
    at = bisect.bisect_left(own.offsets, (begin,)) if begin else 0
    after = at + len(found[0])
    assert ids[at:after] == found[0]  # the line by itself is what it is within the whole
    first = next(i for i in range(at, len(ids)) if own.offsets[i][1] > name[0])
    keys = {first}
    for other in found[1:]:
        pairs = zip(
            itertools.islice(ids, at, None), itertools.chain(other, itertools.islice(ids, after, None)), strict=False
        )
        differs = next((at + i for i, (one, two) in enumerate(pairs) if one != two), len(ids))
        if first < differs < len(ids):
            keys.add(differs)
    return sorted(keys)


def turn_texts(template: Any, messages: list[dict[str, Any]], tools: Any) -> dict[int, str]:
    """The rendering that ends with each assistant message."""
    return {i: template.render(messages[: i + 1], tools) for i, m in enumerate(messages) if m["role"] == "assistant"}


def runs(texts: dict[int, str]) -> list[list[int]]:
    """Maximal runs of turns of which each one's rendering, without white space at its end, begins the next one's."""
    out: list[list[int]] = []
    for turn, text in texts.items():
        if out and text.startswith(texts[out[-1][-1]].rstrip()):
            out[-1].append(turn)
        else:
            out.append([turn])
    return out


def start_of_turn(template: Any, messages: list[dict[str, Any]], tools: Any, turn: int, text: str) -> int | None:
    """Where an assistant message begins: behind the generation prompt, where that is a prefix of the text."""
    try:
        prompt = template.render(messages[:turn], tools, prompt=True)
    except Exception:
        return None
    return len(prompt) if text.startswith(prompt) else None
