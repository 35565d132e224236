"""Stream a dataset through one target's record function into a file, and count what was written, dropped and lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from tldata.dataset import Dataset
from tldata.errors import UsageError
from tldata.export.chat import Chat, chat_of
from tldata.export.chosen import chosen
from tldata.export.files import check_suffix, write_rows
from tldata.tokenize.load import excluded_categories

# From a conversation to the target's records, most often one; ``chat.lost`` grows by what they cannot hold.
Build = Callable[[Chat], Iterable[dict[str, Any]]]
TRAJECTORY, TURN = "trajectory", "turn"


class NoRecord(Exception):
    """Raised by a builder for a trajectory that gives no record at all; counted by its reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def write_chats(
    data: Dataset,
    output: Path,
    build: Build,
    schema: pa.Schema,
    *,
    target: str,
    mask: str | None = None,
    where: str | None = None,
    rows: str | None = None,
) -> dict[str, int]:
    """Write what ``build`` makes of every trajectory.

    Args:
        data: an annotated dataset.
        output: ``.jsonl`` (``.gz``, ``.zst``) or ``.parquet``.
        build: from one conversation to the target's records.
        schema: of the records in Parquet.
        target: its name, for errors.
        mask: whose calls are not trained on, as for ``tldata tokenize``; ``paper`` by default.
        where: SQL condition on trajectories.
        rows: ``trajectory``, or ``turn``: a record for each assistant message that is trained on, which ends with it.

    Returns:
        counts: ``trajectories``, ``records``, trajectories without a record by reason, and how many trajectories each thing
        touches that the target cannot hold.
    """
    check_suffix(output, target)
    if rows not in (None, TRAJECTORY, TURN):
        raise UsageError(f"--rows {rows}: there are trajectory and turn")
    counts = {"trajectories": 0, "records": 0}
    excluded = excluded_categories(mask or "paper")

    def records() -> Iterator[dict[str, Any]]:
        for whole in chosen(data, where):
            counts["trajectories"] += 1
            chat = chat_of(whole, excluded)
            made = 0
            try:
                for record in _by_turn(chat, build) if rows == TURN else build(chat):
                    made += 1
                    yield record
            except NoRecord as none:
                counts[none.reason] = counts.get(none.reason, 0) + 1
                continue
            counts["records"] += made
            if made == 0:
                counts["without a record"] = counts.get("without a record", 0) + 1
            for reason in chat.lost:
                counts[reason] = counts.get(reason, 0) + 1

    write_rows(output, records(), schema)
    return counts


def _by_turn(chat: Chat, build: Build) -> Iterator[dict[str, Any]]:
    """The records of each beginning that ends with a trained message; what is in it besides is context."""
    for message in chat.messages:
        if message.trained:
            part = chat.until(message.turn)
            yield from build(part)
            chat.lost |= part.lost - {"untrained message"}
