"""How far training and test data overlap in tools and queries: the training set was made with ToolEyes' tools, which also test it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from reproduce.setting import markdown
from tldata.evaluate.benchmarks.files import read_records
from tldata.evaluate.runner_requests import read_requests

ALIKE = 0.8  # Jaccard similarity of two queries' words from which they count as alike
CONTROL = frozenset({"finish", "ask_to_user"})  # in every tool set
_WORD = re.compile(r"[^\W_]+")


def words(query: str) -> frozenset[str]:
    """The words of a query, without case and punctuation.

    >>> sorted(words("Rome's weather, please!"))
    ['please', 'rome', 's', 'weather']
    """
    return frozenset(word.lower() for word in _WORD.findall(query))


def similarity(a: frozenset[str], b: frozenset[str]) -> float:
    """Jaccard: shared words over all words of both.

    >>> similarity(frozenset("abc"), frozenset("bcd"))
    0.5
    """
    return len(a & b) / len(a | b) if a or b else 1.0


def training_parts(path: Path) -> tuple[list[str], list[frozenset[str]]]:
    """First user message and names of the declared tools of each trajectory in the authors' raw form."""
    queries, toolsets = [], []
    for _, record in read_records(path):
        turns = record["conversations"]
        system = next((turn["content"] for turn in turns if turn["role"] == "system"), "[]")
        queries.append(next((turn["content"] for turn in turns if turn["role"] == "user"), ""))
        toolsets.append(frozenset(tool.get("function", tool)["name"] for tool in json.loads(system)) - CONTROL)
    return queries, toolsets


def overlap(training: Path, test: Path) -> dict[str, Any]:
    """Shares of test queries, tools and tool sets that the training data has too.

    Args:
        training: the authors' raw data.
        test: ToolEyes' processed queries.

    Returns:
        counts: training, test (queries); equal and alike (test queries that some training query equals up to case and punctuation,
        or shares 80% of its words with); tools, tools_seen; toolsets, toolsets_seen (equal as sets of names); queries_seen_tools (test
        queries all of whose tools were declared in training).
    """
    queries, seen_sets = training_parts(training)
    requests = read_requests(test)
    asked = [words(next((str(m["content"]) for m in r.messages if m["role"] == "user"), "")) for r in requests]
    toolsets = [frozenset(tool["function"]["name"] for tool in r.tools or []) - CONTROL for r in requests]
    known = [words(query) for query in queries]
    best = [max((similarity(query, other) for other in known), default=0.0) for query in asked]
    seen = frozenset().union(*seen_sets) if seen_sets else frozenset()
    every = frozenset().union(*toolsets) if toolsets else frozenset()
    return {
        "training": len(queries),
        "test": len(requests),
        "equal": sum(value == 1.0 for value in best),
        "alike": sum(value >= ALIKE for value in best),
        "tools": len(every),
        "tools_seen": len(every & seen),
        "toolsets": len(set(toolsets)),
        "toolsets_seen": len(set(toolsets) & set(seen_sets)),
        "queries_seen_tools": sum(bool(tools) and tools <= seen for tools in toolsets),
    }


def overlap_text(found: dict[str, Any]) -> str:
    """The overlap as Markdown."""
    rows = [
        ["test queries with the same words as a training query", found["equal"], found["test"]],
        [f"test queries that share {ALIKE:.0%} of their words with one", found["alike"], found["test"]],
        ["tools of the test that were declared in training", found["tools_seen"], found["tools"]],
        ["tool sets of the test that occur in training", found["toolsets_seen"], found["toolsets"]],
        ["test queries all of whose tools were declared in training", found["queries_seen_tools"], found["test"]],
    ]
    return f"Overlap with the {found['training']:,} training trajectories:\n\n" + markdown(["", "count", "of"], rows)
