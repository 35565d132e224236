"""Query, response and history: ms-swift's and LLaMA-Factory's (Alpaca's) rows, whose texts may hold calls in tags."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tldata.errors import RecordError
from tldata.formats.base import Format, ReadOptions
from tldata.formats.hermes import read as read_tagged
from tldata.formats.shape import found, kind, need_object
from tldata.record import Trajectory

_QUERY = ("query", "instruction", "prompt")
_ANSWER = ("response", "output", "completion")
_MAPPED = frozenset({*_QUERY, *_ANSWER, "input", "history", "system"})


def read(record: Any, options: ReadOptions) -> Iterable[Trajectory]:
    """The one trajectory of a row: its history's pairs, then its query and response."""
    record = need_object(record, "the record")
    query, answer = _sides(record)
    if query is None and answer is None:
        raise RecordError(f"no query and response; found {found(record)}")
    turns: list[dict[str, Any]] = []
    history = record.get("history")
    if history is not None and not isinstance(history, list):
        raise RecordError(f'"history" is {kind(history)}, not a list')
    for place, pair in enumerate(history or ()):
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise RecordError(f"pair {place} of the history is no pair of texts")
        turns += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    if query:
        turns.append({"role": "user", "content": query})
    if answer is not None:
        turns.append({"role": "assistant", "content": answer})
    if not turns:
        raise RecordError("query, response and history are empty")
    rest = {key: value for key, value in record.items() if key not in _MAPPED}
    system = record.get("system")
    if isinstance(system, str):
        rest["system"] = system
    rest.pop("conversations", None)
    return read_tagged({**rest, "messages": turns}, options)


def _sides(record: dict[str, Any]) -> tuple[str | None, str | None]:
    """Query and response; Alpaca's ``input`` goes on after its instruction."""
    query = next((record[key] for key in _QUERY if isinstance(record.get(key), str)), None)
    answer = next((record[key] for key in _ANSWER if isinstance(record.get(key), str)), None)
    more = record.get("input")
    if isinstance(more, str) and more:
        query = f"{query}\n{more}" if query else more
    return query, answer


def score(record: Any) -> float:
    """0.95 for a query and its response as texts (1 with calls in tags), 0 beside messages, answers to check, or other keys for turns."""
    if not isinstance(record, dict):
        return 0.0
    if any(
        key in record
        for key in ("messages", "conversations", "conversation", "answers", "choices", "chat", "trajectory", "items")
    ):
        return 0.0
    query = any(isinstance(record.get(key), str) for key in ("query", "instruction"))
    answer = any(isinstance(record.get(key), str) for key in ("response", "output"))
    if not (query and answer):
        return 0.0
    return 1.0 if "<tool_call>" in str(record.get("response", record.get("output"))) or "history" in record else 0.9


FORMAT = Format(
    name="query-response",
    title="Query, response and history (ms-swift, Alpaca)",
    score=score,
    read=read,
    example=(
        '{"system": "Be brief.", "query": "Rome?", "response": "<tool_call>\\n{\\"name\\": \\"weather\\", \\"arguments\\": {\\"city\\": '
        '\\"Rome\\"}}\\n</tool_call>", "history": [["Hi", "Hello"]], "tools": "[{\\"name\\": \\"weather\\", \\"parameters\\": {\\"type\\": '
        '\\"object\\", \\"properties\\": {\\"city\\": {\\"type\\": \\"string\\"}}}}]"}'
    ),
    notes=(
        "`query` and `response` (ms-swift) or `instruction`, `input` and `output` (Alpaca), after the pairs of `history`. Tools stand in `tools` or in "
        "the system text. There is no error flag. Calls are read from `<tool_call>` tags."
    ),
)
