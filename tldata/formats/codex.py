"""Codex sessions: a line per item of the Responses kind, with notes of the program between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tldata.errors import RecordError
from tldata.formats.base import Format, Group, ReadOptions, Skip, each_row, read_groups
from tldata.formats.responses import CALLS, OUTPUTS, read_items
from tldata.formats.shape import found, in_a_line, kind, scalar_text, try_parse
from tldata.record import Message, Trajectory

_ITEMS = frozenset({"message", "reasoning", *CALLS, *OUTPUTS, "local_shell_call", "web_search_call"})
_TYPES = frozenset({"session_meta", "response_item", "event_msg", "turn_context", "compacted", "ghost_snapshot"})


def row(record: dict[str, Any]) -> tuple[str, Any]:
    """A line of a session's file; lines that hold no item are skipped by their type."""
    what = record.get("type")
    if "record_type" in record or (what is None and "instructions" in record and "id" in record):
        return "", record if "instructions" in record else _skip(str(record.get("record_type")))
    if not isinstance(what, str):
        raise RecordError(f"type is {kind(what)}, not a string; found {found(record)}")
    if what not in ("session_meta", "response_item") and what not in _ITEMS:
        _skip(what)
    payload = record.get("payload", record)
    if not isinstance(payload, dict):
        raise RecordError(f"payload is {kind(payload)}, not an object")
    if what == "response_item" and scalar_text(payload.get("type")) not in _ITEMS:
        _skip(f"item {scalar_text(payload.get('type'))}")
    return "", record


def _skip(what: str) -> Any:
    raise Skip(f"line of type {in_a_line(what)}")


def assemble(group: Group, options: ReadOptions) -> Iterable[Trajectory]:
    """The one session of a file."""
    meta: dict[str, Any] = {}
    items: list[dict[str, Any]] = []
    for place, line in enumerate(group.rows):
        payload = line.get("payload", line)
        if line.get("type") == "session_meta" or "type" not in line:
            meta = meta or payload
            continue
        try:
            read_items([payload], "the session")
        except RecordError as error:
            group.rejected[place] = error.message
            continue
        items.append(payload)
    if not items:
        raise Skip("session without items")
    messages = read_items(items, "the session")
    for message in messages:
        if message.role == "tool":
            _unwrap(message)
    prompt = meta.get("base_instructions", meta.get("instructions"))
    prompt = prompt.get("text") if isinstance(prompt, dict) else prompt
    if isinstance(prompt, str) and prompt and messages[0].role != "system":
        messages.insert(0, Message("system", prompt))
    first = group.rows[0]
    return [
        Trajectory(
            messages,
            source_id=scalar_text(meta.get("id")),
            created_at=scalar_text(meta.get("timestamp")) or scalar_text(first.get("timestamp")),
            agent_version=scalar_text(meta.get("cli_version")),
            metadata={
                key: value for key, value in meta.items() if key not in ("instructions", "base_instructions", "id")
            },
        )
    ]


def _unwrap(message: Message) -> None:
    """Feedback out of ``{"output", "metadata": {"exit_code"}}``; a code other than 0 is the error flag."""
    value = try_parse(message.content) if message.content and message.content.startswith("{") else None
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("metadata"), dict)
        or not isinstance(value.get("output"), str)
    ):
        return
    code = value["metadata"].get("exit_code")
    if type(code) is int:
        message.native_error, message.native_error_code, message.native_error_source = code != 0, str(code), "exit_code"
    message.extra = {**(message.extra or {}), "output": message.content}
    message.content = value["output"]


def score(record: Any) -> float:
    """1 for a line of a type of Codex's with a payload, 0.9 for a session's head; the same for a list of them."""
    if isinstance(record, list):
        return max((score(line) for line in record[:50] if isinstance(line, dict)), default=0.0)
    if not isinstance(record, dict):
        return 0.0
    what = record.get("type")
    if isinstance(what, str) and what in _TYPES and isinstance(record.get("payload"), dict):
        return 1.0
    return 0.9 if "record_type" in record and record["record_type"] == "state" else 0.0


rows = each_row(row)
FORMAT = Format(
    name="codex",
    title="Codex sessions",
    score=score,
    read=read_groups(rows, assemble),
    rows=rows,
    assemble=assemble,
    example=(
        '[{"timestamp": "2025-10-01T00:00:00Z", "type": "session_meta", "payload": {"id": "s1", "cwd": "/w", "cli_version": "0.46.0", '
        '"instructions": "Be brief."}}, {"timestamp": "2025-10-01T00:00:01Z", "type": "event_msg", "payload": {"type": "user_message"}}, '
        '{"timestamp": "2025-10-01T00:00:01Z", "type": "response_item", "payload": {"type": "message", "role": "user", "content": [{"type": '
        '"input_text", "text": "List."}]}}, {"timestamp": "2025-10-01T00:00:02Z", "type": "response_item", "payload": {"type": '
        '"function_call", "name": "shell", "arguments": "{\\"command\\": [\\"ls\\"]}", "call_id": "c1"}}, {"timestamp": '
        '"2025-10-01T00:00:03Z", "type": "response_item", "payload": {"type": "function_call_output", "call_id": "c1", "output": '
        '"{\\"output\\": \\"ls: no such file\\", \\"metadata\\": {\\"exit_code\\": 2, \\"duration_seconds\\": 0.1}}"}}]'
    ),
    notes=(
        "All lines of a file make one trajectory. Tools are not stored (give them with `--tools`). `exit_code` in a command's output is the error flag "
        "(not 0), and its output the feedback. Lines that hold no item of the conversation are skipped and counted by type."
    ),
)
