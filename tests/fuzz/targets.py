"""What is fuzzed: each target takes a source of chance, makes an input, and must come back with a result or an error of our own."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any

from tests.formats.test_hostile import check
from tests.fuzz import mutate
from tldata.blocks import parse
from tldata.errors import NoCallError, ParseError, RecordError, TemplateError, UsageError
from tldata.evidence.call_check import CallChecker, parse_arguments
from tldata.evidence.envelope import unwrap
from tldata.evidence.feedback import FeedbackRules
from tldata.formats import FORMATS
from tldata.pairing import pair
from tldata.scrub import Scrubber, Scrubbing
from tldata.secrets import find_secrets, mask
from tldata.syntax import SYNTAXES, action_turn, find_calls, lenient_json
from tldata.templates.parsers import PARSERS, parse_turn
from tldata.tools import normalise_all

Chance = random.Random
OURS = (ParseError, NoCallError, RecordError, TemplateError, UsageError)
TOOLS = [
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}, "n": {"type": "integer"}}, "required": ["a"]}}},
    {"name": "get weather", "parameters": {"properties": {"city": {"enum": ["Rome"]}, "x": {"pattern": "^(a+)+$"}}}},
]  # fmt: skip
GOLD = [
    [{"name": "f", "arguments": {"a": "x", "n": 1}}],
    [{"name": "f", "arguments": {"a": "y"}}, {"name": "g", "arguments": {}}],
]


def _parsers(chance: Chance) -> None:
    text = mutate.text(chance)
    for read in SYNTAXES.values():
        try:
            calls = read(text)
        except ParseError:
            continue
        assert calls and all(0 <= call.start <= call.end <= len(text) and call.name for call in calls)


def _find_calls(chance: Chance) -> None:
    find_calls(mutate.text(chance))


def _lenient_json(chance: Chance) -> None:
    lenient_json(mutate.text(chance))


def _action(chance: Chance) -> None:
    action_turn(mutate.text(chance))


def _templates(chance: Chance) -> None:
    text = mutate.text(chance)
    for name in (*PARSERS, None):
        found = parse_turn(name, text)
        assert found.ok or found.error


def _envelope(chance: Chance) -> None:
    for candidate in unwrap(mutate.text(chance)):
        assert isinstance(candidate.text, str)


@cache
def _rules() -> FeedbackRules:
    return FeedbackRules.load()


def _feedback_rules(chance: Chance) -> None:
    texts = [mutate.text(chance) for _ in range(4)]
    found = _rules().classify(texts)
    assert len(found) == len(texts)


def _arguments(chance: Chance) -> None:
    found = parse_arguments(mutate.text(chance))
    assert isinstance(found, dict | str)


@cache
def _checker() -> CallChecker:
    return CallChecker(normalise_all(TOOLS))


def _call_check(chance: Chance) -> None:
    name = chance.choice(("f", "get weather", "g", None, mutate.text(chance)[:20]))
    arguments = chance.choice(
        (
            mutate.text(chance),
            json.dumps({"a": mutate.text(chance), "n": chance.choice((1, 1.5, "1", None, [], 10**30))}),
        )
    )
    _checker().check(name, arguments)


def _schemas(chance: Chance) -> None:
    record = mutate.value(chance)
    tools = record.get("tools", record) if isinstance(record, dict) else record
    declared = normalise_all(tools if isinstance(tools, list) else [tools])
    if declared:
        CallChecker(declared).check(
            declared[0].name,
            json.dumps({name: chance.choice((1, "x", None, [], {})) for name in declared[0].properties}),
        )


def _secrets(chance: Chance) -> None:
    text = mutate.text(chance)
    spans = find_secrets(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    once = mask(text)
    assert mask(once) == once


@cache
def _scrubber() -> Scrubber:
    return Scrubber(Scrubbing(b"sixteen bytes or more"))


def _scrub(chance: Chance) -> None:
    value = mutate.value(chance)
    done = _scrubber().value(value)
    assert type(done) is type(value) or isinstance(value, tuple)
    assert json.dumps(_scrubber().value(done)) == json.dumps(done)


def _reward(chance: Chance) -> None:
    from tltrain_plugin import score_call

    predicted: Any = chance.choice((mutate.text, mutate.value))(chance)
    if chance.random() < 0.4:
        predicted = [
            {"name": chance.choice(("f", "g", "", None)), "arguments": predicted} for _ in range(chance.randint(0, 4))
        ]
    score = score_call(predicted, GOLD, chance.choice((None, TOOLS)), template=chance.choice((*PARSERS, None)))
    assert -2 <= score.total <= 1


def _alignment(chance: Chance) -> None:
    """Names, arguments and texts of a conversation that was broken, rendered, and found again in the rendering."""
    from tldata.tokenize.align import _align

    words = [mutate.text(chance)[:60] for _ in range(4)]
    true = "\n".join(words)
    nonce = "QZ7"
    marked = true
    for number in range(chance.randint(1, 4)):
        at = chance.randint(0, len(marked))
        marked = (
            marked[:at]
            + f"{nonce}{number:04d}"
            + marked[at : at + 5]
            + chance.choice((f"{nonce}{number:04d}", "", "x"))
            + marked[at + 5 :]
        )
    try:
        _align(true, marked, nonce)
    except Exception as error:
        if type(error).__name__ != "Unproved":
            raise


PURE: dict[str, Callable[[Chance], None]] = {
    "call syntaxes": _parsers, "find_calls": _find_calls, "lenient_json": _lenient_json, "action turns": _action, "answer parsers": _templates,
    "envelope": _envelope, "feedback rules": _feedback_rules, "arguments": _arguments, "call check": _call_check, "schemas": _schemas,
    "secrets": _secrets, "scrub": _scrub, "reward": _reward, "span alignment": _alignment,
}  # fmt: skip


def read_record(chance: Chance) -> None:
    """A record through parsing, every reader's score, the reader that it was made for or another one, and pairing."""
    data = mutate.raw(chance)
    record, _ = parse(data)
    row = max(FORMATS, key=lambda row: row.score(record)) if chance.random() < 0.7 else chance.choice(FORMATS)
    check(row, record, chance.choice(("answer", "all")))
    from contextlib import suppress

    from tldata.formats import ReadOptions, Skip

    with suppress(RecordError, Skip):
        for trajectory in row.read(record, ReadOptions()):
            pair(trajectory.messages)
