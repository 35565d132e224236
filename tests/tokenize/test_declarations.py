"""Declarations on disk are those in memory, however a tool set's rows lie in the table, and a process holds few of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tldata.schema import TABLES
from tldata.tokenize import declarations
from tldata.tokenize.declarations import DeclarationsInMemory, SpooledDeclarations, index_of, spool

SCHEMA = TABLES["toolsets"]


def write(dataset: Path, files: list[list[tuple[str, int]]]) -> Path:
    (dataset / "toolsets").mkdir(parents=True, exist_ok=True)
    for old in (dataset / "toolsets").glob("*"):
        old.unlink()
    for number, rows in enumerate(files):
        columns = {name: [None] * len(rows) for name in SCHEMA.names}
        columns |= {"toolset_id": [r[0] for r in rows], "position": [r[1] for r in rows]}
        columns |= {"name": [f"{a}-{b}" for a, b in rows], "parameters": ["{}"] * len(rows)}
        pq.write_table(pa.table(columns, schema=SCHEMA), dataset / "toolsets" / f"{number:05}.parquet")
    return dataset


rows = st.tuples(st.sampled_from(["a", "b", "c", "d\u00e9", ""]), st.integers(0, 9))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(st.lists(rows, max_size=12), min_size=1, max_size=3), at_a_time=st.integers(1, 5))
def test_spooled_declarations_are_those_in_memory(tmp_path, monkeypatch, files, at_a_time):
    monkeypatch.setattr(declarations, "SPOOL_ROWS", at_a_time)
    monkeypatch.setattr(declarations, "BATCHES_KEPT", 2)
    dataset = write(tmp_path / "data", files)
    spool(dataset, tmp_path / "toolsets.arrow")
    memory, spooled = DeclarationsInMemory(dataset), SpooledDeclarations(tmp_path / "toolsets.arrow")
    for toolset in ("a", "b", "c", "d\u00e9", "", "unknown", "a"):
        flat = [row for file in files for row in file if row[0] == toolset]
        expected = [f"{name}-{position}" for name, position in sorted(flat, key=lambda row: row[1])]
        assert [row["name"] for row in memory.of(toolset)] == expected
        assert spooled.of(toolset) == memory.of(toolset)
    assert len(spooled._kept) <= 2


def test_a_spool_is_small_and_without_its_index_it_is_made_again(tmp_path):
    dataset = write(tmp_path / "data", [[(f"set-{n:06}", p) for n in range(2_000) for p in range(3)]])
    path = tmp_path / "toolsets.arrow"
    spool(dataset, path)
    plain = SpooledDeclarations(path)._spool.read_all().nbytes
    assert path.stat().st_size < plain / 2
    assert declarations.is_spooled(path)
    assert [row["position"] for row in SpooledDeclarations(path).of("set-001999")] == [0, 1, 2]
    index_of(path).unlink()
    assert not declarations.is_spooled(path)
    with pytest.raises(FileNotFoundError):
        SpooledDeclarations(path)
