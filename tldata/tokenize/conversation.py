"""A trajectory on its way to tokens: its messages, its calls with their verdicts, and the forms in which templates take them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from tldata.tokenize.render import ChatTemplate, Message, Refused


@dataclass(slots=True)
class Call:
    """One call of an assistant message, as the table ``calls`` has it. ``excluded``: its tokens are not to be trained on."""

    turn: int
    index: int
    name: str | None
    arguments: str | None
    raw: str | None
    call_id: str | None
    category: str | None
    excluded: bool
    parsed: dict[str, Any] | str | None = None  # the arguments, once read


@dataclass(slots=True)
class Conversation:
    """One trajectory. ``messages`` are OpenAI messages without their calls, which stand in ``calls`` by turn.

    ``tools`` are passed to the template; ``names`` are the tools that a call's name is compared with for its key tokens
    (the declared ones, or the inferred), under ``names_key``. ``trainable`` holds one flag a message.
    """

    trajectory_id: str
    messages: list[Message]
    trainable: list[bool]
    calls: dict[int, list[Call]] = field(default_factory=dict)
    tools: list[Message] | None = None
    names: tuple[str, ...] = ()
    names_key: str = ""
    calls_of_others: int = 0  # made by a user or another actor: no template renders them

    @property
    def assistants(self) -> list[int]:
        """Turns of the assistant messages."""
        return [turn for turn, message in enumerate(self.messages) if message["role"] == "assistant"]


class Form(NamedTuple):
    """How calls and messages are given to a template.

    ``arguments``: ``object`` or ``text``. ``content``: an assistant message without text has the content ``null`` or ``empty``.
    """

    arguments: str
    content: str


FORMS = (Form("object", "null"), Form("object", "empty"), Form("text", "null"), Form("text", "empty"))


def forms_of(template: ChatTemplate) -> tuple[Form, ...]:
    """The forms a template takes, best first, tried on a small conversation.

    A form is passed over when the template refuses it, or prints what Python makes of it: ``None`` for missing content, or
    a dict with single quotes for arguments. Where none is left all are kept, and each trajectory tries them.

    >>> [form.arguments for form in forms_of(ChatTemplate(
    ...     "{% for m in messages %}{% for c in m.tool_calls %}{{ '' + c.function.arguments }}{% endfor %}{% endfor %}"))]
    ['text', 'text']
    """
    good = []
    for form in FORMS:
        call = Call(1, 0, "tldata_probe", '{"tldata_key": "tldata_value"}', None, "call00001", None, False)
        messages: list[Message] = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": None}]
        tool = {"type": "function", "function": {"name": "tldata_probe", "description": "A.", "parameters": PARAMETERS}}
        probe = Conversation("", messages, [True, True], {1: [call]}, [tool])
        try:
            text = template.render(in_form(probe, form), probe.tools)
        except Refused:
            continue
        if "{'tldata_key'" not in text and "None" not in text:
            good.append(form)
    return tuple(good) or FORMS


PARAMETERS = {"type": "object", "properties": {"tldata_key": {"type": "string"}}, "required": ["tldata_key"]}


_LONG_NUMBER = re.compile(r"[0-9]{18}")


def arguments_of(call: Call) -> dict[str, Any] | str:
    """The arguments as an object, or as they stand where they are no JSON object. Missing arguments are an empty object."""
    if call.parsed is None:
        call.parsed = _parse(call.arguments)
    return call.parsed


def _parse(text: str | None) -> dict[str, Any] | str:
    if text is None or not text.strip():
        return {}
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text


def in_form(
    conversation: Conversation, form: Form, given: dict[tuple[int, int], Message] | None = None
) -> list[Message]:
    """The messages as a template gets them: calls as ``tool_calls``, missing content as the form says.

    A call without a name was never a call to the environment: its text is part of the message's content.

    Args:
        conversation: messages and calls.
        form: how to give them.
        given: what to pass as a call's ``function`` instead, by (turn, call_index).
    """
    out = []
    for turn, message in enumerate(conversation.messages):
        calls = conversation.calls.get(turn)
        if message["role"] != "assistant" or (not calls and message.get("content") is not None):
            out.append(message if message.get("content") is not None else {**message, "content": ""})
            continue
        calls = calls or []
        content = message.get("content")
        for call in calls:
            if call.name is None and call.raw and call.raw not in (content or ""):
                content = f"{content}\n{call.raw}" if content else call.raw
        named = [call for call in calls if call.name is not None]
        if content is None and (form.content == "empty" or not named):
            content = ""
        message = {**message, "content": content}
        if named:
            message["tool_calls"] = [_tool_call(call, form, given) for call in named]
        out.append(message)
    return out


def _tool_call(call: Call, form: Form, given: dict[tuple[int, int], Message] | None) -> Message:
    function = given.get((call.turn, call.index)) if given is not None else None
    if function is None:
        function = {"name": call.name, "arguments": as_given(call, form)}
    out = {"type": "function", "function": function}
    if call.call_id is not None:
        out = {"id": call.call_id, **out}
    return out


def as_given(call: Call, form: Form) -> dict[str, Any] | str:
    """A call's arguments in a form."""
    value = arguments_of(call)
    if form.arguments == "text" and isinstance(value, dict):
        return call.arguments if call.arguments and call.arguments.strip() else "{}"
    return value


def openai_tools(rows: Sequence[Message]) -> list[Message]:
    """OpenAI declarations from rows of the table ``toolsets``: as they stood where they were such, else from the columns."""
    tools = []
    for row in rows:
        raw = _load(row["raw"]) if row.get("raw") else None
        if isinstance(raw, dict) and raw.get("type") == "function" and _has_name(raw.get("function")):
            tools.append(raw)
        elif row["name"]:
            parameters = _load(row["parameters"]) if row.get("parameters") else {"type": "object", "properties": {}}
            function = {"name": row["name"], "description": row.get("description") or "", "parameters": parameters}
            tools.append({"type": "function", "function": function})
    return tools


def _load(text: str) -> Any:
    """A value of strict JSON; orjson is five times as fast, and wrong only for integers beyond 64 bits."""
    if _LONG_NUMBER.search(text) is None:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
    return json.loads(text)


def _has_name(function: Any) -> bool:
    return isinstance(function, dict) and isinstance(function.get("name"), str) and bool(function["name"])
