"""Comparing datasets row for row, and conversations in few words."""

from tests.records import TOOLS, answers, asks, call, user
from tldata.dataset import Dataset
from tldata.schema import TABLES

ORDER = {
    "trajectories": "trajectory_id",
    "messages": "trajectory_id, turn",
    "calls": "trajectory_id, turn, call_index",
    "toolsets": "toolset_id, position",
    "rejects": "source, source_line, reason",
    "merged": "source, source_line, trajectory_id",
}


def rows(data: Dataset, table: str, *, ordered: bool = False):
    return data.sql(f"FROM {table}" + ("" if ordered else f" ORDER BY {ORDER[table]}")).to_pylist()


def assert_same(one: Dataset, other: Dataset, *, ordered: bool = False) -> None:
    for table in TABLES:
        assert rows(one, table, ordered=ordered) == rows(other, table, ordered=ordered), table
    assert one.manifest["digest"] == other.manifest["digest"]
    assert one.manifest["counts"] == other.manifest["counts"]


def conversation(*turns: str, system: str | None = None, tools: bool = True) -> dict:
    """A trajectory of plain turns: ``u:`` user, ``a:`` answer, ``c:`` a call of forecast and what it gave."""
    messages = [] if system is None else [{"role": "system", "content": system}]
    for turn in turns:
        kind, _, text = turn.partition(":")
        if kind == "u":
            messages.append(user(text))
        elif kind == "a":
            messages.append({"role": "assistant", "content": text})
        else:
            messages += [asks(call("forecast", {"city": text})), answers(f"{text} 21C")]
    return {"messages": messages, **({"tools": TOOLS} if tools else {})}
