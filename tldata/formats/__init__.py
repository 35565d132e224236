"""The raw formats that can be read: one module each, one row each in ``FORMATS``; and which of them a file is in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tldata.errors import UsageError
from tldata.formats import (
    action_studio,
    adp,
    anthropic,
    api_bank,
    atif,
    bfcl,
    claude_code,
    codex,
    exchange,
    genai,
    glaive,
    hermes,
    inspect_log,
    langchain,
    langfuse,
    langsmith,
    llama_factory,
    mcp,
    mini_swe_agent,
    openai,
    openhands,
    openhands_events,
    openinference,
    query_response,
    responses,
    rotbench,
    sharegpt,
    swe_agent,
    tau2,
    tau_bench,
    tl_training,
    toolace,
    toolalpaca,
    toolbench,
    toolllama,
    xlam,
)
from tldata.formats.base import Format, ReadOptions, Skip

FORMATS: tuple[Format, ...] = (
    openai.FORMAT,
    tau_bench.FORMAT,
    tl_training.FORMAT,
    rotbench.FORMAT,
    toolbench.FORMAT,
    toolllama.FORMAT,
    sharegpt.FORMAT,
    llama_factory.FORMAT,
    hermes.FORMAT,
    anthropic.FORMAT,
    glaive.FORMAT,
    xlam.FORMAT,
    tau2.FORMAT,
    swe_agent.FORMAT,
    inspect_log.FORMAT,
    atif.FORMAT,
    adp.FORMAT,
    responses.FORMAT,
    action_studio.FORMAT,
    toolace.FORMAT,
    toolalpaca.FORMAT,
    bfcl.FORMAT,
    openhands.FORMAT,
    langfuse.FORMAT,
    api_bank.FORMAT,
    claude_code.FORMAT,
    langsmith.FORMAT,
    langfuse.ROWS_FORMAT,
    mcp.FORMAT,
    openhands_events.FORMAT,
    codex.FORMAT,
    langchain.FORMAT,
    exchange.FORMAT,
    mini_swe_agent.FORMAT,
    query_response.FORMAT,
    genai.FORMAT,
    openinference.FORMAT,
)


@dataclass(frozen=True, slots=True)
class Detection:
    """What ``detect`` found: every format's mean score, the best format (None: none fits at all), and whether several are best."""

    scores: dict[str, float]
    best: Format | None
    tie: bool


def get_format(name: str) -> Format:
    """The format of that name.

    Raises:
        UsageError: there is none; the message lists the names.
    """
    for row in FORMATS:
        if row.name == name:
            return row
    names = ", ".join(row.name for row in FORMATS)
    raise UsageError(
        f"no format {name!r}; there are {names}", hint="tldata formats            (lists them with an example each)"
    )


def detect(records: Sequence[Any]) -> Detection:
    """Which format the records are in: the one whose mean score over them is the highest.

    Args:
        records: the first parsed records of a file; records of no format at all count as 0 for each.

    >>> detect([{"messages": [{"role": "user", "content": "Hi"}]}]).best.name
    'openai'
    """
    total = {row.name: sum(row.score(record) for record in records) for row in FORMATS}
    scores = {name: value / max(len(records), 1) for name, value in total.items()}
    top = max(scores.values())
    best = [row for row in FORMATS if top - scores[row.name] < 1e-9]
    return Detection(scores, best[0] if top > 0 else None, top > 0 and len(best) > 1)


__all__ = ["FORMATS", "Detection", "Format", "ReadOptions", "Skip", "detect", "get_format"]
