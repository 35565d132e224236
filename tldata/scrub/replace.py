"""Put stand-ins in place of secrets, in texts and in whole records: one value, one stand-in, wherever and however deep it stands."""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson

from tldata.scrub.find import Found, find, may_hold, places_to_look
from tldata.scrub.kinds import DEFAULT_KINDS, DIGITS, Scrubbing, normal, short_key
from tldata.secrets import _CAMEL, _PERSONAL_NAMES, _PHONE_NAMES, _SECRET_NAMES, PASSES

SHORT = 1_024  # characters of a text that is remembered as clean
REMEMBERED = 20_000  # texts
_SENSITIVE = re.compile(
    f"(?:^|[^a-z0-9])(?:{_SECRET_NAMES}|{_PHONE_NAMES}|{_PERSONAL_NAMES})$".replace(r"[_-]?", "[_ -]?"), re.I
)
_CAMEL_SENSITIVE = re.compile(_CAMEL + "$")
_NUMBER_AT = re.compile(r"""(?:["']\s*:|[\[,=(])\s*$""")
_NUMBER_END = re.compile(r"\s*(?:[,\]})]|$)")


class Scrubber:
    """Replaces secrets, and counts what it replaced in ``counts``, by kind.

    >>> Scrubber(Scrubbing(b"sixteen bytes or more")).text("write to ann@example.org")
    'write to <email-0e0f5f8d4b3a>'
    """

    def __init__(self, scrubbing: Scrubbing) -> None:
        self._key = short_key(scrubbing.key)
        self._kinds = frozenset(scrubbing.kinds)
        self._looks_at_all = bool(self._kinds - set(DEFAULT_KINDS))
        self._clean: set[str] = set()
        self._sensitive: dict[str, bool] = {}
        self.counts: Counter[str] = Counter()

    def stand_in(self, label: str, value: str) -> str:
        """The stand-in of a value, such as ``<email-3f9a1c04b7d2>``."""
        return f"<{label}-{self._digest(label, value)}>"

    def number(self, label: str, value: str) -> str:
        """The stand-in of a value that stands as a number: as many digits, beginning with 999, which begins no phone or card number."""
        length = min(max(len(value), 7), 18)
        digits = int(self._digest(label, value), 16) % 10 ** (length - 3)
        return f"999{digits:0{length - 3}d}"

    def _digest(self, label: str, value: str) -> str:
        text = normal(label, value).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._key, digest_size=DIGITS // 2, person=b"tldata scrub").hexdigest()

    def text(self, text: str, before: str = "") -> str:
        """A text with stand-ins for its secrets. JSON stays JSON, and a number in it a number."""
        if len(text) < 6 or text in self._clean or not (self._looks_at_all or may_hold(text)):
            return text
        changed, found = self._edited(text, before, {})
        self.counts.update(one.label for one in found)
        return changed

    def value(self, value: Any, *, key: str = "", count: Callable[[str, str], None] | None = None) -> Any:
        """A JSON value with stand-ins for the secrets in its texts, keys and numbers; the same object where there are none.

        A password found by its name is replaced wherever else it stands in the value.

        Args:
            value: a record, or a part of one.
            key: the name it stands under.
            count: called with the outermost key and the kind of everything replaced.
        """
        texts: dict[str, None] = {}
        self._gather(value, key, texts)
        if not texts:
            return value
        suspects = self._suspects(list(texts))
        if not suspects:
            return value
        walk = _Walk(self, suspects)
        changed = walk.walk(value, key, "")
        if walk.known:
            walk = _Walk(self, suspects, walk.known)
            changed = walk.walk(value, key, "")
        for top, label in walk.booked:
            self.counts[label] += 1
            if count is not None:
                count(top, label)
        return changed

    def _gather(self, value: Any, key: str, texts: dict[str, None]) -> None:
        """Every text that is not known to be clean; those under a name that makes them secret with that name before them."""
        stack: list[tuple[Any, str]] = [(value, key)]
        clean = self._clean
        while stack:
            item, name = stack.pop()
            if isinstance(item, str):
                if len(item) >= 4 and (item not in clean or self.is_sensitive(name)):
                    texts[f'"{name}": "{item}"' if name and self.is_sensitive(name) else item] = None
            elif isinstance(item, dict):
                for inner, child in item.items():
                    if isinstance(inner, str):
                        if len(inner) >= 6 and inner not in clean:
                            texts[inner] = None
                        stack.append((child, inner))
            elif isinstance(item, list | tuple):
                stack.extend((child, name) for child in item)
            elif isinstance(item, int) and not isinstance(item, bool) and abs(item) >= 1_000_000:
                texts[f'"{name}": {item}'] = None

    def _suspects(self, texts: list[str]) -> set[str]:
        """The texts that hold something to look at; the others are remembered as clean."""
        close = texts
        if not self._looks_at_all:
            starts, length = [], 0
            for text in texts:
                starts.append(length)
                length += len(text) + 1
            places = places_to_look("\x00".join(texts))
            close = [texts[number] for number in {bisect_right(starts, place) - 1 for place in places}]
        found = {text for text in close if find(text, self._kinds)}
        if len(self._clean) > REMEMBERED:
            self._clean.clear()
        self._clean.update(text for text in texts if len(text) <= SHORT and text not in found)
        return found

    def is_sensitive(self, name: str) -> bool:
        """Whether a field of this name may hold a secret that has no form."""
        known = self._sensitive.get(name)
        if known is None:
            known = len(name) <= 80 and bool(_SENSITIVE.search(name) or _CAMEL_SENSITIVE.search(name))
            if len(self._sensitive) < REMEMBERED:
                self._sensitive[name] = known
        return known

    def _edited(self, text: str, before: str, known: dict[str, str]) -> tuple[str, list[Found]]:
        """The text with stand-ins, and what they stand for; ``known`` are values (and their labels) to replace wherever they stand.

        What stands glued to a secret can be one, too, that shows only once the first is gone.
        """
        found = find(text, self._kinds, before)
        if known:
            found = sorted([*found, *_places(text, known, found)], key=lambda one: one.start)
        if not found:
            return text, []
        changed, edges = _apply(text, [(one.start, one.end, self._new(text, one, before)) for one in found])
        for _ in range(PASSES):
            glued = [one for one in find(changed, self._kinds, before) if one.start in edges or one.end in edges]
            if not glued:
                break
            found = [*found, *glued]
            changed, edges = _apply(changed, [(one.start, one.end, self._new(changed, one, before)) for one in glued])
        if text.lstrip()[:1] in ("{", "[") and _is_json(text) and not _is_json(changed):
            value = self._without_texts(orjson.loads(text), known)
            changed = orjson.dumps(value).decode()
        return changed, found

    def _without_texts(self, value: Any, known: dict[str, str]) -> Any:
        """JSON whose text could not be edited in place, edited value by value."""
        if isinstance(value, str):
            return self._edited(value, "", known)[0] if value.lstrip()[:1] not in ("{", "[") else value
        if isinstance(value, dict):
            return {self._without_texts(name, known): self._without_texts(item, known) for name, item in value.items()}
        return [self._without_texts(item, known) for item in value] if isinstance(value, list) else value

    def _new(self, text: str, one: Found, before: str) -> str:
        digits = text[one.start : one.end]
        lead, rest = (before + text[: one.start])[-24:], text[one.end : one.end + 8]
        is_number = digits.isdecimal() and _NUMBER_AT.search(lead) and _NUMBER_END.match(rest)
        return self.number(one.label, digits) if is_number else self.stand_in(one.label, one.value)


