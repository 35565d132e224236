"""Inputs for fuzzing: real samples of every format and syntax, broken at the level of JSON values, of text and of bytes."""

from __future__ import annotations

import json
import random
from typing import Any

import orjson

from tests.formats.test_hostile import mutated as mutated_record
from tests.syntax.test_hostile import PIECES, SEEDS
from tldata.formats import FORMATS

RECORDS = [orjson.loads(row.example) for row in FORMATS]
TOKENS = [
    *PIECES, "\x00", "\ud800", "é", "😀", ",", ")", "]", "}", "=", ":", "<", ">", "/", "%40", "\\u0040", "\\\\\"", "@a.org", "+1 555 201 4567", "4111111111111111",
    "null", "true", "-1e999", "1" * 40, "0x1F", "Error: ", "HTTP 500", "Traceback (most recent call last):\n", "<html>", "</tool_call>", "<|im_end|>", "</s>", "</think>", "```json\n",
    "password: ", '"error": ', "'''", "\r\n", "\u2028", "\u202e", "{{ x }}", "{% for m in messages %}", "$ref", "#/$defs/a", "(?=a)", "(a+)+$", "\t",
]  # fmt: skip
FEEDBACK = [
    '{"error": "Unknown parameter: city", "response": ""}', "Error: 404 not found", "HTTP/1.1 503 Service Unavailable\n\n<html><title>503</title></html>",
    "Traceback (most recent call last):\n  File \"x.py\", line 1\nKeyError: 'a'", '[{"type": "text", "text": "{\\"ok\\": true}"}]', "missing required argument: 'to'", "Observation: ok",
    "<error>bad</error>", "exit code 1\nstderr: no such file", '{"status": 200, "data": {"a": [1, 2]}}', "ValueError('x')", "{'error': None}", "",
]  # fmt: skip
MAX_TEXT = 4_000  # characters; size has tests of its own


def texts_of(value: Any) -> list[str]:
    """Every text in a value."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in texts_of(item)]


CORPUS = list(
    dict.fromkeys(
        text[:MAX_TEXT]
        for text in [*SEEDS, *FEEDBACK, *(t for record in RECORDS for t in texts_of(record)), *map(json.dumps, RECORDS)]
        if text
    )
)


def text(chance: random.Random) -> str:
    """A sample with one to five pieces cut, doubled, put in, or taken from another one."""
    made = chance.choice(CORPUS)
    for _ in range(chance.randint(1, 5)):
        at = chance.randint(0, len(made))
        how = chance.randrange(5)
        if how == 0:
            made = made[:at] + made[at + chance.randint(0, 8) :]
        elif how == 1:
            made = made[:at] + chance.choice(TOKENS) + made[at:]
        elif how == 2:
            other = chance.choice(CORPUS)
            made = made[:at] + other[chance.randint(0, len(other)) :]
        elif how == 3:
            made = made[:at] + made[at : at + chance.randint(1, 30)] * chance.randint(2, 6) + made[at:]
        else:
            made = made[:at] + chr(chance.choice((chance.randrange(128), chance.randrange(0x10FFFF)))) + made[at + 1 :]
    return made[:MAX_TEXT]


def value(chance: random.Random) -> Any:
    """A record of some format, with some values dropped, replaced, nested, doubled, cut or swapped, and texts in it broken."""
    made = mutated_record(chance.choice(RECORDS), chance)
    return made if chance.random() < 0.7 else _with_text(made, chance)


def _with_text(made: Any, chance: random.Random) -> Any:
    if isinstance(made, dict) and made:
        name = chance.choice(list(made))
        return {**made, name: _with_text(made[name], chance)}
    if isinstance(made, list) and made:
        place = chance.randrange(len(made))
        return [*made[:place], _with_text(made[place], chance), *made[place + 1 :]]
    return text(chance).encode("utf-8", "replace").decode() if isinstance(made, str) else made


def raw(chance: random.Random) -> bytes:
    """A record as bytes, now and then with some of them broken."""
    made = bytearray(orjson.dumps(value(chance)))
    for _ in range(chance.choice((0, 0, 1, 3))):
        at = chance.randrange(len(made) + 1)
        made[at : at + chance.randrange(4)] = bytes(chance.randrange(256) for _ in range(chance.randrange(4)))
    return bytes(made).replace(b"\n", b" ")
