"""Undo one level of JSON or URL escaping while keeping where each character stood, so that what is found inside can be replaced in place."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

MAX_LEVELS = 8  # of JSON in JSON in JSON; real logs have two or three
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt\']|u[0-9a-fA-F]{4})|%[2-7][0-9a-fA-F]')
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Level:
    """A text with one level of escapes undone. Piece i begins at ``starts[i]`` here and at ``origins[i]`` in the text it was made of."""

    text: str
    starts: list[int]
    origins: list[int]
    lengths: list[int]  # of escapes in the text it was made of; 0 for pieces taken over as they are

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where characters ``start`` to ``end`` (end exclusive, not empty) of this text stood in the one it was made of."""
        first, last = bisect_right(self.starts, start) - 1, bisect_right(self.starts, end - 1) - 1
        begin = self.origins[first] + (0 if self.lengths[first] else start - self.starts[first])
        finish = self.origins[last] + (self.lengths[last] or end - self.starts[last])
        return begin, finish

    def snap(self, start: int, end: int) -> tuple[int, int]:
        """Shrink a span of the text this was made of so that it cuts no escape in two; it may become empty."""
        at = bisect_right(self.origins, start) - 1
        if at >= 0 and self.lengths[at] and start > self.origins[at]:
            start = max(start, self.origins[at] + self.lengths[at])
        at = bisect_right(self.origins, end - 1) - 1
        if at >= 0 and self.lengths[at] and end < self.origins[at] + self.lengths[at]:
            end = self.origins[at]
        return start, end


def unescape(text: str) -> Level | None:
    """Undo one level of escapes; None where there is none.

    Args:
        text: any text; what looks like an escape of JSON, or of a URL (printable ASCII only), is one.

    >>> level = unescape(r'{"a": "\\"b\\u0040c"}')
    >>> level.text, level.place(6, 7), level.place(9, 10)
    ('{"a": ""b@c"}', (6, 7), (10, 16))
    """
    if "\\" not in text and "%" not in text:
        return None
    pieces: list[str] = []
    starts: list[int] = []
    origins: list[int] = []
    lengths: list[int] = []
    place = length = 0

    def add(piece: str, origin: int, of: int) -> None:
        nonlocal length
        pieces.append(piece)
        starts.append(length)
        origins.append(origin)
        lengths.append(of)
        length += len(piece)

    for match in _ESCAPE.finditer(text):
        start, end = match.span()
        if start > place:
            add(text[place:start], place, 0)
        add(_character(match[0]), start, end - start)
        place = end
    if not pieces:
        return None
    if place < len(text):
        add(text[place:], place, 0)
    return Level("".join(pieces), starts, origins, lengths)


def _character(escape: str) -> str:
    if escape[0] == "%":
        return chr(int(escape[1:], 16))
    return chr(int(escape[2:], 16)) if escape[1] == "u" else _SHORT.get(escape[1], escape[1])


def levels(text: str) -> list[Level]:
    """The text with one, two, ... levels of escapes undone, until none is left or ``MAX_LEVELS``."""
    found: list[Level] = []
    while len(found) < MAX_LEVELS:
        level = unescape(found[-1].text if found else text)
        if level is None:
            break
        found.append(level)
    return found


def plain(text: str) -> str:
    """The text without any escapes: what a value is compared by, however deep it stood.

    >>> plain(r'a\\"b'), plain("ann%40example.org")
    ('a"b', 'ann@example.org')
    """
    found = levels(text)
    return found[-1].text if found else text
