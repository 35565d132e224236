"""Find the messages that no rule knows yet: cluster feedback that only the default rule, or ``others``, took into templates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tldata.console import style_of
from tldata.errors import UsageError
from tldata.evidence.envelope import FLAG, MARKED, NOTICE, OUTPUT, PAGE, PLAIN, STATUS, unwrap
from tldata.evidence.loose import parse_loosely

if TYPE_CHECKING:
    from tldata.dataset import Dataset

DEFAULT_LIMIT = 200_000  # distinct feedback texts looked at, the most frequent first
MAX_TEXT = 4_000  # characters of one feedback looked at
MAX_WORDS = 40  # of a message; what follows is cut
ALIKE = 0.6  # share of the longer message's words that two messages must have in common, in order
MAX_CLUSTERS = 4_000
WILDCARD = "<*>"
# What stands for a value, not for a wording; the first that fits wins, and the rest of the text is split at spaces.
VALUES = re.compile(
    r"""
      "[^"\n]{0,200}" | '[^'\n]{1,200}?'(?!\w) | `[^`\n]{1,200}`    # quoted
    | https?://[^\s"'<>,]+ | [\w.+-]+@[\w-]+\.[\w.]+                # addresses
    | \b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b      # UUIDs
    | \b(?=\w*\d)\w+(?:[-.:/]\w*\d\w*)*\b                           # numbers, dates, ids with digits
    | \b\w+(?:[_./\\]\w+)+\b                                        # names_with_parts, paths, dotted names
    """,
    re.VERBOSE,
)
WORD = re.compile(r"<\*>|\w+|[^\w\s]")
SCOPES = (MARKED, OUTPUT, PLAIN, NOTICE, PAGE, STATUS, FLAG)  # where the wording is looked for, in this order


@dataclass(slots=True)
class Template:
    """One wording, with what it was seen in.

    ``template`` has ``<*>`` where the messages differ. ``kind``: ``message``, or ``data`` for content that says nothing
    (then the template is its shape). ``pattern``: an RE2 pattern to begin a rule with; None for data.
    """

    template: str
    kind: str
    n_calls: int = 0
    n_texts: int = 0
    category: str = ""
    rule_id: str = ""
    where: str = ""
    pattern: str | None = None
    tools: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Cluster:
    words: list[str]
    kind: str
    n_calls: int = 0
    n_texts: int = 0
    categories: Counter[tuple[str, str]] = field(default_factory=Counter)
    wheres: Counter[str] = field(default_factory=Counter)
    tools: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)


def mine(
    data: Dataset,
    *,
    which: str = "both",
    min_calls: int = 1,
    examples: int = 3,
    limit: int = DEFAULT_LIMIT,
) -> list[Template]:
    """Cluster feedback into templates.

    Args:
        data: an opened dataset.
        which: ``default`` (only the default rule matched), ``others`` (the verdict is others), or ``both``.
        min_calls: templates seen in fewer calls are left out.
        examples: texts kept of each template.
        limit: distinct feedback texts looked at, the most frequent first.

    Returns:
        messages first, then data by shape; each by falling n_calls.

    Raises:
        UsageError: ``which`` is none of the three.
    """
    conditions = {
        "default": "rule_id = 'default'",
        "others": "category = 'others'",
        "both": "(rule_id = 'default' OR category = 'others')",
    }
    if which not in conditions:
        raise UsageError(f"which is {which!r}", hint="default, others or both")
    rows = data.sql(
        f"""
        SELECT left(feedback, {MAX_TEXT:d}) AS text, category, rule_id, tool_name, count(*) AS n
        FROM calls WHERE feedback IS NOT NULL AND trainable AND {conditions[which]}
        GROUP BY ALL ORDER BY n DESC, text, category, rule_id, tool_name LIMIT {limit:d}
        """
    )
    miner = _Miner(examples)
    for batch in rows.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            miner.add(row)
    found = [template for template in miner.templates() if template.n_calls >= min_calls]
    return sorted(found, key=lambda t: (t.kind != "message", -t.n_calls, t.template))


def unseen(known: Iterable[dict[str, Any]], rows: Iterable[dict[str, Any]], *, examples: int = 3) -> list[Template]:
    """The templates of ``rows`` that no row of ``known`` has, messages and data.

    Args:
        known, rows: feedback as ``mine`` counts it: text, category, rule_id, tool_name, n.
        examples: texts kept of each template.
    """
    miner = _Miner(examples)
    for row in known:
        miner.add(row)
    n_known = len(miner.clusters)
    for row in rows:
        miner.add(row)
    return templates_of(miner.clusters[n_known:])


class _Miner:
    """Clusters that grow: a message joins the cluster with which it has most words in common, in order, or begins its own."""

    def __init__(self, examples: int) -> None:
        self._keep = examples
        self._by_key: dict[tuple[str, ...], _Cluster] = {}
        self.clusters: list[_Cluster] = []
        self._with_word: dict[str, list[int]] = {}
        self._rest: dict[str, _Cluster] = {}

    def add(self, row: dict[str, Any]) -> None:
        kind, where, message = message_of(row["text"])
        words = tuple(words_of(message)) if kind == "message" else (message,)
        key = (kind, *words)
        cluster = self._by_key.get(key)
        if cluster is None:
            cluster = self._by_key[key] = (
                self._join(list(words)) if kind == "message" else self._alone(list(words), kind)
            )
        cluster.n_calls += row["n"]
        cluster.n_texts += 1
        cluster.categories[row["category"], row["rule_id"] or ""] += row["n"]
        cluster.wheres[where] += row["n"]
        if row["tool_name"]:
            cluster.tools[row["tool_name"]] += row["n"]
        if len(cluster.examples) < self._keep and row["text"] not in cluster.examples:
            cluster.examples.append(row["text"])

    def _alone(self, words: list[str], kind: str) -> _Cluster:
        if len(self.clusters) >= MAX_CLUSTERS:
            words = [f"(further {kind}s)"]
            return self._rest.setdefault(kind, _Cluster(words, kind))
        cluster = _Cluster(words, kind)
        self.clusters.append(cluster)
        return cluster

    def _join(self, words: list[str]) -> _Cluster:
        """The most alike cluster, its template cut down to what both have; or a new one."""
        constants = {word for word in words if word != WILDCARD and word.isalnum()}
        shared = Counter(number for word in constants for number in self._with_word.get(word, ()))
        best: tuple[float, int, list[str]] | None = None
        for number, common in shared.most_common(20):
            theirs = self.clusters[number].words
            size = max(_weight(words), _weight(theirs))
            if common < ALIKE * size - 1e-9:
                continue
            merged = merge(theirs, words)
            share = _weight(merged) / size if size else 0.0
            if share >= ALIKE and (best is None or share > best[0]):
                best = (share, number, merged)
        if best is None:
            cluster = self._alone(words, "message")
            if self.clusters and self.clusters[-1] is cluster:
                for word in constants:
                    self._with_word.setdefault(word, []).append(len(self.clusters) - 1)
            return cluster
        cluster = self.clusters[best[1]]
        cluster.words = best[2]
        return cluster

    def templates(self) -> list[Template]:
        return templates_of([*self.clusters, *self._rest.values()])


def templates_of(clusters: Iterable[_Cluster]) -> list[Template]:
    """What clusters have come to."""
    found = []
    for cluster in clusters:
        (category, rule), _ = cluster.categories.most_common(1)[0]
        where = cluster.wheres.most_common(1)[0][0]
        found.append(
            Template(
                template=text_of(cluster.words),
                kind=cluster.kind,
                n_calls=cluster.n_calls,
                n_texts=cluster.n_texts,
                category=category,
                rule_id=rule,
                where=where,
                pattern=pattern_of(cluster.words) if cluster.kind == "message" else None,
                tools=[name for name, _ in cluster.tools.most_common(5)],
                examples=cluster.examples,
            )
        )
    return found


def message_of(text: str) -> tuple[str, str, str]:
    """The telling part of a feedback: (``message``, its place, the words), or (``data``, ``content``, its shape).

    >>> message_of('{"error": "Flight HAT170 not available"}')
    ('message', 'marked', 'Flight HAT170 not available')
    >>> message_of('{"slip": {"id": 52, "advice": "Rest."}}')
    ('data', 'content', '{slip: {advice, id}}')
    """
    found = unwrap(text)
    for scope in SCOPES:
        for candidate in found:
            if candidate.scope == scope and candidate.text.strip():
                line = next(line for line in candidate.text.strip().split("\n") if line.strip())
                if scope in (MARKED, OUTPUT) or re.search(r"[^\W\d_]{2,}\s+[^\W\d_]{2,}", line):
                    return "message", scope, line
    return "data", "content", shape_of(text)


def shape_of(text: str) -> str:
    """What kind of content a text is: the keys of its JSON to the second level, or how long it is.

    >>> shape_of('[{"a": 1}, {"a": 2}]'), shape_of("21C"), shape_of("")
    ('[{a}]', 'a short text', 'nothing')
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = parse_loosely(text) if text.lstrip()[:1] in ("{", "[") else None  # cut off, or a Python repr
        if value is None:
            return "nothing" if not text.strip() else "a short text" if len(text) <= 200 else "a long text"
    return _shape(value, 2)


