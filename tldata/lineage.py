"""Where a dataset comes from: one digest of what it is, the digests of its parents, and what was done to it since."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tldata.dataset import read_manifest
from tldata.errors import TldataError
from tldata.sqlfiles import read_sql

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tldata.dataset import Dataset

DIGESTED_OPTIONS = (
    "branches",
    "prefixes",
)  # what else decides the rows; files given (tools, labels) show in the content


def dataset_digest(content: str, rules: Mapping[str, Any] | None, options: Mapping[str, Any] | None) -> str:
    """The one digest of a dataset: over its content and verdicts, the rules, and the options; paths and times play no part.

    Args:
        content: what sql/annotate/digest gives, which is independent of the order of rows.
        rules: the manifest's ``rules``, of which the digest counts.
        options: the manifest's ``options``, of which ``DIGESTED_OPTIONS`` count.

    Returns:
        32 hexadecimal digits.
    """
    chosen = {name: (options or {}).get(name) for name in DIGESTED_OPTIONS}
    parts = [content, (rules or {}).get("digest"), sorted(chosen.items())]
    return hashlib.blake2b(orjson.dumps(parts), digest_size=16).hexdigest()


def now() -> str:
    """The time for manifests: UTC, ISO 8601, whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@dataclass(slots=True)
class Verified:
    """Whether a dataset, or a token set, still is what its manifest says: ``expected`` and ``found`` are digests."""

    name: str
    expected: str | None
    found: str

    @property
    def ok(self) -> bool:
        return self.expected == self.found


@dataclass(slots=True)
class Lineage:
    """Where a dataset comes from. ``parents`` are lineages in short; ``tokens`` says of each token set whether it is stale."""

    path: str
    digest: str | None
    manifest: dict[str, Any]
    parents: list[dict[str, Any]]
    tokens: list[dict[str, Any]]
    unfinished: list[str]
    verified: list[Verified] | None = None

    @property
    def ok(self) -> bool:
        return all(one.ok for one in self.verified or [])

    def to_json(self) -> dict[str, Any]:
        keys = ("created_at", "tldata_version", "schema_version", "options", "rules", "counts", "sources", "history")
        found = {
            "path": self.path,
            "digest": self.digest,
            "content_digest": self.manifest.get("content_digest"),
            **{key: self.manifest.get(key) for key in keys},
            "parents": self.parents,
            "tokens": self.tokens,
            "unfinished": self.unfinished,
        }
        if self.verified is not None:
            found["verified"] = [{**asdict(one), "ok": one.ok} for one in self.verified]
            found["ok"] = self.ok
        return found


def lineage(data: Dataset, *, verify: bool = False) -> Lineage:
    """Read where a dataset comes from out of its manifest, its parents' (as far as they stand where they stood) and its token sets'.

    Args:
        verify: make the digests of the dataset and of its token sets anew from their rows.
    """
    from tldata.token_sets import read_set, set_digest, why_stale

    tokens: list[dict[str, Any]] = []
    for name in data.token_sets:
        manifest = read_set(data.path / "tokens" / name)
        made = {key: (manifest.get(key) or {}).get("name") for key in ("tokenizer", "template")}
        stale = why_stale(data, name)
        tokens.append(
            {"name": name, "digest": manifest.get("digest"), **made, "stale": stale is not None, "why": stale}
        )
    around = sorted(data.path.resolve().parent.glob(f".{data.path.resolve().name}.partial*"))
    found = Lineage(
        str(data.path),
        data.manifest.get("digest"),
        data.manifest,
        _parents(data.path, data.manifest, set()),
        tokens,
        [path.name for path in around],
    )
    if verify:
        found.verified = [verified(data)]
        for one in tokens:
            folder = data.path / "tokens" / one["name"]
            found.verified.append(Verified(f"tokens/{one['name']}", one["digest"], set_digest(folder)))
    return found


def verified(data: Dataset) -> Verified:
    """A dataset's digest made anew from its rows, beside the one in its manifest."""
    with data.connect(settings={"memory_limit": "1GB"}) as connection:
        content = connection.execute(read_sql("annotate/digest")).fetchall()[0][0]
    manifest = data.manifest
    if "content_digest" not in manifest:  # written before rules and options were part of it
        return Verified("dataset", manifest.get("digest"), content)
    return Verified(
        "dataset", manifest.get("digest"), dataset_digest(content, manifest.get("rules"), manifest.get("options"))
    )


def _parents(path: Path, manifest: Mapping[str, Any], seen: set[str], depth: int = 8) -> list[dict[str, Any]]:
    """The parents that a manifest names, each with what stands at its place now, and its own parents."""
    found = []
    for parent in manifest.get("parents") or []:
        place = Path(str(parent.get("path")))
        digest = parent.get("digest")
        try:
            own: Mapping[str, Any] = read_manifest(place)
        except TldataError:
            found.append({"path": str(place), "digest": digest, "now": "not there"})
            continue
        state = "as it was" if own.get("digest") == digest else "changed since"
        entry: dict[str, Any] = {"path": str(place), "digest": digest, "now": state}
        if state == "as it was" and depth and str(digest) not in seen:
            further = _parents(place, own, seen | {str(digest)}, depth - 1)
            entry |= {"parents": further} if further else {}
        found.append(entry)
    return found


def render_lineage(found: Lineage) -> RenderableType:
    """A dataset's history for people, oldest first."""
    from rich.console import Group
    from rich.markup import escape

    manifest = found.manifest
    rules = manifest.get("rules") or {}
    lines = [
        f"[bold]{escape(found.path)}[/bold]  digest {str(found.digest)[:16]}",
        f"made {manifest.get('created_at')} by tldata {manifest.get('tldata_version')}; rules {str(rules.get('digest'))[:16]}"
        + (f" ({escape(', '.join(map(str, rules['files'])))})" if rules.get("files") else ""),
    ]
    lines += [
        f"  source {escape(str(source.get('name')))}: {source.get('bytes', 0):,} bytes, {source.get('format')}"
        for source in manifest.get("sources") or []
    ]
    lines += _parent_lines(found.parents, "  ")
    for step in manifest.get("history") or []:
        told = ", ".join(f"{key} {_short(value)}" for key, value in step.items() if key not in ("at", "step") and value)
        lines.append(f"  {step.get('at')} {step.get('step')}: {escape(told)}")
    for one in found.tokens:
        lines.append(
            f"  tokens {escape(one['name'])}: {'[red]stale[/red]: ' + str(one['why']) if one['stale'] else 'of this content'}"
        )
    lines += [f"  unfinished beside it: {escape(name)}" for name in found.unfinished]
    for check in found.verified or []:
        lines.append(
            f"  {escape(check.name)}: as its manifest says"
            if check.ok
            else f"  {escape(check.name)}: [red]changed[/red]: {check.found[:16]}, and the manifest says {str(check.expected)[:16]}"
        )
    return Group(*lines)


def _parent_lines(parents: list[dict[str, Any]], indent: str) -> list[str]:
    from rich.markup import escape

    lines = []
    for parent in parents:
        lines.append(f"{indent}from {escape(parent['path'])} {str(parent['digest'])[:16]} ({parent['now']})")
        lines += _parent_lines(parent.get("parents", []), indent + "  ")
    return lines


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key} {n:,}" if isinstance(n, int) else f"{key} {n}" for key, n in value.items() if n)
    if isinstance(value, list):
        return f"({len(value):,})" if len(value) > 3 else ", ".join(str(one)[:16] for one in value)
    return f"{value:,}" if isinstance(value, int) else str(value)[:200]