class _Walk:
    """One pass over a record: ``known`` collects values without a form, for the next pass to find them where no name tells them."""

    def __init__(self, scrubber: Scrubber, suspects: set[str], known: dict[str, str] | None = None) -> None:
        self._scrubber, self._suspects = scrubber, suspects
        self._replaced = known or {}
        self.known: dict[str, str] = {}  # value -> label
        self.booked: list[tuple[str, str]] = []  # outermost name, label

    def walk(self, value: Any, name: str, top: str) -> Any:
        if isinstance(value, str):
            return self._text(value, name, top)
        if isinstance(value, dict):
            pairs = {
                self._text(key, "", top) if isinstance(key, str) else key: self.walk(
                    item, key if isinstance(key, str) else "", top or str(key)
                )
                for key, item in value.items()
            }
            same = all(a is b for a, b in zip(pairs, value, strict=False)) and all(
                a is b for a, b in zip(pairs.values(), value.values(), strict=False)
            )
            return value if same and len(pairs) == len(value) else pairs
        if isinstance(value, list | tuple):
            items = [self.walk(item, name, top) for item in value]
            return value if all(a is b for a, b in zip(items, value, strict=True)) else items
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1_000_000:
            changed = self._pair(name, value, top)
            return changed if isinstance(changed, int | str) else value
        return value

    def _text(self, text: str, name: str, top: str) -> str:
        scrubber = self._scrubber
        if name and scrubber.is_sensitive(name) and text.lstrip()[:1] not in ("{", "["):
            return str(self._pair(name, text, top))
        if text not in self._suspects and not self._replaced:
            return text
        if len(text) < 6:
            return text
        changed, found = scrubber._edited(text, f'"{name}": "' if name else "", self._replaced)
        self._book(found, top)
        return text if changed == text else changed

    def _pair(self, name: str, value: str | int, top: str) -> Any:
        """A value together with its name, as JSON text: the name says what the value is."""
        if isinstance(value, int) and f'"{name}": {value}' not in self._suspects and not self._replaced:
            return value
        text = json.dumps({name: value}, ensure_ascii=False)
        prefix = len(json.dumps(name, ensure_ascii=False)) + 1
        changed, found = self._scrubber._edited(text, "", self._replaced)
        if changed == text:
            return value
        self._book([one for one in found if one.start >= prefix], top)
        return next(iter(orjson.loads(changed).values()))

    def _book(self, found: list[Found], top: str) -> None:
        for one in found:
            self.booked.append((top, one.label))
            if one.by_context and _is_telling(one.value):
                self.known[one.value] = one.label