def _shape(value: Any, depth: int) -> str:
    if isinstance(value, dict):
        names = sorted(value)
        if len(names) > 12 or any(re.search(r"\d{2}|[^\w -]", name) for name in names):
            inner = _shape(next(iter(value.values())), 0) if value else ""
            return f"{{*: {inner}}}"  # its keys are values themselves
        if depth <= 0:
            return "{...}"
        parts = [
            f"{name}: {_shape(value[name], depth - 1)}" if isinstance(value[name], dict | list) else name
            for name in names
        ]
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list):
        return f"[{_shape(value[0], depth)}]" if value else "[]"
    return {bool: "true or false", type(None): "null", str: "text"}.get(type(value), "number")


def words_of(message: str) -> list[str]:
    """A message as words and marks, with ``<*>`` for what looks like a value.

    >>> words_of("Error: flight HAT170 not available on 2024-05-20")
    ['Error', ':', 'flight', '<*>', 'not', 'available', 'on', '<*>']
    """
    masked = VALUES.sub(lambda found: f" {WILDCARD} ", message[:MAX_TEXT])
    words: list[str] = []
    for word in WORD.findall(masked):
        if word == WILDCARD and words and words[-1] == WILDCARD:
            continue
        words.append(word)
        if len(words) >= MAX_WORDS:
            break
    return words


