"""What differs between two datasets: shares beyond chance, tools, their schemas, and wordings of feedback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

from tldata.evaluate.intervals import Interval, wilson
from tldata.rules_mine import MAX_TEXT, Template, unseen
from tldata.schema import NOT_ERRORS
from tldata.sqlfiles import read_sql

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tldata.dataset import Dataset

MAX_TEXTS = 200_000  # distinct feedback texts looked at in each dataset, the most frequent first
KINDS = {"error": "errors", "category": "categories", "tool": "errors of a tool", "use": "calls of a tool"}


@dataclass(frozen=True, slots=True)
class Share:
    """k of n, with the sums over trajectories by which its interval allows for calls of one trajectory going together."""

    k: int = 0
    n: int = 0
    kk: float = 0.0
    kn: float = 0.0
    nn: float = 0.0
    m: int = 0

    @property
    def share(self) -> float | None:
        return self.k / self.n if self.n else None

    @property
    def n_effective(self) -> float:
        """Of how many independent calls the share tells as much: n over the design effect, which is at least 1.

        Source: the linearised variance of a ratio over clusters (Cochran 1977, 11.7), m/(m-1) sum((k_i - p n_i)^2) / n^2.

        >>> round(Share(k=10, n=20, kk=100, kn=100, nn=200, m=2).n_effective, 1)    # two trajectories, one all wrong
        1.0
        """
        if self.m < 2 or not 0 < self.k < self.n:
            return float(self.n)
        p = self.k / self.n
        spread = max(self.kk - 2 * p * self.kn + p * p * self.nn, 0.0)
        variance = self.m / (self.m - 1) * spread / self.n**2
        return self.n / max(variance / (p * (1 - p) / self.n), 1.0)

    def interval(self) -> Interval | None:
        """Wilson's interval on the effective number of calls."""
        if self.share is None:
            return None
        return wilson(self.share * self.n_effective, self.n_effective)


@dataclass(frozen=True, slots=True)
class Difference:
    """One share in both datasets; ``low`` and ``high`` bound b - a at 95%; ``sign`` is + or - where they leave out 0."""

    kind: str
    name: str
    a: Share
    b: Share
    low: float | None
    high: float | None

    @property
    def sign(self) -> str:
        if self.low is None or self.high is None:
            return ""
        return "+" if self.low > 0 else "-" if self.high < 0 else ""

    def to_json(self) -> dict[str, Any]:
        sides = {
            side: {"k": share.k, "n": share.n, "share": share.share, "interval": share.interval()}
            for side, share in (("a", self.a), ("b", self.b))
        }
        return {"kind": self.kind, "name": self.name, **sides, "low": self.low, "high": self.high, "sign": self.sign}


@dataclass(frozen=True, slots=True)
class DatasetDiff:
    """Two datasets compared: ``same`` where their digests agree."""

    a: str
    b: str
    same: bool
    counts: dict[str, tuple[int | None, int | None]]
    shares: list[Difference]
    new_tools: list[str]
    vanished_tools: list[str]
    changed_schemas: list[str]
    new_templates: list[Template]

    def to_json(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in ("a", "b", "same", "counts")}
        named = {name: getattr(self, name) for name in ("new_tools", "vanished_tools", "changed_schemas")}
        templates = [asdict(template) for template in self.new_templates]
        return {**found, "shares": [one.to_json() for one in self.shares], **named, "new_templates": templates}


def newcombe(a: Share, b: Share) -> Interval | None:
    """The 95% interval of b's share less a's, from both shares' Wilson intervals; None where one has no calls.

    Source: Newcombe (1998), method 10. His example 56/70 against 48/80 gives 0.052 to 0.334; the correction m/(m-1) widens it a little:

    >>> one, other = Share(48, 80, 48, 48, 80, 80), Share(56, 70, 56, 56, 70, 70)
    >>> [round(bound, 3) for bound in newcombe(one, other)]
    [0.051, 0.335]
    """
    first, second = a.interval(), b.interval()
    if first is None or second is None or a.share is None or b.share is None:
        return None
    between = b.share - a.share
    low = between - sqrt((b.share - second.low) ** 2 + (first.high - a.share) ** 2)
    high = between + sqrt((second.high - b.share) ** 2 + (a.share - first.low) ** 2)
    return Interval(low, high)


def shares(data: Dataset) -> dict[tuple[str, str], Share]:
    """A dataset's shares by (kind, name)."""
    rows = data.sql(read_sql("diff/shares")).to_pylist()
    return {(row.pop("kind"), row.pop("name")): Share(**row) for row in rows}


