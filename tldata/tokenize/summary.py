"""What a token set holds and what was left out of it: counts for people and programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tldata.tokenize.conversation import Conversation
    from tldata.tokenize.prepare import Section


@dataclass(slots=True)
class Counts:
    """Counts that add up over batches. Rows and tokens of both layouts are those that train something, before truncation."""

    trajectories: int = 0
    rows: int = 0
    rows_without_loss: int = 0
    tokens: int = 0
    loss_tokens: int = 0
    key_tokens: int = 0
    truncated: int = 0
    too_long: int = 0
    segment_rows: int = 0
    segment_tokens: int = 0
    turn_rows: int = 0
    turn_tokens: int = 0
    calls: int = 0
    trained_calls: int = 0
    calls_of_others: int = 0
    masked_calls: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    def add_row(self, tokens: int, in_loss: int, keys: int, truncated: bool, trains: bool) -> None:
        """Count a row that is written."""
        self.rows += 1
        self.tokens += tokens
        self.loss_tokens += in_loss
        self.key_tokens += keys
        self.truncated += truncated
        self.rows_without_loss += not trains

    def add_calls(self, conversation: Conversation, sections: Sequence[Section], scope: str) -> None:
        """Count a trajectory's calls: trained, or masked by category (``not trainable`` where its own error is not the reason)."""
        from tldata.schema import NOT_ERRORS
        from tldata.tokenize.masks import whole_message_out

        self.trajectories += 1
        self.calls_of_others += conversation.calls_of_others
        for section in sections:
            for turn in section.turns:
                out = whole_message_out(turn, scope)
                for place in turn.calls:
                    self.calls += 1
                    if not out and not place.call.excluded:
                        self.trained_calls += 1
                    elif place.call.excluded and place.call.category not in NOT_ERRORS and place.call.category:
                        self.masked_calls[place.call.category] += 1
                    else:
                        self.masked_calls["not trainable"] += 1

    def add(self, other: dict[str, Any]) -> None:
        """Add the counts of a part, as ``counts_json`` gives them."""
        for name, value in other.items():
            if isinstance(value, dict):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)


@dataclass(slots=True)
class TokenSet:
    """A finished token set: its folder, its manifest, and its counts; or one shard of it (``parts_left`` to be done by others)."""

    path: Path
    name: str
    counts: Counts
    manifest: dict[str, Any]
    seconds: float
    shard: str | None = None
    parts_left: int = 0

    @property
    def key_share(self) -> float:
        """Share of key tokens in the loss."""
        return self.counts.key_tokens / self.counts.loss_tokens if self.counts.loss_tokens else 0.0

    def to_json(self) -> dict[str, Any]:
        """The summary for programs."""
        return {
            "path": str(self.path),
            "name": self.name,
            **counts_json(self.counts),
            "key_share": round(self.key_share, 6),
            "layout": self.manifest["options"]["layout"],
            "template": self.manifest["template"]["name"],
            "forms": self.manifest["template"]["forms"],
            "seconds": round(self.seconds, 3),
            **({"shard": self.shard, "parts_left": self.parts_left} if self.shard else {}),
        }


def counts_json(counts: Counts) -> dict[str, Any]:
    """Counts as plain JSON values."""
    values = {name: getattr(counts, name) for name in counts.__dataclass_fields__}
    return {name: dict(value.most_common()) if isinstance(value, Counter) else value for name, value in values.items()}


def render_summary(summary: TokenSet) -> RenderableType:
    """The summary for people, as a table of Rich."""
    from rich.table import Table

    counts = summary.counts
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")

    def line(label: str, value: int, note: str = "") -> None:
        table.add_row(label, f"{value:,}", note)

    line("trajectories", counts.trajectories, str(summary.path))
    if summary.shard is not None:
        line("parts left", summary.parts_left, f"to other shards than {summary.shard}; then run without --shard")
    line(
        "rows",
        counts.rows,
        f"{counts.rows_without_loss:,} without any token in the loss" if counts.rows_without_loss else "",
    )
    line("tokens", counts.tokens)
    share = counts.loss_tokens / counts.tokens if counts.tokens else 0.0
    line("in the loss", counts.loss_tokens, f"{share:.1%} of the tokens")
    line("key tokens", counts.key_tokens, f"{summary.key_share:.1%} of the loss")
    line("calls trained", counts.trained_calls, f"of {counts.calls:,}")
    for category, number in counts.masked_calls.most_common():
        line("calls masked", number, category)
    line("layout segment", counts.segment_tokens, f"tokens in {counts.segment_rows:,} rows")
    factor = f", {counts.turn_tokens / counts.segment_tokens:.2f} times as many" if counts.segment_tokens else ""
    line("layout turn", counts.turn_tokens, f"tokens in {counts.turn_rows:,} rows{factor}")
    if counts.truncated:
        line("rows truncated", counts.truncated)
    if counts.too_long:
        line("rows too long", counts.too_long, "left out")
    if counts.calls_of_others:
        line("calls of others", counts.calls_of_others, "made by no assistant message: not rendered")
    for reason, number in counts.rejected.most_common(10):
        table.add_row("[red]rejected[/red]", f"{number:,}", reason)
    return table
