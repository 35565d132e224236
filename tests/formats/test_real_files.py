"""Every file of the shared data is read, or each of its rejects says what the record is instead."""

from __future__ import annotations

from pathlib import Path

import pytest

import tldata
from tldata.formats.others import KINDS, what_it_is

# folder or file -> (records, of which sources, trajectories, rejects); the counts are those of the data's own README where it tells them
READ = {
    "formats/api_bank": (269, 30, 30, 0),  # 269 lines in 30 files
    "formats/inspect": (8, 8, 12, 0),  # three logs as JSON, five samples in two zips
    "formats/swe_agent": (4, 4, 4, 0),
    "formats/llama_factory": (350, 350, 350, 0),
    "rotbench/first_turn": (840, 840, 840, 0),
    "rotbench/third_turn": (560, 560, 560, 0),
    "tau_bench": (200, 200, 200, 0),
    "tl_training": (70, 70, 70, 0),
    "toolbench": (15, 15, 15, 0),
    "tooleyes/scenario_data_zero_processed.json": (382, 382, 382, 0),
}
# files of other kinds: records, and what every reject says of them
OTHER = {
    "bfcl/simple_python.jsonl": (400, "a question of BFCL without a run"),
    "bfcl/exec_parallel.jsonl": (50, "a question of BFCL without a run"),
    "bfcl/simple_python_answers.jsonl": (400, "the answers to a benchmark's question"),
    "toolalpaca/eval_real.json": (11, "ToolAlpaca without runs"),
    "tooleyes/scenario_data_raw.json": (382, "a query of ToolEyes"),
    "labelled_feedback/dev.jsonl": (462, "a labelled feedback"),
    "formats/langfuse/claude-agent-2025-12-22.chatml.json": (1, "what Langfuse made of the messages"),
}


@pytest.mark.parametrize("path", READ)
def test_files_of_known_formats_are_read_without_a_reject(shared: Path, tmp_path: Path, path: str) -> None:
    counts = tldata.annotate(shared / path, tmp_path / "out", max_bad=1.0).counts
    found = tuple(counts[name] for name in ("n_inputs", "n_sources", "n_trajectories", "n_rejects"))
    assert found == READ[path]
    assert counts["n_inputs"] == counts["n_sources"] + counts["n_merged"] + counts["n_skipped"]


@pytest.mark.parametrize("path", OTHER)
def test_each_reject_of_a_file_of_another_kind_says_what_it_is(shared: Path, tmp_path: Path, path: str) -> None:
    summary = tldata.annotate(shared / path, tmp_path / "out", max_bad=1.0)
    number, what = OTHER[path]
    assert summary.counts["n_rejects"] == summary.counts["n_inputs"] == number
    (reason,) = summary.rejected
    assert what in reason


def test_langfuse_traces_and_what_langfuse_made_of_them_are_told_apart(shared: Path, tmp_path: Path) -> None:
    summary = tldata.annotate(shared / "formats/langfuse", tmp_path / "out", max_bad=1.0)
    assert summary.formats == {"langfuse": 2}
    assert summary.counts["n_rejects"] == 2


def test_what_another_record_is_comes_from_its_keys() -> None:
    for keys, text in KINDS:
        told = what_it_is(dict.fromkeys(keys))
        assert told is not None
        assert told == text or keys > next(k for k, t in KINDS if t == told), "the first that fits"
    assert what_it_is({"a": 1}) is None
    assert what_it_is([1]) is None
    assert what_it_is({}) is None
