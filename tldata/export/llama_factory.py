"""``export --to llama-factory-v1``: messages of typed parts with ``loss_weight``, as LLaMA-Factory's v1 trainers read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from tldata.dataset import Dataset
from tldata.export import chat as chats
from tldata.export.answers import in_order
from tldata.export.chat import Chat, Said
from tldata.export.trl import ROLES
from tldata.export.write import write_chats
from tldata.formats.turns import Turn, feedback_messages

_PART = pa.struct([("type", pa.string()), ("value", pa.string())])
_MESSAGE = pa.struct([("role", pa.string()), ("content", pa.list_(_PART)), ("loss_weight", pa.float64())])
SCHEMA = pa.schema([("id", pa.string()), ("messages", pa.list_(_MESSAGE)), ("tools", pa.string())])
REASONS = {
    **{key: text for key, text in chats.REASONS.items() if key != "untrained message"},
    "call ids": "calls and feedback go together by their order",
    "feedback out of order": "is put in the order of the calls",
    "call without feedback among others": "feedback after it moves up by one call",
    "feedback that looks like an envelope": "is read as the name and content of a result, or as several results",
}


def export_llama_factory(
    data: Dataset, output: Path, *, mask: str | None = None, where: str | None = None, call_weight: float | None = None
) -> dict[str, int]:
    """Write ``messages`` and ``tools`` (JSON text); a message that is not to be trained on has the ``loss_weight`` 0, others 1.

    Args:
        data, output, mask, where: as for the other targets.
        call_weight: ``loss_weight`` of trained messages with calls instead of 1: whole messages are the finest that v1 weighs.
    """

    def build(chat: Chat) -> Iterator[dict[str, Any]]:
        return record(chat, 1.0 if call_weight is None else call_weight)

    return write_chats(data, output, build, SCHEMA, target="llama-factory-v1", mask=mask, where=where)


def record(chat: Chat, call_weight: float = 1.0) -> Iterator[dict[str, Any]]:
    """The one record of a conversation."""
    messages = []
    n_calls = 0  # of the message before
    for said in in_order(chat):
        if said.role not in ROLES:
            chat.lost.add("role")
            continue
        if any(call.call_id is not None for call in said.calls):
            chat.lost.add("call ids")
        if said.role == "tool" and _is_odd(said.content or "", n_calls):
            chat.lost.add("feedback that looks like an envelope")
        n_calls = len(said.calls)
        weight = (call_weight if said.calls else 1.0) if said.trained else 0.0
        messages.append({"role": said.role, "content": _parts(said), "loss_weight": weight})
    yield {"id": chat.identity, "messages": messages, **({} if not chat.tools else {"tools": chat.tools_text()})}


def _parts(said: Said) -> list[dict[str, str]]:
    parts = [] if said.reasoning is None else [{"type": "reasoning", "value": said.reasoning}]
    if said.content or (not parts and not said.calls):
        parts.append({"type": "text", "value": said.content or ""})
    return parts + [{"type": "tool_call", "value": call.text()} for call in said.calls]


def _is_odd(text: str, n_calls: int) -> bool:
    """Whether one result would be read as the envelope of another text, or as several."""
    read = feedback_messages(Turn(0, "tool", text, {}), [text], n_calls)
    return [(one.content, one.name, one.tool_call_id) for one in read] != [(text, None, None)]
