"""``export --to hermes``: ShareGPT turns with tools, calls and feedback between tags in the text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from tldata.dataset import Dataset
from tldata.export import chat as chats
from tldata.export.answers import in_order
from tldata.export.chat import Chat, Said
from tldata.export.trl import note_untrained
from tldata.export.write import write_chats
from tldata.formats.shape import try_parse
from tldata.formats.turns import Turn, feedback_messages
from tldata.jsontext import dumps

_TURN = pa.struct([("from", pa.string()), ("value", pa.string())])
SCHEMA = pa.schema([("id", pa.string()), ("conversations", pa.list_(_TURN)), ("tools", pa.string())])
SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}
TAGS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
ASK = """You are a function calling AI model. You are provided with function signatures within <tools></tools> XML tags. \
You may call one or more functions to assist with the user query. Don't make assumptions about what values to plug into functions.
<tools>
{tools}
</tools>
For each function call return a json object with function name and arguments within <tool_call></tool_call> XML tags as follows:
<tool_call>
{{"name": <function-name>, "arguments": <args-dict>}}
</tool_call>"""
REASONS = {
    **{key: text for key, text in chats.REASONS.items() if key != "calls of which some are erroneous"},
    "call ids": "calls and feedback go together by their order",
    "tools in the system message": "they are added to the system message's text",
    "reasoning": "stands in the text, between <think> tags",
    "feedback out of order": "is put in the order of the calls",
    "call without feedback among others": "feedback after it moves up by one call",
    "feedback that looks like an envelope": "is read as the name and content of a result, or as several results",
    "tags in the text": "the text itself holds the tags that stand for calls or feedback",
    "white space around a text": "is dropped beside calls, and within feedback",
}


def export_hermes(
    data: Dataset, output: Path, *, mask: str | None = None, where: str | None = None, rows: str | None = None
) -> dict[str, int]:
    """Write ``conversations`` and ``tools`` (JSON text); the tools stand in the system turn too, where the format has them.

    With ``rows="turn"`` every record ends with a turn that is to be trained on: the format has no mark for those that are not.
    """
    return write_chats(data, output, record, SCHEMA, target="hermes", mask=mask, where=where, rows=rows)


def record(chat: Chat) -> Iterator[dict[str, Any]]:
    """The one record of a conversation."""
    note_untrained(chat)
    chat.lost.discard("calls of which some are erroneous")
    turns: list[dict[str, str]] = []
    messages = list(in_order(chat))
    _add_tools(chat, messages, turns)
    run: list[str] = []
    for said in messages:
        if said.role == "tool":
            run.append(_response(chat, said))
            continue
        _flush(run, turns)
        if said.role not in SPEAKERS:
            chat.lost.add("role")
            continue
        turns.append({"from": SPEAKERS[said.role], "value": _text(chat, said)})
    _flush(run, turns)
    yield {"id": chat.identity, "conversations": turns, **({} if not chat.tools else {"tools": chat.tools_text()})}


def _add_tools(chat: Chat, messages: list[Said], turns: list[dict[str, str]]) -> None:
    """Put the tools into the system turn, or into one of its own, unless they stand there already."""
    if not chat.tools:
        return
    system = messages[0].content or "" if messages and messages[0].role == "system" else None
    if system is not None and "<tools>" in system:
        return
    chat.lost.add("tools in the system message")
    text = ASK.format(tools=dumps(chat.tools))
    if system is not None:
        messages.pop(0)
        text = f"{system}\n\n{text}" if system else text
    turns.append({"from": "system", "value": text})


def _flush(run: list[str], turns: list[dict[str, str]]) -> None:
    if run:
        turns.append({"from": "tool", "value": "\n".join(run)})
        run.clear()


def _text(chat: Chat, said: Said) -> str:
    text = said.content or ""
    if said.role == "assistant" and any(tag in text for tag in TAGS[:2]):
        chat.lost.add("tags in the text")
    if said.role == "user" and text.lstrip().startswith(TAGS[2]):
        chat.lost.add("tags in the text")
    if said.reasoning is not None:
        chat.lost.add("reasoning")
        text = f"<think>\n{said.reasoning}\n</think>" + (f"\n\n{text}" if text else "")
    if said.calls:
        if any(call.call_id is not None for call in said.calls):
            chat.lost.add("call ids")
        if text != text.strip():
            chat.lost.add("white space around a text")
            text = text.strip()
        if any(tag in call.text() for call in said.calls for tag in TAGS):
            chat.lost.add("tags in the text")
        calls = [f"<tool_call>\n{call.text()}\n</tool_call>" for call in said.calls]
        text = "\n".join([*([text] if text else []), *calls])
    return text


def _response(chat: Chat, said: Said) -> str:
    """One feedback with its tool's name around it; JSON stands as it is where it comes out as the same text again."""
    text = said.content or ""
    if any(tag in text for tag in TAGS):
        chat.lost.add("tags in the text")
    name = said.name or (said.answers.name if said.answers is not None else None)
    if name is None:  # a content without a name is no result's envelope
        if text != text.strip():
            chat.lost.add("white space around a text")
        if [(one.content, one.name) for one in feedback_messages(Turn(0, "tool", text, {}), [text], 0)] != [
            (text, None)
        ]:
            chat.lost.add("feedback that looks like an envelope")
        return f"<tool_response>\n{text}\n</tool_response>"
    value = try_parse(text) if text[:1] in ("{", "[") else None
    content = value if value is not None and dumps(value) == text else text
    return f"<tool_response>\n{dumps({'name': name, 'content': content})}\n</tool_response>"
