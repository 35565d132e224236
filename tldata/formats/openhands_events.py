"""OpenHands' event stream: actions and observations of its runtime, or the typed events of its SDK, a list or a line each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tldata.errors import RecordError
from tldata.formats.base import Format, Group, ReadOptions, Skip, read_groups
from tldata.formats.dialects import messages_of
from tldata.formats.shape import (
    arguments_text,
    as_tools,
    dump,
    found,
    in_a_line,
    kind,
    need_object,
    scalar_text,
    text_of,
)
from tldata.record import Call, Message, Trajectory

_LISTS = ("history", "trajectory", "events")
_STATES = frozenset(
    {"change_agent_state", "agent_state_changed", "null", "recall", "condensation", "condensation_request"}
)
_NOT_ARGUMENTS = frozenset(
    {"thought", "blocking", "is_static", "is_input", "hidden", "confirmation_state", "security_risk", "keep_prompt"}
)


def rows(record: Any) -> list[tuple[str | None, Any]]:
    """One event, of the stream in its file; or a whole stream, as a list or under ``history`` or ``trajectory``."""
    if isinstance(record, dict) and not _is_event(record):
        key = next((key for key in _LISTS if isinstance(record.get(key), list)), None)
        if key is None:
            raise RecordError(f'no event, and no "history" or "trajectory"; found {found(record)}')
        return [(None, record)]
    if isinstance(record, list):
        if not record:
            raise RecordError("the record is empty")
        return [(None, {"events": record})]
    return [("", need_object(record, "the record"))]


def _is_event(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    named = isinstance(value.get("action"), str) or isinstance(value.get("observation"), str)
    return (named and ("source" in value or "args" in value or "extras" in value)) or (
        isinstance(value.get("kind"), str)
        and value["kind"].endswith(("Event", "Observation", "Action", "Condensation"))
    )


def assemble(group: Group, options: ReadOptions) -> Iterable[Trajectory]:
    """The conversation of one stream."""
    whole = group.rows[0] if not _is_event(group.rows[0]) else {}
    if whole:
        key = next(key for key in _LISTS if isinstance(whole.get(key), list))
        events = [event for item in whole[key] for event in (item if isinstance(item, list) else [item])]
        metadata = {name: value for name, value in whole.items() if name != key}
    else:
        events, metadata = group.rows, {}
    messages: list[Message] = []
    tools: list[Any] = []
    answers: dict[str, Message] = {}  # a response of the model -> its message: parallel calls are an event each
    for place, event in enumerate(events):
        try:
            if not isinstance(event, dict):
                raise RecordError(f"event {place} is {kind(event)}, not an object")
            if not (_typed if "kind" in event else _plain)(event, messages, tools, answers) and not whole:
                what = event.get("kind", event.get("action", event.get("observation")))
                group.skipped[place] = f"event {in_a_line(scalar_text(what) or 'without a name')}"
        except RecordError as error:
            if whole:
                raise
            group.rejected[place] = error.message
    if not messages:
        raise Skip("event stream without messages")
    first = next((event for event in events if isinstance(event, dict)), {})
    given = whole.get("metadata")
    settings = given.get("llm_config") if isinstance(given, dict) else None
    return [
        Trajectory(
            messages,
            tools or None,
            source_id=next(
                (text for key in ("instance_id", "id", "session_id") if (text := scalar_text(metadata.get(key)))), None
            ),
            created_at=scalar_text(first.get("timestamp")),
            model=scalar_text(settings.get("model")) if isinstance(settings, dict) else None,
            metadata=metadata,
        )
    ]


def _plain(event: dict[str, Any], messages: list[Message], tools: list[Any], answers: dict[str, Message]) -> bool:
    """An action or observation of the runtime; returns whether it is part of the conversation."""
    told = event.get("tool_call_metadata")
    told = told if isinstance(told, dict) else {}
    action, observation = event.get("action"), event.get("observation")
    if isinstance(observation, str):
        if observation in _STATES or (observation == "null" and not event.get("content")):
            return False
        messages.append(_observation(event, observation, told))
        return True
    args = event.get("args")
    args = args if isinstance(args, dict) else {}
    if not isinstance(action, str) or action in _STATES:
        return False
    text = scalar_text(args.get("content", args.get("thought")))
    if action == "system":
        messages.append(Message("system", scalar_text(args.get("content"))))
        tools += as_tools(args.get("tools")) or []
        return True
    if action == "message" and not told.get("tool_call_id"):
        role = "user" if event.get("source") in ("user", "environment") else "assistant"
        messages.append(Message(role, scalar_text(args.get("content", event.get("message"))), extra=_rest(event)))
        return True
    if event.get("source") == "user":
        return False
    model = told.get("model_response")
    response = scalar_text(model.get("id")) if isinstance(model, dict) else None
    spoken = _spoken(model) if isinstance(model, dict) else None
    identity = scalar_text(told.get("tool_call_id"))
    if spoken is not None and any(call.call_id == identity for call in spoken.calls):
        if response is None or response not in answers:
            spoken.extra = _rest(event)
            messages.append(spoken)
            if response is not None:
                answers[response] = spoken
        return True
    arguments = {key: value for key, value in args.items() if key not in _NOT_ARGUMENTS}
    name = scalar_text(told.get("function_name")) or action or None
    thought = scalar_text(args.get("thought")) or None
    content = thought if thought or action != "message" else text
    messages.append(Message("assistant", content, [Call(name, dump(arguments), identity)], extra=_rest(event)))
    return True


def _spoken(model: dict[str, Any]) -> Message | None:
    """The model's message as it was, which the runtime keeps beside the action that it made of a call."""
    found_messages = messages_of({"choices": model.get("choices")}, "assistant")
    return found_messages[0] if len(found_messages) == 1 and found_messages[0].calls else None


