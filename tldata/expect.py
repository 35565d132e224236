"""Check a dataset against what is expected of it: limits of shares and counts, nulls, tools, schemas, queries of one's own."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from tldata import schema
from tldata.dataset_diff import Share, shares, tools
from tldata.errors import UsageError
from tldata.sqlfiles import list_sql

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tldata.dataset import Dataset

LIMITS = ("error_share", "reject_share", "n_trajectories", "n_calls", "n_rejects")
SECTIONS = ("limits", "categories", "nulls", "tools", "query")
MARGIN = 0.005  # added to a frozen share on both sides, beside twice its interval
EXAMPLE = 'such as\n[limits]\nerror_share = { max = 0.2 }'  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation and what was found; ``name`` is section and key, such as ``limits.error_share``."""

    name: str
    ok: bool
    found: str
    expected: str


def read_expectations(file: str | Path) -> dict[str, Any]:
    """Read a file of expectations, TOML or JSON.

    Raises:
        UsageError: it cannot be read, or says something that is not known; names it.
    """
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file}: cannot be read: {error}", hint=EXAMPLE) from None
    if not isinstance(found, dict):
        raise UsageError(f"{file}: holds no tables", hint=EXAMPLE)
    _refuse_unknown(file, "", found, SECTIONS)
    for section in ("limits", "categories", "nulls"):
        table = _table(file, section, found.get(section, {}))
        if section == "limits":
            _refuse_unknown(file, "limits.", table, LIMITS)
        for name, limit in table.items():
            _check_limit(file, f"{section}.{name}", limit)
            if section == "nulls" and not re.fullmatch(r"\w+\.\w+", name):
                raise UsageError(
                    f"{file}: nulls.{name}: a table and its column", hint='"calls.feedback" = { max = 0.1 }'
                )
    known = _table(file, "tools", found.get("tools", {}))
    _refuse_unknown(file, "tools.", known, ("schemas", "new", "changed"))
    for name in ("new", "changed"):
        if not isinstance(known.get(name, False), bool):
            raise UsageError(f"{file}: tools.{name} is true (allowed) or false")
    for name, digests in _table(file, "tools.schemas", known.get("schemas", {})).items():
        if not isinstance(digests, list) or not all(isinstance(one, str) for one in digests):
            raise UsageError(
                f"{file}: tools.schemas.{name}: a list of digests", hint="tldata check DATASET --write-expect FILE"
            )
    queries = found.get("query", [])
    if not isinstance(queries, list) or not all(
        isinstance(one, dict) and one.keys() == {"name", "sql"} and all(isinstance(v, str) for v in one.values())
        for one in queries
    ):
        raise UsageError(f"{file}: query: rows with name and sql", hint='[[query]]\nname = "..."\nsql = "SELECT ..."')
    return found


