"""What is asked of all tables at the end of a run needs little memory, however many rows there are and however long trajectories get."""

from __future__ import annotations

import re

import duckdb
import pytest

from tldata.sqlfiles import list_sql, read_sql

COMPLETE = "messages_are_complete"
QUERIES = {"digest": read_sql("annotate/digest"), COMPLETE: list_sql("checks")[COMPLETE].read_text(encoding="utf-8")}
ROWS, LONGEST = 3_000_000, 400_000


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Views of three million messages and calls of some thousand trajectories, one of them with 400,000; no row is stored."""
    connection = duckdb.connect()
    folder = tmp_path_factory.mktemp("many")
    length = f"CASE WHEN t = 0 THEN {LONGEST} ELSE {(ROWS - LONGEST) // 5_000} END"
    connection.execute(f"""
        CREATE TABLE lengths AS SELECT 'source:' || t AS trajectory_id, t, {length} AS n FROM range(5001) AS r(t);
        COPY (SELECT trajectory_id, 'x' || t AS content_hash, 'tools' AS toolset_id, '{{}}' AS metadata, n AS n_messages,
              n AS n_calls, 0 AS n_errors, 'openai' AS format, 'source' AS source FROM lengths) TO '{folder}/trajectories.parquet';
        COPY (SELECT trajectory_id, unnest(range(n))::INTEGER AS turn, 'assistant' AS role, 'text' AS content FROM lengths)
              TO '{folder}/messages.parquet';
        COPY (SELECT trajectory_id, turn, 0 AS call_index, 'f' AS tool_name, 'others' AS category, false AS is_error,
              true AS trainable, NULL::VARCHAR AS feedback, NULL::INTEGER AS feedback_turn, NULL::VARCHAR AS paired_by
              FROM '{folder}/messages.parquet') TO '{folder}/calls.parquet';
    """)
    return folder


@pytest.mark.parametrize("name", list(QUERIES))
def test_a_long_dataset_is_surveyed_in_little_memory(many, name, tmp_path):
    config = {"memory_limit": "100MB", "threads": 2, "temp_directory": str(tmp_path / "spill")}
    with duckdb.connect(config=config) as connection:
        for table in ("trajectories", "messages", "calls"):
            connection.execute(f"CREATE VIEW {table} AS FROM '{many}/{table}.parquet'")
        found = connection.execute(QUERIES[name]).fetchall()
    assert found == [] if name != "digest" else re.fullmatch(r"[0-9a-f]{32}", found[0][0])


@pytest.mark.parametrize(
    "turns", [[0, 1, 3], [1, 2, 3], [0, 1, 1], [0, 0, 2], [0, 1, 2, 3], [0, 1], [0, 1, 2, 2], [], [0, 1, -1]]
)
def test_messages_that_are_not_numbered_through_are_found(turns):
    rows = ", ".join(f"('a', {turn})" for turn in turns) or "('a', NULL::INTEGER)"
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE trajectories AS SELECT * FROM (VALUES ('a', 3), ('b', 2)) t(trajectory_id, n_messages)"
        )
        connection.execute(
            f"CREATE TABLE messages AS SELECT * FROM (VALUES ('b', 0), ('b', 1), {rows}) m(trajectory_id, turn)"
        )
        if not turns:
            connection.execute("DELETE FROM messages WHERE trajectory_id = 'a'")
        found = connection.execute(QUERIES[COMPLETE]).fetchall()
        assert [row[0] for row in found] == ["a"]
        connection.execute("DELETE FROM messages WHERE trajectory_id = 'a'")
        connection.execute("INSERT INTO messages VALUES ('a', 2), ('a', 0), ('a', 1)")
        assert connection.execute(QUERIES[COMPLETE]).fetchall() == []


def test_the_digest_is_that_of_the_rows_in_any_order_and_of_every_verdict():
    def digest(order: str, category: str = "others", trainable: bool = True) -> str:
        with duckdb.connect() as connection:
            connection.execute(f"""
                CREATE TABLE trajectories AS FROM (VALUES ('a', 'h1', 't', '{{}}'), ('b', 'h2', NULL, '{{}}'))
                    v(trajectory_id, content_hash, toolset_id, metadata) ORDER BY trajectory_id {order};
                CREATE TABLE calls AS FROM (VALUES ('a', 1, 0, 'others', true), ('b', 1, 0, '{category}', {trainable}))
                    v(trajectory_id, turn, call_index, category, trainable) ORDER BY trajectory_id {order};
            """)
            return connection.execute(QUERIES["digest"]).fetchall()[0][0]

    assert digest("ASC") == digest("DESC")
    assert len({digest("ASC"), digest("ASC", "tool_call_failure"), digest("ASC", "others", False)}) == 3
