"""``export --to trl``, ``trl-turns``, ``trl-tokens``: what TRL's SFTTrainer reads, as messages, as single turns, or as tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from tldata.dataset import Dataset
from tldata.export import chat as chats
from tldata.export.chat import Chat, Said
from tldata.export.files import JSON_LIST
from tldata.export.write import write_chats

ROLES = frozenset({"system", "user", "assistant", "tool"})
MESSAGES = pa.schema([("id", pa.string()), ("messages", JSON_LIST), ("tools", pa.string())])
TURNS = pa.schema([("id", pa.string()), ("prompt", JSON_LIST), ("completion", JSON_LIST), ("tools", pa.string())])

REASONS = {
    **{
        key: chats.REASONS[key]
        for key in (
            "arguments that are no JSON object",
            "call without a name",
            "untrained message",
            "calls of which some are erroneous",
            "call made by another role",
            "message extra",
            "error flag",
            "role",
        )
    },
}


def export_trl(data: Dataset, output: Path, *, mask: str | None = None, where: str | None = None) -> dict[str, int]:
    """Write conversations for TRL: ``messages`` (OpenAI's, arguments as objects) and ``tools`` (JSON text, or null).

    A stock SFTTrainer trains on every assistant message then; ``trl-turns`` and ``trl-tokens`` keep erroneous calls out.
    """
    return write_chats(data, output, messages_record, MESSAGES, target="trl", mask=mask, where=where)


def export_trl_turns(
    data: Dataset, output: Path, *, mask: str | None = None, where: str | None = None
) -> dict[str, int]:
    """Write ``prompt`` and ``completion``: a row for each assistant message that is to be trained on.

    SFTTrainer computes the loss on completions only, so that an erroneous call is context and never trained on.
    """
    return write_chats(data, output, turn_records, TURNS, target="trl-turns", mask=mask, where=where)


def messages_record(chat: Chat) -> Iterator[dict[str, Any]]:
    """The one record of a conversation."""
    messages = list(openai_messages(chat))
    note_untrained(chat)
    chat.lost.discard("calls of which some are erroneous")
    yield {"id": chat.identity, "messages": messages, "tools": chat.tools_text()}


def turn_records(chat: Chat) -> Iterator[dict[str, Any]]:
    """A record for each trained assistant message."""
    messages = list(openai_messages(chat))
    said = [message for message in chat.messages if message.role in ROLES]
    for place, message in enumerate(said):
        if message.trained and (message.content or message.calls):
            yield {
                "id": f"{chat.identity}#{message.turn}",
                "prompt": messages[:place],
                "completion": [messages[place]],
                "tools": chat.tools_text(),
            }


def openai_messages(chat: Chat) -> Iterator[dict[str, Any]]:
    """The messages as OpenAI's, arguments as objects, a key only where it has a value; other roles are left out."""
    for message in chat.messages:
        if message.role in ROLES:
            yield openai_message(message)
        else:
            chat.lost.add("role")


def openai_message(message: Said) -> dict[str, Any]:
    """One message; without text its content is empty text, which every template takes."""
    out: dict[str, Any] = {"role": message.role, "content": message.content or ""}
    if message.reasoning is not None:
        out["reasoning_content"] = message.reasoning
    if message.name is not None:
        out["name"] = message.name
    if message.tool_call_id is not None:
        out["tool_call_id"] = message.tool_call_id
    if message.calls:
        out["tool_calls"] = [
            {
                **({} if call.call_id is None else {"id": call.call_id}),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.calls
        ]
    return out


def note_untrained(chat: Chat) -> None:
    """Note that a target without marks trains on what is not to be trained on."""
    if any(message.role == "assistant" and not message.trained for message in chat.messages):
        chat.lost.add("untrained message")
