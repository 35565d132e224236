"""What readers share: checks that fail with a precise RecordError, text out of content of any shape, tools out of text."""

from __future__ import annotations

import json
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from tldata import jsontext
from tldata.errors import ParseError, RecordError
from tldata.record import Call
from tldata.syntax.literal import json_at, lenient_json

_KINDS = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}
TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
REASONING_PARTS = frozenset({"thinking", "reasoning"})
_TEXT_KEYS = ("text", "value", "content", "thinking", "reasoning")  # under which a part keeps its text, in this order


def kind(value: Any) -> str:
    """The JSON type of a value with its article, for error messages.

    >>> kind([]), kind(None)
    ('a list', 'null')
    """
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def found(record: dict[str, Any]) -> str:
    """The first keys of an object, for error messages."""
    names = [" ".join(str(key)[:40].split()) or repr(key) for key in list(record)[:8]]
    return ", ".join(names) + (", ..." if len(record) > 8 else "") if names else "no keys"


def in_a_line(text: str, limit: int = 60) -> str:
    """The beginning of a text of the source's on one line, for reasons and kinds.

    >>> in_a_line(" a\\n b ")
    'a b'
    """
    return " ".join(text.split())[:limit]


def need_object(value: Any, where: str) -> dict[str, Any]:
    """The value if it is an object, else a RecordError that names ``where``."""
    if not isinstance(value, dict):
        raise RecordError(f"{where} is {kind(value)}, not an object")
    return value


def need_list(value: Any, where: str) -> list[Any]:
    """The value if it is a list with something in it, else a RecordError that names ``where``."""
    if not isinstance(value, list):
        raise RecordError(f"{where} is {kind(value)}, not a list")
    if not value:
        raise RecordError(f"{where} is empty")
    return value


def need_text(value: Any, where: str) -> str:
    """The value if it is a string, else a RecordError that names ``where``."""
    if not isinstance(value, str):
        raise RecordError(f"{where} is {kind(value)}, not a string")
    return value


def dump(value: Any) -> str:
    """Compact JSON text of a value; lone surrogates, which no table can hold, are written as escapes.

    Raises:
        RecordError: the value is nested too deeply to be written.
    """
    try:
        text = jsontext.dumps(value)
        return text if text.isascii() or is_unicode(text) else json.dumps(value, separators=(",", ":"), default=str)
    except RecursionError:
        raise RecordError("nested too deeply") from None


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def clean(value: Any) -> Any:
    """A JSON value with U+FFFD for lone surrogates and ``"NaN"`` for NaN, as ``jsontext.loads`` has them.

    For what other parsers than it have read; its own values need no cleaning.
    """
    return jsontext.loads(json.dumps(value).encode())[0]


def parse(text: str, where: str) -> Any:
    """The JSON value that a text holds; a RecordError that names ``where`` when it holds none."""
    try:
        return jsontext.loads(text.encode("utf-8", "replace"))[0]
    except RecordError:
        raise RecordError(f"{where} is a string that is no JSON") from None


def try_parse(text: str) -> Any:
    """The JSON value that a text holds, or None."""
    try:
        return jsontext.loads(text.encode("utf-8", "replace"))[0]
    except RecordError:
        return None


def arguments_text(value: Any) -> str:
    """Arguments as the ``arguments`` column wants them: text verbatim, an object as JSON text, none at all as ``{}``.

    >>> arguments_text({"a": 1}), arguments_text(None), arguments_text("{oops")
    ('{"a":1}', '{}', '{oops')
    """
    if isinstance(value, str):
        return value
    return "{}" if value is None else dump(value)


def part_text(part: Any) -> str | None:
    """The text of one content part; None when it holds none (an image, a call)."""
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return None
    for key in _TEXT_KEYS:
        value = part.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, dict) and isinstance(value.get("value"), str):  # Assistants: {"text": {"value": ...}}
            return value["value"]
    return None


def text_of(content: Any) -> tuple[str | None, str | None]:
    """Text and reasoning of a ``content`` of any shape: text, parts, one part, or any other JSON value (as JSON text).

    Parts are joined by a newline; parts that hold no text are left out (the caller keeps the original).

    >>> text_of([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
    ('a\\nb', 'hm')
    """
    if content is None or isinstance(content, str):
        return content, None
    if isinstance(content, dict) and isinstance(content.get("type"), str) and content["type"] in TEXT_PARTS:
        content = [content]
    if isinstance(content, list) and all(isinstance(part, (str, dict)) for part in content):
        if not content:
            return None, None
        text: list[str] = []
        reasoning: list[str] = []
        kinds = [part.get("type", "text") if isinstance(part, dict) else "text" for part in content]
        if all(isinstance(what, str) for what in kinds):
            for what, part in zip(kinds, content, strict=True):
                piece = part_text(part)
                if what in REASONING_PARTS:
                    reasoning.append(piece or "")
                elif what in TEXT_PARTS and piece is not None:
                    text.append(piece)
            return "\n".join(text) if text else None, "\n".join(reasoning) if reasoning else None
    return dump(content), None