def tools(data: Dataset) -> dict[str, dict[str, Any]]:
    """The tools of a dataset by name: declared, n_calls, schemas."""
    return {row.pop("name"): row for row in data.sql(read_sql("diff/tools")).to_pylist()}


def diff(a: Dataset, b: Dataset, *, min_calls: int = 2) -> DatasetDiff:
    """Compare two datasets, the first of which is the reference.

    Args:
        min_calls: templates of feedback seen in fewer calls of ``b`` are left out.
    """
    found_a, found_b = shares(a), shares(b)
    all_a, all_b = found_a["error", "any error"], found_b["error", "any error"]
    differences = []
    for key in sorted(found_a.keys() | found_b.keys(), key=lambda key: (list(KINDS).index(key[0]), key[1])):
        one, other = (
            found.get(key, Share(n=every.n if key[0] != "tool" else 0, nn=every.nn, m=every.m))
            for found, every in ((found_a, all_a), (found_b, all_b))
        )
        differences.append(Difference(*key, one, other, *(newcombe(one, other) or (None, None))))
    tools_a, tools_b = tools(a), tools(b)
    both = [name for name in tools_a if name in tools_b and tools_a[name]["declared"] and tools_b[name]["declared"]]
    names = ("n_trajectories", "n_calls", "n_errors", "n_rejects")
    counted = {name: (a.manifest["counts"].get(name), b.manifest["counts"].get(name)) for name in names}
    templates = [one for one in unseen(_feedback(a), _feedback(b)) if one.n_calls >= min_calls]
    return DatasetDiff(
        str(a.path),
        str(b.path),
        a.manifest.get("digest") == b.manifest.get("digest"),
        counted,
        differences,
        sorted(tools_b.keys() - tools_a.keys()),
        sorted(tools_a.keys() - tools_b.keys()),
        [name for name in both if tools_a[name]["schemas"] != tools_b[name]["schemas"]],
        sorted(templates, key=lambda one: (one.kind != "message", -one.n_calls, one.template)),
    )


def _feedback(data: Dataset) -> Iterator[dict[str, Any]]:
    """Distinct feedback with its category, rule and tool, and in how many calls it stands."""
    rows = data.sql(
        f"""
        SELECT left(feedback, {MAX_TEXT:d}) AS text, category, rule_id, tool_name, count(*) AS n
        FROM calls WHERE feedback IS NOT NULL AND trainable
        GROUP BY ALL ORDER BY n DESC, text, category, rule_id, tool_name LIMIT {MAX_TEXTS:d}
        """
    )
    for batch in rows.to_batches(max_chunksize=10_000):
        yield from batch.to_pylist()


def render(found: DatasetDiff, *, every: bool = False, limit: int = 20) -> RenderableType:
    """The comparison for people: shares that differ beyond chance (or every one), tools, schemas, wordings."""
    from rich.console import Group
    from rich.text import Text

    from tldata.console import percent, result_table

    lines: list[RenderableType] = []
    if found.same:
        return Text("the same trajectories, verdicts, rules and options (equal digests)")
    rows = []
    for one in found.shares:
        if not (every or one.sign or one.kind == "error"):
            continue
        apart = "-" if one.low is None or one.high is None else f"{100 * one.low:+.1f} to {100 * one.high:+.1f}"
        rows.append([KINDS[one.kind], one.name, percent(one.a.share), percent(one.b.share), apart, one.sign])
    lines.append(
        result_table(["of", "name", "a", "b", "b - a, points (95%)", "sign"], rows, limit=None if every else 3 * limit)
    )
    chance = sum(one.low is not None for one in found.shares)
    lines.append(Text(f"{chance:,} shares compared; about one in twenty would get a sign by chance", style="dim"))
    for what, names in (
        ("new tools", found.new_tools), ("vanished tools", found.vanished_tools), ("changed schemas", found.changed_schemas),
    ):  # fmt: skip
        if names:
            more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
            lines.append(Text(f"{what}: {', '.join(names[:limit])}{more}"))
    messages = [one for one in found.new_templates if one.kind == "message"]
    errors = [one for one in messages if one.category not in NOT_ERRORS]
    if errors:
        lines.append(Text(f"new wordings of feedback on errors: {len(errors):,}"))
        lines += [Text(f"  {one.n_calls:,} calls, {one.category}: {one.template[:160]}") for one in errors[:limit]]
    if len(messages) > len(errors):
        rest = f"{len(messages) - len(errors):,} new wordings of other feedback (--json lists them)"
        lines.append(Text(rest, style="dim"))
    return Group(*lines)
