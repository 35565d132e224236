"""Check that a user's SQL condition is one expression, so that it cannot become another statement."""

from __future__ import annotations

from typing import Any

import duckdb
import orjson

from tldata.errors import UsageError

SKELETON = "SELECT 1 WHERE (\n{}\n)"
HINT = "a condition on the columns of trajectories and calls, such as: reward = 0 AND tool_name LIKE 'get_%'"


def check_condition(condition: str, *, hint: str = HINT) -> None:
    """Refuse whatever is not one SQL expression: several statements, clauses, commands.

    The condition is put where an expression stands, and DuckDB's own parser must find that nothing around it has changed.

    Raises:
        UsageError: says what is wrong.

    >>> check_condition("reward = 0 OR tool_name IS NULL")
    """
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as parser:
        found = _parse(parser, SKELETON.format(condition), hint)
        plain = _parse(parser, SKELETON.format("true"), hint)
    if found.get("error"):
        raise UsageError(f"no SQL condition: {found.get('error_message', 'it cannot be read')}", hint=hint)
    if _around(found) != _around(plain):
        raise UsageError("the condition must be one expression, without further clauses or statements", hint=hint)


def _parse(parser: duckdb.DuckDBPyConnection, query: str, hint: str) -> dict[str, Any]:
    try:
        row = parser.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    except (duckdb.Error, UnicodeEncodeError) as error:
        raise UsageError(f"no SQL condition: {str(error).splitlines()[0]}", hint=hint) from None
    assert row is not None
    parsed: dict[str, Any] = orjson.loads(row[0])
    return parsed


def _around(parsed: dict[str, Any]) -> Any:
    """The parse tree without the condition and without the places where things stood in the text."""
    statements = [{**s, "node": {**s["node"], "where_clause": None}} for s in parsed["statements"]]
    return _without_places(statements)


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_places(v) for k, v in value.items() if not k.startswith("query_location")}
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    return value
