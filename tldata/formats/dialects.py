"""Messages in the dialect of whoever wrote them (OpenAI, Anthropic, Responses, GenAI parts, LangChain, Gemini), told apart one by one."""

from __future__ import annotations

from typing import Any

from tldata.formats.anthropic import read_message as read_blocks
from tldata.formats.openai_message import read_message, set_native_error
from tldata.formats.responses import has_items, read_items
from tldata.formats.shape import arguments_text, as_tools, dump, need_object, scalar_text, text_of, try_parse
from tldata.record import Call, Message

_DEPTH = 8  # of wrappers around messages
_WRAPPERS = ("messages", "message", "output", "input", "generations", "contents", "content")
_LANGCHAIN = {
    "human": "user",
    "ai": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "tool",
    "chat": "user",
    "developer": "system",
}


def parsed(value: Any) -> Any:
    """A value, out of JSON text where it is such."""
    found = try_parse(value) if isinstance(value, str) and value.lstrip()[:1] in ("{", "[", '"') else None
    return value if found is None else found


def messages_of(value: Any, speaker: str, depth: int = 0) -> list[Message]:
    """The messages that an input or output holds, in any dialect; plain text is said by ``speaker``; [] where there are none.

    Raises:
        RecordError: a message that is one, by its keys, cannot be read.
    """
    value = parsed(value)
    if isinstance(value, str):
        return [Message(speaker, value)] if value else []
    if depth > _DEPTH:
        return []
    if isinstance(value, dict):
        if is_message(value):
            return one_message(value, 0)
        if isinstance(value.get("choices"), list) and value["choices"]:
            return messages_of(value["choices"][0], speaker, depth + 1)
        if isinstance(value.get("candidates"), list) and value["candidates"]:  # Gemini
            return messages_of(value["candidates"][0], speaker, depth + 1)
        for key in _WRAPPERS:
            if isinstance(value.get(key), (dict, list)):
                return messages_of(value[key], speaker, depth + 1)
        return []
    if not isinstance(value, list) or not value:
        return []
    if all(isinstance(item, dict) for item in value):
        if has_items(value) or any(item.get("type") == "message" and "role" in item for item in value):
            return read_items(value, "the items")
        if all(is_message(item) for item in value):
            return [message for place, item in enumerate(value) for message in one_message(item, place)]
        wrapped = [item["message"] for item in value if isinstance(item.get("message"), dict)]
        if wrapped:  # LangChain's generations, OpenInference's messages
            return [message for item in wrapped for message in messages_of(item, speaker, depth + 1)]
        return messages_of(value[0], speaker, depth + 1) if len(value) == 1 else []
    if len(value) == 1 and isinstance(value[0], list):  # LangChain: a batch of one
        return messages_of(value[0], speaker, depth + 1)
    if all(
        isinstance(item, (list, tuple)) and len(item) == 2 and all(isinstance(x, str) for x in item) for item in value
    ):
        return [Message(_LANGCHAIN.get(role, role), text) for role, text in value]
    return []


def is_message(value: dict[str, Any]) -> bool:
    """Whether an object is a message of some dialect."""
    if isinstance(value.get("role"), str):
        return any(key in value for key in ("content", "parts", "tool_calls", "function_call")) or len(value) == 1
    return is_langchain(value)


def is_langchain(value: Any) -> bool:
    """Whether a value is a message of LangChain: its serialised object, ``{type, data}``, or ``{type, content}``."""
    if not isinstance(value, dict):
        return False
    if value.get("lc") == 1 and isinstance(value.get("kwargs"), dict):
        return bool(_class(value))
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _LANGCHAIN or ("role" in value and kind != "chat"):
        return False
    return isinstance(value.get("data"), dict) or ("content" in value and "source" not in value)


def _class(value: dict[str, Any]) -> str:
    """The kind of message that a serialised LangChain object is; empty for other objects."""
    identity = value.get("id")
    name = identity[-1] if isinstance(identity, list) and identity else None
    if not isinstance(name, str) or not name.endswith(("Message", "MessageChunk")):
        return ""
    return name.removesuffix("Chunk").removesuffix("Message").lower()


def one_message(raw: dict[str, Any], place: int) -> list[Message]:
    """The messages of one message; one with several results gives one each.

    Args:
        raw: a message by ``is_message``.
        place: its place, for errors.
    """
    if not isinstance(raw.get("role"), str):
        return [langchain_message(raw, place)]
    if isinstance(raw.get("parts"), list):
        return _parts(raw)
    content = raw.get("content")
    if isinstance(content, list) and any(
        isinstance(part, dict) and part.get("type") in ("tool_use", "tool_result") for part in content
    ):
        return read_blocks(raw, f"message {place}")
    return [read_message(raw, place)]


