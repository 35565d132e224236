"""Read the questions of evaluation sets, whatever their form: benchmark files, JSON, JSON lines, plain text, datasets."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from tldata.blocks import cut, parse, records
from tldata.dataset import MANIFEST, open_dataset
from tldata.errors import InputError, RecordError
from tldata.sources import Source, find_sources

# Keys whose text is a question, and those below which there is none: tools, answers and what was called.
QUESTIONS = frozenset(
    [
        "query",
        "question",
        "questions",
        "instruction",
        "instructions",
        "input",
        "prompt",
        "user_query",
        "user",
        "utterance",
        "task",
        "problem",
        "goal",
        "text",
    ]
)
NO_QUESTIONS = frozenset(
    [
        "tools",
        "functions",
        "function",
        "tool_calls",
        "arguments",
        "parameters",
        "function_description",
        "documentation",
        "nldocumentation",
        "ground_truth",
        "golden_answers",
        "gold",
        "answer",
        "answers",
        "output",
        "response",
        "metadata",
        "system",
        "intermediate_steps",
        "schema",
    ]
)
USERS = frozenset({"user", "human"})
SAID = ("content", "value", "text", "utterance", "message")
BEGIN = re.compile(r"\s*\bBegin!\s*\Z")  # what ToolBench and RoTBench put after a question
HINT = "a JSON or JSON lines file with query, question, instruction, prompt or messages; or a .txt file, one question a line"


def read_questions(files: Sequence[str | Path]) -> tuple[list[str], list[str]]:
    """The questions of evaluation sets, and where each stands (``file:line``).

    Args:
        files: files, folders or glob patterns; a dataset folder stands for what its users say.

    Raises:
        InputError: a file cannot be read, or holds no question.
    """
    texts: list[str] = []
    places: list[str] = []
    for file in files:
        for place, text in _of(file):
            text = BEGIN.sub("", text).strip()
            if text:
                texts.append(text)
                places.append(place)
    return texts, places


def _of(file: str | Path) -> Iterator[tuple[str, str]]:
    path = Path(file)
    if (path / MANIFEST).is_file() and (path / "trajectories").is_dir():
        asked = open_dataset(path).sql(
            "SELECT trajectory_id, content FROM messages WHERE role = 'user' AND content IS NOT NULL ORDER BY ALL"
        )
        for identity, text in zip(asked["trajectory_id"].to_pylist(), asked["content"].to_pylist(), strict=True):
            yield f"{path.name}/{identity}", text
        return
    for source in find_sources([file]):
        found = False
        for place, text in _plain(source) if source.path.suffix == ".txt" else _json(source):
            found = True
            yield place, text
        if not found:
            raise InputError(f"{source.name}: no questions found in it", hint=HINT)


def _plain(source: Source) -> Iterator[tuple[str, str]]:
    with source.open() as stream:
        for number, line in enumerate(stream.read().decode("utf-8", errors="replace").splitlines(), start=1):
            yield f"{source.label}:{number}", line


def _json(source: Source) -> Iterator[tuple[str, str]]:
    for block in cut(source, 0, 8 << 20):
        if block.problem is not None:
            raise InputError(f"{source.name}: cannot be read: {block.problem}", hint=HINT)
        for number, raw in records(block, source):
            try:
                record, _ = parse(raw)
            except RecordError as error:
                raise InputError(f"{source.name} line {number}: {error.message}", hint=HINT) from None
            for text in questions_of(record):
                yield f"{source.label}:{number}", text


def questions_of(record: Any) -> Iterator[str]:
    """The questions in one record, in its order.

    >>> list(questions_of({"question": [[{"role": "user", "content": "Sum of 1 and 2?"}]], "function": [{"name": "add"}]}))
    ['Sum of 1 and 2?']
    """
    waiting: list[tuple[str, Any]] = [("", record)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, str):
            if key in QUESTIONS or (value is record):
                yield from _listed(value)
        elif isinstance(value, list):
            waiting.extend((key, item) for item in reversed(value))
        elif isinstance(value, dict):
            role = value.get("role", value.get("from", value.get("speaker")))
            said = next((value[k] for k in SAID if k in value), None)
            if isinstance(role, str) and said is not None:
                if role.lower() in USERS:
                    waiting.append(("text", said))
                continue
            named = [(str(k).lower(), v) for k, v in value.items()]
            waiting.extend((k, v) for k, v in reversed(named) if k not in NO_QUESTIONS)


def _listed(text: str) -> Iterator[str]:
    """The text, or the texts of a list that it spells (ToolAlpaca writes lists as Python does)."""
    if text.lstrip().startswith("["):
        for read in (orjson.loads, ast.literal_eval):
            try:
                value = read(text)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
            if isinstance(value, list) and all(isinstance(item, str) for item in value):
                yield from value
                return
    yield text