def _rest(event: dict[str, Any]) -> dict[str, Any] | None:
    rest = {key: event[key] for key in ("id", "timestamp", "action", "source") if key in event}
    return {"event": rest} if rest else None


def _observation(event: dict[str, Any], what: str, told: dict[str, Any]) -> Message:
    """Feedback. ``exit_code`` of a command, and an observation of an error, are the error flag."""
    text = event.get("content")
    message = Message("tool", text if text is None or isinstance(text, str) else dump(text))
    message.tool_call_id = scalar_text(told.get("tool_call_id"))
    message.name = scalar_text(told.get("function_name"))
    extras = event.get("extras")
    extras = extras if isinstance(extras, dict) else {}
    inner = extras.get("metadata")
    code = inner.get("exit_code") if isinstance(inner, dict) else extras.get("exit_code")
    if what == "error":
        message.native_error, message.native_error_code, message.native_error_source = True, "error", "observation"
    elif type(code) is int and code >= 0:  # -1: still running, or never known
        message.native_error, message.native_error_code, message.native_error_source = code != 0, str(code), "exit_code"
    message.extra = {"observation": what, **({"extras": extras} if extras else {})}
    return message


def _typed(event: dict[str, Any], messages: list[Message], tools: list[Any], answers: dict[str, Message]) -> bool:
    """An event of the SDK; returns whether it is part of the conversation."""
    what = str(event["kind"])
    if what == "SystemPromptEvent":
        prompt = event.get("system_prompt")
        messages.append(Message("system", text_of([prompt] if isinstance(prompt, dict) else prompt)[0]))
        listed = event.get("tools")
        tools += [_tool(tool) for tool in listed if isinstance(tool, dict)] if isinstance(listed, list) else []
        return True
    if what == "MessageEvent":
        said = messages_of(event.get("llm_message"), "user")
        messages.extend(said)
        return bool(said)
    if what == "ActionEvent":
        _action(event, messages, answers)
        return True
    if what in ("ObservationEvent", "AgentErrorEvent", "UserRejectObservation"):
        messages.append(_result(event, what))
        return True
    return False


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    """A declaration, whose schema may stand under MCP's name."""
    if "parameters" in tool or "function" in tool or "inputSchema" in tool:
        return tool
    return {**tool, "name": tool.get("name", tool.get("title"))}