def _weight(words: Sequence[str]) -> int:
    """How many words a template says; marks and wildcards say nothing."""
    return sum(word != WILDCARD and word.isalnum() for word in words)


def merge(a: Sequence[str], b: Sequence[str]) -> list[str]:
    """The longest template that both are: their longest common subsequence, with ``<*>`` in the gaps.

    >>> merge(["no", "seat", "in", "economy"], ["no", "seat", "in", "first", "class"])
    ['no', 'seat', 'in', '<*>']
    """
    lengths = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            same = a[i] == b[j]
            lengths[i][j] = lengths[i + 1][j + 1] + 1 if same else max(lengths[i + 1][j], lengths[i][j + 1])
    merged: list[str] = []
    i = j = 0

    def gap() -> None:
        if not merged or merged[-1] != WILDCARD:
            merged.append(WILDCARD)

    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            if a[i] == WILDCARD:
                gap()
            else:
                merged.append(a[i])
            i, j = i + 1, j + 1
        else:
            gap()
            if lengths[i + 1][j] >= lengths[i][j + 1]:
                i += 1
            else:
                j += 1
    if i < len(a) or j < len(b):
        gap()
    return merged


def text_of(words: Iterable[str]) -> str:
    """Words as a line to read: no space before marks that close, none after those that open."""
    text = " ".join(words)
    text = re.sub(r" ([.,;:!?)\]}%’'])", r"\1", text)
    return re.sub(r"([(\[{'’]) ", r"\1", text)


