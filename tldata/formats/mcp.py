"""MCP logs: the JSON-RPC messages between a client and its servers, of which tools/call and its result are a call and its feedback."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tldata.errors import RecordError
from tldata.formats.base import Format, Group, ReadOptions, Skip, each_row, read_groups
from tldata.formats.dialects import parsed
from tldata.formats.shape import arguments_text, as_tools, dump, found, in_a_line, need_text, scalar_text, text_of
from tldata.record import Call, Message, Trajectory

_INSIDE = ("message", "msg", "payload", "data", "body", "request", "response", "jsonrpc_message", "params")
_SESSIONS = (
    "session_id",
    "sessionId",
    "mcp_session_id",
    "mcp-session-id",
    "Mcp-Session-Id",
    "session",
    "conversation_id",
)
_DEPTH = 3


def row(record: dict[str, Any]) -> tuple[str, Any]:
    """A line of a log; notifications and requests of other methods are skipped by their method."""
    message = _message(record)
    if message is None:
        raise RecordError(f"no JSON-RPC message; found {found(record)}")
    method = message.get("method")
    if isinstance(method, str) and method not in ("tools/call", "tools/list"):
        raise Skip(f"MCP {in_a_line(method)}")
    if method is None and "result" not in message and "error" not in message:
        raise RecordError(f"a JSON-RPC message with neither method, result nor error; found {found(message)}")
    session = next((text for key in _SESSIONS if (text := scalar_text(record.get(key)))), "")
    return session, record


def _message(record: Any, depth: int = 0) -> dict[str, Any] | None:
    """The JSON-RPC message of a line: itself, or under a key of a log's wrapper, as an object or as text."""
    if isinstance(record, str):
        record = parsed(record)
    if not isinstance(record, dict) or depth > _DEPTH:
        return None
    if record.get("jsonrpc") == "2.0":
        return record
    return next(
        (inner for key in _INSIDE if key in record and (inner := _message(record[key], depth + 1)) is not None), None
    )


def assemble(group: Group, options: ReadOptions) -> Iterable[Trajectory]:
    """The calls of a session with their results, in order; a response to another request is skipped by its method."""
    messages: list[Message] = []
    tools: dict[str, Any] = {}
    open_requests: dict[str, list[tuple[str, str | None]]] = {}  # id -> method and tool of each unanswered request
    for place, line in enumerate(group.rows):
        message = _message(line)
        assert message is not None
        identity = dump(message.get("id"))
        try:
            if message.get("method") == "tools/call":
                call = _call(message.get("params"), scalar_text(message.get("id")))
                extra = (
                    {key: value for key, value in line.items() if key not in _INSIDE} if line is not message else None
                )
                messages.append(Message("assistant", calls=[call], extra=extra or None))
                open_requests.setdefault(identity, []).append(("tools/call", call.name))
            elif message.get("method") == "tools/list":
                open_requests.setdefault(identity, []).append(("tools/list", None))
            else:
                asked = open_requests.get(identity) or [("", None)]
                method, name = asked.pop(0)
                listed = message["result"].get("tools") if isinstance(message.get("result"), dict) else None
                if isinstance(listed, list):
                    for tool in as_tools(listed) or ():
                        tools.setdefault(str(tool.get("name")), tool)
                elif method == "tools/list":
                    group.skipped[place] = "MCP error to tools/list"
                elif method or _is_result(message):
                    messages.append(_feedback(message, name))
                else:
                    group.skipped[place] = "MCP response to another method"
        except RecordError as error:
            group.rejected[place] = error.message
    if not any(message.calls or message.role == "tool" for message in messages):
        raise Skip("MCP session without calls")
    times = (scalar_text(line.get(key)) for line in group.rows for key in ("timestamp", "time", "ts"))
    return [
        Trajectory(
            messages,
            list(tools.values()) or None,
            source_id=next((text for key in _SESSIONS if (text := scalar_text(group.rows[0].get(key)))), None),
            created_at=next((time for time in times if time), None),
        )
    ]


def _call(params: Any, identity: str | None) -> Call:
    if not isinstance(params, dict):
        raise RecordError("params of tools/call is no object")
    return Call(
        need_text(params.get("name"), "name of tools/call") or None, arguments_text(params.get("arguments")), identity
    )


def _is_result(message: dict[str, Any]) -> bool:
    """Whether a response without a request looks like that of a tool."""
    result = message.get("result")
    return isinstance(result, dict) and (isinstance(result.get("content"), list) or "isError" in result)


def _feedback(message: dict[str, Any], name: str | None) -> Message:
    """A result, whose ``isError`` is the flag (absent: no error), or a protocol's error with its code."""
    feedback = Message("tool", name=name, tool_call_id=scalar_text(message.get("id")))
    if "error" in message:
        error = message["error"]
        feedback.native_error, feedback.native_error_source = True, "error"
        code = error.get("code") if isinstance(error, dict) else None
        feedback.native_error_code = scalar_text(code) or dump(error)
        said = error.get("message") if isinstance(error, dict) else error
        feedback.content = said if isinstance(said, str) else dump(error)
        feedback.extra = {"error": error}
        return feedback
    result = message.get("result")
    if not isinstance(result, dict):
        feedback.content = result if isinstance(result, str) else dump(result)
        return feedback
    flag = result.get("isError")
    feedback.native_error_source = "isError"
    feedback.native_error = flag if isinstance(flag, bool) else False if flag is None else None
    feedback.native_error_code = None if "isError" not in result else dump(flag)
    feedback.content = text_of(result.get("content"))[0]
    if feedback.content is None and "structuredContent" in result:
        feedback.content = dump(result["structuredContent"])
    content = result.get("content")
    if not (result.keys() <= {"content", "isError"} and isinstance(content, list) and len(content) == 1):
        feedback.extra = {"result": result}
    return feedback


def score(record: Any) -> float:
    """1 for a JSON-RPC message of tools, 0.9 for another one, in a log's wrapper or not; the same for a list of them."""
    if isinstance(record, list):
        return max((score(line) for line in record[:50] if isinstance(line, dict)), default=0.0)
    message = _message(record) if isinstance(record, dict) else None
    if message is None:
        return 0.0
    return 1.0 if message.get("method") in ("tools/call", "tools/list") or _is_result(message) else 0.9


rows = each_row(row)
FORMAT = Format(
    name="mcp",
    title="MCP logs (JSON-RPC)",
    score=score,
    read=read_groups(rows, assemble),
    rows=rows,
    assemble=assemble,
    example=(
        '[{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "book", "inputSchema": '
        '{"type": "object", "properties": {"day": {"type": "string"}}}}]}}, {"jsonrpc": "2.0", "method": "notifications/progress"}, {"jsonrpc": '
        '"2.0", "id": 2, "method": "tools/call", "params": {"name": "book", "arguments": {"day": "yesterday"}}}, {"jsonrpc": "2.0", "id": 2, '
        '"result": {"content": [{"type": "text", "text": "Invalid departure date"}], "isError": true}}]'
    ),
    notes=(
        "The messages of a session make one trajectory; without a session's id, those of a file. Messages may stand in a log's wrapper. Tools stand in "
        "the result of tools/list. `isError` of a result is the error flag (absent: no error), as is a protocol's `error` with its code. Other "
        "methods and notifications are skipped and counted. What the model or a user said is not in such a log."
    ),
)
