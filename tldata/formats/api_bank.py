"""API-Bank: a dialogue per file, one line each for what the user and the model say and for each call with its result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tldata.errors import RecordError
from tldata.formats.base import Format, Group, ReadOptions, each_row, read_groups
from tldata.formats.shape import arguments_text, dump, found, in_a_line, kind, need_text, scalar_text
from tldata.record import Call, Message, Trajectory

_SPEAKERS = {"User": "user", "AI": "assistant", "System": "system"}
_RESULT = frozenset({"api_name", "input", "output", "exception"})


def row(record: dict[str, Any]) -> tuple[str, Any]:
    """A line, which belongs to its file's dialogue."""
    if not isinstance(record.get("role"), str):
        raise RecordError(f"role is {kind(record.get('role'))}, not a string; found {found(record)}")
    return "", record


def assemble(group: Group, options: ReadOptions) -> Iterable[Trajectory]:
    """The one dialogue of a file; a call is a message with its result after it."""
    messages: list[Message] = []
    for place, line in enumerate(group.rows):
        try:
            messages += _messages(line)
        except RecordError as error:
            group.rejected[place] = error.message
    return [Trajectory(messages)] if messages else []


def _messages(line: dict[str, Any]) -> list[Message]:
    role = line["role"]
    if role != "API":
        text = need_text(line.get("text"), f"text of role {in_a_line(role)}")
        rest = {key: value for key, value in line.items() if key not in ("role", "text")}
        return [Message(_SPEAKERS.get(role, role), text, extra=rest or None)]
    result = line.get("result")
    name = line.get("api_name")
    if name is None and isinstance(result, dict):
        name = result.get("api_name")
    name = need_text(name, "api_name")
    call = Call(name or None, arguments_text(line.get("param_dict")))
    rest = {key: value for key, value in line.items() if key not in ("role", "api_name", "param_dict", "result")}
    messages = [Message("assistant", None, [call], extra=rest or None)]
    if "result" in line:
        messages.append(_feedback(result, name))
    return messages


def _feedback(result: Any, name: str) -> Message:
    """What the API gave back. ``exception`` is the error flag; its text is what a model reads."""
    message = Message("tool", name=name or None)
    if not isinstance(result, dict) or not result.keys() <= _RESULT:
        message.content = result if isinstance(result, str) else dump(result)
        return message
    exception, output = result.get("exception"), result.get("output")
    if "exception" in result:
        message.native_error, message.native_error_source = exception is not None, "exception"
        message.native_error_code = scalar_text(exception) or (None if exception is None else dump(exception))
    value = output if exception is None else exception
    message.content = value if isinstance(value, str) else dump(value)
    message.extra = {"result": result}
    return message


def score(record: Any) -> float:
    """1 for a line that is a call of an API, 0.9 for one that the user or the model says; the same for a list of such lines."""
    if isinstance(record, list):
        return max((score(line) for line in record[:8] if isinstance(line, dict)), default=0.0)
    if not isinstance(record, dict):
        return 0.0
    role = record.get("role")
    if role == "API" and "api_name" in record and ("param_dict" in record or "result" in record):
        return 1.0
    return 0.9 if role in ("User", "AI") and isinstance(record.get("text"), str) and "content" not in record else 0.0


rows = each_row(row)
FORMAT = Format(
    name="api-bank",
    title="API-Bank dialogues",
    score=score,
    read=read_groups(rows, assemble),
    rows=rows,
    assemble=assemble,
    example=(
        '[{"role": "User", "text": "Wake me at 8."}, {"role": "API", "api_name": "AddAlarm", "param_dict": {"time": "8"}, "result": '
        '{"api_name": "AddAlarm", "input": {"time": "8"}, "output": null, "exception": "The time is not in the right format."}}, '
        '{"role": "AI", "text": "Which day?"}]'
    ),
    notes=(
        "All lines of a file make one trajectory. Tools are Python classes (give them with `--tools`). `exception` of a result is the "
        "error flag, and the feedback where it is not null; else `output` is."
    ),
)