def _refuse_unknown(file: str | Path, prefix: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(table.keys() - set(known))
    if unknown:
        raise UsageError(f"{file}: unknown key {prefix}{unknown[0]}", hint=f"one of {', '.join(known)}")


def _table(file: str | Path, name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{file}: {name} is no table", hint=EXAMPLE)
    return value


def _check_limit(file: str | Path, name: str, limit: Any) -> None:
    good = isinstance(limit, dict) and limit and limit.keys() <= {"min", "max"}
    if not good or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in limit.values()):
        raise UsageError(f"{file}: {name} is a table of min, max or both", hint=f"{name} = {{ max = 0.1 }}")


def check(data: Dataset, expected: Mapping[str, Any] | None = None, *, reference: Dataset | None = None) -> list[Check]:
    """Run the checks of sql/checks over a dataset, and then what is expected of it.

    Args:
        expected: as ``read_expectations`` gives it.
        reference: a dataset whose tools and schemas are expected.

    Raises:
        UsageError: a query of the file, or a column that it names, does not exist.
    """
    wanted = dict(expected or {})
    if reference is not None:
        named = {name: row["schemas"] for name, row in tools(reference).items()}
        wanted["tools"] = {**wanted.get("tools", {}), "schemas": named}
    found = list(_own_checks(data))
    found += _limits(data, wanted)
    found += [_null_share(data, name, limit) for name, limit in wanted.get("nulls", {}).items()]
    if "schemas" in wanted.get("tools", {}):
        found += _tools(data, wanted["tools"])
    for query in wanted.get("query", []):
        rows = data.sql(query["sql"])
        found.append(Check(f"query.{query['name']}", rows.num_rows == 0, f"{rows.num_rows:,} rows", "no rows"))
    return found


def _own_checks(data: Dataset) -> Iterator[Check]:
    for name, path in list_sql("checks").items():
        broken = data.sql(path.read_text(encoding="utf-8")).num_rows
        yield Check(f"checks.{name}", broken == 0, f"{broken:,} rows", "no rows")


def _limits(data: Dataset, wanted: Mapping[str, Any]) -> list[Check]:
    values = measured(data)
    found = [_within(f"limits.{name}", values[name], limit) for name, limit in wanted.get("limits", {}).items()]
    categories = values["categories"]
    return found + [
        _within(f"categories.{name}", categories.get(name, Share()).share or 0.0, limit)
        for name, limit in wanted.get("categories", {}).items()
    ]


def measured(data: Dataset) -> dict[str, Any]:
    """The values that limits are about, by their names, and ``categories``: name -> Share."""
    found = shares(data)
    counts = data.manifest["counts"]
    n_inputs = counts.get("n_inputs") or 0
    return {
        "error_share": found["error", "any error"].share or 0.0,
        "reject_share": counts.get("n_rejects", 0) / n_inputs if n_inputs else 0.0,
        **{name: counts.get(name, 0) for name in ("n_trajectories", "n_calls", "n_rejects")},
        "error": found["error", "any error"],
        "categories": {name: share for (kind, name), share in found.items() if kind == "category"},
    }


def _within(name: str, value: float, limit: Mapping[str, float]) -> Check:
    low, high = limit.get("min", float("-inf")), limit.get("max", float("inf"))
    texts = [f"{word} {_number(limit[key])}" for key, word in (("min", "at least"), ("max", "at most")) if key in limit]
    return Check(name, low <= value <= high, _number(value), ", ".join(texts))


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _null_share(data: Dataset, name: str, limit: Mapping[str, float]) -> Check:
    table, column = name.split(".")
    if table not in schema.TABLES or column not in data.sql(f"FROM {table} LIMIT 0").schema.names:
        raise UsageError(f"nulls.{name}: no such column", hint=f"a column of {', '.join(schema.TABLES)}")
    row = data.sql(f'SELECT count(*) AS n, count(*) FILTER ("{column}" IS NULL) AS k FROM {table}').to_pylist()[0]
    return _within(f"nulls.{name}", row["k"] / row["n"] if row["n"] else 0.0, limit)


def _tools(data: Dataset, wanted: Mapping[str, Any]) -> list[Check]:
    known: Mapping[str, list[str]] = wanted["schemas"]
    own = tools(data)
    new = sorted(own.keys() - known.keys())
    changed = sorted(
        n for n in own.keys() & known.keys() if own[n]["declared"] and set(own[n]["schemas"]) - set(known[n])
    )
    return [
        Check("tools.new", not new or wanted.get("new", False), _some(new), "no new tool"),
        Check("tools.changed", not changed or wanted.get("changed", False), _some(changed), "no changed schema"),
    ]


def _some(names: list[str], limit: int = 5) -> str:
    if not names:
        return "none"
    return ", ".join(names[:limit]) + (f" and {len(names) - limit:,} more" if len(names) > limit else "")


def freeze(data: Dataset) -> dict[str, Any]:
    """Expectations that a dataset meets itself, and that others like it will: shares within twice their intervals, its tools and schemas."""
    values = measured(data)
    rejects = Share(values["n_rejects"], data.manifest["counts"].get("n_inputs") or 0)
    return {
        "limits": {"error_share": _around(values["error"]), "reject_share": {"max": _around(rejects)["max"]}},
        "categories": {name: _around(share) for name, share in sorted(values["categories"].items())},
        "tools": {"new": False, "changed": False, "schemas": {n: row["schemas"] for n, row in tools(data).items()}},
    }


def _around(share: Share) -> dict[str, float]:
    interval = share.interval()
    if interval is None or share.share is None:
        return {"max": MARGIN}
    low = share.share - 2 * (share.share - interval.low) - MARGIN
    high = share.share + 2 * (interval.high - share.share) + MARGIN
    return {"min": round(max(low, 0.0), 4), "max": round(min(high, 1.0), 4)}


def write_expectations(found: Mapping[str, Any], file: str | Path, *, overwrite: bool = False) -> None:
    """Write expectations as TOML, or as JSON where the file's name ends so.

    Raises:
        UsageError: the file exists.
    """
    path = Path(file)
    if path.exists() and not overwrite:
        raise UsageError(f"{file} exists", hint="another name, or remove it first")
    if path.suffix == ".json":
        text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    else:
        lines = [
            "# Written by tldata check --write-expect; shares lie within twice their 95% intervals.",
            "",
            "[limits]",
        ]
        lines += [f"{name} = {_inline(limit)}" for name, limit in found["limits"].items()]
        lines += ["", "[categories]"]
        lines += [f"{_key(name)} = {_inline(limit)}" for name, limit in found["categories"].items()]
        lines += [
            "",
            "[tools]",
            "new = false      # true: new tools are allowed",
            "changed = false  # true: changed schemas are allowed",
        ]
        lines += ["", "[tools.schemas]"]
        lines += [f"{_key(name)} = {json.dumps(digests)}" for name, digests in found["tools"]["schemas"].items()]
        text = "\n".join(lines) + "\n"
    partial = path.with_name(path.name + ".tmp")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _inline(limit: Mapping[str, float]) -> str:
    return "{ " + ", ".join(f"{name} = {value!r}" for name, value in limit.items()) + " }"


def _key(name: str) -> str:
    """A name as a quoted key of TOML, whose escapes are those of JSON, and DEL's."""
    return json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")


def junit(found: list[Check], dataset: str) -> str:
    """The checks as JUnit XML, one test case each."""
    failed = sum(not one.ok for one in found)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuite name="tldata check" tests="{len(found)}" failures="{failed}" errors="0">',
    ]
    for one in found:
        head = f"  <testcase classname={quoteattr(_printable(dataset))} name={quoteattr(_printable(one.name))}"
        if one.ok:
            lines.append(f"{head}/>")
        else:
            message = _printable(f"found {one.found}, expected {one.expected}")
            lines.append(f"{head}><failure message={quoteattr(message)}>{escape(message)}</failure></testcase>")
    return "\n".join([*lines, "</testsuite>", ""])


def _printable(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def to_json(found: list[Check], dataset: str) -> dict[str, Any]:
    return {"dataset": dataset, "ok": all(one.ok for one in found), "checks": [asdict(one) for one in found]}


def render(found: list[Check]) -> RenderableType:
    """The checks as a table, those that failed first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("", "check", "found", "expected"):
        table.add_column(name, overflow="fold")
    for one in sorted(found, key=lambda one: one.ok):
        mark = Text("ok" if one.ok else "failed", style="green" if one.ok else "red")
        table.add_row(mark, Text(one.name), Text(one.found), Text(one.expected, style="dim"))
    return table
