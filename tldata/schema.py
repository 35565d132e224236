"""The tables of a dataset: column names, types and one line of meaning each (docs/stability.md freezes them)."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1

STR, INT, BOOL = pa.string(), pa.int32(), pa.bool_()

TRAJECTORIES = pa.schema(
    [
        ("trajectory_id", STR),  # unique in the dataset: <source name>:<source_line>[:<branch>]
        ("source", STR),  # the file as it was given
        ("source_line", pa.int64()),  # 1-based line, or element of a JSON array
        ("source_id", STR),  # the record's own id, if it has one
        ("format", STR),  # name of the reader
        ("query", STR),  # content of the first user message
        ("toolset_id", STR),  # null: no tools declared
        ("created_at", STR),
        ("model", STR),
        ("agent_version", STR),
        ("outcome", STR),
        ("reward", pa.float64()),
        ("n_messages", INT),
        ("n_calls", INT),
        ("n_errors", INT),
        ("content_hash", STR),  # of tools and messages: equal for exact duplicates
        ("metadata", STR),  # JSON object of the record's unmapped keys
    ]
)

TOOLSETS = pa.schema(
    [
        ("toolset_id", STR),
        ("position", INT),
        ("name", STR),
        ("description", STR),
        ("parameters", STR),  # normalised JSON Schema, as JSON text
        ("properties", pa.list_(STR)),  # names of the declared parameters, in schema order
        ("required", pa.list_(STR)),
        ("raw", STR),  # the declaration as it stood, JSON text
    ]
)

MESSAGES = pa.schema(
    [
        ("trajectory_id", STR),
        ("turn", INT),  # 0-based index in the messages, system included
        ("role", STR),  # system, user, assistant, tool (feedback), or the source's own
        ("content", STR),
        ("reasoning", STR),
        ("name", STR),
        ("tool_call_id", STR),
        ("trainable", BOOL),
        ("extra", STR),  # JSON object of the message's unmapped keys, or null
    ]
)

CALLS = pa.schema(
    [
        ("trajectory_id", STR),
        ("turn", INT),
        ("call_index", INT),  # 0-based within the message
        ("step", INT),  # 0-based number of the message among those with calls
        ("call_id", STR),
        ("tool_name", STR),  # null when unparsable
        ("arguments", STR),  # JSON text of an object; the text as it stood when it is no JSON object
        ("raw_call", STR),  # the call as the model wrote it, where the source has text; else null
        ("paired_by", STR),  # id, name, order; null without feedback
        ("feedback_turn", INT),
        ("feedback", STR),
        ("feedback_truncated", BOOL),
        ("native_error", BOOL),  # the source's own flag: true, false, or null
        ("native_error_code", STR),
        ("native_error_source", STR),
        ("call_check", STR),  # null: no tools declared
        ("call_check_detail", STR),
        ("feedback_category", STR),
        ("rule_id", STR),
        ("evidence", STR),
        ("category", STR),
        ("is_error", BOOL),
        ("trainable", BOOL),
        ("verdict", STR),  # the category that the evidence gives; `category` is the label where there is one
        ("verdict_id", STR),  # the row of the verdict table that decided
        ("label", STR),  # category given from outside (--labels, --corrections), or null
        ("disagreement", STR),  # which pieces of evidence contradict each other, or null
    ]
)

REJECTS = pa.schema([("source", STR), ("source_line", pa.int64()), ("reason", STR), ("raw", STR)])

# A record that another one holds whole: a prefix copy of a longer trajectory.
MERGED = pa.schema(
    [
        ("source", STR),
        ("source_line", pa.int64()),
        ("source_id", STR),
        ("trajectory_id", STR),
        ("merged_into", STR),
        ("hash", pa.int64()),  # of tools and messages: the low 64 bits of its content_hash
    ]
)

SPAN = pa.struct(
    [
        ("start", INT),
        ("end", INT),
        ("kind", STR),
        ("turn", INT),
        ("call_index", INT),
        ("category", STR),
        ("weight", pa.float32()),
    ]
)

TOKENS = pa.schema(
    [
        ("trajectory_id", STR),
        ("part", INT),
        ("input_ids", pa.list_(pa.int32())),
        ("loss_mask", pa.list_(BOOL)),
        ("key_mask", pa.list_(BOOL)),
        ("loss_weights", pa.list_(pa.float32())),
        ("n_tokens", INT),
        ("n_loss", INT),
        ("n_key", INT),
        ("truncated", BOOL),
        ("spans", pa.list_(SPAN)),
    ]
)

TABLES: dict[str, pa.Schema] = {
    "trajectories": TRAJECTORIES,
    "toolsets": TOOLSETS,
    "messages": MESSAGES,
    "calls": CALLS,
    "rejects": REJECTS,
    "merged": MERGED,
}

CATEGORIES = (
    "all_right",
    "tool_instability",
    "tool_call_failure",
    "tool_hallucination",
    "parameter_hallucination",
    "parameter_missing",
    "others",
    "format_error",
    "no_feedback",
)
NOT_ERRORS = frozenset({"all_right", "no_feedback"})
DOCUMENTATION_ERRORS = frozenset({"tool_hallucination", "parameter_hallucination", "parameter_missing"})
CALL_CHECKS = (
    "ok",
    "format_error",
    "tool_hallucination",
    "parameter_hallucination",
    "parameter_missing",
    "invalid_value",
)
