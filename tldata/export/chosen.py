"""Which trajectories an export writes: all of a dataset, or those that a SQL condition names."""

from __future__ import annotations

from collections.abc import Iterator

from tldata.condition import check_condition
from tldata.dataset import Dataset
from tldata.errors import UsageError
from tldata.stream import Whole, stream

HINT = "a condition on the columns of trajectories, such as: n_errors = 0 AND format = 'openai'; or trajectory_id IN (SELECT ...)"


def chosen(data: Dataset, where: str | None = None) -> Iterator[Whole]:
    """Yield the trajectories that a condition names, in the dataset's order.

    Args:
        data: an annotated dataset.
        where: SQL over the columns of ``trajectories``, with subqueries over all tables; None for all.

    Raises:
        UsageError: the condition is no SQL expression, or names what is not there.
    """
    if where is None:
        yield from stream(data)
        return
    wanted = chosen_ids(data, where)
    for whole in stream(data):
        if whole.trajectory["trajectory_id"] in wanted:
            yield whole


def chosen_ids(data: Dataset, where: str) -> frozenset[str]:
    """The ids of the trajectories that a condition names (about 100 bytes of memory each)."""
    check_condition(where, hint=HINT)
    try:
        found = data.sql(f"SELECT trajectory_id FROM trajectories WHERE (\n{where}\n)")
    except UsageError as error:
        raise UsageError(f"--where: {error.message}", hint=HINT) from None
    return frozenset(found["trajectory_id"].to_pylist())
