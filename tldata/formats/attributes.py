"""Attributes of spans as a tree: from lists of typed values, flattened keys and nested objects alike."""

from __future__ import annotations

import re
from typing import Any

from tldata.formats.shape import scalar_text

_DEPTH = 32
_INTEGER = re.compile(r"-?[0-9]{1,39}")


def attributes_of(value: Any) -> dict[str, Any]:
    """Attributes as a map: OTLP and Jaeger write a list of keys and typed values."""
    if isinstance(value, dict):
        return value
    pairs = {}
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict) and isinstance(item.get("key"), str):
            pairs[item["key"]] = _plain(item.get("value"))
    return pairs


def _values(value: Any) -> list[Any]:
    values = value.get("values") if isinstance(value, dict) else None
    return values if isinstance(values, list) else []


def _plain(value: Any, depth: int = 0) -> Any:
    """A plain value out of an OTLP AnyValue."""
    if not isinstance(value, dict) or depth > _DEPTH:
        return value
    for key, inner in value.items():
        name = key.replace("_", "").lower()
        if name in ("stringvalue", "boolvalue", "doublevalue", "bytesvalue"):
            return inner
        if name == "intvalue":
            return int(inner) if isinstance(inner, str) and _INTEGER.fullmatch(inner) else inner
        if name == "arrayvalue":
            return [_plain(one, depth + 1) for one in _values(inner)]
        if name == "kvlistvalue":
            return {
                pair["key"]: _plain(pair.get("value"), depth + 1)
                for pair in _values(inner)
                if isinstance(pair, dict) and isinstance(pair.get("key"), str)
            }
    return value


def tree_of(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes by the dots of their names; numbered ones as lists. A value whose name goes on in another stands under ``""``.

    >>> tree_of({"a.b": 1, "a.c.0.d": 2, "a.c.1.d": 3, "e": "x", "e.f": 4})
    {'a': {'b': 1, 'c': [{'d': 2}, {'d': 3}]}, 'e': {'': 'x', 'f': 4}}
    """
    tree: dict[str, Any] = {}
    for key, value in attributes.items():
        _put(tree, key.split(".")[:_DEPTH], _branch(value, 0))
    return _listed(tree, 0)


def _branch(value: Any, depth: int) -> Any:
    """A value that is itself a tree (Phoenix), its dotted keys divided too."""
    if depth > _DEPTH:
        return value
    if isinstance(value, dict):
        tree: dict[str, Any] = {}
        for key, inner in value.items():
            _put(tree, key.split(".")[:_DEPTH], _branch(inner, depth + 1))
        return tree
    if isinstance(value, list):
        return [_branch(item, depth + 1) if isinstance(item, dict) else item for item in value]
    return value


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        inner = tree.get(key)
        if not isinstance(inner, dict):
            inner = tree[key] = {} if inner is None else {"": inner}
        tree = inner
    last = tree.get(path[-1])
    if isinstance(last, dict):
        if isinstance(value, dict):
            for key, inner in value.items():
                _put(last, [key], inner)
        else:
            last[""] = value
    else:
        tree[path[-1]] = value


def _listed(value: Any, depth: int) -> Any:
    if isinstance(value, list):
        return [_listed(item, depth + 1) for item in value] if depth < _DEPTH else value
    if not isinstance(value, dict) or depth > 2 * _DEPTH:
        return value
    if value and all(key.isascii() and key.isdigit() and len(key) < 10 for key in value):
        return [_listed(value[key], depth + 1) for key in sorted(value, key=int)]
    return {key: _listed(inner, depth + 1) for key, inner in value.items()}


def at(tree: Any, *path: str) -> Any:
    """The value at a path of a tree, None where there is none; of one that goes on, its own."""
    for key in path:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(key)
    return tree[""] if isinstance(tree, dict) and "" in tree else tree


def text_at(tree: Any, *path: str) -> str | None:
    """The text, number or time at a path of a tree."""
    return scalar_text(at(tree, *path))