def _is_telling(value: str) -> bool:
    """Whether a value is unlikely to stand somewhere by chance: six characters, not all letters, one word."""
    return len(value) >= 6 and not value.isalpha() and not any(character.isspace() for character in value)


def _places(text: str, known: dict[str, str], taken: list[Found]) -> list[Found]:
    """Where known values stand in a text on their own, as they are or as JSON writes them, outside of what is found anyway."""
    forms: dict[str, str] = {}
    for value in known:
        once = json.dumps(value)[1:-1]
        forms |= dict.fromkeys((value, once, json.dumps(once)[1:-1]), value)
    found: list[Found] = []
    for form in sorted(forms, key=len, reverse=True):
        start = text.find(form)
        while start >= 0:
            end = start + len(form)
            glued = (text[start - 1 : start].isalnum() and form[0].isalnum()) or (
                text[end : end + 1].isalnum() and form[-1].isalnum()
            )
            if not glued and not any(start < other.end and other.start < end for other in (*taken, *found)):
                found.append(Found(known[forms[form]], start, end, forms[form], True))
            start = text.find(form, end)
    return found


def _apply(text: str, edits: list[tuple[int, int, str]]) -> tuple[str, set[int]]:
    """The text with the edits made, and where in it the new pieces begin and end."""
    pieces: list[str] = []
    edges: set[int] = set()
    place = length = 0
    for start, end, new in edits:
        pieces += [text[place:start], new]
        edges |= {length + start - place, length + start - place + len(new)}
        length += start - place + len(new)
        place = end
    return "".join([*pieces, text[place:]]), edges


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
