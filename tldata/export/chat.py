"""One trajectory as chat formats see it: messages with the calls they can hold, and which of them are to be trained on."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from tldata.formats.shape import is_unicode
from tldata.jsontext import dumps
from tldata.stream import Row, Whole
from tldata.tokenize.conversation import openai_tools

# What a message's ``extra`` may hold without anything being lost: notes of readers on how a message was written.
_NOTES = frozenset(
    {"role", "content", "value", "weight", "loss", "loss_weight", "train", "trainable", "tool_calls", "function_call"}
)
_LONG_NUMBER = re.compile(r"\d{18}")
_SURROGATE = re.compile("[\ud800-\udfff]")

REASONS: dict[str, str] = {
    "arguments that are no JSON object": "the call stands in the message as text",
    "call without a name": "the call stands in the message as text",
    "calls of which some are erroneous": "the message is out of the loss as a whole: the target has one mark for all its calls",
    "untrained message": "the target has no mark for it, so that an erroneous call (or what the source keeps out) is trained on",
    "call made by another role": "no chat format has a place for it; the call is left out",
    "message extra": "keys of the source's messages that the target does not have are left out",
    "error flag": "the source's own flag of a feedback is left out",
    "feedback without a call": "it stands after the others, and is taken for the feedback of whatever call is next",
    "role": "a message of a role that the target does not know is left out",
}


@dataclass(slots=True)
class Out:
    """A call that a chat format can hold: a name, and arguments that are an object."""

    name: str
    arguments: dict[str, Any]
    call_id: str | None
    place: tuple[int, int]  # turn, call_index
    answered: bool

    def text(self) -> str:
        """The call as compact JSON: ``{"name": ..., "arguments": {...}}``."""
        return dumps({"name": self.name, "arguments": self.arguments})


@dataclass(slots=True)
class Said:
    """One message. ``trained``: an assistant message that counts in the loss. ``answers``: the call that a tool message answers."""

    turn: int
    role: str
    content: str | None
    reasoning: str | None = None
    name: str | None = None
    tool_call_id: str | None = None
    calls: list[Out] = field(default_factory=list)
    trained: bool = False
    answers: Out | None = None


@dataclass(slots=True)
class Chat:
    """One trajectory. ``tools``: OpenAI declarations, None where none are declared. ``lost``: keys of REASONS that touch it."""

    identity: str
    messages: list[Said]
    tools: list[Row] | None
    lost: set[str]

    def tools_text(self) -> str | None:
        """The declarations as JSON text; None where none are declared."""
        return None if self.tools is None else dumps(self.tools)

    def until(self, turn: int) -> Chat:
        """The conversation up to and with the message at ``turn``, which alone is to be trained on."""
        kept = [message for message in self.messages if message.turn <= turn]
        return Chat(f"{self.identity}#{turn}", kept, self.tools, set(self.lost))


def chat_of(whole: Whole, excluded: frozenset[str]) -> Chat:
    """One trajectory as chat formats see it.

    A call without a name, or whose arguments are no JSON object, stands in its message's text. An assistant message is trained
    unless its source keeps it out, or one of its calls is of an excluded category.

    Args:
        whole: the rows of one trajectory.
        excluded: error categories whose calls are not trained on.
    """
    lost: set[str] = set()
    by_turn: dict[int, list[Row]] = {}
    for call in whole.calls:
        by_turn.setdefault(call["turn"], []).append(call)
        if call["native_error"] is not None:
            lost.add("error flag")
    made: dict[int, Out] = {}  # by the turn of the feedback
    messages: list[Said] = []
    for row in whole.messages:
        message = Said(
            row["turn"], row["role"], row["content"], row["reasoning"], row["name"], row["tool_call_id"], answers=made.get(row["turn"])
        )  # fmt: skip
        own = by_turn.get(row["turn"], [])
        if row["role"] == "assistant":
            out = [_is_out(call, excluded) for call in own]
            message.trained = row["trainable"] is not False and not any(out)
            if row["trainable"] is not False and any(out) and not all(out):
                lost.add("calls of which some are erroneous")
            _put_calls(message, own, made, lost)
        elif own:
            lost.add("call made by another role")
        if row["extra"] and _unknown(row["extra"]):
            lost.add("message extra")
        messages.append(message)
    tools = openai_tools(whole.tools) if whole.trajectory["toolset_id"] is not None else None
    return Chat(whole.trajectory["trajectory_id"], messages, tools, lost)


def _is_out(call: Row, excluded: frozenset[str]) -> bool:
    if call["trainable"] is False:
        return True
    category = call["category"]
    return category in excluded if category is not None else bool(call["is_error"] and excluded)


def _put_calls(message: Said, own: list[Row], made: dict[int, Out], lost: set[str]) -> None:
    for call in own:
        arguments = object_of(call["arguments"])
        if call["tool_name"] is None or arguments is None:
            lost.add("call without a name" if call["tool_name"] is None else "arguments that are no JSON object")
            text = call["raw_call"] or _as_text(call)
            if text and text not in (message.content or ""):
                message.content = f"{message.content}\n{text}" if message.content else text
            continue
        answered = call["feedback_turn"] is not None
        out = Out(call["tool_name"], arguments, call["call_id"], (call["turn"], call["call_index"]), answered)
        message.calls.append(out)
        if answered:
            made[call["feedback_turn"]] = out


def _as_text(call: Row) -> str:
    """The text of a call that was structured in its source: its name and its arguments as they stood."""
    arguments = call["arguments"] or ""
    return (
        arguments if call["tool_name"] is None else f'{{"name": {dumps(call["tool_name"])}, "arguments": {arguments}}}'
    )


def _unknown(extra: str) -> bool:
    return any(key not in _NOTES and key[:1] != "$" for key in orjson.loads(extra))


def object_of(text: str | None) -> dict[str, Any] | None:
    """Arguments as an object; {} where there are none, None where they are no JSON object.

    >>> object_of('{"a": 1}'), object_of(None), object_of('{"a": NaN}'), object_of("[1]")
    ({'a': 1}, {}, None, None)
    """
    if text is None or not text.strip():
        return {}
    try:
        value = orjson.loads(text) if _LONG_NUMBER.search(text) is None else _slowly(text)
    except ValueError:
        try:
            value = _slowly(text)
        except (ValueError, RecursionError):
            return None
    except RecursionError:
        return None
    return value if isinstance(value, dict) else None


def _slowly(text: str) -> Any:
    """What orjson refuses or rounds: raw line breaks, numbers of any length; U+FFFD for half characters."""
    value = json.loads(text, strict=False, parse_constant=_refuse, parse_float=_finite)
    written = json.dumps(value, ensure_ascii=False)
    return value if is_unicode(written) else json.loads(_SURROGATE.sub("\ufffd", written))


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _finite(digits: str) -> float:
    """A number as a float; one too large for it has no JSON that would give it back."""
    value = float(digits)
    if math.isinf(value):
        raise ValueError(digits)
    return value