def structured_call(raw: Any, where: str) -> Call:
    """A call given as an object: OpenAI's ``{id, function: {name, arguments}}`` or flat ``{id, name, arguments}``.

    Arguments may be text or an object, under ``arguments``, ``args``, ``parameters`` or ``input``. A missing name gives None.

    Raises:
        RecordError: it is no object, or its name is no string.
    """
    raw = need_object(raw, where)
    inner = raw.get("function")
    if not isinstance(inner, dict):
        inner = {**raw, "name": inner} if isinstance(inner, str) else raw
    if inner is raw and not any(key in raw for key in ("name", "function", "arguments")):
        raise RecordError(f"{where} has neither function nor name; found {found(raw)}")
    name = inner.get("name")
    if name is not None and not isinstance(name, str):
        raise RecordError(f"the name of {where} is {kind(name)}, not a string")
    arguments = next((inner[key] for key in ("arguments", "args", "parameters", "input") if key in inner), None)
    return Call(name or None, arguments_text(arguments), scalar_text(raw.get("id", raw.get("call_id"))))


def scalar_text(value: Any) -> str | None:
    """A string, number or time as text; None for everything else.

    >>> scalar_text(3), scalar_text("a"), scalar_text([])
    ('3', 'a', None)
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, (date, datetime)):  # Parquet has them
        return value.isoformat()
    return None


def as_tools(value: Any) -> list[Any] | None:
    """Declarations out of whatever stands under a key for tools: a list, JSON text of one, one object, a list of JSON texts.

    Returns None where it declares nothing that can be read (null, empty text, names only).

    >>> as_tools('[{"name": "f"}]'), as_tools(""), as_tools([])
    ([{'name': 'f'}], None, [])
    """
    if isinstance(value, str):
        value = lenient(value)
    if isinstance(value, dict):
        value = [value] if _is_declaration(value) else None
    if not isinstance(value, list):
        return None
    if all(type(tool) is dict for tool in value):
        return value
    tools = [lenient(tool) if isinstance(tool, str) else tool for tool in value]
    return tools if all(isinstance(tool, dict) for tool in tools) else None


def _is_declaration(value: dict[str, Any]) -> bool:
    return isinstance(value.get("name"), str) or isinstance(value.get("function"), dict)


def lenient(text: str) -> Any:
    """The value of JSON text or of a Python literal; None when it is neither."""
    if not text.strip():
        return None
    value = try_parse(text)
    if value is not None:
        return value
    try:
        return clean(lenient_json(text))
    except (ParseError, RecordError):
        return None


MAX_TRIES = 8  # places in a prompt at which a list of tools is tried


@lru_cache(maxsize=256)  # prefix copies and the runs of one tool set repeat their prompt
def list_in(text: str, marks: tuple[str, ...]) -> tuple[list[Any] | None, bool]:
    """The tools that stand as a list in prose, after the last of the marks that occurs; and whether it is strict JSON.

    Args:
        text: a system prompt.
        marks: phrases after which the list begins; the whole text is searched when none occurs.

    Returns:
        The declarations, not to be changed (None: there are none), and True where they are JSON and not a Python literal.

    >>> list_in("Use [these] tools: [{'name': 'f'}] as told.", ("tools:",))
    ([{'name': 'f'}], False)
    """
    start = max((text.rfind(mark) + len(mark) for mark in marks if mark in text), default=0)
    start = text.find("[", start)
    for _ in range(MAX_TRIES):
        if start < 0:
            break
        for strict, read in ((True, _json_from), (False, json_at)):
            try:
                value = clean(read(text, start)[0])
            except (ValueError, RecursionError, ParseError, RecordError):
                continue
            if isinstance(value, list) and all(isinstance(tool, dict) for tool in value) and (value or strict):
                return value, strict
        start = text.find("[{", start + 1)
    return None, False


def _json_from(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins at ``start``, whatever follows it, and its end."""
    return json.JSONDecoder().raw_decode(text, start)


def between(text: str, opening: str, closing: str) -> list[str]:
    """What stands between pairs of tags, in linear time.

    >>> between("<a>1</a> <a>2</a> <a>3", "<a>", "</a>")
    ['1', '2']
    """
    found_texts = []
    start = text.find(opening)
    while start >= 0:
        start += len(opening)
        end = text.find(closing, start)
        if end < 0:
            break
        found_texts.append(text[start:end])
        start = text.find(opening, end)
    return found_texts


def was_cut(observation: str) -> bool:
    """Whether an observation was cut at a length: it ends in three dots and, begun as JSON, is none any more.

    >>> was_cut('{"error": "", "response": "[1, 2...'), was_cut("Loading..."), was_cut('{"a": "b..."}')
    (True, False, False)
    """
    text = observation.strip()
    return text.endswith("...") and text[:1] in ("{", "[") and try_parse(text) is None
