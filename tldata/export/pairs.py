"""``export --to dpo``: preference pairs out of a failed call and its later correction: same prompt, chosen, rejected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from tldata.dataset import Dataset
from tldata.errors import UsageError
from tldata.export.chat import Chat, Said, chat_of
from tldata.export.chosen import chosen
from tldata.export.files import JSON_LIST, check_suffix, write_rows
from tldata.export.trl import ROLES, openai_message
from tldata.jsontext import dumps
from tldata.stream import Row, Whole
from tldata.tokenize.load import excluded_categories

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("prompt", JSON_LIST),
        ("chosen", JSON_LIST),
        ("rejected", JSON_LIST),
        ("tools", pa.string()),
        ("category", pa.string()),
        ("tool_name", pa.string()),
    ]
)
# What the model could have known before: an outage or a refusal for reasons of the domain is no worse a call.
OWN_MISTAKES = "format_error,tool_hallucination,parameter_hallucination,parameter_missing,tool_call_failure"
REASONS = {
    "not repaired": "erroneous messages after which no message of correct calls follows that repairs them: no pair",
    "some of its calls are right": "erroneous messages with correct calls among them: no pair, the comparison would be unfair",
    "repeated as it was": "the call that succeeded is the same call: no pair, there is nothing to prefer",
    "the source keeps it out": "erroneous messages, or their corrections, that are not to be trained on: no pair",
    "written as text": "the failed call has no name, or arguments that are no JSON object: it stands in the rejected message as text",
}


def export_dpo(data: Dataset, output: Path, *, mask: str | None = None, where: str | None = None) -> dict[str, int]:
    """Write preference pairs for DPO: ``prompt``, ``chosen``, ``rejected`` (OpenAI messages), ``tools`` (JSON text or null).

    Rejected is an assistant message all of whose calls are of the categories of ``mask``; chosen is the next assistant message of
    the trajectory whose calls are all right and which repairs it: it calls a tool that failed, or, where the failed calls name
    no tool or none that exists (format_error, tool_hallucination), any tool. Between them no user speaks. The prompt is
    what stood before the failed message, so that the correction is preferred where the mistake was made. The message's text stays
    with its calls. ``category`` and ``tool_name`` are the first failed call's.

    Args:
        data: an annotated dataset.
        output: ``.jsonl`` (``.gz``, ``.zst``) or ``.parquet``.
        mask: categories of failed calls, as for ``tldata tokenize``; by default those that are the model's own mistakes, which
            leaves out ``tool_instability`` and ``others``.
        where: SQL condition on trajectories.

    Returns:
        counts: ``trajectories``, ``records``, and failed messages that gave no pair, by reason.
    """
    check_suffix(output, "dpo")
    failing = excluded_categories(mask or OWN_MISTAKES)
    if not failing:
        raise UsageError("--mask none: pairs need failed calls", hint="--mask paper")
    counts = {"trajectories": 0, "records": 0}

    def records() -> Iterator[dict[str, Any]]:
        for whole in chosen(data, where):
            counts["trajectories"] += 1
            yield from pairs_of(whole, failing, counts)

    write_rows(output, records(), SCHEMA)
    return counts


def pairs_of(whole: Whole, failing: frozenset[str], counts: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The pairs of one trajectory; what gives none is counted by its reason."""
    if not any(call["category"] in failing for call in whole.calls):
        return
    chat = chat_of(whole, failing)
    said = [message for message in chat.messages if message.role in ROLES]
    calls: dict[int, list[Row]] = {}
    for call in whole.calls:
        calls.setdefault(call["turn"], []).append(call)
    kept_out = {row["turn"] for row in whole.messages if row["trainable"] is False}
    for place, message in enumerate(said):
        failed = calls.get(message.turn, [])
        if message.role != "assistant" or not any(call["category"] in failing for call in failed):
            continue
        better = _correction(said, place, calls)
        reason = _refusal(message, better, failed, failing, kept_out)
        if reason is not None:
            counts[reason] = counts.get(reason, 0) + 1
            continue
        assert better is not None
        if len(message.calls) < len(failed):
            counts["written as text"] = counts.get("written as text", 0) + 1
        counts["records"] += 1
        yield _record(chat, said, place, better, failed[0])


def _record(chat: Chat, said: list[Said], place: int, better: Said, first: Row) -> dict[str, Any]:
    return {
        "id": f"{chat.identity}#{said[place].turn}",
        "prompt": [openai_message(message) for message in said[:place]],
        "chosen": [openai_message(better)],
        "rejected": [openai_message(said[place])],
        "tools": chat.tools_text(),
        "category": first["category"],
        "tool_name": first["tool_name"],
    }


def _correction(said: list[Said], place: int, calls: dict[int, list[Row]]) -> Said | None:
    """The next assistant message whose calls are all right and repair those of the message at ``place``."""
    failed = calls[said[place].turn]
    names = {call["tool_name"] for call in failed}
    anything = any(call["tool_name"] is None or call["category"] == "tool_hallucination" for call in failed)
    for message in said[place + 1 :]:
        if message.role == "user":
            return None
        later = calls.get(message.turn, [])
        if message.role != "assistant" or not later or any(call["category"] != "all_right" for call in later):
            continue
        if anything or any(call["tool_name"] in names for call in later):
            return message
    return None


def _refusal(
    message: Said, better: Said | None, failed: list[Row], failing: frozenset[str], kept_out: set[int]
) -> str | None:
    """Why a failed message gives no pair; None when it gives one."""
    if any(call["category"] not in failing for call in failed):
        return "some of its calls are right"
    if better is None:
        return "not repaired"
    if message.turn in kept_out or better.turn in kept_out or any(call["trainable"] is False for call in failed):
        return "the source keeps it out"
    same = [(call.name, dumps(call.arguments)) for call in message.calls]
    if same and same == [(call.name, dumps(call.arguments)) for call in better.calls]:
        return "repeated as it was"
    return None
