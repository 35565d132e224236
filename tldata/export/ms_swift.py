"""``export --to ms-swift``: conversations with ``tool_call`` and ``tool_response`` messages, and ``loss`` on what the model wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from tldata.dataset import Dataset
from tldata.export import chat as chats
from tldata.export.answers import in_order
from tldata.export.chat import Chat, Said
from tldata.export.write import write_chats

ROLES = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool_response"}
_MESSAGE = pa.struct(
    [
        ("role", pa.string()),
        ("content", pa.string()),
        ("name", pa.string()),
        ("loss", pa.bool_()),
        ("loss_scale", pa.float64()),
    ]
)
SCHEMA = pa.schema([("id", pa.string()), ("messages", pa.list_(_MESSAGE)), ("tools", pa.string())])
REASONS = {
    **{key: text for key, text in chats.REASONS.items() if key != "untrained message"},
    "call ids": "calls and feedback go together by their order",
    "text beside a call": "stands as a message of its own, before the call's",
    "several calls in a message": "stand as a message each; ms-swift joins them again and heeds the first one's loss",
    "reasoning": "stands in the text, between <think> tags",
    "feedback out of order": "is put in the order of the calls",
    "call without feedback among others": "ms-swift pairs by order, so that feedback after it moves up by one call",
}


def export_ms_swift(
    data: Dataset, output: Path, *, mask: str | None = None, where: str | None = None, call_weight: float | None = None
) -> dict[str, int]:
    """Write ``messages`` and ``tools`` (JSON text); every call is a ``tool_call`` message, all of one turn with the same ``loss``.

    Args:
        data, output, mask, where: as for the other targets.
        call_weight: written as ``loss_scale`` of messages with calls that are trained on, whole messages being the finest that
            ms-swift's records can weigh; none is written by default.
    """

    def build(chat: Chat) -> Iterator[dict[str, Any]]:
        return record(chat, call_weight)

    return write_chats(data, output, build, SCHEMA, target="ms-swift", mask=mask, where=where)


def record(chat: Chat, call_weight: float | None = None) -> Iterator[dict[str, Any]]:
    """The one record of a conversation."""
    messages: list[dict[str, Any]] = []
    for said in in_order(chat):
        if said.role not in ROLES:
            chat.lost.add("role")
        elif said.role != "assistant":
            message = {"role": ROLES[said.role], "content": said.content or ""}
            if said.name is not None:
                message["name"] = said.name
            messages.append(message)
        else:
            messages += _assistant(chat, said, call_weight)
    yield {"id": chat.identity, "messages": messages, "tools": chat.tools_text()}


def _assistant(chat: Chat, said: Said, call_weight: float | None) -> Iterator[dict[str, Any]]:
    text = said.content or ""
    if said.reasoning is not None:
        chat.lost.add("reasoning")
        text = f"<think>\n{said.reasoning}\n</think>\n\n{text}"
    if text or not said.calls:
        yield {"role": "assistant", "content": text, "loss": said.trained}
    if text and said.calls:
        chat.lost.add("text beside a call")
    if len(said.calls) > 1:
        chat.lost.add("several calls in a message")
    for call in said.calls:
        if call.call_id is not None:
            chat.lost.add("call ids")
        message = {"role": "tool_call", "content": call.text(), "loss": said.trained}
        if call_weight is not None and said.trained:
            message["loss_scale"] = call_weight
        yield message
