"""Find secrets in a text at every depth of escaping, each with what it stands for and its place in the text as it is."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

import re2

from tldata.scrub.escapes import levels, plain
from tldata.scrub.exact import is_exact
from tldata.secrets import _PREFIXED_KEYS, _SECRET_NAMES, PATTERNS, ranked_spans

# What every pattern needs; most texts have none of it, and are done with one pass.
_TRIGGER = "|".join(
    (
        r"@|%40|u0040",
        r"\d(?:[ ().\-/]{0,2}\d){6,}",
        r"eyJ|-----BEGIN|hooks\.slack",
        _PREFIXED_KEYS.replace("{16,}", "").replace("{20,}", "").replace("{10,}", "").replace("{30,}", ""),
        r"(?i:(?:bearer|basic)\s)",
        r"[A-Z]{2}\d{2}[ A-Z0-9]{10}",
        rf"""(?i:(?:{_SECRET_NAMES}))["'\\]*\s*(?:[:=]|%3D)""",
        r"(?i:(?:word|phrase|code|pin|otp|secret|token|key) (?:is|was|to)\b)",
        r"(?i:[?&](?:sig|signature|x-amz-[a-z-]+|key|auth|sid|sessionid)=)",
    )
)
_STAND_IN = re.compile(r"<[a-z_]+-[0-9a-f]{12}>")
_SCHEME = re.compile(r"(?:Bearer|Basic|Token|Digest|ApiKey|apikey)\s+", re.I)


class Found(NamedTuple):
    """A secret: what its stand-in is called, its place in the text, and its value without escapes."""

    label: str
    start: int
    end: int
    value: str
    by_context: bool


@cache
def _compiled_trigger() -> Any:
    options = re2.Options()
    options.max_mem = 64 << 20
    return re2.compile(_TRIGGER, options)


def may_hold(text: str) -> bool:
    """Whether a text needs to be looked at closely: False for nearly all clean ones."""
    return _compiled_trigger().search(text.encode("utf-8", "replace").decode()) is not None


def places_to_look(text: str) -> list[int]:
    """Where in a text something begins that needs a closer look."""
    clean = text.encode("utf-8", "replace").decode()
    return [match.start() for match in _compiled_trigger().finditer(clean)]


def label_of(kind: str, by_context: bool) -> str:
    """The name of a value's stand-in: by its form where that says it, ``secret`` where only what stands before it does."""
    return "secret" if by_context and kind in ("token", "key", "password", "secret") else kind


def find(text: str, kinds: frozenset[str], before: str = "") -> list[Found]:
    """Find the secrets of a text.

    Args:
        text: any text; JSON in JSON and URLs are looked into.
        kinds: labels to look for.
        before: what stands before the text, such as the name of its field.

    Returns:
        what was found, in order and apart from each other; no span cuts an escape in two.

    >>> [(f.label, f.value) for f in find(r'{"to": "\\"Ann\\" <ann@example.org>"}', frozenset({"email"}))]
    [('email', 'ann@example.org')]
    """
    depths = levels(text)
    texts = [text, *(level.text for level in depths)]
    kept: list[tuple[int, int, int, bool]] = []  # rank, start, end, by context: in the text as it is
    for depth in range(len(texts) - 1, -1, -1):
        here = _at(texts[depth], kinds, before if depth == 0 else "")
        placed = []
        for rank, start, end in here:
            if depth < len(depths):
                start, end = depths[depth].snap(start, end)
            for level in reversed(depths[:depth]):
                if start < end:
                    start, end = level.place(start, end)
            if start < end:
                placed.append((rank, start, end, PATTERNS[rank].by_context))
        kept += [one for one in placed if one[3] or not any(one[1] < other[2] and other[1] < one[2] for other in kept)]
    return _apart(text, kept)


def _at(text: str, kinds: frozenset[str], before: str) -> list[tuple[int, int, int]]:
    """What is found in one text, without those that are not exact, or not asked for."""
    found = []
    for rank, (kind, start, end) in ranked_spans(text):
        pattern = PATTERNS[rank]
        if pattern.by_context and (scheme := _SCHEME.match(text[start:end])):
            start += scheme.end()
        label = label_of(kind, pattern.by_context)
        if pattern.by_context and _STAND_IN.search(text, start, end):
            continue  # what is left around a stand-in was looked at when that was put
        if label in kinds and start < end and is_exact(label, pattern.by_context, text, start, end, before):
            found.append((rank, start, end))
    return found


def _apart(text: str, spans: list[tuple[int, int, int, bool]]) -> list[Found]:
    """Join what overlaps. What is known by its form stands for itself where it fills most of what is known by its context."""
    forms = [span for span in spans if not span[3]]
    chosen = list(forms)
    for span in spans:
        inside = [form for form in forms if span[1] <= form[1] and form[2] <= span[2]]
        filled = sum(end - start for _, start, end in _union(inside))
        if span[3] and 5 * filled < 3 * (span[2] - span[1]):
            chosen.append(span)
    found = []
    for rank, start, end in _union(chosen):
        pattern = PATTERNS[rank]
        found.append(
            Found(label_of(pattern.kind, pattern.by_context), start, end, plain(text[start:end]), pattern.by_context)
        )
    return found


def _union(spans: list[tuple[int, int, int, bool]]) -> list[tuple[int, int, int]]:
    """Spans that overlap become one, with the rank of the pattern that stands first."""
    joined: list[tuple[int, int, int]] = []
    for rank, start, end, _ in sorted(spans, key=lambda span: (span[1], -span[2], span[0])):
        if joined and start < joined[-1][2]:
            last = joined[-1]
            joined[-1] = (min(rank, last[0]), last[1], max(end, last[2]))
        else:
            joined.append((rank, start, end))
    return joined
