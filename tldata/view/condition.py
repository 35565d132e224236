"""A user's SQL condition, run on a connection that can do nothing but read this dataset."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from tldata.condition import HINT, check_condition
from tldata.corrections import CORRECTIONS, KEY
from tldata.dataset import Dataset
from tldata.errors import UsageError

TIME_LIMIT = 10.0  # seconds
ROW_LIMIT = 1_000_000  # trajectories
SETTINGS: dict[str, str | int] = {"memory_limit": "1GB", "temp_directory": "", "threads": 2}
KEYS = pa.schema([CORRECTIONS.field(name) for name in KEY])


def run_condition(
    data: Dataset,
    condition: str,
    *,
    also: str = "true",
    parameters: Sequence[Any] = (),
    corrections: Sequence[dict[str, Any]] = (),
    time_limit: float = TIME_LIMIT,
    row_limit: int = ROW_LIMIT,
) -> pa.Array:
    """The ids of the trajectories that a condition holds for; of their calls, or of themselves where they have none.

    Args:
        data: the dataset; the condition sees its tables and nothing else.
        condition: SQL over the columns of ``trajectories`` and ``calls`` together.
        also: a condition of our own, on the same row, with ``parameters``.
        corrections: keys of the corrected calls, which ``also`` may read as the table ``corrections``.
        time_limit: seconds until the query is stopped.
        row_limit: ids given at most.

    Raises:
        UsageError: no single expression, an unknown column, something that is not allowed, or too slow.
    """
    check_condition(condition)
    connection = data.connect(settings=SETTINGS)
    connection.register("given", pa.Table.from_pylist(list(corrections), schema=KEYS))
    connection.execute("CREATE TABLE corrections AS FROM given")
    connection.unregister("given")
    data.lock(connection)
    timer = threading.Timer(time_limit, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        # The user's part stands last and in a query of its own, so that parameters and names of ours cannot be reached.
        query = (
            f"SELECT DISTINCT trajectory_id FROM (FROM trajectories LEFT JOIN calls USING (trajectory_id) WHERE {also}) "
            f"WHERE (\n{condition}\n) LIMIT {row_limit:d}"
        )
        found = connection.sql(query, params=list(parameters)).to_arrow_table()
    except duckdb.InterruptException:
        raise UsageError(f"the condition took longer than {time_limit:g} s and was stopped", hint=HINT) from None
    except duckdb.OutOfMemoryException:
        raise UsageError("the condition needs too much memory and was stopped", hint=HINT) from None
    except duckdb.Error as error:
        raise UsageError(f"the condition does not run: {_first_lines(str(error))}", hint=HINT) from None
    finally:
        timer.cancel()
        connection.close()
    return found["trajectory_id"].combine_chunks()


def _first_lines(message: str) -> str:
    return message.split("\n\nLINE", 1)[0].strip()