def _action(event: dict[str, Any], messages: list[Message], answers: dict[str, Message]) -> None:
    called = event.get("tool_call")
    called = called if isinstance(called, dict) else {}
    function = called.get("function") if isinstance(called.get("function"), dict) else called
    assert isinstance(function, dict)
    arguments = function.get("arguments")
    if arguments is None and isinstance(event.get("action"), dict):
        arguments = {key: value for key, value in event["action"].items() if key != "kind"}
    name = scalar_text(event.get("tool_name")) or scalar_text(function.get("name"))
    call = Call(name or None, arguments_text(arguments), scalar_text(event.get("tool_call_id", called.get("id"))))
    response = scalar_text(event.get("llm_response_id"))
    if response is not None and response in answers:
        answers[response].calls.append(call)
        return
    thought = text_of(event.get("thought"))[0]
    message = Message(
        "assistant", thought, [call], reasoning=scalar_text(event.get("reasoning_content")), extra=_rest_typed(event)
    )
    messages.append(message)
    if response is not None:
        answers[response] = message


def _rest_typed(event: dict[str, Any]) -> dict[str, Any] | None:
    rest = {key: event[key] for key in ("id", "timestamp", "summary", "security_risk") if event.get(key) is not None}
    return {"event": rest} if rest else None


def _result(event: dict[str, Any], what: str) -> Message:
    """Feedback; ``is_error`` of the observation is the error flag, as is the event of an agent's error."""
    message = Message(
        "tool", name=scalar_text(event.get("tool_name")), tool_call_id=scalar_text(event.get("tool_call_id"))
    )
    if what != "ObservationEvent":
        text = event.get("error", event.get("rejection_reason"))
        message.content = text if text is None or isinstance(text, str) else dump(text)
        if what == "AgentErrorEvent":
            message.native_error, message.native_error_code, message.native_error_source = True, what, "kind"
        return message
    given = event.get("observation")
    given = given if isinstance(given, dict) else {"content": given}
    content = next((given[key] for key in ("content", "output", "text", "message") if given.get(key) is not None), None)
    message.content = content if isinstance(content, str) else text_of(content)[0]
    if message.content is None and len(given) > 1:
        message.content = dump({key: value for key, value in given.items() if key != "kind"})
    flag, code = given.get("is_error", given.get("error")), given.get("exit_code")
    if isinstance(flag, bool):
        message.native_error, message.native_error_code, message.native_error_source = flag, dump(flag), "is_error"
    if not message.native_error and type(code) is int and code >= 0:
        message.native_error, message.native_error_code, message.native_error_source = code != 0, str(code), "exit_code"
    rest = {key: value for key, value in given.items() if key not in ("content", "output", "is_error")}
    message.extra = {"observation": rest} if rest else None
    return message


def score(record: Any) -> float:
    """1 for an event of the stream, or a list of them, or a record that keeps one under ``history`` or ``trajectory``."""
    if _is_event(record):
        return 1.0
    listed = record
    if isinstance(record, dict):
        listed = next((record[key] for key in _LISTS if isinstance(record.get(key), list)), None)
    if not isinstance(listed, list):
        return 0.0
    items = [event for item in listed[:8] for event in (item if isinstance(item, list) else [item])]
    return 1.0 if any(_is_event(item) for item in items) else 0.0


FORMAT = Format(
    name="openhands-events",
    title="OpenHands event streams",
    score=score,
    read=read_groups(rows, assemble),
    rows=rows,
    assemble=assemble,
    example=(
        '[{"id": 0, "source": "user", "action": "message", "timestamp": "2025-01-01T00:00:00", "args": {"content": "List."}, "message": "List."}, '
        '{"id": 1, "source": "agent", "action": "run", "args": {"command": "ls", "thought": "I look."}, "tool_call_metadata": {"function_name": '
        '"execute_bash", "tool_call_id": "c1", "total_calls_in_response": 1}}, {"id": 2, "source": "agent", "observation": "run", "cause": 1, '
        '"content": "ls: no such file", "extras": {"command": "ls", "metadata": {"exit_code": 2}}, "tool_call_metadata": {"function_name": '
        '"execute_bash", "tool_call_id": "c1"}}]'
    ),
    notes=(
        "A list of events (`trajectory.json`), `history` of an evaluation's output, or a file of an event a line is one trajectory. Tools stand in the "
        "system's event where it is kept. A command's `exit_code` (not 0), an observation `error` and the SDK's `is_error` are the error "
        "flag. Calls are those of the model's response where the runtime kept it, else the runtime's actions; changes of state are skipped."
    ),
)