def _parts(raw: dict[str, Any]) -> list[Message]:
    """A message of OpenTelemetry's GenAI convention, whose parts have a type, or of Gemini's, whose parts are told by their keys."""
    role = {"model": "assistant"}.get(raw["role"], raw["role"])
    message, results = Message(role), []
    text: list[str] = []
    reasoning: list[str] = []
    other = []
    for part in raw["parts"]:
        if isinstance(part, str):
            text.append(part)
            continue
        if not isinstance(part, dict):
            other.append(part)
            continue
        kind = part.get("type")
        given = part.get("content", part.get("text"))
        called = part.get("functionCall", part.get("function_call"))
        if kind == "tool_call" or isinstance(called, dict):
            call = called if isinstance(called, dict) else part
            name = scalar_text(call.get("name"))
            arguments = next((call[key] for key in ("arguments", "args", "input") if key in call), None)
            message.calls.append(Call(name or None, arguments_text(arguments), scalar_text(call.get("id"))))
        elif kind == "tool_call_response" or isinstance(
            part.get("functionResponse", part.get("function_response")), dict
        ):
            results.append(_part_result(part))
        elif kind in ("reasoning", "thinking") and isinstance(given, str):
            reasoning.append(given)
        elif kind in ("text", None) and isinstance(given, str):
            (reasoning if part.get("thought") is True else text).append(given)
        else:
            other.append(part)
    message.content = "\n".join(text) if text else None
    message.reasoning = "\n".join(reasoning) if reasoning else None
    extra = {key: value for key, value in raw.items() if key not in ("role", "parts")}
    if message.calls and role != "assistant":
        message.role = "assistant"
        extra["role"] = raw["role"]
    if other:
        extra["parts"] = raw["parts"]
    message.extra = extra or None
    if results and message.content is None and not message.calls and not other:
        return results
    return [*results, message]


def _part_result(part: dict[str, Any]) -> Message:
    inner = part.get("functionResponse", part.get("function_response"))
    given = inner if isinstance(inner, dict) else part
    value = next((given[key] for key in ("response", "result", "output", "content") if key in given), None)
    text = value if value is None or isinstance(value, str) else text_of(value)[0] or dump(value)
    message = Message("tool", text, name=scalar_text(given.get("name")), tool_call_id=scalar_text(given.get("id")))
    set_native_error(message, part)
    message.extra = {"response": value} if value is not None and not isinstance(value, str) else None
    return message


def langchain_message(raw: dict[str, Any], place: int) -> Message:
    """A LangChain message: ``tool_calls`` with ``args``, calls that it could not parse, ``status`` of a ToolMessage as error flag."""
    if raw.get("lc") == 1:
        kind, given = _class(raw), need_object(raw.get("kwargs"), f"kwargs of message {place}")
    else:
        kind = str(raw.get("type"))
        given = raw["data"] if isinstance(raw.get("data"), dict) else raw
    role = _LANGCHAIN.get(kind, kind)
    if kind == "chat" and isinstance(given.get("role"), str):
        role = _LANGCHAIN.get(given["role"], given["role"])
    text, reasoning = text_of(given.get("content"))
    message = Message(role, text, reasoning=reasoning)
    if role == "assistant":
        message.calls = _langchain_calls(given)
    elif role == "tool":
        message.tool_call_id = scalar_text(given.get("tool_call_id"))
        set_native_error(message, {key: given[key] for key in ("status",) if key in given})
    message.name = scalar_text(given.get("name"))
    mapped = {
        "content",
        "tool_calls",
        "invalid_tool_calls",
        "tool_call_id",
        "name",
        "status",
        "type",
        "tool_call_chunks",
    }
    extra = {key: value for key, value in given.items() if key not in mapped and value not in (None, {}, [])}
    if given.get("content") is not None and not isinstance(given.get("content"), str):
        extra["content"] = given["content"]
    message.extra = extra or None
    return message


def _langchain_calls(given: dict[str, Any]) -> list[Call]:
    calls = []
    for key in ("tool_calls", "invalid_tool_calls"):
        listed = given.get(key)
        for raw in listed if isinstance(listed, list) else ():
            raw = need_object(raw, f"a call under {key}")
            inner = raw["function"] if isinstance(raw.get("function"), dict) else raw
            arguments = next((inner[name] for name in ("args", "arguments") if name in inner), None)
            if key == "invalid_tool_calls" and arguments is None:
                arguments = ""
            calls.append(
                Call(scalar_text(inner.get("name")) or None, arguments_text(arguments), scalar_text(raw.get("id")))
            )
    more = given.get("additional_kwargs")
    if not calls and isinstance(more, dict):
        listed = more.get("tool_calls")
        if isinstance(listed, list):
            return _langchain_calls({"tool_calls": listed})
        if isinstance(more.get("function_call"), dict):
            return _langchain_calls({"tool_calls": [more["function_call"]]})
    return calls


def tools_of(value: Any) -> list[Any]:
    """Declarations out of whatever stands for them: a list, JSON text, a map of name to declaration; [] where none can be read."""
    value = parsed(value)
    if isinstance(value, dict) and not ("name" in value or "function" in value):
        listed = []
        for name, text in value.items():
            tool = parsed(text)
            listed.append({"name": name, **tool} if isinstance(tool, dict) else {"name": name})
        return listed
    return as_tools(value) or []


def tool_name(tool: dict[str, Any]) -> str:
    """What a declaration is called; its JSON text where it has no name."""
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else tool.get("name")
    return name if isinstance(name, str) else dump(tool)
