"""``export --to axolotl``: conversations for axolotl's ``chat_template`` datasets, with ``train`` on every assistant message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from tldata.dataset import Dataset
from tldata.export import chat as chats
from tldata.export.chat import Chat
from tldata.export.trl import ROLES, openai_message
from tldata.export.write import write_chats
from tldata.jsontext import dumps

_FUNCTION = pa.struct([("name", pa.string()), ("arguments", pa.string())])
_MESSAGE = pa.struct(
    [
        ("role", pa.string()),
        ("content", pa.string()),
        ("reasoning_content", pa.string()),
        ("name", pa.string()),
        ("tool_call_id", pa.string()),
        ("tool_calls", pa.list_(pa.struct([("id", pa.string()), ("type", pa.string()), ("function", _FUNCTION)]))),
        ("train", pa.bool_()),
    ]
)
SCHEMA = pa.schema([("id", pa.string()), ("messages", pa.list_(_MESSAGE)), ("tools", pa.string())])
REASONS = {key: text for key, text in chats.REASONS.items() if key != "untrained message"}


def export_axolotl(data: Dataset, output: Path, *, mask: str | None = None, where: str | None = None) -> dict[str, int]:
    """Write ``messages`` and ``tools`` (JSON text): arguments are JSON text, which axolotl parses, and assistant messages say
    ``train``, which it heeds with ``message_field_training: train``.
    """
    return write_chats(data, output, record, SCHEMA, target="axolotl", mask=mask, where=where)


def record(chat: Chat) -> Iterator[dict[str, Any]]:
    """The one record of a conversation."""
    messages = []
    for said in chat.messages:
        if said.role not in ROLES:
            chat.lost.add("role")
            continue
        message = openai_message(said)
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = dumps(call["function"]["arguments"])
        if said.role == "assistant":
            message["train"] = said.trained
        messages.append(message)
    yield {"id": chat.identity, "messages": messages, "tools": chat.tools_text()}
