"""Records that are no trajectories but are met beside them: what they are, and which command reads them."""

from __future__ import annotations

from typing import Any

# Keys that all must be there -> what the record is. The first that fits is told.
KINDS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"id", "question", "function"}), "a question of BFCL without a run (tldata evaluate score bfcl reads it)"),
    (frozenset({"id", "question", "initial_config"}), "a question of BFCL without a run (tldata evaluate score bfcl reads it)"),
    (frozenset({"id", "ground_truth"}), "the answers to a benchmark's question (tldata evaluate score reads them)"),
    (frozenset({"Instructions", "Golden_Answers"}), "a benchmark of ToolAlpaca without runs (tldata evaluate score toolalpaca reads it)"),
    (frozenset({"Name", "Function_Description", "Instructions"}), "an API of ToolAlpaca without runs (tldata evaluate score toolalpaca reads it)"),
    (frozenset({"query", "path", "scenario"}), "a query of ToolEyes without tools or messages"),
    (frozenset({"tool_name", "feedback", "category"}), "a labelled feedback (tldata rules test reads it)"),
    (frozenset({"feedback", "gold"}), "a labelled feedback (tldata rules test reads it)"),
    (frozenset({"feedback", "category"}), "a labelled feedback (tldata rules test reads it)"),
    (frozenset({"id", "timestamp", "session_id", "input", "output"}), "a trace of Langfuse without its observations (export these)"),
    (frozenset({"schema_version", "digest", "counts"}), "the manifest of a tldata dataset (tldata sql, show and view read the dataset)"),
    (frozenset({"type", "function"}), "a tool's declaration (annotate --tools reads it)"),
    (frozenset({"name", "parameters"}), "a tool's declaration (annotate --tools reads it)"),
    (frozenset({"name", "input_schema"}), "a tool's declaration (annotate --tools reads it)"),
    (frozenset({"prompt", "chosen", "rejected"}), "a pair of preferences, not a trajectory"),
)  # fmt: skip


def what_it_is(record: Any) -> str | None:
    """What a record of no format is, if it is of a known other kind.

    >>> what_it_is({"id": "simple_0", "ground_truth": []})
    "the answers to a benchmark's question (tldata evaluate score reads them)"
    """
    if not isinstance(record, dict):
        return None
    found = next((text for keys, text in KINDS if keys <= record.keys()), None)
    if found is None and record and all(_is_parse(value) for value in list(record.values())[:8]):
        return "what Langfuse made of the messages of a trace, by observation (export the trace itself)"
    return found


def _is_parse(value: Any) -> bool:
    sides = [value.get(side) for side in ("input", "output")] if isinstance(value, dict) else [None]
    return all(isinstance(side, dict) and isinstance(side.get("success"), bool) for side in sides)
