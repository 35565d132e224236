"""Look into a bounded part of a dataset for secrets, to warn of them where it is shown or sent on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from tldata.scrub.kinds import Scrubbing
from tldata.scrub.replace import Scrubber

COLUMNS = {
    "messages": ("content", "reasoning"),
    "calls": ("arguments", "raw_call", "feedback"),
    "trajectories": ("metadata",),
    "rejects": ("raw",),
}
BATCH = 2_000  # rows
LIMIT = 2 << 20  # characters looked at, over all columns


def look(dataset: Path, limit: int = LIMIT) -> tuple[dict[str, int], bool]:
    """Count what ``tldata scrub`` would replace, by kind, in as much text as takes a fraction of a second.

    Args:
        dataset: folder with the tables; finished, or about to be.
        limit: characters to look at, spread over the tables, from each table's beginning.

    Returns:
        kind -> places found, the most first; and whether that was everything.
    """
    scrubber = Scrubber(Scrubbing(b"counts only, no value is kept"))
    whole = True
    for table, columns in COLUMNS.items():
        left = limit // len(COLUMNS)
        for part in sorted((dataset / table).glob("*.parquet")):
            if left <= 0:
                whole = False
                break
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(batch_size=BATCH, columns=list(columns)):
                    if left <= 0:
                        whole = False
                        break
                    texts = [text for column in batch.columns for text in column.to_pylist() if text]
                    left -= sum(map(len, texts))
                    scrubber.value(texts)
    return dict(scrubber.counts.most_common()), whole


def warning(found: dict[str, int], whole: bool, dataset: object) -> str | None:
    """One line for people, or None where nothing was found.

    >>> warning({"email": 3}, True, "x.tldata")
    'secrets or contact data: email 3 (tldata scrub x.tldata -o DIR replaces them)'
    """
    if not found:
        return None
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in Counter(found).most_common())
    scope = "" if whole else " in the part looked at"
    return f"secrets or contact data{scope}: {kinds} (tldata scrub {dataset} -o DIR replaces them)"
