"""Find the key tokens of a call: where another declared tool's name, put in the same place, would have gone another way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from tldata.tokenize.encode import Encoded, Encoder

# Characters looked at left and right of the name: the first window that settles the question is taken.
WINDOWS = ((24, 12), (48, 48), (256, 256), (2048, 2048))
MARGIN = 6  # characters between the last token that matters and the end of a window
CACHE_ENTRIES = 50_000

Context = tuple[str, str, str, str]  # tool set, text before the name, name, text behind it
Known = tuple[tuple[int, ...], tuple[int, ...]]  # token ids from the name's first on, and which of them are key tokens


class KeyTokenFinder:
    """Finds key tokens with one tokenizer, once for each distinct tool set, name and text around it.

    Token ids are compared in place: the name's surroundings are tokenised with every other tool's name put where the name
    stands. Tokenising a window gives the same tokens there as tokenising the whole text, because tokens never depend on text
    that lies words away; a window is used only if its own tokens are those that the whole text has at that place.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._known: dict[Context, Known | None] = {}

    def find(
        self, text: str, encoded: Encoded, name: tuple[int, int], called: str, names: Sequence[str], names_key: str
    ) -> list[int] | None:
        """Positions of a call's key tokens.

        Args:
            text: the rendered text.
            encoded: its tokens.
            name: characters [start, end) of the tool's name in it.
            called: the tool's name.
            names: all declared names; the called one is left out of the comparison.
            names_key: stands for ``names`` in the cache.

        Returns:
            Ascending positions in ``encoded.ids``; the first is the token that holds the name's first character. None if the name
            is written in a way that other names cannot be put in its place.

        Source: method.md, PKT, points 1 and 2; TL-Training (arXiv 2412.15495), section 3.2.
        """
        written = text[name[0] : name[1]]
        write = _writer(called, written)
        if write is None:
            return None
        first = int(encoded.ends.searchsorted(name[0], side="right"))
        for left, right in _windows(text, name):
            key = (names_key, text[left : name[0]], written, text[name[1] : right])
            if key not in self._known:
                if len(self._known) > CACHE_ENTRIES:
                    self._known.clear()
                others = [write(other) for other in names if other and other != called]
                is_whole = left == 0 and right == len(text)
                self._known[key] = self._compare(text[left:right], name[0] - left, name[1] - left, others, is_whole)
            known = self._known[key]
            if known is None:
                continue
            ids, keys = known
            if encoded.ids[first : first + len(ids)].tolist() == list(ids):
                return [first + position for position in keys]
        return None

    def begin(
        self,
        wanted: Iterable[tuple[str, tuple[int, int], str, Sequence[str], str]],
        submit: Callable[..., Future[Any]] | None = None,
    ) -> Callable[[], None]:
        """Begin to compare the smallest windows of many calls at once; calling the result makes them known to ``find``.

        Args:
            wanted: text, name, called, names and names_key as of ``find``.
            submit: as of ``Encoder.begin``.
        """
        missing: dict[Context, tuple[list[str], int, int]] = {}
        for text, name, called, names, names_key in wanted:
            written = text[name[0] : name[1]]
            left, right = next(_windows(text, name))
            key = (names_key, text[left : name[0]], written, text[name[1] : right])
            if key in self._known or key in missing or right - left >= len(text):
                continue
            write = _writer(called, written)
            if write is not None:
                others = [write(other) for other in names if other and other != called]
                variants = _variants(text[left:right], name[0] - left, name[1] - left, others)
                missing[key] = (variants, name[0] - left, name[1] - left)
        texts = [text for variants, _, _ in missing.values() for text in variants]
        encode = self.encoder.tokenizer.encode_batch
        results = submit(encode, texts, add_special_tokens=False).result if submit is not None and texts else None

        def finish() -> None:
            if len(self._known) + len(missing) > CACHE_ENTRIES:
                self._known.clear()
            encodings = results() if results is not None else encode(texts, add_special_tokens=False) if texts else []
            at = 0
            for key, (variants, start, end) in missing.items():
                self._known[key] = _judge(variants, encodings[at : at + len(variants)], start, end, False)
                at += len(variants)

        return finish

    def _compare(self, window: str, start: int, end: int, others: Sequence[str], is_whole: bool) -> Known | None:
        """Compare a window's tokens with those it has under every other name; None if the window is too small to tell."""
        texts = _variants(window, start, end, others)
        return _judge(texts, self.encoder.tokenizer.encode_batch(texts, add_special_tokens=False), start, end, is_whole)


def _variants(window: str, start: int, end: int, others: Sequence[str]) -> list[str]:
    return [window, *(window[:start] + other + window[end:] for other in others)]


def _judge(texts: list[str], encodings: Sequence[Any], start: int, end: int, is_whole: bool) -> Known | None:
    window = texts[0]
    own, *rest = encodings
    first = own.char_to_token(start)
    if first is None:
        return None
    ids = own.ids
    keys = {first}
    for text, other in zip(texts[1:], rest, strict=True):
        other_ids = other.ids
        shared = min(len(ids), len(other_ids))
        at = next((i for i in range(shared) if ids[i] != other_ids[i]), shared)
        if at <= first:
            continue
        if not is_whole and (
            at == shared
            or own.token_to_chars(at)[1] > len(window) - MARGIN
            or other.token_to_chars(at)[1] > len(text) - MARGIN
        ):
            return None
        if at < len(ids):
            keys.add(at)
    last = max(keys)
    while last + 1 < len(ids) and own.token_to_chars(last + 1)[0] < end:
        last += 1
    return tuple(ids[first : last + 1]), tuple(sorted(at - first for at in keys))


def _windows(text: str, name: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Ever larger windows around a name, cut at line ends or spaces where there are any; the whole text comes last."""
    for before, behind in WINDOWS:
        left, right = max(0, name[0] - before), min(len(text), name[1] + behind)
        if left:
            cut = max(text.rfind("\n", left, name[0] - MARGIN), text.rfind(" ", left, name[0] - MARGIN))
            left = cut if cut > left else left
        yield left, right
    yield 0, len(text)


def _writer(name: str, written: str):  # type: ignore[no-untyped-def]
    """How a template writes names, as a function: as they are, or escaped as in JSON; None for any other way."""
    if written == name:
        return str
    if written == json.dumps(name, ensure_ascii=False)[1:-1]:
        return lambda other: json.dumps(other, ensure_ascii=False)[1:-1]
    if written == json.dumps(name)[1:-1]:
        return lambda other: json.dumps(other)[1:-1]
    return None
