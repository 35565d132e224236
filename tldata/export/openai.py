"""``export --to openai``: one JSON line a trajectory; for OpenAI sources the record as it was read."""

from __future__ import annotations

from pathlib import Path

from tldata.dataset import Dataset
from tldata.export.chosen import chosen
from tldata.export.files import check_suffix, open_atomically
from tldata.formats.openai_export import NOT_HELD, not_held, to_openai
from tldata.jsontext import dumps

REASONS = NOT_HELD


def export_openai(data: Dataset, output: Path, *, where: str | None = None) -> dict[str, int]:
    """Write every trajectory as an OpenAI record (messages and tools), in order.

    Returns:
        counts: ``records``, and how many records each thing touches that the target cannot hold.
    """
    check_suffix(output, "openai", parquet=False)
    counts: dict[str, int] = {"records": 0}
    with open_atomically(output) as target:
        for whole in chosen(data, where):
            record = to_openai(whole.trajectory, whole.messages, whole.calls, whole.tools)
            target.write(dumps(record).encode() + b"\n")
            counts["records"] += 1
            for what in not_held(whole.trajectory, whole.messages, whole.calls):
                counts[what] = counts.get(what, 0) + 1
    return counts


__all__ = ["REASONS", "export_openai", "open_atomically"]