def pattern_of(words: Sequence[str]) -> str:
    """An RE2 pattern for a template: its words in order, anything short for ``<*>``.

    >>> pattern_of(["flight", "<*>", "not", "available", "."])
    '\\\\bflight\\\\b.{0,200}?\\\\bnot[\\\\W_]+available\\\\b'
    """
    kept = [word for word in words if word == WILDCARD or word.isalnum()]
    parts: list[str] = []
    before = WILDCARD
    for place, word in enumerate(kept):
        if word == WILDCARD:
            before = word
            continue
        if parts:
            parts.append(r".{0,200}?" if before == WILDCARD else r"[\W_]+")
        edges = [(place == 0 or before == WILDCARD), place + 1 == len(kept) or kept[place + 1] == WILDCARD]
        # RE2's word boundary knows ASCII letters only
        start = r"\b" if edges[0] and word[0].isascii() else ""
        end = r"\b" if edges[1] and word[-1].isascii() else ""
        parts.append(f"{start}{re.escape(word)}{end}")
        before = word
    return "".join(parts)


def write_drafts(templates: Iterable[Template], file: Path) -> int:
    """Write message templates as rules to finish: each commented out, with its counts, an example and a pattern to begin with.

    Returns:
        the number of drafts.
    """
    lines = [
        "# Drafts of rules, made by tldata rules mine: take the hash marks off those that you want, choose the category,",
        "# shorten the pattern to what matters, and try them with: tldata rules diff DATASET default THIS_FILE",
    ]
    n = 0
    for template in templates:
        if not template.pattern:
            continue
        n += 1
        slug = "_".join(re.findall(r"[a-z]+", template.template.lower())[:4]) or "rule"
        example = template.examples[0] if template.examples else ""
        rows = [
            f"# {template.n_calls} calls, {template.n_texts} texts; now {template.category} by {template.rule_id}",
            "[[rule]]",
            f'id = "mine.{n}.{slug}"',
            f'category = "{template.category if template.category != "all_right" else "others"}"',
            *([f'where = ["{template.where}"]'] if template.where not in (MARKED, PLAIN) else []),
            f"pattern = {_toml(template.pattern)}",
            f"example = {_toml(example[:1000])}",
        ]
        lines += ["", *(f"# {row}" for row in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return n


def _toml(text: str) -> str:
    """A TOML string on one line; a literal one where that can be, so that a pattern reads as it is."""
    if "'" not in text and text.isprintable():
        return f"'{text}'"
    return orjson.dumps(text.encode("utf-8", "replace").decode()).decode().replace("\x7f", "\\u007F")


def render_templates(templates: Sequence[Template], *, limit: int = 40, min_calls: int = 2) -> RenderableType:
    """A table of the message templates seen at least ``min_calls`` times, and a line on what it leaves out."""
    messages = [template for template in templates if template.kind == "message"]
    shown = [template for template in messages if template.n_calls >= min_calls][:limit]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("calls", "texts"):
        table.add_column(name, justify="right")
    for name in ("template", "now", "rule", "tools"):
        table.add_column(name, overflow="fold")
    for template in shown:
        table.add_row(
            f"{template.n_calls:,}",
            f"{template.n_texts:,}",
            Text(template.template[:200]),
            Text(template.category, style=style_of(template.category)),
            Text(template.rule_id),
            Text(", ".join(template.tools[:3]), style="dim"),
        )
    rest = messages[len(shown) :]
    data = [template for template in templates if template.kind == "data"]
    notes = [
        f"{len(messages):,} templates of messages in {sum(t.n_calls for t in messages):,} calls"
        + (f"; {len(rest):,} of them, in {sum(t.n_calls for t in rest):,} calls, not shown" if rest else ""),
        f"{len(data):,} shapes of data in {sum(t.n_calls for t in data):,} calls (--json lists them)",
    ]
    return Group(table, *(Text(note, style="dim") for note in notes))
